#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The storage suite, inside the storage lab (run.py runs it there).

    inside.py [-k WORD]... [--list]

WORD: only tests with it in their file's or their own name.  A line for each
test; the sum goes where test/results.py says.  Where libvirt is as Debian
configures it, only the tests marked @stock run.
"""

import argparse
import os
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent), str(HERE.parent / "e2e"),
                str(HERE.parent / "lab")]

import results  # noqa: E402
import stage  # noqa: E402
from each import run_each, tests  # noqa: E402
from system import SystemLab, inside  # noqa: E402

# Names from basic to complex.
FILES = ["volumes", "guests", "overlay", "kill", "findings", "kept",
         "kept_more", "full", "full_more", "power"]


def chosen(words):
    """[(file, test)], those that this libvirt shall see."""
    return [(name, run) for name, run in tests(HERE, FILES, words)
            if not stage.STOCK or run in stage.IN_STOCK]


def main():
    p = argparse.ArgumentParser(description="the storage suite")
    p.add_argument("-k", dest="words", action="append", default=[],
                   metavar="WORD", help="only tests whose name has WORD")
    p.add_argument("--list", action="store_true", help="show their names")
    args = p.parse_args()
    if not inside():
        p.error("only in the storage lab: test/lab/storage.py run")
    wanted = chosen(args.words)
    if args.list:
        print("\n".join(f"{name}.{run.__name__}" for name, run in wanted))
        return
    with SystemLab() as lab:
        place = stage.StoragePlace(lab, os.environ["VMKEEP"])
        counts = run_each(place, wanted)
    results.finish("lab", *counts)


if __name__ == "__main__":
    main()
