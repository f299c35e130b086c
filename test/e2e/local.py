# SPDX-License-Identifier: Apache-2.0
"""Points that stay on this host, and going back to them in place."""

import os
import shutil
import signal

from kit import (BUSY, DONE, FAILED, INTEGRITY, KILLED, PARTLY, Skip, free,
                 healthy, inside, small, test)
from lab import OVMF_CODE
from local_kit import back_and_forth, goes_on, keep, listed, write_on
from snapfs import storage

KINDS = ("xfs", "btrfs")


def copies(folder):
    """Storage snapshots of ours on that file system."""
    return sorted(str(path) for path in folder.rglob("vmkeep_*"))


@test
def back_in_place(place):
    """Kept here with RAM, gone on, back at the instant, and forth again to
    what was kept for safety; no snapshot is lost by it."""
    for kind in KINDS:
        with storage(place, kind) as folder:
            guest = place.lab.guest(f"here {kind}", seed=True)
            disks = guest.disks()
            guest.wait_counter_beyond(2)
            point = keep(place, guest)
            assert point["level"] == "ram", point
            goes_on(place, guest, disks)
            held = back_and_forth(place, guest, point)
            guest.destroy()
            place.vmkeep("forget", *held, "--force")
            assert copies(folder) == [], copies(folder)
            guest.remove()


@test
def both_places(place):
    """Held here and in the repository: one point, read from here; forgotten
    in one place it is in the other still."""
    with storage(place, "xfs") as folder:
        guest = place.lab.guest("here both", seed=True)
        guest.wait_counter_beyond(2)
        item = place.backup(guest.name, "--keep", "local,repository")
        point = item["point"]["id"]
        assert listed(place, guest) == {point: ["local", "repository"]}
        here, there = place.lab.dir / "here.raw", place.lab.dir / "there.raw"
        place.vmkeep("export", f"{point}/vda", here, "--place", "local")
        place.vmkeep("export", f"{point}/vda", there, "--place",
                     "repository")
        place.shell("cmp", here, there)
        place.vmkeep("forget", point, "--force", "--place", "local")
        assert listed(place, guest) == {point: ["repository"]}
        assert copies(folder) == []
        place.vmkeep("revert", point, code=FAILED, words=["held on this"])
        here.unlink()
        there.unlink()
        guest.remove()


@test
def a_copy_from_here(place):
    """Restored under another name beside the original, without a
    repository; the original does not notice."""
    with storage(place, "btrfs"):
        guest = place.lab.guest("here copy", seed=True)
        disks = guest.disks()
        guest.wait_counter_beyond(2)
        point = keep(place, guest)
        to = place.lab.dir / "copy"
        place.vmkeep("--repository", place.lab.dir / "nowhere", "restore",
                     point["id"], "--place", "local", "--to", to, "--name",
                     "here copy 2")
        goes_on(place, guest, disks)
        images = sorted(to.glob("*.qcow2")) + sorted(to.glob("*.raw"))
        assert len(images) == len(disks), images
        place.lab.virsh("undefine", "here copy 2")
        shutil.rmtree(to)
        healthy(guest)
        place.vmkeep("forget", point["id"], "--force", "--place", "local")
        guest.remove()


@test
def refusals(place):
    """What cannot be: storage without snapshots, a running VM, a point whose
    record is damaged, another disk by now."""
    plain = place.lab.guest("here plain", seed=True)
    plain.wait_counter_beyond(2)
    done = place.run("backup", plain.name, "--keep", "local")
    assert done.returncode != 0 and "kept on this host" in done.stderr, done
    healthy(plain)
    plain.remove()
    with storage(place, "xfs") as folder:
        guest = place.lab.guest("here not", seed=True)
        guest.wait_counter_beyond(2)
        kept = keep(place, guest)
        point = kept["id"]
        other = keep(place, guest, "--no-memory")["id"]
        place.vmkeep("revert", point, code=BUSY, words=["--stop"])
        place.lab.virsh("managedsave", guest.name)
        place.vmkeep("revert", point, "--no-safety", code=FAILED,
                     words=["managedsave-remove"])
        place.lab.virsh("managedsave-remove", guest.name)
        place.lab.virsh("domrename", guest.name, "here renamed")
        place.vmkeep("revert", point, "--no-safety", code=FAILED,
                     words=["was called", guest.name])
        place.lab.virsh("domrename", "here renamed", guest.name)
        place.vmkeep("recover")  # nothing was begun
        path = next(iter(guest.disks().values()))
        shutil.move(path, path + ".away")
        shutil.copy(path + ".away", path)
        place.vmkeep("revert", point, "--no-safety")
        record = next(place.lab.dir.rglob(f"local/{kept['set']}/set"))
        whole = record.read_bytes()
        record.write_bytes(whole[:-1])
        place.vmkeep("points", "--place", "local", code=INTEGRITY)
        place.vmkeep("recover")
        both = copies(folder)
        assert both, "a damaged record keeps its snapshots"
        place.vmkeep("forget", other, "--force", "--place", "local",
                     code=INTEGRITY, words=["not all is freed"])
        assert copies(folder) == both, "who knows what the damaged one needs"
        place.vmkeep("recover", code=FAILED)
        record.write_bytes(whole)
        place.vmkeep("recover")
        assert 0 < len(copies(folder)) < len(both)
        place.vmkeep("forget", point, "--force", "--place", "local")
        assert copies(folder) == []
        guest.remove()


@test
def killed(place):
    """SIGKILL at every journal record of a capture that is to stay: a point
    that is whole, or none, and no snapshot that no point names; the guest
    goes on."""
    with storage(place, "xfs") as folder:
        guest = place.lab.guest("here killed", seed=True)
        disks = guest.disks()
        guest.wait_counter_beyond(2)
        cells = []
        for number in range(1, 60):
            process = place.start(
                "backup", guest.name, "--keep", "local", "--no-memory",
                env={"VMKEEP_TEST_KILL": str(number)})
            process.wait()
            place.wait_watchdog()
            place.vmkeep("recover")
            goes_on(place, guest, disks)
            held = listed(place, guest)
            cells.append(len(held))
            for one in held:
                place.vmkeep("forget", one, "--force", "--place", "local")
            assert copies(folder) == [], (number, copies(folder))
            if process.returncode != -signal.SIGKILL:
                break
        assert cells[-1] == 1 and number > 5, cells
        place.note(f"killed at {number - 1} records: points {cells}")
        healthy(guest)
        guest.remove()


@test
def revert_killed(place):
    """SIGKILL in the middle of a revert: recover tells, backups are refused,
    doing it again mends it, and all of the disks is of the point."""
    with storage(place, "xfs") as folder:
        guest = place.lab.guest("here cut", seed=True)
        guest.wait_counter_beyond(2)
        point = keep(place, guest)["id"]
        write_on(guest)
        guest.destroy()
        for when in ("1", "1:5"):
            done = place.run("revert", point, "--no-safety",
                             env={"VMKEEP_TEST_KILL": when})
            if done.returncode != KILLED:  # it was through by then
                assert when != "1" and done.returncode == 0, done
                break
            told = place.run("recover")
            assert told.returncode == FAILED, told
            assert point[:12] in told.stdout and "cut short" in told.stdout
            place.vmkeep("backup", guest.name, code=BUSY,
                         words=["cut short"])
        place.json("revert", point, "--no-safety", "--ram")
        guest.wait_heartbeat()
        healthy(guest)
        place.vmkeep("recover")
        guest.destroy()
        place.vmkeep("forget", point, "--force", "--place", "local")
        assert copies(folder) == []
        guest.remove()


def failing(place, most, *args, before=lambda: None):
    """Runs it with the 1st, 2nd, 3rd ... change of a file failing, until
    there are no more. Yields how each ended, to be looked at."""
    for number in range(1, most):
        before()
        done = place.run(*args, env={"VMKEEP_TEST_FAIL": str(number)})
        place.wait_watchdog()
        assert done.returncode in (DONE, FAILED, PARTLY), (number, done)
        assert done.returncode != FAILED or "No space" in done.stderr, (
            number, done)
        yield number, done
        if f"change {number} fails" not in done.stderr:
            assert done.returncode == DONE and number > 20, (number, done)
            place.note(f"{number - 1} changes")
            return
    raise AssertionError(f"no end after {most}")


@test
def changes_fail(place):
    """A group that is to stay, each change of a file failing in turn: whole
    points or none, and the guests go on."""
    with storage(place, "xfs") as folder:
        guests = [place.lab.guest(f"here f {n}", seed=True) for n in "ab"]
        for guest in guests:
            guest.wait_counter_beyond(2)
        disks = [guest.disks() for guest in guests]
        names = [guest.name for guest in guests]
        for number, done in failing(place, 300, "backup", *names, "--together",
                                    "--keep", "local", "--no-memory"):
            place.vmkeep("recover")
            for guest, own in zip(guests, disks):
                goes_on(place, guest, own)
            held = [one for guest in guests for one in listed(place, guest)]
            assert done.returncode != DONE or len(held) == 2, (number, done)
            for one in held:
                place.vmkeep("forget", one, "--force", "--place", "local")
            assert copies(folder) == [], (number, copies(folder))
            assert not list(place.state.glob("*.snaps*")), number
        for guest in guests:
            healthy(guest)
            guest.remove()


@test
def revert_fails(place):
    """The same of a revert: as it was, or said to be neither; and then it
    can be done."""
    with storage(place, "xfs") as folder:
        guest = place.lab.guest("here r f", seed=True)
        guest.wait_counter_beyond(2)
        point = keep(place, guest, "--no-memory")["id"]
        then = guest.counter()
        later = write_on(guest)
        guest.destroy()
        paths = list(guest.disks().values())
        for path in paths:
            place.shell("cp", "--reflink", path, path + ".later")

        def before():
            for path in paths:
                place.shell("cp", "--reflink", path + ".later", path)

        ends = set()
        for number, done in failing(place, 80, "revert", point,
                                    "--no-safety", before=before):
            told = place.run("recover")
            cut = told.returncode == FAILED
            assert not cut or "cut short" in told.stdout, (number, told)
            assert not cut or done.returncode != DONE, (number, told)
            if cut:
                place.vmkeep("revert", point, "--no-safety")
                place.vmkeep("recover")
            number = guest.check_disks()
            there = number <= then + 1
            assert there or number >= later - 1, (number, then, later)
            assert there or done.returncode == FAILED
            ends.add((done.returncode, cut, there))
        assert len(ends) > 2, ends
        place.vmkeep("forget", point, "--force", "--place", "local")
        assert copies(folder) == []
        guest.remove()


@test
def a_group_here(place):
    """Two of one instant stay as one set; one goes, and the other's disks
    are there still."""
    with storage(place, "btrfs") as folder:
        guests = [place.lab.guest(f"here {n}", seed=True) for n in "ab"]
        for guest in guests:
            guest.wait_counter_beyond(2)
        done = place.json("backup", *[guest.name for guest in guests],
                          "--together", "--keep", "local", "--no-memory")
        points = [item["point"] for item in done["items"]]
        assert len({point["set"] for point in points}) == 1, points
        place.vmkeep("forget", points[0]["id"], "--force", "--place", "local")
        assert copies(folder), "the other point needs it"
        disk = place.lab.dir / "of-b.raw"
        place.vmkeep("export", points[1]["id"] + "/vda", disk)
        disk.unlink()
        place.vmkeep("forget", points[1]["id"], "--force", "--place", "local")
        assert copies(folder) == []
        for guest in guests:
            healthy(guest)
            guest.remove()


@test
def firmware(place):
    """Firmware variables and the TPM's state go back, too, and are in what is
    kept for safety."""
    if not shutil.which("swtpm") or not os.path.exists(OVMF_CODE):
        raise Skip("swtpm and OVMF")
    with storage(place, "xfs") as folder:
        guest = place.lab.guest("here fw", tpm=True, uefi=True, machine="q35")
        guest.wait_counter_beyond(2)
        point = keep(place, guest)
        assert point["level"] == "ram", point
        files = [guest.nvram(), guest.tpm()]
        then = [file.read_bytes() for file in files]
        held = back_and_forth(place, guest, point)
        guest.destroy()
        for file in files:
            file.write_bytes(bytes(reversed(file.read_bytes())))
        later = [file.read_bytes() for file in files]
        done = place.json("revert", point["id"])
        assert [file.read_bytes() for file in files] == then
        assert any("TPM" in note for note in done["notes"]), done
        place.json("revert", done["safety"], "--no-safety")
        assert [file.read_bytes() for file in files] == later
        place.json("revert", point["id"], "--no-safety", "--ram")
        guest.wait_heartbeat()
        healthy(guest)
        guest.destroy()
        place.vmkeep("forget", *held, done["safety"], "--force")
        assert copies(folder) == []
        guest.remove()


@test
def no_room_here(place):
    """The folder of local points gets full, by RAM, and by the last of a
    point: there is none, and the guest goes on."""
    with storage(place, "xfs") as folder, small(place, "ram", 24) as ram:
        guest = place.lab.guest("here full", seed=True)
        disks = guest.disks()
        guest.wait_counter_beyond(2)
        args = ["backup", guest.name, "--keep", "local", "--ram-dir", ram]

        def fails(*more):
            done = place.vmkeep(*args, *more, code=FAILED,
                                words=["--ram-dir"])
            place.note(done.stderr.strip()[-160:])
            goes_on(place, guest, disks)
            place.no_leftovers()
            assert copies(folder) == [], copies(folder)
            left = [path for path in os.walk(inside(place, ram))
                    if path[2] and path[0] != inside(place, ram)]
            assert not left, left

        # told beforehand; without --require its RAM alone would be left out
        fails("--require", "ram")
        for pages in range(4):
            with open(inside(place, ram) + "/ballast", "wb") as ballast:
                os.posix_fallocate(ballast.fileno(), 0,
                                   free(place, ram) - pages * 4096)
            fails("--no-memory")
            os.unlink(ballast.name)
        done = place.json(*args, "--no-memory")
        point = done["items"][0]["point"]["id"]
        place.vmkeep("forget", point, "--force", "--ram-dir", ram)
        assert copies(folder) == []
        healthy(guest)
        guest.remove()
