/* SPDX-License-Identifier: Apache-2.0 */
#ifndef VMKEEP_CLI_BACKUP_END_H
#define VMKEEP_CLI_BACKUP_END_H

/* How backup and import ended: each failure and warning on stderr. */

#include "cli/cli.h"

struct json_end backup_end(struct cli *c, int rc, const struct result_backup *r,
			   const struct err *e);

#endif
