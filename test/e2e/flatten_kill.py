# SPDX-License-Identifier: Apache-2.0
"""SIGKILL at every journal record of a flatten, and inside its steps."""

import os

from chains import boots, chain, chained, settled, snapshot
from kit import DONE, KILLED, Skip, test

MOST = 40  # records of a flatten, at most


class Killed:
    """A guest whose chain is made and shortened, and that is killed, again
    and again.

    row   what the matrix shows
    """

    def __init__(self, place, guest, state):
        self.place, self.guest, self.state = place, guest, state
        self.base = chain(place, guest)[0]
        self.serial, self.row, self.words = 0, [], {}

    def grow(self):
        """Two overlays on the base, if they are not there."""
        while len(chain(self.place, self.guest)) < 3:
            self.serial += 1
            snapshot(self.place, self.guest, f"s{self.serial}",
                     *(["--no-metadata"] if self.serial % 2 else []))
        return chain(self.place, self.guest)

    def kill(self, when):
        """One flatten that is killed. False when it lived."""
        images = self.grow()
        done = self.place.run("flatten", self.guest.name, "--disk", "vda",
                              "--delete", env={"VMKEEP_TEST_KILL": when})
        assert done.returncode in (DONE, KILLED), done
        word = self.place.last_word()
        self.place.wait_watchdog()
        self.place.vmkeep("recover")
        left = chain(self.place, self.guest)
        merged = left == [self.base]
        assert merged or left == images, (when, word, left)
        if done.returncode == DONE:
            assert merged, left
        for path in images[1:]:
            if merged and os.path.exists(path):
                os.unlink(path)
        try:
            settled(self.place, self.guest, left[-1], self.state)
            if self.state == "shut off":
                self.guest.check_disks()
        except Exception as error:
            raise AssertionError(
                f"after a kill at {when} ({word}): {error}") from error
        self.words.setdefault(word, str(when).split(":", maxsplit=1)[0])
        if done.returncode == KILLED:
            self.row.append((when, word or "-",
                             "merged" if merged else "as before"))
        return done.returncode == KILLED

    def matrix(self, *inside_of):
        """All records, then some ms inside of the steps these words name."""
        if not self.kill(1):
            raise Skip("a program built with -Dtest_kill=true")
        for n in range(2, MOST):
            if not self.kill(n):
                break
        for word in inside_of:
            for ms in (2, 20, 60):
                self.kill(f"{self.words[word]}:{ms}")
        print(f"  flatten, {self.state}:")
        for when, word, end in self.row:
            print(f"    {when!s:>6}  {word:12} {end}", flush=True)


@test
def kill_live(place):
    """SIGKILL at every journal record of a guest that writes hard."""
    guest = chained(place, "flat kill", chain=0)
    guest.mode("hard")
    killed = Killed(place, guest, "running")
    killed.matrix("commit", "pivot")
    place.vmkeep("flatten", guest.name)
    guest.destroy()
    boots(guest)
    guest.remove()


@test
def kill_off(place):
    """The same of a guest that is off, inside qemu-img, too."""
    guest = chained(place, "flat kill off", chain=0)
    guest.mode("hard")
    guest.wait_counter_beyond(100)
    guest.destroy()
    killed = Killed(place, guest, "shut off")
    killed.matrix("offline", "committed")
    place.vmkeep("flatten", guest.name)
    boots(guest)
    guest.remove()
