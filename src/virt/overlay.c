/* SPDX-License-Identifier: Apache-2.0 */
#include "virt/overlay.h"

#include <errno.h>
#include <string.h>
#include <sys/random.h>

#include "base/bytes.h"
#include "base/file.h"
#include "base/mem.h"
#include "base/num.h"

#define RESERVE_MAX  ((uint64_t)2 << 30)
#define RESERVE_PART 10
/* NAME_MAX less our suffix. */
#define STEM_MAX (255 - 22)

/* Cut at a character's start, not inside one. */
static void cut(char *name)
{
	size_t len = strlen(name);

	if (len <= STEM_MAX)
		return;
	len = STEM_MAX;
	while (len > 0 && ((unsigned char)name[len] & 0xc0) == 0x80)
		len--;
	name[len] = '\0';
}

static void slashes_out(char *name)
{
	for (; *name; name++) {
		if (*name == '/')
			*name = '_';
	}
}

char *overlay_name(const struct overlay_want *want, struct err *e)
{
	autofree char *dir = NULL;
	autofree char *stem = NULL;
	uint8_t chance[4];
	char hex[2 * sizeof(chance) + 1];

	if (want->block && !want->dir) {
		err_set(e, ERR_REFUSED,
			"disk %s: '%s' is a block device: say with "
			"--overlay-dir where the overlay may lie meanwhile",
			want->target, want->base);
		return NULL;
	}
	if (getrandom(chance, sizeof(chance), 0) != sizeof(chance)) {
		err_sys(e, "no random numbers");
		return NULL;
	}
	hex_encode(chance, sizeof(chance), hex);
	dir = want->dir ? mem_strdup(want->dir) : path_dir(want->base);
	stem = want->dir ? mem_fmt("%s-%s", want->domain, want->target)
			 : mem_strdup(path_base(want->base));
	slashes_out(stem);
	cut(stem);
	return mem_fmt("%s/%s.vmkeep-%s.qcow2", dir, stem, hex);
}

int overlay_reserve(const char *path, uint64_t reserve, uint64_t *bytes,
		    struct err *e)
{
	autofree char *dir = path_dir(path);
	struct file_room room;

	if (reserve) {
		*bytes = reserve;
		return 0;
	}
	if (file_room(dir, &room, e) < 0)
		return -1;
	*bytes = num_min(room.size / RESERVE_PART, RESERVE_MAX);
	return 0;
}

uint64_t overlay_growth(uint64_t reserve)
{
	return reserve / 2;
}

int overlay_room(const char *path, uint64_t bytes, const char *option,
		 struct err *e)
{
	autofree char *dir = path_dir(path);
	char have[NUM_TEXT];
	char want[NUM_TEXT];
	struct file_room room;

	if (file_room(dir, &room, e) < 0)
		return -1;
	if (room.free >= bytes)
		return 0;
	num_size_text(room.free, have);
	num_size_text(bytes, want);
	return err_set(e, ERR_NO_SPACE,
		       "only %s are free in '%s', %s are wanted: make room, "
		       "or say another %s",
		       have, dir, want, option);
}
