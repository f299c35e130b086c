#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The storage suite: boots the storage lab, and runs inside.py there.

    run.py [BUILD_DIR] [-k WORD]... [--only private|stock|killed]

Three passes: with a libvirt where QEMU is root and no security driver looks
on; with libvirt as Debian configures it and AppArmor on; and killed.py, where
the machine loses its power (VMKEEP_TEST_KILLS times).  The sum goes where
test/results.py says.  A machine that cannot have the lab skips the suite.
"""

import argparse
import os
import signal
import sys
import time
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent), str(HERE.parent / "lab")]

import results  # noqa: E402
from killed import kill_often  # noqa: E402
from lab import missing  # noqa: E402
from machine import LabError  # noqa: E402
from vm import StorageVM, VMOptions, image_folder  # noqa: E402

LONG = bool(os.environ.get("VMKEEP_TEST_LONG"))
# Seconds one suite may take, on a loaded machine too.
PATIENCE = 6 * 3600 if LONG else 3600
KILLS = int(os.environ.get("VMKEEP_TEST_KILLS", "20" if LONG else "2"))
SEED = int(os.environ.get("VMKEEP_TEST_SEED", "1"))
PASSES = ["private", "stock", "killed"]
# What runs inside; those that ask nothing of libvirt once only.
SUITE = "test/storage/inside.py"
SUITES = {"private": ["test/snap/run.py", SUITE], "stock": [SUITE]}


def counts_in(folder):
    """[passed, failed, skipped] as inside.py has left them; None: it has not."""
    try:
        lines = (folder / "counts").read_text().splitlines()
    except OSError:
        return None
    return [sum(column) for column in
            zip(*([int(n) for n in line.split()[-3:]] for line in lines))]


def wishes():
    """What our caller has set to get other tests, or more of them."""
    return {key: value for key, value in os.environ.items()
            if key.startswith("VMKEEP_TEST_") and key != "VMKEEP_TEST_CACHE"}


def run_suite(vm, suite, words):
    """Runs one inside. Returns its exit code."""
    argv = ["python3", suite]
    if suite == SUITE:
        argv += [word for key in words for word in ("-k", key)]
    elif words and not any(word in suite for word in words):
        return 0
    return vm.run(argv, {**wishes(), "VMKEEP_RESULTS": "/lab/results/counts"},
                  PATIENCE)


def suite_pass(name, build, words):
    """Boots, runs, ends. Returns [passed, failed, skipped]."""
    options = VMOptions(stock=name == "stock", build=build)
    start = time.monotonic()
    code, counts = None, [0, 0, 0]
    try:
        with StorageVM(options=options) as vm:
            print(f"{name}: up after {time.monotonic() - start:.0f} s",
                  flush=True)
            code = max(run_suite(vm, suite, words) for suite in SUITES[name]
                       if (HERE.parent.parent / suite).exists())
            vm.keep_capabilities()
            vm.fetch(vm.dir / "results")
            counts = counts_in(vm.dir / "results") or counts
    except LabError as error:
        print(f"{name}: {error}")
    if code != 0 and counts[1] == 0:
        print(f"{name}: ended with {code}")
        counts[1] += 1
    print(f"{name}: {counts[0]} passed, {counts[1]} failed, "
          f"{counts[2]} skipped, {time.monotonic() - start:.0f} s", flush=True)
    return counts


def killed_pass(name, build, words):
    """The machine killed under its repositories: one test."""
    if words and not any(word in "killed.repository" for word in words):
        return [0, 0, 0]
    start = time.monotonic()
    try:
        with StorageVM(options=VMOptions(build=build,
                                         cache="writeback")) as vm:
            points = kill_often(vm, KILLS, SEED)
    except LabError as error:
        print(f"failed  killed.repository: seed {SEED}: {error}")
        return [0, 1, 0]
    print(f"passed  killed.repository {time.monotonic() - start:.1f} s: "
          f"{KILLS} kills, {points} points restored", flush=True)
    return [1, 0, 0]


def need_lab():
    """Ends us when this machine cannot have the lab."""
    lacks = missing()
    if lacks:
        print("skipped: this machine lacks " + ", ".join(lacks))
        results.finish("lab", 0, 0, 1)
    try:
        image_folder()
    except LabError as error:
        print(f"skipped: {error}")
        results.finish("lab", 0, 0, 1)


def main():
    p = argparse.ArgumentParser(description="tests in the storage lab")
    p.add_argument("build", nargs="?", help="folder with vmkeep in it")
    p.add_argument("-k", dest="words", action="append", default=[],
                   metavar="WORD", help="only tests whose name has WORD")
    p.add_argument("--only", choices=PASSES)
    args = p.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    build = (Path(args.build) if args.build
             else Path(os.environ.get("VMKEEP", "")).parent).resolve()
    if not (build / "vmkeep").is_file():
        p.error("no program: say BUILD_DIR, or set VMKEEP")
    need_lab()
    total = [0, 0, 0]
    for name in PASSES:
        if args.only in (None, name):
            run = killed_pass if name == "killed" else suite_pass
            total = [a + b for a, b in
                     zip(total, run(name, build, args.words))]
    results.finish("lab", *total)


if __name__ == "__main__":
    main()
