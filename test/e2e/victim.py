# SPDX-License-Identifier: Apache-2.0
"""A guest that is backed up and killed, again and again, on any storage.

After each kill: the watchdog sets the guest going, `vmkeep recover` puts all
back, the guest has seen nothing, the repository is whole, and the next backup
works.
"""

from kit import (DONE, KILLED, PARTLY, PATIENCE, Skip, go, healthy, instant,
                 thawed, untouched)

MOST = 80  # records of a capture, at most


class Victim:
    """A guest that is backed up and killed again and again.

    args    of the backup
    state   it is in, and must stay in
    env     more of the environment
    title   of its row in the matrix
    row     what that shows: one word for each kill
    words   the journal's word at each record
    """

    def __init__(self, place, guest, args, state="running", env=None):
        self.place, self.guest, self.args = place, guest, args
        self.state, self.env = state, env or {}
        self.disks = guest.disks("--inactive")
        self.title = f"{' '.join(args) or 'plain'} ({state})"
        self.row, self.words = [], {}

    def backup(self, when=None):
        """Runs a backup, to be killed at a record. Returns its exit code."""
        env = {**self.env, **({"VMKEEP_TEST_KILL": when} if when else {})}
        done = self.place.run("backup", self.guest.name, *self.args, env=env)
        assert done.returncode in (DONE, PARTLY, KILLED), done
        return done.returncode

    def alive(self):
        """What the watchdog owes us: it runs and is not frozen."""
        self.place.wait_watchdog()
        assert self.guest.state() == self.state, self.guest.state()
        if self.state == "running":
            self.guest.wait_heartbeat()
            if self.guest.options.agent:
                thawed(self.guest)

    def recovered(self):
        """What recover owes us: everything."""
        self.place.vmkeep("recover")
        untouched(self.place, self.guest, self.disks, self.state)
        if self.state == "running" and self.guest.options.agent:
            thawed(self.guest)

    def lived(self):
        """After a backup that came to its end: nothing waits for recover."""
        untouched(self.place, self.guest, self.disks, self.state)

    def kill(self, when, watchdog=True):
        """One backup that is killed. False when it lived."""
        code = self.backup(when)
        if code != KILLED:
            self.lived()
            return False
        word = self.place.last_word() if str(when)[0].isdigit() else when
        self.words.setdefault(str(when).split(":", maxsplit=1)[0], word)
        self.row.append(word if word == when else f"{when}={word or '-'}")
        try:
            if watchdog:
                self.alive()
            self.recovered()
        except Exception as error:
            raise AssertionError(
                f"after a kill at {when} ({word}): {error}") from error
        return True

    def sound(self):
        """All in all: guest, repository and a last backup."""
        if self.state == "running":
            healthy(self.guest)
        self.place.verify()
        assert self.backup() in (DONE, PARTLY)
        untouched(self.place, self.guest, self.disks, self.state)
        instant(self.place, f"{self.guest.name}@latest", self.guest)

    def record_of(self, word):
        """The number of the first record with this word, as text."""
        found = [n for n, is_word in self.words.items() if is_word == word]
        return found[0] if found else None


def every_record(victim, step=1, first=1):
    """Kills at each record until a backup lives. Prints the row."""
    if not victim.kill(first) and first == 1:
        raise Skip("a program built with -Dtest_kill=true")
    for n in range(first + step, MOST, step):
        if not victim.kill(n):
            break
    else:
        raise AssertionError(f"still killed at record {MOST}")
    show(victim)


def show(victim):
    print(f"  {victim.title}: {' '.join(victim.row)}", flush=True)
    victim.row = []


def inside(victim, word, times):
    """Kills some ms after a record, inside libvirt's call that it announces."""
    n = victim.record_of(word)
    assert n, (word, victim.words)
    for ms in times:
        victim.kill(f"{n}:{ms}")
    show(victim)


# -- storage snapshots

SNAP_WORDS = ("snap_take", "snap_taken", "snap_view", "snap_view_closed",
              "snap_drop", "snap_dropped")


def every_snap_word(victim):
    """Kills at each word of the storage's journal that a backup writes."""
    for word in SNAP_WORDS:
        victim.kill(word)
        victim.kill(f"{word}:30")
    assert any(word.startswith("snap_taken") for word in victim.row), (
        victim.row)
    show(victim)


# -- other ends


def daemon_ends(place, guest, *args, kills=(False, True)):
    """libvirtd ends (kills: by SIGKILL, too) while all stands still; then the
    program lives on, or is killed."""
    disks = guest.disks()
    for kill in kills:
        for killed in (False, True):
            process = place.start_until("taken", "backup", guest.name, *args)
            place.lab.restart_libvirtd(kill=kill)
            if killed:
                process.kill()
            go(process)
            process.communicate(timeout=PATIENCE)
            place.wait_watchdog()
            place.vmkeep("recover")
            untouched(place, guest, disks)
    healthy(guest)


def guest_ends(place, guest, *args, end=None):
    """The guest is shut off while all stands still, by end(). It is not
    started again."""
    disks = guest.disks()
    process = place.start_until("taken", "backup", guest.name, *args)
    (end or guest.destroy)()
    go(process)
    process.communicate(timeout=PATIENCE)
    assert process.returncode not in (DONE, PARTLY), process.returncode
    place.vmkeep("recover")
    untouched(place, guest, disks, "shut off")
    guest.check_disks()
