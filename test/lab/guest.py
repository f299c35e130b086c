# SPDX-License-Identifier: Apache-2.0
"""A guest: a domain with the witness inside."""

import contextlib
import json
import os
import re
import shutil
import time
import uuid as uuid_module
import xml.etree.ElementTree as ET

from console import Console
from machine import PATIENCE, LabError, wait_until
from recipe import (disk_targets, domain_xml, is_block, make_flat, make_image,
                    serial_log)
from seed import rewrite_save_image


class Guest:
    """A domain with the witness inside, and all that it has said.

    console   the Console that reads it
    """

    def __init__(self, lab, name, options):
        self.lab, self.name, self.options = lab, name, options
        self.console = Console(lab, name)
        self.seed = None
        self.folder = None  # of its images, if we made them
        lab.guests.append(self)

    # -- life

    def define(self, seed=None):
        """Makes the disks and defines the domain. seed: folder to start from."""
        if self.options.uuid is None:
            self.options.uuid = str(uuid_module.uuid4())
        self.seed = seed
        self.folder = self.lab.images / self.options.uuid
        self.folder.mkdir()
        paths = self._make_disks()
        file = self.folder / "domain.xml"
        file.write_text(domain_xml(self.name, self.options, paths,
                                   self.lab.domain_type))
        self.lab.virsh("define", file)

    def _make_disks(self):
        """Makes all images. Returns their paths."""
        if self.seed:
            flat = {int(path.name[4:]): path
                    for path in self.seed.glob("flat*")}
        else:
            flat = make_flat(self.lab, self.options, self.folder)
        paths = []
        for i, (disk, target) in enumerate(
                zip(self.options.disks, disk_targets(self.options))):
            path = disk.path or self.folder / f"{target}.{disk.format}"
            if is_block(path) or not os.path.exists(path):
                make_image(self.lab, disk, path, flat.get(i))
            paths.append(path)
        if not self.seed:
            for path in flat.values():
                path.unlink()
        return paths

    def start(self):
        """Starts it: from its seed the first time, else by booting."""
        if self.seed is None:
            self.lab.virsh("start", self.name)
            return
        ram = self.folder / "seed-ram"
        self.lab.run("cp", "--reflink=auto", self.seed / "ram", ram)
        rewrite_save_image(ram, self.lab.virsh("dumpxml", "--migratable",
                                               self.name))
        if self.options.uefi:
            nvram = self.nvram()
            nvram.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(self.seed / "nvram", nvram)
        self.lab.virsh("restore", ram)
        ram.unlink()
        self.seed = None

    def destroy(self):
        """Pulls the plug. No error if it does not run."""
        if self.state() != "shut off":
            self.lab.virsh("destroy", self.name)

    def remove(self):
        """Destroys and undefines it and removes its images."""
        self.console.close()
        if self in self.lab.guests:
            self.lab.guests.remove(self)
        if self.name in self.lab.domains():
            self.destroy()
        if self.name in self.lab.domains():  # it was not transient
            self.lab.virsh("undefine", self.name, "--nvram",
                           "--managed-save", "--snapshots-metadata",
                           "--checkpoints-metadata")
        if self.folder:
            shutil.rmtree(self.folder, ignore_errors=True)

    # -- what libvirt says

    def state(self):
        """"running", "paused", "shut off", ..., or None if not defined."""
        return self.lab.virsh("domstate", self.name, check=False) or None

    def xml(self, *options):
        """The definition as an ElementTree element (live if it runs)."""
        return ET.fromstring(self.lab.virsh("dumpxml", self.name, *options))

    def disks(self, *options):
        """{target: path} of all disks that have a source now."""
        found = {}
        for disk in self.xml(*options).iterfind("devices/disk"):
            source = disk.find("source")
            if source is not None:
                found[disk.find("target").get("dev")] = (
                    source.get("file") or source.get("dev"))
        return found

    def witness_paths(self, *options):
        """{number of the disk: path} of the witness disks."""
        paths, targets = self.disks(*options), disk_targets(self.options)
        return {i: paths[targets[i]]
                for i, disk in enumerate(self.options.disks)
                if disk.is_witness()}

    def nvram(self):
        """The file of the UEFI variables, as seen from the host."""
        return self.lab.outside(self.xml().findtext("os/nvram"))

    def tpm(self):
        """The file of its TPM's state, as seen from the host."""
        return self.lab.outside(f"/var/lib/libvirt/swtpm/{self.options.uuid}"
                                "/tpm2/tpm2-00.permall")

    def agent(self, command, seconds=60):
        """Sends a guest agent command. Returns its answer, or None."""
        text = self.lab.virsh("qemu-agent-command", self.name, "--timeout",
                              seconds, json.dumps({"execute": command}),
                              check=False)
        return json.loads(text)["return"] if text else None

    def qga_ready(self):
        """Does the guest agent answer?"""
        return self.agent("guest-ping", 5) is not None

    def wait_agent(self):
        """Waits until the guest agent answers."""
        wait_until(self.qga_ready, f"the agent of '{self.name}'")

    # -- what the witness says

    def failed(self):
        """All that went wrong in the guest, as lines; empty: nothing."""
        fails = list(self.console.fails)
        log = self.lab.outside(serial_log(self.name))
        with contextlib.suppress(OSError):
            fails += re.findall("WITNESS FAIL .*|Kernel panic.*",
                                log.read_text(errors="replace"))
        return fails

    def counter(self):
        """The counter in the guest's RAM, as last heard; -1: never."""
        beats = self.console.beats
        return beats[-1][1] if beats else -1

    def wait_heartbeat(self):
        """Waits for a heartbeat that arrives from now on. Returns (t, n)."""
        have = len(self.console.beats)
        self._wait(lambda: len(self.console.beats) > have, "a heartbeat")
        return self.console.beats[-1][:2]

    def wait_counter_beyond(self, n):
        """Waits until the counter is more than n. Returns the counter."""
        have = len(self.console.beats)
        self._wait(lambda: len(self.console.beats) > have
                   and self.counter() > n, f"a counter beyond {n}")
        return self.counter()

    def _wait(self, test, what, timeout=PATIENCE):
        wait_until(lambda: self.failed() or test(), f"{what} of '{self.name}'",
                   timeout=timeout)
        if self.failed():
            raise LabError(f"'{self.name}': {self.failed()[0]}")

    def beats(self, start, end=None):
        """The heartbeats [(time, counter, beat)] that arrived in between."""
        end = time.monotonic() if end is None else end
        return [beat for beat in list(self.console.beats)
                if start <= beat[0] <= end]

    def longest_gap(self, start, end=None):
        """The longest silence in seconds from start to end (now).

        Times as of time.monotonic(). The silence up to the first and after
        the last heartbeat counts.
        """
        end = time.monotonic() if end is None else end
        times = [start, *(beat[0] for beat in self.beats(start, end)), end]
        return max(after - before for before, after
                   in zip(times, times[1:]))

    def status(self):
        """A fresh status of the witness: {"n": 12, "vda": 12, ...}."""
        have = self.console.count_status
        self._wait(lambda: self.console.count_status > have, "a status")
        return self.console.status

    def command(self, line, timeout=PATIENCE):
        """Gives the witness an order (see witness.c) and waits for it."""
        have = len(self.console.lines)
        self.console.send(line)
        done = f"WITNESS done {line}"
        if line in ("poweroff", "reboot"):
            done = "WITNESS done power"
        self._wait(lambda: any(said.startswith(done) for _, said
                               in self.console.lines[have:]),
                   f"'{done}'", timeout)

    def mode(self, mode):
        """Sets the mode: "idle" or "hard"."""
        self.command(f"mode {mode}")

    def check(self, timeout=PATIENCE):
        """Lets the guest read all records on all disks, now."""
        self.command("check", timeout)

    def check_disks(self, *options):
        """Checks the disks of a guest that is shut off from the host.

        Returns the last number in them (see Lab.check).
        """
        return self.lab.check(self.witness_paths(*options).values())
