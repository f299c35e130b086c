/* SPDX-License-Identifier: Apache-2.0 */
#ifndef VMKEEP_TEST_UNIT_VIRT_XML_H
#define VMKEEP_TEST_UNIT_VIRT_XML_H

/*
 * Definitions as libvirt writes them.
 */

/* clang-format off */

#define UUID_WEB   "8f3e5c0a-1b2c-4d3e-9f00-112233445566"
#define UUID_OTHER "0c214241-042c-4c05-a24c-0d717cd825b9"

/* A running UEFI guest with a TPM: live XML, with all that is of run time. */
#define XML_LIVE_UEFI \
"<domain type='kvm' id='7'>\n" \
"  <name>web &quot;1&quot; &lt;größe&gt;</name>\n" \
"  <uuid>" UUID_WEB "</uuid>\n" \
"  <genid>43dc0cf8-809b-4adb-9bea-a9abb5f3d90e</genid>\n" \
"  <metadata><app:x xmlns:app='http://example.org/'><seclabel/></app:x>" \
"</metadata>\n" \
"  <memory unit='KiB'>2097152</memory>\n" \
"  <currentMemory unit='KiB'>2097152</currentMemory>\n" \
"  <vcpu placement='static'>2</vcpu>\n" \
"  <sysinfo type='smbios'><system>" \
"<entry name='manufacturer'>Us</entry>" \
"<entry name='uuid'>" UUID_WEB "</entry></system></sysinfo>\n" \
"  <os firmware='efi'>\n" \
"    <type arch='x86_64' machine='pc-q35-7.2'>hvm</type>\n" \
"    <loader readonly='yes' type='pflash'>/nowhere/OVMF_CODE.fd</loader>\n" \
"    <nvram template='/nowhere/OVMF_VARS.fd'>" \
"/var/lib/libvirt/qemu/nvram/web_VARS.fd</nvram>\n" \
"  </os>\n" \
"  <cpu mode='host-passthrough' check='none' migratable='on'/>\n" \
"  <clock offset='utc'/>\n" \
"  <devices>\n" \
"    <emulator>/nowhere/qemu-kvm</emulator>\n" \
"    <disk type='file' device='disk'>\n" \
"      <driver name='qemu' type='qcow2' cache='none' discard='unmap'/>\n" \
"      <source file='/images/web.2.qcow2' index='3'>" \
"<seclabel model='dac' relabel='no'/></source>\n" \
"      <backingStore type='file' index='4'>\n" \
"        <format type='qcow2'/>\n" \
"        <source file='/images/web.1.qcow2'/>\n" \
"        <backingStore type='block' index='5'>\n" \
"          <format type='raw'/>\n" \
"          <source dev='/dev/vg/golden'/>\n" \
"          <backingStore/>\n" \
"        </backingStore>\n" \
"      </backingStore>\n" \
"      <target dev='vda' bus='virtio'/>\n" \
"      <alias name='virtio-disk0'/>\n" \
"      <address type='pci' domain='0x0000' bus='0x04' slot='0x00' " \
"function='0x0'/>\n" \
"    </disk>\n" \
"    <disk type='block' device='disk'>\n" \
"      <driver name='qemu' type='raw'/>\n" \
"      <source dev='/dev/vg/data' index='2'/>\n" \
"      <backingStore/>\n" \
"      <mirror type='file' job='active-commit' ready='yes'>" \
"<source file='/x'/></mirror>\n" \
"      <target dev='vdb' bus='virtio'/>\n" \
"      <alias name='ua-data'/>\n" \
"    </disk>\n" \
"    <disk type='file' device='cdrom'>\n" \
"      <driver name='qemu' type='raw'/>\n" \
"      <source file='/nowhere/install.iso' index='1'/>\n" \
"      <backingStore/>\n" \
"      <target dev='sda' bus='sata'/>\n" \
"      <readonly/>\n" \
"    </disk>\n" \
"    <interface type='network'>\n" \
"      <mac address='52:54:00:aa:bb:cc'/>\n" \
"      <source network='lan' portid='1-2' bridge='virbr9'/>\n" \
"      <target dev='vnet4'/>\n" \
"      <model type='virtio'/>\n" \
"    </interface>\n" \
"    <serial type='pty'>\n" \
"      <source path='/dev/pts/3'/>\n" \
"      <target type='isa-serial' port='0'/>\n" \
"    </serial>\n" \
"    <serial type='unix'>\n" \
"      <source mode='bind' path='/nowhere/at/all.sock'/>\n" \
"      <target type='isa-serial' port='1'/>\n" \
"    </serial>\n" \
"    <console type='pty' tty='/dev/pts/3'>\n" \
"      <source path='/dev/pts/3'/>\n" \
"      <target type='serial' port='0'/>\n" \
"    </console>\n" \
"    <channel type='unix'>\n" \
"      <source mode='bind' path='/var/lib/libvirt/qemu/channel/target/" \
"domain-7-web/org.qemu.guest_agent.0'/>\n" \
"      <target type='virtio' name='org.qemu.guest_agent.0' " \
"state='connected'/>\n" \
"    </channel>\n" \
"    <tpm model='tpm-crb'><backend type='emulator' version='2.0'/></tpm>\n" \
"    <graphics type='vnc' port='5901' autoport='no' listen='127.0.0.1'>" \
"<listen type='address' address='127.0.0.1'/></graphics>\n" \
"    <memballoon model='virtio'/>\n" \
"  </devices>\n" \
"  <seclabel type='dynamic' model='apparmor' relabel='yes'>\n" \
"    <label>libvirt-" UUID_WEB "</label>\n" \
"    <imagelabel>libvirt-" UUID_WEB "</imagelabel>\n" \
"  </seclabel>\n" \
"  <seclabel type='dynamic' model='dac' relabel='yes'>\n" \
"    <label>+64055:+109</label>\n" \
"  </seclabel>\n" \
"</domain>\n"

/* A domain that is off, with one of every kind of disk. */
#define XML_DISKS(vda) \
"<domain type='qemu'>\n" \
"  <name>zoo</name><uuid>" UUID_OTHER "</uuid>\n" \
"  <os><type machine='pc'>hvm</type></os>\n" \
"  <devices>\n" \
"    <disk type='file'><driver name='qemu' type='qcow2'/>" \
"<source file='" vda "'/><target dev='vda' bus='virtio'/></disk>\n" \
"    <disk type='file' device='floppy'><target dev='fda'/></disk>\n" \
"    <disk type='file' device='cdrom'><source file='/nowhere/a.iso'/>" \
"<target dev='hda' bus='ide'/><readonly/></disk>\n" \
"    <disk type='block' device='lun'><source dev='/dev/sg'/>" \
"<target dev='sda' bus='scsi'/></disk>\n" \
"    <disk type='file'><source file='/images/shared.raw'/>" \
"<target dev='sdb' bus='scsi'/><shareable/></disk>\n" \
"    <disk type='file'><source file='/images/base.raw'/>" \
"<target dev='sdc' bus='scsi'/><readonly/></disk>\n" \
"    <disk type='file'><source file='/images/t.raw'/>" \
"<target dev='sdd' bus='scsi'/><transient/></disk>\n" \
"    <disk type='network'><driver type='raw'/>" \
"<source protocol='rbd' name='pool/image'><host name='mon'/></source>" \
"<target dev='sde' bus='scsi'/></disk>\n" \
"    <disk type='volume'><driver type='qcow2'/>" \
"<source pool='default' volume='v&apos;1'/>" \
"<target dev='sdf' bus='scsi'/></disk>\n" \
"    <disk type='volume'><source pool='default' volume='missing'/>" \
"<target dev='sdg' bus='scsi'/></disk>\n" \
"    <disk type='file'><driver type='qcow2'/><source file='/images/luks'>" \
"<encryption format='luks'/></source>" \
"<target dev='sdh' bus='scsi'/></disk>\n" \
"    <disk type='vhostuser'><source type='unix' path='/x'/>" \
"<target dev='vdh' bus='virtio'/></disk>\n" \
"    <channel type='unix'>" \
"<target type='virtio' name='org.qemu.guest_agent.0'/></channel>\n" \
"  </devices>\n" \
"</domain>\n"

/* A domain with these elements, among and outside its devices. */
#define XML_WITH(devices, outside) \
"<domain type='kvm'><name>w</name><uuid>" UUID_OTHER "</uuid>" outside \
"<devices><disk type='file' device='disk'>" \
"<driver name='qemu' type='raw'/><source file='/images/w.raw'/>" \
"<backingStore/><target dev='vda' bus='virtio'/></disk>" devices \
"</devices></domain>"

/* clang-format on */

#endif
