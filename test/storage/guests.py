# SPDX-License-Identifier: Apache-2.0
"""The witness guest runs on every storage, and finds its records there."""

from kit import healthy, test
from stage import Disk, stock


def lives_on(place, *disks):
    """A guest from a seed on these disks counts, and its disks are whole."""
    guest = place.lab.guest("tenant", seed=True, disks=list(disks))
    guest.wait_counter_beyond(3)
    healthy(guest)
    guest.destroy()
    place.note(f"{guest.check_disks()} records")
    guest.remove()


@stock
@test
def on_zfs(place):
    """One disk is a zvol, the other a file in a dataset."""
    with place.zpool() as pool:
        lives_on(place, Disk(path=pool.zvol("vda"), format="raw"),
                 Disk(path=pool.folder() / "vdb.qcow2"))


@stock
@test
def on_lvm(place):
    """One disk is a thin LV, the other a thick one."""
    with place.volume_group() as group:
        group.thin_pool()
        lives_on(place, Disk(path=group.thin("vda"), format="raw"),
                 Disk(path=group.thick("vdb"), format="raw"))


@test
def on_file_systems(place):
    """One disk is a file on btrfs, the other one on XFS."""
    with place.btrfs() as one, place.xfs() as two:
        lives_on(place, Disk(path=one / "vda", format="raw"),
                 Disk(path=two / "vdb.qcow2"))
