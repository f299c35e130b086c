#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Every header compiles alone: it includes what it needs."""

import concurrent.futures
import glob
import os
import subprocess

import results

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
FOREIGN = ["libxml-2.0"]  # those whose headers are in a folder of their own


def flags():
    return subprocess.run(["pkg-config", "--cflags"] + FOREIGN, check=True,
                          capture_output=True, text=True).stdout.split()


def compiles(header, more):
    """Twice: the second time its guard must hold."""
    text = f'#include "{header}"\n' * 2
    gcc = subprocess.run(
        ["gcc", "-std=c17", "-D_GNU_SOURCE", "-Isrc", "-Wall", "-Wextra",
         "-Werror", "-fsyntax-only", "-xc", "-"] + more,
        cwd=ROOT, input=text, text=True, capture_output=True)
    return gcc.returncode == 0, gcc.stderr


def main():
    headers = sorted(glob.glob("src/*/*.h", root_dir=ROOT))
    more = flags()
    failed = 0
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        outcomes = pool.map(
            lambda h: compiles(os.path.relpath(h, "src"), more), headers)
        for header, (good, said) in zip(headers, outcomes):
            if not good:
                failed += 1
                print(f"{header} does not compile alone:\n{said}")
    results.finish("headers", len(headers) - failed, failed)


if __name__ == "__main__":
    main()
