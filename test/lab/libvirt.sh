#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
#
# A private libvirtd, and a private home for vmkeep's state, in a mount
# namespace of its own: nothing of the machine's libvirt is seen or touched.
#
#	libvirt.sh start DIR [HOST_UUID [HOSTNAME]]
#	libvirt.sh end DIR [kill]	ends libvirtd (SIGKILL with "kill");
#					guests go on
#	libvirt.sh begin DIR		starts it again
#	libvirt.sh stop DIR		ends everything in it; DIR stays
#	libvirt.sh sweep ROOT		stops and removes every lab under ROOT
#					whose owner (DIR/owner) is no more
#
# DIR/etc, DIR/run, ... hold what is seen as /etc/libvirt, /run/libvirt, ...
# in there. To run a command inside: in-lab (VMKEEP_LAB=DIR). An "anchor"
# process (anchor.py) keeps the namespace; its id is in DIR/anchor.pid.
#
# File systems mounted on the host after the start may not be seen inside
# (mount propagation): mount them with in-lab.
#
# The capabilities of the QEMU programs, which take seconds to probe, are kept
# in the test cache from one lab to the next.
set -euo pipefail

here=$(cd "$(dirname "$0")" && pwd)
cache=${VMKEEP_TEST_CACHE:-/var/cache/vmkeep-test}/libvirt-capabilities

# folder under DIR = what it covers
places=(etc=/etc/libvirt run=/run/libvirt lib=/var/lib/libvirt
	cache=/var/cache/libvirt log=/var/log/libvirt
	vmkeep-etc=/etc/vmkeep vmkeep-run=/run/vmkeep
	vmkeep-lib=/var/lib/vmkeep vmkeep-cache=/var/cache/vmkeep
	vmkeep-log=/var/log/vmkeep)

die() {
	echo "libvirt.sh: $*" >&2
	exit 1
}

in_lab() {
	VMKEEP_LAB=$dir "$here/in-lab" "$@"
}

# Prints the ids of all processes that live in the lab: they see its
# /etc/libvirt. This is how only our own processes are ever ended.
members() {
	local proc pid
	for proc in /proc/[0-9]*; do
		pid=${proc#/proc/}
		[ "$pid" = $$ ] || [ "$pid" = "$BASHPID" ] && continue
		[ "$proc/root/etc/libvirt" -ef "$dir/etc" ] && echo "$pid"
	done 2>/dev/null
	return 0
}

# Waits up to $1 tenths of a second for all members to be gone.
gone() {
	local i
	for ((i = 0; i < $1; i++)); do
		[ -z "$(members)" ] && return 0
		sleep 0.1
	done
	return 1
}

end_members() {
	local pid
	for pid in $(members); do
		kill "-$1" "$pid" 2>/dev/null || true
	done
}

write_config() {
	cat >"$dir/etc/qemu.conf" <<-END
	user = "root"
	group = "root"
	dynamic_ownership = 0
	remember_owner = 0
	security_driver = "none"
	cgroup_controllers = []
	namespaces = []
	stdio_handler = "file"
	swtpm_user = "root"
	swtpm_group = "root"
	END
	cat >"$dir/etc/libvirtd.conf" <<-END
	auth_unix_rw = "none"
	auth_unix_ro = "none"
	host_uuid = "$1"
	log_outputs = "3:file:/var/log/libvirt/libvirtd.log"
	END
}

make_folders() {
	local place
	for place in "${places[@]}"; do
		mkdir -p "$dir/${place%%=*}" "${place#*=}"
	done
	mkdir -p "$dir/cache/qemu/capabilities" "$dir/lib/qemu" \
		"$dir/log/qemu" "$dir/images" "$cache"
	chmod 0711 "$dir/lib/qemu"
	cp -p "$cache"/*.xml "$dir/cache/qemu/capabilities/" 2>/dev/null || true
	printf '127.0.0.1 localhost %s\n' "$1" >"$dir/hosts"
}

# Runs in the new namespace.
become_anchor() {
	local place
	for place in "${places[@]}"; do
		mount --bind "$dir/${place%%=*}" "${place#*=}"
	done
	# no machined, firewalld or polkit of the machine
	[ ! -d /run/dbus ] || mount -t tmpfs none /run/dbus
	if [ -n "$1" ]; then
		mount --bind "$dir/hosts" /etc/hosts
		hostname "$1"
	fi
	exec "$here/anchor.py" "$dir/anchor.pid"
}

start_anchor() {
	local i
	rm -f "$dir/anchor.pid"
	setsid unshare --mount --uts --propagation slave \
		"$here/libvirt.sh" anchor "$dir" "$1" \
		</dev/null >"$dir/anchor.log" 2>&1 &
	for ((i = 0; i < 1200; i++)); do
		[ -e "$dir/anchor.pid" ] && return
		sleep 0.05
	done
	die "cannot make a mount namespace: $(cat "$dir/anchor.log")"
}

keep_capabilities() {
	local file
	for file in "$dir"/cache/qemu/capabilities/*.xml; do
		[ -e "$file" ] || continue
		cmp -s "$file" "$cache/${file##*/}" && continue
		cp -p "$file" "$cache/.${file##*/}.$$"
		mv "$cache/.${file##*/}.$$" "$cache/${file##*/}"
	done
}

# Lets the anchor start it. A socket left by a killed one is no sign of life.
start_daemon() {
	local i
	rm -f "$dir/run/libvirtd.pid" "$dir"/run/libvirt-sock*
	kill -USR1 "$(cat "$dir/anchor.pid")"
	for ((i = 0; i < 1200; i++)); do
		[ -s "$dir/run/libvirtd.pid" ] && [ -S "$dir/run/libvirt-sock" ] &&
			break
		sleep 0.05
	done
	[ -s "$dir/run/libvirtd.pid" ] ||
		die "libvirtd does not start: $(cat "$dir"/*.log)"
	# "version" makes it probe QEMU, which "uri" would not
	in_lab virsh -q version >/dev/null || die "libvirtd does not answer"
}

end_daemon() {
	local pid i
	pid=$(cat "$dir/run/libvirtd.pid") || die "libvirtd does not run"
	[ "/proc/$pid/root/etc/libvirt" -ef "$dir/etc" ] ||
		die "process $pid is not this lab's libvirtd"
	kill "-$1" "$pid"
	for ((i = 0; i < 1200; i++)); do
		# a zombie has no root any more, though it can be signalled
		[ "/proc/$pid/root/etc/libvirt" -ef "$dir/etc" ] || return 0
		sleep 0.05
	done
	die "libvirtd ($pid) does not end"
}

start() {
	[ -z "$(members)" ] || die "$dir is in use"
	make_folders "$2"
	write_config "$1"
	start_anchor "$2"
	start_daemon
	keep_capabilities
}

stop() {
	[ -d "$dir/etc" ] || return 0
	end_members TERM
	gone 50 || end_members KILL
	gone 600 || die "cannot end: $(members)"
	rm -f "$dir/anchor.pid"
}

# Is the process "PID START_TIME" of the owner file still there?
owner_lives() {
	local pid start stat
	read -r pid start <"$dir/owner" || return 0
	[ -r "/proc/$pid/stat" ] || return 1
	stat=$(<"/proc/$pid/stat")
	stat=${stat##*) } # the name may hold anything
	read -ra stat <<<"$stat"
	[ "${stat[19]}" = "$start" ]
}

# Unmounts what tests have mounted below the lab on the host, the last first.
unmount_below() {
	local place
	awk -v dir="$dir/" 'index($2, dir) == 1 { print $2 }' /proc/self/mounts |
		tac | while read -r place; do
		umount "$(printf '%b' "$place")"
	done
}

sweep() {
	local owner
	for owner in "$1"/*/owner; do
		[ -e "$owner" ] || continue
		dir=${owner%/owner}
		owner_lives && continue
		stop
		unmount_below
		rm -rf "$dir"
	done
}

[ $# -ge 2 ] || die "usage: libvirt.sh start|end|begin|stop|sweep DIR ..."
dir=$2
case $1 in
start) start "${3:-$(cat /proc/sys/kernel/random/uuid)}" "${4:-}" ;;
end) if [ "${3:-}" = kill ]; then end_daemon KILL; else end_daemon TERM; fi ;;
begin) start_daemon ;;
stop) stop ;;
sweep) sweep "$2" ;;
anchor) become_anchor "$3" ;;
*) die "unknown command '$1'" ;;
esac
