# SPDX-License-Identifier: Apache-2.0
"""What the tests of doctor share, here and in the storage lab."""

import json
import os
import xml.etree.ElementTree as ET

from lab import Disk

# Of this machine, not of the guest under test.
MACHINE = ["kvm-broken", "clock-loose", "path-filter", "memory-unlocked",
           "emulated", "repo-beside", "overlay-room", "spool-small",
           "spool-in-memory", "image-in-memory", "agent-silent"]


def look(place, *names, code=None, more=()):
    """{rule: finding} of some domains, without what this machine is like."""
    ignore = ["--ignore", ",".join([*MACHINE, *more])]
    done = place.run("doctor", *names, *ignore, "--json")
    answer = json.loads(done.stdout)
    assert answer["exit"] == done.returncode, (done.returncode, answer)
    if code is not None:
        assert done.returncode == code, (code, answer)
    found = {}
    for finding in answer["findings"]:
        found.setdefault(finding["rule"], finding)
    return found


def mend(place, finding):
    """Types the command of a finding."""
    path = f"{os.path.dirname(place.program)}:{os.environ['PATH']}"
    place.lab.run("sh", "-c", finding["command"], env={"PATH": path})


def edit_disk(guest, target, **driver):
    """Changes the kept definition."""
    xml = guest.xml("--inactive")
    for disk in xml.iterfind("devices/disk"):
        if disk.find("target").get("dev") == target:
            disk.find("driver").attrib.update(driver)
    file = guest.folder / "edited.xml"
    file.write_bytes(ET.tostring(xml))
    guest.lab.virsh("define", file)


def off(place, name, path, kind="qcow2", size="64M", options=(), **driver):
    """Makes an image, and a domain of it that is off."""
    if not path.exists():
        place.lab.run("qemu-img", "create", "-q", "-f", kind, *options, path,
                      size)
    guest = place.lab.guest(name, start=False, disks=[
        Disk(format=kind, path=str(path), witness=False)])
    edit_disk(guest, "vda", discard="unmap", **driver)
    return guest


def rules(place, *args):
    """{rule: finding}, of all rules."""
    code = place.run("doctor", *args).returncode
    return {finding["rule"]: finding for finding in place.json(
        "doctor", *args, code=code)["findings"]}
