# SPDX-License-Identifier: Apache-2.0
"""SIGKILL at every journal record, and inside libvirt's calls (victim.py)."""

import os
import signal

from kit import (DONE, KILLED, LONG, PARTLY, PATIENCE, finish, go, healthy,
                 test, thawed, untouched)
from snapfs import storage
from victim import (MOST, Victim, daemon_ends, every_record, every_snap_word,
                    guest_ends, inside, show)


@test
def ram(place):
    """A running guest that writes hard, with RAM."""
    guest = place.lab.guest("kill ram", seed=True)
    guest.wait_agent()
    guest.mode("hard")
    victim = Victim(place, guest, ["--memory"])
    every_record(victim)
    inside(victim, "snapshot", range(1, 800, 20) if LONG
           else (1, 50, 150, 250, 400))
    inside(victim, "commit", range(1, 100, 10) if LONG else (5, 40))
    inside(victim, "pivot", range(1, 100, 10) if LONG else (5, 40))
    victim.sound()
    guest.remove()


@test
def freeze(place):
    """A running guest, without RAM, its file systems frozen by the agent."""
    guest = place.lab.guest("kill freeze", seed=True)
    guest.wait_agent()
    guest.mode("hard")
    victim = Victim(place, guest, ["--no-memory"])
    every_record(victim, first=1)
    inside(victim, "freeze", range(1, 300, 10) if LONG else (5, 60, 150))
    inside(victim, "snapshot", range(1, 200, 10) if LONG else (5, 60))
    victim.sound()
    guest.remove()


@test
def crash(place):
    """A running guest without an agent, without RAM."""
    guest = place.lab.guest("kill crash", seed=True, agent=False)
    guest.mode("hard")
    victim = Victim(place, guest, ["--no-memory"])
    every_record(victim, step=1 if LONG else 3)
    victim.sound()
    guest.remove()


@test
def shut_off(place):
    """A guest that is off: stays so, and starts afterwards."""
    guest = place.lab.guest("kill off", seed=True)
    guest.wait_counter_beyond(3)
    guest.destroy()
    victim = Victim(place, guest, [], "shut off")
    every_record(victim)
    inside(victim, "begin", range(5, 800, 40) if LONG else (50, 300))
    victim.sound()
    guest.check_disks()
    guest.remove()


@test
def paused(place):
    """A guest that its user has paused: stays so, and goes on afterwards."""
    guest = place.lab.guest("kill paused", seed=True)
    guest.wait_counter_beyond(3)
    place.lab.virsh("suspend", guest.name)
    victim = Victim(place, guest, [], "paused")
    every_record(victim)
    inside(victim, "begin", range(5, 800, 40) if LONG else (50, 300))
    victim.sound()
    place.lab.virsh("resume", guest.name)
    healthy(guest)
    guest.remove()


@test
def paused_ram(place):
    """The same with RAM, which QEMU gives only once until it is resumed."""
    guest = place.lab.guest("kill paused ram", seed=True)
    guest.wait_counter_beyond(3)
    disks = guest.disks()
    for n in range(1, MOST, 1 if LONG else 2):
        place.lab.virsh("suspend", guest.name)
        victim = Victim(place, guest, ["--memory"], "paused")
        lived = not victim.kill(n)
        place.lab.virsh("resume", guest.name)
        healthy(guest)
        if lived:
            break
    untouched(place, guest, disks)
    guest.remove()


# -- storage snapshots


@test
def snapshot_ram(place):
    """Storage snapshots with RAM, on XFS and btrfs."""
    for kind in ("xfs", "btrfs"):
        with storage(place, kind):
            guest = place.lab.guest(f"kill {kind}", seed=True)
            guest.wait_agent()
            guest.mode("hard")
            victim = Victim(place, guest, ["--method", "snapshot"])
            every_record(victim)
            every_snap_word(victim)
            inside(victim, "snapshot", range(1, 800, 20) if LONG
                   else (1, 50, 150, 250, 400))
            victim.sound()
            guest.remove()


@test
def snapshot_live(place):
    """The same of a guest that runs meanwhile: held by libvirt alone."""
    with storage(place, "xfs"):
        guest = place.lab.guest("kill live", seed=True)
        guest.wait_agent()
        victim = Victim(place, guest, ["--method", "snapshot"],
                        env={"VMKEEP_TEST_LIVE": "1"})
        every_record(victim)
        every_snap_word(victim)
        inside(victim, "snapshot", range(1, 800, 20) if LONG
               else (1, 50, 150, 250, 400))
        victim.sound()
        guest.remove()


@test
def snapshot_freeze(place):
    """Frozen and suspended at once, without RAM; and by suspend."""
    with storage(place, "xfs"):
        guest = place.lab.guest("kill frozen", seed=True)
        guest.wait_agent()
        guest.mode("hard")
        for args in (["--method", "snapshot", "--no-memory"],
                     ["--method", "suspend"]):
            victim = Victim(place, guest, args)
            every_record(victim)
            every_snap_word(victim)
            victim.sound()
        guest.remove()


@test
def snapshot_daemon(place):
    """libvirtd ends, is killed, and the guest is shut off, while all stands
    still; then the program is killed."""
    with storage(place, "xfs"):
        guest = place.lab.guest("kill daemon", seed=True)
        guest.wait_agent()
        daemon_ends(place, guest, "--method", "snapshot")
        guest_ends(place, guest, "--method", "snapshot")
        guest.remove()


class Group(Victim):
    """Two guests that are backed up together."""

    def __init__(self, place, guest, other, args):
        super().__init__(place, guest, ["--together", other.name, *args])
        self.other, self.other_disks = other, other.disks("--inactive")

    def alive(self):
        super().alive()
        assert self.other.state() == self.state, self.other.state()
        self.other.wait_heartbeat()
        thawed(self.other)

    def recovered(self):
        super().recovered()
        untouched(self.place, self.other, self.other_disks, self.state)
        thawed(self.other)


@test
def groups(place):
    """A group, by snapshots and by overlays, with RAM and without."""
    with storage(place, "xfs"):
        guests = [place.lab.guest(f"kill group {n}", seed=True)
                  for n in range(2)]
        for guest in guests:
            guest.wait_agent()
        for args in ([], ["--no-memory"], ["--method", "overlay"],
                     ["--method", "overlay", "--no-memory"]):
            victim = Group(place, *guests, args)
            every_record(victim, step=1 if LONG else 2)
            if "overlay" not in args:
                every_snap_word(victim)
        for guest in guests:
            healthy(guest)
            guest.remove()


# -- watchdog and program together


def without_dog(place, *args, **options):
    """Starts a backup whose watchdog is stopped as soon as it is armed.
    Returns (Popen, the watchdog's id)."""
    process = place.start_until("watchdog", "backup", *args, **options)
    [dog] = place.helpers()
    os.kill(dog, signal.SIGSTOP)
    return process, dog


def kill_both(victim, n, ms):
    """Neither the program nor its watchdog can do anything any more, ms after
    record n. False when the program had come to its end by then."""
    place = victim.place
    when = f"{n}:{ms}" if ms else n
    process, dog = without_dog(place, victim.guest.name, *victim.args,
                               env={"VMKEEP_TEST_KILL": when})
    go(process)
    out, err = process.communicate(timeout=PATIENCE)
    os.kill(dog, signal.SIGKILL)
    assert process.returncode in (DONE, PARTLY, KILLED), (
        when, process.returncode, out, err)
    place.wait_watchdog()
    if process.returncode != KILLED:
        untouched(place, victim.guest, victim.disks)
        return False
    victim.row.append(f"{when}={place.last_word() or '-'}")
    victim.recovered()
    return True


@test
def with_watchdog(place):
    """Killed together with the watchdog, with RAM and frozen."""
    guest = place.lab.guest("kill both", seed=True)
    guest.wait_agent()
    guest.mode("hard")
    for args, words in ((["--memory"], ("snapshot", "taken", "pivot")),
                        (["--no-memory"], ("freeze", "snapshot"))):
        victim = Victim(place, guest, args)
        for n in records(victim, words):
            for ms in (0, 30, 150):
                # the machine says how long a step takes
                while not kill_both(victim, n, ms):
                    assert ms > 0, f"lived through record {n}"
                    ms //= 2
        show(victim)
        victim.sound()
    guest.remove()


def records(victim, words):
    """Where these words are in the journal of a backup."""
    process = victim.place.start_until(words[-1], "backup",
                                       victim.guest.name, *victim.args)
    [journal] = victim.place.journals()
    found = {}
    for line in journal.read_text().splitlines():
        _, n, word = line.split()[:3]
        found.setdefault(word, n)
    go(process)
    finish(process)
    return [found[word] for word in words]


@test
def only_watchdog(place):
    """The watchdog alone is killed: the guest is not left paused or frozen."""
    guest = place.lab.guest("kill dog", seed=True)
    guest.wait_agent()
    disks = guest.disks()
    for args in (["--memory"], ["--no-memory"]):
        process, dog = without_dog(place, guest.name, *args)
        os.kill(dog, signal.SIGKILL)
        go(process)
        _, err = process.communicate(timeout=PATIENCE)
        place.note(f"exit {process.returncode}")
        if process.returncode not in (DONE, PARTLY):
            assert "watchdog" in err, err
        place.vmkeep("recover")
        untouched(place, guest, disks)
        thawed(guest)
    healthy(guest)
    guest.remove()
