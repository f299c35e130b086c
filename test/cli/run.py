#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""What the command line says where no VM is needed: help, errors, settings.

    run.py [BUILD_DIR] [-k WORD]    the program is VMKEEP, or BUILD_DIR/vmkeep
    run.py --write [...]            write the golden files anew

WORD: only tests with it in their name.

Golden files are test/cli/golden/NAME: standard output, standard error and the
exit status of one call.  $DIR in them is the folder that the call ran in.
"""

import argparse
import difflib
import json
import os
import pty
import re
import resource
import select
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent.parent
sys.path.insert(0, str(HERE.parent))

import odd  # noqa: E402
import room  # noqa: E402
from results import finish  # noqa: E402
from room import Failure, Skip, must  # noqa: E402

ODD = "we\x1b[31mb \u202e'1/\u00e4\n"

# For commands that would use the machine's.
STATE = ["--state-dir", "state"]

# Name: arguments.  The folder has FILES.
GOLDEN = {
    "none": [],
    "help": ["help"],
    "help-option": ["--help"],
    "help-backup": ["help", "backup"],
    "help-restore": ["restore", "--help"],
    "help-forget": ["help", "forget"],
    "help-gc": ["help", "gc"],
    "help-flatten": ["help", "flatten"],
    "help-key": ["help", "key"],
    "help-verify": ["help", "verify"],
    "help-repair": ["help", "repair"],
    "help-stats": ["help", "stats"],
    "help-doctor": ["help", "doctor"],
    "doctor-rules": ["doctor", "--rules"],
    "doctor-ignore": ["doctor", "--ignore", "cache-unsafe,chache", "web1"],
    "verify-level": ["-r", "r", "verify", "--level", "best"],
    "help-nearest": ["help", "bakup"],
    "completion": ["completion", "bash"],
    "completion-other": ["completion", "zsh"],
    "unknown-command": ["snapshot"],
    "unknown-nearest": ["pionts"],
    "unknown-json": ["pionts", "--json"],
    "unknown-odd": [ODD],
    "option-nearest": ["backup", "--memroy", "web1"],
    "option-unknown": ["points", "--xyzzy"],
    "option-letter": ["points", "-x"],
    "option-value": ["points", "--key-file"],
    "option-no-value": ["points", "--json=1"],
    "option-choice": ["backup", "--require", "best", "web1"],
    "option-pair": ["restore", "web1@latest", "--disk", "vda"],
    "option-number": ["points", "--compression", "much"],
    "option-range": ["points", "--compression", "20"],
    "too-few": ["backup"],
    "forget-what": ["-r", "r", "forget", "--force"],
    "flatten-base": [*STATE, "flatten", "web1", "--base", "0"],
    "flatten-what": [*STATE, "flatten"],
    "gc-silent": ["-r", "r", "gc", "--silent", "long"],
    "too-many": ["show", "a", "b"],
    "too-few-json": ["--json", "show"],
    "no-repository": ["points"],
    "empty-repository": ["-r", "", "points"],
    "no-init-repository": ["init"],
    "restore-where": ["-r", "r", *STATE, "restore", "web1@latest"],
    "restore-ram-define": ["-r", "r", *STATE, "restore", "x", "--to", "d",
                           "--ram", "--no-define"],
    "backup-ram-memory": ["-r", "r", *STATE, "backup", "--no-memory",
                          "--require", "ram", "web1"],
    "export-json": ["-r", "r", "export", "--json", "web1@latest", "-"],
    "key-none": ["key"],
    "key-unknown": ["-r", "r", "key", "lsit"],
    "key-no-role": ["-r", "r", "key", "add"],
    "key-role": ["-r", "r", "key", "add", "--role", "admin"],
    "key-too-few": ["-r", "r", "key", "remove"],
    "key-too-many": ["-r", "r", "key", "recipient", "seal", "x"],
    "key-export-json": ["-r", "r", "key", "export", "-", "--json"],
    "quiet-verbose": ["-q", "-v", "version"],
    "config-missing": ["--config", "none.conf", "version"],
    "config-unknown": ["--config", "unknown.conf", "version"],
    "config-value": ["--config", "value.conf", "version"],
    "config-outside": ["--config", "outside.conf", "version"],
    "config-zone": ["--config", "zone.conf", "version"],
    "config-torn": ["--config", "torn.conf", "version"],
    "help-config": ["help", "config"],
    "policy-none": ["--config", "/dev/null", "config", "check"],
    "policy-good": ["--config", "policy.conf", "config", "check"],
    "policy-bad": ["--config", "bad.conf", "config", "check"],
    "policy-bad-json": ["--config", "bad.conf", "config", "check", "--json"],
    "policy-bad-show": ["--config", "bad.conf", "config", "show", "web1"],
    "policy-show": ["--config", "policy.conf", "config", "show"],
    "policy-domain": ["--config", "policy.conf", "config", "show", "web1",
                      "--origin"],
    "policy-dataset": ["--config", "dataset.conf", "config", "show",
                       "tank/vm/web1", "--origin"],
    "policy-nobody": ["--config", "policy.conf", "config", "show", "mail"],
    "policy-folder": ["--config", "folder", "config", "show", "--origin"],
    "policy-keys": ["config", "keys"],
    "policy-unknown": ["config", "list"],
    "policy-check-what": ["config", "check", "web1"],
    "help-plan": ["help", "plan"],
    "plan-all": ["--config", "plan.conf", "plan", "--at", "2027-03-28T12"],
    "plan-domain": ["--config", "plan.conf", "plan", "web1", "--at",
                    "2027-10-31T02:40+01:00", "--json"],
    "plan-nobody": ["--config", "plan.conf", "plan", "mail"],
    "plan-none": ["--config", "/dev/null", "plan"],
    "plan-bad": ["--config", "bad.conf", "plan"],
    "plan-when": ["--config", "plan.conf", "plan", "--at", "tomorrow"],
    "group-unknown": ["--config", "policy.conf", "-r", "r", *STATE, "backup",
                      "--group", "shpo"],
    "passphrase-file": ["-r", "r", "points"],
    "not-a-repository": ["-r", "empty", "points"],
    "no-such-repository": ["-r", "nowhere", "points"],
}

ENV = {"passphrase-file": {"VMKEEP_PASSPHRASE": "",
                           "VMKEEP_PASSPHRASE_FILE": "none"}}

FILES = {
    "unknown.conf": "[vmkeep]\nrepository = /r\n\nspool_dri = /s\n",
    "value.conf": "[vmkeep]\ncompression = much\n",
    "outside.conf": "# mine\nrepository = /r\n",
    "zone.conf": "[vmkeep]\ntime_zone = Mars/Olympus\n",
    "torn.conf": "[vmkeep\n",
    "good.conf": "[web1]\nhourly = 36\n[vmkeep]\nrepository = \"from file\"\n"
                 "key_file = /no/such/key\n",
    "policy.conf": """
[vmkeep]
repository = /srv/backup/vmkeep
[web1]
use_template = production
daily = 7                   # not as the others
pre_snapshot_script = "/bin/true a;b"
[group:shop]
members = db1 web2
use_template = production
[template_production]
memory = yes
hourly = 36
daily = 30
ram_hourly = 4
keep = local, main
main.daily = 90
[repository:main]
url = /srv/backup/main
[replica:offsite]
target = backup@nas:tank/vm
""",
    "plan.conf": """
[web1]
use_template = t
[group:shop]
members = db1 web2
hourly = 0
daily = 0
main.yearly = 3
keep = local, main
yearly_mon = 2
yearly_mday = 29
[group:name]
members = a b
[old]
autosnap = no
[template_t]
hourly_min = 30
daily_hour = 2
daily_min = 30
monthly_mday = 31
weekly = 3
[repository:main]
url = /srv/backup/main
""",
    "dataset.conf": """
[tank/vm]
recursive = yes
use_template = production
[template_production]
hourly = 36
""",
    "bad.conf": """
[web1]
use_template = prodution
hourley = 36
daily = many
yearly_mon = 2
yearly_mday = 30
monthly = 1
monthly = 2
[template_production]
""",
    "folder/vmkeep.conf": "[web1]\ndaily = 1\nhourly = 1\n",
    "folder/conf.d/20-b.conf": "[web1]\ndaily = 3\n",
    "folder/conf.d/10-a.conf": "[web1]\ndaily = 2\nweekly = 2\n",
    "folder/conf.d/.30-c.conf": "[web1]\ndaily = 4\n",
    "folder/conf.d/40-d.conf~": "[web1]\ndaily = 5\n",
}


class Place:
    """A folder to call the program in."""

    def __init__(self, program, folder):
        self.program, self.folder = program, folder
        (folder / "empty").mkdir()
        for name, text in FILES.items():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).write_text(text)

    def env(self, more=None):
        env = {key: value for key, value in os.environ.items()
               if not key.startswith(("VMKEEP", "XDG_"))}
        env.update(LC_ALL="C", TZ="UTC", HOME=str(self.folder),
                   VMKEEP_PASSPHRASE="secret",
                   VMKEEP_CACHE=str(self.folder / "cache"))
        env.update(more or {})
        return env

    def argv(self, args):
        return [str(self.program), *args]

    def run(self, *args, env=None, **options):
        options.setdefault("stdout", subprocess.PIPE)
        # without a terminal of its own it cannot ask on ours
        return subprocess.run(self.argv(args), cwd=self.folder,
                              env=self.env(env), stdin=subprocess.DEVNULL,
                              stderr=subprocess.PIPE, timeout=60,
                              start_new_session=True, **options)

    def shown(self, name, args):
        """What a golden file has of this call."""
        done = self.run(*args, env=ENV.get(name))
        text = (f"--- exit {done.returncode}\n"
                f"--- stdout\n{done.stdout.decode()}"
                f"--- stderr\n{done.stderr.decode()}")
        return text.replace(str(self.folder), "$DIR")

    def on_terminal(self, args, keys, env=None):
        """Runs it on a terminal and types keys at each passphrase prompt.

        Returns what was seen, and the wait status.
        """
        pid, fd = pty.fork()
        if pid == 0:
            os.chdir(self.folder)
            # whoever runs us in the background may ignore Ctrl-C
            for number in (signal.SIGINT, signal.SIGQUIT, signal.SIGHUP):
                signal.signal(number, signal.SIG_DFL)
            os.execve(self.program, self.argv(args),
                      self.env({"VMKEEP_PASSPHRASE": "", **(env or {})}))
        seen, keys, end = b"", list(keys), time.monotonic() + 60
        prompts = re.compile(rb"(passphrase of [^\n]*|once more): $")
        while time.monotonic() < end:
            if select.select([fd], [], [], 0.1)[0]:
                try:
                    data = os.read(fd, 4096)
                except OSError:
                    break
                if not data:
                    break
                seen += data
            if keys and prompts.search(seen) and echo_is_off(fd):
                os.write(fd, keys.pop(0))
                seen += b"|"
        os.close(fd)
        return seen.decode(), os.waitpid(pid, 0)[1]


def echo_is_off(fd):
    import termios
    return not termios.tcgetattr(fd)[3] & termios.ECHO


# --- what no golden file can tell --------------------------------------------


def version(place):
    done = place.run("version")
    must(re.fullmatch(rb"vmkeep \d+\.\d+\.\d+\n", done.stdout), done.stdout)
    must(place.run("--version").stdout == done.stdout, "--version")
    answer = json.loads(place.run("version", "--json").stdout)
    must(done.stdout.decode() == f"vmkeep {answer['version']}\n", answer)


def help_fits_80_columns(place):
    answer = json.loads(place.run("help", "--json").stdout)
    names = [c["name"] for c in answer["commands"]]
    for name in [[], *([name] for name in names)]:
        for line in place.run("help", *name).stdout.decode().splitlines():
            must(len(line) <= 80, line)


def completion_is_bash(place):
    script = place.run("completion", "bash").stdout
    subprocess.run(["bash", "-n"], input=script, check=True)
    ask = script.decode() + (
        "COMP_WORDS=(vmkeep backup --require ''); COMP_CWORD=3; _vmkeep; "
        "echo ${COMPREPLY[@]}; "
        "COMP_WORDS=(vmkeep resto); COMP_CWORD=1; _vmkeep; "
        "echo ${COMPREPLY[@]}; "
        "COMP_WORDS=(vmkeep verify --rea); COMP_CWORD=2; _vmkeep; "
        "echo ${COMPREPLY[@]}")
    done = subprocess.run(["bash", "-c", ask], stdout=subprocess.PIPE,
                          text=True, check=True)
    must(done.stdout.split("\n")[:3] == ["ram filesystem crash", "restore",
                                         "--read-data"], done.stdout)


def global_options_may_come_first(place):
    for args in (["-vr", "nowhere", "points"], ["-rnowhere", "points"],
                 ["--repository=nowhere", "points"],
                 ["points", "-r", "nowhere"],
                 ["--repository", "nowhere", "--", "points"]):
        done = place.run(*args)
        must(b"'nowhere'" in done.stderr and done.returncode == 1,
             (args, done.stderr))


def weak_to_strong(place):
    """Settings file, environment, command line."""
    env = {"VMKEEP_REPOSITORY": "from env"}
    for args, more, want in ((["--config", "good.conf"], {}, b"from file"),
                             (["--config", "good.conf"], env, b"from env"),
                             (["--config", "good.conf", "-r", "from line"],
                              env, b"from line")):
        done = place.run("points", *args, env=more)
        must(want in done.stderr, (args, more, done.stderr))


def settings_show_reads_back(place):
    """What config show prints means the same again."""
    for name in ("policy.conf", "folder", "dataset.conf"):
        first = place.run("--config", name, "config", "show")
        (place.folder / "again.conf").write_bytes(first.stdout)
        again = place.run("--config", "again.conf", "config", "show")
        must(first.stdout == again.stdout and again.returncode == 0,
             again.stderr)
    done = place.run("config", "keys")
    (place.folder / "again.conf").write_bytes(done.stdout + b"[web1]")
    done = place.run("--config", "again.conf", "config", "show", "web1")
    (place.folder / "again.conf").write_bytes(done.stdout)
    again = place.run("--config", "again.conf", "config", "show", "web1")
    must(again.returncode == 0 and again.stdout == done.stdout, again)


def settings_that_are_wrong_stop_no_restore(place):
    """Only what acts on a policy minds that it is wrong."""
    for name in ("policy.conf", "bad.conf"):
        done = place.run("--config", name, "-r", "nowhere", "points")
        must(b"'nowhere'" in done.stderr, done.stderr)


def plan_in_a_zone(place):
    """Where the host has tables of zones: the end of a gap."""
    if not os.path.exists("/usr/share/zoneinfo/Europe/Berlin"):
        raise Skip("tables of time zones")
    done = place.run("--config", "plan.conf", "--time-zone", "Europe/Berlin",
                     "plan", "web1", "--at", "2027-03-28T12")
    for when in (b"daily .*due since 2027-03-28T03:00:00\\+02:00",
                 b"hourly .*due since 2027-03-28T11:30:00\\+02:00",
                 b"monthly .*next 2027-03-31T00:00:00\\+02:00"):
        must(re.search(when, done.stdout), done.stdout)


def settings_parts_that_are_torn(place):
    (place.folder / "folder/conf.d/99.conf").write_text("[web1\n")
    done = place.run("--config", "folder", "config", "check", "--json")
    answer = json.loads(done.stdout)
    must(done.returncode == 2 and "99.conf:1: '[' without ']'"
         in answer["error"]["message"], answer)
    (place.folder / "folder/conf.d/99.conf").unlink()
    (place.folder / "folder/conf.d/99.conf").mkdir()
    done = place.run("--config", "folder", "config", "check")
    must(done.returncode == 1 and b"99.conf" in done.stderr, done)
    (place.folder / "folder/conf.d/99.conf").rmdir()


def init_and_points(place):
    done = place.run("init", "made", "--json")
    answer = json.loads(done.stdout)
    must(answer["exit"] == 0 and answer["repository"] == "made", answer)
    done = place.run("-r", "made", "points")
    must(done.stdout == b"no points\n", done)
    done = place.run("-r", "made", "points",
                     env={"VMKEEP_PASSPHRASE": "wrong"})
    must(done.returncode not in (0, 2) and b"passphrase" in done.stderr, done)
    done = place.run("init", "made")
    must(done.returncode == 1, done)


def import_export(place):
    place.run("init", "odd")
    (place.folder / "data").write_bytes(bytes(range(256)) * 100)
    done = place.run("-r", "odd", *STATE, "import", ODD, "data", "--json")
    answer = json.loads(done.stdout)
    must(answer["exit"] == 0 and answer["items"][0]["name"] == ODD, answer)
    listed = place.run("-r", "odd", "points").stdout.decode()
    must("we\\x1b[31mb \\u202e'1/\u00e4\\n" in listed
         and "\x1b" not in listed, listed)
    point = answer["items"][0]["point"]["id"][:8]
    done = place.run("-r", "odd", "export", point, "-")
    must(done.stdout == bytes(range(256)) * 100, done.stderr)
    must(done.stderr == b"", done.stderr)
    export_in_place(place, point)


def export_in_place(place, point):
    """What is there already is not written again."""
    out = place.folder / "out"
    args = ["-r", "odd", "export", "--json", point, "out"]
    must(json.loads(place.run(*args).stdout)["written"] == 25600, "new")
    refused = place.run(*args)
    must(refused.returncode == 1 and b"--in-place" in refused.stdout,
         refused)
    out.write_bytes(bytes(4096) + out.read_bytes()[4096:] + b"more")
    done = place.run(*args, "--in-place")
    must(json.loads(done.stdout)["written"] == 4096, done)
    must(out.read_bytes() == bytes(range(256)) * 100, "in place")
    none = place.run("-r", "odd", "export", "--in-place", point, "-")
    must(none.returncode == 2 and none.stdout == b"", none)


def keys(place):
    """Every role, a new passphrase, and taking keys back."""
    def key(*args, code=0, env=None):
        done = place.run("-r", "roles", "key", "--json", *args, env=env)
        must(done.returncode == code, (args, done))
        return json.loads(done.stdout)

    def data(*args, key_file=None, env=None):
        with_key = ["--key-file", key_file] if key_file else []
        return place.run("-r", "roles", *STATE, *with_key, *args, env=env)

    place.run("init", "roles")
    (place.folder / "bytes").write_bytes(os.urandom(100000))
    (place.folder / "new").write_text("second\n")
    must(data("import", "a", "bytes").returncode == 0, "import")
    ids = {}
    for role in ("writer", "maintainer", "restorer"):
        made = key("add", "--role", role, "--key-file", role,
                   "--label", f"of {ODD}")
        ids[role] = made["keys"][0]["id"]
        must((place.folder / role).stat().st_mode & 0o777 == 0o600, role)
        key("add", "--role", role, "--key-file", role, code=1)
    shown = place.run("-r", "roles", "key", "list").stdout.decode()
    must("\x1b" not in shown and "maintainer  key file" in shown, shown)
    for role, words, code, said in (
            ("writer", ["import", "b", "bytes"], 0, ""),
            ("writer", ["export", "a", "-"], 1, "this is a writer's key"),
            ("writer", ["key", "list"], 0, ""),
            ("maintainer", ["import", "c", "bytes"], 1,
             "this is a maintainer's key"),
            ("maintainer", ["export", "a", "-"], 1,
             "this is a maintainer's key"),
            ("restorer", ["import", "c", "bytes"], 1,
             "this is a restorer's key"),
            ("restorer", ["export", "b", "-"], 0, ""),
            ("restorer", ["key", "passphrase", "--passphrase-file", "new"], 1,
             "this key has no passphrase")):
        done = data(*words, key_file=role)
        must(done.returncode == code and said in done.stderr.decode(),
             (role, words, done))
    done = place.run("-r", "roles", "key", "add", "--role", "owner",
                     "--key-file", "more", "--owner-key", "writer")
    must(done.returncode == 1 and b"owner's key" in done.stderr, done)
    # a new passphrase, and the old one is none any more
    key("passphrase", "--passphrase-file", "new")
    must(data("points").returncode == 1, "old passphrase")
    new = {"VMKEEP_PASSPHRASE": "second"}
    must(data("points", env=new).returncode == 0, "new passphrase")
    # taken back: the points stay, the key is refused
    key("remove", ids["writer"][:8], env=new)
    done = data("import", "d", "bytes", key_file="writer")
    must(b"this writer's key was removed" in done.stderr, done)
    names = json.loads(data("points", "--json", env=new).stdout)["points"]
    must([p["name"] for p in names] == ["a", "b"], names)
    # a removed restorer is no recipient any more
    key("remove", ids["restorer"], env=new)
    told = key("recipient", env=new)["keys"]
    must([k["role"] for k in told] == ["owner"], told)
    # never the last owner; a copy of its key opens all
    owner = told[0]["id"]
    must("last owner" in key("remove", owner, code=1, env=new)
         ["error"]["message"], "the last owner's")
    done = data("key", "export", "-", env=new)
    (place.folder / "copy").write_bytes(done.stdout)
    (place.folder / "copy").chmod(0o640)
    done = data("points", key_file="copy")
    must(b"chmod 600" in done.stderr and done.returncode == 1, done)
    (place.folder / "copy").chmod(0o600)
    done = data("export", "b", "-", key_file="copy")
    must(done.stdout == (place.folder / "bytes").read_bytes(), done.stderr)


def recipients(place):
    """One more, whose secret is elsewhere: sealed once, and not again."""
    public = "9f" * 31 + "01"
    place.run("init", "sealed")
    for name in "abc":
        (place.folder / "some").write_bytes(os.urandom(50000))
        place.run("-r", "sealed", *STATE, "import", name, "some")
    told = []
    for args in (["add", public], ["add", public], ["seal"], ["list"]):
        done = place.run("-r", "sealed", "key", "recipient", *args, "--json")
        must(done.returncode == 0, done)
        told.append(json.loads(done.stdout))
    must([t["sealed"] for t in told[:3]] == [3, 0, 0], told)
    must(len(told[3]["keys"]) == 2 and told[3]["keys"][1]["recipient"]
         == public and told[3]["keys"][1]["role"] == "recipient", told[3])
    for wrong in ("00" * 32, "zz", public + "00"):
        done = place.run("-r", "sealed", "key", "recipient", "add", wrong)
        must(done.returncode in (2, 5), done)


def memory_of(pid):
    """(name, flags, bytes) of each mapping of a process that stands still."""
    found = []
    with open(f"/proc/{pid}/smaps", encoding="utf-8") as lines:
        for line in lines:
            match = re.match(r"(\w+)-(\w+) r\S+ \S+ \S+ \S+\s*(.*)", line)
            if match:
                start, end = (int(match[n], 16) for n in (1, 2))
                found.append([match[3], "", start, end])
            elif line.startswith("VmFlags:") and found:
                found[-1][1] = found[-1][1] or line.split()[1:]
    with open(f"/proc/{pid}/mem", "rb", 0) as memory:
        for name, flags, start, end in found:
            if name.startswith("[v"):
                continue
            memory.seek(start)
            yield name, flags, memory.read(end - start)


def secrets_stay(place):
    """What a program at work has where: passphrase and keys in memory that is
    locked and left out of core files, and nowhere else."""
    words = "words-that-nobody-else-would-say"
    env = {"VMKEEP_PASSPHRASE": words}
    place.run("init", "safe", env=env)
    place.run("-r", "safe", "key", "export", "safe.key", env=env)
    raw = bytes.fromhex((place.folder / "safe.key").read_text().split()[1])
    # FORMAT.md, 2; K_id and K_cut are in OpenSSL's contexts while it works,
    # and open nothing
    secrets = {"passphrase": words.encode()}
    for name, at in (("K_meta", 84), ("box", 148), ("authority", 212),
                     ("signing", 244)):
        secrets[name] = raw[at:at + 32]
    work = subprocess.Popen(
        place.argv(["-r", "safe", *STATE, "import", "x", "-"]),
        cwd=place.folder, env=place.env(env), stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL, preexec_fn=no_core_limit)
    try:
        work.stdin.write(os.urandom(9 << 20))
        wait_for(lambda: any((place.folder / "safe/ring").glob("*")))
        os.kill(work.pid, signal.SIGSTOP)
        seen = set()
        for name, flags, data in memory_of(work.pid):
            for secret, value in secrets.items():
                if value in data:
                    must("dd" in flags and "lo" in flags,
                         f"{secret} is in '{name}' {flags}")
                    seen.add(secret)
        # or we have looked in the wrong places
        must(seen == set(secrets), f"found only {seen}")
        for file in ("environ", "cmdline"):
            data = Path(f"/proc/{work.pid}/{file}").read_bytes()
            must(words.encode() not in data, file)
        os.kill(work.pid, signal.SIGCONT)
        os.kill(work.pid, signal.SIGSEGV)
        status = os.waitpid(work.pid, 0)[1]
        work.returncode = -os.WTERMSIG(status)
        must(os.WTERMSIG(status) == signal.SIGSEGV, status)
        must(not os.WCOREDUMP(status), "it left a core file")
    finally:
        if work.poll() is None:
            work.kill()
        work.stdin.close()
        work.wait()


def no_core_limit():
    hard = resource.getrlimit(resource.RLIMIT_CORE)[1]
    resource.setrlimit(resource.RLIMIT_CORE, (hard, hard))


def wait_for(true):
    end = time.monotonic() + 60
    while not true():
        must(time.monotonic() < end, "it did not begin")
        time.sleep(0.05)


def stored(place, repo):
    return sum(f.stat().st_size for f in (place.folder / repo).rglob("*")
               if f.is_file())


def forget_and_gc(place):
    data = os.urandom(3 << 20)
    place.run("init", "less")
    for name, more in (("one", b""), ("one", os.urandom(1 << 20)),
                       ("two", data[:1 << 20])):
        (place.folder / "data").write_bytes(data + more)
        place.run("-r", "less", *STATE, "import", name, "data")
    points = json.loads(place.run("-r", "less", "points", "--json").stdout)
    ids = [p["id"] for p in points["points"]]
    full = stored(place, "less")
    done = place.run("-r", "less", "forget", "two")
    must(done.returncode == 1 and b"--force" in done.stderr, done)
    done = place.run("-r", "less", "forget", "--ram", ids[1])
    must(done.returncode == 2 and b"no RAM" in done.stderr, done)
    done = place.run("-r", "less", "forget", ids[1], "nobody")
    must(done.returncode == 1 and b"'nobody'" in done.stderr, done)
    done = place.run("-r", "less", "forget", "--dry-run", ids[1], ids[1])
    must(done.stdout.startswith(b"would forget one@")
         and done.stdout.count(b"\n") == 1, done)
    done = place.run("-r", "less", "points")
    must(done.stdout.count(b"\n") == 4, done)

    done = place.run("-r", "less", "forget", "--json", ids[1])
    answer = json.loads(done.stdout)
    must([p["id"] for p in answer["points"]] == [ids[1]], answer)
    done = place.run("-r", "less", "show", ids[1])
    must(done.returncode == 1, done)
    answer = json.loads(place.run("-r", "less", "gc", "--dry-run",
                                  "--json").stdout)
    must(answer["waiting_packs"] > 0 and answer["steps"] == 0, answer)
    answer = json.loads(place.run("-r", "less", "gc", "--json").stdout)
    must(answer["exit"] == 0 and answer["points"] == 1
         and answer["bytes"] > 1 << 20 and answer["waits_for"] is None,
         answer)
    must(stored(place, "less") < full - (1 << 20), "nothing was freed")
    done = place.run("-r", "less", "gc")
    must(done.stdout.startswith(b"removed 0 points, deleted 0 packs"), done)
    done = place.run("-r", "less", "export", ids[0], "-")
    must(done.stdout == data, done.stderr)
    done = place.run("-r", "less", "export", ids[2], "-")
    must(done.stdout == data + data[:1 << 20], done.stderr)


def hurt(folder):
    """Flips a bit in the largest pack; returns the pack."""
    pack = max((folder / "data").rglob("*/*"), key=lambda f: f.stat().st_size)
    data = bytearray(pack.read_bytes())
    data[len(data) // 2] ^= 1
    pack.chmod(0o600)
    pack.write_bytes(data)
    return pack


def verify_and_repair(place):
    def run(*args, code=0):
        done = place.run("-r", "sick", *args, "--json")
        must(done.returncode == code, done)
        return json.loads(done.stdout)

    data = os.urandom(3 << 20)
    (place.folder / "data").write_bytes(data)
    place.run("init", "sick")
    run(*STATE, "import", "one", "data")
    shutil.copytree(place.folder / "sick", place.folder / "well")
    must(run("verify")["damages"] == [], "damage")
    answer = run("verify", "--max-time", "10m")
    must(answer["read_data"] and answer["complete"] and
         answer["bytes_ever_read"] == answer["bytes"] > len(data), answer)

    hurt(place.folder / "sick")
    must(run("verify", "--level", "sizes")["damages"] == [], "too early")
    answer = run("verify", "--level", "checksums", code=5)
    must({d["image"] for d in answer["damages"]} == {"", "image"}, answer)
    # noted: found without reading, from now on
    must(run("verify", code=5)["damages"] != [], "not noted")
    must(not run("repair", code=5)["changed"], "repaired out of nothing")
    answer = run("repair", "--from", "well")
    must(answer["objects"] == 1 and answer["damages"] == [], answer)
    must(list((place.folder / "sick/aside/data").iterdir()), "not kept")
    must(run("verify", "--level", "data")["damages"] == [], "not repaired")

    # and without a copy: the next backup of the same source
    hurt(place.folder / "sick")
    run("verify", "--level", "seals", code=5)
    run(*STATE, "import", "one", "data")
    answer = run("verify", "--level", "data")
    must(len(answer["healed"]) == 1, answer)
    done = place.run("-r", "sick", "export", "one@latest", "-")
    must(done.stdout == data, done.stderr)


def how_much(place):
    data = os.urandom(2 << 20)
    place.run("init", "much")
    for name, bytes_ in (("one", data), ("one", data),
                         ("two", os.urandom(1 << 20))):
        (place.folder / "data").write_bytes(bytes_)
        place.run("-r", "much", *STATE, "import", name, "data")
    answer = json.loads(place.run("-r", "much", "stats", "--json").stdout)
    must(answer["data"] == 5 << 20 and answer["unique"] == 3 << 20
         and answer["lost"] == 0, answer)
    frees = [p["frees"] for p in answer["points"]]
    must(frees[0] < 4096 and frees[1] < 4096 and frees[2] > 1 << 20, frees)
    own = {n["name"]: n["frees"] for n in answer["names"]}
    must(own["one"] > 2 << 20, own)
    # what is said is what gc then frees, but for the small objects
    full = stored(place, "much")
    place.run("-r", "much", "forget", "--force", "two@latest")
    place.run("-r", "much", "gc")
    freed = full - stored(place, "much")
    must(abs(freed - frees[2]) < 32 << 10, (freed, frees))
    done = place.run("-r", "much", "stats", "one@latest")
    must(b"2.0 MiB" in done.stdout, done.stdout)


def quiet_says_nothing(place):
    done = place.run("-q", "init", "silent")
    must((done.returncode, done.stdout, done.stderr) == (0, b"", b""), done)


def passphrase_is_wiped_and_asked_for(place):
    seen, status = place.on_terminal(["init", "asked"],
                                     [b"secret\n", b"secret\n"])
    must(status == 0 and "secret" not in seen, (seen, status))
    seen, status = place.on_terminal(["init", "asked2"],
                                     [b"secret\n", b"secrex\n"])
    must(status == 2 << 8 and "differ" in seen, (seen, status))
    must(not (place.folder / "asked2").exists(), "asked2 was made")
    seen, status = place.on_terminal(["-r", "asked", "points"], [b"secret\n"])
    must(status == 0 and "no points" in seen, (seen, status))
    seen, status = place.on_terminal(["-r", "asked", "points"], [b"se\x03"])
    must(status == 2, (seen, status))  # by SIGINT


def no_terminal_no_passphrase(place):
    place.run("init", "locked")
    done = place.run("-r", "locked", "points", env={"VMKEEP_PASSPHRASE": ""})
    must(done.returncode == 2 and b"VMKEEP_PASSPHRASE_FILE" in done.stderr,
         done)


def full_disk_is_an_error(place):
    with open("/dev/full", "w") as full:
        done = place.run("help", stdout=full)
    must(done.returncode == 1 and b"No space left" in done.stderr, done)


def closed_descriptors(place):
    done = subprocess.run(
        ["sh", "-c", '"$0" version <&- >&- 2>&-', str(place.program)],
        env=place.env(), stderr=subprocess.PIPE)
    must(done.returncode == 0, done)


TESTS = [version, help_fits_80_columns, completion_is_bash,
         global_options_may_come_first, weak_to_strong, quiet_says_nothing,
         full_disk_is_an_error, closed_descriptors, init_and_points,
         settings_show_reads_back, settings_that_are_wrong_stop_no_restore,
         settings_parts_that_are_torn, plan_in_a_zone,
         import_export, forget_and_gc,
         verify_and_repair, how_much, keys, recipients, secrets_stay,
         no_terminal_no_passphrase,
         passphrase_is_wiped_and_asked_for, *room.TESTS,
         *odd.TESTS]


def golden(place, name, args, write):
    file = HERE / "golden" / name
    have = place.shown(name, args)
    if write:
        file.write_text(have)
    want = file.read_text() if file.exists() else ""
    must(have == want, "\n".join(difflib.unified_diff(
        want.splitlines(), have.splitlines(), "golden", "now", lineterm="")))


def run(name, test):
    """1 passed, 0 failed, None skipped."""
    try:
        test()
    except Skip as what:
        print(f"skipped - {name}: this machine lacks {what}", flush=True)
        return None
    except (Failure, OSError, ValueError, subprocess.SubprocessError) as why:
        print(f"not ok - {name}\n{why}", flush=True)
        return 0
    print(f"ok - {name}", flush=True)
    return 1


def main():
    p = argparse.ArgumentParser(description="tests of the command line")
    p.add_argument("build", nargs="?", default=ROOT / "build",
                   help="folder with vmkeep in it")
    p.add_argument("-k", dest="word", default="", metavar="WORD",
                   help="only tests with it in their name")
    p.add_argument("--write", action="store_true",
                   help="write the golden files anew")
    args = p.parse_args()
    program = Path(os.environ.get("VMKEEP", Path(args.build) / "vmkeep"))
    passed = []
    (HERE / "golden").mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        place = Place(program.resolve(), Path(folder))
        for name, words in GOLDEN.items():
            if args.word in name:
                passed.append(run(name, lambda: golden(place, name, words,
                                                       args.write)))
        for test in TESTS:
            if args.word in test.__name__:
                passed.append(run(test.__name__, lambda: test(place)))
    finish("cli", passed.count(1), passed.count(0), passed.count(None))


main()
