/* SPDX-License-Identifier: Apache-2.0 */
#ifndef VMKEEP_SNAP_TRAITS_PARSE_H
#define VMKEEP_SNAP_TRAITS_PARSE_H

/* What the kernel and the tools print; lines that are not as expected are
 * passed over. */

#include "snap/traits.h"

/* Is the option among those of a mount ("rw,nodatacow")?  NULL has none. */
bool traits_has_option(const char *options, const char *name);

/* zfs get -Hp -o name,property,value, into the volumes of these names. */
void traits_parse_zfs(const char *text, struct traits *t);

/* zpool list -Hp -o name,size,allocated,capacity,health,ashift */
void traits_parse_zpools(const char *text, struct traits *t);

/* The smallest ashift in zdb -C; 0: none. */
unsigned traits_parse_zdb(const char *text);

/*
 * lvs with traits_lvs_fields, a tab between them: kinds and names of volumes
 * that are LVs by their device numbers, and the pools of those.
 */
extern const char traits_lvs_fields[];

void traits_parse_lvs(const char *text, struct traits *t);

/* lvmconfig: "thin_pool_autoextend_threshold=100"; 0: none. */
unsigned traits_parse_autoextend(const char *text);

/* The index of a pool, made when it is not there. */
size_t traits_pool_of(struct traits *t, bool zfs, const char *name);

#endif
