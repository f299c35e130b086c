#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Keeps a lab's namespaces, and buries what dies in them (see libvirt.sh).

libvirt waits for a QEMU it has killed until init has reaped it, which some
containers' init does late: so this process takes init's place for all that is
started below it. Each SIGUSR1 starts libvirtd.
"""

import ctypes
import os
import signal
import subprocess
import sys

PR_SET_CHILD_SUBREAPER = 36
SIGNALS = [signal.SIGUSR1, signal.SIGCHLD, signal.SIGTERM]


def start_libvirtd():
    """Starts it; as a daemon it becomes our child in the end."""
    subprocess.Popen(["libvirtd", "-d", "-p", "/run/libvirt/libvirtd.pid"],
                     preexec_fn=lambda: signal.pthread_sigmask(
                         signal.SIG_UNBLOCK, SIGNALS))


def bury():
    """Reaps all children that are dead."""
    try:
        while os.waitpid(-1, os.WNOHANG)[0] != 0:
            pass
    except ChildProcessError:
        pass


def main():
    ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    signal.pthread_sigmask(signal.SIG_BLOCK, SIGNALS)
    # Only now may somebody signal us.
    with open(sys.argv[1] + ".new", "w", encoding="ascii") as file:
        file.write(f"{os.getpid()}\n")
    os.rename(sys.argv[1] + ".new", sys.argv[1])
    while True:
        got = signal.sigwait(SIGNALS)
        if got == signal.SIGTERM:
            return
        if got == signal.SIGUSR1:
            start_libvirtd()
        bury()


main()
