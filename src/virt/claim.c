/* SPDX-License-Identifier: Apache-2.0 */
#include "virt/claim.h"

#include "base/file.h"
#include "base/mem.h"

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
