#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Is the format what FORMAT.md says, and are old repositories read?

The committed repositories of every format (test/data/sample-*) are read by the
program, and by a second reader that was written from the paper alone
(format.py); the test vectors of the paper are made again.
"""

import hashlib
import json
import os
import re
import shutil
import struct
import subprocess
import sys
import tempfile

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))
sys.path[:0] = [HERE, os.path.join(ROOT, "test")]

import format as paper  # noqa: E402
import make  # noqa: E402
from results import finish  # noqa: E402

DATA = os.path.join(ROOT, "test", "data")
VMKEEP = os.environ.get("VMKEEP", os.path.join(ROOT, "build", "vmkeep"))


def samples():
    return [os.path.join(DATA, n) for n in sorted(os.listdir(DATA))
            if n.startswith("sample-")]


def expected(sample):
    with open(os.path.join(sample, "expected.json"), encoding="ascii") as f:
        return json.load(f)


def opened(sample, role):
    keys = paper.key_file(os.path.join(sample, role + ".key"))
    return paper.Repository(os.path.join(sample, "store"), keys)


def contents(repository):
    return {p["name"]: repository.content_hash(s, i)
            for s in repository.sets() for p in s["points"]
            for i in p["images"]}


# By the paper


def second_reader(sample):
    for role in ("owner", "restorer"):
        assert contents(opened(sample, role)) == expected(sample), role


def names_only(sample):
    for role in ("writer", "maintainer"):
        repository = opened(sample, role)
        names = {p["name"] for s in repository.sets() for p in s["points"]}
        assert names == set(expected(sample)), names
        for name in repository.names("ring"):
            repository.open_ring(name, bytes.fromhex(name[5:37]))
        assert not repository.data_keys, "it can open data keys"


def slots(sample):
    owner = opened(sample, "owner")
    for name in owner.names("keys"):
        bundle = paper.slot(owner.raw(name), make.PASSPHRASE)
        assert bundle.k_id == owner.keys.k_id
        try:
            paper.slot(owner.raw(name), make.PASSPHRASE + "!")
        except paper.Damage:
            continue
        raise AssertionError("a wrong passphrase opens it")


def changed(sample):
    """A bit in the middle of an object: no content, or the same."""
    with tempfile.TemporaryDirectory() as place:
        copy = os.path.join(place, "sample")
        shutil.copytree(sample, copy)
        for folder in ("data", "meta", "points", "idx", "config"):
            path = os.path.join(copy, "store", folder)
            if os.path.isdir(path):
                path = next(os.path.join(top, files[0])
                            for top, _, files in os.walk(path) if files)
            with open(path, "r+b") as f:
                raw = f.read()
                f.seek(len(raw) // 2)
                f.write(bytes([raw[len(raw) // 2] ^ 4]))
            try:
                got = contents(opened(copy, "owner"))
            except Exception:  # of whichever library
                got = None
            assert got in (None, expected(sample)), folder + " was changed"
            with open(path, "wb") as f:
                f.write(raw)


# By the program


def program(sample):
    with tempfile.TemporaryDirectory() as place:
        store, key = os.path.join(place, "s"), os.path.join(place, "key")
        shutil.copytree(os.path.join(sample, "store"), store)
        shutil.copy(os.path.join(sample, "restorer.key"), key)
        os.chmod(key, 0o600)
        command = [VMKEEP, "-r", store, "--key-file", key, "-q", "--cache",
                   os.path.join(place, "cache")]
        for name, want in expected(sample).items():
            done = subprocess.run(command + ["export", name + "@latest", "-"],
                                  check=True, stdout=subprocess.PIPE)
            assert hashlib.sha256(done.stdout).hexdigest() == want, name
        subprocess.run(command + ["verify", "--read-data"], check=True,
                       stdout=subprocess.DEVNULL)


# The test vectors of the paper


def vectors():
    with open(os.path.join(ROOT, "FORMAT.md"), encoding="utf-8") as f:
        text = f.read().split(". Test vectors")[1]
    found = dict(re.findall(r"^    (\w+) += ([0-9a-f]+)$", text, re.M))
    assert len(found) > 8, "few vectors"
    return found


def make_vectors():
    """What the paper should say."""
    k_id, k_cut, k_meta = (bytes(range(i, i + 32)) for i in (0, 32, 64))
    page = bytes(i % 251 for i in range(4096))
    both = page + b"\xff" * 4096
    chunk = paper.chunk_id(k_id, both)
    extent = (b"E" + struct.pack("<H", 3) + struct.pack("<BH", 0, 1) +
              struct.pack("<BH", 1, 2) + chunk + struct.pack("<BH", 0, 1021))
    node = paper.node_id(k_id, extent)
    inner = b"I\x01" + b"\x08" + bytes(31) + node
    salt, name = bytes(range(96, 128)), "notes/damage/" + "ab" * 16
    head = b"VMKO" + struct.pack("<HBB", 1, 1, 0) + salt
    aes = paper.Cipher(paper.algorithms.AES(k_cut),
                       paper.modes.ECB()).encryptor()
    body = paper.AESGCM(paper.hkdf(k_meta, salt, "vmkeep object")).encrypt(
        paper.nonce(0), b"any body", head + paper.string(name) + b"\x01")
    return {"leaf": paper.sha256(page),
            "cut": aes.update(paper.sha256(page)[:16])[:4],
            "chunk": chunk, "extent": extent, "extent_id": node,
            "inner": inner, "inner_id": paper.node_id(k_id, inner),
            "object_key": paper.hkdf(k_meta, salt, "vmkeep object"),
            "object": head + body}


def test_vectors(_):
    made = {k: v.hex() for k, v in make_vectors().items()}
    assert made == vectors(), "the paper says other things"


def main():
    if sys.argv[1:] == ["--vectors"]:
        for name, value in make_vectors().items():
            print(f"    {name:<10} = {value.hex()}")
        return
    cases = [(test_vectors, None)]
    for sample in samples():
        cases += [(c, sample) for c in (second_reader, names_only, slots,
                                        changed, program)]
    failed = int(len(cases) < 2)
    for case, sample in cases:
        name = f"{case.__name__} {os.path.basename(sample or '')}"
        try:
            case(sample)
            print(f"passed  {name}")
        except Exception as e:  # the other cases run all the same
            failed += 1
            print(f"failed  {name}: {type(e).__name__}: {e}")
    finish("sample", len(cases) - failed, failed)


if __name__ == "__main__":
    main()
