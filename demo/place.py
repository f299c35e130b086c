# SPDX-License-Identifier: Apache-2.0
"""Where the demo runs: the machine's libvirtd where one answers, else a
private one in a mount namespace of its own."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "test" / "lab"))

from lab import Lab, LabError, missing  # noqa: E402

URI = "qemu:///system"
IMAGES = Path("/var/lib/libvirt/images")


class Machine(Lab):
    """The libvirtd that is there: only what we make is touched."""

    about = "this machine's libvirtd"

    def __init__(self):
        super().__init__(accel="auto")
        # QEMU's user may enter this folder, and AppArmor knows it
        self.dir = IMAGES / f"vmkeep-demo-{os.getpid()}"
        self.images = self.dir / "images"
        self.had_state = os.path.exists("/var/lib/vmkeep")

    def start(self):
        self.images.mkdir(parents=True)
        (self.dir / "run").symlink_to("/run/libvirt")

    def stop(self):
        for guest in list(self.guests):
            guest.remove()
        shutil.rmtree(self.dir, ignore_errors=True)
        if not self.had_state:
            shutil.rmtree("/var/lib/vmkeep", ignore_errors=True)

    def argv(self, *argv):
        return list(map(str, argv))

    def env(self, env=None):
        return {**os.environ, "LC_ALL": "C", "LIBVIRT_DEFAULT_URI": URI,
                **(env or {})}

    def outside(self, path):
        return Path(path)


class Private(Lab):
    """A libvirtd of our own, gone afterwards."""

    about = ("a private libvirtd, in a mount namespace of its own "
             "(none answers on this machine)")

    def __init__(self):
        super().__init__(accel="auto")


def machine_answers():
    """Is there a libvirtd that we may use?"""
    if os.environ.get("VMKEEP_DEMO_PRIVATE") or not shutil.which("virsh"):
        return False
    done = subprocess.run(["virsh", "-c", URI, "version"],
                          stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                          stderr=subprocess.DEVNULL)
    return done.returncode == 0


def choose():
    """The place to run in, not started yet."""
    lacks = missing()
    if lacks:
        raise LabError("the demo needs " + ", ".join(lacks)
                       + " (`make deps` installs what Debian 12 has)")
    return Machine() if machine_answers() else Private()


def free_of_apparmor(lab):
    """More XML for a domain, where AppArmor would forbid merging overlays.

    Debian 12's libvirt forbids a guest to write to what was a backing file
    once (fixed in libvirt 12.1), which ends every live block commit.
    """
    if "<model>apparmor</model>" not in lab.virsh("capabilities"):
        return ""
    return "<seclabel type='none' model='apparmor'/>"
