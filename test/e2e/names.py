# SPDX-License-Identifier: Apache-2.0
"""Odd names of domains and folders, all that libvirt accepts."""

import json

from kit import instant, test, untouched

NAMES = ["with  two spaces", "it's \"quoted\"", "-r", "näme-ü-日本", "a;b|c&d$(e)`f`",
         "<tag> & 100%", "..", "web@latest", "back\\slash*?[x]", "x" * 100,
         "new@2026-01-01", ".hidden", "cafe1234", "a" + "ü" * 110]


def round_trip(place, guest, name):
    """Backup, list, show, export, restore of a guest that is off."""
    key = ["--key-file", place.key_file]
    item = json.loads(place.vmkeep("backup", "--json", *key, "--", name,
                                   key=False).stdout)["items"][0]
    assert item["ok"] and item["name"] == name, item
    point = item["point"]["id"]
    for args in (["points", "--json", *key, "--", name],
                 ["show", "--json", *key, "--", f"{name}@latest"]):
        done = place.vmkeep(*args, key=False)
        [listed] = json.loads(done.stdout)["points"]
        assert listed["id"] == point and listed["name"] == name, listed
    instant(place, point, guest)
    text = place.vmkeep("points").stdout
    assert point[:12] in text
    place.vmkeep("domains", "--", name, key=False)
    place.lab.virsh("undefine", "--domain", name)
    to = place.folder / f"to {name}"[:60].replace("/", "_")
    answer = place.json("restore", point, "--to", to)
    assert answer["domain"] == name
    assert all(path.startswith(str(to)) for path in guest.disks().values())
    guest.check_disks()


@test
def odd_names(place):
    """Each goes through a backup and a restore of a guest that is off."""
    refused = []
    for name in NAMES:
        guest = place.lab.guest("plain", seed=True, start=False)
        done = place.lab.run("virsh", "domrename", "--domain", "plain",
                             "--new-name", name, check=False)
        if done.returncode != 0:
            refused.append(name)
            guest.remove()
            continue
        guest.name = name
        try:
            round_trip(place, guest, name)
        except Exception as error:
            raise AssertionError(f"name {name!r}: {error}") from error
        place.lab.virsh("undefine", "--domain", name)
        guest.name = "plain"
        guest.remove()
    place.note(f"libvirt refuses {refused}")
    assert len(refused) < len(NAMES) // 2


@test
def odd_running(place):
    """With RAM, in the longest name that libvirt lets run."""
    for name in ("ünï \"cödé\" & <it's>", "n" * 200):
        guest = place.lab.guest(name, seed=True)
        disks = guest.disks()
        item = place.backup(name)
        assert item["point"]["level"] == "ram", item
        untouched(place, guest, disks)
        captured = instant(place, item["point"]["id"], guest)
        guest.destroy()
        place.lab.virsh("undefine", "--domain", name)
        place.restore(item["point"]["id"], f"run {len(name)}", "--ram")
        guest.wait_counter_beyond(captured)
        guest.remove()


@test
def odd_folders(place):
    """Disks, repository, overlays and spool in folders with odd names."""
    odd = place.folder / "odd, 'dir' = \"ü\" %20 {a}:b"
    odd.mkdir()
    guest = place.lab.guest("odd folders", seed=True)
    key = odd / "key, file"
    own = ["-r", odd / "re,po", "--key-file", key]
    place.vmkeep("init", odd / "re,po", "--key-file", key, key=False)
    place.vmkeep("backup", guest.name, *own, "--overlay-dir", odd / "o,v",
                 "--spool-dir", odd / "sp=ool", "--state-dir", odd / "st,ate",
                 key=False)
    untouched(place, guest, guest.disks())
    guest.destroy()
    place.lab.virsh("undefine", guest.name)
    place.vmkeep("restore", f"{guest.name}@latest", "--to", odd / "to, here",
                 "--ram", *own, "--spool-dir", odd / "sp=ool", key=False)
    guest.wait_heartbeat()
    disks = guest.disks()
    assert all(path.startswith(str(odd)) for path in disks.values())
    place.vmkeep("backup", guest.name, *own, key=False)
    untouched(place, guest, disks)
    place.vmkeep("verify", "--read-data", *own, key=False)
    guest.remove()
