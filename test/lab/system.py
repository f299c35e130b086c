# SPDX-License-Identifier: Apache-2.0
"""Inside the storage lab: a Lab over the libvirt service of the system."""

import atexit
import os
import shutil
import subprocess
from pathlib import Path

from lab import Lab
from machine import LabError
from recipe import CALM

# What a Lab has in folders of its own: here they are the system's.
PLACES = {"etc": "/etc/libvirt", "run": "/run/libvirt",
          "lib": "/var/lib/libvirt", "log": "/var/log/libvirt",
          "vmkeep-etc": "/etc/vmkeep", "vmkeep-run": "/run/vmkeep",
          "vmkeep-lib": "/var/lib/vmkeep"}


def inside():
    """Are we in the storage lab?"""
    return bool(os.environ.get("VMKEEP_STORAGE_LAB"))


class SystemLab(Lab):
    """The same as a Lab, with systemd's libvirtd. One at a time.

    images    where guests get their images, if a test says nothing else
    """

    def __init__(self):
        super().__init__(name="system")
        self.images = Path("/var/lib/libvirt/images")
        self.domain_type = "qemu"

    def start(self):
        if not inside():
            raise LabError("only in the storage lab")
        shutil.rmtree(self.dir, ignore_errors=True)
        self.dir.mkdir(parents=True)
        for name, place in PLACES.items():
            Path(place).mkdir(parents=True, exist_ok=True)
            (self.dir / name).symlink_to(place)
        atexit.register(self.stop)
        self._systemctl("start")
        self.virsh("version")

    def stop(self):
        """Removes all guests; the service goes on."""
        atexit.unregister(self.stop)
        for guest in list(self.guests):
            guest.remove()
        shutil.rmtree(self.dir, ignore_errors=True)

    def restart_libvirtd(self, kill=False, between=None):
        if kill:
            subprocess.run(["systemctl", "kill", "-s", "KILL", "libvirtd"],
                           check=True)
        units = ["libvirtd.service", "libvirtd.socket", "libvirtd-ro.socket",
                 "libvirtd-admin.socket"]
        subprocess.run(["systemctl", "stop", *units], check=True)
        if between:
            between()
        subprocess.run(["systemctl", "reset-failed", *units], check=False,
                       stderr=subprocess.DEVNULL)
        self._systemctl("start")
        self.virsh("version")

    def _systemctl(self, verb):
        subprocess.run(["systemctl", verb, "libvirtd.service"], check=True)

    def guest(self, name, seed=False, start=True, **options):
        """As in a Lab, but with a guest that leaves others some of the
        processors, which are emulated twice here."""
        return super().guest(name, seed, start, **{**CALM, **options})

    def libvirtd_pid(self):
        done = subprocess.run(
            ["systemctl", "show", "-P", "MainPID", "libvirtd.service"],
            stdout=subprocess.PIPE, text=True, check=True)
        return int(done.stdout)

    def argv(self, *argv):
        return list(map(str, argv))

    def env(self, env=None):
        return {**os.environ, "LC_ALL": "C", **(env or {}),
                "LIBVIRT_DEFAULT_URI": "qemu:///system"}

    def outside(self, path):
        return Path(path)
