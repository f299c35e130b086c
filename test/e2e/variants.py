# SPDX-License-Identifier: Apache-2.0
"""Kinds of guests, kinds of disks, kinds of restores."""

import contextlib
import hashlib
import json
import os
from pathlib import Path

from kit import (BUSY, DONE, FAILED, PARTLY, USAGE, Lab, Skip, finish, go,
                 healthy, instant, on_own_disks, test, untouched, wait_until)
from lab import OVMF_CODE, Disk, file_system_clean

MIB = 1 << 20


def count_points(place):
    return len(place.json("points")["points"])


def disks_of(point):
    """The targets of the disks in a point."""
    return [image["name"] for image in point["images"]
            if image["kind"] == "disk"]


def export_disk(place, point, target):
    """One disk of a point, as a raw file."""
    path = place.folder / f"variant-{target}.raw"
    path.unlink(missing_ok=True)
    place.vmkeep("export", f"{point}/{target}", path)
    return path


def forget(guest):
    """Off and undefined; its images stay."""
    guest.destroy()
    guest.lab.virsh("undefine", guest.name, "--nvram")


def chain_of(lab, path):
    """[(path, digest)] of an image and all below it; the guest is off or
    does not write: the digest of the first is not told."""
    info = json.loads(lab.run("qemu-img", "info", "-U", "--backing-chain",
                              "--output=json", path).stdout)
    below = [image["filename"] for image in info[1:]]
    return [str(path), *((name, hashlib.sha256(
        Path(name).read_bytes()).hexdigest()) for name in below)]


@contextlib.contextmanager
def loop_device(place, name, mib):
    """A block device. Yields its path."""
    file = place.folder / f"{name}.loop"
    with open(file, "wb") as image:
        image.truncate(mib * MIB)
    loop = place.lab.run("losetup", "-f", "--show", file).stdout.strip()
    try:
        yield loop
    finally:
        place.lab.run("losetup", "-d", loop)


# -- kinds of guests


@test
def backing_chain(place):
    """qcow2 on two others: they stay as they are, the point has the guest's
    view, and it comes back as one image."""
    guest = place.lab.guest("chain", seed=True, disks=[Disk(chain=2), Disk()])
    guest.mode("hard")
    disks = guest.disks()
    chain = chain_of(place.lab, disks["vda"])
    assert len(chain) == 3, chain
    [domain] = place.json("domains", guest.name)["domains"]
    assert [image["path"] for image in domain["disks"][0]["chain"]] == [
        chain[0], chain[1][0], chain[2][0]], domain
    point = place.backup(guest.name)["point"]
    untouched(place, guest, disks)
    assert chain_of(place.lab, disks["vda"]) == chain
    captured = instant(place, point["id"], guest)
    healthy(guest)
    guest.destroy()
    assert place.backup(guest.name)["point"]["level"] == "offline"
    assert instant(place, f"{guest.name}@latest", guest) >= captured
    assert chain_of(place.lab, disks["vda"]) == chain
    answer = place.restore(point["id"], "chain-back", "--ram")
    guest.wait_counter_beyond(captured)
    info = json.loads(place.lab.run("qemu-img", "info", "-U", "--output=json",
                                    guest.disks()["vda"]).stdout)
    assert "backing-filename" not in info, info
    assert info["format"] == "qcow2" and answer["resumed"], answer
    healthy(guest)
    guest.remove()


@test
def uefi(place):
    """Firmware variables are in the point, and come back: with RAM, and for
    a boot."""
    if not os.path.exists(OVMF_CODE):
        raise Skip("OVMF")
    guest = place.lab.guest("uefi", uefi=True, machine="q35", seed=True)
    guest.wait_counter_beyond(2)
    disks, variables = guest.disks(), guest.nvram().read_bytes()
    [domain] = place.json("domains", guest.name)["domains"]
    assert domain["nvram"], domain
    point = place.backup(guest.name)["point"]
    assert point["level"] == "ram", point
    untouched(place, guest, disks)
    captured = instant(place, point["id"], guest)
    stored = place.folder / "nvram"
    place.vmkeep("export", f"{point['id']}/nvram", stored)
    assert stored.read_bytes() == variables
    old = guest.nvram()
    forget(guest)
    assert not old.exists()
    place.restore(point["id"], "uefi-ram", "--ram")
    guest.wait_counter_beyond(captured)
    assert guest.nvram().parent == place.folder / "uefi-ram"
    healthy(guest)
    forget(guest)
    answer = place.restore(point["id"], "uefi-boot", "--start")
    guest.wait_counter_beyond(captured)
    assert str(guest.nvram()) in answer["files"], answer
    assert guest.nvram().stat().st_size == len(variables)
    healthy(guest)
    # a copy has its own
    place.restore(point["id"], "uefi-copy", "--name", "uefi copy")
    copy = place.lab.attach("uefi copy", guest.options)
    assert copy.nvram() != guest.nvram()
    assert copy.nvram().read_bytes() == variables
    copy.remove()
    guest.remove()


@test
def paused_by_user(place):
    """It stays paused before, during and after; RAM only where asked for;
    and is brought back paused."""
    guest = place.lab.guest("paused", seed=True)
    guest.wait_counter_beyond(3)
    disks = guest.disks()
    place.lab.virsh("suspend", guest.name)
    process = place.start_until("begin", "backup", guest.name, "--json")
    on_own_disks(guest, disks)
    go(process)
    while process.poll() is None:
        assert guest.state() == "paused"
    [item] = json.loads(finish(process).stdout)["items"]
    assert item["point"]["level"] == "crash", item
    untouched(place, guest, disks, "paused")
    cold = instant(place, item["point"]["id"], guest)
    # its user may have it again at once
    place.lab.virsh("resume", guest.name)
    guest.wait_counter_beyond(cold)
    healthy(guest)
    place.lab.virsh("suspend", guest.name)
    point = place.backup(guest.name, "--memory")["point"]
    assert point["level"] == "ram", point
    untouched(place, guest, disks, "paused")
    captured = instant(place, point["id"], guest)
    place.lab.virsh("resume", guest.name)
    guest.wait_counter_beyond(captured)
    healthy(guest)
    guest.destroy()
    answer = place.restore(point["id"], "paused-back", "--ram")
    assert answer["state"] == "paused" and answer["resumed"], answer
    assert guest.state() == "paused"
    beats = len(guest.console.beats)
    place.lab.virsh("resume", guest.name)
    guest.wait_counter_beyond(captured)
    assert guest.console.beats[beats][1] >= captured - 1
    healthy(guest)
    guest.remove()


@test
def shut_off(place):
    """Level offline, nothing but the disks' own files is looked at; --memory
    of one that is off is refused or said."""
    guest = place.lab.guest("off", start=False)
    disks = guest.disks()
    item = place.backup(guest.name)
    assert item["point"]["level"] == "offline", item
    assert item["point"]["pause_ms"] in (0, None), item
    untouched(place, guest, disks, "shut off")
    done = place.run("backup", guest.name, "--memory")
    assert done.returncode in (PARTLY, FAILED), done
    assert guest.name in done.stderr and "RAM" in done.stderr, done
    place.note(done.stderr.strip())
    place.vmkeep("backup", guest.name, "--require", "ram", code=FAILED,
                 words=["RAM"])
    for level in ("filesystem", "crash"):
        place.backup(guest.name, "--require", level)
    place.vmkeep("restore", f"{guest.name}@latest", "--to",
                 place.folder / "off-back", "--ram", code=FAILED,
                 words=["no RAM", "offline"])
    place.restore(f"{guest.name}@latest", "off-back")
    assert guest.state() == "shut off"
    for path in guest.disks().values():
        assert Path(path).parent == place.folder / "off-back"
    guest.remove()


@test
def off_and_started(place):
    """Its user starts it before anything is read: the user wins."""
    guest = place.lab.guest("wakes", seed=True)
    guest.wait_counter_beyond(2)
    disks, points = guest.disks(), count_points(place)
    guest.destroy()
    process = place.start_until("begin", "backup", guest.name)
    place.lab.virsh("start", guest.name)
    guest.wait_heartbeat()
    go(process)
    finish(process, BUSY, [guest.name])
    assert count_points(place) == points
    untouched(place, guest, disks)
    healthy(guest)
    guest.remove()


@test
def without_memory(place):
    """With an agent: frozen, the file system is clean. Without: as after a
    power cut, and that is what was asked for."""
    guest = place.lab.guest("agent", seed=True)
    guest.wait_agent()
    files = guest.status()["fs"]
    wait_until(lambda: guest.status()["fs"] > files, "files")
    disks = guest.disks()
    point = place.backup(guest.name, "--no-memory")["point"]
    assert point["level"] == "filesystem", point
    untouched(place, guest, disks)
    files = guest.status()["fs"]
    wait_until(lambda: guest.status()["fs"] > files, "files, thawed")
    for target in disks:
        assert file_system_clean(export_disk(place, point["id"], target))
    instant(place, point["id"], guest)
    guest.remove()
    guest = place.lab.guest("no agent", seed=True, agent=False)
    disks = guest.disks()
    guest.mode("hard")
    item = place.backup(guest.name, "--no-memory")
    assert item["point"]["level"] == "crash", item
    assert any("agent" in note for note in item["point"]["notes"]), item
    untouched(place, guest, disks)
    captured = instant(place, item["point"]["id"], guest)
    place.vmkeep("backup", guest.name, "--no-memory", "--require",
                 "filesystem", code=FAILED, words=["agent"])
    guest.destroy()
    place.restore(item["point"]["id"], "crash-back", "--start")
    guest.wait_counter_beyond(captured)
    healthy(guest)
    guest.remove()


@test
def transient(place):
    """Not defined, only running: backed up, left transient, restored."""
    guest = place.lab.guest("transient", seed=True)
    guest.wait_counter_beyond(2)
    place.lab.virsh("undefine", guest.name)
    disks = guest.disks()
    assert place.backup(guest.name)["point"]["level"] == "ram"
    assert guest.disks() == disks
    place.no_leftovers()
    healthy(guest)
    captured = instant(place, f"{guest.name}@latest", guest)
    guest.destroy()
    assert guest.name not in place.lab.domains()
    place.restore(f"{guest.name}@latest", "transient", "--ram")
    guest.wait_counter_beyond(captured)
    assert guest.disks("--inactive") == guest.disks()
    healthy(guest)
    guest.remove()


# -- kinds of disks


@test
def some_disks(place):
    """--disk vda: the other one is left alone, all the while."""
    guest = place.lab.guest("some", seed=True)
    guest.wait_agent()
    disks, level = guest.disks(), "filesystem"
    process = place.start_until("taken", "backup", guest.name, "--disk",
                                "vda", "--json")
    now = guest.disks()
    assert now["vdb"] == disks["vdb"] and now["vda"] != disks["vda"], now
    go(process)
    [item] = json.loads(finish(process).stdout)["items"]
    point = item["point"]
    untouched(place, guest, disks)
    assert disks_of(point) == ["vda"], point
    assert any("vdb" in note for note in point["notes"]), point
    assert not item["degraded"], item
    # RAM without a disk that it knows could not be resumed
    assert point["level"] == level, point
    item = place.backup(guest.name, "--disk", "vda", "--memory", code=PARTLY,
                        words=["no RAM", "vdb"])
    assert item["point"]["level"] == level, item
    place.vmkeep("backup", guest.name, "--disk", "vda", "--require", "ram",
                 code=FAILED, words=["no RAM", "vdb"])
    untouched(place, guest, disks)
    healthy(guest)
    both = place.backup(guest.name, "--disk", "vdb,vda", "--memory")["point"]
    assert both["level"] == "ram" and len(disks_of(both)) == 2, both
    guest.destroy()
    place.restore(point["id"], "some-cold", "--name", "some of it")
    copy = place.lab.attach("some of it", guest.options)
    assert list(copy.disks()) == ["vda"], copy.disks()
    copy.remove()
    for args in (["--disk", "vda,vda"], ["--disk", "vda", "--disk", "vda"]):
        item = place.backup(guest.name, *args)
        assert disks_of(item["point"]) == ["vda"], item
    guest.remove()


@test
def block_devices(place):
    """A disk that is a device wants a folder for its overlay; and restores
    write to devices."""
    with loop_device(place, "disk", 64) as loop:
        guest = place.lab.guest("device", seed=True, disks=[
            Disk(format="raw", path=loop), Disk()])
        disks = guest.disks()
        assert disks["vda"] == loop
        place.vmkeep("backup", guest.name, code=FAILED,
                     words=["vda", "--overlay-dir"])
        untouched(place, guest, disks)
        overlays = place.folder / "overlays"
        overlays.mkdir()
        item = place.backup(guest.name, "--overlay-dir", overlays)
        assert item["point"]["level"] == "ram", item
        assert not list(overlays.iterdir())
        untouched(place, guest, disks)
        point = item["point"]["id"]
        captured = instant(place, point, guest)
        guest.destroy()
        # off it needs none
        assert place.backup(guest.name)["point"]["level"] == "offline"
        onto_devices(place, guest, point, captured)
        guest.remove()


def onto_devices(place, guest, point, captured):
    """Brought back onto devices; the smallest one is too small."""
    with loop_device(place, "small", 32) as small:
        place.vmkeep("restore", point, "--no-define", "--disk",
                     f"vda={small}", code=FAILED, words=["vda"])
    with loop_device(place, "a", 64) as a, loop_device(place, "b", 80) as b:
        place.vmkeep("restore", point, "--disk", f"vda={a}", "--disk",
                     f"vdb={a}", "--no-define", code=USAGE,
                     words=["vda", "vdb"])
        place.vmkeep("restore", point, "--to", place.folder / "devices",
                     "--disk", f"vda={a}", "--disk", f"vdb={b}", "--ram")
        guest.wait_counter_beyond(captured)
        assert guest.disks() == {"vda": a, "vdb": b}
        healthy(guest)
        # in use: not to be written to by a restore
        done = place.run("restore", point, "--no-define", "--disk",
                         f"vda={a}")
        assert done.returncode in (FAILED, BUSY), done
        place.note(done.stderr.strip()[-160:])
        healthy(guest)
        guest.destroy()


@test
def odd_disks(place):
    """CD, floppy, read-only and shared disks are left out, and said; a SCSI
    disk is as good as any; all of them come back in the definition."""
    guest = place.lab.guest("odd disks", seed=True, disks=[
        Disk(bus="scsi"), Disk(format="raw"),
        Disk(device="cdrom", format="raw", size=1),
        Disk(device="floppy", format="raw", size=1),
        Disk(readonly=True, size=1)])
    disks = guest.disks()
    assert len(disks) == 5, disks
    [domain] = place.json("domains", guest.name)["domains"]
    captured = {disk["target"]: disk["captured"] for disk in domain["disks"]}
    assert captured == {target: target in ("sda", "vda")
                        for target in disks}, captured
    left = {disk["target"]: disk["why_not"] for disk in domain["disks"]
            if not disk["captured"]}
    assert all(left.values()), left
    item = place.backup(guest.name)
    point = item["point"]
    assert sorted(disks_of(point)) == ["sda", "vda"], point
    assert point["level"] == "ram", point
    untouched(place, guest, disks)
    files = [(export_disk(place, point["id"], target), "raw")
             for target in ("sda", "vda")]
    number = place.lab.check(files)
    place.vmkeep("backup", guest.name, "--disk", "hda", code=FAILED,
                 words=["hda", left["hda"]])
    shared_disk(place, guest)
    guest.destroy()
    place.restore(point["id"], "odd-disks", "--ram")
    guest.wait_counter_beyond(number)
    healthy(guest)
    guest.remove()


def shared_disk(place, guest):
    """One that others write to as well: not of our instant, so no RAM."""
    path = guest.folder / "shared.raw"
    place.lab.run("qemu-img", "create", "-f", "raw", path, "1M")
    place.lab.virsh("attach-disk", guest.name, path, "sdb", "--mode",
                    "shareable", "--targetbus", "scsi", "--live")
    disks = guest.disks()
    item = place.backup(guest.name, code=PARTLY, words=["no RAM", "sdb"])
    assert sorted(disks_of(item["point"])) == ["sda", "vda"], item
    assert guest.disks() == disks
    place.no_leftovers()
    healthy(guest)


def make_images(lab, folder):
    """Images of every sort. Returns [(path, format that is said)]."""
    def create(name, *args, format="qcow2"):
        path = folder / name
        lab.run("qemu-img", "create", "-q", "-f", format, *args[:-1], path,
                *args[-1:])
        return path

    text = folder / "text.raw"
    text.write_bytes(b"some text, not a multiple of anything" * 40000)
    sectors = folder / "sectors.raw"
    sectors.write_bytes(os.urandom(MIB + 3 * 512))
    # a guest may write what looks like another format
    looks = folder / "looks.raw"
    lab.run("qemu-img", "convert", "-O", "qcow2", sectors, looks)
    small = folder / "compressed.qcow2"
    lab.run("qemu-img", "convert", "-c", "-O", "qcow2", text, small)
    snap = folder / "snap.qcow2"
    lab.run("qemu-img", "convert", "-O", "qcow2", sectors, snap)
    lab.run("qemu-img", "snapshot", "-c", "then", snap)
    lab.run("qemu-io", "-c", "write -P 7 4k 64k", snap)
    (folder / "sub dir").mkdir()
    lab.run("qemu-img", "convert", "-O", "qcow2", sectors,
            folder / "sub dir" / "base")
    over = create("relative.qcow2", "-b", "sub dir/base", "-F", "qcow2", "3M")
    lab.run("qemu-io", "-c", "write -P 9 2M 100k", over)
    fine = create("extended.qcow2", "-o", "extended_l2=on", "8M")
    lab.run("qemu-io", "-c", "write -P 5 10k 2k", fine)
    return [(text, "raw"), (sectors, "raw"), (looks, "raw"), (sectors, None),
            (small, "qcow2"), (snap, "qcow2"), (over, "qcow2"),
            (fine, "qcow2"), (create("huge.qcow2", "4T"), "qcow2"),
            (create("empty.raw", "0", format="raw"), "raw")]


def image_xml(letter, path, format):
    type = f" type='{format}'" if format else ""
    return (f"<disk type='file' device='disk'><driver name='qemu'{type}/>"
            f"<source file='{path}'/><target dev='vd{letter}' bus='virtio'/>"
            f"</disk>")


@test
def odd_images(place):
    """Odd sizes, a raw disk that looks like qcow2, no format said, internal
    snapshots, a relative chain, 4 TiB, an empty drive: each is what its guest
    would see."""
    folder = place.lab.images / "odd images"
    folder.mkdir()
    images = make_images(place.lab, folder)
    guest = place.lab.guest("odd images", start=False, disks=[
        Disk(device="cdrom", format="raw", size=1)], devices="".join(
        image_xml(letter, *image)
        for letter, image in zip("abcdefghij", images)))
    place.lab.virsh("change-media", guest.name, "hda", "--eject", "--config")
    point = place.backup(guest.name)["point"]
    assert len(disks_of(point)) == len(images), point
    answer = place.restore(point["id"], "odd-images", "--name", "odd two")
    copy = place.lab.attach("odd two")
    for letter, (path, format) in zip("abcdefghij", images):
        target, format = f"vd{letter}", format or "raw"
        info = json.loads(place.lab.run(
            "qemu-img", "info", "--output=json", "-f", format, path).stdout)
        [image] = [one for one in point["images"] if one["name"] == target]
        # QEMU shows whole sectors of a file that has a part of one
        sectors = -(-image["size"] // 512)
        assert sectors * 512 == info["virtual-size"], (image, info)
        assert image["format"] == format, image
        place.lab.run("qemu-img", "compare", "-f", format, "-F", format, path,
                      copy.disks()[target])
        assert copy.disks()[target] in answer["files"], answer
        if info["virtual-size"] < 64 * MIB:
            flat = folder / "flat"
            place.lab.flatten(path, flat, format)
            out = export_disk(place, point["id"], target)
            data = out.read_bytes()
            assert data == flat.read_bytes()[:image["size"]], target
    used = sum(os.stat(path).st_blocks * 512
               for path in copy.disks().values())
    assert used < 32 * MIB, used
    copy.remove()
    guest.remove()


# -- several


@test
def several(place):
    """Three guests in one command, then each by its own process, at once,
    into one repository."""
    guests = [place.lab.guest(f"one of {i}", seed=True) for i in range(3)]
    names = [guest.name for guest in guests]
    disks = [guest.disks() for guest in guests]
    answer = place.json("backup", *names, "--no-memory")
    assert [item["name"] for item in answer["items"]] == names
    place.vmkeep("backup", names[0], names[0], "--no-memory")
    for guest in guests:
        guest.mode("hard")
    processes = [place.start("backup", name, "--memory", "--json")
                 for name in names]
    for process, guest in zip(processes, guests):
        [item] = json.loads(finish(process).stdout)["items"]
        assert item["ok"] and item["point"]["level"] == "ram", item
        instant(place, item["point"]["id"], guest)
    for guest, own in zip(guests, disks):
        on_own_disks(guest, own)
        healthy(guest)
    place.no_leftovers()
    place.verify("--read-data")
    for guest in guests:
        guest.remove()


# -- kinds of restores


def small_guest(place, name, **options):
    """A guest that never runs, and a point of it."""
    guest = place.lab.guest(name, start=False, disks=[Disk(), Disk(
        format="raw")], **options)
    return guest, place.backup(name)["point"]["id"]


@test
def places_for_disks(place):
    """--to, --disk, and both; what has no place, or the same one twice."""
    guest, point = small_guest(place, "places")
    folder = place.folder / "places"
    folder.mkdir()
    forget(guest)
    restore = ["restore", point]
    for args in ([], ["--disk", "vda"], ["--disk", "vda="],
                 ["--disk", f"vdz={folder}/z"],
                 ["--disk", f"vda={folder}/a"],  # vdb has no place
                 ["--disk", f"vda={folder}/a", "--disk", f"vdb={folder}/a"],
                 ["--disk", f"vda={folder}/a", "--disk", f"vda={folder}/b"],
                 ["--to", folder, "--name", ""],
                 ["--to", folder, "--name", "a/b"],
                 ["--no-define", "--start", "--to", folder],
                 ["--no-define", "--ram", "--to", folder]):
        done = place.run(*restore, *args)
        assert done.returncode in (USAGE, FAILED), (args, done)
        assert done.stderr.strip(), (args, done)
        assert not list(folder.iterdir()), (args, done)
    assert guest.name not in place.lab.domains()
    place.vmkeep(*restore, "--no-define", "--disk", f"vdb={folder}/b")
    assert [path.name for path in folder.iterdir()] == ["b"]
    place.vmkeep(*restore, "--to", folder / "deep" / "er", "--disk",
                 f"vda={folder}/a")
    disks = guest.disks()
    assert disks["vda"] == f"{folder}/a", disks
    assert Path(disks["vdb"]).parent == folder / "deep" / "er", disks
    place.lab.check(disks.values())
    # both by name, and another folder under way
    place.vmkeep(*restore, "--disk", f"vda={folder}/a2", "--disk",
                 f"vdb={folder}/b2", "--name", "places two")
    copy = place.lab.attach("places two")
    assert list(copy.disks().values()) == [f"{folder}/a2", f"{folder}/b2"]
    copy.remove()
    # paths are those of the caller
    done = place.lab.run("env", "-C", folder, *place.argv(
        *restore, "--to", "here", "--name", "places three"),
        env=place.environment())
    copy = place.lab.attach("places three")
    assert Path(copy.disks()["vda"]).parent == folder / "here", done
    copy.remove()
    guest.remove()


@test
def files_there(place):
    """What is there already is not overwritten, and what was made before is
    taken away again."""
    guest, point = small_guest(place, "there")
    answer = place.restore(point, "there", "--no-define")
    files = sorted(answer["files"])
    for path in files:
        for other in files:
            Path(other).unlink(missing_ok=True)
        Path(path).write_bytes(b"mine")
        place.vmkeep("restore", point, "--to", place.folder / "there",
                     "--no-define", code=FAILED, words=["exists", path])
        left = {str(one): one.read_bytes()
                for one in (place.folder / "there").iterdir()}
        assert left == {path: b"mine"}, left
    Path(path).unlink()
    place.restore(point, "there", "--no-define")
    [xml] = [path for path in files if path.endswith(".xml")]
    for path in set(files) - {xml}:
        place.lab.run("qemu-img", "compare", path, guest.disks()["vda" if
                      "vda" in path else "vdb"])
    # and the definition beside them is one
    forget(guest)
    place.lab.virsh("define", xml)
    assert set(guest.disks().values()) == set(files) - {xml}
    # the folder is a file, or below one
    for to in (files[0], f"{files[0]}/below"):
        place.vmkeep("restore", point, "--to", to, code=FAILED,
                     words=[files[0]])
    guest.remove()


@test
def twice_elsewhere(place):
    """The same point again: the domain moves to its newest disks, the older
    ones stay; a copy beside it; over a running one it is refused."""
    guest = place.lab.guest("twice", seed=True)
    guest.wait_counter_beyond(2)
    point = place.backup(guest.name)["point"]["id"]
    captured = instant(place, point, guest)
    disks = guest.disks()
    place.vmkeep("restore", point, "--to", place.folder / "over", code=BUSY,
                 words=[guest.name, "running"])
    assert not (place.folder / "over").exists()
    untouched(place, guest, disks)
    # only the files: the running one is nobody's concern
    place.restore(point, "files", "--no-define")
    copy = beside(place, point, guest)
    guest.destroy()
    for to in ("again one", "again two"):
        place.restore(point, to, "--ram")
        guest.wait_counter_beyond(captured)
        assert Path(guest.disks()["vda"]).parent == place.folder / to
        healthy(guest)
        guest.destroy()
    assert guest.check_disks() >= captured
    for path in disks.values():
        assert Path(path).exists()
    place.lab.check([(place.folder / "again one" / Path(path).name, None)
                     for path in guest.disks().values()])
    copy.remove()
    guest.remove()


def beside(place, point, guest):
    """A copy that does not run: own UUID, disks, MAC; not taken twice."""
    place.restore(point, "copy", "--name", "twice again")
    copy = place.lab.attach("twice again", guest.options)
    assert copy.state() == "shut off"
    for path in ("uuid", "devices/interface/mac"):
        was, now = guest.xml().find(path), copy.xml().find(path)
        assert was is None or (was.text, was.attrib) != (now.text, now.attrib)
    assert not set(copy.disks().values()) & set(guest.disks().values())
    place.vmkeep("restore", point, "--to", place.folder / "third", "--name",
                 "twice again", code=FAILED, words=["twice again", "exists"])
    return copy


def ram_elsewhere(place, other):
    """The guest that was lost here goes on there, and is backed up there."""
    guest = place.lab.guest("goes on", seed=True)
    point = place.backup(guest.name)["point"]["id"]
    captured = instant(place, point, guest)
    guest.remove()
    for args in (["restore", point, "--to", place.folder / "there", "--ram"],
                 ["backup", guest.name]):
        other.run(*place.argv(*args), env=place.environment())
    there = other.attach(guest.name, guest.options)
    there.wait_counter_beyond(captured)
    healthy(there)
    assert instant(place, f"{guest.name}@latest", guest) >= captured
    there.remove()


@test
def another_host(place):
    """A host that has neither network nor pool of the old one: the card is
    unplugged, and said; the disks are files."""
    network = place.folder / "network.xml"
    network.write_text("<network><name>only-here</name></network>")
    pool = place.folder / "pool"
    pool.mkdir()
    place.lab.virsh("net-define", network)
    place.lab.virsh("pool-create-as", "here", "dir", "--target", pool)
    place.lab.virsh("vol-create-as", "here", "volume.qcow2", "16M",
                    "--format", "qcow2")
    guest = place.lab.guest("moved", start=False, disks=[
        Disk(), Disk(format="raw")], devices=(
        "<interface type='network'><source network='only-here'/>"
        "<mac address='52:54:00:11:22:33'/></interface>"
        "<disk type='volume' device='disk'>"
        "<driver name='qemu' type='qcow2'/>"
        "<source pool='here' volume='volume.qcow2'/>"
        "<target dev='vdc' bus='virtio'/></disk>"))
    item = place.backup(guest.name)
    assert disks_of(item["point"]) == ["vda", "vdb", "vdc"], item
    point = item["point"]["id"]
    with Lab(hostname="lab-other") as other:
        done = other.run(*place.argv(
            "restore", point, "--to", place.folder / "moved", "--start",
            "--json"), env=place.environment(), check=False)
        assert done.returncode in (DONE, PARTLY), done
        answer = json.loads(done.stdout)
        assert any("only-here" in note for note in answer["notes"]), answer
        place.note(answer["notes"][0])
        there = other.attach(guest.name, guest.options)
        there.wait_counter_beyond(1)
        assert len(there.disks()) == 3, there.disks()
        card = there.xml().find("devices/interface")
        assert card.find("mac").get("address") == "52:54:00:11:22:33"
        healthy(there)
        there.remove()
        ram_elsewhere(place, other)
    guest.remove()
    place.lab.virsh("pool-destroy", "here")
    place.lab.virsh("net-undefine", "only-here")
