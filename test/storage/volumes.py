# SPDX-License-Identifier: Apache-2.0
"""The storage by itself: the lab has what the tests of snapshots need."""

import os
from pathlib import Path

from kit import test
from stage import LabError, appears, tool

ONE, TWO = b"1" * 4096, b"2" * 4096


def put(path, data):
    """Writes the first bytes of a file or device, and sees to it that they
    are there."""
    mode = os.O_WRONLY | (0 if Path(path).is_block_device() else os.O_CREAT)
    fd = os.open(path, mode, 0o600)
    try:
        os.pwrite(fd, data, 0)
        os.fsync(fd)
    finally:
        os.close(fd)


def holds(path, data):
    with open(path, "rb") as file:
        found = file.read(len(data))
    assert found == data, f"{path} begins with {found[:8]!r}"


@test
def zfs_dataset(place):
    """A snapshot of a dataset shows what was; a clone can be written."""
    with place.zpool() as pool:
        file = pool.folder("files", "recordsize=64k") / "image"
        put(file, ONE)
        tool("zfs", "snapshot", "-o", "org.vmkeep:set=x", "tpool/files@one")
        put(file, TWO)
        holds(file.parent / ".zfs/snapshot/one/image", ONE)
        tool("zfs", "clone", "tpool/files@one", "tpool/clone")
        holds("/lab/mnt/tpool/clone/image", ONE)
        assert pool.snapshots() == ["tpool/files@one"]
        tool("zfs", "destroy", "tpool/clone")


@test
def zfs_zvol(place):
    """A zvol has a device; so has the clone of its snapshot."""
    with place.zpool() as pool:
        device = pool.zvol("disk", 64)
        put(device, ONE)
        tool("zfs", "snapshot", "tpool/disk@one")
        put(device, TWO)
        tool("zfs", "clone", "-o", "snapdev=visible", "tpool/disk@one",
             "tpool/clone")
        clone = Path("/dev/zvol/tpool/clone")
        holds(appears(clone), ONE)
        holds(device, TWO)


@test
def lvm_thick(place):
    """A thick snapshot of an LV of a thick size; too much breaks it."""
    with place.volume_group() as group:
        device = group.thick("disk", 64)
        put(device, ONE)
        tool("lvcreate", "-qq", "-y", "-s", "-L", "8M", "-n", "one",
             "--addtag", "vmkeep", "tgroup/disk")
        put(device, TWO)
        holds("/dev/tgroup/one", ONE)
        put(device, TWO * 4096)  # 16 MiB
        tool("udevadm", "settle")
        state = group.volumes("lv_name,lv_snapshot_invalid")
        assert {"lv_name": "one",
                "lv_snapshot_invalid": "snapshot invalid"} in state, state


@test
def lvm_thin(place):
    """A thin snapshot has no size and is not active by itself."""
    with place.volume_group() as group:
        group.thin_pool()
        device = group.thin("disk", 64)
        put(device, ONE)
        tool("lvcreate", "-qq", "-y", "-s", "-n", "one", "tgroup/disk")
        put(device, TWO)
        assert not Path("/dev/tgroup/one").exists()
        tool("lvchange", "-qq", "-ay", "-K", "tgroup/one")
        tool("udevadm", "settle")
        holds("/dev/tgroup/one", ONE)


@test
def btrfs_subvolume(place):
    """A read-only snapshot of a subvolume."""
    with place.btrfs() as folder:
        tool("btrfs", "-q", "subvolume", "create", folder / "images")
        put(folder / "images" / "disk", ONE)
        tool("btrfs", "-q", "subvolume", "snapshot", "-r", folder / "images",
             folder / "one")
        put(folder / "images" / "disk", TWO)
        holds(folder / "one" / "disk", ONE)
        try:
            put(folder / "one" / "disk", TWO)
        except OSError:
            return
        raise LabError("a read-only snapshot could be written")


@test
def xfs_reflink(place):
    """A reflinked copy shares its blocks until one is written."""
    with place.xfs() as folder:
        put(folder / "disk", ONE * 256)
        tool("cp", "--reflink=always", folder / "disk", folder / "one")
        put(folder / "disk", TWO)
        holds(folder / "one", ONE)


@test
def device_mapper_targets(place):
    """What the power tests stand on."""
    for module in ("dm-flakey", "dm-log-writes", "dm-snapshot"):
        tool("modprobe", module)
    targets = tool("dmsetup", "targets")
    for name in ("flakey", "log-writes", "snapshot", "thin-pool"):
        assert f"{name} " in targets, targets
