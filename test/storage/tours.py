# SPDX-License-Identifier: Apache-2.0
"""What several files of this folder do with a guest, and where it can live."""

import contextlib
import shutil

from kit import FAILED, finish, go, healthy, instant, untouched
from local_kit import goes_on, listed
from stage import Disk, ours, tool


@contextlib.contextmanager
def on_zfs(place):
    """A zvol, and a file in a dataset. Yields disks for a guest."""
    with place.zpool() as pool:
        yield [Disk(path=pool.zvol("vda"), format="raw"),
               Disk(path=pool.folder() / "vdb.raw", format="raw")]


@contextlib.contextmanager
def on_thin(place):
    """Two thin LVs."""
    with place.volume_group() as group:
        group.thin_pool()
        yield [Disk(path=group.thin("vda"), format="raw"),
               Disk(path=group.thin("vdb"), format="raw")]


@contextlib.contextmanager
def on_thick_and_xfs(place):
    """A thick LV, and a file on XFS on a thin one."""
    with place.volume_group() as group:
        group.thin_pool()
        thick, thin = group.thick("vda"), group.thin("srv", 512)
        with place.file_system("xfs", thin, name="srv") as folder:
            yield [Disk(path=thick, format="raw"),
                   Disk(path=folder / "vdb.raw", format="raw")]


THICK = ["--snapshot-size", "32M"]  # for that LV
# Without RAM, and without an agent, which is slow to answer in here.
DISKS = ["--method", "suspend"]


def counting(place, name, disks):
    """A guest that runs on them."""
    guest = place.lab.guest(name, seed=True, disks=disks)
    guest.wait_counter_beyond(3)
    return guest


def lost_and_back(place, guest, point):
    """All is lost but a point with RAM, from which it goes on elsewhere."""
    guest.destroy()
    place.lab.virsh("undefine", guest.name)
    captured = instant(place, point["id"], guest)
    to = f"{guest.name}-back"
    answer = place.restore(point["id"], to, "--ram")
    assert answer["resumed"] and answer["state"] == "running", answer
    guest.wait_counter_beyond(captured)
    healthy(guest)
    guest.remove()
    shutil.rmtree(place.folder / to)


def backed_up(place, guest, *args):
    """Into the repository; nothing of ours stays. Returns the point."""
    own = guest.disks()
    item = place.backup(guest.name, *args)
    assert not item["degraded"], item
    untouched(place, guest, own)
    assert not ours(), ours()
    return item["point"]


def let_go(place, points):
    """Forgotten, they leave nothing of ours."""
    place.vmkeep("forget", *points, "--force", "--place", "local")
    assert not ours(), ours()
    place.no_leftovers()


def beside(place, guest, point):
    """A copy from here, which is whole and of one instant; the original does
    not notice. Returns the last number in it."""
    disks, to = guest.disks(), place.folder / "beside"
    place.vmkeep("restore", point, "--place", "local", "--to", to, "--name",
                 "beside")
    last = place.lab.check(sorted(to.glob("*.raw")))
    place.lab.virsh("undefine", "beside")
    shutil.rmtree(to)
    goes_on(place, guest, disks)
    return last


def cold(place, guest, point, last, *args):
    """Shut off, it goes back, and its disks are what they were then."""
    guest.wait_counter_beyond(last + 2)
    guest.destroy()
    place.vmkeep("revert", point, "--no-safety", *args)
    assert guest.check_disks() == last


def in_both(place, guest, *args):
    """A point that is held here and in the repository, where it is the same."""
    item = place.backup(guest.name, "--keep", "local,repository", *args)
    point = item["point"]
    assert not item["degraded"], item
    assert listed(place, guest)[point["id"]] == ["local", "repository"]
    place.note(f"pause {point['pause_ms']} ms")
    goes_on(place, guest, guest.disks())
    here, there = place.folder / "here.raw", place.folder / "there.raw"
    for disk in ("vda", "vdb"):
        for to, held in ((here, "local"), (there, "repository")):
            place.vmkeep("export", f"{point['id']}/{disk}", to, "--place",
                         held)
        tool("cmp", here, there)
        here.unlink()
        there.unlink()
    return point


def gives_up(place, guest, fill, words, *args):
    """The snapshots are there, the guest goes on, and it gets full: the
    reading is given up, and the guest does not notice."""
    own = guest.disks()
    process = place.start_until("resumed", "backup", guest.name, *DISKS,
                                *args)
    fill()
    go(process)
    done = finish(process, FAILED, words)
    place.note(done.stderr.strip()[-160:])
    untouched(place, guest, own)
    assert not ours(), ours()
    assert guest.name not in place.vmkeep("points").stdout
    healthy(guest)
    guest.remove()
