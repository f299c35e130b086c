/* SPDX-License-Identifier: Apache-2.0 */
#ifndef VMKEEP_SNAP_TRAITS_H
#define VMKEEP_SNAP_TRAITS_H

/*
 * What the storage under files and devices is like.  Only looks; a program
 * that is not installed, or does not answer, leaves its part unknown (zero).
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define TRAITS_NONE SIZE_MAX

enum traits_kind {
	TRAITS_PLAIN,   /* a file system, or a device, of no kind below */
	TRAITS_DATASET, /* ZFS, with files in it */
	TRAITS_ZVOL,
	TRAITS_THICK, /* an LV as a device; its name is VG/LV */
	TRAITS_THIN,  /* the same, in a thin pool */
};

/* Something that a file or a device is on. */
struct traits_volume {
	enum traits_kind kind;
	char *name;   /* "tank/vm", "vg0/web1", "/srv", "/dev/sdb" */
	char *fs;     /* "ext4", "zfs"; NULL: a device */
	char *source; /* of the mount: "/dev/vg0/root"; or the device */
	char *mount;  /* or NULL */
	char **disks; /* what it is on in the end: "sda", "zpool tank" */
	size_t disk_count;
	uint64_t dev;      /* st_dev of its files */
	size_t pool;       /* index into pools, or TRAITS_NONE */
	uint64_t size;     /* of the file system, or device; bytes */
	uint64_t free;     /* for us; file systems only */
	uint64_t physical; /* the device's sector, bytes; 0: not known */
	bool nodatacow;    /* mounted so (btrfs) */
	bool nodatasum;    /* the same, without checksums */
	bool memory;       /* tmpfs, ramfs */
	uint32_t major;    /* of a device, or of what is mounted */
	uint32_t minor;

	/* ZFS */
	uint64_t block;       /* recordsize, volblocksize */
	uint64_t reservation; /* refreservation; 0: none */
	uint64_t volsize;     /* zvol */
	uint64_t referenced;  /* bytes of data in it */
	bool compressed;
	bool sync_off; /* sync=disabled */
	bool direct;   /* O_DIRECT goes past the cache (ZFS 2.3 and later) */
};

/* A zpool, or a thin pool. */
struct traits_pool {
	bool zfs;
	char *name; /* "tank", "vg0/thin" */
	uint64_t size;
	uint64_t used;
	unsigned data;     /* percent of it that is used */
	unsigned metadata; /* thin pools: of its metadata */

	/* ZFS */
	char *health;      /* "ONLINE", ... */
	unsigned ashift;   /* the smallest of its vdevs'; 0: not known */
	uint64_t physical; /* the largest sector of its devices; 0: unknown */

	/* LVM */
	uint64_t promised; /* sum of the sizes of the volumes in it */
	uint64_t vg_free;
	unsigned autoextend; /* threshold in percent; 100: off; 0: unknown */
	bool errors_when_full;
};

/* One of the paths asked for. */
struct traits_file {
	size_t volume; /* index, or TRAITS_NONE */
	bool nocow;    /* has the attribute C of chattr(1) */
};

struct traits {
	struct traits_file *files;
	size_t file_count;
	struct traits_volume *volumes;
	size_t volume_count;
	struct traits_pool *pools;
	size_t pool_count;
};

/* Files, folders or block devices; one that is not there has no volume. */
void traits_read(const char *const *paths, size_t count, struct traits *t);
void traits_fini(struct traits *t);

/* Does it copy on write? */
bool traits_cow(const struct traits_file *f, const struct traits_volume *v);

/* Does it share a disk with the other, as far as is known? */
bool traits_same_disk(const struct traits_volume *a,
		      const struct traits_volume *b);

#endif
