#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Writers, collectors and readers under many schedules: see sim.c.

100,000 schedules, or 1,000,000 with VMKEEP_TEST_LONG=1, or VMKEEP_TEST_SEEDS
of them; VMKEEP_TEST_SEED=N begins with that one (default 0).  A schedule that
fails is run again by "sim SEED 1 -v".
"""

import os
import subprocess
import sys

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(
    os.path.abspath(__file__))))
sys.path.insert(0, os.path.join(ROOT, "test"))

from results import finish  # noqa: E402

SIM = os.path.join(os.path.dirname(os.environ.get(
    "VMKEEP", os.path.join(ROOT, "build", "vmkeep"))), "test", "sim", "sim")
BATCH = 500


def main():
    usual = "1000000" if os.environ.get("VMKEEP_TEST_LONG") else "100000"
    count = int(os.environ.get("VMKEEP_TEST_SEEDS", usual))
    first = int(os.environ.get("VMKEEP_TEST_SEED", "0"))
    if not os.path.exists(SIM):
        print(f"'{SIM}' is not built")
        finish("sim", 0, 1)
    batches = [(s, min(BATCH, first + count - s))
               for s in range(first, first + count, BATCH)]
    running, passed, failed = [], 0, 0
    while batches or running:
        while batches and len(running) < os.cpu_count() and failed < 10:
            start, n = batches.pop(0)
            running.append((n, subprocess.Popen(
                [SIM, str(start), str(n)], stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE, text=True)))
        if not running:
            break
        n, process = running.pop(0)
        out = process.communicate()[0]
        if process.returncode == 0:
            passed += 1
            continue
        failed += 1
        print(out, end="", flush=True)
    print(f"{count} schedules from seed {first}, in batches of {BATCH}")
    finish("sim", passed, failed)


if __name__ == "__main__":
    main()
