# SPDX-License-Identifier: Apache-2.0
"""Chains of overlays are shortened: live, shut off, refused, in trouble."""

import contextlib
import os
import signal
from pathlib import Path

from chains import (as_before, boots, chain, chained, settled, snapshot,
                    snapshots)
from kit import (BUSY, DONE, FAILED, PATIENCE, USAGE, finish, free, go,
                 healthy, inside, on_own_disks, small, stop, test, wait_until)
from lab import Disk

MIB = 1 << 20


# -- what it does


@test
def live(place):
    """A chain of four under write load, merged into its base."""
    guest = chained(place, "flat live", chain=3)
    guest.mode("hard")
    images = chain(place, guest)
    assert len(images) == 4, images
    plan = place.json("flatten", guest.name, "--dry-run")
    vda, vdb = plan["disks"]
    assert vda["base"] == 1 and vda["bytes"] > 0 and not vda["done"], plan
    assert vdb["base"] == 0 and "error" not in vda, plan
    assert chain(place, guest) == images
    said = place.vmkeep("flatten", guest.name).stdout
    assert f"rm '{images[3]}'" in said and "merged, kept" in said, said
    assert chain(place, guest) == images[:1]
    assert all(os.path.exists(image) for image in images)
    settled(place, guest, images[0])
    again = place.json("flatten", guest.name)
    assert [disk["base"] for disk in again["disks"]] == [0, 0], again
    guest.destroy()
    boots(guest)
    guest.remove()


@test
def live_delete(place):
    """The same with --delete, into image 2; then the rest."""
    guest = chained(place, "flat delete", chain=3)
    guest.mode("hard")
    images = chain(place, guest)
    answer = place.json("flatten", guest.name, "--base", 2, "--delete",
                        "--disk", "vda")
    assert answer["disks"][0]["done"], answer
    assert chain(place, guest) == images[:2]
    assert [os.path.exists(i) for i in images] == [True, True, False, False]
    settled(place, guest, images[1])
    place.vmkeep("flatten", guest.name, "--base", 7, "--disk", "vda",
                 code=USAGE, words=["no image 7"])
    place.vmkeep("flatten", guest.name, "--delete")
    assert chain(place, guest) == images[:1]
    assert not os.path.exists(images[1])
    settled(place, guest, images[0])
    guest.destroy()
    boots(guest)
    guest.remove()


@test
def shut_off(place):
    """A guest that is off: in steps, then as a whole; it boots."""
    guest = chained(place, "flat off", chain=3)
    guest.mode("hard")
    guest.wait_counter_beyond(50)
    guest.destroy()
    last = guest.check_disks()
    images = chain(place, guest)
    place.vmkeep("flatten", guest.name, "--base", 3, "--delete")
    settled(place, guest, images[2], "shut off")
    assert not os.path.exists(images[3])
    place.vmkeep("flatten", guest.name)
    settled(place, guest, images[0], "shut off")
    assert guest.check_disks() == last
    boots(guest)
    guest.remove()


@test
def paused(place):
    """A guest that its user has paused stays so."""
    guest = chained(place, "flat paused")
    guest.wait_counter_beyond(3)
    images = chain(place, guest)
    place.lab.virsh("suspend", guest.name)
    place.vmkeep("flatten", guest.name)
    settled(place, guest, images[0], "paused")
    place.lab.virsh("resume", guest.name)
    healthy(guest)
    guest.remove()


@test
def two_disks(place):
    """Both have chains, one raw below; relative names and a symlink."""
    guest = place.lab.guest("flat two", seed=True, start=False, disks=[
        Disk(chain=2), Disk(format="raw", chain=1)])
    folder = guest.folder
    real = folder / "elsewhere"
    real.mkdir()
    os.rename(folder / "vda.qcow2.base0", real / "base")
    os.symlink("elsewhere/base", folder / "vda.qcow2.base0")
    place.lab.run("qemu-img", "rebase", "-u", "-f", "qcow2", "-F", "qcow2",
                  "-b", "vda.qcow2.base0", folder / "vda.qcow2.base1")
    xml = folder / "two.xml"
    text = place.lab.virsh("dumpxml", guest.name)
    xml.write_text(text.replace("<driver name='qemu' type='raw'",
                                "<driver name='qemu' type='qcow2'"))
    place.lab.virsh("define", xml)
    guest.start()
    guest.mode("hard")
    lower = {t: chain(place, guest, t) for t in ("vda", "vdb")}
    assert [len(images) for images in lower.values()] == [3, 2], lower
    place.vmkeep("flatten", guest.name, "--delete")
    on_own_disks(guest, {t: images[0] for t, images in lower.items()})
    settled(place, guest, lower["vda"][0])
    guest.destroy()
    boots(guest)
    # the same, off
    for target, name in (("vda", "again"), ("vdb", "again")):
        guest.start()
        guest.wait_counter_beyond(2)
        snapshot(place, guest, name, "--no-metadata", target=target)
        guest.mode("hard")
        guest.wait_heartbeat()
        guest.destroy()
    place.vmkeep("flatten", guest.name, "--delete")
    on_own_disks(guest, {t: images[0] for t, images in lower.items()})
    boots(guest)
    guest.remove()


@test
def virsh_snapshots(place):
    """Snapshots of virsh: what libvirt knows of merged ones is forgotten."""
    guest = chained(place, "flat virsh", chain=0)
    base = chain(place, guest)[0]
    snapshot(place, guest, "one")
    guest.mode("hard")
    guest.wait_heartbeat()
    snapshot(place, guest, "two")
    place.lab.virsh("snapshot-create-as", guest.name, "three", "--disk-only")
    assert len(chain(place, guest)) == 4
    said = place.vmkeep("flatten", guest.name, "--disk", "vda", "--base", 3,
                        "--delete").stdout
    assert "'three' names overlays that are merged and others" in said, said
    assert snapshots(place, guest) == {"one", "two", "three"}
    snapshot(place, guest, "four")
    said = place.vmkeep("flatten", guest.name).stdout
    assert "snapshot 'one' is forgotten" in said, said
    assert snapshots(place, guest) == {"three"}
    settled(place, guest, base)
    guest.destroy()
    assert place.lab.run("virsh", "undefine", guest.name,
                         check=False).returncode != 0
    place.lab.virsh("snapshot-delete", guest.name, "three", "--metadata")
    place.lab.virsh("undefine", guest.name)
    guest.remove()


@test
def snapshot_with_ram(place):
    """RAM and all disks: forgotten whole, and the file of its RAM named."""
    guest = chained(place, "flat ram", chain=0)
    guest.wait_counter_beyond(2)
    disks = guest.disks()
    ram = f"{guest.folder}/ram"
    place.lab.virsh("snapshot-create-as", guest.name, "all", "--memspec",
                    f"file={ram},snapshot=external", "--live")
    guest.mode("hard")
    guest.wait_heartbeat()
    said = place.vmkeep("flatten", guest.name, "--delete").stdout
    assert f"its RAM in '{ram}' is of no use" in said, said
    assert snapshots(place, guest) == set() and os.path.exists(ram)
    on_own_disks(guest, disks)
    settled(place, guest, disks["vda"])
    guest.remove()


# -- what it refuses


def patch(path, old, new):
    """Changes the start of a file."""
    with open(path, "r+b") as file:
        start = file.read(1024)
        assert start.count(old) == 1, start
        file.seek(0)
        file.write(start.replace(old, new))


@contextlib.contextmanager
def refusing(place, guest, *words, args=(), code=FAILED):
    """What is done in the block makes it refuse, and harms nothing."""
    state, disks = guest.state(), guest.disks()
    yield
    files = {path: (path.stat().st_mtime_ns, path.stat().st_size)
             for path in Path(guest.folder).rglob("*.base*")
             if str(path) not in disks.values()}
    for more in (["--dry-run"], []):
        place.vmkeep("flatten", guest.name, "--disk", "vda", *args, *more,
                     code=code, words=words)
    assert guest.state() == state and guest.disks() == disks
    assert files == {path: (path.stat().st_mtime_ns, path.stat().st_size)
                     for path in files}
    place.no_leftovers()


@test
def shared_images(place):
    """Somebody else needs an image of the chain: nothing is touched."""
    guest = chained(place, "flat shared", start=False)
    folder = guest.folder
    images = chain(place, guest)
    clone = folder / "clone.qcow2"
    with refusing(place, guest, "backing file of", "clone.qcow2", "--base 2"):
        place.lab.run("qemu-img", "create", "-f", "qcow2", "-F", "qcow2",
                      "-b", images[0], clone)
    with refusing(place, guest, "backing file of", "clone.qcow2"):
        place.lab.run("qemu-img", "rebase", "-u", "-b",
                      'json:{"driver":"qcow2","file":{"driver":"file",'
                      f'"filename":"{images[0]}"}}}}', "-F", "qcow2", clone)
    clone.unlink()
    # a domain that has the middle one as its disk
    other = place.lab.guest("flat other", start=False, disks=[
        Disk(path=images[1], witness=False)])
    with refusing(place, guest, "flat other", "vda"):
        pass
    other.remove()
    # a program that libvirt does not know of
    process = place.lab.popen("sh", "-c", f"exec sleep 600 <'{images[0]}'")
    try:
        with refusing(place, guest, "is open in process", "sleep"):
            wait_until(lambda: os.path.exists(f"/proc/{process.pid}/fd/0"),
                       "a process")
    finally:
        stop(process)
    # above the template all can be merged
    place.lab.run("qemu-img", "create", "-f", "qcow2", "-F", "qcow2",
                  "-b", images[0], clone)
    place.vmkeep("flatten", guest.name, "--base", 2, "--delete")
    assert chain(place, guest) == images[:2]
    guest.start()
    guest.wait_counter_beyond(2)
    with refusing(place, guest, "clone.qcow2", "nothing can be merged"):
        pass
    healthy(guest)
    guest.remove()


@test
def bad_chains(place):
    """Missing, read-only, larger, unnamed format, other definition, saved."""
    guest = chained(place, "flat bad", start=False)
    base, middle, top = chain(place, guest)
    with refusing(place, guest, "write-protected"):
        os.chmod(base, 0o444)
    os.chmod(base, 0o600)
    with refusing(place, guest, "not there", base):
        os.rename(base, base + ".away")
    os.rename(base + ".away", base)
    with refusing(place, guest, "does not say", "rebase -u"):
        patch(middle, b"\xe2\x79\x2a\xca", b"\x12\x34\x56\x78")
    patch(middle, b"\x12\x34\x56\x78", b"\xe2\x79\x2a\xca")
    with refusing(place, guest, "would grow"):
        place.lab.run("qemu-img", "resize", base, "80M")
    place.lab.run("qemu-img", "resize", "--shrink", base, "64M")
    guest.start()
    guest.wait_counter_beyond(2)
    with refusing(place, guest, "kept definition"):
        kept = place.lab.virsh("dumpxml", guest.name, "--inactive")
        xml = Path(guest.folder) / "kept.xml"
        xml.write_text(kept.replace(top, middle))
        place.lab.virsh("define", xml)
    xml.write_text(kept)
    place.lab.virsh("define", xml)
    place.lab.virsh("managedsave", guest.name)
    with refusing(place, guest, "saved with its RAM"):
        pass
    guest.start()
    healthy(guest)
    place.vmkeep("flatten", guest.name, "--disk", "vdx", code=FAILED,
                 words=["no disk 'vdx'"])
    place.vmkeep("flatten", guest.name)
    settled(place, guest, base)
    # an overlay that the domain left behind
    place.lab.run("qemu-img", "create", "-f", "qcow2", "-F", "qcow2", "-b",
                  base, Path(guest.folder) / "left", check=False)
    with refusing(place, guest, "does not use that"):
        pass
    guest.remove()


# -- trouble on the way


def until_caught(place, word, off):
    """A guest whose flatten was stopped by Ctrl-C at that word; one that was
    through by then is tried again. Returns it, and its chain before."""
    for attempt in range(6):
        guest = chained(place, f"flat stop {word} {attempt}")
        guest.mode("hard")
        if off:
            guest.destroy()
        images = chain(place, guest)
        process = place.start_until(word, "flatten", guest.name)
        process.send_signal(signal.SIGINT)
        go(process)
        said = process.communicate()
        if process.returncode == FAILED:
            assert "stopped" in said[1], said
            return guest, images
        assert process.returncode == 0, said
        guest.remove()
    raise AssertionError(f"never stopped at '{word}'")


@test
def interrupted(place):
    """Ctrl-C: the job is ended, the chain as it was; live and off."""
    guest, images = until_caught(place, "commit", off=False)
    as_before(place, guest, images)
    guest.remove()
    guest, images = until_caught(place, "offline", off=True)
    as_before(place, guest, images, "shut off")
    guest.check_disks()
    place.vmkeep("flatten", guest.name)
    boots(guest)
    guest.remove()


@test
def at_once(place):
    """While one is at work, nobody else is."""
    guest = chained(place, "flat busy")
    images = chain(place, guest)
    process = place.start_until("disk", "flatten", guest.name)
    place.vmkeep("flatten", guest.name, code=BUSY, words=["at work"])
    place.vmkeep("backup", guest.name, code=BUSY, words=["at work"])
    place.vmkeep("recover")
    go(process)
    finish(process)
    settled(place, guest, images[0])
    # a job of somebody else
    snapshot(place, guest, "next", "--no-metadata")
    place.lab.virsh("blockcommit", guest.name, "vda", "--active")
    place.vmkeep("flatten", guest.name, code=BUSY, words=["block job"])
    place.lab.virsh("blockjob", guest.name, "vda", "--abort")
    place.vmkeep("flatten", guest.name, code=FAILED, words=["backing file"])
    guest.remove()


@test
def guest_ends(place):
    """The guest is pulled out while its disk is being merged: done, off."""
    for word in ("disk", "commit", "pivot"):
        guest = chained(place, f"flat end {word}")
        guest.mode("hard")
        images = chain(place, guest)
        process = place.start_until(word, "flatten", guest.name)
        guest.destroy()
        go(process)
        finish(process)
        settled(place, guest, images[0], "shut off")
        boots(guest)
        guest.remove()


@test
def guest_starts(place):
    """It is started while it is merged off: the image lock decides."""
    for word in ("offline", "committed"):
        guest = chained(place, f"flat start {word}", start=False)
        images = chain(place, guest)
        process = place.start_until(word, "flatten", guest.name)
        guest.start()
        guest.wait_counter_beyond(2)
        go(process)
        finish(process)
        settled(place, guest, images[0])
        guest.destroy()
        boots(guest)
        guest.remove()


@test
def guest_starts_killed(place):
    """The same, and vmkeep is killed then: the writes since are not lost."""
    for ends in (False, True):
        guest = chained(place, f"flat killed {ends}", start=False)
        images = chain(place, guest)
        process = place.start_until("committed", "flatten", guest.name)
        guest.start()
        guest.wait_counter_beyond(guest.wait_counter_beyond(2) + 10)
        if ends:
            guest.destroy()
        process.kill()
        process.communicate()
        place.vmkeep("recover")
        # as it was; or, when the new definition was made just before the
        # start, what the running guest writes is merged: nothing is lost
        left = chain(place, guest)
        assert left in (images, images[:1]), left
        settled(place, guest, left[-1], "shut off" if ends else "running")
        guest.destroy()
        boots(guest)
        guest.remove()


@test
def guest_came_and_went(place):
    """It was started and has ended again when all was merged off: what it
    wrote meanwhile is merged, too."""
    guest = chained(place, "flat visit", start=False)
    images = chain(place, guest)
    process = place.start_until("committed", "flatten", guest.name,
                                "--delete")
    guest.start()
    guest.wait_counter_beyond(guest.wait_counter_beyond(2) + 10)
    guest.destroy()
    go(process)
    finish(process)
    settled(place, guest, images[0], "shut off")
    boots(guest)
    guest.remove()


@test
def libvirtd_restarted(place):
    """libvirtd ends, orderly or not, at a step: done, or as it was."""
    for word in ("disk", "commit", "pivot"):
        for kill in (False, True):
            guest = chained(place, f"flat daemon {word} {kill}")
            guest.mode("hard")
            images = chain(place, guest)
            process = place.start_until(word, "flatten", guest.name)
            place.lab.restart_libvirtd(kill, lambda: go(process))
            go(process)
            _, err = process.communicate(timeout=PATIENCE)
            place.note(f"{word}{'!' * kill} {process.returncode}")
            assert process.returncode in (DONE, FAILED), err
            place.vmkeep("recover")
            left = chain(place, guest)
            assert left in (images, images[:1]), left
            assert (left == images[:1]) == (process.returncode == DONE), err
            settled(place, guest, left[-1])
            guest.destroy()
            boots(guest)
            guest.remove()


@test
def base_full(place):
    """No room where the base is: before it begins, and in the middle."""
    guest = chained(place, "flat full", start=False, chain=0)
    with small(place, "small-base", 48) as folder:
        path = f"{guest.folder}/vda.qcow2"
        place.lab.run("mv", path, folder / "base")
        place.lab.run("ln", "-s", folder / "base", path)
        guest.start()
        snapshot(place, guest, "over", "--no-metadata")
        guest.mode("hard")
        guest.command("dirty 0")
        guest.wait_counter_beyond(600)
        images = chain(place, guest)

        def ballast(left):
            with open(inside(place, folder) + "/ballast", "wb") as file:
                os.posix_fallocate(file.fileno(), 0,
                                   free(place, folder) - left)

        ballast(MIB)
        place.vmkeep("flatten", guest.name, code=FAILED, words=["may grow"])
        as_before(place, guest, images)
        os.unlink(inside(place, folder) + "/ballast")
        for word, left in (("commit", 0), ("commit", 1 * MIB)):
            process = place.start_until(word, "flatten", guest.name)
            ballast(left)
            go(process)
            done = finish(process, FAILED, ["vda"])
            place.note(done.stderr.strip()[-120:])
            as_before(place, guest, images)
            os.unlink(inside(place, folder) + "/ballast")
        place.vmkeep("flatten", guest.name)
        settled(place, guest, path)
        guest.destroy()
        boots(guest)
        guest.remove()
