# SPDX-License-Identifier: Apache-2.0
"""The whole machine loses its power under two repositories, again and again.

Its QEMU is killed (SIGKILL) while work.py works on an ext4 and on an XFS; the
machine boots again, and all that had been told as committed must be there.
"""

import random
import subprocess
import threading
import time

from machine import PATIENCE, LabError, wait_until

PLACES = {"ext4": "/dev/disk/by-id/virtio-d5",
          "xfs": "/dev/disk/by-id/virtio-d6"}
WORK = ["python3", "test/storage/work.py"]


class Listener(threading.Thread):
    """Starts the work on one file system, and hears what it says."""

    def __init__(self, vm, kind, seed):
        super().__init__(daemon=True)
        self.lines = []
        self.process = vm.popen([*WORK, "do", f"/mnt/{kind}/work", seed],
                                stdout=subprocess.PIPE, text=True)
        self.start()

    def run(self):
        with self.process.stdout:
            for line in self.process.stdout:
                if line.endswith("\n"):
                    self.lines.append(line)

    def end(self):
        """After the cut. Returns all that had been said."""
        self.process.kill()
        self.process.wait()
        self.join(PATIENCE)
        return self.lines


def inside(vm, script, **options):
    """Runs a line of shell inside that must not fail."""
    if vm.run(["sh", "-ec", script], **options) != 0:
        raise LabError(f"failed inside: {script}")


def mount_all(vm):
    for kind, disk in PLACES.items():
        inside(vm, f"mkdir -p /mnt/{kind}; mount {disk} /mnt/{kind}")


def make_all(vm):
    for kind, disk in PLACES.items():
        force = "-F" if kind == "ext4" else "-f"
        inside(vm, f"mkfs.{kind} -q {force} {disk}")
    mount_all(vm)
    for kind in PLACES:
        if vm.run([*WORK, "init", f"/mnt/{kind}/work"]) != 0:
            raise LabError(f"no repository on {kind}")


def work_and_kill(vm, seed):
    """Returns {kind: what it had said}. When the power fails is the seed's."""
    rng = random.Random(seed)
    listeners = {kind: Listener(vm, kind, seed) for kind in PLACES}
    enough = rng.randrange(3, 9)
    wait_until(lambda: sum(len(each.lines) for each in listeners.values())
               >= enough or any(each.process.poll() is not None
                                for each in listeners.values()),
               f"{enough} points", timeout=2 * PATIENCE)
    early = [kind for kind, each in listeners.items()
             if each.process.poll() is not None]
    time.sleep(2 * rng.random())
    vm.kill()
    said = {kind: each.end() for kind, each in listeners.items()}
    if early:
        raise LabError(f"the work on {early} ended by itself: {said}")
    return said


def check_all(vm, told):
    """All that was told is there. Returns how many points those are."""
    points = 0
    for kind, lines in told.items():
        with vm.popen([*WORK, "check", f"/mnt/{kind}/work"], text=True,
                      stdin=subprocess.PIPE,
                      stdout=subprocess.PIPE) as process:
            said, _ = process.communicate("".join(lines), PATIENCE * 4)
        if process.returncode != 0:
            raise LabError(f"{kind} is not what it must be")
        points += int(said)
    return points


def kill_often(vm, times, seed):
    """In a machine that runs. Returns how many points were there in all."""
    told = {kind: [] for kind in PLACES}
    points = 0
    make_all(vm)
    for turn in range(times):
        for kind, lines in work_and_kill(vm, 1000 * seed + turn).items():
            told[kind] += lines
        vm.boot()
        mount_all(vm)
        points += check_all(vm, told)
    return points
