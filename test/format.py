#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The form of the C sources: clang-format, an SPDX line, 600 lines at most.

One case per file; only files that git knows, where there is a git.
"""

import concurrent.futures
import glob
import os
import subprocess

import results

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
FOLDERS = ["src", "test", "bench"]
MAX_LINES = 600


def sources():
    git = subprocess.run(
        ["git", "ls-files", "--"] + FOLDERS, cwd=ROOT, text=True,
        capture_output=True)
    if git.returncode == 0:
        names = git.stdout.split("\n")
    else:
        names = [name for folder in FOLDERS for name in
                 glob.glob(folder + "/**", root_dir=ROOT, recursive=True)]
    return sorted(name for name in names if name.endswith((".c", ".h"))
                  and os.path.exists(os.path.join(ROOT, name)))


def wrongs(path):
    with open(os.path.join(ROOT, path), encoding="utf-8") as f:
        lines = f.read().split("\n")
    if lines[0] != "/* SPDX-License-Identifier: Apache-2.0 */":
        yield "does not begin with the SPDX line"
    if len(lines) - 1 > MAX_LINES:
        yield f"{len(lines) - 1} lines: more than {MAX_LINES}"
    tool = subprocess.run(["clang-format", "--dry-run", "-Werror", path],
                          cwd=ROOT, text=True, capture_output=True)
    if tool.returncode != 0:
        yield tool.stderr.split("\n")[0]


def main():
    failed = 0
    paths = sources()
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        outcomes = pool.map(lambda path: list(wrongs(path)), paths)
        for path, said in zip(paths, outcomes):
            failed += bool(said)
            for wrong in said:
                print(wrong if wrong.startswith(path)
                      else f"{path}: {wrong}")
    results.finish("format", len(paths) - failed, failed)


if __name__ == "__main__":
    main()
