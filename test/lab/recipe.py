# SPDX-License-Identifier: Apache-2.0
"""What a guest is made of: options, libvirt's XML, images."""

from dataclasses import dataclass, field
from pathlib import Path
from xml.sax.saxutils import escape, quoteattr

from machine import LabError, guest_files

MIB = 1 << 20
PORT = "org.vmkeep.witness"
OVMF_CODE = "/usr/share/OVMF/OVMF_CODE_4M.fd"
OVMF_VARS = "/usr/share/OVMF/OVMF_VARS_4M.fd"

# In a witness disk: slots of the ring and where the file system starts.
SLOTS = {4: 2048, 64: 128}  # by KiB of a slot; 8 MiB a disk
FS_START = 10 * MIB


@dataclass
class Disk:
    """One disk of a guest.

    A witness disk carries records and (fs) a small ext4. All other kinds are
    only there to be in the way.
    """

    format: str = "qcow2"       # or "raw"
    size: int = 64              # MiB
    chain: int = 0              # qcow2 images below the one in use
    bus: str = "virtio"         # or "scsi"; cdroms choose for themselves
    device: str = "disk"        # or "cdrom", "floppy"
    witness: bool = True        # ignored if it is no plain disk
    fs: bool = True
    path: str = None            # block device, or file (made if not there)
    readonly: bool = False
    shareable: bool = False
    cache: str = None           # the driver's cache mode
    options: str = ""           # of qemu-img create -o, for qcow2

    def is_witness(self):
        return (self.witness and self.device == "disk"
                and not self.readonly and not self.shareable)


def two_disks():
    """What most tests want: a qcow2 and a raw witness disk."""
    return [Disk(), Disk(format="raw")]


@dataclass
class Options:
    """What a guest is made of."""

    disks: list = field(default_factory=two_disks)
    memory: int = 192           # MiB
    vcpus: int = 1
    machine: str = "pc"         # or "q35"
    uefi: bool = False
    agent: bool = True
    tpm: bool = False           # needs swtpm
    mode: str = "idle"          # or "hard": records as fast as possible
    dirty: int = 0              # MiB of RAM to write per second
    dirty_size: int = 32        # MiB of RAM that are written
    pause: int = 200            # ms between records when idle
    beat: int = 5               # ms between heartbeats
    slot: int = 4               # KiB of a record: 4 or 64
    uuid: str = None
    cmdline: str = ""           # more words for the kernel
    devices: str = ""           # more XML for <devices>


# Of guests whose heartbeats nobody measures.
CALM = {"beat": 100}

# --- XML ---------------------------------------------------------------------

PREFIX = {"virtio": "vd", "scsi": "sd", "ide": "hd", "sata": "sd", "fdc": "fd"}


def disk_bus(disk, machine):
    """The bus of a disk; cdrom and floppy have what the machine has."""
    if disk.device == "cdrom":
        return "sata" if machine == "q35" else "ide"
    return "fdc" if disk.device == "floppy" else disk.bus


def disk_targets(options):
    """Names like vda, sda for all disks, in order."""
    letters, names = {}, []
    for disk in options.disks:
        prefix = PREFIX[disk_bus(disk, options.machine)]
        index = letters.get(prefix, 0)
        letters[prefix] = index + 1
        names.append(prefix + chr(ord("a") + index))
    return names


def disk_xml(disk, target, path, machine):
    """The <disk> element."""
    block = is_block(path)
    cache = f" cache={quoteattr(disk.cache)}" if disk.cache else ""
    flags = "<readonly/>" if disk.readonly or disk.device == "cdrom" else ""
    flags += "<shareable/>" if disk.shareable else ""
    return f"""
    <disk type='{"block" if block else "file"}' device='{disk.device}'>
      <driver name='qemu' type='{disk.format}'{cache}/>
      <source {"dev" if block else "file"}={quoteattr(str(path))}/>
      <target dev='{target}' bus='{disk_bus(disk, machine)}'/>{flags}
    </disk>"""


def os_xml(options, files):
    """The <os> element: kernel and initrd directly, UEFI or not."""
    words = (f"console=ttyS0 quiet panic=1 witness.mode={options.mode} "
             f"witness.dirty={options.dirty} witness.beat={options.beat} "
             f"witness.dirty_size={options.dirty_size} "
             f"witness.pause={options.pause} {options.cmdline}")
    uefi = ""
    if options.uefi:
        uefi = (f"<loader readonly='yes' type='pflash'>{OVMF_CODE}</loader>"
                f"<nvram template='{OVMF_VARS}'/>")
    return f"""
  <os>
    <type arch='x86_64' machine='{options.machine}'>hvm</type>{uefi}
    <kernel>{escape(str(files / "vmlinuz"))}</kernel>
    <initrd>{escape(str(files / "initrd"))}</initrd>
    <cmdline>{escape(words.strip())}</cmdline>
  </os>"""


def channel_xml(name):
    """A virtio port on a unix socket whose path libvirt chooses."""
    return f"""
    <channel type='unix'>
      <source mode='bind'/>
      <target type='virtio' name='{name}'/>
    </channel>"""


def domain_xml(name, options, paths, domain_type="qemu"):
    """The whole definition; paths are those of the disks."""
    disks = "".join(disk_xml(disk, target, path, options.machine)
                    for disk, target, path
                    in zip(options.disks, disk_targets(options), paths))
    agent = channel_xml("org.qemu.guest_agent.0") if options.agent else ""
    tpm = ("<tpm model='tpm-crb'><backend type='emulator' version='2.0'/>"
           "</tpm>" if options.tpm else "")
    return f"""<domain type='{domain_type}'>
  <name>{escape(name)}</name>
  <uuid>{options.uuid}</uuid>
  <memory unit='MiB'>{options.memory}</memory>
  <vcpu>{options.vcpus}</vcpu>{os_xml(options, guest_files())}
  <features><acpi/><apic/></features>
  <cpu mode='custom' match='exact'><model>qemu64</model></cpu>
  <clock offset='utc'/>
  <on_crash>destroy</on_crash>
  <devices>
    <emulator>/usr/bin/qemu-system-x86_64</emulator>{disks}
    <controller type='scsi' model='virtio-scsi'/>
    <controller type='usb' model='none'/>
    <serial type='file'>
      <source path={quoteattr(serial_log(name))} append='on'/>
    </serial>{channel_xml(PORT)}{agent}{tpm}
    <memballoon model='none'/>
    <rng model='virtio'><backend model='random'>/dev/urandom</backend></rng>
    {options.devices}
  </devices>
</domain>"""


def serial_log(name):
    """Where, inside the lab, the guest's serial console is logged."""
    return f"/var/log/libvirt/qemu/{name}-serial.log"


def is_block(path):
    return Path(path).is_block_device()


# --- disks -------------------------------------------------------------------


def make_flat(lab, options, folder):
    """Empty witness disks as raw files. Returns {disk number: path}."""
    flat = {}
    for i, disk in enumerate(options.disks):
        if disk.is_witness():
            flat[i] = folder / f"flat{i}"
            with open(flat[i], "wb") as file:
                file.truncate(disk.size * MIB)
    if flat:
        lab.run(guest_files() / "witness", "--format", options.slot,
                SLOTS[options.slot], *flat.values())
    for i, path in flat.items():
        if options.disks[i].fs:
            size = options.disks[i].size * MIB - FS_START
            lab.run("mkfs.ext4", "-q", "-F", "-E", f"offset={FS_START}",
                    path, f"{size >> 10}k")
    return flat


def make_image(lab, disk, path, flat=None):
    """Makes the image of a disk, with the content of a raw file if given."""
    base = path if disk.chain == 0 else f"{path}.base0"
    options = ["-o", disk.options] if disk.options else []
    if is_block(path):
        if flat:
            lab.run("qemu-img", "convert", "-n", "-O", disk.format, flat, path)
        return
    if flat:
        lab.run("qemu-img", "convert", "-f", "raw", "-O", disk.format,
                *options, flat, base)
    else:
        lab.run("qemu-img", "create", "-f", disk.format, *options, base,
                f"{disk.size}M")
    for i in range(1, disk.chain + 1):
        top = path if i == disk.chain else f"{path}.base{i}"
        lab.run("qemu-img", "create", "-f", "qcow2", "-F", disk.format,
                "-b", base, top)
        base = top


def file_system_clean(image, offset=FS_START):
    """Is the ext4 in a raw image clean, as after a freeze, without replay?"""
    with open(image, "rb") as file:
        file.seek(offset + 1024)
        super_block = file.read(1024)
    if super_block[0x38:0x3a] != b"\x53\xef":
        raise LabError(f"no ext4 at {offset} in {image}")
    needs_recovery = super_block[0x60] & 4
    return not needs_recovery
