#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""How long a guest stands still while it is backed up with its RAM.

The guest sends a heartbeat every few milliseconds, stamped here when it
arrives. Its standstill is the longest gap between two while the backup
runs, less the longest gap of an equal stretch right after it, when nothing
happens: what the machine does to the guest anyway is not the backup's fault.
Idle, and while the guest writes as fast as it can and dirties memory. Beside
vmkeep: virsh save and restore, and virsh snapshot-create-as with --memspec,
without and with --live. Then what another backup of a guest that did little
costs.
"""

import argparse
import json
import os
import shutil
import statistics
import sys
import time

import engine

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "../test/lab"))
import lab as laboratory  # noqa: E402

NAME = "bench"
URI = "qemu:///system"
MODES = ["idle", "hard"]
REST = 1.0  # seconds before, behind and after what is measured
PATIENCE = 900  # seconds for one command


class Failure(Exception):
    pass


def talk(text):
    print("standstill.py: " + text, file=sys.stderr, flush=True)


# The ways to save RAM and disks. Each has prepare(), act(), which is timed
# and returns facts worth keeping, and clean_up().


class Way:
    def __init__(self, lab, guest):
        self.lab, self.guest = lab, guest
        self.ram = str(guest.folder / "bench-ram")

    def prepare(self):
        pass

    def act(self):
        raise NotImplementedError

    def clean_up(self):
        pass

    def virsh(self, *args):
        return self.lab.virsh(*args, timeout=PATIENCE)


def find_key(tree, key):
    """The first value of that key anywhere in parsed JSON, or None."""
    if isinstance(tree, dict):
        if key in tree:
            return tree[key]
        tree = list(tree.values())
    for item in tree if isinstance(tree, list) else []:
        found = find_key(item, key)
        if found is not None:
            return found
    return None


class Vmkeep(Way):
    title = "vmkeep backup --memory"

    def __init__(self, lab, guest, program):
        super().__init__(lab, guest)
        self.program = program
        self.repo = str(lab.dir / "bench-repo")
        self.env = {"VMKEEP_PASSPHRASE": engine.PASSPHRASE,
                    "VMKEEP_CACHE": str(lab.dir / "bench-cache")}
        self.run("init", self.repo)

    def run(self, *args):
        done = self.lab.run(self.program, *args, env=self.env, check=False,
                            timeout=PATIENCE)
        if done.returncode != 0:
            raise Failure("'vmkeep %s' ended with %d: %s" % (
                " ".join(args), done.returncode, done.stderr.strip()[-300:]))
        return done.stdout

    def act(self):
        before = engine.stored_mib(self.repo)
        out = self.run("-c", URI, "-r", self.repo, "backup", NAME,
                       "--memory", "--json")
        return {"said_ms": find_key(json.loads(out), "pause_ms"),
                "added_mib": engine.stored_mib(self.repo) - before}


class Save(Way):
    title = "virsh save and restore"

    def act(self):
        self.virsh("save", NAME, self.ram)
        self.virsh("restore", self.ram)

    def clean_up(self):
        os.unlink(self.ram)


class Memspec(Way):
    title = "virsh snapshot --memspec"
    options = []

    def prepare(self):
        self.overlays = {target: "%s.overlay-%s" % (path, target)
                         for target, path in self.guest.disks().items()}

    def act(self):
        disks = []
        for target, path in self.overlays.items():
            disks += ["--diskspec", "%s,snapshot=external,file=%s" % (
                target, path)]
        self.virsh("snapshot-create-as", NAME, "--atomic", "--no-metadata",
                   "--memspec", "file=%s,snapshot=external" % self.ram,
                   *disks, *self.options)

    def clean_up(self):
        for target, path in self.overlays.items():
            self.virsh("blockcommit", NAME, target, "--active", "--pivot")
            os.unlink(path)
        os.unlink(self.ram)


class MemspecLive(Memspec):
    title = "virsh snapshot --memspec --live"
    options = ["--live"]


# Measuring


def measure(guest, way):
    """One run: gaps in milliseconds, with the backup and without."""
    way.prepare()
    time.sleep(REST)
    guest.wait_heartbeat()
    start = time.monotonic()
    facts = way.act() or {}
    seconds = time.monotonic() - start
    time.sleep(REST)
    gap = guest.longest_gap(start)
    way.clean_up()
    guest.wait_heartbeat()
    time.sleep(REST)
    start = time.monotonic()
    time.sleep(seconds + REST)
    quiet = guest.longest_gap(start)
    if guest.failed():
        raise Failure("the guest is not whole: " + guest.failed()[0])
    return {"seconds": seconds, "gap_ms": 1000 * gap,
            "quiet_ms": 1000 * quiet,
            "standstill_ms": max(0.0, 1000 * (gap - quiet)), **facts}


def set_mode(guest, mode, args):
    guest.mode(mode)
    guest.command("dirty %d" % (args.dirty if mode == "hard" else 0))
    time.sleep(REST)


def do_mode(guest, ways, mode, args, runs, failed):
    set_mode(guest, mode, args)
    for number in range(1, args.rounds + 1):
        for way in ways:
            if way.title in failed:
                continue
            try:
                run = measure(guest, way)
            except (Failure, laboratory.LabError) as why:
                failed[way.title] = "%s: %s" % (mode, why)
                talk("%s failed: %s" % (way.title, failed[way.title]))
                continue
            runs[way.title].setdefault(mode, []).append(run)
            talk("%s, round %d: %s: %.0f ms" % (
                mode, number, way.title, run["standstill_ms"]))


def first_backup(guest, vmkeep, runs):
    """The one that fills the repository; all others are increments."""
    talk("first backup")
    runs[vmkeep.title]["first"] = [measure(guest, vmkeep)]


def find_ways(lab, guest, args):
    ways, missing = [Save(lab, guest), Memspec(lab, guest),
                     MemspecLive(lab, guest)], {}
    program = shutil.which(args.vmkeep)
    if program is None:
        missing[Vmkeep.title] = "'%s' is not built" % args.vmkeep
    else:
        ways.insert(0, Vmkeep(lab, guest, os.path.abspath(program)))
    return ways, missing


def hear_first(guest):
    """The stamps must not wait for a busy processor."""
    os.setpriority(os.PRIO_PROCESS, guest.console.native_id, -10)


def run_all(lab, args):
    guest = lab.guest(NAME, memory=256, beat=args.beat, dirty_size=64)
    hear_first(guest)
    guest.wait_heartbeat()
    time.sleep(args.settle)
    ways, missing = find_ways(lab, guest, args)
    runs, failed = {way.title: {} for way in ways}, {}
    if not missing:
        try:
            first_backup(guest, ways[0], runs)
        except (Failure, laboratory.LabError) as why:
            failed[ways[0].title] = "first: %s" % why
    for mode in MODES:
        do_mode(guest, ways, mode, args, runs, failed)
    return {"runs": runs, "failed": failed, "missing": missing,
            "libvirt": lab.virsh("version").splitlines()[-1].strip()}


# The report


def median(runs, title, mode, key):
    values = [run[key] for run in runs.get(title, {}).get(mode, [])
              if run.get(key) is not None]
    return statistics.median(values) if values else None


def standstill_table(report, mode, title):
    head = ["", "standstill ms", "longest gap ms", "quiet gap ms",
            "it said ms", "seconds"]
    keys = [("standstill_ms", 0), ("gap_ms", 0), ("quiet_ms", 0),
            ("said_ms", 0), ("seconds", 2)]
    return title, head, [
        [way] + [engine.cell(median(report["runs"], way, mode, key), digits)
                 for key, digits in keys] for way in report["runs"]]


def cost_table(report):
    rows = []
    for mode, title in [("first", "first backup"),
                        ("idle", "another, the guest was idle"),
                        ("hard", "another, the guest was busy")]:
        rows.append([title] + [
            engine.cell(median(report["runs"], Vmkeep.title, mode, key), digits)
            for key, digits in [("seconds", 2), ("added_mib", 2)]])
    return "vmkeep, RAM and disks", ["", "seconds", "MiB added"], rows


def tables(report):
    yield standstill_table(report, "idle", "The guest is idle")
    yield standstill_table(
        report, "hard", "The guest writes, and dirties %d MiB/s" %
        report["dirty"])
    if Vmkeep.title in report["runs"]:
        yield cost_table(report)


def remarks(report):
    m = report["machine"]
    yield "%s, %d cores, Linux %s, load %.1f" % (
        m["cpu"], m["cores"], m["kernel"], report["load_before"])
    yield "%s, %s, guest of 256 MiB, a heartbeat every %d ms" % (
        report["libvirt"], report["accel"], report["beat"])
    yield "medians of %d rounds in one session" % report["rounds"]
    for title, why in report["missing"].items():
        yield "MISSING %s: %s" % (title, why)
    for title, why in report["failed"].items():
        yield "FAILED %s: %s" % (title, why)


def show(report, args):
    if args.json:
        print(json.dumps(report, indent=1))
        return
    layout = engine.markdown_table if args.markdown else engine.text_table
    bullet = "* " if args.markdown else "  "
    for table in tables(report):
        print(layout(*table))
    for line in remarks(report):
        print(bullet + line)


def parse(argv):
    p = argparse.ArgumentParser(
        description=__doc__.splitlines()[0],
        epilog="Exit status: 0 all ran, 1 something failed, 77 the machine "
        "lacks something.")
    p.add_argument("--rounds", type=int, default=5, metavar="N")
    p.add_argument("--vmkeep", metavar="FILE",
                   default=os.path.join(HERE, "../build/vmkeep"))
    p.add_argument("--accel", choices=["auto", "tcg", "kvm"], default="auto")
    p.add_argument("--beat", type=int, default=5, metavar="MS")
    p.add_argument("--dirty", type=int, default=40, metavar="MIB",
                   help="memory written per second when busy")
    p.add_argument("--settle", type=float, default=10, metavar="SECONDS",
                   help="after the guest has booted")
    form = p.add_mutually_exclusive_group()
    form.add_argument("--json", action="store_true")
    form.add_argument("--markdown", action="store_true")
    return p.parse_args(argv)


def main(argv):
    args = parse(argv)
    lacks = laboratory.missing()
    if lacks:
        talk("skipped: this machine lacks " + ", ".join(lacks))
        return engine.SKIPPED
    load = os.getloadavg()[0]
    with laboratory.Lab(accel=args.accel) as lab:
        report = run_all(lab, args)
        report["accel"] = {"qemu": "emulated", "kvm": "KVM"}[lab.domain_type]
    report.update(rounds=args.rounds, beat=args.beat, dirty=args.dirty,
                  load_before=load, machine=engine.machine())
    show(report, args)
    return 1 if report["failed"] else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
