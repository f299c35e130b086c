#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Run all tests, or those named, and add up what their runners say.

    check.py [--list] [--alone] [NAME...]

Two runners go on beside each other, so that one fills what another leaves of
the processors; --alone makes it one.  Output of a runner is shown with its
name before each line.  The sum is the last line, "total: N passed, N failed,
N skipped", and in build-check/total.
"""

import argparse
import os
import subprocess
import sys
import threading
import time

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
WORK = os.path.join(ROOT, "build-check")
VMKEEP = os.path.join(WORK, "gcc", "vmkeep")

# Name, command, and whose end it waits for; a runner that is no file is left
# out.  e2e takes longest, most of it waiting, so it begins as soon as there is
# a program; the others fill the processors.
RUNNERS = [
    ("layers", ["test/layers.py"], None),
    ("format", ["test/format.py"], None),
    ("headers", ["test/headers.py"], None),
    ("build", ["test/build.py", "--build", "gcc"], None),
    ("e2e", ["test/e2e/run.py"], "build"),
    ("cli", ["test/cli/run.py"], "build"),
    ("man", ["test/man.py"], "build"),
    ("sample", ["test/sample/run.py"], "build"),
    ("snap", ["test/snap/run.py"], "build"),
    ("gcc", ["test/build.py", "gcc"], "build"),
    ("asan", ["test/build.py", "asan"], None),
    ("lab", ["test/storage/run.py"], "build"),
    ("tsan", ["test/build.py", "tsan"], None),
    ("tidy", ["test/tidy.py"], "asan"),
    ("stress", ["test/stress/run.py"], "build"),
    ("protocol", ["test/protocol/run.py"], None),
    ("sim", ["test/sim/run.py"], "build"),
]

# Those that take long, and run when they are named only.
NAMED = {"lab"}


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
    """Run in the root of the tree; the exit status, and seconds of CPU."""
    runner = subprocess.Popen(
        argv, cwd=ROOT, env=env, stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    for line in runner.stdout:
        text = line.decode(errors="replace").rstrip()
        # in one piece, whoever else writes
        sys.stdout.write(f"{name}| {text}\n")
        sys.stdout.flush()
    _, status, used = os.wait4(runner.pid, 0)
    runner.returncode = os.waitstatus_to_exitcode(status)
    return runner.returncode, used.ru_utime + used.ru_stime


def run(name, command):
    """Run one runner; its sum.  One that says nothing has failed once."""
    path = os.path.join(WORK, f"results.{name}")
    if os.path.exists(path):
        os.unlink(path)
    env = dict(os.environ, VMKEEP_RESULTS=path, VMKEEP=VMKEEP)
    start = time.monotonic()
    status, cpu = stream(
        name, [os.path.join(ROOT, command[0])] + command[1:], env)
    outcome = Sum()
    for counts in read_results(path):
        outcome.add(counts)
    if (status != 0 and outcome.counts[1] == 0) or not any(outcome.counts):
        outcome.add([0, 1, 0])
    sys.stdout.write(f"{name}: {outcome}, {time.monotonic() - start:.0f} s, "
                     f"{cpu:.0f} s of CPU\n")
    sys.stdout.flush()
    return outcome


class Queue:
    """Runners, each handed out when what it waits for has ended."""

    def __init__(self, runners):
        self.waiting = list(runners)
        self.pending = {name for name, _, _ in runners}
        self.change = threading.Condition()
        self.total = Sum()

    def take(self):
        """The first one that may start now; None when all are taken."""
        with self.change:
            while self.waiting:
                for runner in self.waiting:
                    if runner[2] not in self.pending:
                        self.waiting.remove(runner)
                        return runner
                self.change.wait()
            return None

    def work(self):
        while (runner := self.take()) is not None:
            name, command, _ = runner
            outcome = Sum()
            outcome.add([0, 1, 0])
            try:
                outcome = run(name, command)
            finally:
                with self.change:
                    self.total.add(outcome.counts)
                    self.pending.remove(name)
                    self.change.notify_all()

    def run(self, beside):
        """All of them, so many at once; the sum."""
        threads = [threading.Thread(target=self.work) for _ in range(beside)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        return self.total


def main():
    there = [runner for runner in RUNNERS
             if os.path.exists(os.path.join(ROOT, runner[1][0]))]
    p = argparse.ArgumentParser(description="run the tests")
    p.add_argument("--list", action="store_true", help="show their names")
    p.add_argument("--alone", action="store_true", help="one after another")
    p.add_argument("name", nargs="*", help="only these")
    args = p.parse_args()
    unknown = set(args.name) - {runner[0] for runner in there}
    if unknown:
        p.error(f"no runner {', '.join(sorted(unknown))}")
    if args.list:
        print("\n".join(runner[0] for runner in there))
        return 0
    os.makedirs(WORK, exist_ok=True)
    default = {runner[0] for runner in there} - NAMED
    wanted = set(args.name or default)
    if any(needs == "build" for name, _, needs in there if name in wanted):
        wanted.add("build")
    chosen = [runner for runner in there if runner[0] in wanted]
    total = Queue(chosen).run(1 if args.alone else 2)
    with open(os.path.join(WORK, "total"), "w", encoding="ascii") as f:
        f.write(f"{total}\n")
    print(f"total: {total}")
    return 1 if total.counts[1] else 0


if __name__ == "__main__":
    sys.exit(main())
