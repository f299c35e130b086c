#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# Makes the three disk images of the engine benchmark, once:
#
#	guest.img	a Debian guest: a database, a web server
#	later.img	the same guest, the same disk, a day later
#	second.img	another guest, installed separately
#
# The file systems are written by the kernel through a loop device, as an
# installer in the guest would, so that files lie and move as they do in
# life. Free space is holes.
#
# usage: images.sh [-s SIZE] [DIR]
#
# Needs root, a Debian mirror, loop devices; mmdebstrap, e2fsprogs, python3.
# The images stay in DIR (default $VMKEEP_BENCH_CACHE, or
# /var/cache/vmkeep-bench) under the hash of their recipe. Prints their
# folder; all talk goes to stderr.

set -eu

SUITE=bookworm
: "${VMKEEP_BENCH_MIRROR:=http://deb.debian.org/debian}"
: "${VMKEEP_BENCH_SECURITY:=http://deb.debian.org/debian-security}"
no_keep="-o APT::Keep-Downloaded-Packages=false"
size=6G
partition=1048576	# bytes before the partition

first_packages="linux-image-cloud-amd64 systemd-sysv openssh-server
	postgresql nginx git python3 vim man-db locales rsync curl sudo cron
	logrotate rsyslog unattended-upgrades ca-certificates zstd"
later_packages="redis-server fail2ban tcpdump"
later_upgrades="openssl libssl3 libc6 libc-bin git nginx libxml2 curl libcurl4"
second_packages="linux-image-cloud-amd64 systemd-sysv openssh-server
	mariadb-server apache2 php postfix openjdk-17-jre-headless python3
	man-db locales rsync curl sudo cron logrotate rsyslog ca-certificates
	zstd"

die() {
	echo "images.sh: $*" >&2
	exit 1
}

say() {
	echo "images.sh: $*" >&2
}

usage() {
	echo "usage: images.sh [-s SIZE] [DIR]" >&2
	exit 2
}

needs() {
	for tool; do
		command -v "$tool" >/dev/null || die "needs '$tool'"
	done
}

# One bootable DOS partition from 1 MiB to the end of the disk.
write_partition_table() { # IMAGE DISK-ID
	python3 - "$1" "$2" "$partition" <<-'PY'
	import os, struct, sys
	path, disk_id, start = sys.argv[1], int(sys.argv[2], 0), int(sys.argv[3])
	sectors = (os.path.getsize(path) - start) // 512
	entry = struct.pack("<B3sB3sII", 0x80, b"\xfe\xff\xff", 0x83,
	                    b"\xfe\xff\xff", start // 512, sectors)
	with open(path, "r+b") as f:
	    f.seek(440)
	    f.write(struct.pack("<IH", disk_id, 0) + entry)
	    f.seek(510)
	    f.write(b"\x55\xaa")
	PY
}

make_disk() { # IMAGE UUID DISK-ID
	truncate -s "$size" "$1"
	write_partition_table "$1" "$3"
	bytes=$(stat -c %s "$1")
	mkfs.ext4 -q -F -L root -U "$2" \
		-E "offset=$partition,hash_seed=$2,lazy_itable_init=0,lazy_journal_init=0" \
		"$1" "$(((bytes - partition) / 1024))k"
}

mount_disk() { # IMAGE
	mkdir -p "$work/mnt"
	mount -o "loop,offset=$partition" "$1" "$work/mnt" ||
		die "cannot mount '$1': are there loop devices and ext4?"
}

unmount_disk() {
	fstrim "$work/mnt"
	umount "$work/mnt"
}

# Lists stay in the guest, as they do on every machine that was updated.
install_guest() { # HOSTNAME PACKAGES
	mmdebstrap --quiet --mode=root --variant=important \
		--skip=cleanup/apt/lists \
		--include="$(echo $2 | tr ' ' ',')" \
		--customize-hook="echo $1 >\"\$1/etc/hostname\"" \
		"$SUITE" "$work/mnt" "$VMKEEP_BENCH_MIRROR" >&2
}

in_guest() {
	chroot "$work/mnt" env DEBIAN_FRONTEND=noninteractive LC_ALL=C \
		PATH=/usr/sbin:/usr/bin:/sbin:/bin "$@" >>"$work/guest.log" 2>&1 ||
		die "'$*' failed in the guest: $(tail -n 3 "$work/guest.log")"
}

enter_guest() {
	mount -t proc proc "$work/mnt/proc"
	mount --bind /dev "$work/mnt/dev"
	cp /etc/resolv.conf "$work/mnt/etc/resolv.conf"
	printf '#!/bin/sh\nexit 101\n' >"$work/mnt/usr/sbin/policy-rc.d"
	chmod 755 "$work/mnt/usr/sbin/policy-rc.d"
}

leave_guest() {
	rm "$work/mnt/usr/sbin/policy-rc.d"
	umount "$work/mnt/dev" "$work/mnt/proc"
}

make_first() {
	say "installing the guest"
	make_disk "$work/guest.img" 5a1c6e0e-7a3b-4d0a-9f0e-1d1f5f6a0001 \
		0x1d5a0001
	mount_disk "$work/guest.img"
	install_guest web1 "$first_packages"
	python3 "$here/guestdata.py" first "$work/mnt" 1
	unmount_disk
}

make_later() {
	say "a day passes"
	cp --sparse=always "$work/guest.img" "$work/later.img"
	mount_disk "$work/later.img"
	enter_guest
	echo "deb $VMKEEP_BENCH_SECURITY $SUITE-security main" \
		>"$work/mnt/etc/apt/sources.list.d/security.list"
	in_guest apt-get update
	in_guest apt-get -y $no_keep install --only-upgrade $later_upgrades
	in_guest apt-get -y $no_keep install $later_packages
	in_guest update-initramfs -u
	leave_guest
	python3 "$here/guestdata.py" later "$work/mnt" 1
	unmount_disk
}

make_second() {
	say "installing the second guest"
	make_disk "$work/second.img" c07b9d52-11d4-4b1e-8a57-2e2f5f6a0002 \
		0x2e5b0002
	mount_disk "$work/second.img"
	install_guest db2 "$second_packages"
	python3 "$here/guestdata.py" first "$work/mnt" 2
	unmount_disk
}

make_all() {
	work=$cache/$recipe.part
	rm -rf "$work"
	mkdir -p "$work"
	make_first
	make_later
	make_second
	rmdir "$work/mnt"
	rm -f "$work/guest.log"
	sync -f "$work"
	mv "$work" "$cache/$recipe"
	say "done: $(du -sh "$cache/$recipe" | cut -f 1)"
}

while getopts s: option; do
	case $option in
	s) size=$OPTARG ;;
	*) usage ;;
	esac
done
shift $((OPTIND - 1))
[ $# -le 1 ] || usage
cache=${1:-${VMKEEP_BENCH_CACHE:-/var/cache/vmkeep-bench}}
here=$(cd "$(dirname "$0")" && pwd)
recipe=$( (cat "$here/images.sh" "$here/guestdata.py" && echo "$size") |
	sha256sum | cut -c 1-16)

if [ ! -d "$cache/$recipe" ]; then
	[ "$(id -u)" = 0 ] || die "must be root to install guests"
	needs mmdebstrap mkfs.ext4 python3 unshare flock fstrim
	mkdir -p "$cache"
	# Mounts live in a namespace of our own and die with us, and with
	# the last mount its loop device.
	if [ -z "${VMKEEP_BENCH_UNSHARED:-}" ]; then
		export VMKEEP_BENCH_UNSHARED=1
		exec unshare -m --propagation private \
			flock "$cache/lock" sh "$here/images.sh" -s "$size" "$cache"
	fi
	[ -d "$cache/$recipe" ] || make_all
fi
echo "$cache/$recipe"
