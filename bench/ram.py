#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""What dumps of a guest's RAM cost that are a minute apart.

    ram.py [--vmkeep FILE] [--dumps N] [--apart SECONDS] [--dirty MIB]

A table, a line for each dump: how many of the guest's pages are others than a
dump before, what vmkeep stores for the point, its disks included, and what the
same save file of libvirt costs as the plain stream that it is, in a repository
of its own.  The first dumps are of an idle guest; before the last one it has
dirtied --dirty MiB a second.
"""

import argparse
import sys
import time
from pathlib import Path

import engine

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent
sys.path[:0] = [str(ROOT / "test" / "e2e"), str(ROOT / "test" / "lab"),
                str(ROOT / "test")]

from kit import Lab, Place  # noqa: E402
from snapfs import storage  # noqa: E402

PAGE = 4096
HEAD = ["dump", "pages with data, MiB", "changed, MiB", "vmkeep added MiB",
        "plain stream added MiB"]


class Dumps:
    """Takes dumps, and counts what each costs."""

    def __init__(self, place, guest):
        self.place, self.guest = place, guest
        self.plain = place.folder / "plain"
        self.key = place.folder / "plain-key"
        self.file = place.folder / "exported"
        self.before = b""
        place.json("init", self.plain, "--key-file", self.key, key=False)

    def added(self, repo, key, *args):
        """Runs vmkeep on a repository. Returns MiB that it grew by, and the
        answer."""
        before = engine.stored_mib(repo)
        answer = self.place.json(*args, "--key-file", key, key=False,
                                 env={"VMKEEP_REPOSITORY": repo})
        return engine.stored_mib(repo) - before, answer

    def changed(self, point):
        """MiB of pages with data, and of pages that are others now."""
        self.place.json("export", f"{point}/memory", self.file, "--place",
                        "repository")  # pages; here it is libvirt's file
        now, before = self.file.read_bytes(), self.before
        self.file.unlink()
        self.before = now
        starts = range(0, len(now), PAGE)
        zero = bytes(PAGE)
        full = sum(now[i:i + PAGE] != zero for i in starts)
        other = sum(now[i:i + PAGE] != (before[i:i + PAGE] or zero)
                    for i in starts)
        return [n * PAGE / engine.MIB for n in (full, other)]

    def take(self, title):
        """One dump. Returns its line of the table."""
        place = self.place
        ours, answer = self.added(place.repo, place.key_file, "backup",
                                  self.guest.name, "--keep",
                                  "local,repository", "--memory")
        point = answer["items"][0]["point"]
        [kept] = place.lab.dir.rglob("local/*/set")
        dump = max(kept.parent.iterdir(), key=lambda file: file.stat().st_size)
        plain, _ = self.added(self.plain, self.key, "import", "ram", dump)
        full, other = self.changed(point["id"])
        place.vmkeep("forget", point["id"], "--force", "--place", "local")
        return [title] + [engine.cell(mib, 1)
                          for mib in (full, other, ours, plain)]


def measure(place, guest, args):
    dumps = Dumps(place, guest)
    rows = [dumps.take("first")]
    for number in range(2, args.dumps):
        time.sleep(args.apart)
        rows.append(dumps.take(f"{number}, idle"))
    guest.command(f"dirty {args.dirty}")
    time.sleep(args.apart)
    guest.command("dirty 0")
    rows.append(dumps.take(f"{args.dumps}, busy"))
    return rows


def main():
    p = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    p.add_argument("--vmkeep", metavar="FILE",
                   default=str(ROOT / "build" / "vmkeep"))
    p.add_argument("--dumps", type=int, default=5)
    p.add_argument("--apart", type=float, default=60, metavar="SECONDS")
    p.add_argument("--dirty", type=int, default=1, metavar="MIB")
    args = p.parse_args()
    with Lab() as lab:
        place = Place(lab, Path(args.vmkeep).resolve())
        with storage(place, "xfs"):
            guest = lab.guest("bench", memory=256, dirty_size=64)
            guest.wait_heartbeat()
            time.sleep(10)
            rows = measure(place, guest, args)
            assert not guest.failed(), guest.failed()
            guest.remove()
    print(engine.text_table(
        f"Dumps of RAM, 256 MiB, {args.apart:.0f} s apart", HEAD, rows))


if __name__ == "__main__":
    main()
