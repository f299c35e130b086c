/* SPDX-License-Identifier: Apache-2.0 */

/* The RAM dump: where it goes, how large it may get, what it became. */

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/bytes.h"
#include "base/file.h"
#include "base/mem.h"
#include "virt/capture_internal.h"
#include "virt/jot.h"
#include "virt/overlay.h"

/* Pages that change while they are copied are written again. */
#define ROOM_TENTHS 12

uint64_t capture_ram_bytes(const struct capture *cap)
{
	return cap->domain->memory / 10 * ROOM_TENTHS;
}

int capture_ram_name(struct capture *cap, struct err *e)
{
	free(mem_take(&cap->memory));
	cap->memory = mem_fmt("%s/%s.vmkeep-ram", cap->opt.spool_dir,
			      cap->domain->uuid);
	/* one that nobody's journal names any more */
	unlink(cap->memory);
	return JOT(cap->journal, JOT_SPOOL, e, { "path", cap->memory });
}

/*
 * libvirt's save header: 16 bytes of magic, then in the host's byte order
 * version, length of the XML, was-running, compression (0: raw); see
 * virQEMUSaveHeader in its qemu_saveimage.h.
 */
void capture_ram_look(struct capture *cap)
{
	autofd int fd = open(cap->memory, O_RDONLY | O_CLOEXEC);
	struct err e = ERR_INIT;
	uint8_t head[32];
	struct reader r = reader_of(head, sizeof(head));
	uint32_t compressed;

	if (fd < 0 || fd_pread_full(fd, head, sizeof(head), 0, &e) < 0)
		return;
	(void)!fchmod(fd, 0600);
	(void)!rd_view(&r, 16 + 3 * 4);
	compressed = rd_u32(&r);
	if (compressed)
		capture_note(cap, "libvirt compresses RAM "
				  "(snapshot_image_format in qemu.conf): "
				  "it will hardly deduplicate; \"raw\" does");
}
