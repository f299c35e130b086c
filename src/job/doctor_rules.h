/* SPDX-License-Identifier: Apache-2.0 */
#ifndef VMKEEP_JOB_DOCTOR_RULES_H
#define VMKEEP_JOB_DOCTOR_RULES_H

/*
 * The rules of doctor: pure, over facts that others have gathered.  A new one
 * is a function, a line in the table of its scope, and a line in the manual.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "job/result.h"
#include "snap/traits.h"
#include "virt/checkup.h"

/* A folder that vmkeep writes to. */
struct doctor_dir {
	const char *path; /* NULL: not used */
	size_t file;      /* index into the traits' files */
};

struct doctor_host {
	bool kvm;           /* /dev/kvm is there */
	bool kvm_works;     /* and a VM can be made with it */
	bool kvm_denied;    /* we may not open it, which says nothing */
	bool clock_loose;   /* the kernel's clock is not synchronised */
	unsigned routes;    /* default routes over different cards */
	char *strict;       /* such a card with rp_filter=1, or NULL */
	uint64_t memlock;   /* bytes that may be locked */
	uint32_t kernel;    /* 6.15 is 0x60f; 0: not known */
	char *config;       /* path of libvirt's qemu.conf, or NULL */
	char *image_format; /* its snapshot_image_format, or NULL */
	struct doctor_dir spool;
	struct doctor_dir overlays; /* NULL path: beside the disks */
};

struct doctor_repo {
	const char *name; /* NULL: none was named */
	struct doctor_dir dir;
	bool opened;         /* what follows is known */
	int64_t oldest_ns;   /* the oldest point's time; 0: none */
	int64_t verified_ns; /* when data was last read; 0: never */
	int64_t now_ns;
};

struct doctor_facts {
	struct checkup **domains;
	size_t domain_count;
	struct traits traits;
	/* for each domain, of each image of each disk in turn: an index into
	 * traits.files, or TRAITS_NONE */
	size_t **files;
	char *uri; /* as a word; NULL: libvirt's default */
	struct doctor_host host;
	struct doctor_repo repo;
};

/* What a rule looks at: as much as its scope has, the rest is NULL. */
struct doctor_case {
	const struct doctor_facts *facts;
	const struct checkup *domain;
	const struct domain_disk *disk;
	const struct checkup_disk *how;
	const struct domain_image *image; /* in scope disk: the active one */
	const struct checkup_image *file;
	const struct traits_file *place; /* with volume, where known */
	const struct traits_volume *volume;
	const struct traits_pool *pool;
	const char *subject;

	/* as words for a shell */
	const char *name;   /* of domain, volume, pool */
	const char *target; /* of disk */
	const char *path;   /* of image */

	const struct doctor_rule *rule;
	struct result_doctor *out;
};

struct doctor_rule {
	const char *id;
	void (*check)(struct doctor_case *c);
	const char *about;
};

/* Each ends with id NULL. */
extern const struct doctor_rule doctor_domain_rules[];
extern const struct doctor_rule doctor_disk_rules[];
extern const struct doctor_rule doctor_image_rules[];
extern const struct doctor_rule doctor_volume_rules[];
extern const struct doctor_rule doctor_pool_rules[];
extern const struct doctor_rule doctor_host_rules[];

/* All rules over all facts, but those of these ids; findings are sorted. */
struct doctor_ignore {
	char *const *ids;
	size_t count;
};

void doctor_judge(const struct doctor_facts *f,
		  const struct doctor_ignore *ignore,
		  struct result_doctor *out);

/* All rules, in the order of the tables. */
void doctor_list(struct result_doctor *out);

/*
 * One finding of c's rule about c's subject.  why is copied; command (NULL:
 * there is no single one) is taken.
 */
void doctor_found(struct doctor_case *c, enum result_severity s,
		  const char *why, char *command, const char *fact, ...)
	__attribute__((format(printf, 5, 6)));

/* A word as a shell reads it: as it is, or quoted.  Free it. */
char *doctor_word(const char *text);

/* virsh, virt-xml or vmkeep with its connection, and the rest of the command,
 * as by printf.  What virt-xml changes holds from the next start on. */
char *doctor_virsh(const struct doctor_case *c, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));
char *doctor_edit(const struct doctor_case *c, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));

char *doctor_vmkeep(const struct doctor_case *c, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));

/* Are both there and the same? */
bool doctor_is(const char *a, const char *b);

/* Is there too little room beside disks on it for overlays?  As captures
 * have it: a tenth is kept free, at most 2 GiB, and half as much again. */
bool doctor_is_tight(const struct traits_volume *v);

#endif
