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
import os
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent), str(HERE.parent / "lab")]

import kit  # noqa: E402
import lab as lab_module  # noqa: E402
import results  # noqa: E402
from each import run_each, tests  # noqa: E402

# Names from basic to complex.
FILES = ["backup_ram", "streams", "variants", "methods", "local", "names",
         "flatten", "flatten_kill", "kill", "doctor", "trouble_host",
         "trouble_guest", "trouble_repo"]


def run_all(program, chosen):
    with kit.Lab() as lab:
        return run_each(kit.Place(lab, program), chosen)


def main():
    p = argparse.ArgumentParser(description="end-to-end tests")
    p.add_argument("build", nargs="?", help="folder with vmkeep in it")
    p.add_argument("-k", dest="words", action="append", default=[],
                   metavar="WORD", help="only tests whose name has WORD")
    p.add_argument("--list", action="store_true", help="show their names")
    args = p.parse_args()
    chosen = tests(HERE, FILES, args.words)
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
    results.finish("e2e", *counts)


if __name__ == "__main__":
    main()
