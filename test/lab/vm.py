# SPDX-License-Identifier: Apache-2.0
"""The storage lab: a virtual machine with ZFS, LVM, btrfs, XFS, libvirt, QEMU.

    with StorageVM(results=folder) as vm:
        code = vm.run(["zpool", "create", "p", "/dev/disk/by-id/virtio-d1"])

Its system is the cached image (image/build.sh), seen through an overlay that
ends with the machine.  What is on this machine is handed over at the start as
a tar on a read-only disk: /lab/tree holds test/ and the build (as build/),
/lab/cache the test guest and its seeds.  Commands go through ssh on a
loopback port, with keys made for this one machine.
"""

import contextlib
import ctypes
import json
import os
import shlex
import shutil
import signal
import socket
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path

from lab import Lab, Options
from machine import (CACHE, HERE, LabError, guest_files, kvm_works,
                     wait_until, write_file)
from recipe import CALM
from seed import seed_folder, seed_key

ROOT = Path(os.environ.get("VMKEEP_LAB_ROOT", "/var/tmp/vmkeep-lab"))
TREE = HERE.parent.parent
DISKS = 6          # /dev/disk/by-id/virtio-d1 to -d6
DISK_MIB = 4096
BOOT_PATIENCE = 600
PR_SET_PDEATHSIG = 1


def image_folder(build=True):
    """The folder of the system image, built first if there is none."""
    done = subprocess.run(
        [HERE / "image" / "build.sh", *([] if build else ["--there"])],
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True)
    if done.returncode != 0:
        raise LabError("cannot build the system image of the storage lab")
    return Path(done.stdout.strip())


def default_seed():
    """The folder of the seed that nearly all guests start from."""
    options = Options(**CALM)
    folder = CACHE / f"seed-{seed_key(options, 'qemu')}"
    if not (folder / "ram").exists():
        with Lab() as lab:
            seed_folder(options, lab)
    return folder


def die_with_parent():
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)


def process_start(pid):
    """When a process started, in ticks; None: there is none."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return None
    fields = stat.rsplit(") ", 1)[1].split()
    return None if fields[0] == "Z" else fields[19]


@dataclass
class VMOptions:
    """How the machine starts.

    stock    AppArmor on, and libvirt as Debian configures it
    build    the folder with vmkeep in it that is handed over
    cache    the cache mode of the data disks
    memory   MiB
    """

    stock: bool = False
    build: Path = TREE / "build-check" / "gcc"
    cache: str = "unsafe"
    memory: int = 3072


class StorageVM:
    """A running machine, or one to start; a context manager.

    dir       its folder: disks, keys, console.log
    keep      it goes on when this process ends, until stop()
    """

    def __init__(self, name=None, options=None, keep=False):
        self.dir = ROOT / f"vm-{name or os.getpid()}"
        self.options = options or VMOptions()
        self.keep = keep
        self.qemu = None

    def __enter__(self):
        self.start()
        return self

    def __exit__(self, *exc):
        self.stop()

    # -- life

    def start(self):
        """Makes the machine, and boots it."""
        if self.pid():
            raise LabError(f"{self.dir} runs already")
        image = image_folder()
        shutil.rmtree(self.dir, ignore_errors=True)
        self.dir.mkdir(parents=True)
        try:
            self._make(image)
            self.boot()
        except BaseException:
            self.stop()
            raise

    def _make(self, image):
        for key in ("key", "host_key"):
            command("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C",
                    "lab", "-f", self.dir / key)
        os.symlink(image / "root.img", self.dir / "root.img")
        self._make_handover()
        for i in range(1, DISKS + 1):
            with open(self.dir / f"d{i}", "wb") as file:
                file.truncate(DISK_MIB << 20)
        for name in ("vmlinuz", "initrd"):
            os.symlink(image / name, self.dir / name)

    def _make_handover(self):
        """A tar of what /lab shall hold. Links stand for what they name."""
        stage = self.dir / "stage"
        for folder in ("ssh", "tree", "cache", "results"):
            (stage / folder).mkdir(parents=True)
        (stage / "ssh" / "authorized_keys").symlink_to(self.dir / "key.pub")
        (stage / "ssh" / "host_key").symlink_to(self.dir / "host_key")
        (stage / "tree" / "test").symlink_to(TREE / "test")
        (stage / "tree" / "build").symlink_to(self.options.build)
        if not self.options.stock:
            (stage / "qemu.conf").symlink_to(HERE / "image" / "qemu.conf")
        known = (self.dir / "root.img").resolve().with_name("capabilities")
        if known.is_dir():
            (stage / "capabilities").symlink_to(known)
        for folder in (guest_files(), default_seed()):
            (stage / "cache" / folder.name).symlink_to(folder)
        command("tar", "-chSf", self.dir / "handover", "-C", stage,
                *EXCLUDE, ".")
        write_file(self.dir / "pushed", str(int(time.time()) - 1))
        shutil.rmtree(stage)

    def boot(self):
        """Starts QEMU, and waits until the system inside is up. It is as new;
        only the data disks are as they were."""
        command("qemu-img", "create", "-q", "-f", "qcow2", "-F", "raw",
                "-b", self.dir / "root.img", self.dir / "root.qcow2")
        log = open(self.dir / "qemu.log", "ab")
        with log:
            self.qemu = subprocess.Popen(
                self._argv(), stdin=subprocess.DEVNULL, stdout=log,
                stderr=log, process_group=0,
                preexec_fn=None if self.keep else die_with_parent)
        write_file(self.dir / "owner",
                   f"{self.qemu.pid} {process_start(self.qemu.pid)}\n")
        wait_until(lambda: self._dead() or self._find_port(), "QEMU")
        wait_until(lambda: self._dead() or self._ssh_answers(),
                   "the storage lab to boot", 0.2, BOOT_PATIENCE)

    def _argv(self):
        """The command line of QEMU."""
        words = ("console=ttyS0 quiet panic=1 net.ifnames=0 mitigations=off "
                 "systemd.show_status=0 ")
        words += ("apparmor=1 security=apparmor" if self.options.stock
                  else "apparmor=0 selinux=0")
        accel = ("kvm" if kvm_works() else "tcg,thread=multi")
        argv = ["qemu-system-x86_64", "-nodefaults", "-display", "none",
                "-accel", accel, "-cpu", "max", "-smp", "2",
                "-m", str(self.options.memory), "-no-reboot",
                "-kernel", self.dir / "vmlinuz", "-initrd",
                self.dir / "initrd", "-append", words,
                "-serial", f"file:{self.dir}/console.log",
                "-qmp", f"unix:{self.dir}/qmp,server=on,wait=off",
                "-device", "virtio-rng-pci",
                "-netdev", "user,id=net,restrict=on,"
                "hostfwd=tcp:127.0.0.1:0-:22",
                "-device", "virtio-net-pci,netdev=net,romfile="]
        argv += drive("root", self.dir / "root.qcow2", "qcow2", "unsafe")
        argv += drive("handover", self.dir / "handover", "raw", "unsafe",
                      "readonly=on")
        for i in range(1, DISKS + 1):
            argv += drive(f"d{i}", self.dir / f"d{i}", "raw",
                          self.options.cache, "discard=unmap")
        return list(map(str, argv))

    def _dead(self):
        """Raises LabError when QEMU has ended."""
        if self.qemu and self.qemu.poll() is not None:
            raise LabError("QEMU ended: "
                           + (self.dir / "qemu.log").read_text()[-500:]
                           + self.console()[-500:])
        return False

    def console(self):
        """What the kernel has said."""
        with contextlib.suppress(OSError):
            return (self.dir / "console.log").read_text(errors="replace")
        return ""

    def _find_port(self):
        """Learns which loopback port QEMU has taken for ssh."""
        try:
            answer = qmp(self.dir / "qmp", "human-monitor-command",
                         {"command-line": "info usernet"})
        except OSError:
            return False
        for line in answer.splitlines():
            words = line.split()
            if words and words[0] == "TCP[HOST_FORWARD]":
                write_file(self.dir / "port", words[3])
                key = (self.dir / "host_key.pub").read_text()
                write_file(self.dir / "known_hosts",
                           f"[127.0.0.1]:{words[3]} {key}")
                return True
        return False

    def _ssh_answers(self):
        port = int((self.dir / "port").read_text())
        with contextlib.suppress(OSError):
            with socket.create_connection(("127.0.0.1", port), 5) as line:
                line.settimeout(5)
                return line.recv(4) == b"SSH-"
        return False

    def pid(self):
        """The process id of its QEMU, or None."""
        try:
            pid, start = (self.dir / "owner").read_text().split()
        except (OSError, ValueError):
            return None
        return int(pid) if process_start(pid) == start else None

    def kill(self):
        """The power fails, now."""
        pid = self.pid()
        if pid:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        if self.qemu:
            self.qemu.wait()
            self.qemu = None
        wait_until(lambda: not self.pid(), "the end of QEMU")

    def stop(self):
        """Ends it; nothing in it is kept."""
        self.kill()
        shutil.rmtree(self.dir, ignore_errors=True)

    # -- commands inside

    def ssh(self, *options):
        """The start of a command line for what runs inside."""
        port = (self.dir / "port").read_text()
        return ["ssh", "-F", "none", "-q", "-p", port,
                "-i", str(self.dir / "key"),
                "-o", "IdentitiesOnly=yes", "-o", "StrictHostKeyChecking=yes",
                "-o", f"UserKnownHostsFile={self.dir}/known_hosts",
                "-o", "ServerAliveInterval=60", "-o", "ConnectTimeout=60",
                *options, "root@127.0.0.1"]

    def run(self, argv, env=None, timeout=None, **options):
        """Runs a command in /lab/tree. Its output is ours. Returns its exit
        code; 124 when it took longer than timeout seconds."""
        with self.popen(argv, env, **options) as process:
            try:
                return process.wait(timeout)
            except BaseException as error:
                process.kill()
                if isinstance(error, subprocess.TimeoutExpired):
                    return 124
                raise

    def popen(self, argv, env=None, **options):
        """Starts a command in /lab/tree. Returns its Popen."""
        pairs = {**ENVIRONMENT, **(env or {})}
        line = "cd /lab/tree && exec " + shlex.join(
            ["env", *(f"{key}={value}" for key, value in pairs.items()),
             *map(str, argv)])
        options.setdefault("stdin", subprocess.DEVNULL)
        return subprocess.Popen([*self.ssh(), line], **options)

    def shell(self):
        """A shell inside, on this terminal."""
        return subprocess.run(
            [*self.ssh("-t"), "cd /lab/tree && exec env "
             + shlex.join(f"{key}={value}" for key, value
                          in ENVIRONMENT.items()) + " bash -l"]).returncode

    def push(self):
        """Hands over what has changed in test/ and the build since."""
        since = (self.dir / "pushed").read_text()
        now = int(time.time()) - 1
        stage = self.dir / "stage"
        shutil.rmtree(stage, ignore_errors=True)
        stage.mkdir()
        (stage / "test").symlink_to(TREE / "test")
        (stage / "build").symlink_to(self.options.build)
        tar = subprocess.Popen(
            ["tar", "-chf", "-", "-C", stage, f"--newer-mtime=@{since}",
             *EXCLUDE, "."], stdout=subprocess.PIPE)
        with tar.stdout:
            code = self.run(["tar", "-C", "/lab/tree", "-xf", "-"],
                            stdin=tar.stdout)
        shutil.rmtree(stage)
        if tar.wait() or code:
            raise LabError("cannot hand files over")
        write_file(self.dir / "pushed", str(now))

    def keep_capabilities(self):
        """Keeps what libvirt has learned about QEMU, for later machines."""
        known = (self.dir / "root.img").resolve().with_name("capabilities")
        if known.exists():
            return
        new = known.with_name(f".capabilities.{os.getpid()}")
        self.fetch(new, "/var/cache/libvirt/qemu/capabilities")
        try:
            os.rename(new, known)
        except OSError:  # another one was quicker
            shutil.rmtree(new)

    def fetch(self, folder, source="/lab/results"):
        """Brings what is in a folder inside back into one here."""
        Path(folder).mkdir(parents=True, exist_ok=True)
        tar = subprocess.Popen(
            [*self.ssh(), shlex.join(["tar", "-C", source, "-cf", "-", "."])],
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE)
        with tar.stdout:
            code = subprocess.run(["tar", "-C", folder, "-xf", "-"],
                                  stdin=tar.stdout).returncode
        if tar.wait() or code:
            raise LabError("cannot bring the results back")


ENVIRONMENT = {
    "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
    "LC_ALL": "C",
    "VMKEEP": "/lab/tree/build/vmkeep",
    "VMKEEP_TEST_CACHE": "/lab/cache",
    "VMKEEP_STORAGE_LAB": "/lab",
}

# Of the tree and the build: no object files, no private folders of meson.
EXCLUDE = [f"--exclude={name}" for name in
           ("__pycache__", "*.p", "*.a", ".ninja*", "build.ninja",
            "compile_commands.json", "meson-*", "corpus")]


def drive(serial, path, format, cache, more=""):
    """Words for QEMU that give the machine a disk."""
    return ["-drive", f"if=none,id={serial},file={path},format={format},"
            f"cache={cache}{',' * bool(more)}{more}",
            "-device", f"virtio-blk-pci,drive={serial},serial={serial}"]


def command(*argv):
    """Runs a program of this machine that must not fail."""
    done = subprocess.run(list(map(str, argv)), stdin=subprocess.DEVNULL,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                          text=True)
    if done.returncode != 0:
        raise LabError(f"{argv[0]}: {done.stdout.strip()[-500:]}")


def qmp(path, name, arguments):
    """Gives QEMU one order. Returns its answer."""
    with socket.socket(socket.AF_UNIX) as line:
        line.settimeout(60)
        line.connect(str(path))
        file = line.makefile("rw")
        file.readline()
        for order in ({"execute": "qmp_capabilities"},
                      {"execute": name, "arguments": arguments}):
            file.write(json.dumps(order) + "\n")
            file.flush()
            while True:
                answer = json.loads(file.readline())
                if "return" in answer or "error" in answer:
                    break
        if "error" in answer:
            raise LabError(f"QEMU: {answer['error']}")
        return answer["return"]
