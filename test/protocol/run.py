#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Check the protocol of FORMAT.md, 8, as spec/ has it, with spin.

    run.py [-v] [--list] [NAME...]

Every scenario must be searched to its end without an error; then each rule is
left out, and the error that the rule is there for must be found.
VMKEEP_TEST_LONG=1 adds the large scenarios.
"""

import argparse
import concurrent.futures
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
from results import record  # noqa: E402
from table import BROKEN, LONG, SOUND  # noqa: E402

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(
    os.path.abspath(__file__))))
SPEC = os.path.join(ROOT, "spec")
LIMIT = 3600 if os.environ.get("VMKEEP_TEST_LONG") else 600
MEMORY = 8000 if os.environ.get("VMKEEP_TEST_LONG") else 3000


class Trouble(Exception):
    """The model cannot be built, or not be searched to its end."""


def call(argv, cwd):
    done = subprocess.run(argv, cwd=cwd, stdin=subprocess.DEVNULL, text=True,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                          timeout=LIMIT, check=False)
    return done.returncode, done.stdout


def must(argv, cwd):
    status, text = call(argv, cwd)
    if status != 0:
        raise Trouble(f"{argv[0]}: {text.strip()[-2000:]}")


def search(scenario, defines, cwd):
    """Search all states: (errors, states, what was violated)."""
    flags = [f"-D{word}" for word in defines.split()]
    must(["spin", *flags, "-a", os.path.join(SPEC, scenario + ".pml")], cwd)
    must(["gcc", "-O1", "-w", "-DSAFETY", "-DCOLLAPSE", "-DNOFAIR",
          f"-DMEMLIM={MEMORY}", "-o", "pan", "pan.c"], cwd)
    _, text = call(["./pan", "-m100000"], cwd)
    text = re.sub(r"^Depth=.*\n", "", text, flags=re.M)
    if "Search not completed" in text and "errors: 1" not in text or \
            "max search depth too small" in text:
        raise Trouble(f"not searched to the end: {text.strip()[:2000]}")
    errors = re.search(r"errors: (\d+)", text)
    states = re.search(r"(\d+) states, stored", text)
    if not errors or not states:
        raise Trouble(text.strip()[-2000:])
    said = re.search(r"pan:1: (.*?) \(at depth", text)
    return int(errors[1]), int(states[1]), said[1] if said else ""


def trace(scenario, defines, cwd):
    """The steps to the error, as spin tells them."""
    flags = [f"-D{word}" for word in defines.split()]
    _, text = call(["spin", *flags, "-t", "-p",
                    os.path.join(SPEC, scenario + ".pml")], cwd)
    return text


def run(name, scenario, defines, broken, verbose):
    """One line of result, and whether it is as it must be."""
    start = time.monotonic()
    cwd = tempfile.mkdtemp(prefix="vmkeep-protocol-")
    try:
        errors, states, said = search(scenario, defines, cwd)
        good = bool(said) and said.startswith("assertion") if broken \
            else errors == 0
        steps = trace(scenario, defines, cwd) if errors and (
            verbose or not good) else ""
    except (Trouble, OSError, subprocess.TimeoutExpired) as why:
        return False, f"not ok {name}: {why}"
    finally:
        shutil.rmtree(cwd)
    what = "caught" if broken else "holds"
    if not good:
        what = "NOT CAUGHT" if broken else f"FAILS: {said}"
    word = "ok" if good else "not ok"
    took = time.monotonic() - start
    return good, (f"{word} {name}: {what}, {states} states, {took:.0f} s"
                  + ("\n" + steps if steps else ""))


def main():
    p = argparse.ArgumentParser(description="check the protocol with spin")
    p.add_argument("-v", action="store_true", help="show the steps of errors")
    p.add_argument("--list", action="store_true", help="show their names")
    p.add_argument("name", nargs="*", help="only these")
    args = p.parse_args()
    jobs = [(name, *how, False) for name, how in SOUND.items()]
    if os.environ.get("VMKEEP_TEST_LONG") or args.name:
        jobs += [(name, *how, False) for name, how in LONG.items()]
    jobs += [(name, *how, True) for name, how in BROKEN.items()]
    if args.name:
        jobs = [job for job in jobs if job[0] in args.name]
    if args.list:
        print("\n".join(job[0] for job in jobs))
        return 0
    if not shutil.which("spin") or not shutil.which("gcc"):
        print("skipped: spin or gcc is missing; install the packages spin, gcc")
        record("protocol", 0, 0, len(jobs))
        return 0
    counts = [0, 0]
    with concurrent.futures.ThreadPoolExecutor(2) as pool:
        for good, line in pool.map(lambda job: run(*job, args.v), jobs):
            counts[not good] += 1
            print(line, flush=True)
    record("protocol", *counts)
    return 1 if counts[1] or not sum(counts) else 0


if __name__ == "__main__":
    sys.exit(main())
