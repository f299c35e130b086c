# SPDX-License-Identifier: Apache-2.0
"""What the witness says on its port, stamped as it arrives."""

import contextlib
import os
import re
import socket
import threading
import time
import xml.etree.ElementTree as ET

from machine import wait_until
from recipe import PORT


class Console(threading.Thread):
    """Reads the witness's port and stamps what arrives.

    Finds the domain's QEMU by itself, again and again: the reader outlives
    restarts, saves and restores of the domain.

    beats    [(arrival by time.monotonic(), counter, beat)]
    lines    [(arrival, line)], all but heartbeats
    status   the last status line as a dict; count_status: how many came
    fails    what went wrong
    """

    def __init__(self, lab, name):
        super().__init__(name=f"console of {name}", daemon=True)
        self.lab = lab
        self.live = lab.dir / "run" / "qemu" / f"{name}.xml"
        self.beats, self.lines, self.fails = [], [], []
        self.status, self.count_status = {}, 0
        self.socket = None
        self.closing = False
        self.start()

    def close(self):
        """Stops reading."""
        self.closing = True
        with contextlib.suppress(OSError, AttributeError):
            self.socket.shutdown(socket.SHUT_RDWR)
        self.join(5)

    def send(self, line):
        """Sends a line to the witness."""
        wait_until(lambda: self.socket, "the guest's port")
        self.socket.sendall(line.encode() + b"\n")

    def run(self):
        while not self.closing:
            connection = self._connect()
            if connection is None:
                time.sleep(0.02)
                continue
            self.socket = connection
            self._read(connection)
            self.socket = None
            connection.close()

    def _connect(self):
        """Connects to the domain's QEMU. None: it does not run now."""
        try:
            status = ET.parse(self.live)
            source = status.find(".//channel/target[@name='%s']/../source"
                                 % PORT)
            path = self.lab.outside(source.get("path"))
            return connect_unix(path)
        except (OSError, ET.ParseError, AttributeError):
            return None

    def _read(self, connection):
        rest = b""
        while not self.closing:
            try:
                data = connection.recv(65536)
            except OSError:
                return
            now = time.monotonic()
            if not data:
                return
            *lines, rest = (rest + data).split(b"\n")
            for line in lines:
                self._take(now, line.decode(errors="replace"))

    def _take(self, now, line):
        words = line.split()
        if len(words) == 3 and words[0] == "HB":
            self.beats.append((now, int(words[1]), int(words[2])))
            return
        self.lines.append((now, line))
        if line.startswith("WITNESS FAIL"):
            if line not in self.fails:
                self.fails.append(line)
        elif line.startswith("WITNESS n="):
            self._take_status(words[1:])

    def _take_status(self, words):
        pairs = dict(word.split("=", 1) for word in words)
        status = {key: int(value) if value.isdigit() else value
                  for key, value in pairs.items()}
        last = sorted((value for key, value in status.items()
                       if re.fullmatch("[svh]d[a-z]+", key)), reverse=True)
        want = [max(0, status["n"] - i) for i in range(len(last))]
        if last != want:
            self.fails.append("RAM and disks differ: " + " ".join(words))
        self.status = status
        self.count_status += 1


def connect_unix(path):
    """Connects to a unix socket whose path may be too long for the kernel."""
    connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    folder = os.open(path.parent, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        connection.connect(f"/proc/self/fd/{folder}/{path.name}")
        return connection
    except OSError:
        connection.close()
        raise
    finally:
        os.close(folder)
