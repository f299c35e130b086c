/* SPDX-License-Identifier: Apache-2.0 */
#include "virt/claim.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/file.h"
#include "base/mem.h"
#include "virt/conn_internal.h"
#include "virt/jot.h"

char *claim_journal(const char *state_dir, const char *uuid)
{
	return mem_fmt("%s/%s.journal", state_dir, uuid);
}

int claim_take(const char *state_dir, const char *uuid, const char *name,
	       int *fd, struct err *e)
{
	autofree char *path = mem_fmt("%s/%s.lock", state_dir, uuid);

	if (file_lock(path, fd, e) == 0)
		return 0;
	if (e->code == ERR_BUSY)
		return err_ctx(e, "another vmkeep is at work on '%s'", name);
	return -1;
}

/* proc(5): "1: FLOCK  ADVISORY  WRITE 708 fe:00:263 0 EOF".  The device is
 * not compared: that of a file on btrfs is not the one stat() tells. */
static bool is_lock_of(char *line, ino_t inode)
{
	char *save = NULL;
	char *word[6] = { NULL };

	for (size_t i = 0; i < 6; i++) {
		word[i] = strtok_r(i == 0 ? line : NULL, " ", &save);
		if (word[i] == NULL)
			return false;
	}
	const char *number = strrchr(word[5], ':');

	return strcmp(word[1], "FLOCK") == 0 && number != NULL &&
	       strtoull(number + 1, NULL, 10) == inode;
}

static void fclose_at(FILE **f)
{
	if (*f != NULL)
		fclose(*f);
}

bool claim_held(const char *state_dir, const char *uuid)
{
	autofree char *path = mem_fmt("%s/%s.lock", state_dir, uuid);
	AUTO(fclose_at) FILE *locks = fopen("/proc/locks", "re");
	struct stat st;
	char line[256];

	if (locks == NULL || stat(path, &st) < 0)
		return false;
	while (fgets(line, sizeof(line), locks) != NULL)
		if (is_lock_of(line, st.st_ino))
			return true;
	return false;
}

/* libvirt's id of the running instance, -1 when it is off; -2: an error. */
static int instance(struct conn *c, const char *uuid, struct err *e)
{
	autodomain virDomainPtr d = conn_domain(c, uuid, e);
	unsigned id = d ? virDomainGetID(d) : 0;

	if (!d)
		return -2;
	return id == (unsigned)-1 ? -1 : (int)id;
}

int claim_begin(struct journal *j, struct conn *c, const struct domain_info *d,
		bool paused, struct err *e)
{
	int id = instance(c, d->uuid, e);
	autofree char *text = mem_fmt("%d", id);

	if (id < -1)
		return -1;
	return JOT(j, JOT_BEGIN, e, { "uuid", d->uuid }, { "name", d->name },
		   { "uri", conn_uri(c) }, { "id", text },
		   { "paused", paused ? "1" : "0" });
}
