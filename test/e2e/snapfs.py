# SPDX-License-Identifier: Apache-2.0
"""Storage with snapshots of its own, in a file: for guests' images."""

import contextlib
import shutil

from kit import Skip

GIB = 1 << 30
MAKE = {"xfs": ["mkfs.xfs", "-q", "-m", "reflink=1"],
        "btrfs": ["mkfs.btrfs", "-q"]}


def mounted_inside(lab, folder):
    return lab.run("mountpoint", "-q", folder, check=False).returncode == 0


@contextlib.contextmanager
def storage(place, kind):
    """New guests of the lab have their images on this file system."""
    path = shutil.which(MAKE[kind][0], path="/usr/sbin:/sbin:/usr/bin")
    if not path:
        raise Skip(MAKE[kind][0])
    lab, images = place.lab, place.lab.images
    file, folder = lab.dir / f"{kind}.img", lab.dir / kind
    with open(file, "wb") as image:
        image.truncate(2 * GIB)
    folder.mkdir()
    place.shell(path, *MAKE[kind][1:], file)
    place.shell("mount", "-o", "loop", file, folder)
    inside = mounted_inside(lab, folder)
    try:
        if not inside:
            device = place.shell("findmnt", "-no", "SOURCE", folder).strip()
            lab.run("mount", device, folder)
        lab.images = folder
        yield folder
    finally:
        lab.images = images
        if not inside:
            lab.run("umount", folder, check=False)
        place.shell("umount", folder)
        file.unlink()
        folder.rmdir()
