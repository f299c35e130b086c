/* SPDX-License-Identifier: Apache-2.0 */
#ifndef VMKEEP_VIRT_APPARMOR_H
#define VMKEEP_VIRT_APPARMOR_H

/*
 * Would AppArmor let the overlays of a domain be committed?
 *
 * libvirt's virt-aa-helper writes "deny FILE w" for every file that is for
 * reading only at the time it runs, backing files too, and in AppArmor a deny
 * outweighs all else: the commit into such a file fails (libvirt issues 622
 * and 806, Debian bug 932456; fixed in 12.1.0, and by a patch in Ubuntu).
 *
 * The rules of a disk without a chain stay as they are when an overlay is put
 * on it, for then a rule is only added.  They are made anew when a label is
 * taken back, as after the first pivot: with two disks the second one's base
 * is a backing file just then.
 */

#include <stdbool.h>

#include "virt/conn.h"
#include "virt/domain.h"

struct apparmor_facts {
	bool confined;     /* the running domain has an AppArmor label */
	uint64_t libvirt;  /* the server's version */
	const char *rules; /* libvirt-UUID.files, or NULL: not readable */
	const char *modes; /* the kernel's list of profiles, or NULL */
};

/* What to do about it: how each such reason ends. */
#define APPARMOR_CURE                                                          \
	"; set security_driver = \"none\" in /etc/libvirt/qemu.conf, or "      \
	"give the domain <seclabel type='none' model='apparmor'/>, or "        \
	"use libvirt 12.1 or later"

/* Why not, and what to do about it; or NULL.  Free it. */
char *apparmor_refuses(const struct domain_info *d,
		       const struct apparmor_facts *f);

/* The same for a running domain with this definition, on this host. */
char *apparmor_ask(struct conn *c, const struct domain_info *d,
		   const char *xml);

#endif
