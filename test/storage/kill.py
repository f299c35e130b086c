# SPDX-License-Identifier: Apache-2.0
"""SIGKILL at every record of both journals, on ZFS and on LVM.

A storage has one guest for all of its cells, since guests are slow to make
here.  What is shown is a sample of the matrix that VMKEEP_TEST_SEED chooses;
VMKEEP_TEST_LONG=1 kills at every record.
"""

import contextlib
import os
import random

import ours
from kit import (DONE, LONG, PARTLY, PATIENCE, Skip, go, instant, test,
                 untouched)
from stage import Disk, tool, wait_until
from victim import (SNAP_WORDS, Victim, daemon_ends, every_record,
                    every_snap_word, guest_ends, show)

SEED = int(os.environ.get("VMKEEP_TEST_SEED", "1"))
CELLS = int(os.environ.get("VMKEEP_TEST_CELLS", "1"))  # of a row

# -- storages


def two(one, other):
    """Two raw disks that are block devices."""
    return [Disk(path=path, format="raw") for path in (one, other)]


def two_files(folder):
    return [Disk(path=folder / "vda.qcow2"),
            Disk(path=folder / "vdb.raw", format="raw")]


@contextlib.contextmanager
def dataset(place):
    with place.zpool() as pool:
        yield two_files(pool.folder())


@contextlib.contextmanager
def zvol(place):
    with place.zpool() as pool:
        yield two(pool.zvol("vda"), pool.zvol("vdb"))


@contextlib.contextmanager
def thin(place):
    with place.volume_group() as group:
        group.thin_pool()
        yield two(group.thin("vda"), group.thin("vdb"))


@contextlib.contextmanager
def thick(place):
    with place.volume_group() as group:
        yield two(group.thick("vda"), group.thick("vdb"))


@contextlib.contextmanager
def files_on_thin(place):
    with place.volume_group() as group:
        group.thin_pool()
        device = group.thin("srv", 512)
        tool("mkfs.xfs", "-q", device)
        with place.mounted(device, "srv") as folder:
            yield two_files(folder)


# -- rows of the matrix

KEPT = ["--keep", "local"]

METHODS = {
    "snapshot, RAM": ["--method", "snapshot", "--memory"],
    "snapshot": ["--method", "snapshot", "--no-memory"],
    "suspend": ["--method", "suspend"],
    "overlay, RAM": ["--method", "overlay", "--memory"],
    "overlay": ["--method", "overlay", "--no-memory"],
    "kept here, RAM": ["--method", "snapshot", "--memory", *KEPT],
    "kept here": ["--method", "snapshot", "--no-memory", *KEPT],
}

# Words of the guest's journal, in their order.
RECORDS = {
    "snapshot, RAM": ["begin", "watchdog", "spool", "pause", "snapshot",
                      "taken", "resumed", "spool_gone"],
    "snapshot": ["begin", "watchdog", "freeze", "pause", "resumed", "thawed"],
    "suspend": ["begin", "watchdog", "pause", "resumed"],
    "overlay, RAM": ["begin", "watchdog", "spool", "disk", "pause",
                     "snapshot", "resumed", "taken", "commit", "pivot",
                     "committed", "merged", "unlinked", "spool_gone"],
    "overlay": ["begin", "watchdog", "disk", "freeze", "snapshot", "taken",
                "thawed", "commit", "pivot", "committed", "merged",
                "unlinked"],
}

# Steps that take their time: what the kill finds under way is not told.
LATER = {"snapshot": (100, 400, 1500), "snap_take": (100, 200, 400, 800),
         "snap_view": (100, 300), "snap_drop": (100, 300),
         "commit": (50, 300), "pivot": (20, 100)}


def local_points(place):
    return place.json("points", "--place", "local")["points"]


def nothing_left():
    left = ours.left()
    assert not left, f"left in the storage: {left}"


class Row(Victim):
    """A guest on a storage, and one way of capturing it."""

    def __init__(self, place, guest, kind, method):
        overlays = place.lab.images / "overlays"
        overlays.mkdir(exist_ok=True)
        super().__init__(place, guest, [*METHODS[method], "--overlay-dir",
                                        str(overlays)])
        self.method = method
        self.title = f"{kind}, {method}"

    def lived(self):
        self.forgotten()
        super().lived()
        nothing_left()

    def recovered(self):
        if "--keep" in self.args:
            self.place.vmkeep("recover")
            self.forgotten()
        super().recovered()
        nothing_left()

    def forgotten(self):
        """A point that is kept here is whole, or it is not there."""
        for point in local_points(self.place):
            instant(self.place, point["id"], self.guest)
            self.place.vmkeep("forget", point["id"], "--force", "--place",
                              "local")

    def snap_words(self):
        if "overlay" in self.method:
            return ()
        return SNAP_WORDS[:2] if "--keep" in self.args else SNAP_WORDS

    def cells(self, views=True):
        """All words at which a kill is to be seen, and some ms after those
        that announce a step."""
        words = list(RECORDS[self.method.replace("kept here", "snapshot")])
        words += [word for word in self.snap_words()
                  if views or "view" not in word]
        return words, [f"{word}:{ms}" for word in words
                       for ms in LATER.get(word, ())]

    def sample(self, views):
        """Kills at some of them."""
        words, later = self.cells(views)
        rng = random.Random(f"{SEED} {self.title}")
        for when in rng.sample(words + later, CELLS):
            word = when.split(":", maxsplit=1)[0]
            # it may be through before that many ms are over
            killed = self.kill(when) or (when in later and self.kill(word))
            assert killed, f"lived through {when}"
        show(self)

    def whole(self):
        every_record(self)
        if self.snap_words():
            every_snap_word(self)
        for when in self.cells()[1]:
            self.kill(when)
        show(self)


def need_kills(place, guest):
    """A program that cannot be killed at a record cannot be tested."""
    if not Row(place, guest, "first", "suspend").kill("begin"):
        raise Skip("a program built with -Dtest_kill=true")


def matrix(place, kind, views, storage):
    """All rows of a storage with one guest, which must not notice."""
    with storage(place) as disks:
        guest = place.lab.guest(f"kill {kind}", seed=True, disks=disks)
        guest.wait_agent()
        need_kills(place, guest)
        for method in METHODS:
            row = Row(place, guest, kind, method)
            row.whole() if LONG else row.sample(views)
        row = Row(place, guest, kind, "snapshot, RAM")
        row.sound()
        nothing_left()
        place.note("whole" if LONG else f"{CELLS} of each row's cells, "
                   f"seed {SEED} (VMKEEP_TEST_LONG=1: all)")
        guest.remove()


@test
def zfs_dataset(place):
    """Files in a dataset: its snapshot is mounted, no clone."""
    matrix(place, "dataset", False, dataset)


@test
def zfs_zvol(place):
    """Two zvols: a snapshot each in one command, and a clone each."""
    matrix(place, "zvol", True, zvol)


@test
def lvm_thin(place):
    """Two thin LVs: snapshots that are activated to be read."""
    matrix(place, "thin", True, thin)


@test
def lvm_thick(place):
    """Two thick LVs: snapshots of a size, active from the start."""
    matrix(place, "thick", False, thick)


@test
def lvm_files(place):
    """Files on XFS on a thin LV: a writable copy is made to be read."""
    matrix(place, "XFS on thin", True, files_on_thin)


# -- other ends


def powers_off(place, guest, *args):
    """The guest powers itself off while its snapshots are read: they have
    all that the point wants."""
    disks = guest.disks()
    process = place.start_until("snap_view", "backup", guest.name, *args)
    guest.console.send("poweroff")
    wait_until(lambda: guest.state() == "shut off", "the guest's end")
    go(process)
    process.communicate(timeout=PATIENCE)
    assert process.returncode in (DONE, PARTLY), process.returncode
    untouched(place, guest, disks, "shut off")
    nothing_left()
    instant(place, f"{guest.name}@latest", guest)
    guest.check_disks()


def ends(place, kind, storage):
    """libvirtd ends, or is killed; the guest powers itself off, or loses its
    plug."""
    args = METHODS["snapshot, RAM"]
    with storage(place) as disks:
        guest = place.lab.guest(f"end {kind}", seed=True, disks=disks)
        guest.wait_agent()
        daemon_ends(place, guest, *args)
        nothing_left()
        powers_off(place, guest, *args)
        guest.remove()
        guest = place.lab.guest(f"end {kind}", seed=True, disks=disks)
        guest.wait_counter_beyond(3)
        guest_ends(place, guest, *args)
        nothing_left()
        guest.remove()


@test
def zvol_ends(place):
    ends(place, "zvol", zvol)


@test
def thin_ends(place):
    ends(place, "thin", thin)
