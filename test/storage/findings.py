# SPDX-License-Identifier: Apache-2.0
"""What doctor finds on ZFS and LVM, and that its commands mend it."""

from doctor_kit import look, mend, off
from kit import DONE, INTEGRITY, PARTLY, test
from stage import Disk, tool

FULL = ["overlay-room", "no-discard"]  # the pools of the lab are small


def on_device(place, name, device):
    """A domain that is off, on a device."""
    return place.lab.guest(name, start=False, disks=[
        Disk(format="raw", path=str(device), witness=False)])


def found(place, name, code):
    return look(place, name, code=code, more=FULL)


@test
def dataset(place):
    """Records too large and too small, ignored flushes."""
    with place.zpool() as pool:
        folder = pool.folder("files", "recordsize=128k", "sync=disabled")
        guest = off(place, "files", folder / "a.raw", "raw", cache="none")
        seen = found(place, "files", INTEGRITY)
        assert seen["record-large"]["subject"] == "tpool/files", seen
        for rule in ("record-large", "sync-off"):
            mend(place, seen[rule])
        assert not found(place, "files", DONE)
        # sectors of 512 bytes, which only zdb tells: ashift was not said
        tool("zfs", "set", "recordsize=1k", "tpool/files")
        seen = look(place, "files", more=FULL)
        assert set(seen) >= {"record-small", "record-tiny"}, seen
        guest.remove()
        guest = off(place, "files", folder / "b.qcow2")
        assert "cow-on-cow" in look(place, "files", more=FULL)
        guest.remove()


@test
def zvol(place):
    """A reservation; small blocks; a pool that is nearly full."""
    with place.zpool() as pool:
        device = pool.zvol("disk", 64, "volblocksize=4k")
        guest = on_device(place, "zvol", device)
        seen = look(place, "zvol", more=FULL)
        assert seen["reservation"]["subject"] == "tpool/disk", seen
        mend(place, seen["reservation"])
        assert tool("zfs", "get", "-Hpo", "value", "refreservation",
                    "tpool/disk") == "0"
        seen = look(place, "zvol", more=FULL)
        assert "reservation" not in seen and "cache-twice" in seen, seen
        guest.remove()


@test
def logical_volumes(place):
    """A thick volume; a thin pool nearly full that does not grow."""
    with place.volume_group() as group:
        guest = on_device(place, "thick", group.thick("disk"))
        seen = found(place, "thick", DONE)
        assert seen["lvm-thick"]["subject"] == "tgroup/disk", seen
        guest.remove()
        group.thin_pool("pool", 64)
        device = group.thin("small", 128)
        guest = on_device(place, "thin", device)
        seen = look(place, "thin", more=FULL)
        assert seen["thin-autoextend"]["severity"] == "warning", seen
        assert "thin-full" not in seen, seen
        tool("dd", "if=/dev/urandom", f"of={device}", "bs=1M", "count=56",
             "oflag=direct")
        seen = found(place, "thin", PARTLY)
        assert seen["thin-full"]["subject"] == "tgroup/pool", seen
        tool("lvextend", "-qq", "-L", "128M", "tgroup/pool")
        assert "thin-full" not in look(place, "thin", more=FULL)
        guest.remove()


@test
def file_on_a_volume(place):
    """The pool under a file system with images in it counts, too."""
    with place.volume_group() as group:
        group.thin_pool("pool", 256)
        device = group.thin("srv", 512)
        tool("mkfs.ext4", "-q", device)
        with place.mounted(device, "srv") as folder:
            guest = off(place, "srv", folder / "a.qcow2")
            seen = look(place, "srv", more=FULL)
            assert seen["thin-autoextend"]["subject"] == "tgroup/pool", seen
            assert "lvm-thick" not in seen, seen
            guest.remove()
