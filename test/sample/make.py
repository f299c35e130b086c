#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Write the sample repository of the present format.

    make.py VMKEEP FOLDER

A format that is frozen is never written again: its folder stays as it is, and
all later versions must read it.
"""

import hashlib
import json
import os
import subprocess
import sys

PASSPHRASE = "the sample's passphrase"


def noise(seed, size):
    """Bytes that follow from the seed, and do not compress."""
    out = b""
    while len(out) < size:
        seed = hashlib.sha256(seed).digest()
        out += seed
    return out[:size]


def contents():
    words = b"".join(b"line %d of a file\n" % i for i in range(4000))
    base = words + bytes(50000) + noise(b"one", 40000)
    changed = base[:30000] + b"changed" + base[30007:]
    many = b"".join(b"%d lines of another\n" % i for i in range(90000))
    return {"first": base,
            "later": changed,
            "gone": many,
            # what is left of the one that is forgotten
            "left": many[400 << 12:],
            "wide": noise(b"three", 5000) + bytes(9 << 20) + words[:9000],
            "last": changed[:90000] + noise(b"four", 20000),
            "empty": b"", "zero": bytes(70000)}


class Sample:
    def __init__(self, vmkeep, folder):
        self.vmkeep, self.folder = vmkeep, folder
        self.store = os.path.join(folder, "store")
        self.hashes = {}
        os.makedirs(folder)
        with open(self.path("passphrase"), "w", encoding="ascii") as f:
            f.write(PASSPHRASE + "\n")

    def path(self, name):
        return os.path.join(self.folder, name)

    def run(self, *words, key="owner.key", data=None):
        env = {"PATH": os.environ["PATH"], "LC_ALL": "C",
               "VMKEEP_PASSPHRASE_FILE": self.path("passphrase")}
        command = [self.vmkeep, "-r", self.store, "--cache",
                   self.path("cache"), "-q"]
        if key:
            command += ["--key-file", self.path(key)]
        done = subprocess.run(command + list(words), env=env, check=True,
                              input=data, stdout=subprocess.PIPE)
        return done.stdout

    def put(self, name, content, key="owner.key"):
        self.run("import", name, "-", key=key, data=content)
        self.hashes[name] = hashlib.sha256(content).hexdigest()

    def forget(self, name):
        self.run("forget", "--force", name + "@latest")
        del self.hashes[name]

    def make(self):
        c = contents()
        self.run("init", key=None)
        self.run("key", "export", self.path("owner.key"), key=None)
        for role in ("writer", "maintainer", "restorer"):
            subprocess.run(
                [self.vmkeep, "-r", self.store, "-q", "key", "add", "--role",
                 role, "--owner-key", self.path("owner.key"), "--key-file",
                 self.path(role + ".key")], check=True)
        self.put("first", c["first"])
        self.put("gone", c["gone"])
        self.put("wide", c["wide"], "writer.key")
        self.run("gc")
        self.put("left", c["left"])
        self.forget("gone")
        self.run("gc", key="maintainer.key")
        self.put("later", c["later"])
        self.put("last", c["last"], "writer.key")
        for name in ("empty", "zero"):
            self.put(name, c[name])
        self.forget("last")
        with open(self.path("expected.json"), "w", encoding="ascii") as f:
            json.dump(self.hashes, f, indent=1, sort_keys=True)
            f.write("\n")


def main():
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    Sample(os.path.abspath(sys.argv[1]), os.path.abspath(sys.argv[2])).make()
    subprocess.run(["rm", "-rf", os.path.join(sys.argv[2], "cache"),
                    os.path.join(sys.argv[2], "store", "tmp")], check=True)


if __name__ == "__main__":
    main()
