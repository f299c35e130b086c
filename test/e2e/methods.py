# SPDX-License-Identifier: Apache-2.0
"""Methods of capture on storage that has snapshots of its own."""

import os
import shutil

from kit import (BUSY, DONE, FAILED, PARTLY, Skip, finish, go, healthy,
                 instant, on_own_disks, test, thawed, untouched, wait_until)
from lab import OVMF_CODE, Disk, file_system_clean
from snapfs import storage

KINDS = ("xfs", "btrfs")


def image_kinds(point):
    return {image["name"]: image["kind"] for image in point["images"]}


def lose(guest):
    """The domain and all of its images are gone."""
    guest.destroy()
    guest.lab.virsh("undefine", guest.name, "--nvram")
    shutil.rmtree(guest.folder)


def back_with_ram(place, guest, point, to):
    """It counts on from where it was captured."""
    captured = instant(place, point["id"], guest)
    beats = len(guest.console.beats)
    lose(guest)
    answer = place.restore(point["id"], to, "--ram")
    assert answer["resumed"] and answer["state"] == "running", answer
    guest.wait_counter_beyond(captured)
    assert guest.console.beats[beats][1] >= captured - 1
    healthy(guest)


@test
def snapshot_ram(place):
    """RAM and storage snapshots of one instant, no overlay; qcow2 with many
    metadata, and raw; what comes back counts on."""
    for kind in KINDS:
        with storage(place, kind):
            guest = place.lab.guest(f"snap {kind}", seed=True, disks=[
                Disk(options="cluster_size=4096"), Disk(format="raw")])
            guest.mode("hard")
            guest.command("dirty 20")
            guest.wait_counter_beyond(guest.counter() + 40)
            disks = guest.disks()
            for _ in range(2):
                item = place.backup(guest.name)
                point = item["point"]
                assert point["method"] == "snapshot", point
                assert point["level"] == "ram" and not item["degraded"], item
                assert "snap_ms" in point["attributes"], point
                untouched(place, guest, disks)
                healthy(guest)
            place.note(f"{kind}: stood still {point['pause_ms']} ms, snaps "
                       f"{point['attributes']['snap_ms']} ms")
            back_with_ram(place, guest, point, f"snap-{kind}")
            guest.remove()


@test
def snapshot_live(place):
    """The same of a guest that runs while its RAM is copied, as under KVM:
    libvirt alone stops it, and its disks are of that moment."""
    with storage(place, "xfs"):
        guest = place.lab.guest("snap live", seed=True)
        disks = guest.disks()
        guest.wait_counter_beyond(2)
        item = place.backup(guest.name, env={"VMKEEP_TEST_LIVE": "1"})
        assert item["point"]["method"] == "snapshot", item
        assert item["point"]["level"] == "ram", item
        untouched(place, guest, disks)
        instant(place, item["point"]["id"], guest)
        healthy(guest)
        guest.remove()


@test
def snapshot_held(place):
    """While snapshots are taken it stands still on its own disks; who sets it
    going then spoils the instant, and overlays are taken instead."""
    with storage(place, "xfs"):
        guest = place.lab.guest("snap held", seed=True)
        guest.wait_agent()
        disks = guest.disks()
        process = place.start_until("taken", "backup", guest.name)
        assert guest.state() == "paused"
        on_own_disks(guest, disks)
        go(process)
        finish(process)
        untouched(place, guest, disks)
        process = place.start_until("taken", "backup", guest.name, "--json")
        place.lab.virsh("resume", guest.name)
        guest.wait_heartbeat()
        go(process)
        done = finish(process)
        assert '"overlay"' in done.stdout, done.stdout
        assert "set going" in done.stdout, done.stdout
        untouched(place, guest, disks)
        process = place.start_until("taken", "backup", guest.name,
                                    "--method", "snapshot", "--require",
                                    "ram")
        place.lab.virsh("resume", guest.name)
        go(process)
        finish(process, BUSY, ["set going"])
        untouched(place, guest, disks)
        healthy(guest)
        guest.remove()


@test
def snapshot_disks(place):
    """Without RAM: frozen where an agent answers, suspended where not; by
    suspend with SysRq."""
    for kind in KINDS:
        with storage(place, kind):
            guest = place.lab.guest(f"disks {kind}", seed=True)
            guest.wait_agent()
            guest.mode("hard")
            disks = guest.disks()
            point = place.backup(guest.name, "--no-memory")["point"]
            assert point["method"] == "snapshot", point
            assert point["level"] == "filesystem", point
            untouched(place, guest, disks)
            thawed(guest)
            instant(place, point["id"], guest)
            path = place.folder / "clean"
            place.vmkeep("export", f"{point['id']}/vdb", path)
            assert file_system_clean(path)
            path.unlink()
            point = place.backup(guest.name, "--method", "suspend")["point"]
            assert point["method"] == "suspend", point
            assert point["level"] == "crash", point
            assert any("SysRq" in note for note in point["notes"]), point
            untouched(place, guest, disks)
            instant(place, point["id"], guest)
            healthy(guest)
            guest.remove()


@test
def snapshot_no_agent(place):
    """Nobody freezes: suspended, as after a power cut."""
    with storage(place, "xfs"):
        guest = place.lab.guest("no agent snap", seed=True, agent=False)
        guest.mode("hard")
        disks = guest.disks()
        item = place.backup(guest.name, "--no-memory")
        assert item["point"]["level"] == "crash", item
        assert item["point"]["pause_ms"] > 0, item
        untouched(place, guest, disks)
        captured = instant(place, item["point"]["id"], guest)
        place.vmkeep("backup", guest.name, "--no-memory", "--require",
                     "filesystem", code=FAILED, words=["frozen"])
        untouched(place, guest, disks)
        lose(guest)
        place.restore(item["point"]["id"], "no-agent-snap", "--start")
        guest.wait_counter_beyond(captured)
        healthy(guest)
        guest.remove()


@test
def choice(place):
    """What is asked for is done or refused; what is chosen is told."""
    guest = place.lab.guest("choice", seed=True)
    disks = guest.disks()
    guest.wait_heartbeat()
    for method in ("snapshot", "suspend"):
        place.vmkeep("backup", guest.name, "--method", method, code=FAILED,
                     words=[method, disks["vda"]])
    untouched(place, guest, disks)
    point = place.backup(guest.name)["point"]
    assert point["method"] == "overlay", point
    assert any("storage snapshot" in note for note in point["notes"]), point
    guest.remove()
    with storage(place, "xfs"):
        guest = place.lab.guest("choice xfs", seed=True)
        disks = guest.disks()
        settings = place.folder / "capture.conf"
        settings.write_text("[vmkeep]\ncapture = overlay\n")
        point = place.backup(guest.name, "--config", settings)["point"]
        assert point["method"] == "overlay", point
        point = place.backup(guest.name, "--config", settings, "--method",
                             "auto")["point"]
        assert point["method"] == "snapshot", point
        place.vmkeep("backup", guest.name, "--method", "suspend",
                     "--require", "ram", code=FAILED, words=["suspend"])
        untouched(place, guest, disks)
        guest.remove()


@test
def paused_and_off(place):
    """Who does not run is read in place, also there."""
    with storage(place, "xfs"):
        guest = place.lab.guest("still there", seed=True)
        guest.wait_counter_beyond(2)
        disks = guest.disks()
        place.lab.virsh("suspend", guest.name)
        assert place.backup(guest.name)["point"]["method"] == "paused"
        untouched(place, guest, disks, "paused")
        place.lab.virsh("resume", guest.name)
        guest.wait_heartbeat()
        guest.destroy()
        assert place.backup(guest.name)["point"]["method"] == "offline"
        guest.remove()


@test
def tpm(place):
    """Firmware variables and the TPM's state are in the point, by every
    method, and come back to where the new VM looks for them."""
    if not shutil.which("swtpm") or not os.path.exists(OVMF_CODE):
        raise Skip("swtpm and OVMF")
    with storage(place, "xfs"):
        guest = place.lab.guest("tpm", tpm=True, uefi=True, machine="q35")
        guest.wait_counter_beyond(2)
        disks, state = guest.disks(), guest.tpm()
        for args in (["--method", "overlay"], []):
            item = place.backup(guest.name, *args)
            point = item["point"]
            assert image_kinds(point)["tpm2-00.permall"] == "tpm", point
            assert image_kinds(point)["nvram"] == "nvram", point
            assert point["level"] == "ram", point
            untouched(place, guest, disks)
        secret = state.read_bytes()
        captured = instant(place, point["id"], guest)
        stored = place.folder / "tpm-state"
        place.vmkeep("export", f"{point['id']}/tpm2-00.permall", stored)
        assert stored.read_bytes() == secret
        lose(guest)
        assert not state.exists()
        answer = place.restore(point["id"], "tpm-ram", "--ram")
        assert any("swtpm" in path for path in answer["files"]), answer
        guest.wait_counter_beyond(captured)
        assert state.exists()
        healthy(guest)
        guest.destroy()
        # a copy has its own, under its own UUID
        answer = place.restore(point["id"], "tpm-copy", "--name", "tpm copy")
        copy = place.lab.attach("tpm copy", guest.options)
        uuid = copy.xml().findtext("uuid")
        theirs = place.lab.dir / "lib" / "swtpm" / uuid / "tpm2"
        assert (theirs / state.name).read_bytes() == secret
        # the old one's state is not lost when it is restored over
        answer = place.restore(point["id"], "tpm-again")
        assert any("TPM" in note for note in answer["notes"]), answer
        assert state.read_bytes() == secret
        copy.remove()
        guest.remove()


# -- groups


def set_up(place, count, **options):
    guests = [place.lab.guest(f"group {n}", seed=True, **options)
              for n in range(count)]
    for guest in guests:
        guest.wait_counter_beyond(2)
        if guest.options.agent:
            guest.wait_agent()
    return guests


def all_untouched(place, guests, disks):
    for guest in guests:
        untouched(place, guest, disks[guest.name])


def together(place, guests, *args, code=DONE, words=()):
    """A backup of all of them at once. Returns the items by name."""
    answer = place.json("backup", "--together",
                        *(guest.name for guest in guests), *args, code=code,
                        words=words)
    return {item["name"]: item for item in answer["items"]}


@test
def group(place):
    """Two guests with RAM, and without, by snapshots, and by overlays: one
    set, stopped together, and nobody waits any more."""
    with storage(place, "xfs"):
        guests = set_up(place, 2)
        disks = {guest.name: guest.disks() for guest in guests}
        for args in ([], ["--no-memory"], ["--method", "overlay"],
                     ["--method", "overlay", "--no-memory"]):
            items = together(place, guests, *args)
            points = [item["point"] for item in items.values()]
            assert len({point["set"] for point in points}) == 1, points
            assert len({point["skew_ms"] for point in points}) == 1, points
            level = "filesystem" if "--no-memory" in args else "ram"
            assert {point["level"] for point in points} == {level}, points
            place.note(f"{' '.join(args) or 'plain'}: skew "
                       f"{points[0]['skew_ms']} ms, stood still "
                       + " ".join(f"{p['pause_ms']}" for p in points))
            all_untouched(place, guests, disks)
            for guest in guests:
                thawed(guest)
                instant(place, items[guest.name]["point"]["id"], guest)
        for guest in guests:
            healthy(guest)
            guest.remove()


@test
def group_live(place):
    """As under KVM: all copy until all are nearly done."""
    with storage(place, "xfs"):
        guests = set_up(place, 2)
        disks = {guest.name: guest.disks() for guest in guests}
        guests[0].mode("hard")
        for args in ([], ["--method", "overlay"]):
            answer = place.json("backup", "--together", *args,
                                *(guest.name for guest in guests),
                                env={"VMKEEP_TEST_LIVE": "1"})
            points = [item["point"] for item in answer["items"]]
            assert {point["level"] for point in points} == {"ram"}, points
            place.note(f"skew {points[0]['skew_ms']} ms, stood still "
                       + " ".join(f"{p['pause_ms']}" for p in points))
            all_untouched(place, guests, disks)
            for guest, point in zip(guests, points):
                instant(place, point["id"], guest)
        for guest in guests:
            healthy(guest)
            guest.remove()


@test
def group_comes_back(place):
    """Both are lost, and come back with RAM from one set."""
    with storage(place, "xfs"):
        guests = set_up(place, 2)
        items = together(place, guests)
        for guest in guests:
            back_with_ram(place, guest, items[guest.name]["point"],
                          f"back-{guest.name[-1]}")
            guest.remove()


@test
def group_named(place):
    """By its name in the settings; odd ones and missing ones are told."""
    with storage(place, "xfs"):
        guests = set_up(place, 2, agent=False)
        settings = place.folder / "group.conf"
        settings.write_text("[group:shop]\nmembers = group 0, group 1\n")
        answer = place.json("backup", "--config", settings, "--group",
                            "shop", "--no-memory")
        assert len(answer["items"]) == 2, answer
        point = answer["items"][0]["point"]
        assert point["group"] == "shop", point
        shown = place.vmkeep("show", point["id"]).stdout
        assert "shop" in shown and "stopped within" in shown, shown
        for guest in guests:
            guest.remove()


@test
def group_fails(place):
    """One is not there, one cannot have what is asked for: they are named,
    the others have their points, and nobody stays paused."""
    with storage(place, "xfs"):
        guests = set_up(place, 2)
        disks = {guest.name: guest.disks() for guest in guests}
        answer = place.json("backup", "--together", guests[0].name,
                            "no such one", guests[1].name, "--no-memory",
                            code=PARTLY, words=["no such one"])
        good = [item for item in answer["items"] if item["ok"]]
        assert len(good) == 2, answer
        assert any("no such one" in note
                   for note in good[0]["point"]["notes"]), good
        all_untouched(place, guests, disks)
        # one has an agent that does not answer
        guests[1].lab.virsh("qemu-agent-command", guests[1].name,
                            '{"execute":"guest-shutdown"}', check=False)
        wait_until(lambda: guests[1].state() == "shut off", "its end")
        answer = place.json("backup", "--together",
                            *(guest.name for guest in guests))
        levels = [item["point"]["level"] for item in answer["items"]]
        assert levels == ["ram", "offline"], answer
        untouched(place, guests[0], disks[guests[0].name])
        for guest in guests:
            guest.remove()
