# SPDX-License-Identifier: Apache-2.0
"""Trouble with the host: full file systems, libvirtd that goes away."""

import os
import signal
import time

from kit import (DONE, FAILED, PARTLY, PATIENCE, finish, free, go, healthy,
                 inside, instant, small, test, thawed, untouched, wait_until)

MIB = 1 << 20


def earlier(place, guest):
    """A point that was made before the trouble."""
    point = place.backup(guest.name, "--no-memory")["point"]["id"]
    return point, instant(place, point, guest)


def survived(place, guest, disks, before=None):
    """Nothing is lost: the guest is well, an earlier point is as it was."""
    untouched(place, guest, disks)
    if guest.options.agent:
        thawed(guest)
    healthy(guest)
    place.verify()
    if before:
        assert instant(place, before[0], guest) == before[1]


# -- full


@test
def repository_full(place):
    """The repository's file system gets full: the backup fails."""
    guest = place.lab.guest("repo full", seed=True)
    disks = guest.disks()
    with small(place, "small-repo", 24) as folder:
        own = ["-r", folder / "repo"]
        place.vmkeep("init", folder / "repo", "--key-file", place.folder /
                     "small-key", key=False)
        key = ["--key-file", place.folder / "small-key"]
        place.vmkeep("backup", guest.name, "--no-memory", *own, *key,
                     key=False)
        place.vmkeep("backup", guest.name, "--memory", *own, *key, key=False,
                     code=FAILED, words=["No space left", "vmkeep gc"])
        survived(place, guest, disks)
        place.vmkeep("verify", "--read-data", *own, *key, key=False)
        place.vmkeep("export", f"{guest.name}@latest/vdb", place.folder /
                     "small.raw", *own, *key, key=False)
    guest.remove()


@test
def spool_small(place):
    """No room for RAM: less, and said so; or refused where it is required."""
    guest = place.lab.guest("spool small", seed=True)
    guest.wait_agent()
    disks = guest.disks()
    with small(place, "small-spool", 64) as folder:
        item = place.backup(guest.name, "--spool-dir", folder, code=PARTLY,
                            words=["no RAM", str(folder), "another --spool-dir"])
        assert item["degraded"] and item["point"]["level"] == "filesystem"
        place.vmkeep("backup", guest.name, "--spool-dir", folder, "--require",
                     "ram", code=FAILED, words=["RAM", str(folder)])
        survived(place, guest, disks)
    guest.remove()


@test
def no_room_together(place):
    """Room for each of two guests, but not for both: known before any of
    them is touched."""
    guests = [place.lab.guest(f"room {n}", seed=True) for n in "ab"]
    names = [guest.name for guest in guests]
    disks = [guest.disks() for guest in guests]
    with small(place, "group-spool", 350) as folder:
        own = ["--together", "--spool-dir", folder]
        done = place.json("backup", *names, *own, code=PARTLY,
                          words=["no RAM", str(folder), "2 VMs"])
        levels = [item["point"]["level"] for item in done["items"]]
        assert "ram" not in levels, levels
        place.vmkeep("backup", *names, *own, "--require", "ram", code=FAILED,
                     words=["RAM", str(folder), "2 VMs"])
        alone = place.backup(names[0], "--spool-dir", folder)
        assert alone["point"]["level"] == "ram", alone
    with small(place, "group-overlays", 64) as folder:
        with open(inside(place, folder) + "/ballast", "wb") as ballast:
            os.posix_fallocate(ballast.fileno(), 0, 53 * MIB)
        own = ["--no-memory", "--method", "overlay", "--overlay-dir", folder]
        place.vmkeep("backup", *names, "--together", *own, code=FAILED,
                     words=["no room for overlays", str(folder), "2 VMs"])
        place.backup(names[0], *own)
    for guest, own in zip(guests, disks):
        survived(place, guest, own)
        guest.remove()


@test
def spool_full(place):
    """Room for RAM is gone while it is being written."""
    guest = place.lab.guest("spool full", seed=True)
    guest.wait_agent()
    guest.command("dirty 50")
    disks = guest.disks()
    with small(place, "full-spool", 640) as folder:
        process = place.start_until("spool", "backup", guest.name,
                                    "--spool-dir", folder)
        with open(inside(place, folder) + "/ballast", "wb") as ballast:
            os.posix_fallocate(ballast.fileno(), 0,
                               free(place, folder) - 40 * MIB)
        go(process)
        done = finish(process, PARTLY, ["no RAM", "another --spool-dir"])
        place.note(done.stderr.strip()[-160:])
        survived(place, guest, disks)
    guest.remove()


def overlay_gets(place, name, enough, words):
    """A backup while the overlays' file system gets full."""
    guest = place.lab.guest(name, seed=True)
    before = earlier(place, guest)
    guest.mode("hard")
    disks = guest.disks()
    with small(place, "small-overlay", 4) as folder:
        process = place.start_until("taken", "backup", guest.name, "--memory",
                                    "--overlay-dir", folder)
        wait_until(lambda: enough(guest, free(place, folder)),
                   "a full overlay")
        go(process)
        done = finish(process, FAILED, [*words, "another --overlay-dir"])
        place.note(done.stderr.strip()[-160:])
        assert not os.listdir(inside(place, folder))
        survived(place, guest, disks, before)
    guest.remove()


@test
def overlay_nearly_full(place):
    """The reserve is touched: reading is given up and the overlay merged."""
    overlay_gets(place, "overlay low",
                 lambda guest, left: left < MIB // 4, ["overlay", "vda"])


@test
def overlay_full(place):
    """It got full, QEMU has stopped the guest: it goes on, without error."""
    overlay_gets(place, "overlay full",
                 lambda guest, left: guest.state() == "paused", ["overlay"])


@test
def overlay_no_room(place):
    """Hardly any room from the start: nothing is begun."""
    guest = place.lab.guest("overlay none", seed=True)
    disks = guest.disks()
    with small(place, "none-overlay", 1) as folder:
        with open(inside(place, folder) + "/ballast", "wb") as ballast:
            os.posix_fallocate(ballast.fileno(), 0, MIB - (64 << 10))
        place.vmkeep("backup", guest.name, "--overlay-dir", folder,
                     code=FAILED, words=["no room", "another --overlay-dir"])
        survived(place, guest, disks)
    guest.remove()


# -- libvirtd


@test
def libvirtd_down(place):
    """Nobody listens: one sentence that says what to do."""
    uri = "qemu+unix:///system?socket=/run/libvirt/nobody"
    for command in (["domains"], ["backup", "x"]):
        done = place.vmkeep(*command, "-c", uri, code=FAILED,
                            words=["libvirt"])
        place.note(done.stderr.strip())
    # what needs no libvirt works
    place.vmkeep("points", "-c", uri)
    place.vmkeep("verify", "-c", uri)


def restarted(place, guest, args, word, kill):
    """libvirtd ends and comes back at a step of a backup."""
    disks = guest.disks()
    process = place.start_until(word, "backup", guest.name, *args)
    go(process)
    if kill:
        # held again, so that it cannot come to a pivot before the kill
        time.sleep(0.05)
        os.kill(process.pid, signal.SIGSTOP)
    try:
        place.lab.restart_libvirtd(kill, lambda: go(process))
    finally:
        go(process)
        out, err = process.communicate(timeout=PATIENCE)
    code = process.returncode
    place.note(f"{word}{'!' * kill} {code}")
    assert code in (DONE, FAILED, PARTLY), (code, out, err)
    assert code == DONE or err.strip(), (code, out, err)
    place.wait_watchdog()
    place.vmkeep("recover")
    survived(place, guest, disks)


@test
def libvirtd_restarts(place):
    """It is restarted, or killed, in the middle: while RAM is taken, while
    disks are read, while overlays are merged."""
    guest = place.lab.guest("restart", seed=True)
    guest.wait_agent()
    before = earlier(place, guest)
    for word in ("snapshot", "taken", "commit", "pivot"):
        restarted(place, guest, ["--memory"], word, kill=False)
    # not killed in a pivot: libvirt 9.0 then loses the domain ("unknown
    # mirror job type ''"), or has a mirror without a job until its next start
    for word in ("snapshot", "taken"):
        restarted(place, guest, ["--memory"], word, kill=True)
    for kill in (False, True):
        for word in ("freeze", "taken"):
            restarted(place, guest, ["--no-memory"], word, kill)
    guest.wait_agent()
    place.backup(guest.name)
    assert instant(place, before[0], guest) == before[1]
    guest.remove()


# -- permissions


@test
def no_permission(place):
    """As somebody who may not: said in words, nothing changed."""
    nobody = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"]
    for args, words in ((["points"], ["Permission denied"]),
                        (["backup", "any"], ["Permission denied"])):
        done = place.lab.run(*nobody, *place.argv(*args), check=False,
                             env=place.environment(
                                 {"HOME": place.folder / "nobody",
                                  "VMKEEP_CACHE": "/tmp/no-cache-here"}))
        assert done.returncode == FAILED, done
        assert all(word in done.stderr for word in words), done.stderr


