#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Build one variant in build-check/, warnings being errors, and run its
unit tests.

    build.py [--build] gcc|asan|tsan

--build: only that, which counts as a test.
"""

import os
import subprocess
import sys
import xml.etree.ElementTree as ET

import results

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))

# Compiler, options of meson, options of meson test.
VARIANTS = {
    # the one that the end-to-end tests use
    "gcc": ("gcc", ["-Dtest_kill=true"], []),
    "asan": ("clang", ["-Dtest_kill=true", "-Db_sanitize=address,undefined",
                       "-Db_lundef=false"], ["--suite", "unit"]),
    # only where there are threads: it is slow
    "tsan": ("gcc", ["-Db_sanitize=thread"], ["--suite", "threads"]),
}
SANITIZERS = {
    "ASAN_OPTIONS": "detect_stack_use_after_return=1:strict_string_checks=1",
    "UBSAN_OPTIONS": "print_stacktrace=1:halt_on_error=1",
    "TSAN_OPTIONS": "halt_on_error=1:second_deadlock_stack=1",
}


def configure(build, compiler, options):
    command = ["meson", "setup", build, "--werror"] + options
    if os.path.exists(os.path.join(build, "build.ninja")):
        command.append("--reconfigure")
    subprocess.run(command, cwd=ROOT, check=True, stdout=subprocess.DEVNULL,
                   env=dict(os.environ, CC=compiler))


def count(junit):
    """Passed, failed, skipped of all test cases; each failed one by name."""
    counts = [0, 0, 0]
    if not os.path.exists(junit):
        print("no tests in this build")
        return [0, 0, 1]
    for case in ET.parse(junit).iter("testcase"):
        if case.find("failure") is not None or case.find("error") is not None:
            counts[1] += 1
            print(f"failed: {case.get('classname')}: {case.get('name')}")
        elif case.find("skipped") is not None:
            counts[2] += 1
        else:
            counts[0] += 1
    return counts


def main():
    name = sys.argv[-1]
    compiler, options, tests = VARIANTS[name]
    build = os.path.join(ROOT, "build-check", name)
    try:
        configure(build, compiler, options)
        subprocess.run(["ninja", "--quiet", "-k", "0", "-C", build], check=True)
    except subprocess.CalledProcessError as failure:
        print(failure)
        results.finish(name, 0, 1)
    if "--build" in sys.argv:
        results.finish(name, 1, 0)
    junit = os.path.join(build, "meson-logs", "testlog.junit.xml")
    if os.path.exists(junit):
        os.unlink(junit)
    # what we are told is not for them
    env = {name: value for name, value in os.environ.items()
           if not name.startswith("VMKEEP")}
    status = subprocess.run(
        ["meson", "test", "-C", build, "--no-rebuild", "--print-errorlogs"]
        + tests, env=dict(env, **SANITIZERS)).returncode
    counts = count(junit)
    # a test that crashed after its last case
    if status != 0 and counts[1] == 0:
        counts[1] = 1
    results.finish(name, *counts)


if __name__ == "__main__":
    main()
