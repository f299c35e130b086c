# SPDX-License-Identifier: Apache-2.0
"""Trouble with the repository: wrong keys, damage in every kind of object."""

import hashlib
import json
import os
import shutil

from kit import DONE, FAILED, INTEGRITY, LONG, USAGE, test

SIZE = 3 << 20


def make(place, name, key=True):
    """A repository with two points, under a key file (key) or a passphrase.
    Returns (an Open, [(point, content)])."""
    it = Open(place, place.folder / name, key)
    it.must(DONE, [], "init")
    points = []
    for i in range(2):
        data = os.urandom(SIZE)
        file = place.folder / f"{name}.{i}"
        file.write_bytes(data)
        done = it.must(DONE, [], "import", f"image{i}", file, "--json")
        point = json.loads(done.stdout)["items"][0]["point"]
        points.append((point["id"], data))
    return it, points


class Open:
    """A repository of make()."""

    def __init__(self, place, folder, key):
        self.place, self.folder = place, folder
        self.key = ["--key-file", f"{folder}.key"] if key else []

    def run(self, *args, secret="right one", cache=None):
        if cache is None:
            # a new one: what was read once must not hide the damage
            cache = self.place.folder / "no-cache"
            shutil.rmtree(cache, ignore_errors=True)
        return self.place.run(*args, "-r", self.folder, *self.key, key=False,
                              env={"VMKEEP_PASSPHRASE": secret,
                                   "VMKEEP_CACHE": str(cache)})

    def must(self, code, words, *args, **options):
        done = self.run(*args, **options)
        what = f"{args}: {done.returncode} {done.stdout} {done.stderr}"
        assert done.returncode == code, what
        assert all(word in done.stderr for word in words), what
        return done

    def holds(self, point, data):
        """Is the point there, byte for byte? Never wrong bytes."""
        out = self.place.folder / "holds"
        out.unlink(missing_ok=True)
        done = self.run("export", point, out)
        if done.returncode == 0:
            assert out.read_bytes() == data, "wrong bytes, and no word of it"
            return True
        assert done.returncode in (FAILED, INTEGRITY), done
        assert done.stderr.strip(), done
        return False


@test
def wrong_key(place):
    """A wrong passphrase, a wrong and a damaged key file, none at all."""
    it, points = make(place, "locked", key=False)
    folder = it.folder
    for args in (["points"], ["verify"], ["export", points[0][0], "-"],
                 ["import", "x", "/etc/passwd"], ["backup", "nobody"]):
        it.must(FAILED, ["passphrase"], *args, secret="wrong one")
    place.vmkeep("points", "-r", folder, code=FAILED, words=["key"])
    bad = place.folder / "bad-key"
    bad.write_bytes(place.key_file.read_bytes().replace(b"a", b"b", 1))
    place.vmkeep("points", "--key-file", bad, key=False, code=FAILED,
                 words=[str(bad)])
    place.vmkeep("points", "--key-file", folder / "nowhere", key=False,
                 code=FAILED, words=["nowhere"])
    done = place.run("points", "-r", folder, key=False)
    assert done.returncode in (FAILED, USAGE) and "passphrase" in done.stderr
    place.note(done.stderr.strip())
    assert it.holds(*points[0])


@test
def not_a_repository(place):
    """An empty folder, another folder, a file, nothing."""
    empty, other = place.folder / "empty", place.folder / "other"
    empty.mkdir()
    other.mkdir()
    (other / "file").write_text("mine")
    file = place.folder / "plain"
    file.write_text("a file")
    for path in (empty, other, file, place.folder / "nothing"):
        for args in (["points"], ["verify"], ["backup", "nobody"],
                     ["import", "x", file]):
            done = place.vmkeep(*args, "-r", path, code=FAILED,
                                words=[str(path)])
        place.note(done.stderr.strip()[-120:])
    for path in (other, file, place.repo):
        place.vmkeep("init", path, "--key-file", place.folder / "k2",
                     key=False, code=FAILED, words=[str(path)])
    assert [path.name for path in other.iterdir()] == ["file"]
    assert not list(empty.iterdir()) and file.read_text() == "a file"
    done = place.lab.run(place.program, "points", check=False,
                         env={"VMKEEP_REPOSITORY": ""})
    assert done.returncode == USAGE and done.stderr, done


def change(path, offset, data):
    """Overwrites bytes of a file."""
    os.chmod(path, 0o600)
    with open(path, "r+b") as file:
        file.seek(offset)
        file.write(data)


@test
def newer_format(place):
    """A newer version, or suite, or a feature that must be known: said, and
    nothing written."""
    it, points = make(place, "newer")
    folder = it.folder
    good = (folder / "config").read_bytes()
    for offset, data in ((8, b"\x02\x00"), (10, b"\x02")):
        newer = good[:offset] + data + good[offset + len(data):-32]
        newer += hashlib.sha256(newer).digest()
        change(folder / "config", 0, newer)
        for args in (["points"], ["import", "x", place.key_file]):
            done = it.must(FAILED, ["newer"], *args)
        place.note(done.stderr.strip()[-150:])
        change(folder / "config", 0, good)
    assert it.holds(*points[0])


def objects(folder):
    """{kind: [paths]} of all objects in a repository."""
    kinds = {}
    for path in sorted(folder.rglob("*")):
        kind = path.relative_to(folder).parts[0]
        if path.is_file() and kind != "tmp":
            kinds.setdefault(kind, []).append(path)
    return kinds


def places(size):
    """Offsets worth damaging: head, middle, tail, and in between."""
    few = {9, 40, size // 2, size - 20}
    more = {0, 5, 100, size // 3, size - 60, size - 1}
    return sorted((few | more if LONG else few) & set(range(size)))


def look_at(it, points, what):
    """After damage: verify says 5, and what is told as good is good."""
    done = it.run("verify", "--read-data")
    assert done.returncode in (FAILED, INTEGRITY), (what, done)
    assert (done.stdout + done.stderr).strip()
    return [it.holds(*point) for point in points], done.returncode


@test
def damage(place):
    """One byte wrong in every kind of object at several places: verify finds
    it, no wrong byte is given out, what is not touched is restored."""
    it, points = make(place, "broken")
    folder = it.folder
    for kind, paths in sorted(objects(folder).items()):
        seen = []
        good = paths[-1].read_bytes()
        for offset in places(len(good)):
            change(paths[-1], offset, bytes([good[offset] ^ 0x10]))
            if kind in ("beat", "keys", "sess"):  # not of this key or time
                seen.append([it.holds(*point) for point in points])
            else:
                seen.append(look_at(it, points, (kind, offset))[0])
            change(paths[-1], offset, good[offset:offset + 1])
        lost = sum(not ok for pair in seen for ok in pair)
        place.note(f"{kind} {lost}/{2 * len(seen)}")
        if kind in ("data", "meta"):
            assert all(any(pair) for pair in seen), (kind, seen)
    it.must(DONE, [], "verify", "--read-data")
    assert all(it.holds(*point) for point in points)


@test
def damaged_slot(place):
    """A byte wrong in what the passphrase opens: no word of a wrong one."""
    it, points = make(place, "slot", key=False)
    [path] = objects(it.folder)["keys"]
    good = path.read_bytes()
    for offset in (6, 40, len(good) // 2, len(good) - 5):
        change(path, offset, bytes([good[offset] ^ 0x10]))
        done = it.run("points")
        assert done.returncode in (FAILED, INTEGRITY), done
        assert "wrong passphrase" not in done.stderr, done.stderr
        change(path, 0, good)
    place.note(done.stderr.strip()[-120:])
    assert it.holds(*points[0])


@test
def missing(place):
    """Objects that are gone, cut, or empty."""
    it, points = make(place, "holes")
    folder = it.folder
    for kind, paths in sorted(objects(folder).items()):
        path = paths[-1]
        aside = place.folder / "aside"
        shutil.copy2(path, aside)
        for cut in (None, 0, os.path.getsize(path) // 2):
            if cut is None:
                path.unlink()
            else:
                os.chmod(path, 0o600)
                os.truncate(path, cut)
            done = it.run("verify", "--read-data")
            held = [it.holds(*point) for point in points]
            if kind in ("data", "meta", "config", "idx"):
                assert done.returncode in (FAILED, INTEGRITY), (kind, cut,
                                                                done)
            if kind in ("data", "meta"):
                assert any(held), (kind, cut)
            shutil.copy2(aside, path)
    it.must(DONE, [], "verify", "--read-data")
    assert all(it.holds(*point) for point in points)


@test
def cache_hides_nothing(place):
    """What is cached here says nothing of what is stored there."""
    it, points = make(place, "cached")
    cache = place.folder / "cached.cache"
    it.must(DONE, [], "export", points[0][0], place.folder / "one",
            cache=cache)
    assert list(cache.rglob("*")), "nothing is cached"
    for path in objects(it.folder)["idx"]:
        path.unlink()
    it.must(INTEGRITY, [], "verify", cache=cache)


@test
def backup_into_damage(place):
    """A repository with a damaged pack still takes backups, and what is new
    in them is whole; what verify has found is stored again by the next backup
    of the same source."""
    it, points = make(place, "scarred")
    folder = it.folder
    pack = objects(folder)["data"][0]
    size = pack.stat().st_size
    change(pack, size // 2, b"\xff\x00\xff\x00")
    held = [it.holds(*point) for point in points]
    assert held.count(True) == 1, held
    data = os.urandom(SIZE)
    file = place.folder / "fresh"
    file.write_bytes(data)
    it.must(DONE, [], "import", "fresh", file)
    assert it.holds("fresh@latest", data)
    done = it.must(INTEGRITY, [], "verify", "--read-data")
    assert "image" in done.stdout, done.stdout
    place.note(done.stdout.strip().splitlines()[-1][:100])
    for i in range(2):
        it.must(DONE, [], "import", f"image{i}", place.folder / f"scarred.{i}")
    assert all(it.holds(*point) for point in points)
    done = it.must(DONE, [], "verify", "--read-data")
    assert "hurt nobody" in done.stdout, done.stdout
