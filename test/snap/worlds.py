# SPDX-License-Identifier: Apache-2.0
"""The storages that src/snap knows, each made in files of this test's own.

A world makes volumes, says what of ours is left, and goes without a trace.
"""

import contextlib
import os
import shutil
import subprocess

MIB = 1 << 20


class Missing(Exception):
    """What this machine lacks for a world."""


def sh(*argv, **options):
    done = subprocess.run([str(a) for a in argv], stdin=subprocess.DEVNULL,
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                          text=True, **options)
    if done.returncode != 0:
        raise RuntimeError(f"{argv}: {done.stderr.strip()}")
    return done.stdout


def need(*programs):
    for name in programs:
        if not shutil.which(name):
            raise Missing(f"no program '{name}'")


class World:
    """files: a volume holds files; several: more than one volume at once."""

    name = ""
    files = True
    kind = ""

    def __init__(self, folder):
        self.folder = os.path.join(folder, self.name)
        self.undo = contextlib.ExitStack()
        os.mkdir(self.folder)

    def __enter__(self):
        if os.geteuid() != 0:
            raise Missing("not root")
        try:
            self.make()
        except BaseException:
            self.undo.close()
            raise
        return self

    def __exit__(self, *exc):
        self.undo.close()

    def make(self):
        raise NotImplementedError

    def loop(self, name, size=512 * MIB):
        """A loop device of a sparse file."""
        need("losetup")
        path = os.path.join(self.folder, name + ".img")
        with open(path, "wb") as f:
            f.truncate(size)
        try:
            device = sh("losetup", "-f", "--show", path).strip()
        except RuntimeError as e:
            raise Missing(f"no loop devices: {e}") from e
        self.undo.callback(subprocess.run, ["losetup", "-d", device])
        return device

    def mount(self, device, name):
        path = os.path.join(self.folder, name)
        os.makedirs(path, exist_ok=True)
        sh("mount", device, path)
        self.undo.callback(subprocess.run, ["umount", "-l", path])
        return path

    def disk(self, volume, name="disk.raw"):
        """The path of a disk on volume 0, 1, 2 ... that exists."""
        raise NotImplementedError

    def write(self, path, text):
        with open(path, "r+b" if os.path.exists(path) else "wb") as f:
            f.write(text.encode())
            f.flush()
            os.fsync(f.fileno())

    def left(self):
        """What of ours is there."""
        raise NotImplementedError

    def folders_left(self):
        found = []
        for at, folders, files in os.walk(self.root):
            found += [os.path.join(at, n) for n in folders + files
                      if n.startswith("vmkeep_") or n == ".vmkeep"]
        return found

    def retag(self):
        """Makes every snap of ours one that is not ours; the names."""
        return []


class Btrfs(World):
    name = "btrfs"
    kind = "btrfs"

    def make(self):
        need("mkfs.btrfs", "btrfs")
        device = self.loop("disk")
        sh("mkfs.btrfs", "-q", "-f", device)
        self.root = self.mount(device, "mnt")

    def disk(self, volume, name="disk.raw"):
        path = os.path.join(self.root, f"sub {volume}")
        if not os.path.exists(path):
            sh("btrfs", "subvolume", "create", path)
        return os.path.join(path, name)

    def left(self):
        return self.folders_left()

    def retag(self):
        """Somebody has made another snapshot of that name."""
        names = [n for n in self.left()
                 if os.path.basename(n).startswith("vmkeep_")]
        for n in names:
            sh("btrfs", "subvolume", "delete", n)
            sh("btrfs", "subvolume", "snapshot", "-r",
               os.path.dirname(os.path.dirname(n)), n)
        return names


class Reflink(World):
    name = "reflink"
    kind = "reflink"

    def make(self):
        need("mkfs.xfs")
        device = self.loop("disk")
        sh("mkfs.xfs", "-q", "-f", "-m", "reflink=1", device)
        self.root = self.mount(device, "mnt")

    def disk(self, volume, name="disk.raw"):
        path = os.path.join(self.root, f"sub {volume}")
        os.makedirs(path, exist_ok=True)
        return os.path.join(path, name)

    def left(self):
        return self.folders_left()

    def retag(self):
        names = [n for n in self.left()
                 if os.path.basename(n).startswith("vmkeep_")]
        for n in names:
            os.unlink(n)
            self.write(n, "somebody's")
        return names


class Zfs(World):
    name = "zfs"
    kind = "zfs"

    def make(self):
        need("zfs", "zpool")
        if not os.path.exists("/dev/zfs"):
            raise Missing("no ZFS in this kernel")
        self.pool = f"vmkt{os.getpid()}{self.name}"
        self.root = os.path.join(self.folder, "mnt")
        path = os.path.join(self.folder, "vdev")
        with open(path, "wb") as f:
            f.truncate(1024 * MIB)
        sh("zpool", "create", "-m", self.root, self.pool, path)
        self.undo.callback(subprocess.run,
                           ["zpool", "destroy", "-f", self.pool])
        sh("zfs", "create", "-p", f"{self.pool}/vm")

    def dataset(self, volume):
        return f"{self.pool}/vm/set {volume}"

    def disk(self, volume, name="disk.raw"):
        path = os.path.join(self.root, "vm", f"set {volume}")
        if not os.path.exists(path):
            sh("zfs", "create", self.dataset(volume))
        return os.path.join(path, name)

    def left(self):
        names = sh("zfs", "list", "-Hp", "-r", "-t", "all", "-o", "name",
                   self.pool).splitlines()
        return [n for n in names if "vmkeep_" in n]

    def retag(self):
        names = self.left()
        for n in names:
            sh("zfs", "destroy", n)
            sh("zfs", "snapshot", n)
        return names


class Zvol(Zfs):
    name = "zvol"
    kind = "zvol"
    files = False

    def disk(self, volume, name="disk.raw"):
        path = f"/dev/zvol/{self.pool}/vm/vol{volume}"
        if not os.path.exists(path):
            sh("zfs", "create", "-s", "-V", "16M",
               f"{self.pool}/vm/vol{volume}")
            wait_for(path)
        return path


def wait_for(path):
    subprocess.run(["udevadm", "settle"], check=False)
    for _ in range(300):
        if os.path.exists(path):
            return
        sh("sleep", "0.1")
    raise RuntimeError(f"'{path}' does not appear")


class Lvm(World):
    """LVs in a group of our own."""

    thin = False

    def make(self):
        need("lvs", "lvcreate", "vgcreate")
        if not os.path.exists("/dev/mapper/control"):
            raise Missing("no device mapper in this kernel")
        self.vg = f"vmkt{os.getpid()}{self.name}".replace("-", "")
        device = self.loop("pv", 2048 * MIB)
        sh("vgcreate", "-q", self.vg, device)
        self.undo.callback(subprocess.run,
                           ["vgremove", "-q", "-f", "-y", self.vg],
                           stdout=subprocess.DEVNULL,
                           stderr=subprocess.DEVNULL)
        if self.thin:
            sh("lvcreate", "-q", "-y", "-L", "1024M", "-T",
               f"{self.vg}/pool")

    def lv(self, volume):
        path = f"/dev/{self.vg}/v{volume}"
        if not os.path.exists(path):
            size = (["-V", "320M", "-T", f"{self.vg}/pool"] if self.thin
                    else ["-L", "320M", self.vg])
            sh("lvcreate", "-q", "-y", "-n", f"v{volume}", *size)
            wait_for(path)
        return path

    def disk(self, volume, name="disk.raw"):
        if not self.files:
            return self.lv(volume)
        path = os.path.join(self.folder, f"mnt {volume}")
        if not os.path.exists(path):
            device = self.lv(volume)
            sh(*self.mkfs, device)
            self.mount(device, f"mnt {volume}")
        return os.path.join(path, name)

    def left(self):
        names = sh("lvs", "--noheadings", "-a", "-o", "vg_name,lv_name",
                   "--separator", "/", self.vg).split()
        return [n for n in names if "vmkeep_" in n]

    def retag(self):
        names = self.left()
        for n in names:
            sh("lvchange", "-q", "-y", "--deltag", "vmkeep", n)
        return names


class Thin(Lvm):
    name = "thin"
    kind = "lvm-thin"
    files = False
    thin = True


class Thick(Lvm):
    name = "thick"
    kind = "lvm-thick"
    files = False


class ThinXfs(Lvm):
    name = "thin-xfs"
    kind = "lvm-thin"
    thin = True
    mkfs = ("mkfs.xfs", "-q", "-f")


class ThickExt4(Lvm):
    name = "thick-ext4"
    kind = "lvm-thick"
    mkfs = ("mkfs.ext4", "-q", "-F")


WORLDS = [Btrfs, Reflink, Zfs, Zvol, Thin, Thick, ThinXfs, ThickExt4]
