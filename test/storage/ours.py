# SPDX-License-Identifier: Apache-2.0
"""What of ours there is in the storage, whatever made it."""

from kit import MARK
from stage import MOUNTS, tool


def snaps():
    """Full names of datasets, snapshots, clones and LVs that bear our mark."""
    names = tool("zfs", "list", "-Ho", "name", "-t", "all").splitlines()
    names += tool("lvs", "--noheadings", "-o", "vg_name,lv_name",
                  "--separator", "/").splitlines()
    return sorted(name.strip() for name in names if MARK in name)


def mounts():
    """Lines of what is mounted from something of ours."""
    with open("/proc/self/mountinfo") as file:
        return [line.strip() for line in file if MARK in line]


def files():
    """Files and folders of ours on the storage of the tests."""
    return sorted(str(path) for path in MOUNTS.rglob("*")
                  if MARK in path.name)


def suspended():
    """Devices that stand still, so that whoever writes there hangs."""
    rows = tool("dmsetup", "info", "-c", "--noheadings", "--separator", "|",
                "-o", "name,suspended").splitlines()
    return [row for row in rows if row.lower().endswith("|suspended")]


def left():
    """All of that that a storage without points must not have."""
    return snaps() + mounts() + files() + suspended()
