/* SPDX-License-Identifier: Apache-2.0 */
#ifndef VMKEEP_DISK_SOCKET_H
#define VMKEEP_DISK_SOCKET_H

#include <stdbool.h>

#include "base/err.h"

/* Does the name fit into a unix socket's address? */
bool socket_name_fits(const char *path);

/* Connect to a unix socket: the descriptor, or -1 with e->sys. */
int socket_connect(const char *path, struct err *e);

#endif
