# SPDX-License-Identifier: Apache-2.0
"""A second reader of the repository's format, written from FORMAT.md alone.

It shares nothing with the program: what it can read, the paper describes.
Slow, and for small repositories.
"""

import hashlib
import hmac
import os
import struct

import nacl.public
import nacl.pwhash
import nacl.signing
import zstandard
from cryptography.hazmat.primitives.ciphers import (Cipher, algorithms,
                                                    modes)
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

PAGE = 4096
EXTENT = 4 << 20
OWNER, WRITER, MAINTAINER, RESTORER = 1, 2, 3, 4
MAY_SIGN = {"write": (OWNER, WRITER), "keep": (OWNER, MAINTAINER),
            "own": (OWNER,)}


class Damage(Exception):
    pass


def must(fact, text):
    if not fact:
        raise Damage(text)


class Reader:
    """Bytes in, numbers and strings out; nothing may be left over."""

    def __init__(self, data):
        self.data, self.at = data, 0

    def take(self, n):
        must(self.at + n <= len(self.data), "ends too early")
        self.at += n
        return self.data[self.at - n:self.at]

    def number(self, form):
        return struct.unpack("<" + form, self.take(struct.calcsize(form)))[0]

    def u8(self):
        return self.number("B")

    def u16(self):
        return self.number("H")

    def u32(self):
        return self.number("I")

    def u64(self):
        return self.number("Q")

    def string(self):
        return self.take(self.u16()).decode()

    def end(self):
        must(self.at == len(self.data), "has bytes left over")


def string(text):
    raw = text.encode()
    return struct.pack("<H", len(raw)) + raw


def sha256(data):
    return hashlib.sha256(data).digest()


def mac(key, data):
    return hmac.new(key, data, hashlib.sha256).digest()


def hkdf(key, salt, info):
    """RFC 5869, 32 bytes: one round."""
    return mac(mac(salt, key), info.encode() + b"\1")


def nonce(number):
    return struct.pack("<QI", number, 0)


def unseal(key, number, data, aad):
    return AESGCM(key).decrypt(nonce(number), data, aad)


# Keys (section 2)


class Certificate:
    SIZE = 113

    def __init__(self, raw):
        r = Reader(raw)
        self.signer, self.public, self.role = r.take(16), r.take(32), r.u8()
        self.signature = r.take(64)
        r.end()

    def check(self, authority, repository):
        words = (string("vmkeep certificate") + repository + self.signer +
                 self.public + bytes([self.role]))
        nacl.signing.VerifyKey(authority).verify(words, self.signature)


class Bundle:
    def __init__(self, raw):
        r = Reader(raw)
        must(r.u16() == 1, "not a bundle")
        self.role, self.has = r.u8(), r.u8()
        self.repository = r.take(16)
        self.k_id, self.k_cut, self.k_meta = (r.take(32) for _ in range(3))
        self.box_public, self.box_secret = r.take(32), r.take(32)
        self.authority, self.authority_seed = r.take(32), r.take(32)
        self.sign_seed = r.take(32)
        self.certificate = Certificate(r.take(Certificate.SIZE))
        r.end()
        self.certificate.check(self.authority, self.repository)


def key_file(path):
    with open(path, encoding="ascii") as f:
        word, body, digits = f.read().split()
    must(word == "vmkeep-key-1", "not a key file")
    raw = bytes.fromhex(body)
    must(sha256(raw).hex()[:8] == digits, "a damaged key file")
    return Bundle(raw)


def slot(raw, passphrase):
    must(sha256(raw[:-32]) == raw[-32:], "a damaged slot")
    r = Reader(raw[:-32])
    must(r.take(4) == b"VMKS" and r.u16() == 1 and r.u8() == 1 and
         r.u8() == 0, "not a slot")
    key_id = r.take(16)
    memory, passes, salt = r.u32(), r.u32(), r.take(16)
    head = raw[:r.at]
    commitment, seal_salt = r.take(32), r.take(32)
    sealed = r.take(len(raw) - 32 - r.at)
    key = nacl.pwhash.argon2id.kdf(32, passphrase.encode(), salt,
                                   opslimit=passes, memlimit=memory * 1024)
    must(mac(key, b"vmkeep slot\0") == commitment, "a wrong passphrase")
    bundle = Bundle(unseal(hkdf(key, seal_salt, "vmkeep slot"), 0, sealed,
                           head))
    must(bundle.certificate.signer == key_id, "a slot of another key")
    return bundle


# Ids (section 5)


def chunk_id(k_id, data):
    leaves = b"".join(sha256(data[i:i + PAGE])
                      for i in range(0, len(data), PAGE))
    return mac(k_id, b"C" + struct.pack("<I", len(data)) + leaves)


def node_id(k_id, data):
    return mac(k_id, b"N" + struct.pack("<I", len(data)) + data)


def is_cut(k_cut, page, average):
    aes = Cipher(algorithms.AES(k_cut), modes.ECB()).encryptor()
    low = struct.unpack("<I", aes.update(sha256(page)[:16])[:4])[0]
    return low & (average // PAGE - 1) == 0


def cut(k_cut, data, average):
    """The chunks of a run of non-zero pages, in bytes."""
    least, most = average // PAGE // 4, average // PAGE * 4
    sizes, pages = [], 0
    for i in range(0, len(data), PAGE):
        pages += 1
        if pages == most or (pages >= max(least, 1) and
                             is_cut(k_cut, data[i:i + PAGE], average)):
            sizes.append(pages * PAGE)
            pages = 0
    return sizes + ([pages * PAGE] if pages else [])


# Objects (sections 3, 4, 6, 7)


class Pack:
    """A pack of a store: its footer is opened, its blobs on demand."""

    def __init__(self, repository, name, raw):
        must(raw[:8] == b"VMKPACK\0" and raw[-8:] == b"VMKEND\0\0",
             f"{name}: not a pack")
        r = Reader(raw[8:96])
        must(r.u16() == 1 and r.u8() == 1, f"{name}: another version")
        self.cls = chr(r.u8())
        must(r.u32() == 0, f"{name}: a strange header")
        self.id, self.salt = r.take(16), r.take(32)
        self.key, self.session = r.take(16), r.take(16)
        t = Reader(raw[-52:])
        offset, size, total = t.u64(), t.u32(), t.take(32)
        must(sha256(raw[:-52]) == total, f"{name}: a wrong sum")
        must(offset + size == len(raw) - 52, f"{name}: a strange trailer")
        self.repository, self.raw = repository, raw
        plain = unseal(hkdf(repository.keys.k_meta, self.salt + self.id,
                            "vmkeep footer"), 0, raw[offset:offset + size],
                       raw[:96])
        self.blobs = self.footer(Reader(plain))

    def footer(self, r):
        blobs = []
        for number in range(r.u32()):
            b = {"offset": r.u32(), "stored": r.u32(), "raw": r.u32(),
                 "method": r.u8()}
            slots, moved = r.u8(), r.u8()
            b["origin"] = (self.id, self.salt, self.key, number)
            if moved:
                b["origin"] = (r.take(16), r.take(32), r.take(16), r.u32())
            b["slots"] = [(r.u32(), r.take(32)) for _ in range(slots)]
            blobs.append(b)
        r.end()
        return blobs

    def open(self, number):
        """The blob's chunks or nodes by id."""
        b = self.blobs[number]
        pack, salt, key, first = b["origin"]
        secret = (self.repository.keys.k_meta if self.cls == "N"
                  else self.repository.data_key(key))
        aad = struct.pack("<BBIB", ord(self.cls), b["method"], b["raw"],
                          len(b["slots"]))
        aad += b"".join(struct.pack("<I", n) + i for n, i in b["slots"])
        data = unseal(hkdf(secret, salt + pack, "vmkeep blob"), first,
                      self.raw[b["offset"]:b["offset"] + b["stored"]], aad)
        if b["method"] == 1:
            data = zstandard.ZstdDecompressor().decompress(data, b["raw"])
        must(len(data) == b["raw"], "a blob of another size")
        found, at = {}, 0
        for size, ident in b["slots"]:
            found[ident] = data[at:at + size]
            at += size
        return found


class Repository:
    def __init__(self, path, keys):
        self.path, self.keys = path, keys
        self.packs, self.data_keys = {}, {}
        self.removed = None
        self.config()
        self.removed = self.voided()

    # the store

    def names(self, folder):
        found = []
        for top, _, files in os.walk(os.path.join(self.path, folder)):
            found += [os.path.relpath(os.path.join(top, f), self.path)
                      for f in files]
        return sorted(found)

    def raw(self, name):
        with open(os.path.join(self.path, name), "rb") as f:
            return f.read()

    def config(self):
        raw = self.raw("config")
        must(sha256(raw[:-32]) == raw[-32:], "a damaged config")
        r = Reader(raw[:-32])
        must(r.take(8) == b"VMKREPO\0" and r.u16() == 1 and r.u8() == 1 and
             r.u8() == 0, "not a config")
        must(r.take(16) == self.keys.repository, "keys of another one")
        r.u64()
        self.average, _, _ = r.u32(), r.u32(), r.u32()
        must([r.u64() for _ in range(3)] == [0, 0, 0], "unknown features")
        key = hkdf(self.keys.k_meta, self.keys.repository, "vmkeep config")
        must(r.take(32) == mac(key, raw[:-64]), "a forged config")
        r.end()

    # small objects

    def sealed(self, name):
        raw = self.raw(name)
        must(raw[:8] == b"VMKO" + struct.pack("<HBB", 1, 1, 0),
             f"{name}: not an object")
        key = hkdf(self.keys.k_meta, raw[8:40], "vmkeep object")
        frame, body, number, at = (1 << 20) + 16, b"", 0, 40
        while True:
            last = len(raw) - at <= frame
            body += unseal(key, number, raw[at:at + frame],
                           raw[:40] + string(name) + bytes([last]))
            number, at = number + 1, at + frame
            if last:
                return body

    def signed(self, name, *allowed):
        """The body, and the role that has signed it."""
        raw = self.sealed(name)
        body, tail = raw[:-177], raw[-177:]
        certificate = Certificate(tail[:113])
        certificate.check(self.keys.authority, self.keys.repository)
        must(any(certificate.role in MAY_SIGN[a] for a in allowed),
             f"{name}: signed by a wrong role")
        words = (string("vmkeep object") + self.keys.repository +
                 string(name) + sha256(body))
        nacl.signing.VerifyKey(certificate.public).verify(words, tail[113:])
        if self.removed and certificate.signer in self.removed:
            must(not name.startswith(("points/", "gen/", "tomb/")) or
                 name in self.removed[certificate.signer],
                 f"{name}: signed by a removed key")
        return Reader(body), certificate.role

    def voided(self):
        found = {}
        for name in self.names("void"):
            r, _ = self.signed(name, "own")
            must(r.u16() == 1, "a newer record")
            key, _ = r.take(16), r.u64()
            found[key] = [r.string() for _ in range(r.u32())]
        return found

    def data_key(self, ident):
        if ident not in self.data_keys:
            hexed = ident.hex()
            for name in self.names("ring"):
                if name[5:37] == hexed:
                    self.open_ring(name, ident)
        return self.data_keys[ident]

    def open_ring(self, name, ident):
        r, _ = self.signed(name, "write", "own")
        must(r.u16() == 1 and r.take(16) == ident, f"{name}: another key")
        r.take(16)
        for _ in range(r.u8()):
            public, box = r.take(32), r.take(80)
            if public == self.keys.box_public and self.keys.has & 4:
                secret = nacl.public.PrivateKey(self.keys.box_secret)
                self.data_keys[ident] = nacl.public.SealedBox(
                    secret).decrypt(box)
        r.end()

    # the index

    def generation(self):
        """The newest: {segment: frail}, and the number."""
        name = self.names("gen")[-1]
        r, _ = self.signed(name, "keep")
        must(r.u16() == 1, "a newer generation")
        number, _, _ = r.u64(), r.u64(), r.take(16)
        must(name == f"gen/{number:016x}", "a generation of another number")
        segments = {}
        for _ in range(r.u32()):
            segment = r.string()
            segments[segment] = bool(r.u8() & 1)
        for _ in ("condemned", "doomed"):
            for _ in range(r.u32()):
                r.take(17)
                r.take(4 * r.u32())
        r.end()
        return number, segments

    def segment(self, name):
        """{(class, prefix): [(pack, blob, slot)]}"""
        r, _ = self.signed(name, "write", "keep")
        must(r.u16() == 1 and r.u16() == 0, "a newer segment")
        packs, session = r.u32(), r.take(16)
        must(name.startswith(f"idx/{session.hex()}-"), "another's segment")
        _, nodes, chunks, leans = r.u64(), r.u64(), r.u64(), r.u32()
        must(r.u32() == 0, "a strange segment")
        table = [(r.take(16), chr(r.u8()), r.u32(), r.u32(), r.take(16))
                 for _ in range(packs)]
        for _ in range(leans):
            r.string()
        found = {}
        for i in range(nodes + chunks):
            prefix, pack = r.take(16), r.u32()
            blob = r.u16() | r.u8() << 16
            cls = "N" if i < nodes else "D"
            must(table[pack][1] == cls, "an entry in the wrong part")
            found.setdefault((cls, prefix), []).append(
                (table[pack], blob, r.u8()))
        r.end()
        return found

    def pack(self, entry):
        ident, cls, blobs, size, _ = entry
        if ident not in self.packs:
            folder = "meta" if cls == "N" else "data"
            name = f"{folder}/{ident.hex()[:2]}/{ident.hex()}"
            p = Pack(self, name, self.raw(name))
            must(p.id == ident and p.cls == cls and len(p.blobs) == blobs and
                 len(p.raw) == size, f"{name}: not as the index says")
            self.packs[ident] = p
        return self.packs[ident]

    def find(self, index, cls, ident):
        for part in index:
            for entry, blob, number in part.get((cls, ident[:16]), []):
                p = self.pack(entry)
                if p.blobs[blob]["slots"][number][1] == ident:
                    data = p.open(blob)[ident]
                    made = (node_id if cls == "N" else chunk_id)(
                        self.keys.k_id, data)
                    must(made == ident, "data of another id")
                    return data
        raise Damage(f"{ident.hex()} is nowhere")

    # points

    def tombs(self):
        found = set()
        for name in self.names("tomb"):
            r, _ = self.signed(name, "keep")
            must(r.u16() == 1, "a newer tomb")
            point, _, scope, _ = r.take(16), r.take(16), r.u8(), r.u64()
            r.end()
            found.add((point, scope))
        return found

    @staticmethod
    def attributes(r):
        return {r.string(): r.string() for _ in range(r.u32())}

    def image(self, r):
        return {"kind": r.u8(), "name": r.string(), "size": r.u64(),
                "depth": r.u8(), "hole": r.u8(), "top": r.take(32),
                "attributes": self.attributes(r)}

    def point(self, r):
        p = {"id": r.take(16), "name": r.string(), "time": r.u64(),
             "attributes": self.attributes(r)}
        p["images"] = [self.image(r) for _ in range(r.u32())]
        return p

    def sets(self):
        """All that are valid; what is forgotten is left out."""
        tombs, found = self.tombs(), []
        sessions = {n[5:] for n in self.names("sess")}
        for name in self.names("points"):
            r, role = self.signed(name, "write", "keep")
            must(r.u16() == 1, "a newer outcome")
            if r.u8() == 2:
                must(role in MAY_SIGN["keep"], "a writer's \"revoked\"")
                r.end()
                continue
            must(role in MAY_SIGN["write"] and name[7:] in sessions,
                 "no writer's outcome")
            found.append(self.one_set(r, tombs))
        return found

    def one_set(self, r, tombs):
        must(r.u16() == 1, "a newer set")
        s = {"session": r.take(16), "generation": r.u64(), "time": r.u64(),
             "host": r.string(), "program": r.string()}
        s["segments"] = [r.string() for _ in range(r.u32())]
        s["attributes"] = self.attributes(r)
        points = [self.point(r) for _ in range(r.u32())]
        r.end()
        s["points"] = [p for p in points if (p["id"], 1) not in tombs]
        return s

    def index_for(self, s):
        """In the order in which a reader looks."""
        _, listed = self.generation()
        there = set(self.names("idx"))
        names = [n for n in listed if not listed[n]] + s["segments"]
        names += [n for n in listed if listed[n]]
        return [self.segment(n) for n in names if n in there]

    def extent(self, index, data):
        r, out = Reader(data), b""
        must(r.take(1) == b"E", "not an extent")
        for _ in range(r.u16()):
            chunk, pages = r.u8(), r.u16()
            if chunk:
                run = self.find(index, "D", r.take(32))
                must(len(run) == pages * PAGE, "a chunk of another size")
                self.check_cuts(run)
                out += run
            else:
                out += bytes(pages * PAGE)
        r.end()
        must(len(out) == EXTENT, "not 1,024 pages")
        return out

    def check_cuts(self, run):
        """Inside a chunk is no place where it should have ended."""
        must(self.keys.k_cut == bytes(32) or
             cut(self.keys.k_cut, run, self.average) == [len(run)],
             "a chunk that goes on behind its end")

    def tree(self, index, ident, level):
        """{number of the extent: bytes}"""
        data = self.find(index, "N", ident)
        if level == 0:
            return {0: self.extent(index, data)}
        r, out = Reader(data), {}
        must(r.take(1) == b"I" and r.u8() == level, "not an inner node")
        bitmap = r.take(32)
        for i in range(256):
            if bitmap[i // 8] >> i % 8 & 1:
                below = self.tree(index, r.take(32), level - 1)
                for number, extent in below.items():
                    out[i * 256 ** (level - 1) + number] = extent
        r.end()
        return out

    def content_hash(self, s, image):
        """SHA-256 of an image's bytes."""
        extents = {} if image["hole"] else self.tree(
            self.index_for(s), image["top"], image["depth"])
        h, left, number = hashlib.sha256(), image["size"], 0
        while left > 0:
            n = min(left, EXTENT)
            h.update(extents.get(number, bytes(EXTENT))[:n])
            left, number = left - n, number + 1
        return h.hexdigest()
