# SPDX-License-Identifier: Apache-2.0
"""What the tests of local points share, here and in the storage lab."""

from kit import healthy, hears, on_own_disks


def keep(place, guest, *args):
    item = place.backup(guest.name, "--keep", "local", *args)
    assert item["point"]["places"] == ["local"], item
    return item["point"]


def listed(place, guest):
    """Ids of the points of a guest, with the places that hold each."""
    return {point["id"]: point["places"]
            for point in place.json("points")["points"]
            if point["name"] == guest.name}


def goes_on(place, guest, disks):
    """On its own disks, and nothing is under way; what is kept may stay."""
    on_own_disks(guest, disks)
    assert guest.state() == "running", guest.state()
    assert not place.journals(), place.journals()
    hears(guest)


def write_on(guest, count=20):
    """It goes on writing; the counter that it has reached."""
    guest.wait_counter_beyond(guest.counter() + count)
    return guest.counter()


def back_and_forth(place, guest, point, *args):
    """A guest that was kept with RAM and goes on: back at that instant, and
    forth again to what was kept for safety. Returns the ids of both."""
    disks, then = guest.disks(), guest.counter()
    later = write_on(guest)
    beats = len(guest.console.beats)
    done = place.json("revert", point["id"], "--ram", "--stop", *args)
    assert done["resumed"] and done["state"] == "running", done
    guest.wait_heartbeat()
    least = min(beat[1] for beat in guest.console.beats[beats:])
    assert least <= then + 1 < later, (least, then, later)
    healthy(guest)
    assert guest.disks() == disks
    held = {one: places for one, places in listed(place, guest).items()
            if "local" in places}
    assert held == {point["id"]: point["places"],
                    done["safety"]: ["local"]}, held
    place.json("revert", done["safety"], "--ram", "--stop", "--no-safety",
               *args)
    guest.wait_heartbeat()
    assert guest.console.beats[-1][1] >= later - 1
    healthy(guest)
    return list(held)
