#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Proves the lab itself: what the other tests rely on works here.

    selftest.py [-k WORD]       run the tests (whose name contains WORD)

Prints a line per test with times; exit code 0 or 1, 77 if the lab cannot run.
"""

import os
import subprocess
import sys
import time
import traceback
from pathlib import Path

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

import lab as lab_module  # noqa: E402
from lab import (OVMF_CODE, Disk, Lab, LabError,  # noqa: E402
                 file_system_clean, wait_until)

TESTS = []


def test(run):
    """Marks a test: a function of the lab and a Clock."""
    TESTS.append(run)
    return run


class Clock:
    """Notes how long each step took."""

    def __init__(self):
        self.last = time.monotonic()
        self.words = []

    def lap(self, what):
        now = time.monotonic()
        self.words.append(f"{what} {now - self.last:.2f}")
        self.last = time.monotonic()

    def note(self, what):
        self.words.append(what)
        self.last = time.monotonic()


def healthy(guest):
    """The guest is heard, all its disks are as its RAM says."""
    guest.wait_heartbeat()
    guest.check()
    assert not guest.failed(), guest.failed()


def snapshot_xml(lab, guest, ram, disks=()):
    """An external snapshot: overlays for disks, "manual" for all others."""
    parts = []
    for target, path in guest.disks().items():
        if target in disks:
            parts.append(f"<disk name='{target}' snapshot='external'>"
                         f"<source file='{path}.snap.qcow2'/></disk>")
        else:
            parts.append(f"<disk name='{target}' snapshot='manual'/>")
    file = lab.dir / "snapshot.xml"
    file.write_text(f"<domainsnapshot><memory snapshot='external' "
                    f"file='{ram}'/><disks>{''.join(parts)}</disks>"
                    f"</domainsnapshot>")
    return file


def snapshot(lab, guest, ram, disks=()):
    lab.virsh("snapshot-create", guest.name, "--live", "--atomic",
              "--no-metadata", "--xmlfile",
              snapshot_xml(lab, guest, ram, disks))


@test
def boot(lab, clock):
    """A guest with qcow2 and raw boots, is heard and has an agent."""
    guest = lab.guest("boot")
    guest.wait_heartbeat()
    clock.lap("heartbeat")
    guest.wait_agent()
    clock.lap("agent")
    status = guest.status()
    assert {status["vda"], status["vdb"]} <= {status["n"], status["n"] - 1}
    healthy(guest)
    guest.remove()


@test
def jitter(lab, clock):
    """The longest silence while nothing happens, and while it works hard."""
    guest = lab.guest("jitter", seed=True)
    guest.wait_heartbeat()
    for orders in (["mode idle"], ["mode hard"], ["mode idle", "dirty 50"]):
        for order in orders:
            guest.command(order)
        start = time.monotonic()
        before = guest.counter()
        time.sleep(5)
        gap = guest.longest_gap(start)
        clock.note(f"{orders[-1]}: {1000 * gap:.0f} ms, "
                   f"{(guest.counter() - before) / 5:.0f} records/s")
        # What a loaded machine adds is not the lab's fault.
        assert gap < 1, gap
    healthy(guest)
    guest.remove()


@test
def seeds(lab, clock):
    """Guests from a seed; odd names; formats and chains are free."""
    first = lab.guest("seed & <1>'\"", seed=True)
    clock.lap("made or found")
    second = lab.guest("näme with spaces", seed=True,
                       disks=[Disk(chain=2), Disk()])
    second.wait_heartbeat()
    clock.lap("started")
    second.wait_agent()
    clock.lap("agent")
    for guest in (first, second):
        healthy(guest)
        guest.remove()


@test
def freeze(lab, clock):
    """The agent freezes both file systems, and ext4 is clean then."""
    guest = lab.guest("freeze", seed=True)
    guest.wait_agent()
    clock.lap("agent")
    raw = guest.disks()["vdb"]
    files = guest.status()["fs"]
    wait_until(lambda: guest.status()["fs"] > files, "files")
    assert not file_system_clean(raw), "busy file system is clean"
    clock.lap("busy")
    assert guest.agent("guest-fsfreeze-freeze") == 2
    clock.lap("freeze")
    assert file_system_clean(raw), "frozen file system is not clean"
    start, files = time.monotonic(), guest.status()["fs"]
    time.sleep(1.5)
    assert guest.status()["fs"] <= files + 1, "files written while frozen"
    assert guest.longest_gap(start) < 1, "a freeze silenced the guest"
    clock.lap("frozen")
    assert guest.agent("guest-fsfreeze-thaw") == 2
    clock.lap("thaw")
    wait_until(lambda: guest.status()["fs"] > files + 1, "files again")
    healthy(guest)
    guest.remove()


@test
def save_restore(lab, clock):
    """virsh save and restore: counter and beats go on, the reader too."""
    guest = lab.guest("save", seed=True)
    guest.command("mode hard")
    guest.command("dirty 20")
    time.sleep(1)
    clock.lap("worked")
    ram = lab.dir / "save.ram"
    lab.virsh("save", guest.name, ram)
    clock.lap("save")
    beat = guest.console.beats[-1]
    assert guest.check_disks() >= beat[1]
    clock.lap("offline check")
    lab.virsh("restore", ram)
    guest.wait_heartbeat()
    clock.lap("restore")
    after = [one for one in guest.console.beats if one[0] > beat[0]][0]
    assert after[2] - beat[2] < 200, "the guest's beats do not go on"
    time.sleep(1)
    healthy(guest)
    guest.remove()


def commit_all(lab, guest, clock):
    for target in guest.disks():
        lab.virsh("blockcommit", guest.name, target, "--active", "--shallow",
                  "--pivot", "--wait")
        clock.lap(f"commit {target}")


@test
def snapshot_overlay(lab, clock):
    """Live RAM + overlays, commit and pivot, all while it writes hard."""
    guest = lab.guest("overlay", seed=True)
    guest.mode("hard")
    bases = guest.disks()
    clock.lap("ready")
    start = time.monotonic()
    snapshot(lab, guest, lab.dir / "overlay.ram", disks=("vda", "vdb"))
    clock.lap("snapshot")
    clock.note(f"gap {1000 * guest.longest_gap(start):.0f} ms")
    assert all(path.endswith(".snap.qcow2") for path in guest.disks().values())
    last = lab.check((path, None) for path in bases.values())
    clock.lap("check of the bases")
    guest.wait_counter_beyond(last + 10)
    clock.lap("worked")
    start = time.monotonic()
    commit_all(lab, guest, clock)
    clock.note(f"gap {1000 * guest.longest_gap(start):.0f} ms")
    assert guest.disks() == bases
    healthy(guest)
    guest.destroy()
    clock.lap("destroy")
    assert guest.check_disks() > last
    clock.lap("check")
    clock.note(f"running in the image: {was_running(lab.dir / 'overlay.ram')}")
    guest.remove()


def was_running(ram):
    with open(ram, "rb") as file:
        return lab_module.SAVE_HEADER.unpack(
            file.read(lab_module.SAVE_HEADER.size))[3]


@test
def snapshot_manual(lab, clock):
    """RAM with disks copied while libvirt keeps the guest paused.

    Then the guest goes back in time, RAM and disks, and does not mind; with
    disks that are newer than RAM it does.
    """
    guest = lab.guest("manual", seed=True, disks=[Disk(format="raw"),
                                                  Disk(format="raw")])
    guest.mode("hard")
    time.sleep(0.5)
    ram = lab.dir / "manual.ram"
    clock.lap("ready")
    start = time.monotonic()
    snapshot(lab, guest, ram)
    assert guest.state() == "paused"
    for path in guest.disks().values():
        lab.run("cp", "--sparse=always", path, path + ".then")
    lab.virsh("resume", guest.name)
    clock.lap("snapshot, copies")
    clock.note(f"gap {1000 * guest.longest_gap(start):.0f} ms")
    disks = guest.disks()
    then = lab.check(path + ".then" for path in disks.values())
    guest.wait_counter_beyond(then + 10)
    guest.destroy()
    rewind(lab, guest, ram, disks)
    clock.lap("rewound")
    # One record may have been in flight: on the disk, not yet known to RAM.
    assert guest.counter() >= then - 1
    healthy(guest)
    guest.destroy()
    stale(lab, guest, ram)
    guest.remove()


def rewind(lab, guest, ram, disks):
    """Restores RAM onto the copies of the disks of its instant.

    With manual disks the image says that the guest was paused: "--running".
    """
    for path in disks.values():
        lab.run("cp", "--sparse=always", path + ".then", path)
    beats = len(guest.console.beats)
    lab.virsh("restore", ram, "--running")
    wait_until(lambda: len(guest.console.beats) > beats, "a heartbeat")


def stale(lab, guest, ram):
    """RAM onto disks that went on: the witness must cry."""
    lab.virsh("restore", ram, "--running")
    try:
        wait_until(guest.failed, "a complaint", timeout=60)
    except LabError as error:
        raise AssertionError("disks newer than RAM went unnoticed") from error


@test
def check_finds(lab, clock):
    """The checker sees disks of different instants, and a torn record."""
    guest = lab.guest("finds", seed=True, disks=[Disk(format="raw"),
                                                 Disk(format="raw")])
    guest.wait_heartbeat()
    a, b = guest.disks().values()
    lab.run("cp", a, a + ".old")
    guest.wait_counter_beyond(guest.counter() + 5)
    guest.destroy()
    last = guest.check_disks()
    refused(lab, [a + ".old", b], "different instants")
    # record n lies in slot n / 2; slots of 4 KiB start at 1 MiB + 64 KiB
    with open((a, b)[last % 2], "r+b") as file:
        file.seek((1 << 20) + (64 << 10) + last // 2 * 4096 + 2048)
        file.write(b"torn")
    refused(lab, [a, b], "torn")
    clock.lap("all")
    guest.remove()


def refused(lab, images, why):
    try:
        lab.check(images)
    except LabError as error:
        assert why in str(error), error
    else:
        raise AssertionError(f"not noticed: {why}")


@test
def cold_boot(lab, clock):
    """Plug pulled while writing hard; the guest goes on where it was."""
    guest = lab.guest("cold", mode="hard")
    guest.wait_counter_beyond(100)
    guest.destroy()
    last = guest.check_disks()
    guest.start()
    guest.wait_counter_beyond(last)
    said = [line for _, line in guest.console.lines]
    assert f"WITNESS continue n={last}" in said, said
    clock.lap("all")
    guest.command("poweroff")
    wait_until(lambda: guest.state() == "shut off", "power off")
    clock.lap("power off")
    guest.remove()


@test
def shutdown(lab, clock):
    """Power button and agent shut it down; SysRq keys are heard."""
    guest = lab.guest("shutdown", seed=True)
    guest.wait_agent()
    lab.virsh("send-key", guest.name, "KEY_LEFTALT", "KEY_SYSRQ", "KEY_S")
    clock.lap("agent")
    lab.virsh("shutdown", guest.name, "--mode", "acpi")
    wait_until(lambda: guest.state() == "shut off", "power button")
    clock.lap("power button")
    assert not guest.failed(), guest.failed()
    guest.start()
    guest.wait_agent()
    lab.virsh("shutdown", guest.name, "--mode", "agent")
    wait_until(lambda: guest.state() == "shut off", "agent shutdown")
    clock.lap("boot and agent shutdown")
    assert file_system_clean(guest.disks()["vdb"])
    guest.remove()


@test
def restart(lab, clock):
    """libvirtd ends or is killed and starts again; the guest goes on."""
    guest = lab.guest("restart", seed=True)
    guest.wait_heartbeat()
    clock.lap("ready")
    for kill in (False, True):
        start = time.monotonic()
        lab.restart_libvirtd(kill)
        clock.lap("kill" if kill else "restart")
        assert guest.longest_gap(start) < 1
        assert guest.state() == "running"
    healthy(guest)
    guest.remove()


@test
def many_disks(lab, clock):
    """SCSI and virtio witness disks, 64 KiB records, other disks, q35."""
    lab.run("qemu-img", "create", "-f", "raw", lab.images / "floppy", "1440k")
    guest = lab.guest("many", machine="q35", slot=64, agent=False, disks=[
        Disk(bus="scsi", chain=1), Disk(format="raw"), Disk(bus="scsi"),
        Disk(device="cdrom", format="raw", size=1),
        Disk(readonly=True, size=1), Disk(format="raw", shareable=True,
                                          size=1, bus="scsi")])
    guest.mode("hard")
    clock.lap("boot")
    guest.wait_counter_beyond(400)
    clock.lap("ring once around")
    healthy(guest)
    # The guest's kernel counts its SCSI disks as it finds them.
    status = guest.status()
    assert len([key for key in status if key[:2] in ("sd", "vd")]) == 3
    guest.destroy()
    guest.check_disks()
    guest.remove()


@test
def loop_device(lab, clock):
    """A block device as disk, with a floppy beside it."""
    file = lab.dir / "loop.img"
    with open(file, "wb") as image:
        image.truncate(64 << 20)
    loop = lab.run("losetup", "-f", "--show", file).stdout.strip()
    try:
        guest = lab.guest("loop", disks=[
            Disk(format="raw", path=loop), Disk(),
            Disk(device="floppy", format="raw", size=1)])
        guest.wait_counter_beyond(2)
        clock.lap("boot")
        healthy(guest)
        assert guest.disks()["vda"] == loop
        guest.remove()
    finally:
        lab.run("losetup", "-d", loop)


@test
def uefi(lab, clock):
    """OVMF with NVRAM: boots, and a seed of it starts."""
    if not os.path.exists(OVMF_CODE):
        clock.note("skipped: no OVMF")
        return
    guest = lab.guest("uefi", uefi=True, machine="q35")
    guest.wait_heartbeat(180)
    clock.lap("boot")
    assert guest.nvram().stat().st_size > 0
    healthy(guest)
    guest.remove()
    guest = lab.guest("uefi seed", uefi=True, machine="q35", seed=True)
    healthy(guest)
    clock.lap("seed made or found, and started")
    guest.remove()


@test
def two_daemons(lab, clock):
    """A second lab with another host UUID; a live migration into it."""
    with Lab(hostname="lab-far") as far:
        clock.lap("second lab")
        assert far.domains() == []
        guest = lab.guest("moves", seed=True)
        guest.mode("hard")
        there = far.attach("moves", guest.options)
        uri = f"qemu+unix:///system?socket={far.dir}/run/libvirt-sock"
        start = time.monotonic()
        lab.virsh("migrate", "--live", "--persistent", "--undefinesource",
                  "--unsafe", guest.name, uri, "unix:///" +
                  str(lab.dir / "move")[1:])
        there.wait_heartbeat()
        clock.lap("migrated")
        assert guest.name not in lab.domains()
        there.check()
        clock.note(f"gap {1000 * gap_between(guest, there, start):.0f} ms")
        assert not there.failed(), there.failed()
        there.remove()
        guest.remove()


def gap_between(guest, there, start):
    beats = [beat for one in (guest, there) for beat in one.beats(start)]
    times = sorted(beat[0] for beat in beats)
    return max(after - before for before, after in zip(times, times[1:]))


@test
def leftovers(lab, clock):
    """What a killed run left, processes and folder, is removed."""
    code = ("import sys, time; sys.path.insert(0, sys.argv[1])\n"
            "from lab import Lab\n"
            "lab = Lab(); lab.start(); lab.guest('left', seed=True)\n"
            "print(lab.dir, flush=True); time.sleep(600)")
    run = subprocess.Popen([sys.executable, "-c", code,
                            os.path.dirname(os.path.abspath(__file__))],
                           stdout=subprocess.PIPE, text=True)
    folder = Path(run.stdout.readline().strip())
    pid = int((folder / "run" / "qemu" / "left.pid").read_text())
    run.kill()
    run.wait()
    clock.lap("left behind")
    with Lab():
        assert not folder.exists()
        assert not os.path.exists(f"/proc/{pid}/root")
    clock.lap("swept")


def run_one(lab, run):
    clock, start = Clock(), time.monotonic()
    try:
        run(lab, clock)
        result = "ok  "
    except Exception:  # a test may fail in any way
        result = "FAIL"
        traceback.print_exc()
        for guest in list(lab.guests):
            print(guest.name, guest.failed(), guest.console.lines[-3:])
            guest.remove()
    print(f"{result} {run.__name__} {time.monotonic() - start:.1f} s: "
          f"{', '.join(clock.words)}", flush=True)
    return result == "ok  "


def main():
    word = sys.argv[2] if sys.argv[1:2] == ["-k"] else ""
    lacks = lab_module.missing()
    if lacks:
        print("skipped: this machine lacks " + ", ".join(lacks))
        return 77
    start = time.monotonic()
    with Lab() as lab:
        print(f"lab {time.monotonic() - start:.1f} s", flush=True)
        results = [run_one(lab, run) for run in TESTS
                   if word in run.__name__]
    return 0 if all(results) else 1


if __name__ == "__main__":
    sys.exit(main())
