#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Fuzz the parsers, one after another, and keep what is worth keeping.

    run.py [--seconds N] [--build FOLDER] [--no-merge] [NAME...]

Builds the fuzzers (clang, ASan, UBSan) and runs each for N seconds of CPU,
from its committed corpus and what earlier runs have left in FOLDER/corpus.
An input that breaks something is in FOLDER/findings: run the fuzzer with it
alone to see what it does, and put it into test/fuzz/corpus when it is mended.
At the end inputs that reach new code, as few and as short as will do, are
added to test/fuzz/corpus.
"""

import argparse
import os
import re
import resource
import subprocess
import sys

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(
    os.path.abspath(__file__))))
CORPUS = os.path.join(ROOT, "test", "fuzz", "corpus")
ROUND = 60          # seconds by the clock, between two looks at the CPU's
TIMEOUT = 300       # by the clock: whoever is nice waits long on a busy machine
# Longer inputs are not worth keeping.
MAX_LEN = 4096


def names():
    found = re.compile(r"fuzz_(\w+)\.c$")
    return sorted(m.group(1) for m in map(found.match, os.listdir(
        os.path.join(ROOT, "test", "fuzz"))) if m)


def build(folder, wanted):
    if not os.path.exists(os.path.join(folder, "build.ninja")):
        subprocess.run(
            ["meson", "setup", folder, "-Dfuzz=true", "-Db_lundef=false",
             "-Db_sanitize=address,undefined"], cwd=ROOT, check=True,
            env=dict(os.environ, CC="clang"), stdout=subprocess.DEVNULL)
    subprocess.run(["ninja", "--quiet", "-C", folder]
                   + [f"test/fuzz/fuzz_{name}" for name in wanted], check=True)


def cpu():
    """Seconds of CPU that our children have used."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


class Fuzzer:
    """One of them, with its folders."""

    def __init__(self, folder, name):
        self.name = name
        self.program = os.path.join(folder, "test", "fuzz", f"fuzz_{name}")
        self.committed = os.path.join(CORPUS, name)
        self.found = os.path.join(folder, "corpus", name)
        self.findings = os.path.join(folder, "findings", name)
        for path in (self.found, self.findings):
            os.makedirs(path, exist_ok=True)
        self.executions = 0
        self.seconds = 0.0
        self.broken = 0

    def call(self, *args):
        """Exit status and all it said."""
        env = dict(os.environ, UBSAN_OPTIONS="halt_on_error=1")
        done = subprocess.run(
            [self.program, *args], env=env, text=True, errors="replace",
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT, check=False)
        return done.returncode, done.stdout

    def run(self, seconds):
        """For so many seconds of CPU, or until something breaks."""
        begun = cpu()
        while self.seconds < seconds and self.broken == 0:
            left = max(1, min(ROUND, int(seconds - self.seconds)))
            status, said = self.call(
                self.found, self.committed, f"-max_total_time={left}",
                "-print_final_stats=1", f"-timeout={TIMEOUT}", "-rss_limit_mb=2048",
                f"-artifact_prefix={self.findings}/")
            if status != 0:
                self.broken += 1
                print(said[-4000:], flush=True)
            units = re.search(r"number_of_executed_units: (\d+)", said)
            self.executions += int(units.group(1)) if units else 0
            self.seconds = cpu() - begun

    def merge(self):
        """Add to the committed corpus what reaches edges that it does not;
        the number of new inputs."""
        before = len(os.listdir(self.committed))
        status, said = self.call(
            "-merge=1", "-use_counters=0", f"-max_len={MAX_LEN}",
            self.committed, self.found)
        if status != 0:
            print(said[-2000:], flush=True)
        return len(os.listdir(self.committed)) - before


def main():
    p = argparse.ArgumentParser(description="fuzz the parsers")
    p.add_argument("--seconds", type=int, default=60,
                   help="of CPU, for each (default 60)")
    p.add_argument("--build", metavar="FOLDER",
                   default=os.path.join(ROOT, "build-check", "fuzz"))
    p.add_argument("--no-merge", action="store_true",
                   help="leave the committed corpus as it is")
    p.add_argument("name", nargs="*", help="only these")
    args = p.parse_args()
    unknown = set(args.name) - set(names())
    if unknown:
        p.error(f"no fuzzer {', '.join(sorted(unknown))}")
    wanted = args.name or names()
    build(args.build, wanted)
    broken, executions, seconds = 0, 0, 0.0
    for name in wanted:
        fuzzer = Fuzzer(args.build, name)
        fuzzer.run(args.seconds)
        new = 0 if args.no_merge else fuzzer.merge()
        print(f"{name}: {fuzzer.executions} executions, "
              f"{fuzzer.seconds:.0f} s of CPU, {new} new inputs, "
              f"{fuzzer.broken} findings", flush=True)
        broken += fuzzer.broken
        executions += fuzzer.executions
        seconds += fuzzer.seconds
    print(f"total: {executions} executions, {seconds:.0f} s of CPU, "
          f"{broken} findings")
    return 1 if broken else 0


if __name__ == "__main__":
    sys.exit(main())
