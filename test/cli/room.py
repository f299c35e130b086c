# SPDX-License-Identifier: Apache-2.0
"""Repositories on disks that are full or read-only, or somebody else's.

Tests of test/cli/run.py.  They mount small file systems where nobody else sees
them, so they need root.
"""

import ctypes
import functools
import json
import os
import shutil
import signal
import subprocess
import time

STATE = ["--state-dir", "state"]
NOBODY = 65534
CLONE_NEWNS = 0x20000
SIZE = 2 << 20
RECIPIENT = "9f" * 31 + "01"


class Skip(Exception):
    """The test cannot run here; the message says what is missing."""


class Failure(Exception):
    """What is not as it should be."""


def must(true, what):
    if not true:
        raise Failure(what)


mounted = []    # folders


def mount(*words):
    """On the folder that is the last word; where nobody else sees it."""
    if not mounted:
        if ctypes.CDLL(None).unshare(CLONE_NEWNS) != 0:
            raise Skip("mount namespaces (root)")
        subprocess.run(["mount", "--make-rprivate", "/"], check=True)
    if subprocess.run(["mount", *map(str, words)]).returncode != 0:
        raise Skip(f"mount {' '.join(map(str, words))}")
    mounted.append(words[-1])


def with_mounts(test):
    """Marks a test that mounts: what it did is undone, however it ends."""
    @functools.wraps(test)
    def whole(place):
        try:
            test(place)
        finally:
            while mounted:
                subprocess.run(["umount", mounted.pop()], check=True)
    return whole


class Repository:
    """One that a key file opens, in a folder of the test's."""

    def __init__(self, place, name):
        self.place, self.name = place, name
        self.path = place.folder / name
        self.key = place.folder / (name.replace("/", "-") + ".key")
        self.points = {}

    def run(self, *args, **options):
        return self.place.run("-r", str(self.path), "--key-file",
                              str(self.key), *STATE, *map(str, args),
                              **options)

    def must(self, *args, code=0, **options):
        done = self.run(*args, **options)
        must(done.returncode == code, (args, done))
        return done

    def json(self, *args, code=0):
        return json.loads(self.must(*args, "--json", code=code).stdout)

    def add(self, name, data):
        (self.place.folder / "data").write_bytes(data)
        item = self.json("import", name, "data")["items"][0]
        self.points[item["point"]["id"]] = data

    def whole(self):
        """All points are there, bit for bit, and nothing half is left."""
        self.must("verify", "--level", "data")
        for point, data in self.points.items():
            done = self.must("export", point, "-")
            must(done.stdout == data, f"{point} is not what it was")
        half = [path for path in self.path.rglob("*") if path.is_file()
                and (path.parent.name == "tmp" or path.stat().st_size == 0)]
        must(not half, f"left behind: {half}")


class Disk:
    """A file system of some MiB, that can be filled."""

    def __init__(self, folder, mib):
        folder.mkdir()
        mount("-t", "tmpfs", "-o", f"size={mib}m", "none", folder)
        self.ballast = folder / "ballast"

    def fill(self, room):
        """All but `room` KiB."""
        with open(self.ballast, "wb", buffering=0) as file:
            try:
                while file.write(bytes(1 << 16)) == 1 << 16:
                    pass
                while file.write(bytes(4096)):
                    pass
            except OSError:
                pass
            file.truncate(max(0, file.tell() - (room << 10)))

    def free(self):
        self.ballast.unlink()


def fresh(place, repo, name):
    """Two points of which the second has half of the first's, and a third one
    of its own; a copy of it all beside it."""
    repo.must("init", repo.path)
    data = os.urandom(SIZE)
    repo.add("one", data)
    repo.add("one", data[:SIZE // 2] + os.urandom(SIZE // 2))
    repo.add("two", os.urandom(SIZE // 4))
    copy = place.folder / name
    shutil.copytree(repo.path, copy)
    return copy


def tight(repo, disk, room, *args, codes=(0,)):
    """With so little room it works, or says why and loses nothing; with room
    it works.  Returns whether it failed."""
    disk.fill(room)
    try:
        done = repo.run(*args)
    finally:
        disk.free()
    full = b"No space left" in done.stderr
    must(done.returncode in codes or (done.returncode == 1 and full),
         (room, args, done))
    repo.whole()
    return full


@with_mounts
def full_disk_and_gc(place):
    """Collecting with more and more room: every step of it fails once."""
    disk = Disk(place.folder / "small", 32)
    repo = Repository(place, "small/gc")
    copy = fresh(place, repo, "gc.copy")
    points = dict(repo.points)
    first = next(iter(points))
    failed = 0
    for room in (0, 4, 8, 12, 16, 24, 32, 64, 1024, 2048):
        shutil.rmtree(repo.path)
        shutil.copytree(copy, repo.path)
        repo.points = dict(points)
        del repo.points[first]
        failed += tight(repo, disk, min(room, 4), "forget", first)
        repo.run("forget", first)
        failed += tight(repo, disk, room, "gc")
        repo.must("gc")
        repo.whole()
        must(repo.json("stats")["points"][0]["name"] == "one", "stats")
    must(failed > 4, f"the disk was full {failed} times only")


@with_mounts
def full_disk_and_the_rest(place):
    """No room at all, and one page: for keys, backups, verify and repair."""
    disk = Disk(place.folder / "little", 32)
    repo = Repository(place, "little/repo")
    copy = fresh(place, repo, "little.copy")
    writer = place.folder / "writer.key"
    (place.folder / "data").write_bytes(os.urandom(SIZE))
    for room in (0, 4):
        for args in (["key", "add", "--role", "writer", "--key-file", writer],
                     ["key", "recipient", "add", RECIPIENT],
                     ["import", "three", "data"],
                     ["verify", "--level", "data"],
                     ["repair", "--from", copy]):
            # a recipient may be there that not all is sealed to yet
            tight(repo, disk, room, *args, codes=(0, 3))
            # a key file that opens nothing is none
            if writer.exists():
                must(b"one" in repo.must("points", "--key-file",
                                         writer).stdout, "a dead key")
                writer.unlink()
    for args in (["key", "add", "--role", "writer", "--key-file", writer],
                 ["key", "recipient", "add", RECIPIENT],
                 ["import", "three", "data"]):
        repo.must(*args)
    ids = [key["id"] for key in repo.json("key", "list")["keys"]
           if key["role"] == "writer"]
    tight(repo, disk, 0, "key", "remove", ids[0])
    for key in ids:
        repo.run("key", "remove", key)
    gone = repo.run("import", "four", "data", "--key-file", writer)
    must(gone.returncode == 1 and b"removed" in gone.stderr, gone)
    repo.whole()


@with_mounts
def full_disk_and_passphrase(place):
    disk = Disk(place.folder / "tiny", 8)
    (place.folder / "new-words").write_text("second\n")

    def points(words):
        return place.run("-r", "tiny/repo", "points",
                         env={"VMKEEP_PASSPHRASE": words}).returncode == 0

    place.run("init", "tiny/repo", env={"VMKEEP_PASSPHRASE": "first"})
    change = ["-r", "tiny/repo", "key", "passphrase", "--passphrase-file",
              "new-words"]
    disk.fill(0)
    done = place.run(*change, env={"VMKEEP_PASSPHRASE": "first"})
    disk.free()
    must(done.returncode == 1 and b"the old passphrase goes on" in done.stderr
         and b"No space left" in done.stderr, done)
    must(points("first") and not points("second"), "which one is it?")
    done = place.run(*change, env={"VMKEEP_PASSPHRASE": "first"})
    must(done.returncode == 0, done)
    must(points("second") and not points("first"), "which one is it now?")


def damage(repo):
    """Another bit in the largest pack."""
    pack = max((repo.path / "data").rglob("*/*"),
               key=lambda path: path.stat().st_size)
    data = bytearray(pack.read_bytes())
    data[len(data) // 2] ^= 1
    pack.chmod(0o600)
    pack.write_bytes(data)


def damage_is_told(repo, word):
    """Also where it cannot be noted."""
    done = repo.run("verify", "--level", "data")
    must(done.returncode == 5 and b"the seal is broken" in done.stdout
         and b"cannot note the damage" in done.stderr
         and word in done.stderr, done)


@with_mounts
def damage_on_a_full_disk(place):
    disk = Disk(place.folder / "sore", 32)
    repo = Repository(place, "sore/repo")
    copy = fresh(place, repo, "sore.copy")
    damage(repo)
    disk.fill(0)
    damage_is_told(repo, b"No space left")
    done = repo.run("repair", "--from", copy)
    disk.free()
    must(done.returncode in (1, 5) and b"No space left" in done.stderr, done)
    done = repo.run("verify", "--level", "data")
    must(done.returncode == 5, done)
    repo.must("repair", "--from", copy)
    shutil.rmtree(repo.path / "aside")
    repo.whole()


# What reads works; what writes says what is in its way.
READS = (["points"], ["stats"], ["verify", "--level", "data"], ["key", "list"],
         ["gc", "--dry-run"], ["export", "two@latest", "-"],
         ["show", "two@latest"])
WRITES = (["import", "three", "data"], ["gc"],
          ["forget", "--force", "two@latest"],
          ["key", "recipient", "add", RECIPIENT],
          ["key", "add", "--role", "writer", "--key-file", "no-key"])


def cannot_write(repo, word, **options):
    for args in READS:
        repo.must(*args, **options)
    for args in WRITES:
        done = repo.must(*args, code=1, **options)
        must(word in done.stderr and str(repo.path).encode() in done.stderr,
             (args, done))
    must(not (repo.place.folder / "no-key").exists(), "a key for nothing")


@with_mounts
def read_only_disk(place):
    (place.folder / "rw").mkdir()
    (place.folder / "ro").mkdir()
    repo = Repository(place, "rw/repo")
    fresh(place, repo, "rw.copy")
    mount("-o", "bind,ro", place.folder / "rw", place.folder / "ro")
    repo.path = place.folder / "ro/repo"
    cannot_write(repo, b"Read-only file system")
    damage(Repository(place, "rw/repo"))
    damage_is_told(repo, b"Read-only file system")


def somebody_elses(place):
    """A repository that we may not see, may not open, may not change."""
    repo = Repository(place, "theirs")
    fresh(place, repo, "theirs.copy")
    key = repo.key.read_bytes()
    repo.key = place.folder / "their.key"
    repo.key.write_bytes(key)
    os.chown(repo.key, NOBODY, NOBODY)
    repo.key.chmod(0o600)
    place.folder.chmod(0o755)
    for name in ("nobody", "nobody/cache", "nobody/state"):
        (place.folder / name).mkdir()
        os.chown(place.folder / name, NOBODY, NOBODY)
    us = {"user": NOBODY, "group": NOBODY, "extra_groups": [],
          "env": {"VMKEEP_CACHE": str(place.folder / "nobody/cache")}}
    allow = "--state-dir", place.folder / "nobody/state"
    for args in (*READS, *WRITES):
        done = repo.must(*args, *allow, code=1, **us)
        must(b"Permission denied" in done.stderr
             and str(repo.path).encode() in done.stderr, (args, done))
    folders = [repo.path, *(path for path in repo.path.rglob("*")
                            if path.is_dir())]
    for path in folders:
        path.chmod(0o755)
    done = repo.must("points", code=1, **us)
    must(b"Permission denied" in done.stderr, done)
    for path in repo.path.rglob("*"):
        if path.is_file():
            path.chmod(0o644)
    (place.folder / "data").chmod(0o644)
    cannot_write(repo, b"Permission denied", **us)
    place.folder.chmod(0o700)


def killed_in_place(place):
    """SIGKILL at some moment of an export onto what is there: whatever that
    has left, doing it again mends it."""
    repo = Repository(place, "inplace")
    repo.must("init", repo.path)
    data = bytes(1 << 20).join(os.urandom(8 << 20) for _ in range(3))
    repo.add("one", data)
    target = place.folder / "target"
    cut = 0
    for wait in (0.0, 0.05, 0.1, 0.2, 0.4):
        # other data, holes elsewhere, longer or shorter
        old = os.urandom(4 << 20) + bytes(6 << 20) + data[10 << 20:]
        target.write_bytes(old[:int(len(old) * (0.5 + wait))])
        begun = target.stat().st_mtime_ns
        work = subprocess.Popen(
            place.argv(["-r", str(repo.path), "--key-file", str(repo.key),
                        "export", "--in-place", "one@latest", "target"]),
            cwd=place.folder, env=place.env(), stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        while work.poll() is None and target.stat().st_mtime_ns == begun:
            time.sleep(0.001)
        time.sleep(wait / 10)
        work.send_signal(signal.SIGKILL)
        cut += work.wait() == -signal.SIGKILL
        repo.must("export", "--in-place", "one@latest", "target")
        must(target.read_bytes() == data, f"killed after {wait} s")
    must(cut > 0, "none was killed in time")
    repo.whole()


TESTS = [full_disk_and_gc, full_disk_and_the_rest, full_disk_and_passphrase,
         damage_on_a_full_disk, read_only_disk, somebody_elses,
         killed_in_place]
