#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The storage lab by hand.

    storage.py build                  the system image, if there is none yet
    storage.py run [--stock] [--results DIR] [--timeout SECONDS]
               -- COMMAND...          in a machine of its own
    storage.py start NAME [--stock]   a machine that stays
    storage.py run --in NAME -- COMMAND...
    storage.py shell NAME
    storage.py stop NAME
    storage.py list

COMMAND runs as root in /lab/tree, which holds test/ and the build as build/;
--build says which (default: build-check/gcc). Its exit code is ours, 124
after --timeout. What it leaves in /lab/results is brought to DIR. In a
machine that stays, what changed here since is handed over first.
"""

import argparse
import signal
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))

from machine import LabError  # noqa: E402
from vm import ROOT, TREE, StorageVM, VMOptions, image_folder  # noqa: E402


def options(args):
    return VMOptions(stock=getattr(args, "stock", False),
                     build=Path(args.build).resolve())


def running(name, args):
    vm = StorageVM(name, options(args))
    if not vm.pid():
        raise LabError(f"no storage lab '{name}' runs")
    return vm


def run_in(vm, args):
    code = vm.run(args.command, timeout=args.timeout)
    if args.results:
        vm.fetch(args.results)
    return code


def do_run(args):
    if args.inside:
        vm = running(args.inside, args)
        vm.push()
        return run_in(vm, args)
    with StorageVM(options=options(args)) as vm:
        return run_in(vm, args)


def do_start(args):
    StorageVM(args.name, options(args), keep=True).start()
    return 0


def do_stop(args):
    StorageVM(args.name).stop()
    return 0


def do_shell(args):
    return running(args.name, args).shell()


def do_list(args):
    for folder in sorted(ROOT.glob("vm-*")):
        name = folder.name[3:]
        print(name, StorageVM(name).pid() or "dead")
    return 0


def do_build(args):
    print(image_folder())
    return 0


def parser():
    p = argparse.ArgumentParser(description="the storage lab by hand")
    p.add_argument("--build", default=TREE / "build-check" / "gcc")
    sub = p.add_subparsers(dest="verb", required=True)
    for name in ("build", "list"):
        sub.add_parser(name)
    for name in ("start", "shell", "stop"):
        sub.add_parser(name).add_argument("name")
    sub.choices["start"].add_argument("--stock", action="store_true")
    run = sub.add_parser("run")
    run.add_argument("--stock", action="store_true")
    run.add_argument("--in", dest="inside", metavar="NAME")
    run.add_argument("--results", metavar="DIR")
    run.add_argument("--timeout", type=float, metavar="SECONDS")
    run.add_argument("command", nargs="+")
    return p


def main():
    args = parser().parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    try:
        return globals()[f"do_{args.verb}"](args)
    except LabError as error:
        print(f"storage.py: {error}", file=sys.stderr)
        return 125
    except KeyboardInterrupt:
        return 130


if __name__ == "__main__":
    sys.exit(main())
