# SPDX-License-Identifier: Apache-2.0
"""A laboratory with real libvirt and QEMU, for end-to-end tests.

    with Lab() as lab:                      # a private libvirtd
        guest = lab.guest("web1")           # two witness disks, running
        guest.wait_heartbeat()
        lab.virsh("suspend", guest.name)
        lab.run("vmkeep", "backup", guest.name)
        assert not guest.failed()

The parts: machine.py, recipe.py (Disk, Options), guest.py (Guest), console.py,
seed.py. Everything lives in one folder, lab.dir, and ends with the lab. What the test
guest does and prints is told in test/guest/witness.c. Standard library only.
"""

import atexit
import itertools
import os
import re
import shutil
import subprocess
import sys
import uuid as uuid_module
from pathlib import Path

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

from guest import Guest  # noqa: E402
from machine import (CACHE, HERE, PATIENCE, LabError,  # noqa: E402
                     guest_files, kvm_works, locked, missing, wait_until,
                     write_file)
from recipe import (FS_START, OVMF_CODE, PORT, Disk, Options,  # noqa: E402
                    file_system_clean, serial_log)
from seed import SAVE_HEADER, seed_folder  # noqa: E402

__all__ = ["CACHE", "FS_START", "Disk", "Guest", "Lab", "LabError",
           "OVMF_CODE", "Options", "PATIENCE", "PORT", "ROOT", "SAVE_HEADER",
           "file_system_clean", "guest_files", "kvm_works", "missing",
           "serial_log", "wait_until"]

ROOT = Path(os.environ.get("VMKEEP_LAB_ROOT", "/var/tmp/vmkeep-lab"))


class Lab:
    """A private libvirtd in a folder of its own; a context manager.

    name      folder under ROOT; made up if None
    host_uuid, hostname   of the "host"; two labs with different ones can
              migrate guests to one another
    accel     "tcg", "kvm", or "auto": kvm where it truly works
    keep      leave the folder behind for a look (stopped; removed by hand)
    """

    serial = itertools.count(1)

    def __init__(self, name=None, host_uuid=None, hostname=None,
                 accel="tcg", keep=False):
        name = name or f"lab-{os.getpid()}-{next(self.serial)}"
        self.dir = ROOT / name
        self.images = self.dir / "images"
        self.host_uuid = host_uuid or str(uuid_module.uuid4())
        self.hostname = hostname or ""
        self.keep = keep
        self.guests = []
        if accel == "auto":
            accel = "kvm" if kvm_works() else "tcg"
        self.domain_type = {"tcg": "qemu", "kvm": "kvm"}[accel]

    def __enter__(self):
        self.start()
        return self

    def __exit__(self, *exc):
        self.stop()

    # -- life

    def start(self):
        """Removes what dead runs left, then starts libvirtd."""
        lacks = missing()
        if lacks:
            raise LabError("this machine lacks " + ", ".join(lacks))
        ROOT.mkdir(parents=True, exist_ok=True)
        with locked(CACHE / ".lab.lock"):
            self._script("sweep", ROOT)
            self.dir.mkdir()
            self._own()
        atexit.register(self.stop)
        self._script("start", self.dir, self.host_uuid, self.hostname)

    def stop(self):
        """Ends every process of the lab and removes its folder."""
        atexit.unregister(self.stop)
        for guest in self.guests:
            guest.console.close()
        self.guests = []
        if not self.dir.exists():
            return
        self._script("stop", self.dir)
        if not self.keep:
            shutil.rmtree(self.dir)

    def restart_libvirtd(self, kill=False, between=None):
        """Ends libvirtd (kill: by SIGKILL) and starts it; guests go on.
        between() is called while there is none."""
        self._script("end", self.dir, *(["kill"] if kill else []))
        if between:
            between()
        self._script("begin", self.dir)

    def _script(self, *args):
        # Its output goes to a file: daemons inherit it, a pipe would stay open
        with open(CACHE / f".libvirt.{os.getpid()}.log", "w+") as log:
            os.unlink(log.name)
            done = subprocess.run([HERE / "libvirt.sh", *args], stdout=log,
                                  stderr=log, stdin=subprocess.DEVNULL)
            log.seek(0)
            if done.returncode != 0:
                raise LabError(log.read().strip())

    def _own(self):
        """Notes who we are, so that a later run sees that we are dead."""
        stat = Path("/proc/self/stat").read_text().rsplit(") ", 1)[1].split()
        write_file(self.dir / "owner", f"{os.getpid()} {stat[19]}\n")

    # -- commands inside

    def argv(self, *argv):
        """The command line that runs argv inside the lab."""
        return [str(HERE / "in-lab"), *map(str, argv)]

    def env(self, env=None):
        """The environment for argv()."""
        return {**os.environ, "LC_ALL": "C", **(env or {}),
                "VMKEEP_LAB": str(self.dir)}

    def popen(self, *argv, env=None, **options):
        """Starts a command inside the lab. Returns its Popen."""
        return subprocess.Popen(self.argv(*argv), env=self.env(env), **options)

    def run(self, *argv, check=True, timeout=PATIENCE, input=None,
            env=None):
        """Runs a command inside the lab. Returns its CompletedProcess.

        stdout and stderr are text. check: raise LabError when it fails.
        """
        stdin = subprocess.DEVNULL if input is None else None
        done = subprocess.run(self.argv(*argv), env=self.env(env), text=True,
                              input=input, stdin=stdin, timeout=timeout,
                              stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        if check and done.returncode != 0:
            words = " ".join(map(str, argv))
            raise LabError(f"{words}: {done.stderr.strip()}")
        return done

    def virsh(self, *args, check=True, timeout=PATIENCE):
        """Runs virsh inside the lab. Returns its output, stripped."""
        return self.run("virsh", "-q", *args, check=check,
                        timeout=timeout).stdout.strip()

    def libvirtd_pid(self):
        """The process id of libvirtd."""
        return int((self.dir / "run" / "libvirtd.pid").read_text())

    def domains(self, *options):
        """The names of all domains (options as of "virsh list")."""
        names = self.virsh("list", "--name", *(options or ("--all",)))
        return [name for name in names.splitlines() if name]

    def outside(self, path):
        """Where a path that is private in the lab lies on the host."""
        for folder, place in (("etc", "/etc/libvirt"), ("run", "/run/libvirt"),
                              ("lib", "/var/lib/libvirt"),
                              ("log", "/var/log/libvirt"),
                              ("vmkeep-run", "/run/vmkeep"),
                              ("vmkeep-lib", "/var/lib/vmkeep"),
                              ("vmkeep-etc", "/etc/vmkeep")):
            if str(path).startswith(place + "/"):
                return self.dir / folder / str(path)[len(place) + 1:]
        return Path(path)

    # -- guests

    def guest(self, name, seed=False, start=True, **options):
        """Defines a guest, and starts it. Options are those of Options.

        seed: start from saved RAM instead of booting, much quicker; the seed
        is made first if the cache has none for these options.
        """
        guest = Guest(self, name, Options(**options))
        guest.define(seed_folder(guest.options, self) if seed else None)
        if start:
            guest.start()
        return guest

    def attach(self, name, options=None):
        """A Guest for a domain that somebody else defined or restored.

        options: those of the guest it was once, if not the default ones.
        """
        return Guest(self, name, options or Options())

    # -- images

    def flatten(self, source, target, format=None):
        """Writes what an image (with its chain) holds to a raw file."""
        self.run("qemu-img", "convert", "-O", "raw",
                 *(["-f", format] if format else []), source, target)

    def check(self, images):
        """Are these images of a guest's witness disks whole and of one instant?

        images: paths, or (path, format). Returns the last number of the ring;
        raises LabError saying what is wrong.
        """
        folder = self.dir / f"check-{uuid_module.uuid4()}"
        folder.mkdir()
        try:
            flat = []
            for image in images:
                path, format = image if isinstance(image, tuple) else (image,
                                                                       None)
                flat.append(folder / f"disk{len(flat)}")
                self.flatten(path, flat[-1], format)
            done = self.run(guest_files() / "witness", "--check", *flat)
            return int(re.search(r"n=(\d+)", done.stdout).group(1))
        finally:
            shutil.rmtree(folder)
