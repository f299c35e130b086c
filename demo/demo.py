#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""What vmkeep does, shown on a guest of our own making.

    demo.py VMKEEP

The guest counts: the number is in its RAM, and each new one is written to two
disks in turn. RAM and disks that are not of one instant would disagree.
"""

import os
import re
import shlex
import signal
import sys
import time
from pathlib import Path

from place import LabError, choose, free_of_apparmor

NAME = "vmkeep-demo"
BOLD, DIM, PLAIN = (("\033[1m", "\033[2m", "\033[0m")
                    if sys.stdout.isatty() else ("", "", ""))


class Failure(Exception):
    """The demo did not show what it should."""


def say(text=""):
    print(text, flush=True)


def step(title):
    say(f"\n{BOLD}{title}{PLAIN}")


def put(output):
    for line in output.rstrip().splitlines():
        say(f"    {line}")


def stored(output):
    """How much a backup added, as it said."""
    match = re.search(r"; stored ([^;]*);", output)
    return match.group(1) if match else "?"


class Demo:
    """One run: the lab, the guest, and what was seen of it."""

    def __init__(self, lab, program):
        self.lab, self.program = lab, Path(program).resolve()
        self.repo = lab.dir / "repository"
        self.guest = None
        self.captured = None  # the counter at the instant
        self.first = None     # what the first backup stored
        self.settings = {"VMKEEP_REPOSITORY": str(self.repo),
                         "VMKEEP_PASSPHRASE": "correct horse",
                         "VMKEEP_CACHE": str(lab.dir / "cache")}

    # -- commands, shown as they are typed

    def type(self, *argv):
        """Shows a command and runs it. Returns what it printed."""
        say(f"  {DIM}${PLAIN} {shlex.join(map(str, argv))}")
        words = list(argv)
        if words[0] == "vmkeep":
            words[0] = self.program
        done = self.lab.run(*words, env=self.settings, check=False,
                            timeout=600)
        put(done.stdout + done.stderr)
        if done.returncode != 0:
            raise Failure(f"{argv[0]} ended with {done.returncode}")
        return done.stdout

    # -- the steps

    def boot(self):
        step("A guest that counts, in RAM and on two disks")
        self.guest = self.lab.guest(NAME, start=False)
        self.relabel()
        say(f"  {DIM}${PLAIN} virsh start {NAME}")
        try:
            self.guest.start()
        except LabError:
            if self.lab.domain_type != "kvm":
                raise
            say("    KVM does not take it; going on with software emulation")
            self.lab.domain_type = "qemu"
            self.guest.remove()
            self.guest = self.lab.guest(NAME, start=False)
            self.relabel()
            self.guest.start()
        self.guest.wait_counter_beyond(20)
        self.show_status()

    def relabel(self):
        """The definition once more, where the machine asks for it."""
        more = free_of_apparmor(self.lab)
        if more:
            file = self.guest.folder / "domain.xml"
            text = file.read_text().replace("</domain>", more + "</domain>")
            file.write_text(text)
            self.lab.virsh("define", file)

    def show_status(self):
        """The guest's own words, and that they are good."""
        status = self.guest.status()
        put(f"the guest says: counter in RAM {status['n']}, last number on "
            f"vda {status['vda']}, on vdb {status['vdb']}")
        if self.guest.failed():
            raise Failure(self.guest.failed()[0])

    def make_repository(self):
        step("A repository: deduplicated, compressed, encrypted")
        for key in ("VMKEEP_REPOSITORY", "VMKEEP_PASSPHRASE"):
            say(f"  {DIM}${PLAIN} export {key}="
                f"{shlex.quote(self.settings[key])}")
        self.type("vmkeep", "init", self.repo)

    def look(self):
        step("What can be backed up, and how well")
        self.type("vmkeep", "domains", NAME)

    def back_up(self):
        step("A restore point of the running guest, RAM included")
        before = time.monotonic()
        self.guest.wait_counter_beyond(self.guest.counter() + 10)
        start = time.monotonic()
        usual = self.guest.longest_gap(before, start)
        self.first = stored(self.type("vmkeep", "backup", NAME))
        time.sleep(0.2)
        end = time.monotonic()
        gap = self.guest.longest_gap(start, end)
        self.captured = self.counter_at_gap(start, end)
        put(f"heartbeats of the guest as they arrived here: silent for at "
            f"most {gap * 1000:.0f} ms,\nwithout a backup for "
            f"{usual * 1000:.0f} ms; it was at {self.captured} then")

    def counter_at_gap(self, start, end):
        """The counter before the longest silence: the captured number."""
        beats = self.guest.beats(start, end)
        pairs = zip(beats, beats[1:])
        before, _ = max(pairs, key=lambda pair: pair[1][0] - pair[0][0])
        return before[1]

    def lose(self):
        step("The guest goes on; then it is lost, with its disks")
        self.guest.wait_counter_beyond(self.guest.counter() + 20)
        self.show_status()
        disks = self.guest.disks().values()
        self.type("virsh", "destroy", NAME)
        self.type("virsh", "undefine", NAME)
        self.type("rm", *disks)

    def restore(self):
        step("Back, at the very instruction it was at")
        have = len(self.guest.console.beats)
        self.type("vmkeep", "restore", f"{NAME}@latest", "--to",
                  self.lab.dir / "restored", "--ram")
        self.guest.wait_heartbeat()
        first = self.guest.console.beats[have][1]
        put(f"captured at {self.captured}; the first number heard now is "
            f"{first}")
        if not self.captured <= first <= self.captured + 20:
            raise Failure("the guest does not go on from its instant")

    def count_on(self):
        step("It counts on, and RAM and disks agree")
        self.guest.wait_counter_beyond(self.guest.counter() + 10)
        self.guest.check()
        self.show_status()
        put("the guest has read every record on both disks: nothing is "
            "missing or torn")

    def again(self):
        step("A second backup adds little")
        second = stored(self.type("vmkeep", "backup", NAME))
        put(f"the first one stored {self.first}, this one {second}")
        self.type("vmkeep", "points")
        self.type("vmkeep", "verify", "--read-data")
        self.show_status()

    def run(self):
        for act in (self.boot, self.make_repository, self.look, self.back_up,
                    self.lose, self.restore, self.count_on, self.again):
            act()


def clean_up(lab):
    step("Cleaning up: the guest, its disks, the repository")
    for guest in list(lab.guests):
        guest.remove()
        for trace in (f"/var/log/libvirt/qemu/{guest.name}-serial.log",
                      f"/var/log/libvirt/qemu/{guest.name}.log",
                      f"/var/lib/vmkeep/{guest.options.uuid}.lock"):
            lab.outside(trace).unlink(missing_ok=True)


def show(program):
    lab = choose()
    say(f"{BOLD}vmkeep shown on {lab.about}{PLAIN}")
    with lab:
        if NAME in lab.domains():
            raise Failure(f"there is a domain '{NAME}' already: "
                          f"virsh undefine {NAME}")
        try:
            Demo(lab, program).run()
        finally:
            clean_up(lab)


def interrupt(_signal, _frame):
    raise KeyboardInterrupt


def main():
    program = sys.argv[1] if len(sys.argv) > 1 else "build/vmkeep"
    signal.signal(signal.SIGTERM, interrupt)
    if not os.access(program, os.X_OK):
        sys.exit(f"demo: there is no {program}: run `make` first")
    try:
        show(program)
    except KeyboardInterrupt:
        sys.exit("demo: stopped")
    except (Failure, LabError) as why:
        sys.exit(f"demo: {why}")
    say("\nThat was it. README.md tells how to do it with your own VMs.")


main()
