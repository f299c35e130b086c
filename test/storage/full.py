# SPDX-License-Identifier: Apache-2.0
"""A ZFS pool that gets full while a backup is read from its snapshots."""

from kit import test
from stage import tool
from tours import counting, gives_up, on_zfs

MIB = 1 << 20


@test
def pool(place):
    """A reservation takes what is left of a ZFS pool."""
    def fill():
        left = int(tool("zfs", "get", "-Hpo", "value", "available", "tpool"))
        tool("zfs", "create", "-o", f"reservation={left - 40 * MIB}",
             "tpool/ballast")

    with on_zfs(place) as disks:
        guest = counting(place, "full-zfs", disks)
        gives_up(place, guest, fill, ["are free for 'tpool", "add to the pool"])
