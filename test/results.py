# SPDX-License-Identifier: Apache-2.0
"""How a runner of tests tells test/check.py what came out.

A runner appends one line "NAME PASSED FAILED SKIPPED" to the file that
VMKEEP_RESULTS names, and exits with 0 only when nothing failed.  Runners in
other languages do the same by hand.
"""

import os
import sys


def record(name, passed, failed, skipped=0):
    path = os.environ.get("VMKEEP_RESULTS")
    if path:
        with open(path, "a", encoding="ascii") as f:
            f.write(f"{name} {passed} {failed} {skipped}\n")
    else:
        print(f"{name}: {passed} passed, {failed} failed, {skipped} skipped")


def finish(name, passed, failed, skipped=0):
    """Record, and exit as the failures demand."""
    record(name, passed, failed, skipped)
    sys.exit(1 if failed else 0)
