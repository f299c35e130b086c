# SPDX-License-Identifier: Apache-2.0
"""The machine under the lab: what it has, the cache, the test guest."""

import contextlib
import fcntl
import json
import os
import shutil
import subprocess
import threading
import time
from pathlib import Path

HERE = Path(__file__).resolve().parent
# Seconds that nothing takes unless it hangs, on a loaded machine either.
PATIENCE = 300
# Seconds between looks: where the machine is emulated, looking costs what the
# others need.
PAUSE = 0.2 if os.environ.get("VMKEEP_STORAGE_LAB") else 0.01
CACHE = Path(os.environ.get("VMKEEP_TEST_CACHE", "/var/cache/vmkeep-test"))


class LabError(Exception):
    """Something in the lab did not work. The message says what."""


def missing():
    """Names what this machine lacks for the lab; an empty list: nothing."""
    tools = ["libvirtd", "virsh", "qemu-system-x86_64", "qemu-img", "unshare",
             "nsenter", "mkfs.ext4", "cc", "cpio", "readelf", "flock"]
    path = os.environ.get("PATH", "") + ":/usr/sbin:/sbin"
    lacks = [tool for tool in tools if not shutil.which(tool, path=path)]
    if os.geteuid() != 0:
        lacks.append("root")
    return lacks


def guest_files():
    """Builds the test guest, once. Returns the folder of kernel and initrd."""
    done = subprocess.run([HERE.parent / "guest" / "build.sh"],
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                          text=True)
    if done.returncode != 0:
        raise LabError(f"cannot build the test guest: {done.stderr[-500:]}")
    return Path(done.stdout.strip())


def qemu_boots(accel, seconds):
    """Boots the guest with QEMU alone. Does the witness start in time?"""
    files = guest_files()
    argv = ["qemu-system-x86_64", "-nodefaults", "-display", "none",
            "-accel", accel, "-cpu", "qemu64", "-m", "192", "-no-reboot",
            "-kernel", files / "vmlinuz", "-initrd", files / "initrd",
            "-append", "console=ttyS0 quiet panic=1", "-serial", "stdio"]
    qemu = subprocess.Popen(argv, stdin=subprocess.DEVNULL,
                            stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    stop = threading.Timer(seconds, qemu.kill)
    stop.start()
    try:
        return any(b"WITNESS runs" in line for line in qemu.stdout)
    finally:
        stop.cancel()
        qemu.kill()
        qemu.wait()


def kvm_works():
    """Tries KVM, for a device node may exist and still hang a guest.

    The answer is kept until the machine is started anew.
    """
    if not os.access("/dev/kvm", os.R_OK | os.W_OK):
        return False
    boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    answer = CACHE / "kvm"
    with contextlib.suppress(OSError, ValueError):
        known = json.loads(answer.read_text())
        if known["boot"] == boot:
            return known["works"]
    works = qemu_boots("kvm", 15)
    CACHE.mkdir(parents=True, exist_ok=True)
    write_file(answer, json.dumps({"boot": boot, "works": works}))
    return works


def write_file(path, text):
    """Replaces a file in one step."""
    new = f"{path}.{os.getpid()}.new"
    Path(new).write_text(text)
    os.rename(new, path)


@contextlib.contextmanager
def locked(path):
    """Holds an exclusive lock on a file in the cache."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with open(path, "w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def wait_until(test, what, pause=PAUSE, timeout=PATIENCE):
    """Waits until test() is true."""
    end = time.monotonic() + timeout
    while not test():
        if time.monotonic() > end:
            raise LabError(f"waited {timeout} s for {what}")
        time.sleep(pause)
