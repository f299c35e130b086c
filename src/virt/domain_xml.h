/* SPDX-License-Identifier: Apache-2.0 */
#ifndef VMKEEP_VIRT_DOMAIN_XML_H
#define VMKEEP_VIRT_DOMAIN_XML_H

/*
 * What a definition tells of a domain, without asking anybody but for the
 * names of volumes.
 */

#include <stdbool.h>

#include "base/err.h"
#include "virt/domain.h"

struct domain_xml_env {
	/* The path of a pool's volume and its type ("file", "block"; static
	 * memory), or NULL.  Free it.  NULL: no volume can be found. */
	char *(*volume)(void *ctx, const char *pool, const char *volume,
			const char **type);
	void *ctx;
	bool local; /* images are on this host: their headers can be read */
};

/* Fills name, uuid, agent, disks (without size), nvram, tpm, ram_refused. */
int domain_xml_read(const char *xml, const struct domain_xml_env *env,
		    struct domain_info *d, struct err *e);

/* The same in the surroundings of a connection. */
int domain_xml_look(struct conn *c, const char *xml, struct domain_info *d,
		    struct err *e);

#endif
