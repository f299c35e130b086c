# SPDX-License-Identifier: Apache-2.0
"""Seeds: RAM and disks of a guest that has already booted, in the cache."""

import hashlib
import json
import os
import shutil
import struct
from dataclasses import asdict

from machine import CACHE, LabError, guest_files, locked
from recipe import Disk, Options, domain_xml

SAVE_HEADER = struct.Struct("<16sIIIII56x")  # virQEMUSaveHeader


def seed_key(options, domain_type):
    """Names a seed after all that must be the same in the guests from it."""
    facts = asdict(options)
    for disk in facts["disks"]:
        for free in ("format", "chain", "path", "cache", "options"):
            del disk[free]
    del facts["uuid"]
    facts["type"] = domain_type
    facts["guest"] = guest_files().name
    facts["qemu"] = os.stat("/usr/bin/qemu-system-x86_64").st_mtime
    # wherever the cache is, for seeds are handed on to the storage lab
    facts["recipe"] = domain_xml("seed", Options(disks=[]), []).replace(
        str(CACHE), "")
    text = json.dumps(facts, sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def seed_folder(options, lab):
    """The folder of the seed for these options, made if there is none."""
    folder = CACHE / f"seed-{seed_key(options, lab.domain_type)}"
    with locked(CACHE / f".{folder.name}.lock"):
        if not (folder / "ram").exists():
            make_seed(options, lab, folder)
    os.utime(folder)  # in use; build.sh removes what is not
    return folder


def make_seed(options, lab, folder):
    """Boots a guest and saves it. Only the rename makes the seed exist."""
    plain = [Disk(**{**asdict(disk), "format": "raw", "chain": 0,
                     "path": None, "cache": None, "options": ""})
             for disk in options.disks]
    work = CACHE / f".{folder.name}.new"
    shutil.rmtree(work, ignore_errors=True)
    work.mkdir(parents=True)
    guest = lab.guest(f"seed-{os.getpid()}", **{
        **asdict(options), "disks": plain, "uuid": None})
    try:
        guest.wait_counter_beyond(2)
        if options.agent:
            guest.wait_agent()
        lab.virsh("save", guest.name, work / "ram")
        for i, path in guest.witness_paths().items():
            lab.run("cp", "--sparse=always", path, work / f"flat{i}")
        if options.uefi:
            shutil.copy(guest.nvram(), work / "nvram")
        if guest.failed():
            raise LabError(f"the seed failed: {guest.failed()}")
    finally:
        guest.remove()
    os.rename(work, folder)


def rewrite_save_image(path, xml):
    """Gives a saved RAM image another definition: name, UUID, paths."""
    data = xml.encode() + b"\0"
    with open(path, "r+b") as file:
        head = list(SAVE_HEADER.unpack(file.read(SAVE_HEADER.size)))
        if head[0] != b"LibvirtQemudSave" or len(data) > head[2]:
            raise LabError(f"cannot rewrite the header of {path}")
        head[5] = 0  # no cookie behind the XML
        file.seek(0)
        file.write(SAVE_HEADER.pack(*head) + data.ljust(head[2], b"\0"))
