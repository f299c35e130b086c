# SPDX-License-Identifier: Apache-2.0
"""Repositories that one seldom sees: empty, all forgotten, nothing but ended
sessions, odd names.  Tests of test/cli/run.py."""

import os
import subprocess

from room import STATE, Repository, must


def nothing_there(repo, packs):
    """No points: every command says so, and none trips over it."""
    done = repo.must("points")
    must(done.stdout == b"no points\n", done)
    for level in ("sizes", "trees", "data"):
        done = repo.must("verify", "--level", level)
        must(b"all is well" in done.stdout, done)
    must(b"no points were found" in done.stdout
         and b"read 0" not in done.stdout, done)
    answer = repo.json("verify", "--level", "data")
    must(answer["points"] == answer["packs"] == 0, answer)
    done = repo.must("stats")
    must(done.stdout.startswith(b"no points; the whole repository: ")
         and done.stdout.count(b"\n") == 1, done)
    answer = repo.json("stats")
    must(answer["points"] == answer["names"] == [] and answer["stored"] == 0
         and (answer["pack_bytes"] > 0) == packs, answer)
    must(b"nothing is damaged" in repo.must("repair").stdout, "repair")
    for args in (["stats", "x@latest"], ["show", "x"], ["forget", "x"],
                 ["export", "x@latest", "-"], ["verify", "x@latest"]):
        done = repo.must(*args, code=1)
        must(b"no point 'x" in done.stderr and b"vmkeep points" in done.stderr,
             done)


def empty_and_forgotten(place):
    repo = Repository(place, "hollow")
    repo.must("init", repo.path)
    nothing_there(repo, False)
    for name in ("a", "b", "b"):
        repo.add(name, os.urandom(300000))
    repo.must("forget", "--force", *repo.points)
    nothing_there(repo, True)
    repo.must("gc")
    nothing_there(repo, False)
    repo.points.clear()
    repo.add("again", os.urandom(100000))
    repo.whole()


def killed_and_ended(place):
    """A first backup that is killed, and a collector without patience: only
    revoked sessions are left."""
    repo = Repository(place, "revoked")
    repo.must("init", repo.path)
    work = subprocess.Popen(
        place.argv(["-r", str(repo.path), "--key-file", str(repo.key), *STATE,
                    "import", "dead", "-"]), cwd=place.folder,
        env=place.env(), stdin=subprocess.PIPE, stdout=subprocess.DEVNULL)
    # more than a pipe holds: when this returns it is at work
    work.stdin.write(os.urandom(9 << 20))
    work.stdin.flush()
    work.kill()
    work.stdin.close()
    work.wait()
    must(any((repo.path / "sess").iterdir()), "it had no session")
    nothing_there(repo, False)
    done = repo.must("gc", "--silent", "0s")
    must(b"ended one session" in done.stdout, done)
    nothing_there(repo, False)
    repo.add("alive", os.urandom(100000))
    repo.whole()


def odd_names(place):
    """Long ones, with slashes, controls, other scripts: shown so that the rest
    lines up, and found again."""
    repo = Repository(place, "names")
    repo.must("init", repo.path)
    names = ["n" * 300, "n" * 4096, "a/b@c", "two\nlines", "\u00fc \u6f22\u5b57",
             "..", "-", "plain"]
    for number, name in enumerate(names):
        repo.add(name, bytes([number + 1]) * 30000)
    repo.must("import", "n" * 4097, "data", code=2)
    repo.must("import", "", "data", code=2)
    shown = repo.json("points")["points"]
    must([p["name"] for p in shown] == names, shown)
    for args in (["points"], ["stats"]):
        lines = repo.must(*args).stdout.decode().splitlines()
        must(len(lines[0]) < 80, lines[0])
        # a line for each, two\nlines too
        must(sum("n" * 300 in line for line in lines) == 2
             and sum("two\\nlines" in line for line in lines) == 1, lines)
    # no more data than there is
    stats = repo.json("stats")
    must(stats["data"] == stats["size"] == 30000 * len(names), stats)
    done = repo.must("export", "n" * 300 + "@latest", "-")
    must(done.stdout == bytes([1]) * 30000, "another one")
    repo.must("forget", "--force", "n" * 4096 + "@latest")
    repo.points.pop([p["id"] for p in shown if p["name"] == "n" * 4096][0])
    repo.must("gc")
    repo.whole()


TESTS = [empty_and_forgotten, killed_and_ended, odd_names]
