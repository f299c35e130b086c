#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""What a guest does besides being installed: a database, logs, a journal,
mail, uploads. The same seed gives the same bytes.

usage: guestdata.py first ROOT SEED	fill a fresh guest
       guestdata.py later ROOT SEED	let a day pass
"""

import gzip
import os
import random
import struct
import sys

MIB = 1 << 20
PAGE = 8192
MACHINE = "3f1b0c5d7e9a4b21a6d8c0e2f4061728"


class Words:
    """Text that compresses about as well as logs and tables do."""

    def __init__(self, rng, vocabulary=None):
        self.rng = rng
        rng = vocabulary or rng
        letters = "etaoinshrdlucmfwypvbgkjqxz"
        weights = range(len(letters), 0, -1)
        self.words = ["".join(rng.choices(letters, weights,
                                          k=rng.randint(2, 11)))
                      for _ in range(6000)]
        self.phrases = [" ".join(rng.choices(self.words, k=6))
                        for _ in range(4000)]

    def line(self, now):
        rng = self.rng
        return "%d.%06d host %s[%d]: %s id=%016x %s\n" % (
            now, rng.randrange(10**6), rng.choice(self.words[:40]),
            rng.randrange(300, 32768), rng.choice(self.phrases),
            rng.getrandbits(64), rng.choice(self.words))

    def lines(self, size, now):
        out = bytearray()
        while len(out) < size:
            now += self.rng.randrange(3)
            out += self.line(now).encode()
        return bytes(out[:size])


def database_page(words, number, change):
    """A header, row pointers, free space, rows from the end: as heaps do."""
    rng = words.rng
    rows = bytearray()
    pointers = bytearray()
    while len(rows) < 5800:
        text = rng.choice(words.phrases).encode()
        row = struct.pack("<IIQQ", change, number, rng.getrandbits(40),
                          rng.getrandbits(63)) + text
        row += bytes(-len(row) % 8)
        rows += row
        pointers += struct.pack("<HH", len(rows), len(row))
    page = struct.pack("<QIIQ", change << 20 | number, rng.getrandbits(32),
                       number, 0) + pointers
    return page + bytes(PAGE - len(page) - len(rows)) + bytes(rows)


def make(path):
    os.makedirs(os.path.dirname(path), exist_ok=True)
    return path


class Guest:
    def __init__(self, root, verb, seed):
        self.root = root
        self.rng = random.Random("%s %s" % (verb, seed))
        self.words = Words(self.rng, random.Random(seed))

    def path(self, *names):
        return make(os.path.join(self.root, *names))

    def table(self, i):
        return self.path("srv/db/base/16384", str(16385 + i))

    def wal(self, i):
        return self.path("srv/db/wal", "%024X" % i)

    def journal(self):
        return self.path("var/log/journal", MACHINE, "system.journal")

    # The first day

    def first(self):
        self.make_tables(3, 40 * MIB // PAGE)
        for i in range(4):
            self.write_wal(i)
        self.make_journal(40 * MIB)
        with open(self.path("var/log/syslog"), "wb") as f:
            f.write(self.words.lines(24 * MIB, 1700000000))
        with open(self.path("var/log/auth.log"), "wb") as f:
            f.write(self.words.lines(4 * MIB, 1700000000))
        self.make_mail(0, 1500)
        self.make_uploads(0, 60)
        self.write_state(0)

    def make_tables(self, count, pages):
        for i in range(count):
            with open(self.table(i), "wb") as f:
                for n in range(pages):
                    f.write(database_page(self.words, n, 1))

    def write_wal(self, i):
        """Segments are recycled: written over in place."""
        mode = "r+b" if os.path.exists(self.wal(i)) else "wb"
        with open(self.wal(i), mode) as f:
            for _ in range(16 * MIB // PAGE):
                f.write(database_page(self.words, i, i))

    def make_journal(self, size):
        with open(self.journal(), "wb") as f:
            f.write(b"LPKSHHRH" + self.rng.randbytes(256).ljust(4088, b"\0"))
            f.write(self.rng.randbytes(2 * MIB))
            f.write(self.words.lines(size, 1700000000))

    def make_mail(self, start, count):
        for i in range(start, start + count):
            size = self.rng.randint(1500, 40000)
            with open(self.path("var/mail/new", "%08d" % i), "wb") as f:
                f.write(self.words.lines(size, 1700000000 + i))

    def make_uploads(self, start, count):
        for i in range(start, start + count):
            with open(self.path("srv/uploads", "%06d.jpg" % i), "wb") as f:
                f.write(self.rng.randbytes(self.rng.randint(MIB // 8,
                                                            2 * MIB)))

    def write_state(self, day):
        """Written anew and renamed, mostly what it was before."""
        rng = random.Random(99)
        words = Words(rng)
        path = self.path("var/lib/app/state.db")
        with open(path + ".new", "wb") as f:
            for n in range(24 * MIB // PAGE):
                page = database_page(words, n, 1)
                if day and n % 97 == 5:
                    page = page[:-100] + self.rng.randbytes(100)
                f.write(page)
        os.rename(path + ".new", path)

    # A day later

    def later(self):
        for i in range(3):
            self.update_table(i, 500)
            self.append_table(i, 150)
        self.write_wal(1)
        self.write_wal(4)
        os.unlink(self.wal(0))
        self.grow_journal(8 * MIB)
        with open(self.path("var/log/syslog"), "ab") as f:
            f.write(self.words.lines(4 * MIB, 1700086400))
        self.rotate("var/log/auth.log")
        self.make_mail(1500, 120)
        for i in range(0, 1500, 30):
            os.unlink(self.path("var/mail/new", "%08d" % i))
        self.make_uploads(60, 6)
        os.unlink(self.path("srv/uploads/000007.jpg"))
        self.write_state(1)

    def update_table(self, i, count):
        pages = os.path.getsize(self.table(i)) // PAGE
        with open(self.table(i), "r+b") as f:
            for _ in range(count):
                # most updates go to young rows
                n = int(pages * self.rng.betavariate(3, 1))
                f.seek(n * PAGE)
                f.write(database_page(self.words, n, 2))

    def append_table(self, i, count):
        with open(self.table(i), "ab") as f:
            for n in range(count):
                f.write(database_page(self.words, n, 2))

    def grow_journal(self, size):
        with open(self.journal(), "r+b") as f:
            f.seek(16)
            f.write(self.rng.randbytes(128))
            for _ in range(300):
                f.seek(4096 + self.rng.randrange(2 * MIB // 16) * 16)
                f.write(self.rng.randbytes(16))
            f.seek(0, os.SEEK_END)
            f.write(self.words.lines(size, 1700086400))

    def rotate(self, name):
        path = self.path(name)
        os.rename(path, path + ".1")
        with open(path + ".1", "rb") as old:
            with gzip.GzipFile(path + ".2.gz", "wb", mtime=0) as new:
                new.write(old.read())
        with open(path, "wb") as f:
            f.write(self.words.lines(MIB // 4, 1700086400))


def main():
    if len(sys.argv) != 4 or sys.argv[1] not in ("first", "later"):
        print(__doc__.strip(), file=sys.stderr)
        return 2
    verb, root, seed = sys.argv[1:]
    getattr(Guest(root, verb, seed), verb)()
    return 0


if __name__ == "__main__":
    sys.exit(main())
