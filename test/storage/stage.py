# SPDX-License-Identifier: Apache-2.0
"""What the tests in the storage lab share: storage that is new for each test.

    @test
    def of_a_zvol(place):
        with place.zpool() as pool:
            guest = place.lab.guest("web1", seed=True, disks=[
                pool.zvol("vda"), Disk(path=pool.folder() / "vdb")])

Each of zpool(), volume_group(), btrfs(), xfs() takes whole data disks of the
lab for itself; what the test has made there is gone when the block ends,
however it ends.  Names begin with "t" so that nobody takes them for ours.
"""

import contextlib
import json
import os
import subprocess
import sys
import time
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent / "e2e"), str(HERE.parent / "lab"),
                str(HERE.parent)]

from kit import MARK, Place, test  # noqa: E402
from lab import Disk, LabError, wait_until  # noqa: E402

DISKS = Path("/dev/disk/by-id")
MOUNTS = Path("/lab/mnt")
FIRST, SECOND, THIRD, FOURTH = (DISKS / f"virtio-d{i}" for i in range(1, 5))
STOCK = "apparmor=1" in Path("/proc/cmdline").read_text().split()

# Tests that also run where libvirt is as Debian configures it.
IN_STOCK = []


def stock(run):
    """Marks a test that shall run there too (above @test)."""
    IN_STOCK.append(run)
    return run


def stock_only(run):
    """Marks a test that runs nowhere else (instead of @test)."""
    return stock(test(run)) if STOCK else run


def tool(*argv, input=None):
    """Runs a program. Returns its output; raises LabError when it fails."""
    done = subprocess.run(list(map(str, argv)), text=True, input=input,
                          stdin=None if input else subprocess.DEVNULL,
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                          env={**os.environ, "LC_ALL": "C"})
    if done.returncode != 0:
        words = " ".join(map(str, argv))
        raise LabError(f"{words}: {done.stderr.strip()[-500:]}")
    return done.stdout.rstrip("\n")


def udev_done():
    """Waits until udev has made the links of new devices."""
    tool("udevadm", "settle", "--timeout=120")


def patiently(*argv):
    """Runs a program that may find its device busy for a moment (udev)."""
    end = time.monotonic() + 60
    while True:
        try:
            return tool(*argv)
        except LabError:
            if time.monotonic() > end:
                raise
        time.sleep(0.2)


def ours():
    """What is there of ours, on all storages: snapshots, clones, LVs, files,
    mounts."""
    names = tool("zfs", "list", "-Ho", "name", "-t", "all").splitlines()
    names += tool("lvs", "-a", "--noheadings", "-o",
                  "vg_name,lv_name").splitlines()
    names += map(str, MOUNTS.rglob("*"))
    names += Path("/proc/self/mountinfo").read_text().splitlines()
    return [name for name in names if MARK in name]


class Pool:
    """A ZFS pool on one data disk."""

    def __init__(self, name):
        self.name = name

    def folder(self, dataset="files", *properties):
        """Makes a dataset. Returns where it is mounted."""
        words = [word for pair in properties for word in ("-o", pair)]
        tool("zfs", "create", *words, f"{self.name}/{dataset}")
        return MOUNTS / self.name / dataset

    def zvol(self, name, size=64, *properties):
        """Makes a zvol of size MiB. Returns its device."""
        words = [word for pair in properties for word in ("-o", pair)]
        tool("zfs", "create", *words, "-V", f"{size}M",
             f"{self.name}/{name}")
        return appears(Path("/dev/zvol") / self.name / name)

    def snapshots(self):
        """The full names of all snapshots in the pool."""
        return tool("zfs", "list", "-Ho", "name", "-t", "snapshot", "-r",
                    self.name).splitlines()


class Group:
    """An LVM volume group on one data disk."""

    def __init__(self, name):
        self.name = name

    def thick(self, name, size=64):
        """Makes a linear LV of size MiB. Returns its device."""
        tool("lvcreate", "-qq", "-y", "-Wy", "-L", f"{size}M", "-n", name,
             self.name)
        return appears(Path("/dev") / self.name / name)

    def thin_pool(self, name="pool", size=1024):
        tool("lvcreate", "-qq", "-y", "--type", "thin-pool", "-L",
             f"{size}M", "-n", name, self.name)

    def thin(self, name, size=64, pool="pool"):
        """Makes a thin LV of size MiB. Returns its device."""
        tool("lvcreate", "-qq", "-y", "--type", "thin", "-V", f"{size}M",
             "--thinpool", pool, "-n", name, self.name)
        return appears(Path("/dev") / self.name / name)

    def volumes(self, fields="lv_name"):
        """One dict for each LV, hidden ones left out."""
        text = tool("lvs", "--reportformat", "json", "-o", fields, self.name)
        return json.loads(text)["report"][0]["lv"]


class StoragePlace(Place):
    """A Place in the storage lab."""

    @contextlib.contextmanager
    def zpool(self, name="tpool", disk=FIRST):
        MOUNTS.mkdir(exist_ok=True)
        clean_disk(disk)
        tool("zpool", "create", "-f", "-m", MOUNTS / name, "-O",
             "compression=lz4", name, disk)
        try:
            yield Pool(name)
        finally:
            self.no_guests()
            patiently("zpool", "destroy", "-f", name)

    @contextlib.contextmanager
    def volume_group(self, name="tgroup", disk=SECOND):
        clean_disk(disk)
        tool("vgcreate", "-qq", "-y", name, disk)
        try:
            yield Group(name)
        finally:
            self.no_guests()
            patiently("vgremove", "-qq", "-ff", "-y", name)

    @contextlib.contextmanager
    def file_system(self, kind, disk, *options, name=None):
        """A file system on a device. Gives where it is mounted."""
        clean_disk(disk)
        force = {"ext4": "-F"}.get(kind, "-f")
        tool(f"mkfs.{kind}", "-q", force, *options, disk)
        with self.mounted(disk, name or kind) as folder:
            yield folder

    @contextlib.contextmanager
    def mounted(self, device, name, *options):
        """A file system, mounted for the time of the block."""
        folder = MOUNTS / name
        folder.mkdir(parents=True, exist_ok=True)
        tool("mount", *options, device, folder)
        try:
            yield folder
        finally:
            self.no_guests()
            patiently("umount", folder)
            folder.rmdir()

    def btrfs(self, disk=THIRD):
        return self.file_system("btrfs", disk)

    def xfs(self, disk=FOURTH):
        return self.file_system("xfs", disk, "-m", "reflink=1")

    def no_guests(self):
        """Removes the guests of a test that has failed."""
        for guest in list(self.lab.guests):
            guest.remove()


def appears(device):
    """Waits for a device, and for udev to be done with it."""
    wait_until(device.exists, f"{device}")
    udev_done()
    return device


def clean_disk(disk):
    """Nothing of what was there before is found any more."""
    if Path(disk).is_block_device():
        tool("wipefs", "-qa", disk)
        tool("blkdiscard", "-f", disk)


__all__ = ["DISKS", "Disk", "FIRST", "FOURTH", "Group", "LabError", "MOUNTS",
           "Pool", "SECOND", "STOCK", "StoragePlace", "THIRD", "appears",
           "clean_disk", "ours", "patiently", "stock", "tool", "udev_done", "wait_until"]
