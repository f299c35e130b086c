#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""clang-tidy over src/, with the commands of the clang build; .clang-tidy
says what is asked.  One case per file.

    tidy.py [FILE...]
"""

import concurrent.futures
import glob
import json
import os
import subprocess
import sys

import results

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
BUILD = os.path.join(ROOT, "build-check", "asan")


def built():
    """The sources under src/ that the build compiles."""
    with open(os.path.join(BUILD, "compile_commands.json"),
              encoding="utf-8") as f:
        commands = json.load(f)
    paths = {os.path.relpath(os.path.join(c["directory"], c["file"]), ROOT)
             for c in commands}
    return sorted(p for p in paths if p.startswith("src/"))


def helps(path):
    """tidy.h says what err_*() and virt_err() return; not to the files that
    define them."""
    if path == "src/base/err.c":
        return []
    more = ["--extra-arg=-include", f"--extra-arg={ROOT}/test/tidy.h"]
    if path.startswith("src/virt/") and path != "src/virt/conn.c":
        more.append("--extra-arg=-DTIDY_VIRT")
    return more


def tidy(path):
    tool = subprocess.run(
        ["clang-tidy", "--quiet", "-p", BUILD] + helps(path) + [path],
        cwd=ROOT, text=True, capture_output=True)
    return tool.returncode == 0, tool.stdout


def main():
    if not glob.glob(os.path.join(BUILD, "compile_commands.json")):
        print("there is no clang build: run test/build.py asan first")
        results.finish("tidy", 0, 1)
    paths = sys.argv[1:] or built()
    failed = 0
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        for path, (good, said) in zip(paths, pool.map(tidy, paths)):
            if not good:
                failed += 1
                print(f"{path}:\n{said}")
    results.finish("tidy", len(paths) - failed, failed)


if __name__ == "__main__":
    main()
