# SPDX-License-Identifier: Apache-2.0
"""Backup by overlay, and restore, of guests whose disks are volumes."""

from kit import FAILED, healthy, test, untouched
from stage import STOCK, Disk, stock, stock_only
from tours import lost_and_back


def backup_words(place):
    """What a backup by overlay wants to be told for block devices."""
    overlays = place.lab.images / "overlays"
    overlays.mkdir(exist_ok=True)
    return ["--memory", "--method", "overlay", "--overlay-dir", overlays]


def unconfined(guest):
    """Takes AppArmor off a guest, as the refusal says to."""
    xml = guest.lab.virsh("dumpxml", "--migratable", guest.name)
    file = guest.folder / "unconfined.xml"
    file.write_text(xml.replace(
        "</devices>", "</devices><seclabel type='none' model='apparmor'/>"))
    guest.lab.virsh("define", file)


def there_and_back(place, name, *disks):
    """With RAM, while it runs; then all is lost, and it resumes elsewhere."""
    guest = place.lab.guest(name, seed=True, disks=list(disks), start=False)
    if STOCK:
        unconfined(guest)
    guest.start()
    guest.wait_counter_beyond(3)
    own = guest.disks()
    item = place.backup(guest.name, *backup_words(place))
    point = item["point"]
    assert point["level"] == "ram" and not item["degraded"], item
    place.note(f"pause {point['pause_ms']} ms")
    untouched(place, guest, own)
    healthy(guest)
    lost_and_back(place, guest, point)


@stock
@test
def of_zfs(place):
    """A zvol, and a file in a dataset."""
    with place.zpool() as pool:
        there_and_back(place, "on-zfs",
                       Disk(path=pool.zvol("vda"), format="raw"),
                       Disk(path=pool.folder() / "vdb.qcow2"))


@stock
@test
def of_lvm(place):
    """A thin LV, and a thick one."""
    with place.volume_group() as group:
        group.thin_pool()
        there_and_back(place, "on-lvm",
                       Disk(path=group.thin("vda"), format="raw"),
                       Disk(path=group.thick("vdb"), format="raw"))


@stock_only
def refused_under_apparmor(place):
    """Two disks: the second merge would be forbidden, so nothing begins."""
    with place.zpool() as pool:
        guest = place.lab.guest("confined", seed=True, disks=[
            Disk(path=pool.zvol("vda"), format="raw"),
            Disk(path=pool.zvol("vdb"), format="raw")])
        guest.wait_counter_beyond(3)
        own = guest.disks()
        place.vmkeep("backup", guest.name, *backup_words(place), code=FAILED,
                     words=["AppArmor", "seclabel"])
        untouched(place, guest, own)
        healthy(guest)
        guest.remove()
