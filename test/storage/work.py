#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Work on a repository while the power fails, and what must be true later.

    work.py init FOLDER               a repository, its key and its cache
    work.py do FOLDER SEED [ROUNDS]   imports, forgets, collects; for ever
                                      without ROUNDS
    work.py check FOLDER              on stdin what "do" had said until then

All is in FOLDER, which lies on the file system that suffers.  "do" says "born NAME" when a point is
committed and "dying NAME" before it forgets one: what was born and was not
yet dying must restore, to the byte, and the repository goes on being one.
"""

import os
import random
import subprocess
import sys
import threading
from pathlib import Path

PATIENCE = 600
BLOCK = 64 << 10
# Codes: done; busy, for a collection that has to wait.
DONE, BUSY = 0, 4


def content(name):
    """The image of that name: some blocks that others have, some of its own."""
    rng = random.Random(name)
    shared = [random.Random(i).randbytes(BLOCK) for i in range(8)]
    return b"".join(rng.choice(shared) if rng.random() < 0.4
                    else rng.randbytes(BLOCK)
                    for _ in range(rng.randrange(4, 32)))


class Work:
    """A repository in a folder.

    say(line) hears of each point, when it is born and before it dies.
    """

    def __init__(self, folder, say=None):
        self.folder = Path(folder)
        self.key = self.folder / "key"
        self.say = say or (lambda line: print(line, flush=True))

    def vmkeep(self, *args, codes=(DONE,), input=None):
        """Runs it. Returns its output; raises when it ends otherwise."""
        done = subprocess.run(
            [os.environ["VMKEEP"], *map(str, args), "--key-file",
             str(self.key), "-r", str(self.folder / "repo"),
             "--cache", str(self.folder / "cache")],
            input=input, timeout=PATIENCE, stdout=subprocess.PIPE,
            stderr=subprocess.PIPE)
        if done.returncode not in codes:
            raise RuntimeError(f"vmkeep {' '.join(map(str, args))}: exit "
                               f"{done.returncode}: "
                               f"{done.stderr.decode()[-800:]}"
                               f"{done.stdout.decode()[-800:]}")
        return done.stdout

    def init(self):
        self.folder.mkdir()
        self.vmkeep("init")

    # -- before the cut

    def do(self, seed, rounds=None):
        """Two writers; the first one forgets and collects, too."""
        errors = []

        def writer(which):
            try:
                self._write(f"{seed}-{which}", rounds, which == 0)
            except Exception as error:  # told by the other thread
                errors.append(error)

        threads = [threading.Thread(target=writer, args=(which,))
                   for which in range(2)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        if errors:
            raise errors[0]

    def _write(self, prefix, rounds, collects):
        living = []
        number = 0
        while rounds is None or number < rounds:
            name = f"p{prefix}-{number}"
            self.vmkeep("import", name, "-", input=content(name))
            self.say(f"born {name}")
            living.append(name)
            number += 1
            if not collects or number % 2:
                continue
            name = living.pop(0)
            self.say(f"dying {name}")
            self.vmkeep("forget", "--force", f"{name}@latest")
            self.vmkeep("gc", codes=(DONE, BUSY))

    # -- after it

    def check(self, lines):
        """Raises when something is not as it must be. Returns how many
        points had to be there."""
        living = must_live(lines)
        self.vmkeep("verify", "--level", "data")
        for name in living:
            found = self.vmkeep("export", f"{name}@latest", "-")
            if found != content(name):
                raise RuntimeError(f"point '{name}' is another one")
        self.vmkeep("import", "after", "-", input=content("after"))
        if self.vmkeep("export", "after@latest", "-") != content("after"):
            raise RuntimeError("what is stored after the cut is another one")
        self.vmkeep("gc", codes=(DONE, BUSY))
        self.vmkeep("verify")
        return len(living)


def must_live(lines):
    """The names that were born and not yet dying."""
    living = {}
    for line in lines:
        word, _, name = line.strip().partition(" ")
        if word == "born":
            living[name] = True
        elif word == "dying":
            living.pop(name, None)
    return list(living)


def main():
    verb, folder, *rest = sys.argv[1:]
    work = Work(folder)
    if verb == "init":
        work.init()
    elif verb == "do":
        work.do(*map(int, rest))
    else:
        print(work.check(sys.stdin))


if __name__ == "__main__":
    main()
