#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""How large an index may become: memory, time to open, time per look-up.

    index.py --tool build/bench/indexbench [--gib N] [--dir DIR] [--json]

README.md says what is made and what is measured.
"""

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile

MIB = 1 << 20
# What the repository must reach, MiB: per TiB, and beside.
GOAL = (40, 256)
GOAL_OPEN = 1.0
# Look-ups of each kind; segments and entries of the cold run.
ASKS = 10_000_000
COLD = (4, 1_000_000)
# GiB: what the small segments hold, and a little.
LEAST = 330


def run(tool, *args):
    """What a run of the tool said: numbers by name."""
    p = subprocess.run([tool] + [str(a) for a in args], check=True,
                       stdout=subprocess.PIPE, text=True)
    return {name: float(value) for name, value in
            (line.split() for line in p.stdout.splitlines())}


def size_of(folder):
    return sum(os.stat(os.path.join(path, name)).st_blocks * 512
               for path, _, names in os.walk(folder) for name in names)


def check_room(folder, gib):
    """30 bytes an entry, and what the tables of packs take."""
    need = gib * 32768 * 30 + gib * 32 * 41 * (gib // 80 + 2) + (1 << 30)
    free = shutil.disk_usage(folder).free
    if free < need:
        sys.exit(f"index.py: '{folder}' has {free // MIB} MiB free, and "
                 f"{need // MIB} are needed: name another one with --dir, or "
                 "a smaller --gib")


def measure(tool, folder, gib, asks):
    made = os.path.join(folder, "made")
    result = {"gib": gib, "asks": asks, "load": os.getloadavg()[0],
              "make": run(tool, "make", made, gib)}
    result["disk"] = size_of(os.path.join(made, "cache"))
    for kind in ("new", "node", "known"):
        result[kind] = run(tool, "ask", made, kind, asks, 1)
    shutil.rmtree(made)
    cold = os.path.join(folder, "cold")
    run(tool, "seal", cold, *COLD)
    result["cold"] = run(tool, "cold", cold)
    return result


def goal(gib):
    return GOAL[0] * gib / 1024 + GOAL[1]


def text(r):
    """The lines of a report."""
    tib = r["gib"] / 1024
    chunks = r["make"]["chunks"]
    known, new, node = r["known"], r["new"], r["node"]
    rss = max(k["rss_asked_kib"] for k in (known, new, node)) / 1024
    segments = r["make"]["small_segments"] + 1
    passed = new["ask_reads"] / (r["asks"] * segments)
    # so much of it grows with the data
    more = rss - known["rss_file_asked_kib"] / 1024
    entries = COLD[0] * COLD[1]
    yield f"unique data           {tib:.2f} TiB, {chunks / 1e6:.1f} million " \
          f"chunks, {r['make']['nodes'] / 1e6:.2f} million nodes"
    yield f"segments              {r['make']['large_segments']:.0f} of the " \
          f"merged tier, {segments - 1:.0f} small ones"
    yield f"on disk               {r['disk'] / MIB:.0f} MiB, " \
          f"{r['disk'] / chunks:.1f} bytes a chunk"
    yield f"open, warm            {known['open_seconds']:.3f} s " \
          f"({known['open_cpu_seconds']:.3f} s of CPU); goal {GOAL_OPEN} s"
    yield f"open, nothing cached  {r['cold']['seconds'] / entries * 1e6:.2f} " \
          f"s a million entries ({r['cold']['cpu_seconds'] / entries * 1e6:.2f}"\
          f" s of CPU), {r['cold']['rss_peak_kib'] / 1024:.0f} MiB"
    yield f"resident after open   {known['rss_open_kib'] / 1024:.0f} MiB, " \
          f"{known['rss_file_open_kib'] / 1024:.0f} of them the program's " \
          "file"
    yield f"resident after asking {rss:.0f} MiB; goal {goal(r['gib']):.0f}"
    yield f"at 100 TiB            {more / tib * 100:.0f} MiB; goal " \
          f"{goal(102400):.0f}"
    yield f"filters let pass      {100 * passed:.2f} % of what is not there"
    for name, kind in (("new chunk", new), ("known node", node),
                       ("known chunk", known)):
        yield f"{name:21} {kind['ask_ns'] / 1e3:.2f} us, " \
              f"{kind['ask_cpu_ns'] / 1e3:.2f} us of CPU"


def main():
    p = argparse.ArgumentParser(description="measure a large index")
    p.add_argument("--tool", required=True, help="the program indexbench")
    p.add_argument("--gib", type=int, default=1024,
                   help="unique data, GiB (1024; the goal is for 10240)")
    p.add_argument("--asks", type=int, default=ASKS,
                   help=f"look-ups of each kind ({ASKS})")
    p.add_argument("--dir", default="/var/tmp", help="where to make it")
    p.add_argument("--json", action="store_true", help="all figures")
    args = p.parse_args()
    if args.gib < LEAST:
        p.error(f"--gib must be at least {LEAST}: less is no merged tier")
    check_room(args.dir, args.gib)
    with tempfile.TemporaryDirectory(prefix="vmkeep-index-",
                                     dir=args.dir) as folder:
        r = measure(args.tool, folder, args.gib, args.asks)
    print(json.dumps(r, indent=1) if args.json else "\n".join(text(r)))
    return 0


if __name__ == "__main__":
    sys.exit(main())
