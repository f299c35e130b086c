# SPDX-License-Identifier: Apache-2.0
"""Finds tests, and runs them one by one."""

import importlib
import sys
import time
import traceback

import kit


def tests(folder, files, words):
    """[(file, test)] in a folder, those whose name has one of the words."""
    found = []
    for name in files:
        if not (folder / f"{name}.py").exists():
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


def run_each(place, chosen):
    """Runs them. Returns how many [passed, failed, were skipped]."""
    counts = {"passed": 0, "failed": 0, "skipped": 0}
    for name, run in chosen:
        counts[run_one(place, name, run)] += 1
    return list(counts.values())
