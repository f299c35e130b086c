#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Snapshots of every storage that this machine has.

    run.py [WORLD...] [--case NAME] [--list]

The same tests for every storage (worlds.py), by a program that takes, reads,
drops and recovers a call at a time (probe.c).  In the storage lab all of them
run; elsewhere what is missing is said and skipped.
"""

import argparse
import os
import shutil
import signal
import stat
import subprocess
import sys
import tempfile
import time
import traceback

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [os.path.dirname(HERE), HERE]

import results  # noqa: E402
from worlds import WORLDS, Missing, Reflink, Btrfs, Zfs, sh  # noqa: E402

VMKEEP = os.environ.get("VMKEEP") or os.path.join(
    os.path.dirname(os.path.dirname(HERE)), "build-check", "gcc", "vmkeep")
PROBE = os.path.join(os.path.dirname(VMKEEP), "test", "snap", "snapprobe")
SET = "1f2e3d4c-0000"
PATIENCE = "300000"  # ms; an emulated machine on a busy one takes minutes
FAILED, NOT_FOUND, BUSY, NO_SPACE, REFUSED = 1, 3, 5, 7, 8


class Skip(Exception):
    pass


def check(ok, *what):
    if not ok:
        raise AssertionError(" ".join(map(str, what)))


class Answer:
    """What the probe said: rows of columns, and how it ended."""

    def __init__(self, done):
        self.code = done.returncode
        self.raw = done.stdout
        self.rows = [line.split("\t") for line
                     in done.stdout.decode(errors="replace").splitlines()]

    def all(self, word):
        return [row[1:] for row in self.rows if row[0] == word]

    @property
    def error(self):
        errors = self.all("error")
        return int(errors[0][0]) if errors else 0

    def __str__(self):
        return f"[{self.code}] " + self.raw.decode(errors="replace")[:600]


def probe(*argv, **env):
    done = subprocess.run([PROBE, *map(str, argv)], stdin=subprocess.DEVNULL,
                          stdout=subprocess.PIPE,
                          env={**os.environ, "VMKEEP_PROBE_DEADLINE": PATIENCE,
                               **env})
    return Answer(done)


def ok(*argv, **env):
    answer = probe(*argv, **env)
    check(answer.code == 0, argv, answer)
    return answer


class Place:
    """A world, and a journal in it."""

    def __init__(self, world):
        self.world = world
        self.journal = os.path.join(world.folder, "journal")
        self.ballast = 0

    def fresh(self, *paths):
        """Every disk says "old"."""
        if os.path.exists(self.journal):
            os.unlink(self.journal)
        for path in paths:
            self.world.write(path, "old\n")

    def take(self, *paths, **env):
        return ok("take", self.journal, SET, *paths, **env)

    def inside(self, path):
        return ok("find", path).all("place")[0][3]

    def read(self, n, inside, **env):
        return ok("read", self.journal, n, inside, **env).raw

    def nothing_left(self, why):
        left = self.world.left()
        check(not left, why, "leaves", left)

    def recover(self, *more):
        return ok("recover", self.journal, *more)


def case_there_and_back(p):
    """Take, write over it, read the old, drop."""
    path = p.world.disk(0)
    p.fresh(path)
    found = ok("find", path).all("place")[0]
    check(found[1] == p.world.kind, found)
    taken = p.take(path)
    check(len(taken.all("snap")) == 1, taken)
    p.world.write(path, "new\n")
    check(p.read(0, found[3]).startswith(b"old\n"))
    ok("check", p.journal)
    listed = ok("list", path).all("snap")
    check([s[2:4] for s in listed] == [s[2:4] for s in taken.all("snap")],
          listed)
    ok("drop", p.journal)
    p.nothing_left("drop")
    check(open(path, "rb").read(4) == b"new\n")


def case_together(p):
    """Two volumes, and two files of one of them."""
    paths = [p.world.disk(0), p.world.disk(1)]
    if p.world.files:
        paths.append(p.world.disk(0, "second.raw"))
    p.fresh(*paths)
    insides = [p.inside(path) for path in paths]
    taken = p.take(*paths).all("snap")
    shared = p.world.kind != "reflink"
    check(len(taken) == (2 if shared else len(paths)), taken)
    for path in paths:
        p.world.write(path, "new\n")
    check(p.read(0, insides[0]).startswith(b"old\n"))
    check(p.read(1, insides[1]).startswith(b"old\n"))
    if len(paths) > 2:
        check(p.read(0 if shared else 2, insides[2]).startswith(b"old\n"))
    ok("drop", p.journal)
    p.nothing_left("drop")


def case_keeping(p):
    """What a local point names stays, what was opened goes."""
    path = p.world.disk(0)
    p.fresh(path)
    inside = p.inside(path)
    p.take(path)
    held = subprocess.Popen([PROBE, "hold", p.journal, "0", inside],
                            stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    check(held.stdout.readline().startswith(b"path\t"))
    held.send_signal(signal.SIGKILL)
    held.wait()
    p.recover("keep")
    check(len(p.world.left()) > 0, "nothing was kept")
    p.world.write(path, "new\n")
    check(p.read(0, inside).startswith(b"old\n"))
    p.recover()
    p.nothing_left("recovery")


def case_not_ours(p):
    """What somebody has made again under our name is not touched."""
    path = p.world.disk(0)
    p.fresh(path)
    p.take(path)
    changed = p.world.retag()
    check(changed)
    answer = probe("drop", p.journal)
    check(answer.error == REFUSED, answer)
    answer = probe("read", p.journal, 0, "disk.raw")
    check(answer.error == REFUSED, answer)
    answer = probe("recover", p.journal)
    check(answer.error == REFUSED, answer)
    check(set(changed) <= set(p.world.left()), "it was touched")
    for name in changed:
        remove(p.world, name)


def remove(world, name):
    if world.kind in ("zfs", "zvol"):
        sh("zfs", "destroy", name)
    elif world.kind == "btrfs":
        sh("btrfs", "subvolume", "delete", name)
        os.rmdir(os.path.dirname(name))
    elif world.kind == "reflink":
        os.unlink(name)
        os.rmdir(os.path.dirname(name))
    else:
        sh("lvremove", "-q", "-y", name)


def case_killed_taking(p):
    """SIGKILL after each record, and in the middle of the making."""
    paths = [p.world.disk(0), p.world.disk(1)]
    for when in ("1", "1:1", "1:20", "1:200", "2"):
        p.fresh(*paths)
        answer = probe("take", p.journal, SET, *paths, VMKEEP_TEST_KILL=when)
        late = answer.code == 0 and ":" in when
        check(late or answer.code == -signal.SIGKILL, when, answer)
        p.recover()
        p.nothing_left(f"killed at {when}")


def case_killed_reading(p):
    path = p.world.disk(0)
    p.fresh(path)
    inside = p.inside(path)
    p.take(path)
    for when in ("1", "1:30", "2"):
        answer = probe("read", p.journal, 0, inside, VMKEEP_TEST_KILL=when)
        if answer.code == 0:
            check(answer.raw.startswith(b"old\n"))
            continue
        check(answer.code == -signal.SIGKILL, when, answer)
        p.recover("keep")
    p.recover()
    p.nothing_left("killed reading")


def case_killed_dropping(p):
    path = p.world.disk(0)
    for more in (1, 2):
        p.fresh(path)
        p.take(path)
        answer = probe("drop", p.journal, VMKEEP_TEST_KILL=str(more))
        check(answer.code == -signal.SIGKILL, answer)
        p.recover()
        p.nothing_left(f"killed dropping at {more}")


def case_busy(p):
    """What is being read is not dropped, and said to be so."""
    path = p.world.disk(0)
    if p.world.kind in ("btrfs", "reflink"):
        raise Skip("can be dropped while it is read")
    p.fresh(path)
    inside = p.inside(path)
    p.take(path)
    held = subprocess.Popen([PROBE, "hold", p.journal, "0", inside],
                            stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    name = held.stdout.readline().decode().rstrip("\n").split("\t")[1]
    with open(name, "rb") as f:
        check(f.read(4) == b"old\n")
        before = p.world.left()
        answer = probe("drop", p.journal)
        if p.world.kind != "lvm-thin" or not p.world.files:
            check(answer.code != 0, "dropped while it was open")
            check(p.world.left() == before)
    held.stdin.close()
    check(held.wait() == 0, held.stdout.read())
    if os.path.exists(p.journal):
        ok("drop", p.journal)
    p.nothing_left("drop")


def case_odd_names(p):
    """Of files; those of volumes are in the worlds' own."""
    if not p.world.files:
        raise Skip("no files")
    names = ["with blank.raw", "qu\"ote'.raw", "umläut.raw", "-dash.raw",
             "%41\\040.raw", "@at#.raw"]
    paths = [p.world.disk(0, n) for n in names]
    p.fresh(*paths)
    insides = [p.inside(path) for path in paths]
    p.take(*paths)
    for n, inside in enumerate(insides):
        at = n if p.world.kind == "reflink" else 0
        check(p.read(at, inside).startswith(b"old\n"), names[n])
    ok("drop", p.journal)
    bad = p.world.disk(0, "line\nfeed.raw")
    p.world.write(bad, "x")
    check(probe("find", bad).error == REFUSED)
    os.unlink(bad)


def case_ways_there(p):
    """Links, bind mounts, what is mounted over it."""
    path = p.world.disk(0)
    p.fresh(path)
    plain = ok("find", path).all("place")[0]
    link = os.path.join(p.world.folder, "link")
    os.symlink(path, link)
    check(ok("find", link).all("place")[0] == plain)
    os.unlink(link)
    if not p.world.files:
        return
    bound = os.path.join(p.world.folder, "bound")
    os.mkdir(bound)
    sh("mount", "--bind", os.path.dirname(path), bound)
    try:
        found = ok("find", os.path.join(bound, "disk.raw")).all("place")[0]
        if p.world.kind not in ("btrfs", "reflink"):
            check(found == plain, found)
        else:
            check(found[1] in ("btrfs", "reflink"), found)
    finally:
        sh("umount", bound)
    over = os.path.dirname(path)
    sh("mount", "-t", "tmpfs", "none", over)
    try:
        with open(path, "w"):
            pass
        check(probe("find", path).error == REFUSED)
    finally:
        sh("umount", over)


def case_strangers(p):
    """Missing, a folder, something that no storage of ours has."""
    check(probe("find", p.world.folder + "/none").error == NOT_FOUND)
    check(probe("find", p.world.folder).error == REFUSED)
    check(probe("find", "/dev/null").error == REFUSED)
    check(probe("find", "/proc/version").error == REFUSED)
    loop = p.world.loop("plain", 1 << 20) if shutil.which("losetup") else None
    if loop:
        check(probe("find", loop).error == REFUSED)


def case_many(p):
    """1, 10 and 50 volumes at once; the time is what is wanted."""
    if p.world.kind in ("lvm-thick", "lvm-thin"):
        counts = (1, 4)
    else:
        counts = (1, 10, 50)
    for count in counts:
        paths = [p.world.disk(n) for n in range(count)]
        p.fresh(*paths)
        taken = p.take(*paths)
        print(f"  {p.world.name}: {count} volumes taken in "
              f"{taken.all('taken')[0][0]} ms", flush=True)
        ok("drop", p.journal)
    p.nothing_left("many")


def case_nocow(p):
    """A file without checksums is copied, too."""
    if not isinstance(p.world, Btrfs):
        raise Skip("only btrfs")
    path = p.world.disk(0, "nocow.raw")
    open(path, "w").close()
    sh("chattr", "+C", path)
    p.fresh(path)
    copies = {"VMKEEP_PROBE_COPIES": "1"}
    taken = p.take(path, **copies).all("snap")
    check(taken[0][0] == "reflink", taken)
    p.world.write(path, "new\n")
    check(p.read(0, "nocow.raw") == b"old\n")
    ok("drop", p.journal)
    p.nothing_left("drop")


def case_full(p):
    """A file system without a free block: it fails or it is whole."""
    if not isinstance(p.world, (Reflink, Btrfs, Zfs)) or not p.world.files:
        raise Skip("thin pools have a case of their own")
    path = p.world.disk(0)
    p.fresh(path)
    filler = p.world.disk(0, "filler")
    with open(filler, "wb", buffering=0) as f:
        try:
            while True:
                f.write(os.urandom(1 << 20))
        except OSError:
            pass
    inside = p.inside(path)
    answer = probe("take", p.journal, SET, path)
    if answer.code == 0:
        check(p.read(0, inside).startswith(b"old\n"))
    else:
        check(answer.error in (NO_SPACE, FAILED), answer)
    os.unlink(filler)
    if os.path.exists(p.journal):
        p.recover()
    p.nothing_left("full")
    if p.world.kind == "zfs":  # frees later
        sh("zpool", "wait", "-t", "free", p.world.pool)
        sh("zpool", "sync", p.world.pool)


def case_overflow(p):
    """A thick snapshot that is too small is seen, and goes."""
    if p.world.kind != "lvm-thick" or p.world.files:
        raise Skip("only thick LVs that are a disk")
    path = p.world.disk(0)
    p.fresh(path)
    p.take(path, VMKEEP_PROBE_THICK=str(8 << 20))
    ok("check", p.journal)
    fill(path, 0, 7)
    check(probe("check", p.journal).error == NO_SPACE)
    fill(path, 7, 12)
    check(probe("check", p.journal).error == NO_SPACE)
    answer = probe("read", p.journal, 0, "")
    check(answer.error == NO_SPACE, answer)
    ok("drop", p.journal)
    p.nothing_left("drop")


def fill(path, first, last):
    with open(path, "r+b", buffering=0) as f:
        for n in range(first, last):
            f.seek((n + 1) << 20)
            f.write(b"\1" * (1 << 20))
        os.fsync(f.fileno())


def case_hung(p):
    """An lvcreate that is killed at the deadline leaves no disk asleep."""
    if p.world.kind != "lvm-thick" or p.world.files:
        raise Skip("only thick LVs that are a disk")
    path = p.world.disk(0)
    p.fresh(path)
    folder = os.path.join(p.world.folder, "hung")
    os.mkdir(folder)
    with open(os.path.join(folder, "lvcreate"), "w") as f:
        f.write(f"#!/bin/sh\ndmsetup suspend {p.world.vg}-v0\n"
                f"touch {folder}/asleep\nexec sleep 1000\n")
        os.fchmod(f.fileno(), 0o755)
    answer = probe("take", p.journal, SET, path, VMKEEP_PROBE_DEADLINE="9000",
                   PATH=f"{folder}:{os.environ['PATH']}")
    check(b"longer than" in answer.raw, answer)
    check(os.path.exists(os.path.join(folder, "asleep")))
    check(sh("dmsetup", "info", "-c", "--noheadings", "-o", "suspended",
             f"{p.world.vg}-v0").strip() == "Active")
    p.recover()
    p.nothing_left("hung")


def case_thin_full(p):
    """A pool that is nearly full takes none, and reading is given up."""
    if p.world.kind != "lvm-thin" or p.world.files:
        raise Skip("only thin LVs that are a disk")
    paths = [p.world.disk(n) for n in range(4)]
    p.fresh(*paths)
    p.take(paths[0])
    for path in paths[:3]:
        fill(path, 0, 316)
    fill(paths[3], 0, 50)
    check(probe("check", p.journal).error == NO_SPACE)
    ok("drop", p.journal)
    p.fresh()
    check(probe("take", p.journal, SET, paths[0]).error == NO_SPACE)
    p.nothing_left("full pool")


def free(path):
    at = os.statvfs(path)
    return at.f_bavail * at.f_frsize


def overwrite(path, mib):
    """As a guest would; the file system may be full."""
    with open(path, "r+b", buffering=0) as f:
        for n in range(mib):
            f.seek(n << 20)
            f.write(os.urandom(1 << 20))
            os.fsync(f.fileno())


def leave_free(p, left):
    """Takes room of the world's file system, so that so much is left. False
    when it says that it has room that cannot be had yet."""
    more = free(p.world.root) - left
    if more <= 0:
        return True
    p.ballast += 1
    name = os.path.join(p.world.root, f"ballast {p.ballast}")
    with open(name, "wb") as ballast:
        try:
            os.posix_fallocate(ballast.fileno(), 0, more)
            os.fsync(ballast.fileno())
            return True
        except OSError:
            os.unlink(name)
            return False


def nearly_full(p, ask, undo):
    """Takes nearly all room until ask() is refused for it: btrfs frees what was
    dropped when it likes. Each time that it is not, undo()."""
    at = os.statvfs(p.world.root)
    answer = None
    for _ in range(300):
        if leave_free(p, at.f_blocks * at.f_frsize // 25):
            answer = ask()
            if answer.error:
                break
            undo()
        time.sleep(0.5)
    check(answer and answer.error == NO_SPACE and b"are free" in answer.raw,
          answer)


def case_files_full(p):
    """A file system that is nearly full takes none; what is held is given up
    before the guest cannot write any more, and then it can."""
    if p.world.kind not in ("btrfs", "reflink"):
        raise Skip("only file systems of snapshots")
    path = p.world.disk(0)
    p.fresh(path)
    fill(path, 0, 100)
    p.take(path)
    ok("check", p.journal)
    nearly_full(p, lambda: probe("check", p.journal), lambda: None)
    overwrite(path, 8)
    ok("drop", p.journal)
    p.nothing_left("full")
    overwrite(path, 8)
    p.fresh()

    def dropped():
        ok("drop", p.journal)
        p.fresh()

    nearly_full(p, lambda: probe("take", p.journal, SET, path), dropped)
    p.nothing_left("full")


def case_held(p):
    """zfs hold, a clone of somebody's: said who, nothing lost."""
    if p.world.kind not in ("zfs", "zvol"):
        raise Skip("only ZFS")
    path = p.world.disk(0)
    p.fresh(path)
    p.take(path)
    snap = p.world.left()[0]
    sh("zfs", "hold", "keep me", snap)
    answer = probe("drop", p.journal)
    check(answer.error == BUSY and b"keep me" in answer.raw, answer)
    sh("zfs", "release", "keep me", snap)
    sh("zfs", "clone", snap, f"{p.world.pool}/mine")
    answer = probe("drop", p.journal)
    check(answer.error == BUSY and b"/mine" in answer.raw, answer)
    sh("zfs", "destroy", f"{p.world.pool}/mine")
    ok("drop", p.journal)
    p.nothing_left("drop")


def case_device(p):
    """A clone is read by what the kernel has made, not by udev's link."""
    if p.world.kind != "zvol":
        raise Skip("only zvols")
    path = p.world.disk(0)
    p.fresh(path)
    p.take(path)
    with subprocess.Popen([PROBE, "hold", p.journal, "0", ""],
                          stdin=subprocess.PIPE,
                          stdout=subprocess.PIPE) as held:
        told = held.stdout.readline().decode().split("\t")[1].strip()
        check(stat.S_ISBLK(os.lstat(told).st_mode), told)
        held.send_signal(signal.SIGKILL)
    p.recover()
    p.nothing_left("recovery")


def case_zfs_own(p):
    """snapdir hidden, nested datasets, encryption, others' snapshots."""
    if p.world.kind != "zfs":
        raise Skip("only ZFS")
    top = p.world.dataset(0)
    path = p.world.disk(0)
    sh("zfs", "set", "snapdir=hidden", top)
    sh("zfs", "create", f"{top}/inner")
    inner = os.path.join(os.path.dirname(path), "inner", "i.raw")
    key = os.path.join(p.world.folder, "key")
    with open(key, "wb") as f:
        f.write(bytes(range(32)))
    sh("zfs", "create", "-o", "encryption=on", "-o", "keyformat=raw", "-o",
       f"keylocation=file://{key}", f"{top}/secret")
    secret = os.path.join(os.path.dirname(path), "secret", "s.raw")
    other = f"{top}@autosnap_2026-11-28_05:00:00_hourly"
    sh("zfs", "snapshot", other)
    p.fresh(path, inner, secret)
    taken = p.take(path, inner, secret).all("snap")
    check(len(taken) == 3, taken)
    for f in (path, inner, secret):
        p.world.write(f, "new\n")
    for n, f in enumerate(("disk.raw", "i.raw", "s.raw")):
        check(p.read(n, f) == b"old\n", f)
    ok("drop", p.journal)
    p.nothing_left("drop")
    check(other in sh("zfs", "list", "-H", "-o", "name", "-t", "snapshot",
                      top))
    sh("zfs", "destroy", "-r", top)


CASES = [(name[5:], fn) for name, fn in list(globals().items())
         if name.startswith("case_")]


def run_world(kind, folder, only, sums):
    try:
        with kind(folder) as world:
            for name, case in CASES:
                if not only or name in only:
                    run_case(world, name, case, sums)
    except Missing as e:
        print(f"{kind.name}: SKIPPED: {e}", flush=True)
        sums[2] += 1


def run_case(world, name, case, sums):
    try:
        case(Place(world))
    except Skip:
        return
    except Exception:  # noqa: BLE001
        print(f"{world.name} {name}: FAILED", flush=True)
        traceback.print_exc(file=sys.stdout)
        sums[1] += 1
        return
    print(f"{world.name} {name}: ok", flush=True)
    sums[0] += 1


def main():
    p = argparse.ArgumentParser()
    p.add_argument("world", nargs="*")
    p.add_argument("--case", action="append")
    p.add_argument("--list", action="store_true")
    args = p.parse_args()
    if args.list:
        print("\n".join(f"{w.name}" for w in WORLDS))
        print("\n".join(f"--case {name}" for name, _ in CASES))
        return
    sums = [0, 0, 0]
    with tempfile.TemporaryDirectory(prefix="vmkeep-snap-",
                                     dir="/var/tmp") as folder:
        for kind in WORLDS:
            if not args.world or kind.name in args.world:
                run_world(kind, folder, args.case, sums)
    results.finish("snap", *sums)


if __name__ == "__main__":
    main()
