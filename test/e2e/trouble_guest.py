# SPDX-License-Identifier: Apache-2.0
"""Trouble with the guest, before and during a capture."""

import json
import os

from kit import (BUSY, DONE, FAILED, Lab, PARTLY, PATIENCE,
                 finish, go, healthy, hears, instant, test, thawed,
                 untouched, wait_until)


@test
def no_such_domain(place):
    """Named with the nearest one there is; others are backed up."""
    guest = place.lab.guest("webserver", seed=True)
    place.vmkeep("backup", "webservr", code=FAILED,
                 words=["'webservr'", "'webserver'"])
    answer = place.json("backup", "--no-memory", "nobody", guest.name,
                        code=PARTLY, words=["nobody"])
    assert [item["ok"] for item in answer["items"]] == [False, True]
    place.vmkeep("backup", guest.name, "--disk", "vdz", code=FAILED,
                 words=["vdz"])
    place.vmkeep("restore", "webservr@latest", "--to", place.folder / "no",
                 code=FAILED, words=["webservr"])
    untouched(place, guest, guest.disks())
    guest.remove()


# -- it changes during a capture


def off_meanwhile(place, name, change):
    """A guest that ends while its disks are read: merged while off."""
    guest = place.lab.guest(name, seed=True)
    guest.mode("hard")
    disks = guest.disks()
    process = place.start_until("taken", "backup", guest.name, "--memory")
    guest.wait_counter_beyond(guest.counter() + 20)
    before = guest.counter()
    change(guest)
    wait_until(lambda: guest.state() == "shut off", "its end")
    go(process)
    out, err = process.communicate(timeout=PATIENCE)
    assert process.returncode in (DONE, PARTLY), (process.returncode, out,
                                                  err)
    place.note(f"exit {process.returncode} {err.strip()[-100:]}")
    untouched(place, guest, disks, "shut off")
    assert guest.check_disks() >= before
    instant(place, f"{guest.name}@latest", guest)
    return guest


@test
def destroyed(place):
    """The plug is pulled during the reading; it boots with all it wrote."""
    guest = off_meanwhile(place, "destroyed", lambda guest: guest.destroy())
    guest.start()
    guest.wait_heartbeat()
    healthy(guest)
    guest.remove()


@test
def shut_down(place):
    """It shuts itself down during the reading."""
    off_meanwhile(place, "shut down",
                  lambda guest: guest.command("poweroff")).remove()


@test
def undefined(place):
    """Undefined while it runs: it is merged live and goes on, transient."""
    guest = place.lab.guest("undefined", seed=True)
    disks = guest.disks()
    process = place.start_until("taken", "backup", guest.name, "--memory")
    place.lab.virsh("undefine", guest.name)
    go(process)
    out, err = process.communicate(timeout=PATIENCE)
    assert process.returncode in (DONE, PARTLY), (out, err)
    place.note(f"exit {process.returncode}")
    assert guest.disks() == disks
    place.no_leftovers()
    healthy(guest)
    instant(place, f"{guest.name}@latest", guest)
    guest.remove()


@test
def gone(place):
    """Destroyed and undefined: nobody can merge, so both images are kept,
    and what to type is said, again by recover."""
    guest = place.lab.guest("gone", seed=True)
    guest.mode("hard")
    disks = guest.disks()
    process = place.start_until("taken", "backup", guest.name, "--memory")
    guest.wait_counter_beyond(guest.counter() + 20)
    guest.destroy()
    last = place.lab.check([(path, None) for path
                            in guest.disks("--inactive").values()])
    place.lab.virsh("undefine", guest.name)
    go(process)
    done = finish(process, PARTLY, ["qemu-img commit"])
    place.note(done.stderr.strip()[-300:])
    overlays = [path for path in guest.folder.iterdir()
                if "vmkeep-" in path.name]
    assert len(overlays) == 2, overlays
    place.vmkeep("recover", code=FAILED, words=["qemu-img commit"])
    instant(place, f"{guest.name}@latest", guest)
    for overlay in overlays:
        place.lab.run("qemu-img", "commit", "-q", overlay)
        overlay.unlink()
    assert place.lab.check([(path, None) for path in disks.values()]) == last
    place.vmkeep("recover")
    place.no_leftovers()
    guest.remove()


@test
def started_meanwhile(place):
    """A guest that is off and is started: its user wins."""
    guest = place.lab.guest("started", seed=True)
    guest.wait_counter_beyond(3)
    disks = guest.disks()
    guest.destroy()
    process = place.start_until("begin", "backup", guest.name)
    place.lab.virsh("start", guest.name)
    go(process)
    finish(process, BUSY, ["start"])
    guest.wait_heartbeat()
    untouched(place, guest, disks)
    guest.remove()


@test
def resumed_meanwhile(place):
    """A guest that was paused and is resumed: no point of no instant."""
    guest = place.lab.guest("resumed", seed=True)
    guest.wait_counter_beyond(3)
    disks = guest.disks()
    place.lab.virsh("suspend", guest.name)
    points = len(place.json("points")["points"])
    process = place.start_until("begin", "backup", guest.name)
    place.lab.virsh("resume", guest.name)
    hears(guest)
    go(process)
    finish(process, BUSY, ["paused"])
    assert len(place.json("points")["points"]) == points
    untouched(place, guest, disks)
    guest.remove()


@test
def migrated_away(place):
    """It leaves for another host during the reading: the overlay is in use
    there, and stays."""
    with Lab(hostname="lab-far") as far:
        guest = place.lab.guest("moves", seed=True)
        guest.mode("hard")
        process = place.start_until("taken", "backup", guest.name, "--memory")
        there = far.attach("moves", guest.options)
        uri = f"qemu+unix:///system?socket={far.dir}/run/libvirt-sock"
        # on a busy machine it might never catch up with what runs
        order = ["migrate", "--live", "--persistent", "--undefinesource",
                 "--unsafe", "--timeout", 30, "--timeout-suspend"]
        place.lab.virsh(*order, guest.name, uri,
                        f"unix://{place.lab.dir}/move")
        there.wait_heartbeat()
        go(process)
        done = finish(process, PARTLY, ["migrated"])
        place.note(done.stderr.strip()[-250:])
        assert all("vmkeep-" in path for path in there.disks().values())
        place.vmkeep("recover", code=FAILED, words=["migrated"])
        instant(place, "moves@latest", guest)
        healthy(there)
        back = f"qemu+unix:///system?socket={place.lab.dir}/run/libvirt-sock"
        far.virsh(*order, "moves", back, f"unix://{far.dir}/back")
        guest.wait_heartbeat()
        place.vmkeep("recover")
        place.no_leftovers()
        healthy(guest)
        there.remove()
        guest.remove()


@test
def interrupted(place):
    """Ctrl-C, or the end of the machine: what was begun is undone in
    order."""
    guest = place.lab.guest("ctrl-c", seed=True)
    disks = guest.disks()
    points = len(place.json("points")["points"])
    for word in ("disk", "snapshot", "taken"):
        process = place.start_until(word, "backup", guest.name, "--memory")
        process.terminate()
        go(process)
        _, err = process.communicate(timeout=PATIENCE)
        assert process.returncode == FAILED, (word, process.returncode, err)
        untouched(place, guest, disks)
    assert len(place.json("points")["points"]) == points
    healthy(guest)
    guest.remove()


# -- somebody is there already


@test
def two_at_once(place):
    """The second backup of a domain is told who is first."""
    guest = place.lab.guest("twice", seed=True)
    disks = guest.disks()
    process = place.start_until("taken", "backup", guest.name, "--memory")
    place.vmkeep("backup", guest.name, code=BUSY, words=["twice"])
    answer = place.json("recover")
    assert answer["items"] == [], answer
    go(process)
    finish(process)
    untouched(place, guest, disks)
    guest.remove()


@test
def block_job(place):
    """A block job of somebody else is left alone."""
    guest = place.lab.guest("job", seed=True)
    disks = guest.disks()
    place.lab.virsh("blockcopy", guest.name, "vda", "--dest", guest.folder /
                    "copy.qcow2", "--transient-job", "--wait")
    place.vmkeep("backup", guest.name, code=BUSY, words=["vda", "job"])
    job = place.lab.run("virsh", "blockjob", guest.name, "vda")
    assert "Copy" in job.stdout + job.stderr, job
    place.lab.virsh("blockjob", guest.name, "vda", "--abort")
    untouched(place, guest, disks)
    place.backup(guest.name)
    untouched(place, guest, disks)
    guest.remove()


@test
def snapshot_on_top(place):
    """Somebody makes a snapshot of a guest that is on our overlay: both are
    kept, and the guest goes on."""
    guest = place.lab.guest("on top", seed=True)
    guest.mode("hard")
    disks = guest.disks()
    process = place.start_until("taken", "backup", guest.name, "--memory")
    place.lab.virsh("snapshot-create-as", guest.name, "--no-metadata",
                    "--disk-only", "--atomic", "--diskspec",
                    f"vda,file={guest.folder}/theirs.qcow2", "--diskspec",
                    "vdb,snapshot=no")
    go(process)
    done = finish(process, PARTLY, ["vda"])
    place.note(done.stderr.strip()[-250:])
    assert guest.disks()["vda"] == f"{guest.folder}/theirs.qcow2"
    assert guest.disks()["vdb"] == disks["vdb"]
    healthy(guest)
    place.vmkeep("recover", code=FAILED, words=["vda"])
    healthy(guest)
    # its maker takes it away, and recover does the rest
    place.lab.virsh("blockcommit", guest.name, "vda", "--active",
                    "--shallow", "--pivot", "--wait")
    os.unlink(f"{guest.folder}/theirs.qcow2")
    place.vmkeep("recover")
    untouched(place, guest, disks)
    guest.remove()


# -- it does not want to


@test
def ram_refused(place):
    """A device that cannot be migrated: one level less, with the reason."""
    guest = place.lab.guest("shmem", devices=(
        "<shmem name='vmkeep-test' role='peer'><model type='ivshmem-plain'/>"
        "<size unit='M'>1</size></shmem>"))
    guest.wait_heartbeat()
    guest.wait_agent()
    disks = guest.disks()
    item = place.backup(guest.name, code=PARTLY, words=["no RAM"])
    assert item["degraded"] and item["point"]["level"] == "filesystem", item
    assert any("shmem" in note for note in item["point"]["notes"]), item
    place.note(item["point"]["notes"][0])
    untouched(place, guest, disks)
    place.vmkeep("backup", guest.name, "--require", "ram", code=FAILED,
                 words=["RAM", "shmem"])
    place.vmkeep("backup", guest.name, "--no-memory")
    untouched(place, guest, disks)
    [domain] = place.json("domains", guest.name)["domains"]
    assert domain["level"] == "filesystem" and domain["reasons"], domain
    healthy(guest)
    guest.remove()


def in_guest(guest, *argv):
    """Lets the agent run a program; its answer may never come."""
    guest.lab.virsh("qemu-agent-command", guest.name, "--timeout", "5",
                    json.dumps({"execute": "guest-exec", "arguments": {
                        "path": argv[0], "arg": list(argv[1:])}}),
                    check=False)


@test
def agent_hangs(place):
    """An agent that does not answer any more: not frozen, and said so."""
    guest = place.lab.guest("hangs", seed=True)
    guest.wait_agent()
    disks = guest.disks()

    def silent():
        # again and again: an order may be lost on a busy machine
        in_guest(guest, "/bin/busybox", "killall", "-STOP", "qemu-ga")
        return not guest.qga_ready() and not guest.qga_ready()

    wait_until(silent, "a silent agent")
    item = place.backup(guest.name, "--no-memory", code=PARTLY,
                        words=["agent"])
    assert item["point"]["level"] == "crash" and item["degraded"], item
    untouched(place, guest, disks)
    place.vmkeep("backup", guest.name, "--no-memory", "--require",
                 "filesystem", code=FAILED, words=["agent"])
    untouched(place, guest, disks)
    assert place.backup(guest.name)["point"]["level"] == "ram"
    healthy(guest)
    guest.remove()


@test
def agent_refuses(place):
    """An agent that is frozen by somebody else stays so."""
    guest = place.lab.guest("frozen", seed=True)
    guest.wait_agent()
    disks = guest.disks()
    assert guest.agent("guest-fsfreeze-freeze") == 2
    item = place.backup(guest.name, "--no-memory", code=PARTLY,
                        words=["froze"])
    assert item["point"]["level"] == "crash", item
    place.note(f"still {guest.agent('guest-fsfreeze-status')}")
    guest.agent("guest-fsfreeze-thaw")
    thawed(guest)
    untouched(place, guest, disks)
    guest.remove()


@test
def disk_vanished(place):
    """The file of a disk is not there: running, and off."""
    guest = place.lab.guest("vanished", seed=True)
    guest.wait_counter_beyond(3)
    disks = guest.disks()
    os.rename(disks["vdb"], disks["vdb"] + ".away")
    place.vmkeep("backup", guest.name, code=FAILED,
                 words=["vdb", disks["vdb"]])
    os.rename(disks["vdb"] + ".away", disks["vdb"])
    untouched(place, guest, disks)
    healthy(guest)
    guest.destroy()
    os.rename(disks["vdb"], disks["vdb"] + ".away")
    place.vmkeep("backup", guest.name, code=FAILED,
                 words=["vdb", disks["vdb"]])
    os.rename(disks["vdb"] + ".away", disks["vdb"])
    untouched(place, guest, disks, "shut off")
    place.backup(guest.name)
    guest.remove()


