#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Includes point down only, and foreign libraries have one door each.

One case per source file under src/.
"""

import glob
import os
import re

import results

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))

# What each layer may include beside itself: a layer, or one header of it.
ALLOWED = {
    "base": [],
    "codec": ["base"],
    "store": ["base"],
    "repo": ["base", "codec", "store/store.h"],
    "disk": ["base"],
    "snap": ["base"],
    "virt": ["base"],
    "policy": ["base"],
    "job": ["base", "codec", "store", "repo", "disk", "snap", "virt",
            "policy"],
    "report": ["base", "job/result.h"],
    "cli": ["base", "policy", "store", "repo", "report", "job"],
    "plugin": ["base", "codec", "store", "repo"],
}

# Where the headers of a foreign library may be included.
DOORS = [
    (r"libvirt/", r"src/virt/"),
    (r"libxml/", r"src/virt/"),
    (r"libnbd\.h", r"src/disk/nbd\.c$"),
    (r"zstd(_errors)?\.h", r"src/codec/"),
    (r"openssl/", r"src/codec/"),
    (r"sodium\.h", r"src/codec/"),
    (r"curl/", r"src/store/s3\.c$"),
    (r"jansson\.h", r"src/report/"),
    (r"nbdkit-plugin\.h", r"src/plugin/"),
]

# libc and the kernel.
SYSTEM = re.compile(
    r"(sys|linux|net|netinet|arpa|bits)/|(assert|ctype|dirent|dlfcn|endian|"
    r"errno|fcntl|fnmatch|getopt|glob|grp|inttypes|langinfo|libgen|limits|"
    r"locale|math|netdb|poll|pthread|pwd|sched|semaphore|setjmp|signal|spawn|"
    r"stdalign|stdarg|stdatomic|stdbool|stddef|stdint|stdio|stdlib|"
    r"stdnoreturn|string|strings|syslog|termios|threads|time|uchar|unistd|"
    r"wchar|wctype|wordexp|mntent|utime|immintrin|cpuid)\.h$")

INCLUDE = re.compile(r'^\s*#\s*include\s*([<"])([^>"]+)[>"]', re.MULTILINE)


def own_wrong(layer, header):
    if "/" not in header:
        return f'"{header}" must be named with its layer'
    if header.split("/")[0] == layer:
        return None
    for allowed in ALLOWED[layer]:
        if header == allowed or header.startswith(allowed + "/"):
            return None
    return f'{layer} may not include "{header}"'


def foreign_wrong(path, header):
    for library, door in DOORS:
        if re.match(library, header):
            if re.match(door, path):
                return None
            return f"<{header}> is only for {door}"
    if SYSTEM.match(header):
        return None
    return f"<{header}> is of no library we know"


def wrongs(path):
    layer = path.split("/")[1]
    if layer not in ALLOWED:
        return [f"'{layer}' is no layer"]
    with open(os.path.join(ROOT, path), encoding="utf-8") as f:
        found = INCLUDE.findall(f.read())
    said = [own_wrong(layer, header) if kind == '"'
            else foreign_wrong(path, header) for kind, header in found]
    return [wrong for wrong in said if wrong]


def main():
    paths = sorted(glob.glob("src/**/*.[ch]", root_dir=ROOT, recursive=True))
    failed = 0
    for path in paths:
        said = wrongs(path)
        failed += bool(said)
        for wrong in said:
            print(f"{path}: {wrong}")
    results.finish("layers", len(paths) - failed, failed)


if __name__ == "__main__":
    main()
