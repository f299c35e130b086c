#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The engine benchmark: vmkeep beside its peers and beside the bare loop.

Every tool backs up the same images on the same disk: a guest, the same
unchanged, the same a day later, a second guest; then it restores the
day-later image, which is compared. All with a warm page cache, a new
repository each round, encryption where the tool has it. Within a round the
tools take turns at every step, so that a slow minute of the machine hits
all of them; medians are shown.
"""

import argparse
import json
import multiprocessing
import os
import platform
import random
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time

import guestdata

HERE = os.path.dirname(os.path.abspath(__file__))
MIB = 1 << 20
PASSPHRASE = "benchmark"
SKIPPED = 77  # what test runners take for "could not run"

# step, the image it reads, what it is called
STEPS = [
    ("first", "guest.img", "first backup"),
    ("again", "guest.img", "unchanged"),
    ("later", "later.img", "a day later"),
    ("second", "second.img", "second guest"),
    ("restore", "later.img", "restore"),
    ("in place", "later.img", "in place"),
]
BACKUPS = [s for s, _, _ in STEPS if s not in ("restore", "in place")]


class Failure(Exception):
    pass


class Missing(Exception):
    pass


def talk(text):
    print("engine.py: " + text, file=sys.stderr, flush=True)


# The tools


class Tool:
    """A tool in one round: its folder, its repository, its commands."""

    sealed = True  # encrypts
    takes_stdin = False
    steps = BACKUPS + ["restore"]

    def __init__(self, name, path):
        self.name, self.path = name, path
        self.dir = None

    def enter(self, folder):
        self.dir = folder
        os.makedirs(os.path.join(folder, "home"))
        with open(os.path.join(folder, "passphrase"), "w") as f:
            f.write(PASSPHRASE)

    @property
    def repo(self):
        return os.path.join(self.dir, "repo")

    def environment(self):
        home = os.path.join(self.dir, "home")
        return {"PATH": os.environ.get("PATH", os.defpath), "LC_ALL": "C",
                "HOME": home, "XDG_CACHE_HOME": home, "TMPDIR": self.dir}

    def version(self):
        return first_line([self.path, "--version"])

    def inits(self):
        return []

    def backup(self, step, image):
        """argv; runs in the folder of the images, with the image as stdin
        for a tool that takes_stdin"""
        raise NotImplementedError

    def restore(self, out):
        """argv, and whether stdout is the image; runs in the folder of
        `out`"""
        raise NotImplementedError


class Vmkeep(Tool):

    steps = [s for s, _, _ in STEPS]

    def __init__(self, name, path, init_args=(), compression="auto"):
        super().__init__(name, path)
        self.init_args = list(init_args)
        self.compression = compression

    def version(self):
        return "%s, compression %s" % (super().version(), self.compression)

    def environment(self):
        return dict(super().environment(), VMKEEP_PASSPHRASE=PASSPHRASE,
                    VMKEEP_CACHE=os.path.join(self.dir, "cache"))

    def inits(self):
        return [[self.path, "init"] + self.init_args + [self.repo]]

    def backup(self, step, image):
        name = "second" if step == "second" else "guest"
        return [self.path, "-r", self.repo, "--compression",
                self.compression, "import", name, image]

    def restore(self, out):
        return [self.path, "-r", self.repo, "export", "guest@latest",
                out], False

    def restore_in_place(self, out):
        argv, to_stdout = self.restore(out)
        return argv + ["--in-place"], to_stdout


class Borg(Tool):

    def __init__(self, name, path, compression):
        super().__init__(name, path)
        self.compression = compression

    def environment(self):
        return dict(super().environment(), BORG_PASSPHRASE=PASSPHRASE,
                    BORG_BASE_DIR=os.path.join(self.dir, "home"))

    def inits(self):
        return [[self.path, "init", "--encryption", "repokey", self.repo]]

    def backup(self, step, image):
        # the image of a VM is never skipped by its time stamp in life
        return [self.path, "create", "--files-cache", "disabled",
                "--compression", self.compression,
                self.repo + "::" + step, image]

    def restore(self, out):
        return [self.path, "extract", "--sparse", self.repo + "::later"], False


class Restic(Tool):

    def environment(self):
        return dict(super().environment(), RESTIC_PASSWORD=PASSPHRASE,
                    RESTIC_REPOSITORY=self.repo,
                    RESTIC_CACHE_DIR=os.path.join(self.dir, "cache"))

    def version(self):
        return first_line([self.path, "version"])

    def inits(self):
        return [[self.path, "init", "--repository-version", "2"]]

    def backup(self, step, image):
        return [self.path, "backup", "--quiet", "--force", "--tag", step,
                image]

    def restore(self, out):
        return [self.path, "restore", "--quiet", "latest", "--tag", "later",
                "--target", os.path.dirname(out)], False


class Zbackup(Tool):
    # 1.4 refuses to read the image itself: "Error writing to the file"
    takes_stdin = True

    def __init__(self, name, path, method):
        super().__init__(name, path)
        self.method = method

    def run(self, *args):
        return [self.path, "--silent", "--password-file",
                os.path.join(self.dir, "passphrase")] + list(args)

    def version(self):
        return first_line([self.path, "--help"], "ZBackup, ")

    def inits(self):
        return [self.run("-o", "bundle.compression_method=" + self.method,
                         "init", self.repo)]

    def backup(self, step, image):
        return self.run("backup", os.path.join(self.repo, "backups", step))

    def restore(self, out):
        return self.run("restore",
                        os.path.join(self.repo, "backups", "later")), True


class Bup(Tool):
    sealed = False

    def environment(self):
        return dict(super().environment(), BUP_DIR=self.repo)

    def inits(self):
        return [[self.path, "init"]]

    def backup(self, step, image):
        return [self.path, "split", "--quiet", "--name", step, image]

    def restore(self, out):
        return [self.path, "join", "later"], True


class Casync(Tool):
    sealed = False

    def run(self, verb, step, image):
        return [self.path, verb,
                "--store", os.path.join(self.repo, "store.castr"),
                os.path.join(self.repo, step + ".caibx"), image]

    def inits(self):
        return [["mkdir", self.repo]]

    def backup(self, step, image):
        return self.run("make", step, image)

    def restore(self, out):
        return self.run("extract", "later", out), False


class Bare(Tool):
    """Not a peer but the yardstick: no repository, no restore."""

    steps = ["first", "again"]

    def __init__(self, name, path, level):
        super().__init__(name, path)
        self.level = level

    def version(self):
        return "zstd %d" % self.level

    def backup(self, step, image):
        mode = "full" if step == "first" else "hash"
        return [self.path, "-l", str(self.level), mode, image]


def first_line(argv, having=""):
    done = subprocess.run(argv, stdin=subprocess.DEVNULL, text=True,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    for line in done.stdout.splitlines():
        if having in line:
            return line.strip()
    return "unknown"


def program(name, given=None):
    path = shutil.which(given or name)
    if path is None:
        raise Missing("'%s' is not installed" % (given or name))
    return os.path.abspath(path)


def bareloop(args):
    """The built one, or one built now."""
    for path in [args.bareloop, os.path.join(HERE, "../build/bench/bareloop")]:
        if path and os.access(path, os.X_OK):
            return os.path.abspath(path)
    out = os.path.join(args.work, "bareloop")
    compiler = program(os.environ.get("CC", "cc"))
    done = subprocess.run([compiler, "-O2", "-o", out,
                           os.path.join(HERE, "bareloop.c"),
                           "-lcrypto", "-lzstd", "-lpthread"])
    if done.returncode != 0:
        raise Missing("'bareloop' cannot be built")
    return out


def bare_level(args):
    """The same necessary work: vmkeep's own level."""
    words = {"auto": 1, "fast": 1, "archive": 19}
    if args.level is not None:
        return args.level
    return words.get(args.compression) or int(args.compression)


def makers(args):
    """Name -> a function that makes the tool or raises Missing."""
    table = {
        "bare loop": lambda n: Bare(n, bareloop(args), bare_level(args)),
        "vmkeep": lambda n: Vmkeep(n, program("vmkeep", args.vmkeep),
                                   compression=args.compression),
    }
    if args.archive:
        table["vmkeep archive"] = lambda n: Vmkeep(
            n, program("vmkeep", args.vmkeep), compression="archive")
    for variant in args.variant:
        name, _, words = variant.partition("=")
        table["vmkeep " + name] = lambda n, w=words.split(): Vmkeep(
            n, program("vmkeep", args.vmkeep), w, args.compression)
    table["borg lz4"] = lambda n: Borg(n, program("borg"), "lz4")
    table["borg zstd"] = lambda n: Borg(n, program("borg"), "zstd,3")
    table["restic"] = lambda n: Restic(n, program("restic"))
    table["zbackup lzo"] = lambda n: Zbackup(n, program("zbackup"), "lzo")
    if args.lzma:
        table["zbackup lzma"] = lambda n: Zbackup(n, program("zbackup"),
                                                  "lzma")
    table["bup"] = lambda n: Bup(n, program("bup"))
    table["casync"] = lambda n: Casync(n, program("casync"))
    return table


def named(name, wanted):
    """'borg' means all of borg's lines"""
    return any(name == w or name.startswith(w + " ") for w in wanted)


def find_tools(args):
    tools, missing = [], {}
    for name, make in makers(args).items():
        if named(name, args.skip) or args.only and not named(name, args.only):
            continue
        try:
            tools.append(make(name))
        except Missing as why:
            missing[name] = str(why)
    return tools, missing


# Measuring


def last_words(path):
    with open(path, errors="replace") as f:
        lines = [line.strip() for line in f if line.strip()]
    return "; ".join(lines[-2:])


def run(tool, argv, cwd, feed=os.devnull, out=os.devnull):
    """Runs to the end; wall and CPU seconds, MiB of the largest process.

    A child starts in the memory of its parent, so that no peak is below
    that of this script.
    """
    log_path = os.path.join(tool.dir, "log")
    with open(log_path, "wb") as log, open(feed, "rb") as stdin, \
            open(out, "wb") as stdout:
        start = time.monotonic()
        child = subprocess.Popen(argv, cwd=cwd, env=tool.environment(),
                                 stdin=stdin, stdout=stdout, stderr=log)
        _, status, usage = os.wait4(child.pid, 0)
        seconds = time.monotonic() - start
    child.returncode = os.waitstatus_to_exitcode(status)
    if child.returncode != 0:
        raise Failure("'%s' ended with %d: %s" % (
            " ".join(argv), child.returncode, last_words(log_path)))
    return {"seconds": seconds, "cpu": usage.ru_utime + usage.ru_stime,
            "peak_mib": usage.ru_maxrss / 1024}


def warm_file(path):
    """Reads what is not a hole, so that it is in the page cache."""
    buf = bytearray(MIB)
    with open(path, "rb", buffering=0) as f:
        size, at = os.fstat(f.fileno()).st_size, 0
        while at < size:
            try:
                at = os.lseek(f.fileno(), at, os.SEEK_DATA)
            except OSError:
                return
            end = os.lseek(f.fileno(), at, os.SEEK_HOLE)
            os.lseek(f.fileno(), at, os.SEEK_SET)
            while at < end:
                n = f.readinto(buf)
                if not n:
                    return
                at += n


def files_below(folder):
    for where, _, names in os.walk(folder):
        for name in names:
            yield os.path.join(where, name)


def stored_mib(folder):
    return sum(os.lstat(p).st_size for p in files_below(folder)) / MIB


def same(a, b):
    with open(a, "rb") as f, open(b, "rb") as g:
        while True:
            x, y = f.read(MIB), g.read(MIB)
            if x != y:
                return False
            if not x:
                return True


def settle(folder, *warm):
    """Dirty pages of the one before are not the next one's burden."""
    subprocess.run(["sync", "-f", folder], check=True)
    for path in warm:
        warm_file(path)


def backup(tool, step, images, image):
    path = os.path.join(images, image)
    settle(tool.dir, path)
    result = run(tool, tool.backup(step, image), images,
                 feed=path if tool.takes_stdin else os.devnull)
    result["stored_mib"] = stored_mib(tool.repo)
    return result


def nearly(image, out):
    """A copy of which one page in a hundred that hold data is another."""
    rng = random.Random(5)
    subprocess.run(["cp", "--sparse=always", image, out], check=True)
    with open(out, "r+b", buffering=0) as f:
        at, size = 0, os.fstat(f.fileno()).st_size
        while at < size:
            try:
                at = os.lseek(f.fileno(), at, os.SEEK_DATA)
            except OSError:
                return
            end = os.lseek(f.fileno(), at, os.SEEK_HOLE)
            for page in range(at, end - 4095, 4096):
                if rng.random() < 0.01:
                    os.pwrite(f.fileno(), rng.randbytes(4096), page)
            at = end


def restore(tool, images, image, in_place=False):
    folder = os.path.join(tool.dir, "out")
    os.mkdir(folder)
    out = os.path.join(folder, image)
    argv, to_stdout = tool.restore(out)
    if in_place:
        nearly(os.path.join(images, image), out)
        argv, to_stdout = tool.restore_in_place(out)
    settle(tool.dir, *files_below(tool.repo))
    result = run(tool, argv, folder, out=out if to_stdout else os.devnull)
    start = time.monotonic()
    subprocess.run(["sync", "-f", folder], check=True)
    result["synced"] = result["seconds"] + time.monotonic() - start
    if not same(out, os.path.join(images, image)):
        raise Failure("restored another image than it was given")
    shutil.rmtree(folder)
    return result


def do_step(tool, step, images, image):
    if step in ("restore", "in place"):
        return restore(tool, images, image, step == "in place")
    return backup(tool, step, images, image)


def start_round(tools, work, number, failed):
    for tool in tools:
        tool.enter(os.path.join(work, "%d-%s" % (
            number, tool.name.replace(" ", "-"))))
        try:
            for argv in tool.inits():
                run(tool, argv, tool.dir)
        except Failure as why:
            failed[tool.name] = "init: %s" % why


def do_round(tools, images, work, number, results, failed):
    start_round(tools, work, number, failed)
    for step, image, title in STEPS:
        for tool in tools:
            if tool.name in failed or step not in tool.steps:
                continue
            try:
                result = do_step(tool, step, images, image)
            except Failure as why:
                failed[tool.name] = "%s: %s" % (title, why)
                talk("%s failed: %s" % (tool.name, failed[tool.name]))
                continue
            results[tool.name].setdefault(step, []).append(result)
            talk("round %d: %s: %s: %.2f s" % (number, title, tool.name,
                                              result["seconds"]))
    for tool in tools:
        shutil.rmtree(tool.dir)


def measure(tools, images, args):
    results = {tool.name: {} for tool in tools}
    failed = {}
    for number in range(1, args.rounds + 1):
        # another one begins each round
        turn = (number - 1) % max(len(tools), 1)
        do_round(tools[turn:] + tools[:turn], images, args.work, number,
                 results, failed)
    return results, failed


# The images


def quick_pages(seed, count):
    """Pages as a small file system has them: text, tables, noise, zeroes."""
    rng = random.Random(seed)
    words = guestdata.Words(rng)
    pages = []
    while len(pages) < count:
        kind = rng.choice("ttdnz")
        size = rng.randint(1, 40) * 4096
        if kind == "t":
            data = words.lines(size, 1700000000)
        elif kind == "d":
            data = guestdata.database_page(words, len(pages), 1)
        elif kind == "n":
            data = rng.randbytes(size)
        else:
            data = bytes(size)
        pages += [data[i:i + 4096] for i in range(0, len(data), 4096)]
    return pages[:count]


def write_pages(path, pages):
    with open(path, "wb") as f:
        for page in pages:
            if page.count(0) == len(page):
                f.seek(len(page), os.SEEK_CUR)
            else:
                f.write(page)
        f.truncate(f.tell())


def make_quick_images(folder, mib):
    count = mib * MIB // 4096
    pages = quick_pages(1, count)
    write_pages(os.path.join(folder, "guest.img"), pages)
    rng = random.Random(2)
    later = list(pages)
    for _ in range(count // 100):
        later[int(rng.betavariate(3, 1) * count)] = rng.randbytes(4096)
    later[count // 2:count // 2] = quick_pages(3, count // 50)
    write_pages(os.path.join(folder, "later.img"), later[:count])
    write_pages(os.path.join(folder, "second.img"),
                quick_pages(4, count // 2) + pages[7:7 + count // 2])


def quick_images(folder, mib):
    """In a process of its own, for its memory would become everyone's."""
    os.mkdir(folder)
    maker = multiprocessing.Process(target=make_quick_images,
                                    args=(folder, mib))
    maker.start()
    maker.join()
    return folder


def find_images(args):
    if args.images:
        return os.path.abspath(args.images)
    if args.quick:
        return quick_images(os.path.join(args.work, "images"), 24)
    talk("images (made once, takes some minutes)")
    done = subprocess.run([os.path.join(HERE, "images.sh")],
                          stdout=subprocess.PIPE, text=True)
    if done.returncode != 0:
        raise Missing("no images; make them as root with bench/images.sh")
    return done.stdout.strip()


# The report


def median(results, name, step, key):
    values = [r[key] for r in results.get(name, {}).get(step, []) if key in r]
    return statistics.median(values) if values else None


def medians(results):
    return {name: {step: {key: median(results, name, step, key)
                          for key in runs[0]}
                   for step, runs in steps.items()}
            for name, steps in results.items()}


def machine():
    model = "unknown"
    with open("/proc/cpuinfo") as f:
        for line in f:
            if line.startswith("model name"):
                model = line.split(":", 1)[1].strip()
                break
    return {"cpu": model, "cores": os.cpu_count(),
            "kernel": platform.release(), "load": list(os.getloadavg())}


def own_peak_mib():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def image_facts(images):
    facts = {}
    for name in sorted({image for _, image, _ in STEPS}):
        status = os.stat(os.path.join(images, name))
        facts[name] = {"size_mib": status.st_size / MIB,
                       "allocated_mib": status.st_blocks * 512 / MIB}
    return facts


def cell(value, digits):
    return "-" if value is None else "%.*f" % (digits, value)


def figure_table(report, title, key, steps, digits):
    names = {s: t for s, _, t in STEPS}
    rows = [[name] + [cell(report["medians"][name].get(s, {}).get(key), digits)
                      for s in steps]
            for name in report["medians"]
            if not (key == "stored_mib" and name == "bare loop")]
    return title, [""] + [names[s] for s in steps], rows


def value_of(report, name, step, key):
    return report["medians"].get(name, {}).get(step, {}).get(key)


def peers(report):
    return [n for n in report["medians"]
            if not n.startswith(("vmkeep", "bare"))]


def best_peer(report, step, key, names=None):
    found = [(value_of(report, n, step, key), n)
             for n in names or peers(report)]
    found = [f for f in found if f[0] is not None]
    return min(found) if found else (None, "no peer")


def verdict(ok):
    return "reached" if ok else "NOT REACHED"


def speed_goals(report, ours):
    for step, factor in [("first", 4), ("again", 10), ("later", 8),
                         ("restore", 6)]:
        mine = value_of(report, ours, step, "seconds")
        other, name = best_peer(report, step, "seconds")
        if mine and other:
            title = next(t for s, _, t in STEPS if s == step)
            yield (title, "%d times the fastest peer" % factor,
                   "%.1f times %s" % (other / mine, name),
                   verdict(other >= factor * mine))


def share_goals(report, ours):
    for step, mode in [("first", "full"), ("again", "hash")]:
        mine = value_of(report, ours, step, "seconds")
        bare = value_of(report, "bare loop", step, "seconds")
        if mine and bare:
            title = next(t for s, _, t in STEPS if s == step)
            yield (title, "85 % of the bare loop (" + mode + ")",
                   "%.0f %%" % (100 * bare / mine),
                   verdict(bare >= 0.85 * mine))
        mine = value_of(report, ours, step, "cpu")
        bare = value_of(report, "bare loop", step, "cpu")
        if mine and bare:
            yield (title, "the same of CPU seconds",
                   "%.0f %%" % (100 * bare / mine),
                   verdict(bare >= 0.85 * mine))


def size_goal(report, ours):
    mine = value_of(report, ours, "second", "stored_mib")
    rivals = [n for n in peers(report) if n != "zbackup lzma"]
    other, name = best_peer(report, "second", "stored_mib", rivals)
    if mine and other:
        yield ("stored", "below all peers but zbackup lzma",
               "%.0f MiB, %s %.0f MiB" % (mine, name, other),
               verdict(mine < other))


def archive_goal(report):
    mine = value_of(report, "vmkeep archive", "second", "stored_mib")
    lzma = value_of(report, "zbackup lzma", "second", "stored_mib")
    if mine and lzma:
        yield ("stored, archive", "at most 110 % of zbackup lzma",
               "%.0f %%" % (100 * mine / lzma), verdict(mine <= 1.1 * lzma))


def memory_goal(report, ours):
    peaks = [s["peak_mib"] for s in report["medians"].get(ours, {}).values()]
    if peaks:
        yield ("memory", "at most 200 MiB", "%.0f MiB" % max(peaks),
               verdict(max(peaks) <= 200))


def goals(report, ours="vmkeep"):
    rows = [*share_goals(report, ours), *speed_goals(report, ours),
            *size_goal(report, ours), *archive_goal(report),
            *memory_goal(report, ours)]
    return ("What vmkeep must reach", ["", "goal", "measured", ""],
            [list(r) for r in rows])


def tables(report):
    every = [s for s, _, _ in STEPS]
    yield figure_table(report, "Seconds", "seconds", every, 2)
    yield figure_table(report, "Seconds until it was on the disk", "synced",
                       ["restore", "in place"], 2)
    yield figure_table(report, "CPU seconds", "cpu", every, 2)
    yield figure_table(report, "Peak memory, MiB", "peak_mib", every, 0)
    yield figure_table(report, "Stored after it, MiB", "stored_mib", BACKUPS,
                       1)
    table = goals(report)
    if table[2]:
        yield table


def text_table(title, head, rows):
    widths = [max(len(row[i]) for row in [head] + rows)
              for i in range(len(head))]
    words = any(not row[-1][:1].isdigit() and row[-1] != "-" for row in rows)
    out = [title, ""]
    for row in [head] + rows:
        line = row[0].ljust(widths[0])
        for text, width in zip(row[1:], widths[1:]):
            line += "  " + (text.ljust(width) if words else text.rjust(width))
        out.append("  " + line.rstrip())
    return "\n".join(out) + "\n"


def markdown_table(title, head, rows):
    out = ["### " + title, "", "| " + " | ".join(head) + " |",
           "|---" + "|--:" * (len(head) - 1) + "|"]
    out += ["| " + " | ".join(row) + " |" for row in rows]
    return "\n".join(out) + "\n"


def remarks(report):
    m = report["machine"]
    yield "%s, %d cores, Linux %s, load %.1f before and %.1f after" % (
        m["cpu"], m["cores"], m["kernel"], report["load_before"], m["load"][0])
    yield ("memory below %.0f MiB cannot be told apart" %
           report["least_peak_mib"])
    yield "medians of %d rounds%s" % (
        report["rounds"], ", small images: figures mean nothing"
        if report["quick"] else "")
    for name, fact in report["images"].items():
        yield "%s: %.0f MiB, %.0f MiB of it allocated" % (
            name, fact["size_mib"], fact["allocated_mib"])
    for name, tool in report["tools"].items():
        yield "%s: %s%s" % (name, tool["version"],
                            "" if tool["sealed"] else ", not encrypted")
    for name, why in report["missing"].items():
        yield "MISSING %s: %s" % (name, why)
    for name, why in report["failed"].items():
        yield "FAILED %s: %s" % (name, why)


def show(report, args):
    if args.json:
        print(json.dumps(report, indent=1))
        return
    layout = markdown_table if args.markdown else text_table
    bullet = "* " if args.markdown else "  "
    for table in tables(report):
        print(layout(*table))
    for line in remarks(report):
        print(bullet + line)


def parse(argv):
    p = argparse.ArgumentParser(
        description=__doc__.splitlines()[0],
        epilog="The images come from bench/images.sh; repositories are made "
        "in a temporary folder of the same disk. Exit status: 0 all ran, 1 "
        "some tool failed, 77 what --needs names is missing.")
    p.add_argument("--rounds", type=int, default=3, metavar="N")
    p.add_argument("--quick", action="store_true",
                   help="small made-up images: only that it runs")
    p.add_argument("--images", metavar="DIR",
                   help="guest.img, later.img and second.img are there")
    p.add_argument("--dir", metavar="DIR", default=os.environ.get(
        "VMKEEP_BENCH_DIR", "/var/tmp"), help="where repositories are made")
    p.add_argument("--vmkeep", metavar="FILE",
                   default=os.path.join(HERE, "../build/vmkeep"))
    p.add_argument("--variant", action="append", default=[],
                   metavar="NAME=ARGS",
                   help="another line for vmkeep, ARGS go to its init")
    p.add_argument("--compression", default="auto", metavar="LEVEL",
                   help="vmkeep's")
    p.add_argument("--archive", action="store_true",
                   help="a line of vmkeep with --compression archive: slow")
    p.add_argument("--bareloop", metavar="FILE")
    p.add_argument("--level", type=int, metavar="N",
                   help="zstd level of the bare loop; default: vmkeep's, "
                   "which is 1 for auto where the processors are all that "
                   "is waited for")
    p.add_argument("--lzma", action="store_true",
                   help="zbackup with LZMA too: very slow")
    p.add_argument("--skip", action="append", default=[], metavar="TOOL")
    p.add_argument("--only", action="append", default=[], metavar="TOOL")
    p.add_argument("--needs", action="append", default=[], metavar="TOOL")
    form = p.add_mutually_exclusive_group()
    form.add_argument("--json", action="store_true")
    form.add_argument("--markdown", action="store_true")
    return p.parse_args(argv)


def benchmark(args):
    tools, missing = find_tools(args)
    for name in args.needs:
        if name in missing:
            talk("skipped: " + missing[name])
            return SKIPPED
    images = find_images(args)
    load, least = os.getloadavg()[0], own_peak_mib()
    results, failed = measure(tools, images, args)
    report = {
        "rounds": args.rounds, "quick": args.quick, "load_before": load,
        "least_peak_mib": least,
        "machine": machine(), "images": image_facts(images),
        "tools": {t.name: {"version": t.version(), "sealed": t.sealed}
                  for t in tools},
        "missing": missing, "failed": failed,
        "medians": medians(results), "runs": results,
    }
    show(report, args)
    return 1 if failed else 0


def main(argv):
    args = parse(argv)
    with tempfile.TemporaryDirectory(prefix="vmkeep-bench-",
                                     dir=args.dir) as work:
        args.work = work
        try:
            return benchmark(args)
        except Missing as why:
            talk(str(why))
            return SKIPPED


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
