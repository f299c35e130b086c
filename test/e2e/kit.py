# SPDX-License-Identifier: Apache-2.0
"""What the end-to-end tests share: the program in a lab, and what must hold.

A test is a function of a Place, marked @test.  It fails by any exception, and
skips itself by raising Skip with what is missing.
"""

import contextlib
import json
import os
import signal
import subprocess
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "lab"))

from lab import PATIENCE, Lab, LabError, wait_until  # noqa: E402
from recipe import disk_targets  # noqa: E402

DONE, FAILED, USAGE, PARTLY, BUSY, INTEGRITY = range(6)
KILLED = -signal.SIGKILL
LONG = bool(os.environ.get("VMKEEP_TEST_LONG"))
MARK = "vmkeep"  # in the name of every overlay and storage snapshot

TESTS = []


class Skip(Exception):
    """The test cannot run here; the message says what is missing."""


def test(run):
    """Marks a test."""
    TESTS.append(run)
    return run


def only_long(run):
    """Marks a test that runs with VMKEEP_TEST_LONG=1 only."""
    if LONG:
        TESTS.append(run)
    return run


class Place:
    """A lab with a repository, and the program under test.

    lab       the Lab
    folder    for whatever a test wants to keep
    repo      a repository, opened by key_file
    notes     what the test has to tell besides its result
    """

    def __init__(self, lab, program):
        self.lab, self.program = lab, str(program)
        self.folder = lab.dir / "place"
        self.folder.mkdir(exist_ok=True)
        self.state = lab.dir / "vmkeep-lib"  # /var/lib/vmkeep in the lab
        self.key_file = self.folder / "key"
        self.repo = self.folder / "repo"
        self.notes = []
        self.vmkeep("init", self.repo)

    def note(self, text):
        self.notes.append(text)

    # -- the program

    def environment(self, env=None):
        env = {key: str(value) for key, value in (env or {}).items()}
        return {"VMKEEP_REPOSITORY": str(self.repo), **env}

    def argv(self, *args, key=True):
        return [self.program, *map(str, args),
                *(["--key-file", str(self.key_file)] if key else [])]

    def run(self, *args, key=True, env=None, timeout=PATIENCE,
            input=None):
        """Runs it, however it ends. Returns the CompletedProcess."""
        return self.lab.run(*self.argv(*args, key=key), check=False,
                            env=self.environment(env), timeout=timeout,
                            input=input)

    def vmkeep(self, *args, code=DONE, words=(), **options):
        """Runs it; it must end with this code. Returns the CompletedProcess.

        words: must all be in what it says on stderr.
        """
        done = self.run(*args, **options)
        said(done, args, code, words)
        return done

    def json(self, *args, code=DONE, words=(), **options):
        """The same with --json. Returns what it answers, as a dict."""
        done = self.vmkeep(*args, "--json", code=code, words=words, **options)
        answer = json.loads(done.stdout)
        assert answer["schema"] == 1 and answer["exit"] == code, answer
        assert answer["command"] == args[0], answer
        return answer

    def start(self, *args, env=None, **options):
        """Starts it. Returns its Popen, with stdout and stderr as pipes."""
        return self.lab.popen(*self.argv(*args), env=self.environment(env),
                              stdin=subprocess.DEVNULL, text=True,
                              stdout=subprocess.PIPE,
                              stderr=subprocess.PIPE, **options)

    def start_until(self, word, *args, **options):
        """Starts a backup that stops itself (SIGSTOP) when it has written
        this word in its journal, until go(). The watchdog stays awake."""
        env = {**options.pop("env", {}), "VMKEEP_TEST_STOP": word}
        process = self.start(*args, env=env, **options)
        wait_until(lambda: stopped(process) or process.poll() is not None,
                   f"a stop at '{word}'")
        if process.poll() is not None:
            raise LabError(f"ended before '{word}': {process.communicate()}")
        return process

    def shell(self, *argv):
        """Runs a program on the host. Returns what it prints."""
        return subprocess.run([*map(str, argv)], check=True, text=True,
                              stdout=subprocess.PIPE).stdout

    def backup(self, name, *args, code=DONE, **options):
        """A backup of one domain. Returns its item in the answer."""
        answer = self.json("backup", name, *args, code=code, **options)
        assert len(answer["items"]) == 1, answer
        return answer["items"][0]

    def restore(self, point, to, *args, **options):
        """Restores into a new folder. Returns the answer."""
        return self.json("restore", point, "--to", self.folder / to, *args,
                         **options)

    def verify(self, *args):
        """The repository is whole."""
        answer = self.json("verify", *args)
        assert answer["damages"] == [], answer
        return answer

    # -- what a capture could leave

    def journals(self):
        return sorted(self.state.glob("*.journal"))

    def last_word(self):
        """The last record of the one journal there is, or ""."""
        for path in self.journals():
            lines = path.read_text().splitlines()
            return lines[-1].split()[2] if lines else ""
        return ""

    def helpers(self, word="__watchdog"):
        """Process ids of our helpers in this lab."""
        found = []
        for folder in Path("/proc").glob("[0-9]*"):
            try:
                argv = (folder / "cmdline").read_bytes().split(b"\0")
                if word.encode() in argv and os.path.samefile(
                        folder / "root/etc/libvirt", self.lab.dir / "etc"):
                    found.append(int(folder.name))
            except OSError:
                continue
        return found

    def wait_watchdog(self):
        """Waits until a dead capture's watchdog has done its duty."""
        wait_until(lambda: not self.helpers(), "the watchdog's end")

    def no_leftovers(self):
        """Nothing of a capture is left in any folder, and no process."""
        left = [path for path in self.lab.images.rglob("*")
                if MARK in path.name]
        left += list(self.state.rglob("*.journal"))
        left += list(self.state.rglob("*.snaps*"))
        left += list((self.state / "spool").glob("*"))
        assert not left, f"left behind: {list(map(str, left))}"
        wait_until(lambda: not self.helpers(), "our helpers' end")


def said(done, args, code, words):
    """The exit code and the words of a run are as they should be."""
    what = (f"{' '.join(map(str, args))}: exit {done.returncode}, "
            f"expected {code}\n{done.stdout[-1500:]}{done.stderr[-1500:]}")
    assert done.returncode == code, what
    missing = [word for word in words if word not in done.stderr]
    assert not missing, f"{what}\nnot said: {missing}"
    if code not in (DONE, PARTLY):
        assert (done.stderr + done.stdout).strip(), what


def stopped(process):
    """Has it been stopped by a signal?"""
    try:
        stat = Path(f"/proc/{process.pid}/stat").read_text()
    except OSError:
        return False
    return stat.rsplit(") ", 1)[1].startswith("T")


def go(process):
    """Lets a held program go on, if it has not ended meanwhile."""
    if process.poll() is None:
        os.kill(process.pid, signal.SIGCONT)


def finish(process, code=DONE, words=()):
    """Waits for a started program. Returns a CompletedProcess."""
    out, err = process.communicate(timeout=PATIENCE)
    done = subprocess.CompletedProcess(process.args, process.returncode, out,
                                       err)
    said(done, process.args[-6:], code, words)
    return done


# -- what must hold for a guest


def hears(guest):
    """The guest goes on, and nothing ever went wrong in it."""
    guest.wait_heartbeat()
    assert not guest.failed(), guest.failed()


def healthy(guest):
    """The same, and all of its disks is as its RAM says."""
    hears(guest)
    guest.check()
    assert not guest.failed(), guest.failed()


def on_own_disks(guest, disks):
    """Running and kept definition name these disks, and no job runs."""
    assert guest.disks() == disks, (guest.disks(), disks)
    assert guest.disks("--inactive") == disks, guest.disks("--inactive")
    for target in guest.disks():
        job = guest.lab.virsh("blockjob", guest.name, target, "--info",
                              check=False)
        assert not job or "No current" in job, job


def thawed(guest):
    guest.wait_agent()
    status = guest.agent("guest-fsfreeze-status")
    assert status == "thawed", status


def untouched(place, guest, disks, state="running"):
    """A guest after a backup, however that ended."""
    assert guest.state() == state, (guest.state(), state)
    on_own_disks(guest, disks)
    place.no_leftovers()
    if state == "running":
        hears(guest)


def instant(place, point, guest):
    """The disks in a point are whole and of one instant.

    Returns the last number in them.
    """
    files = []
    for target in disk_targets(guest.options):
        path = place.folder / f"export-{target}"
        place.vmkeep("export", f"{point}/{target}", path)
        files.append((path, "raw"))
    last = place.lab.check(files)
    for path, _ in files:
        path.unlink()
    return last


# -- places that get full


@contextlib.contextmanager
def small(place, name, mib):
    """A file system of a size, in the lab. Yields its folder."""
    folder = place.folder / name
    folder.mkdir(exist_ok=True)
    place.lab.run("mount", "-t", "tmpfs", "-o", f"size={mib}m", "none",
                  folder)
    try:
        yield folder
    finally:
        place.lab.run("umount", folder)


def inside(place, folder):
    """A folder of the lab, as the host sees it."""
    anchor = (place.lab.dir / "anchor.pid").read_text().strip()
    return f"/proc/{anchor}/root{folder}"


def free(place, folder):
    """Free bytes of a file system in the lab."""
    stat = os.statvfs(inside(place, folder))
    return stat.f_bavail * stat.f_frsize


def stop(process):
    """Ends a program that a test has started."""
    if process.poll() is None:
        process.kill()
    process.communicate()


__all__ = ["BUSY", "DONE", "FAILED", "INTEGRITY", "KILLED", "LONG", "Lab",
           "LabError", "PARTLY", "PATIENCE", "Place", "Skip", "TESTS",
           "USAGE", "finish", "free", "go", "healthy", "hears", "inside",
           "instant", "on_own_disks", "only_long", "said", "small", "stop",
           "stopped", "test", "thawed", "untouched", "wait_until"]
