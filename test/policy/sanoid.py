#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Ask sanoid itself what it would prune of random histories, and print that
as the table test/data/sanoid-prune, which a unit test compares with ours.

    sanoid.py PROGRAM DEFAULTS [PERL_LIB]

PROGRAM and DEFAULTS are sanoid and sanoid.defaults.conf as Debian's package
has them; PERL_LIB is where its Perl modules are, when they are not installed.
"""

import os
import random
import re
import subprocess
import sys
import tempfile
import time
from pathlib import Path

TIERS = ["frequently", "hourly", "daily", "weekly", "monthly", "yearly"]
NOW = 1795192205
CASES = 60
SECONDS = [900, 3600, 86400, 604800, 2678400, 31557600]


def history(rng):
    """A policy and [(time, tiers)], oldest first; some of it of the future."""
    counts = [rng.choice([0, 0, 1, 2, 5, 12, 40]) for _ in TIERS]
    period = rng.choice([5, 15, 15, 60])
    times = {}
    for tier, seconds in enumerate(SECONDS):
        if tier == 0:
            seconds = period * 60
        reach = seconds * max(counts[tier], 1) * rng.choice([0.5, 1, 2, 4])
        for _ in range(rng.choice([0, 1, 3, 10, 30])):
            age = rng.uniform(-reach / 20, reach)
            # now and then to the second where the rule changes
            if rng.random() < 0.2:
                age = seconds * rng.randint(0, counts[tier] + 1)
                age += rng.choice([-1, 0, 1])
            at = max(NOW - int(age), 1)
            times[at] = times.get(at, 0) | 1 << tier
            if rng.random() < 0.3:
                times[at] |= 1 << rng.randrange(len(TIERS))
    return period, counts, sorted(times.items())


def name(at, tier):
    stamp = time.strftime("%Y-%m-%d_%H:%M:%S", time.gmtime(at))
    return f"autosnap_{stamp}_{TIERS[tier]}"


def write(folder, program, defaults, cases):
    text = program.read_text()
    text, n = re.subn(r'^my \$default_conf_file = .*$',
                      f'my $default_conf_file = "{defaults}";', text,
                      flags=re.M)
    assert n == 1, "no such line in this sanoid"
    (folder / "sanoid").write_text(text)
    (folder / "Clock.pm").write_text(
        "package Clock;\n"
        f"BEGIN {{ *CORE::GLOBAL::time = sub {{ {NOW} }}; }}\n1;\n")
    config, snaps = "", ""
    for i, (period, counts, sets) in enumerate(cases):
        config += f"[tank/{i}]\nautosnap = no\nautoprune = yes\n"
        config += f"frequent_period = {period}\n"
        for tier, count in zip(TIERS, counts):
            config += f"{tier} = {count}\n"
        for at, bits in sets:
            for tier in range(len(TIERS)):
                if bits >> tier & 1:
                    snaps += f"tank/{i}@{name(at, tier)}\tcreation\t{at}\t-\n"
    (folder / "sanoid.conf").write_text(config)
    (folder / "snaps").write_text(snaps)
    (folder / "zfs").write_text(f'#!/bin/sh\nexec cat "{folder}/snaps"\n')
    (folder / "zfs").chmod(0o755)
    for sub in ("cache", "run"):
        (folder / sub).mkdir()


def ask(folder, lib):
    """What it says that it prunes."""
    done = subprocess.run(
        ["perl", "-I", folder, *(["-I", lib] if lib else []), "-MClock",
         folder / "sanoid", "--prune-snapshots", "--readonly", "--verbose",
         "--force-prune", "--force-update", "--configdir", folder,
         "--cache-dir", folder / "cache", "--run-dir", folder / "run"],
        env=dict(os.environ, PATH=f"{folder}:{os.environ['PATH']}", TZ="UTC"),
        stdout=subprocess.PIPE, text=True, check=True)
    return set(re.findall(r"^INFO: pruning (tank/\S+@\S+)", done.stdout,
                          re.M))


def main():
    program, defaults = Path(sys.argv[1]), Path(sys.argv[2]).resolve()
    lib = sys.argv[3] if len(sys.argv) > 3 else None
    rng = random.Random(8)
    cases = [history(rng) for _ in range(CASES)]
    with tempfile.TemporaryDirectory() as folder:
        write(Path(folder), program, defaults, cases)
        gone = ask(Path(folder), lib)
    print("# What sanoid keeps; made by test/policy/sanoid.py.")
    print("# case NOW PERIOD COUNTS; then TIME TIERS (bits) KEPT (bits)")
    for i, (period, counts, sets) in enumerate(cases):
        print("case", NOW, period, *counts)
        for at, bits in sets:
            kept = sum(1 << tier for tier in range(len(TIERS))
                       if bits >> tier & 1
                       and f"tank/{i}@{name(at, tier)}" not in gone)
            print(at, bits, kept)


main()
