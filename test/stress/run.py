#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Eight processes at once on one folder, killed at random.

    run.py [BUILD_DIR] [--seconds N] [--seed N] [--keep]

They import, export, verify, forget and collect.  What was told as stored is
there, bit for bit, until it is forgotten; what was forgotten does not come
back; nothing that is read is ever wrong; and in the end nothing is left of
what nobody needs.  Collectors have little patience: they end the sessions of
the killed, and now and then one that lives.

The program is VMKEEP, or BUILD_DIR/vmkeep.  A minute, or as long as --seconds
says; ten with VMKEEP_TEST_LONG=1.  --keep leaves the repository there.
"""

import argparse
import collections
import contextlib
import hashlib
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
import traceback
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))

import results  # noqa: E402

DONE, FAILED, USAGE, PARTLY, BUSY, INTEGRITY = range(6)
LONG = bool(os.environ.get("VMKEEP_TEST_LONG"))
WORKERS = 8
PATIENCE = 300      # seconds that nothing takes unless it hangs
BLOCK = 64 << 10    # bytes of an image that change at once
BLOCKS = 40         # of an image
POOL = 400          # contents of a block
FEW = 12            # points that are kept at least
ENOUGH = 40         # from here on, only forgetting
CALM = 15           # seconds between looks at all points


class Wrong(Exception):
    """Something that must never be."""


def need(good, what):
    if not good:
        raise Wrong(what)


class Ledger:
    """What must be in the repository.

    images   name of an import: SHA-256 of what it was given
    there    id of a point: its name; it must be there
    leaving  the same; its forgetting was begun
    gone     ids that must not come back
    """

    def __init__(self):
        self.lock = threading.Lock()
        self.images, self.there = {}, {}
        self.leaving, self.gone = {}, set()

    def stored(self, point, name):
        """Told by an import, or seen in a list: from now on it stays."""
        with self.lock:
            need(name in self.images, f"a point of nobody: {name}")
            if point not in self.leaving and point not in self.gone:
                self.there[point] = name

    def pick(self, dice, forget=False):
        """Some point that is there, or None. forget: it goes now."""
        with self.lock:
            if not self.there or (forget and len(self.there) <= FEW):
                return None
            point = dice.choice(sorted(self.there))
            if forget:
                self.leaving[point] = self.there.pop(point)
            return point

    def forgotten(self, point):
        with self.lock:
            self.leaving.pop(point, None)
            self.gone.add(point)

    def look(self):
        """(there, leaving, gone) as they are now."""
        with self.lock:
            return dict(self.there), dict(self.leaving), set(self.gone)


class Image:
    """What one writer imports again and again, a little changed."""

    def __init__(self, path, dice):
        self.path, self.dice = path, dice
        self.blocks = [dice.randrange(POOL) for _ in range(BLOCKS)]

    def change(self):
        """Makes the file anew. Returns its SHA-256."""
        for _ in range(self.dice.choice((0, 1, 3, BLOCKS // 2))):
            self.blocks[self.dice.randrange(BLOCKS)] = (
                self.dice.randrange(POOL))
        data = b"".join(map(block, self.blocks))
        # odd sizes, and writers do not share all of their tail
        data = data[:len(data) - self.dice.randrange(BLOCK)]
        self.path.write_bytes(data)
        return hashlib.sha256(data).hexdigest()


def block(number):
    """64 KiB: zeroes, text, or noise; the same for all writers."""
    if number % 5 == 0:
        return bytes(BLOCK)
    if number % 5 == 1:
        return (b"block %d\n" % number * BLOCK)[:BLOCK]
    return random.Random(number).randbytes(BLOCK)


class Run:
    """One run: the folder, the program, what was done so far."""

    def __init__(self, program, folder, seed):
        self.program, self.folder, self.seed = program, folder, seed
        self.repo, self.key = folder / "repo", folder / "key"
        self.ledger = Ledger()
        self.stop, self.pause = threading.Event(), threading.Event()
        self.pause.set()
        self.turns = [threading.Lock() for _ in range(WORKERS)]
        self.collects = False
        self.counts = collections.Counter()
        self.took = {}
        self.wrong = []
        self.numbers = iter(range(1 << 30))

    # -- the program

    def argv(self, *args):
        return [self.program, *map(str, args), "-r", str(self.repo),
                "--key-file", str(self.key)]

    def start(self, *args, cache="cache"):
        env = {"PATH": os.environ["PATH"], "LC_ALL": "C",
               "VMKEEP_CACHE": str(self.folder / cache)}
        return subprocess.Popen(
            self.argv(*args), env=env, stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)

    def run(self, *args, kill=None, **options):
        """Runs it, and kills it after some seconds. None: it was killed."""
        begun = time.monotonic()
        process = self.start(*args, **options)
        try:
            out, err = process.communicate(timeout=kill or PATIENCE)
        except subprocess.TimeoutExpired:
            process.kill()
            out, err = process.communicate()
            need(kill, f"{args}: hangs")
        self.counts[args[0]] += 1
        if process.returncode == -signal.SIGKILL:
            self.counts[f"{args[0]} killed"] += 1
            return None
        took = time.monotonic() - begun
        self.took[args[0]] = (self.took.get(args[0], took) + took) / 2
        need(process.returncode >= 0, f"{args}: died of "
             f"{-process.returncode}: {err}")
        return subprocess.CompletedProcess(args, process.returncode, out, err)

    def moment(self, dice, command):
        """When to kill a command: at any time of its life, or never."""
        if dice.random() < 0.4:
            return None
        return max(0.001, dice.random() * 1.2 * self.took.get(command, 0.3))

    def must(self, *args, codes=(DONE,), **options):
        done = self.run(*args, **options)
        if done is not None:
            need(done.returncode in codes,
                 f"{args}: exit {done.returncode}: {done.stderr}")
        return done

    def json(self, *args, **options):
        return json.loads(self.must(*args, "--json", **options).stdout)

    # -- what the workers do

    def take_in(self, dice, image):
        """An import; a killed one may have stored it or not."""
        name = f"{image.path.name}-{next(self.numbers)}"
        with self.ledger.lock:
            self.ledger.images[name] = None
        digest = image.change()
        with self.ledger.lock:
            self.ledger.images[name] = digest
        for _ in range(dice.choice((1, 1, 2))):  # killed, and tried again
            done = self.run("import", name, image.path, "--json",
                            kill=self.moment(dice, "import"))
            if done is None:
                continue
            if done.returncode != DONE:
                # taken for dead, or collectors were in its way too often
                need(any(word in done.stderr for word in
                         ("ended by a collector", "revoked", "collected")),
                     f"import: exit {done.returncode}: {done.stderr}")
                self.counts["import ended"] += 1
                continue
            [item] = json.loads(done.stdout)["items"]
            self.ledger.stored(item["point"]["id"], name)
            return

    def forget(self, dice):
        point = self.collects and self.ledger.pick(dice, forget=True)
        if not point:
            return
        done = self.must("forget", "--force", point,
                         kill=self.moment(dice, "forget"))
        if done is not None:
            self.ledger.forgotten(point)

    def collect(self, dice):
        """A killed writer is silent, and so is one that takes long; one that
        is waited for makes it end as busy."""
        if not self.collects:
            return
        silent = dice.choice(("1s", "3s", "1h"))
        done = self.must("gc", "--silent", silent, codes=(DONE, BUSY),
                         kill=self.moment(dice, "gc"))
        if done is not None and done.returncode == BUSY:
            self.counts["gc busy"] += 1

    def give_out(self, dice, point=None, cache="cache"):
        """An export; of a point that is being forgotten it may fail."""
        point = point or self.ledger.pick(dice)
        if point is None:
            return
        with self.ledger.lock:
            name = self.ledger.there.get(point)
        if name is None:
            return
        out = self.folder / f"out-{next(self.numbers)}"
        try:
            done = self.run("export", point, out, cache=cache)
            if done.returncode != DONE:
                there, _, _ = self.ledger.look()
                need(point not in there, f"export of {name} {point}: exit "
                     f"{done.returncode}: {done.stderr}")
                return
            digest = hashlib.sha256(out.read_bytes()).hexdigest()
            need(digest == self.ledger.images[name],
                 f"{name} {point}: wrong bytes")
        finally:
            out.unlink(missing_ok=True)

    def look(self):
        """The list of points against the ledger, others being at work."""
        there, _, gone = self.ledger.look()
        listed = {point["id"]: point["name"]
                  for point in self.json("points")["points"]}
        for point, name in listed.items():
            need(point not in gone, f"{name} {point} has come back")
            self.ledger.stored(point, name)
        now, _, _ = self.ledger.look()
        for point, name in there.items():
            need(point in listed or point not in now,
                 f"{name} {point} is lost")

    # -- workers

    def work(self, number):
        dice = random.Random(self.seed * 100 + number)
        image = Image(self.folder / f"vm{number}", dice)
        try:
            while not self.stop.is_set():
                with self.turns[number]:
                    self.one(dice, image, number)
                self.pause.wait()
        except Exception:  # whatever it is, the run has failed
            self.wrong.append(traceback.format_exc(limit=-3))
            self.stop.set()

    def one(self, dice, image, number):
        """One thing of those that this worker does."""
        kind = dice.random()
        if number == 0 and self.collects:
            self.collect(dice)
        elif number == 1:
            self.forget(dice)
            self.look()
            self.give_out(dice)
        elif kind < 0.1:
            self.collect(dice)
        elif self.collects and (kind < 0.2
                                or len(self.ledger.there) > ENOUGH):
            self.forget(dice)
        elif kind < 0.3:
            self.give_out(dice)
        else:
            self.take_in(dice, image)

    # -- the whole

    def check(self, all_of_it):
        """All is quiet: everything is as the ledger says."""
        self.look()
        there, leaving, _ = self.ledger.look()
        listed = {point["id"] for point in self.json("points")["points"]}
        need(set(there) <= listed <= set(there) | set(leaving),
             f"{len(there)} points, and {len(listed)} are listed")
        for point in leaving:
            if point not in listed:
                self.ledger.forgotten(point)
        args = ["--read-data"] if all_of_it else []
        answer = self.json("verify", *args, cache=f"cache-{time.time()}")
        need(not answer["damages"], answer["damages"])
        dice = random.Random(0)
        for point in (there if all_of_it else list(there)[:3]):
            self.give_out(dice, point, cache="cache-2")

    @contextlib.contextmanager
    def quiet(self):
        """No worker does anything meanwhile."""
        self.pause.clear()
        with contextlib.ExitStack() as stack:
            for turn in self.turns:
                stack.enter_context(turn)
            yield
        self.pause.set()

    def storm(self, seconds):
        """All at once, with a look at everything now and then."""
        end = time.monotonic() + seconds
        threads = [threading.Thread(target=self.work, args=[i])
                   for i in range(WORKERS)]
        for thread in threads:
            thread.start()
        try:
            while time.monotonic() < end and not self.stop.wait(
                    min(CALM, end - time.monotonic())):
                with self.quiet():
                    if not self.wrong:
                        self.check(time.monotonic() >= end)
        finally:
            self.stop.set()
            self.pause.set()
            for thread in threads:
                thread.join()

    def everything_goes(self):
        """All points forgotten: collectors leave nothing behind."""
        if not self.collects:
            return
        for point in self.json("points")["points"]:
            self.must("forget", "--force", point["id"])
        for _ in range(6):
            self.must("gc", "--silent", "0s")
        left = {kind: [path for path in (self.repo / kind).rglob("*")
                       if path.is_file()]
                for kind in ("data", "meta", "idx", "tomb", "ring", "points")}
        # the last collectors' own sessions are for the next ones
        outcomes = left.pop("points")
        need(len(outcomes) < 20, f"{len(outcomes)} outcomes")
        need(not any(left.values()), f"still there: {left}")

    def whole(self, seconds):
        """Returns whether all was well; says what was not."""
        self.must("init", self.repo)
        words = self.json("help")["commands"]
        self.collects = {"forget", "gc"} <= {word["name"] for word in words}
        try:
            self.storm(seconds)
            if not self.wrong:
                self.everything_goes()
        except Exception:
            self.wrong.append(traceback.format_exc(limit=-3))
        print(", ".join(f"{what} {count}" for what, count
                        in sorted(self.counts.items())), flush=True)
        for words in self.wrong[:3]:
            print(words)
        return not self.wrong


def main():
    p = argparse.ArgumentParser(description="processes at once, killed")
    p.add_argument("build", nargs="?", help="folder with vmkeep in it")
    p.add_argument("--seconds", type=int, default=600 if LONG else 60)
    p.add_argument("--seed", type=int, default=1)
    p.add_argument("--keep", action="store_true", help="leave what was made")
    args = p.parse_args()
    program = (Path(args.build).resolve() / "vmkeep" if args.build
               else Path(os.environ.get("VMKEEP", "")))
    if not program.is_file():
        p.error("no program: say BUILD_DIR, or set VMKEEP")
    folder = Path(tempfile.mkdtemp(prefix="vmkeep-stress-"))
    run = Run(str(program), folder, args.seed)
    good = run.whole(args.seconds)
    if args.keep:
        print(f"seed {args.seed}: {folder}")
    else:
        shutil.rmtree(folder)
    results.finish("stress", int(good), int(not good), int(not run.collects))


if __name__ == "__main__":
    main()
