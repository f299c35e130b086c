/* SPDX-License-Identifier: Apache-2.0 */
#include "snap/traits_tools.h"

#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include "base/mem.h"
#include "base/num.h"
#include "base/proc.h"
#include "snap/traits_disk.h"
#include "snap/traits_parse.h"

/* A pool in trouble can block its tools for ever. */
#define DEADLINE_MS 20000
#define MAX_OUT     (16u << 20)

static const char zfs_properties[] =
	"recordsize,volblocksize,volsize,refreservation,referenced,"
	"compression,sync";

/* What it prints, or NULL when it fails.  Free it. */
static char *output(const char *const *argv)
{
	const struct proc_run run = { .argv = argv,
				      .deadline_ms = DEADLINE_MS,
				      .max_out = MAX_OUT };
	struct buf out = BUF_INIT;
	struct err ignored = ERR_INIT;
	char *text = NULL;

	if (proc_run(&run, &out, &ignored) == 0) {
		*buf_room(&out, 1) = 0;
		text = mem_strdup((const char *)out.p);
	}
	buf_fini(&out);
	return text;
}

/* ---- ZFS ---- */

/* argv: fixed words, then the names of all ZFS volumes or pools. */
static const char **argv_for(const struct traits *t, const char *const *words,
			     bool pools)
{
	size_t n = 0;
	const char **argv;

	while (words[n] != NULL)
		n++;
	argv = mem_zalloc(n + t->volume_count + t->pool_count + 1,
			  sizeof(*argv));
	memcpy(argv, words, n * sizeof(*argv));
	for (size_t i = 0; pools && i < t->pool_count; i++)
		if (t->pools[i].zfs)
			argv[n++] = t->pools[i].name;
	for (size_t i = 0; !pools && i < t->volume_count; i++)
		if (t->volumes[i].kind == TRAITS_DATASET ||
		    t->volumes[i].kind == TRAITS_ZVOL)
			argv[n++] = t->volumes[i].name;
	return argv;
}

static char *ask(const struct traits *t, const char *const *words, bool pools)
{
	autofree const char **argv = argv_for(t, words, pools);

	return output(argv);
}

static uint64_t sector_of(const char *path)
{
	struct stat st;

	if (stat(path, &st) < 0 || !S_ISBLK(st.st_mode))
		return 0;
	return disk_physical(major(st.st_rdev), minor(st.st_rdev));
}

/* zpool list -vHLP: a line for each vdev, devices by their paths. */
static uint64_t largest_sector(char *text)
{
	uint64_t largest = 0;
	char *save = NULL;

	for (char *word = strtok_r(text, " \t\n", &save); word != NULL;
	     word = strtok_r(NULL, " \t\n", &save))
		if (word[0] == '/')
			largest = num_max(largest, sector_of(word));
	return largest;
}

static void look_at_pool(struct traits_pool *p)
{
	autofree char *vdevs = output((const char *const[]){
		"zpool", "list", "-vHLP", p->name, NULL });

	if (vdevs != NULL)
		p->physical = largest_sector(vdevs);
	if (p->health == NULL || p->ashift != 0)
		return;
	/* 0: each vdev has its own */
	autofree char *config =
		output((const char *const[]){ "zdb", "-C", p->name, NULL });

	p->ashift = config != NULL ? traits_parse_zdb(config) : 0;
}

void tools_zfs(struct traits *t)
{
	static const char *const get[] = {
		"zfs",          "get", "-Hp", "-o", "name,property,value",
		zfs_properties, NULL
	};
	static const char *const direct[] = {
		"zfs", "get", "-Hp", "-o", "name,property,value", "direct", NULL
	};
	static const char *const list[] = {
		"zpool",
		"list",
		"-Hp",
		"-o",
		"name,size,allocated,capacity,health,ashift",
		NULL
	};
	bool any = false;

	for (size_t i = 0; i < t->pool_count; i++)
		any |= t->pools[i].zfs;
	if (!any)
		return;
	autofree char *volumes = ask(t, get, false);
	autofree char *since_2_3 = ask(t, direct, false);
	autofree char *pools = ask(t, list, true);

	traits_parse_zfs(volumes != NULL ? volumes : "", t);
	traits_parse_zfs(since_2_3 != NULL ? since_2_3 : "", t);
	traits_parse_zpools(pools != NULL ? pools : "", t);
	for (size_t i = 0; i < t->pool_count; i++)
		if (t->pools[i].zfs)
			look_at_pool(&t->pools[i]);
}

/* ---- LVM ---- */

#define DM_NAME "/dev/mapper/"

static bool is_mapped(const struct traits_volume *v)
{
	return v->source != NULL &&
	       (strncmp(v->source, DM_NAME, strlen(DM_NAME)) == 0 ||
		strncmp(v->source, "/dev/dm-", 8) == 0);
}

static unsigned autoextend(void)
{
	autofree char *text = output((const char *const[]){
		"lvmconfig", "--type", "full",
		"activation/thin_pool_autoextend_threshold", NULL });

	return text != NULL ? traits_parse_autoextend(text) : 0;
}

void tools_lvm(struct traits *t)
{
	size_t mapped = 0;
	size_t pools = t->pool_count;

	for (size_t i = 0; i < t->volume_count; i++)
		mapped += is_mapped(&t->volumes[i]);
	if (mapped == 0)
		return;
	autofree char *text = output((const char *const[]){
		"lvs", "--noheadings", "--units", "b", "--nosuffix",
		"--separator", "\t", "-o", traits_lvs_fields, NULL });

	if (text == NULL)
		return;
	traits_parse_lvs(text, t);
	unsigned threshold = t->pool_count > pools ? autoextend() : 0;

	for (size_t i = pools; i < t->pool_count; i++)
		t->pools[i].autoextend = threshold;
}
