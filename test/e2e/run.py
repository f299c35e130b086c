#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The program with real libvirtd and QEMU.

    run.py [BUILD_DIR] [-k WORD]... [--list]

The program is BUILD_DIR/vmkeep, or what VMKEEP names; for the kill tests it
must be built with -Dtest_kill=true.  WORD: only tests with it in their file's
or their own name.  A line for each test; the sum goes where test/results.py
says.  With VMKEEP_TEST_LONG=1 the matrices are whole.
"""

import argparse
import importlib
import os
import sys
import time
import traceback
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent), str(HERE.parent / "lab")]

import kit  # noqa: E402
import lab as lab_module  # noqa: E402
import results  # noqa: E402

# Names from basic to complex.
FILES = ["backup_ram", "streams", "variants", "methods", "names", "kill",
         "doctor", "trouble_host", "trouble_guest", "trouble_repo"]


def tests(words):
    """[(file, test)], those whose name has one of the words."""
    found = []
    for name in FILES:
        if not (HERE / f"{name}.py").exists():
            continue
        kit.TESTS.clear()
        importlib.import_module(name)
        found += [(name, run) for run in kit.TESTS
                  if not words or any(word in f"{name}.{run.__name__}"
                                      for word in words)]
    return found


def clean(place):
    """No guest of a failed test shall disturb the next one."""
    for guest in list(place.lab.guests):
        print(f"  {guest.name}: {guest.failed()} "
              f"{guest.console.lines[-2:]}")
        guest.remove()
    for path in place.journals():
        print(f"  journal left:\n{path.read_text()}")
        path.unlink()


def run_one(place, name, run):
    """Returns "passed", "failed" or "skipped"."""
    start = time.monotonic()
    place.notes = []
    result = "passed"
    try:
        run(place)
    except kit.Skip as why:
        result = "skipped"
        place.note(f"missing: {why}")
    except Exception:  # a test may fail in any way
        result = "failed"
        traceback.print_exc(limit=-3, file=sys.stdout)
        try:
            clean(place)
        except Exception:
            traceback.print_exc(file=sys.stdout)
    words = ", ".join(place.notes)
    print(f"{result:7} {name}.{run.__name__} "
          f"{time.monotonic() - start:.1f} s{': ' * bool(words)}{words}",
          flush=True)
    return result


def run_all(program, chosen):
    counts = {"passed": 0, "failed": 0, "skipped": 0}
    with kit.Lab() as lab:
        place = kit.Place(lab, program)
        for name, run in chosen:
            counts[run_one(place, name, run)] += 1
    return counts


def main():
    p = argparse.ArgumentParser(description="end-to-end tests")
    p.add_argument("build", nargs="?", help="folder with vmkeep in it")
    p.add_argument("-k", dest="words", action="append", default=[],
                   metavar="WORD", help="only tests whose name has WORD")
    p.add_argument("--list", action="store_true", help="show their names")
    args = p.parse_args()
    chosen = tests(args.words)
    if args.list:
        print("\n".join(f"{name}.{run.__name__}" for name, run in chosen))
        return
    program = (Path(args.build).resolve() / "vmkeep" if args.build
               else Path(os.environ.get("VMKEEP", "")))
    if not program.is_file():
        p.error("no program: say BUILD_DIR, or set VMKEEP")
    lacks = lab_module.missing()
    if lacks:
        print("skipped: this machine lacks " + ", ".join(lacks))
        results.finish("e2e", 0, 0, len(chosen))
    counts = run_all(program, chosen)
    results.finish("e2e", counts["passed"], counts["failed"],
                   counts["skipped"])


if __name__ == "__main__":
    main()
