# SPDX-License-Identifier: Apache-2.0
"""Guests with chains of overlays, for the tests of flatten."""

from kit import healthy, on_own_disks
from lab import Disk


def chained(place, name, start=True, chain=2, **options):
    """A guest with a chain on vda and a lone raw vdb."""
    return place.lab.guest(name, seed=True, start=start, disks=[
        Disk(chain=chain, **options), Disk(format="raw")])


def chain(place, guest, target="vda"):
    """The paths of a disk's images, base first, as vmkeep tells them."""
    [domain] = place.json("domains", guest.name)["domains"]
    [disk] = [d for d in domain["disks"] if d["target"] == target]
    numbers = [image["number"] for image in disk["chain"]]
    assert numbers == list(range(len(numbers), 0, -1)), numbers
    return [image["path"] for image in disk["chain"]][::-1]


def snapshot(place, guest, name, *args, target="vda"):
    """An external snapshot as virsh makes it. Returns the overlay's path."""
    top = guest.disks()[target]
    overlay = f"{guest.folder}/{target}.{name}"
    place.lab.virsh(
        "snapshot-create-as", guest.name, name, "--disk-only", "--diskspec",
        f"{target},file={overlay}", *[
            word for other in guest.disks() if other != target
            for word in ("--diskspec", f"{other},snapshot=no")], *args)
    assert guest.disks()[target] == overlay != top
    return overlay


def snapshots(place, guest):
    """The names of the snapshots that libvirt knows of."""
    return set(place.lab.virsh("snapshot-list", guest.name,
                               "--name").split())


def settled(place, guest, base, state="running", target="vda"):
    """The disk is on this image, nothing runs, nothing of us is left."""
    assert guest.state() == state, guest.state()
    disks = {**guest.disks(), target: base}
    on_own_disks(guest, disks)
    place.no_leftovers()
    if state == "running":
        healthy(guest)


def boots(guest):
    """A guest that is off is whole, and starts from where it is."""
    guest.check_disks()
    guest.start()
    guest.wait_counter_beyond(2)
    healthy(guest)
    guest.destroy()
    guest.check_disks()


def as_before(place, guest, images, state="running"):
    """The chain is what it was, and so is the guest."""
    assert chain(place, guest) == images, (chain(place, guest), images)
    settled(place, guest, images[-1], state)
