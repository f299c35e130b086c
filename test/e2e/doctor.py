# SPDX-License-Identifier: Apache-2.0
"""What doctor finds on real guests and storage; its commands do mend it."""

import contextlib
import os
import re
import shlex
import shutil
import xml.etree.ElementTree as ET

from doctor_kit import MACHINE, edit_disk, look, mend, off, rules
from kit import DONE, INTEGRITY, USAGE, Skip, test
from lab import Disk

MIB = 1 << 20


@contextlib.contextmanager
def mounted(place, name, *options):
    """Something mounted in the lab, which is not seen from outside. Yields
    its folder."""
    folder = place.folder / name
    folder.mkdir()
    place.lab.run("mount", *options, folder)
    try:
        yield folder
    finally:
        place.lab.run("umount", folder)
        folder.rmdir()


@contextlib.contextmanager
def file_system(place, name, kind, mib):
    """The same with a file system of this kind, on a loop device."""
    if not shutil.which(f"mkfs.{kind}"):
        raise Skip(f"mkfs.{kind}")
    file = place.folder / f"{name}.img"
    with open(file, "wb") as image:
        image.truncate(mib * MIB)
    place.lab.run(f"mkfs.{kind}", "-q", file)
    with mounted(place, name, "-o", "loop", file) as folder:
        yield folder
    file.unlink()


@test
def well(place):
    """A guest as it should be: nothing but what is said of all."""
    guest = place.lab.guest("well", seed=True, disks=[Disk(), Disk()])
    guest.wait_agent()
    found = look(place, "well", code=DONE, more=["no-discard"])
    assert not found, found
    done = place.run("doctor", "well", "--ignore",
                     ",".join([*MACHINE, "no-discard"]))
    assert done.returncode == DONE, done
    assert re.search(r"^nothing found; looked at one domain, 2 disks, one "
                     r"volume, 0 pools, host: \d+ rules$", done.stdout,
                     re.M), done
    place.vmkeep("doctor", "wel", code=1, words=["is it 'well'"])
    place.vmkeep("doctor", "--ignore", "x", code=USAGE, words=["no rule"])
    guest.remove()


@test
def whole_host(place):
    """Everything, as text: what is worse comes first, 80 columns."""
    guest = place.lab.guest("we'b \u00e4 1", seed=True,
                            disks=[Disk(format="raw"), Disk(cache="unsafe")])
    done = place.run("doctor")
    assert done.returncode == INTEGRITY, done
    first = done.stdout.splitlines()[0]
    assert first.startswith("error    we'b \u00e4 1/vdb: cache='unsafe'"), done
    order = [line.split()[0] for line in done.stdout.splitlines()
             if re.match("error|warning|hint", line)]
    assert order == sorted(order, key=["error", "warning", "hint"].index)
    for line in done.stdout.splitlines():
        # a command stays in one line, and a path is never cut
        assert (len(line) <= 80 or "# " in line
                or " " not in line.strip()), line
    guest.remove()


@test
def images(place):
    """What is wrong with images, and what its command makes of it."""
    folder = place.folder / "im ages"
    folder.mkdir()
    old = folder / "o'ld.qcow2"
    guest = off(place, "old", old, options=["-o", "compat=0.10"])
    found = look(place, "old", code=DONE)
    assert found["no-bitmaps"]["severity"] == "hint", found
    mend(place, found["no-bitmaps"])
    assert "no-bitmaps" not in look(place, "old")
    # internal snapshots
    place.lab.run("qemu-img", "snapshot", "-c", "one", old)
    assert "1 internal snapshot" in look(
        place, "old")["snapshots-inside"]["fact"]
    place.lab.run("qemu-img", "snapshot", "-d", "one", old)
    # a base by a relative name, without its format
    top = folder / "top.qcow2"
    place.lab.run("qemu-img", "create", "-q", "-f", "qcow2", "-F", "qcow2",
                  "-b", old.name, top)
    guest.remove()
    guest = off(place, "old", top)
    found = look(place, "old", code=DONE)
    assert set(found) >= {"base-relative", "chain-left"}, found
    mend(place, found["base-relative"])
    found = look(place, "old", code=DONE)
    assert "base-relative" not in found, found
    mend(place, found["chain-left"])
    assert guest.disks() == {"vda": str(old)}, guest.disks()
    assert not look(place, "old", code=DONE)
    # marked as corrupt (bit 1 of the incompatible features)
    with open(old, "r+b") as image:
        image.seek(79)
        image.write(b"\2")
    found = look(place, "old", code=INTEGRITY)
    mend(place, found["qcow2-corrupt"])
    assert not look(place, "old", code=DONE)
    os.unlink(old)
    found = look(place, "old", code=INTEGRITY)
    assert found["image-missing"]["subject"] == "old/vda", found
    guest.remove()
    shutil.rmtree(folder)


@test
def on_btrfs(place):
    """Copy on write below, O_DIRECT, nodatacow."""
    with file_system(place, "doctor-btrfs", "btrfs", 200) as folder:
        guest = off(place, "cow", folder / "a.qcow2", cache="none")
        found = look(place, "cow")
        assert found["cow-on-cow"]["subject"] == "cow/vda", found
        release = tuple(map(int, os.uname().release.split(".")[:2]))
        assert ("btrfs-direct" in found) == (release < (6, 15)), found
        guest.remove()
        place.lab.run("mkdir", folder / "nocow")
        place.lab.run("chattr", "+C", folder / "nocow")
        guest = off(place, "cow", folder / "nocow/b.qcow2", cache="none")
        assert not look(place, "cow", code=DONE)
        guest.remove()
        guest = off(place, "cow", folder / "c.raw", "raw", cache="writeback")
        assert not look(place, "cow", code=DONE)
        guest.remove()


@test
def tight_and_in_memory(place):
    """A small tmpfs: images there, room for overlays, the spool."""
    with mounted(place, "doctor-tmpfs", "-t", "tmpfs", "-o", "size=16m",
                 "none") as folder:
        guest = off(place, "tight", folder / "a.qcow2")
        place.lab.run("fallocate", "-l", "15M", folder / "fill")
        args = ["tight", "--spool-dir", folder / "spool/below"]
        found = rules(place, *args)
        for rule in ("image-in-memory", "overlay-room", "spool-in-memory"):
            assert rule in found, (rule, found)
        assert found["overlay-room"]["subject"] == str(folder), found
        found = rules(place, *args, "--overlay-dir", folder)
        assert "overlays-small" in found, found
        assert "overlay-room" not in found, found
        guest.remove()


@test
def beside_the_repository(place):
    """A repository on the file system of an image, on the disk that this is on
    in the end (through a loop device), and elsewhere."""
    with (file_system(place, "doctor-ext4", "ext4", 64) as folder,
          mounted(place, "doctor-away", "-t", "tmpfs", "none") as away):
        guest = off(place, "beside", folder / "a.qcow2")
        for repo, there in ((folder / "repo", True), (away / "repo", False)):
            found = rules(place, "beside", "-r", repo)
            assert ("repo-beside" in found) == there, (repo, found)
        source = place.lab.run("stat", "-f", "-c", "%T",
                               place.folder).stdout.strip()
        if source in ("ext2/ext3", "xfs"):
            assert "repo-beside" in rules(place, "beside"), source
        guest.remove()


@test
def block_device(place):
    """A device through the page cache; raw, without bitmaps."""
    file = place.folder / "doctor.loop"
    with open(file, "wb") as image:
        image.truncate(64 * MIB)
    loop = place.lab.run("losetup", "-b", "4096", "-f", "--show",
                         file).stdout.strip()
    try:
        guest = place.lab.guest("device", start=False, disks=[
            Disk(format="raw", path=loop, witness=False)])
        found = look(place, "device", code=DONE)
        assert set(found) == {"cache-twice", "no-bitmaps",
                              "sector-hidden"}, found
        edit_disk(guest, "vda", cache="none")
        assert "cache-twice" not in look(place, "device", code=DONE)
        guest.remove()
    finally:
        place.lab.run("losetup", "-d", loop)
        file.unlink()


@test
def overlays_left(place):
    """An overlay that another tool has left, an overlay of ours, a kept
    definition that goes elsewhere, stale snapshots."""
    guest = place.lab.guest("left", seed=True, disks=[Disk(), Disk()])
    guest.wait_counter_beyond(2)
    disks = guest.disks()
    place.lab.virsh("snapshot-create-as", "left", "s 1", "--disk-only",
                    "--diskspec", "vdb,snapshot=no")
    found = look(place, "left", more=["no-discard"], code=DONE)
    assert found["chain-left"]["subject"] == "left/vda", found
    assert "snapshot-stale" not in found, found
    top = guest.disks()["vda"]
    # the next start would go back
    edit = guest.xml("--inactive")
    edit.find("devices/disk/source").set("file", disks["vda"])
    file = guest.folder / "back.xml"
    file.write_bytes(ET.tostring(edit))
    place.lab.virsh("define", file)
    found = look(place, "left", more=["no-discard"], code=INTEGRITY)
    assert disks["vda"] in found["kept-elsewhere"]["fact"], found
    mend(place, found["kept-elsewhere"])
    assert guest.disks() == disks == guest.disks("--inactive")
    os.unlink(top)
    found = look(place, "left", more=["no-discard"], code=DONE)
    assert set(found) == {"snapshot-stale"}, found
    mend(place, found["snapshot-stale"])
    assert not look(place, "left", more=["no-discard"], code=DONE)
    # and one where both definitions name the overlay
    place.lab.virsh("snapshot-create-as", "left", "s 2", "--disk-only",
                    "--diskspec", "vdb,snapshot=no")
    found = look(place, "left", more=["no-discard"], code=DONE)
    mend(place, found["chain-left"])
    assert guest.disks() == disks == guest.disks("--inactive")
    assert not look(place, "left", more=["no-discard"], code=DONE)
    guest.check()
    assert not guest.failed(), guest.failed()
    guest.remove()


@test
def killed_backup(place):
    """While a backup is under way it is no finding; when it was killed it is,
    and the command mends it."""
    guest = place.lab.guest("killed doctor", seed=True)
    guest.wait_counter_beyond(2)
    process = place.start_until("taken", "backup", guest.name)
    left = {"journal-left", "overlay-left", "kept-elsewhere", "job-left"}
    assert not left & set(look(place, guest.name)), "under way"
    process.kill()
    process.communicate()
    place.wait_watchdog()
    found = look(place, guest.name)
    assert found["journal-left"]["command"] == "vmkeep recover", found
    assert found["overlay-left"]["command"] == "vmkeep recover", found
    place.vmkeep("recover")
    assert not left & set(look(place, guest.name))
    guest.remove()


@test
def agents(place):
    """No channel, nobody at its end, and one that answers."""
    guest = place.lab.guest("mute", start=False, agent=False, disks=[Disk()])
    found = look(place, "mute", more=["no-discard"], code=DONE)
    assert set(found) == {"agent-missing"}, found
    if shutil.which("virt-xml"):
        mend(place, found["agent-missing"])
        assert not look(place, "mute", more=["no-discard"], code=DONE)
    else:
        place.note("virt-xml is missing: its commands are not tried")
    guest.remove()


@test
def definitions(place):
    """Each command for virt-xml makes of the definition what it should."""
    if not shutil.which("virt-xml"):
        raise Skip("virt-xml")
    guest = off(place, "edit me", place.folder / "edit.qcow2", cache="unsafe",
                detect_zeroes="unmap")
    edit_disk(guest, "vda", discard="ignore")
    for rule in ("cache-unsafe", "no-discard"):
        found = look(place, "edit me")
        assert rule in found, found
        assert shlex.split(found[rule]["command"])[1] == "edit me", found
        mend(place, found[rule])
    assert not look(place, "edit me", code=DONE)
    guest.remove()
    (place.folder / "edit.qcow2").unlink()
