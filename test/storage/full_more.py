# SPDX-License-Identifier: Apache-2.0
"""LVM that gets full while a backup is read from its snapshots."""

from kit import test
from stage import Disk, tool
from tours import counting, gives_up


@test
def thin_pool(place):
    with place.volume_group() as group:
        group.thin_pool(size=384)
        guest = counting(place, "full-thin", [
            Disk(path=group.thin(name), format="raw")
            for name in ("vda", "vdb")])
        ballast = group.thin("ballast", 384)

        def fill():
            used = next(float(lv["data_percent"]) for lv in
                        group.volumes("lv_name,data_percent")
                        if lv["lv_name"] == "pool")
            tool("dd", "if=/dev/zero", f"of={ballast}", "bs=1M",
                 "oflag=direct", f"count={int((96.5 - used) * 3.84)}")

        gives_up(place, guest, fill, ["the thin pool 'tgroup/pool' is full",
                                      "extend it"])


@test
def thick_snapshot(place):
    """It overflows: something writes behind what the guest uses of its disk."""
    with place.volume_group() as group:
        disks = [group.thick(name, 96) for name in ("vda", "vdb")]
        guest = counting(place, "full-thick",
                         [Disk(path=path, format="raw") for path in disks])

        def overflow():
            tool("dd", "if=/dev/zero", f"of={disks[0]}", "bs=1M", "seek=70",
                 "count=6", "oflag=direct")

        gives_up(place, guest, overflow, ["larger --snapshot-size"],
                 "--snapshot-size", "4M")
