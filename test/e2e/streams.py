# SPDX-License-Identifier: Apache-2.0
"""Images without libvirt: files, devices and streams, in and out again; what
the commands tell of them, and with which exit code."""

import contextlib
import json
import os
import random
import shutil
import signal
import subprocess
import threading
from pathlib import Path

from kit import (DONE, FAILED, INTEGRITY, PATIENCE, USAGE, finish, go, said,
                 stop, stopped, test, wait_until)

PAGE, EXTENT = 4096, 4 << 20
MIB, TIB = 1 << 20, 1 << 40


def mixed(size, seed=0):
    """Bytes that do not compress, with holes and pages of one byte."""
    made = random.Random(seed * 1000 + size % 997)
    parts, have = [], 0
    while have < size:
        run = made.choice((1, 3, 40, 200)) * PAGE
        kind = made.choice("rrrz1")
        parts.append(made.randbytes(run) if kind == "r"
                     else (b"\0" if kind == "z" else b"1") * run)
        have += run
    return b"".join(parts)[:size]


def save(place, name, data):
    path = place.folder / name
    path.write_bytes(data)
    return path


def piped(place, *args, data=b"", key=True, env=None, code=DONE):
    """The program with bytes on its standard input. Returns its output."""
    own = ["--key-file", place.key_file] if key else []
    done = subprocess.run(
        place.lab.argv(*place.argv(args[0], *own, *args[1:], key=False)),
        input=data, env=place.lab.env(place.environment(env)), timeout=PATIENCE,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert done.returncode == code, (args, done.returncode, done.stderr)
    return done.stdout


def take_in(place, name, file, **options):
    """Imports. Returns (id of the point, answer)."""
    answer = place.json("import", name, file, **options)
    [item] = answer["items"]
    assert item["ok"] and item["name"] == name, item
    return item["point"]["id"], answer


def exported(place, point, name="out", *args):
    """Exports to a new file. Returns its path."""
    path = place.folder / name
    path.unlink(missing_ok=True)
    answer = place.json("export", point, path, *args)
    assert answer["size"] == path.stat().st_size, answer
    return path


@contextlib.contextmanager
def loop_device(place, name, size, data=b""):
    """A block device of a size. Yields its path."""
    file = place.folder / f"{name}.loop"
    file.write_bytes(data)
    os.truncate(file, size)
    loop = place.lab.run("losetup", "-f", "--show", file).stdout.strip()
    try:
        yield loop
    finally:
        place.lab.run("losetup", "-d", loop)


# -- in and out


@test
def sizes(place):
    """Around the borders of pages and extents, by file and by stream."""
    seen = {}
    for size in (0, 1, PAGE - 1, PAGE, PAGE + 1, EXTENT - 1, EXTENT,
                 EXTENT + 1, 2 * EXTENT + 5):
        data = mixed(size)
        file = save(place, "in", data)
        point, _ = take_in(place, f"size {size}", file)
        assert exported(place, point).read_bytes() == data, size
        assert piped(place, "export", point, "-") == data, size
        piped(place, "import", f"stream {size}", "-", data=data)
        streamed = f"stream {size}@latest"
        assert exported(place, streamed).read_bytes() == data, size
        seen[point] = size
    points = {point["id"]: point["size"]
              for point in place.json("points")["points"]}
    assert seen.items() <= points.items()
    place.verify("--read-data")


@test
def zeroes(place):
    """Nothing but zeroes costs nothing, and is exported as a hole."""
    file = save(place, "zeroes", bytes(3 * EXTENT + 7))
    point, answer = take_in(place, "zeroes", file)
    assert answer["new_bytes"] == 0, answer
    out = exported(place, point)
    assert out.read_bytes() == file.read_bytes()
    assert out.stat().st_blocks * 512 <= 64 << 10, out.stat()
    piped(place, "import", "zeroes", "-", data=file.read_bytes())
    assert exported(place, "zeroes@latest").read_bytes() == file.read_bytes()


@test
def sparse(place):
    """1 TiB of a hole with three pages in it: quick, and sparse again."""
    file = place.folder / "sparse"
    marks = {0: b"first", TIB // 2 + 12345: b"middle", TIB + 1: b"last"}
    with open(file, "wb") as image:
        for offset, mark in marks.items():
            image.seek(offset)
            image.write(mark)
    before = os.times()
    point, answer = take_in(place, "sparse", file)
    assert answer["stored_bytes"] < MIB, answer
    out = exported(place, point, "sparse.out")
    after = os.times()
    used = sum(after[2:4]) - sum(before[2:4])
    assert used < 10, f"{used} s of CPU time"
    place.note(f"in and out: {used:.1f} s of CPU time")
    assert out.stat().st_size == file.stat().st_size
    assert out.stat().st_blocks * 512 <= MIB
    with open(out, "rb") as image:
        for offset, mark in marks.items():
            image.seek(offset)
            assert image.read(len(mark)) == mark
    assert place.json("show", point)["points"][0]["size"] == TIB + 5
    file.unlink()
    out.unlink()


@test
def block_devices(place):
    """In from a device, out to one: larger with its own bytes behind the
    image, too small and nothing written."""
    data = mixed(2 * EXTENT + PAGE, 3)
    junk = b"\xaa" * (2 * EXTENT + 2 * PAGE)
    with loop_device(place, "source", len(data), data) as loop:
        point, _ = take_in(place, "device", loop)
    assert exported(place, point).read_bytes() == data
    with loop_device(place, "larger", len(junk), junk) as loop:
        place.vmkeep("export", point, loop)
    written = (place.folder / "larger.loop").read_bytes()
    assert written == data + junk[len(data):]
    with loop_device(place, "small", EXTENT, junk) as loop:
        place.vmkeep("export", point, loop, code=FAILED, words=[loop])
    assert (place.folder / "small.loop").read_bytes() == junk[:EXTENT]


@test
def pipes(place):
    """Named pipes at both ends; a reader that goes away; a writer that
    brings nothing."""
    data = mixed(EXTENT + 17, 4)
    fifo = place.folder / "fifo"
    os.mkfifo(fifo)
    feeder = threading.Thread(target=fifo.write_bytes, args=[data])
    feeder.start()
    point, _ = take_in(place, "fifo", fifo)
    feeder.join()
    process = place.start("export", point, fifo)
    got = fifo.read_bytes()
    finish(process)
    assert got == data
    # somebody like head(1): an error in words, and no signal's death
    reader, writer = os.pipe()
    gone = subprocess.Popen(
        place.lab.argv(*place.argv("export", point, "-")), stdout=writer,
        env=place.lab.env(place.environment()), stderr=subprocess.PIPE,
        text=True)
    os.close(writer)
    os.read(reader, 10)
    os.close(reader)
    _, said = gone.communicate(timeout=PATIENCE)
    assert gone.returncode == FAILED and "pipe" in said, (gone, said)
    piped(place, "import", "nothing", "-")
    assert piped(place, "export", "nothing@latest", "-") == b""


@test
def bad_files(place):
    """What cannot be read or must not be overwritten."""
    here = save(place, "mine", b"mine")
    point, _ = take_in(place, "mine", here)
    count = len(place.json("points")["points"])
    nowhere = place.folder / "nowhere"
    place.vmkeep("import", "x", nowhere, code=FAILED, words=[str(nowhere)])
    place.vmkeep("import", "x", place.folder, code=USAGE, words=["folder"])
    place.vmkeep("import", "", here, code=USAGE, words=["name"])
    place.vmkeep("export", point, here, code=FAILED, words=["exists"])
    place.vmkeep("export", point, place.folder, code=FAILED,
                 words=[str(place.folder)])
    place.vmkeep("export", point, nowhere / "x", code=FAILED,
                 words=[str(nowhere)])
    place.vmkeep("export", f"{point}/vda", nowhere, code=FAILED,
                 words=["vda", "image"])
    place.vmkeep("export", point, "-", "--json", code=USAGE, words=["--json"])
    assert here.read_bytes() == b"mine" and not nowhere.exists()
    assert len(place.json("points")["points"]) == count
    # no VM in it: nothing to be restored, and not called a success
    for args in ([], ["--no-define"]):
        place.vmkeep("restore", point, "--to", nowhere, *args, code=FAILED,
                     words=["export"])
    assert not nowhere.exists()
    # a stream that goes on until the file system is full is its user's wish
    place.vmkeep("export", point, "/dev/null")
    place.vmkeep("export", point, "/dev/full", code=FAILED, words=["space"])


def moved_in(process, file):
    """Has it looked for the size of this file, or for data in it?"""
    with contextlib.suppress(OSError):
        for fd in Path(f"/proc/{process.pid}/fd").iterdir():
            if os.readlink(fd) == str(file):
                info = Path(f"/proc/{process.pid}/fdinfo/{fd.name}")
                return "pos:\t0\n" not in info.read_text()
    return False


@test
def cut_meanwhile(place):
    """A file that is cut while it is read: no point, and no damage either."""
    for i in range(50):
        data = random.Random(i).randbytes(64 * MIB)
        done = cut_once(place, f"cut {i}", save(place, "cut", data))
        if done.returncode != DONE:
            said(done, ["import"], FAILED, ["cut", "while it was read"])
            place.vmkeep("show", f"cut {i}", code=FAILED)
            return
        # it was quicker than we: then it has all of it
        assert exported(place, f"cut {i}").read_bytes() == data
    raise AssertionError("never cut in time")


def cut_once(place, name, file):
    """Imports a file, and cuts it when its reading has begun."""
    process = place.start("import", name, file)
    wait_until(lambda: process.poll() is not None or moved_in(process, file),
               "its start", pause=0.0002)
    if process.poll() is None:
        os.kill(process.pid, signal.SIGSTOP)
        wait_until(lambda: stopped(process) or process.poll() is not None,
                   "a stop", pause=0.0002)
        os.truncate(file, MIB)
        go(process)
    out, err = process.communicate(timeout=PATIENCE)
    return subprocess.CompletedProcess([], process.returncode, out, err)


@test
def read_only(place):
    """A repository on a file system that is mounted for reading alone."""
    data = mixed(EXTENT, 11)
    point, _ = take_in(place, "kept", save(place, "kept", data))
    place.lab.run("mount", "--bind", place.repo, place.repo)
    try:
        place.lab.run("mount", "-o", "remount,bind,ro", place.repo)
        for args in (["points"], ["show", point], ["verify"],
                     ["verify", "--read-data"]):
            place.vmkeep(*args)
        assert exported(place, point).read_bytes() == data
        place.vmkeep("import", "x", place.folder / "kept", code=FAILED,
                     words=["Read-only"])
    finally:
        place.lab.run("umount", place.repo)
    place.vmkeep("import", "x", place.folder / "kept")


@test
def copied(place):
    """A copy of a repository goes its own way, and one that was put back to
    what it had been: the cache of the other does not mislead it."""
    copy = place.folder / "its-copy"
    one, two = (save(place, f"copied {i}", mixed(2 * EXTENT, 20 + i))
                for i in range(2))
    take_in(place, "one", one)
    shutil.copytree(place.repo, copy)
    take_in(place, "two", two)
    own = ["-r", copy]
    place.vmkeep("show", "two", *own, code=FAILED)
    answer = place.json("import", "two", two, *own)
    assert answer["new_bytes"] > EXTENT, answer
    place.vmkeep("verify", "--read-data", *own)
    assert exported(place, "two", "out", *own).read_bytes() == (
        two.read_bytes())
    shutil.rmtree(place.repo)
    os.rename(copy, place.repo)
    take_in(place, "two", two)
    place.verify("--read-data")


# -- what is there already


@test
def the_same_again(place):
    """The same image adds next to nothing: by file, by stream, shifted by
    pages, with one page changed."""
    data = mixed(6 * EXTENT + 100, 5)
    file = save(place, "again", data)
    _, first = take_in(place, "again", file)
    assert first["stored_bytes"] > EXTENT, first
    _, second = take_in(place, "again", file)
    piped(place, "import", "again", "-", data=data)
    changed = bytearray(data)
    changed[3 * EXTENT + 5] ^= 1
    _, third = take_in(place, "again", save(place, "changed", changed))
    _, shifted = take_in(place, "again", save(place, "shifted",
                                              mixed(9 * PAGE, 6) + data))
    place.note("stored " + ", ".join(
        f"{one['stored_bytes'] >> 10}" for one in (first, second, third,
                                                   shifted)) + " KiB")
    assert second["new_bytes"] == 0 and second["stored_bytes"] < 32 << 10
    assert 0 < third["new_bytes"] < MIB and third["stored_bytes"] < MIB
    assert shifted["new_bytes"] < EXTENT, shifted
    assert exported(place, "again@latest").read_bytes()[9 * PAGE:] == data


@test
def at_once(place):
    """Imports while another one is in the middle of its own, of the same
    data; one is killed. All others hold what they were given."""
    data = mixed(3 * EXTENT, 7)
    file = save(place, "at-once", data)
    fifo = place.folder / "at-once.fifo"
    os.mkfifo(fifo)
    slow = place.start("import", "slow", fifo)
    with open(fifo, "wb", buffering=0) as pipe:
        pipe.write(data[:EXTENT + 1])
        processes = [place.start("import", f"once {i}", file)
                     for i in range(3)]
        dead = place.start("import", "dead", file)
        os.kill(dead.pid, 9)
        for process in processes:
            finish(process)
        place.verify()
        pipe.write(data[EXTENT + 1:])
    finish(slow)
    stop(dead)
    for name in ("once 0", "once 1", "once 2", "slow"):
        assert exported(place, f"{name}@latest").read_bytes() == data, name
    place.verify("--read-data")


# -- names


@test
def odd_names(place):
    """A name of an import is any text; a POINT finds it again."""
    names = ["two words", "quo'te\"s", "ümläut 日本", "at@home", "a/b",
             "odd@latest", "odd@2026-11", "-dash", "deadbeef", "$(id)", "%s%n",
             "n" * 255, "tab\tand\nfeed"]
    for name in names:
        data = name.encode() * 3
        piped(place, "import", "--", name, "-", data=data)
    for name in names:
        for point in (f"{name}@latest", f"{name}@latest/image", name):
            got = piped(place, "export", "--", point, "-")
            assert got == name.encode() * 3, point
        [point] = json.loads(piped(place, "points", "--json", "--",
                                   name))["points"]
        assert point["name"] == name, point
    listed = place.vmkeep("points").stdout
    assert "tab\tand" not in listed, listed  # nothing for a terminal
    # not UTF-8: exactly what it is, in hexadecimal beside
    raw = b"\xff\xfename"
    piped(place, "import", raw.decode(errors="surrogateescape"), "-")
    answer = json.loads(piped(place, "points", "--json"))
    last = answer["points"][-1]
    assert last["name"] == "��name", last
    assert bytes.fromhex(last["name_hex"]) == raw, last


@test
def point_forms(place):
    """@latest, a time and its beginnings, an id and its first digits; what
    is not there, or not enough."""
    file = save(place, "forms", b"first")
    first, _ = take_in(place, "forms", file)
    file.write_bytes(b"second")
    second, answer = take_in(place, "forms", file)
    time = answer["items"][0]["point"]["time"]
    assert time.endswith("Z"), time

    def means(text):
        return place.json("show", text)["points"][0]["id"]

    assert means("forms@latest") == means("forms") == second
    for point in (first, second):
        assert means(point) == means(point[:12]) == means(point[:20]) == point
    for text in (time[:4], time[:7], time[:10], time[:10] + "T" + time[11:13]):
        text += "Z" * (len(text) > 10)
        assert means(f"forms@{text}") == second, text
    for text in ("forms@1999", "nobody@latest", "forms@soon", "0" * 32,
                 first[:11] + "g", first + "0", first[:3]):
        place.vmkeep("show", text, code=FAILED, words=[text])
    words = place.run("show", "forms@1999").stderr
    assert "'forms' has 2" in words, words
    place.note(words.strip())


# -- results for programs


KEYS = {
    "init": "repository id key_file",
    "domains": "domains",
    "backup": "items read_bytes new_bytes stored_bytes elapsed_ms",
    "import": "items read_bytes new_bytes stored_bytes elapsed_ms",
    "points": "points damaged",
    "show": "points damaged",
    "restore": "point domain state resumed files notes bytes elapsed_ms",
    "export": "point image file size written elapsed_ms",
    "verify": "damages healed level read_data complete sets points images "
              "nodes chunks packs packs_read bytes_read bytes "
              "bytes_ever_read bytes_read_recently unread elapsed_ms",
    "forget": "points sets ram dry_run",
    "gc": "dry_run generation steps points ended packs bytes waiting_packs "
          "waiting_bytes moved_bytes frail left_alone waits_for elapsed_ms",
    "repair": "damages healed damages_before changed objects segments images "
              "stored_bytes unread elapsed_ms",
    "stats": "points names size data unique stored tree nodes chunks packs "
             "pack_bytes objects bytes lost elapsed_ms",
    "key": "action file keys notes damaged",
    "recover": "items",
    "help": "commands options",
    "version": "version",
}
SOMETIMES = {"verify": {"oldest", "oldest_ns"}}
DOMAIN = ("name uuid state pause_reason memory agent nvram tpm disks level "
          "method reasons")
DISK = "target device bus size chain captured why_not"
CHAIN = "number path format type"
ITEM = "name ok degraded warnings"
POINT = ("id set name time time_ns level method size pause_ms host program "
         "images notes attributes places")
IMAGE = "kind name size format source"


def has(object, keys, *more):
    assert set(object) == set(keys.split()) | set(more), object


def answers(place, command, *args, code=DONE, **options):
    """A command's answer, with just the keys that the manual names."""
    answer = place.json(command, *args, code=code, **options)
    sometimes = SOMETIMES.get(command, set())
    has(answer.keys() - sometimes, "schema command exit " + KEYS[command],
        *(["error"] if code else []))
    if code:
        error = set(answer["error"])
        assert {"code", "message"} <= error <= {"code", "message", "errno"}
    return answer


def check_point(point):
    has(point, POINT)
    for image in point["images"]:
        has(image, IMAGE)


@test
def json_keys(place):
    """--json of every command, done and failed: the keys of the manual."""
    answers(place, "init", place.folder / "keys", "--key-file",
            place.folder / "keys.key", key=False)
    guest = place.lab.guest("keys", start=False)
    [domain] = answers(place, "domains", guest.name)["domains"]
    has(domain, DOMAIN)
    for disk in domain["disks"]:
        has(disk, DISK)
        for image in disk["chain"]:
            has(image, CHAIN)
    [item] = answers(place, "backup", guest.name)["items"]
    has(item, ITEM, "point")
    check_point(item["point"])
    [item] = answers(place, "import", "keys", "/etc/passwd")["items"]
    check_point(item["point"])
    for point in answers(place, "points", "keys")["points"]:
        check_point(point)
    [point] = answers(place, "show", "keys@latest")["points"]
    check_point(point)
    id = place.json("points", "keys")["points"][0]["id"]
    answers(place, "restore", id, "--to", place.folder / "keys.to",
            "--no-define")
    answers(place, "export", f"{id}/vda", place.folder / "keys.raw")
    for args in ([], [id], ["--read-data"]):
        answers(place, "verify", *args)
    for command in (["recover"], ["help"], ["help", "backup"], ["version"],
                    ["key", "list"], ["repair"], ["stats"], ["gc"],
                    ["gc", "--dry-run"]):
        answers(place, *command)
    answer = answers(place, "forget", "--force", id)
    assert [point["id"] for point in answer["points"]] == [id], answer
    guest.remove()


@test
def json_failures(place):
    """The same where the command failed."""
    none = ["-r", place.folder / "none"]
    for code, exit, *args in (
            ("exists", FAILED, "init", place.repo),
            ("not_found", FAILED, "domains", "nobody"),
            ("not_found", FAILED, "backup", "nobody"),
            ("not_found", FAILED, "import", "x", place.folder / "nowhere"),
            ("not_found", FAILED, "points", *none),
            ("not_found", FAILED, "show", "nobody"),
            ("not_found", FAILED, "restore", "nobody", "--to",
             place.folder / "x"),
            ("not_found", FAILED, "export", "nobody", place.folder / "x"),
            ("not_found", FAILED, "verify", "nobody")):
        answer = answers(place, *args, code=exit)
        assert answer["error"]["code"] == code, answer
    # what was typed is wrong: an object all the same
    for args in (["nonsense"], ["backup"], ["points", "--no-such"], []):
        done = place.run(*args, "--json")
        answer = json.loads(done.stdout)
        assert done.returncode == answer["exit"] == USAGE, (args, done)
        assert answer["error"]["code"] == "usage", answer


@test
def typed_wrong(place):
    """Exit code 2, one sentence, and nothing done."""
    for args in (["nonsense"], ["import", "x"], ["import", "x", "y", "z"],
                 ["export", "x"], ["backup"], ["show"], ["restore"],
                 ["restore", "x"], ["backup", "x", "--require", "best"],
                 ["backup", "x", "--require", "ram", "--no-memory"],
                 ["points", "--compression", "99"], ["points", "--no-such"],
                 ["points", "-r"], ["completion", "fish"],
                 ["verify", "a", "b"], ["help", "nonsense"]):
        done = place.run(*args, key=False)
        assert done.returncode == USAGE, (args, done)
        assert done.stderr.startswith("vmkeep: "), (args, done)
        assert not done.stdout, (args, done)
    assert "import" in place.run("imprt").stderr
    for args in (["help"], ["--help"], ["import", "--help"], ["--version"],
                 ["completion", "bash"]):
        assert place.vmkeep(*args, key=False).stdout.strip(), args


# -- keys


@test
def key_files(place):
    """A repository with a key file, with and without a passphrase beside;
    settings and environment name it; wrong ones and none at all."""
    here = place.folder / "key-repo"
    key, other = place.folder / "its-key", place.key_file
    env = {"VMKEEP_PASSPHRASE": "both", "VMKEEP_REPOSITORY": here}
    plain = {"VMKEEP_REPOSITORY": here}
    place.vmkeep("init", here, "--key-file", other, key=False, code=FAILED,
                 words=[str(other), "exists"])
    place.vmkeep("init", here, "--key-file", key, key=False, env=env)
    assert key.stat().st_mode & 0o777 in (0o400, 0o600)
    piped(place, "import", "x", "-", data=b"x", key=False, env=env)
    ask = ["points", "--key-file"]
    assert "x" in place.vmkeep(*ask, key, key=False, env=plain).stdout
    # one of two keys is enough, and each must be the right one
    place.vmkeep(*ask, other, key=False, env=plain, code=FAILED,
                 words=[str(other)])
    place.vmkeep("points", key=False, env={**plain,
                                           "VMKEEP_PASSPHRASE": "wrong"},
                 code=FAILED, words=["passphrase"])
    for bad, data in (("empty", b""), ("short", key.read_bytes()[:20]),
                      ("noise", os.urandom(100)), ("huge", bytes(MIB))):
        place.vmkeep(*ask, save(place, f"key.{bad}", data), key=False,
                     env=plain, code=FAILED, words=[f"key.{bad}"])
    place.vmkeep(*ask, place.folder, key=False, env=plain, code=FAILED,
                 words=[str(place.folder)])
    done = place.run("points", key=False, env=plain)
    assert done.returncode in (FAILED, USAGE), done
    config = save(place, "its.conf", f"[vmkeep]\nkey-file = {key}\n"
                  f"repository = {here}\n".encode())
    place.vmkeep("points", "--config", config, key=False,
                 env={"VMKEEP_REPOSITORY": ""})
    # without a passphrase nobody is let in by one
    place.vmkeep("points", key=False, env={"VMKEEP_PASSPHRASE": "any"},
                 code=FAILED)


# -- damage


def break_pack(repo):
    """One byte in the middle of the largest pack. Returns its path."""
    pack = max((repo / "data").rglob("*"),
               key=lambda path: path.is_file() and path.stat().st_size)
    data = bytearray(pack.read_bytes())
    data[len(data) // 2] ^= 4
    pack.chmod(0o600)
    pack.write_bytes(data)
    return pack


def told_damage(place, own, name, pack, whole):
    """verify names the pack, the VM, the disk and what is lost of it."""
    done = place.run("verify", "--read-data", "--json", *own, key=False)
    answer = json.loads(done.stdout)
    assert done.returncode == answer["exit"] == INTEGRITY, done
    damages = answer["damages"]
    assert any(pack.name in one["object"] for one in damages), damages
    lost = [one for one in damages if one["image"]]
    assert lost, damages
    for one in lost:
        has(one, "object point image offset size message")
        assert name in one["point"] and one["image"] == "vda", one
        assert 0 < one["size"] <= EXTENT, one
        assert any(whole[one["offset"]:one["offset"] + one["size"]]), one
    done = place.run("verify", "--read-data", *own, key=False)
    assert done.returncode == INTEGRITY, done
    for word in (name, "vda", pack.name, str(lost[0]["offset"])):
        assert word in done.stdout, (word, done.stdout)
    place.note(f"{len(lost)} ranges")


@test
def damaged(place):
    """Exit code 5, with the VM, the disk and the range that is lost; the
    rest of it, and other points, are as they were."""
    repo, key = place.folder / "damaged", place.folder / "damaged.key"
    own = ["-r", repo, "--key-file", key]
    place.vmkeep("init", *own[1:], key=False)
    guest = place.lab.guest("hurt one", start=False)
    disk = place.folder / "hurt.raw"
    disk.write_bytes(mixed(16 * EXTENT, 8))
    place.lab.run("qemu-img", "convert", "-f", "raw", "-O", "qcow2", disk,
                  guest.disks()["vda"])
    place.vmkeep("backup", guest.name, *own, key=False)
    file = save(place, "well", mixed(2 * EXTENT, 9))
    place.vmkeep("import", "well", file, *own, key=False)
    place.vmkeep("verify", "--read-data", *own, key=False)
    pack = break_pack(repo)
    place.vmkeep("verify", *own, key=False)  # all of it is there
    point = f"{guest.name}@latest"
    told_damage(place, own, guest.name, pack, disk.read_bytes())
    assert place.run("verify", point, "--read-data", *own,
                     key=False).returncode == INTEGRITY
    place.vmkeep("verify", "well@latest", "--read-data", *own, key=False)
    out = place.folder / "hurt.out"
    place.vmkeep("export", f"{point}/vda", out, *own, key=False,
                 code=INTEGRITY, words=[pack.name[:8]])
    place.vmkeep("restore", point, "--to", place.folder / "hurt.to", *own,
                 key=False, code=INTEGRITY, words=[guest.name, "vda"])
    assert not out.exists(), "half an image"
    assert not [path for path in (place.folder / "hurt.to").glob("*")]
    for good, name in ((f"{point}/vdb", None), ("well@latest", file)):
        place.vmkeep("export", good, out, *own, key=False)
        assert name is None or out.read_bytes() == name.read_bytes()
        out.unlink()
    guest.remove()
