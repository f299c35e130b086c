#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Run all tests, or those named, and add up what their runners say.

    check.py [--list] [NAME...]

Output of a runner is shown with its name before each line.  The sum is the
last line, "total: N passed, N failed, N skipped", and in build-check/total.
"""

import argparse
import os
import subprocess
import sys
import time

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
WORK = os.path.join(ROOT, "build-check")
VMKEEP = os.path.join(WORK, "gcc", "vmkeep")

# Name and command, quick ones first; a runner that is no file is left out.
RUNNERS = [
    ("layers", ["test/layers.py"]),
    ("format", ["test/format.py"]),
    ("headers", ["test/headers.py"]),
    ("gcc", ["test/build.py", "gcc"]),
    ("asan", ["test/build.py", "asan"]),
    ("tsan", ["test/build.py", "tsan"]),
    ("tidy", ["test/tidy.py"]),
    ("cli", ["test/cli/run.py"]),
    ("man", ["test/man.py"]),
    ("sample", ["test/sample/run.py"]),
    ("sim", ["test/sim/run.py"]),
    ("protocol", ["test/protocol/run.py"]),
    ("stress", ["test/stress/run.py"]),
    ("e2e", ["test/e2e/run.py"]),
    ("lab", ["test/storage/run.py"]),
]


class Sum:
    """What came out so far: passed, failed, skipped."""

    def __init__(self):
        self.counts = [0, 0, 0]

    def add(self, counts):
        self.counts = [a + b for a, b in zip(self.counts, counts)]

    def __str__(self):
        return "%d passed, %d failed, %d skipped" % tuple(self.counts)


def read_results(path):
    if not os.path.exists(path):
        return []
    with open(path, encoding="ascii") as f:
        return [[int(n) for n in line.split()[-3:]] for line in f]


def stream(name, argv, env):
    """Run in the root of the tree; the exit status."""
    runner = subprocess.Popen(
        argv, cwd=ROOT, env=env, stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    for line in runner.stdout:
        text = line.decode(errors="replace").rstrip()
        print(f"{name}| {text}", flush=True)
    return runner.wait()


def run(name, command):
    """Run one runner; its sum.  One that says nothing has failed once."""
    path = os.path.join(WORK, f"results.{name}")
    if os.path.exists(path):
        os.unlink(path)
    env = dict(os.environ, VMKEEP_RESULTS=path, VMKEEP=VMKEEP)
    start = time.monotonic()
    status = stream(name, [os.path.join(ROOT, command[0])] + command[1:], env)
    outcome = Sum()
    for counts in read_results(path):
        outcome.add(counts)
    if (status != 0 and outcome.counts[1] == 0) or not any(outcome.counts):
        outcome.add([0, 1, 0])
    print(f"{name}: {outcome}, {time.monotonic() - start:.0f} s", flush=True)
    return outcome


def main():
    there = [(name, command) for name, command in RUNNERS
             if os.path.exists(os.path.join(ROOT, command[0]))]
    p = argparse.ArgumentParser(description="run the tests")
    p.add_argument("--list", action="store_true", help="show their names")
    p.add_argument("name", nargs="*", help="only these")
    args = p.parse_args()
    unknown = set(args.name) - {name for name, _ in there}
    if unknown:
        p.error(f"no runner {', '.join(sorted(unknown))}")
    if args.list:
        print("\n".join(name for name, _ in there))
        return 0
    os.makedirs(WORK, exist_ok=True)
    total = Sum()
    for name, command in there:
        if not args.name or name in args.name:
            total.add(run(name, command).counts)
    with open(os.path.join(WORK, "total"), "w", encoding="ascii") as f:
        f.write(f"{total}\n")
    print(f"total: {total}")
    return 1 if total.counts[1] else 0


if __name__ == "__main__":
    sys.exit(main())
