#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""How long the guests of a group stand still, and how far apart they stop.

    group.py [BUILD_DIR] [--guests 2,4,8]

A table: guests, method, RAM or not, skew in ms, standstill of each in ms as
libvirt's events tell, and the longest gap between heartbeats on the host.
The guests' images are on XFS in a file.
"""

import argparse
import sys
import time
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent
sys.path[:0] = [str(ROOT / "test" / "e2e"), str(ROOT / "test" / "lab"),
                str(ROOT / "test")]

from kit import Lab, Place  # noqa: E402
from snapfs import storage  # noqa: E402

WAYS = [["--memory"], ["--no-memory"], ["--method", "overlay", "--memory"],
        ["--method", "overlay", "--no-memory"]]


def measure(place, guests, args):
    start = time.monotonic()
    answer = place.json("backup", "--together", *args,
                        *(guest.name for guest in guests))
    points = [item["point"] for item in answer["items"]]
    gap = max(guest.longest_gap(start) for guest in guests)
    stood = sorted(point["pause_ms"] for point in points)
    print(f"{len(guests):2} guests, {' '.join(args):30} skew "
          f"{points[0]['skew_ms']:4} ms, stood still {stood[0]:5} to "
          f"{stood[-1]:5} ms, longest gap {1000 * gap:6.0f} ms, took "
          f"{answer['elapsed_ms'] / 1000:.1f} s", flush=True)


def main():
    p = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    p.add_argument("build", nargs="?", default=ROOT / "build")
    p.add_argument("--guests", default="2,4,8")
    args = p.parse_args()
    with Lab() as lab:
        place = Place(lab, Path(args.build).resolve() / "vmkeep")
        with storage(place, "xfs"):
            guests = []
            for count in map(int, args.guests.split(",")):
                while len(guests) < count:
                    guests.append(lab.guest(f"bench {len(guests)}",
                                            seed=True))
                for guest in guests:
                    guest.wait_agent()
                for way in WAYS:
                    measure(place, guests, way)
            for guest in guests:
                assert not guest.failed(), guest.failed()
                guest.remove()


if __name__ == "__main__":
    main()
