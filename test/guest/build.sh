#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
#
# Builds the tiny test guest: vmlinuz, initrd and the witness program.
#
#	build.sh [OUTDIR]
#
# Prints the folder that holds them: a cache outside the source tree, named
# after a hash of this recipe, so that a second call costs nothing. With
# OUTDIR they are copied there as well. Needs apt-get with Debian 12 sources,
# dpkg, cc with a static libc, cpio, readelf and gzip; installs nothing.
set -euo pipefail

here=$(cd "$(dirname "$0")" && pwd)
cache=${VMKEEP_TEST_CACHE:-/var/cache/vmkeep-test}
recipe=(build.sh init shutdown witness.c ring.c ring.h ring_io.h)
packages=(busybox-static qemu-guest-agent libc6 libglib2.0-0 libnuma1
	liburing2 libudev1 libpcre2-8-0)
modules=(virtio_pci virtio_blk virtio_console virtio_scsi sd_mod sr_mod
	virtio-rng virtio_net button evdev)
libdirs=(lib/x86_64-linux-gnu usr/lib/x86_64-linux-gnu)

die() {
	echo "build.sh: $*" >&2
	exit 1
}

key() {
	(cd "$here" && cat "${recipe[@]}" | sha256sum | cut -c1-16)
}

# The versioned kernel package behind linux-image-cloud-amd64.
kernel_package() {
	apt-cache depends linux-image-cloud-amd64 |
		sed -n 's/.*Depends: \(linux-image-.*-cloud-amd64\)$/\1/p' |
		head -n 1
}

# Downloads and unpacks the packages into root/. Nothing is installed.
unpack() {
	local kernel
	kernel=$(kernel_package)
	[ -n "$kernel" ] || die "apt knows no linux-image-cloud-amd64"
	mkdir debs root
	(cd debs && apt-get -q -o APT::Sandbox::User=root \
		download "$kernel" "${packages[@]}" >&2) ||
		die "cannot download the guest's packages"
	for deb in debs/*.deb; do dpkg -x "$deb" root; done
}

build_witness() {
	cc -std=c17 -D_GNU_SOURCE -O2 -Wall -Wextra -static -pthread -o witness \
		"$here/witness.c" "$here/ring.c" || die "cannot build the witness"
}

# Prints the shared libraries an ELF file needs.
needed() {
	readelf -d "$1" | sed -n 's/.*(NEEDED).*\[\(.*\)\]/\1/p'
}

# Copies the libraries that file $1 needs, and those that they need.
copy_libs() {
	local lib dir
	for lib in $(needed "$1"); do
		[ -e "initramfs/lib/x86_64-linux-gnu/$lib" ] && continue
		for dir in "${libdirs[@]}"; do
			[ -e "root/$dir/$lib" ] || continue
			cp -L "root/$dir/$lib" initramfs/lib/x86_64-linux-gnu/
			copy_libs "root/$dir/$lib"
		done
		[ -e "initramfs/lib/x86_64-linux-gnu/$lib" ] ||
			die "library $lib is in none of the packages"
	done
}

# Copies the modules and those they depend on, and the order to load them in.
copy_modules() {
	local version order module
	version=$(ls root/lib/modules)
	depmod -b root "$version"
	mkdir initramfs/modules
	for module in "${modules[@]}"; do
		modprobe -d "$PWD/root" -S "$version" -D "$module" \
			>>wanted || die "the kernel has no module $module"
	done
	order=$(sed -n 's/^insmod \([^ ]*\).*/\1/p' wanted | awk '!seen[$0]++')
	for module in $order; do
		cp "$module" initramfs/modules/
		basename "$module" >>initramfs/modules/order
	done
}

make_initramfs() {
	local tree=initramfs
	mkdir -p $tree/{bin,sbin,etc/acpi/PWRF,dev,proc,sys,mnt,run,tmp,var/run} \
		$tree/{lib/x86_64-linux-gnu,lib64,usr/bin,usr/sbin,usr/var/run}
	cp root/bin/busybox $tree/bin/
	for applet in $($tree/bin/busybox --list); do
		[ "$applet" = busybox ] || ln -s busybox "$tree/bin/$applet"
	done
	cp root/usr/sbin/qemu-ga $tree/usr/sbin/
	copy_libs root/usr/sbin/qemu-ga
	cp -L root/lib64/ld-linux-x86-64.so.2 $tree/lib64/
	copy_modules
	install -m 755 "$here/init" $tree/init
	install -m 755 "$here/shutdown" $tree/sbin/shutdown
	install -m 755 "$here/shutdown" $tree/etc/acpi/PWRF/00000080
	install -m 755 witness $tree/bin/witness
	(cd $tree && find . | LC_ALL=C sort |
		cpio --quiet -o -H newc -R 0:0 | gzip -9) >initrd
}

# Builds in a folder of its own; only the rename makes it exist.
build() {
	local work=$cache/.guest.$$
	rm -rf "$cache"/.guest.[0-9]* # of a build that was killed
	mkdir -p "$work"
	cd "$work"
	unpack
	build_witness
	cp root/boot/vmlinuz-* vmlinuz
	make_initramfs
	rm -rf root debs initramfs wanted
	mv -T "$work" "$1"
}

# Old recipes, and the seeds of RAM made from them (test/lab), pile up.
forget_unused() {
	find "$cache" -maxdepth 1 \( -name 'guest-*' -o -name 'seed-*' \) \
		-mtime +30 -exec rm -rf {} +
}

main() {
	local out
	out=$cache/guest-$(key)
	mkdir -p "$cache"
	exec 9>"$cache/.guest.lock"
	flock 9
	if [ ! -e "$out/initrd" ]; then
		forget_unused
		(build "$out")
	fi
	touch "$out"
	flock -u 9
	if [ $# -gt 0 ]; then
		mkdir -p "$1"
		cp "$out"/{vmlinuz,initrd,witness} "$1/"
	fi
	echo "$out"
}

main "$@"
