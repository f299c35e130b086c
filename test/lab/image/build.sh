#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
#
# Builds the system image of the storage lab: Debian 12 with OpenZFS, LVM,
# btrfs, XFS, libvirt and QEMU, its kernel, and an initrd that mounts it.
#
#	build.sh		prints the folder that holds root.img, vmlinuz
#				and initrd
#	build.sh --there	the same, but fails when it is still to be built
#
# The folder is a cache outside the source tree, named after a hash of this
# recipe: a second call costs nothing, two at once wait for each other, and a
# killed one leaves nothing that is taken for an image. Packages come from
# where apt on this machine takes Debian's; contrib, where OpenZFS is, is added
# in the image only. Takes 6 to 10 minutes on two cores. Needs root,
# mmdebstrap, mkfs.ext4, cpio; neither loop devices nor a mount in the image.
set -euo pipefail

here=$(cd "$(dirname "$0")" && pwd)
cache=${VMKEEP_TEST_CACHE:-/var/cache/vmkeep-test}
recipe=(build.sh packages setup init)
modules=(virtio_pci virtio_blk ext4)

die() {
	echo "image/build.sh: $*" >&2
	exit 1
}

say() {
	printf 'image: %s (%d s)\n' "$*" "$SECONDS" >&2
}

key() {
	(cd "$here" && cat "${recipe[@]}" | sha256sum | cut -c1-16)
}

# Prints "deb URI SUITE COMPONENT..." for each Debian suite apt knows here.
known_sources() {
	apt-get indextargets --format \
		'$(ORIGIN)|$(CODENAME)|deb $(REPO_URI) $(RELEASE)' \
		'Created-By: Packages' |
		sed -n 's/^Debian|bookworm[a-z-]*|\(.*\)/\1 main contrib/p' |
		sort -u
}

sources() {
	known_sources >sources
	if [ ! -s sources ]; then
		apt-get -q update >&2
		known_sources >sources
	fi
	[ -s sources ] || die "apt on this machine knows no Debian 12 packages"
}

# How apt on this machine reaches its sources: proxies, checks, keys.
apt_options() {
	local file
	apt-config dump | grep -E '^Acquire::(https?|ftp|Check|Max|Retries)' \
		>apt.conf || true
	echo "--aptopt=$PWD/apt.conf"
	for file in $(sed -n 's/^Signed-By: *\(\/.*\)/\1/p
		s/.*signed-by=\(\/[^] ]*\).*/\1/p' /etc/apt/sources.list \
		/etc/apt/sources.list.d/* 2>/dev/null | sort -u); do
		[ ! -r "$file" ] || echo "--keyring=$file"
	done
}

# Debian in root/, the modules of OpenZFS built in it.
install_system() {
	local options packages
	mapfile -t options < <(apt_options)
	packages=$(sed 's/#.*//' "$here/packages" | xargs | tr ' ' ',')
	mmdebstrap --quiet --mode=root --variant=minbase \
		"${options[@]}" --include="$packages" \
		--dpkgopt=force-confold --dpkgopt=force-unsafe-io \
		--dpkgopt='path-exclude=/usr/share/man/*' \
		--dpkgopt='path-exclude=/usr/share/doc/*' \
		--dpkgopt='path-exclude=/usr/share/locale/*' \
		--essential-hook="'$here/setup' before \"\$1\"" \
		--customize-hook="'$here/setup' after \"\$1\"" \
		bookworm root sources >log 2>&1 </dev/null ||
		die "mmdebstrap: $(tail -n 5 log)"
	compgen -G 'root/lib/modules/*/updates/dkms/zfs.ko*' >/dev/null ||
		die "OpenZFS was not built: $(grep -i dkms log | tail -n 5)"
}

# Kernel and initrd: busybox and what it takes to mount the root.
make_initrd() {
	local version module
	version=$(basename root/lib/modules/*)
	cp "root/boot/vmlinuz-$version" vmlinuz
	mkdir -p initramfs/{bin,dev,proc,sys,root,modules}
	cp root/bin/busybox initramfs/bin/
	install -m 755 "$here/init" initramfs/init
	for module in "${modules[@]}"; do
		modprobe -d "$PWD/root" -S "$version" -D "$module" ||
			die "the kernel has no module $module"
	done | sed -n 's/^insmod \([^ ]*\).*/\1/p' |
		awk '!seen[$0]++' >wanted
	while read -r module; do
		cp "$module" initramfs/modules/
		basename "$module" >>initramfs/modules/order
	done <wanted
	(cd initramfs && find . | LC_ALL=C sort |
		cpio --quiet -o -H newc -R 0:0 | gzip -1) >initrd
}

# Builds in a folder of its own; only the rename makes it exist.
build() {
	local work=$cache/.image.$$
	# of a build that was killed
	rm -rf --one-file-system "$cache"/.image.[0-9]*
	mkdir -p "$work"
	cd "$work"
	sources
	say "packages, and OpenZFS for their kernel"
	install_system
	say "the file system"
	make_initrd
	truncate -s 12G root.img
	mkfs.ext4 -q -F -L lab-root -E lazy_itable_init=1,nodiscard \
		-O ^has_journal -d root root.img || die "mkfs.ext4 failed"
	rm -rf root initramfs wanted sources apt.conf
	mv -T "$work" "$1"
	say "done"
}

main() {
	local out
	if [ "${1:-}" = --build ]; then
		build "$2"
		return
	fi
	out=$cache/image-$(key)
	mkdir -p "$cache"
	exec 9>"$cache/.image.lock"
	if [ "${1:-}" = --there ]; then
		[ -e "$out/initrd" ] || die "no image yet: make lab"
	else
		flock 9
		if [ ! -e "$out/initrd" ]; then
			[ "$(id -u)" = 0 ] || die "run as root"
			find "$cache" -maxdepth 1 -name 'image-*' -mtime +30 \
				-exec rm -rf {} +
			# what is mounted in the new root ends with the build
			unshare --mount --propagation private \
				"$here/build.sh" --build "$out" 9>&-
		fi
		flock -u 9
	fi
	touch "$out"
	echo "$out"
}

main "$@"
