# SPDX-License-Identifier: Apache-2.0
"""The power fails under a repository: what was committed is there.

dm-log-writes has recorded all that reached the disk, and where it was told to
flush its cache.  A cut then is: all up to a flush, and of what came after it
any part, in any order, as a disk with a volatile cache may leave it.  So one
recording gives as many cuts as one likes.
"""

import contextlib
import os
import random
import struct
from pathlib import Path

from kit import LONG, test
from stage import FIRST, LabError, tool
from work import Work

CUTS = int(os.environ.get("VMKEEP_TEST_CUTS", "60" if LONG else "6"))
SEED = int(os.environ.get("VMKEEP_TEST_SEED", "1"))
ROUNDS = 6
SECTOR = 512
MAGIC = 0x6a736677736872
FLUSH, FUA, DISCARD, MARK = 1, 2, 4, 8


class Recording:
    """The log of dm-log-writes (Documentation/admin-guide/device-mapper/
    log-writes.rst, drivers/md/dm-log-writes.c).

    entries   [(sector, count of sectors, flags, place of its data in the log,
              or the text of a mark)]
    """

    def __init__(self, path):
        self.file = open(path, "rb")
        magic, version, count, size = struct.unpack(
            "<QQQI", self.file.read(28))
        if (magic, version, size) != (MAGIC, 1, SECTOR):
            raise LabError("this is no log of dm-log-writes")
        self.entries = []
        place = SECTOR
        for _ in range(count):
            place = self._read_entry(place)

    def _read_entry(self, place):
        self.file.seek(place)
        head = self.file.read(SECTOR)
        sector, count, flags, length = struct.unpack_from("<QQQQ", head)
        place += SECTOR
        if flags & MARK:
            text = head[32:32 + length].rstrip(b"\0").decode()
            self.entries.append((sector, count, flags, text))
            return place
        self.entries.append((sector, count, flags, place))
        return place if flags & DISCARD else place + count * SECTOR

    def close(self):
        self.file.close()

    def replay(self, target, chosen):
        """Writes the entries of these numbers, in this order."""
        for number in chosen:
            sector, count, flags, place = self.entries[number]
            if flags & (MARK | DISCARD) or not count:
                continue
            self.file.seek(place)
            target.seek(sector * SECTOR)
            target.write(self.file.read(count * SECTOR))
        target.flush()

    def durable(self, cut):
        """The number after the last flush before the cut."""
        flushes = [n for n in range(cut) if self.entries[n][2] & FLUSH]
        return flushes[-1] + 1 if flushes else 0

    def pending(self, start, cut, rng):
        """Of those after a flush: what the disk had written by itself."""
        end = next((n for n in range(cut, len(self.entries))
                    if self.entries[n][2] & FLUSH), len(self.entries))
        share = rng.choice((0, 0.1, 0.5, 0.9, 1))
        return [n for n in range(start, end)
                if (self.entries[n][2] & FUA and n < cut)
                or (not self.entries[n][2] & FUA and rng.random() < share)]

    def marks(self, cut):
        return [text.replace(":", " ") for _, _, flags, text
                in self.entries[:cut] if flags & MARK]


def record(place, group, kind):
    """Works on a fresh file system, recorded. Returns the image of the disk
    as it was before, on a reflinking file system, and the Recording."""
    data, log = group.thick("data", 512), group.thick("log", 3072)
    with place.file_system(kind, data) as folder:
        Work(folder / "work").init()
    base = Path("/lab/mnt/xfs-images/base")
    tool("qemu-img", "convert", "-f", "raw", "-O", "raw", data, base)
    tool("modprobe", "dm-log-writes")
    sectors = tool("blockdev", "--getsz", data)
    tool("dmsetup", "create", "tpower", "--table",
         f"0 {sectors} log-writes {data} {log}")
    try:
        with place.mounted("/dev/mapper/tpower", "power") as folder:
            Work(folder / "work", lambda line: tool(
                "dmsetup", "message", "tpower", "0", "mark",
                line.replace(" ", ":"))).do(
                    SEED, ROUNDS)
    finally:
        tool("dmsetup", "remove", "--retry", "tpower")
    return base, Recording(log)


@contextlib.contextmanager
def looped(image):
    """A file as a block device."""
    device = tool("losetup", "-f", "--show", image)
    try:
        yield device
    finally:
        tool("losetup", "-d", device)


def after_cut(place, image, marks):
    """Mounts what the cut has left, which replays the file system's own
    journal, and looks. Returns how many points had to be there."""
    with looped(image) as device, place.mounted(device, "power") as folder:
        return Work(folder / "work").check(marks)


def cut_often(place, base, recording):
    """Cuts at places that only the seed knows, in ascending order."""
    rng = random.Random(SEED)
    cuts = sorted(rng.randrange(1, len(recording.entries))
                  for _ in range(CUTS))
    points = done = 0
    with open(base, "r+b") as rolling:
        for cut in cuts:
            start = recording.durable(cut)
            recording.replay(rolling, range(done, start))
            done = start
            image = base.with_name("cut")
            tool("cp", "--reflink=always", base, image)
            with open(image, "r+b") as target:
                chosen = recording.pending(start, cut, rng)
                recording.replay(target, chosen)
            try:
                points += after_cut(place, image, recording.marks(cut))
            except Exception as error:
                raise LabError(f"cut {cut} of {len(recording.entries)}, seed "
                               f"{SEED}, {len(chosen)} pending: {error}"
                               ) from error
            image.unlink()
    place.note(f"{CUTS} cuts among {len(recording.entries)} writes, "
               f"{points} points restored")


def power_fails(place, kind):
    with place.volume_group() as group, \
            place.file_system("xfs", FIRST, "-m", "reflink=1",
                              name="xfs-images"):
        base, recording = record(place, group, kind)
        with contextlib.closing(recording):
            cut_often(place, base, recording)


@test
def cut_on_ext4(place):
    power_fails(place, "ext4")


@test
def cut_on_xfs(place):
    power_fails(place, "xfs")
