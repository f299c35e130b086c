# SPDX-License-Identifier: Apache-2.0
"""Points by snapshots of ZFS: in the repository, and here, to be gone back
to."""

from kit import test
from local_kit import back_and_forth, listed
from tours import (DISKS, backed_up, counting, in_both, let_go, lost_and_back,
                   on_zfs)


@test
def on_zfs_volumes(place):
    """With RAM back in place, and forth again; then all is lost, and it
    resumes elsewhere."""
    with on_zfs(place) as disks:
        guest = counting(place, "kept-zfs", disks)
        backed_up(place, guest, *DISKS)
        point = in_both(place, guest, "--method", "snapshot", "--memory")
        assert point["level"] == "ram", point
        let_go(place, back_and_forth(place, guest, point))
        assert listed(place, guest)[point["id"]] == ["repository"]
        lost_and_back(place, guest, point)
