/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Guests that do not run: read where they are, without overlays.
 *
 * Shut off: read without keeping anybody away, for a start by the user must
 * not fail because of a backup.  QEMU's image lock is looked at before, the
 * domain's events all the time, and the file's times and the lock at the end:
 * a point is made only when nobody wrote.
 *
 * Paused by somebody else.  QEMU has drained and flushed its disks (vm_stop),
 * and nothing changes them as long as it stays so.  An overlay would be wrong
 * here: after RAM was taken of a paused guest QEMU has given up its images
 * (run state "postmigrate"; tried with 7.2), the commit fails with "Block node
 * is read-only" until the guest is resumed, and it would have to stay on the
 * overlay.  So there is nothing to be undone but the RAM dump.  The price: if
 * its user resumes it, what was read is of no instant, capture_sure() says so
 * and the point is not made.  Events tell, and so do the guest's own write
 * counters, should a daemon have been restarted meanwhile.
 *
 * In that state QEMU refuses to save, migrate or snapshot the guest with RAM
 * again until it was resumed ("Can't migrate the vm that was paused due to
 * previous migration"), so RAM of a paused guest is taken only where asked
 * for in so many words.
 */

#include <string.h>

#include "base/clock.h"
#include "base/mem.h"
#include "virt/capture_internal.h"
#include "virt/conn_internal.h"
#include "virt/guest.h"
#include "virt/taking.h"

int64_t capture_writes(struct capture *cap, struct err *e)
{
	autodomain virDomainPtr d =
		conn_domain(cap->conn, cap->domain->uuid, e);
	int64_t sum = 0;

	if (!d)
		return -1;
	for (size_t i = 0; i < cap->pick_count; i++) {
		virDomainBlockStatsStruct s = { .wr_req = 0 };

		if (virDomainBlockStats(d, cap->picks[i].disk->target, &s,
					sizeof(s)) < 0)
			return virt_err(e, "cannot read disk counters");
		sum += s.wr_req;
	}
	return sum;
}

static void saved_state(struct capture *cap)
{
	struct err e = ERR_INIT;
	autodomain virDomainPtr d =
		conn_domain(cap->conn, cap->domain->uuid, &e);

	if (!d || virDomainHasManagedSaveImage(d, 0) != 1)
		return;
	cap->result.level = LEVEL_CRASH;
	capture_note(cap, "the domain was saved (virsh managedsave) while it "
			  "ran: its saved state is not in the point, the "
			  "disks are as after a power cut");
}

int capture_off(struct capture *cap, struct err *e)
{
	cap->result.method = "offline";
	cap->result.level = LEVEL_OFFLINE;
	saved_state(cap);
	if (capture_guard(cap, e) < 0 || capture_definitions(cap, e) < 0 ||
	    capture_state_before(cap, e) < 0)
		return -1;
	cap->result.time_ns = clock_wall_ns();
	return 0;
}

static int take_memory(struct capture *cap, struct err *e)
{
	AUTO(buf_fini) struct buf xml = BUF_INIT;
	struct taking t = {
		.conn = cap->conn,
		.name = cap->domain->name,
		.uuid = cap->domain->uuid,
		.journal = cap->journal,
		.track = cap->track,
		.talk = cap->talk,
		.cancel = cap->opt.cancel,
		.members = 1,
	};

	if (capture_ram_name(cap, e) < 0)
		return -1;
	/* RAM alone; the disks are of the same instant */
	capture_snapshot_xml(cap, &xml);
	t.xml = (const char *)xml.p;
	t.memory = cap->memory;
	if (taking_run(&t, e) < 0)
		return -1;
	cap->result.level = LEVEL_RAM;
	capture_ram_look(cap);
	capture_note(cap, "the guest is paused: until it is resumed, QEMU "
			  "refuses to save or migrate it, or to take its RAM "
			  "again");
	return 0;
}

int capture_place(struct capture *cap, struct err *e)
{
	cap->result.method = "paused";
	cap->result.level = LEVEL_CRASH;
	if (capture_guard(cap, e) < 0 || capture_definitions(cap, e) < 0 ||
	    capture_state_before(cap, e) < 0)
		return -1;
	cap->writes = capture_writes(cap, e);
	if (cap->writes < 0)
		return -1;
	if (cap->with_memory && take_memory(cap, e) < 0)
		return -1;
	cap->result.time_ns = clock_wall_ns();
	return 0;
}
