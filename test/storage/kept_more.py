# SPDX-License-Identifier: Apache-2.0
"""The same on LVM, cold, and of a group."""

from kit import healthy, instant, test
from stage import Disk, tool
from tours import (DISKS, THICK, beside, cold, counting, in_both, let_go,
                   on_thick_and_xfs, on_thin)


@test
def on_thin_volumes(place):
    """Beside the original, and cold in place."""
    with on_thin(place) as disks:
        guest = counting(place, "kept-thin", disks)
        point = in_both(place, guest, *DISKS)["id"]
        cold(place, guest, point, beside(place, guest, point))
        let_go(place, [point])
        guest.remove()


@test
def on_thick_and_on_xfs(place):
    """A snapshot with a size, and one that carries a file system."""
    with on_thick_and_xfs(place) as disks:
        guest = counting(place, "kept-thick", disks)
        point = in_both(place, guest, *DISKS, *THICK)["id"]
        cold(place, guest, point, instant(place, point, guest), *THICK)
        let_go(place, [point])
        guest.remove()


@test
def group_of_one_pool(place):
    """Two guests together: one command, one transaction group; one goes, and
    the other's disks are there still."""
    with place.zpool() as pool:
        guests = [counting(place, f"pooled-{n}", [
            Disk(path=pool.zvol(f"{n}-vda"), format="raw"),
            Disk(path=pool.folder(f"{n}-files") / "vdb.raw", format="raw")])
            for n in "ab"]
        done = place.json("backup", *[guest.name for guest in guests],
                          "--together", "--keep", "local", *DISKS)
        points = [item["point"] for item in done["items"]]
        assert len({point["set"] for point in points}) == 1, points
        names = pool.snapshots()
        assert len(names) == 4, names
        groups = tool("zfs", "get", "-Hpo", "value", "createtxg", *names)
        assert len(set(groups.splitlines())) == 1, groups
        typed = [line for line in tool("zpool", "history",
                                       pool.name).splitlines()
                 if "zfs snapshot" in line]
        assert len(typed) == 1, typed
        assert all(name in typed[0] for name in names), (typed, names)
        place.note(f"skew {points[0]['attributes'].get('skew_ms')} ms")
        for guest in guests:
            healthy(guest)
        place.vmkeep("forget", points[0]["id"], "--force")
        beside(place, guests[1], points[1]["id"])
        let_go(place, [points[1]["id"]])
        for guest in guests:
            guest.remove()
