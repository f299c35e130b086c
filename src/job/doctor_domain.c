/* SPDX-License-Identifier: Apache-2.0 */

/* Rules about a domain as a whole. */

#include <string.h>

#include "base/mem.h"
#include "job/doctor_rules.h"
#include "virt/apparmor.h"

static void agent_missing(struct doctor_case *c)
{
	if (c->domain->info->agent != AGENT_NONE)
		return;
	doctor_found(c, RESULT_HINT,
		     "without its RAM a point is then like a disk after a "
		     "power cut: nobody freezes the file systems",
		     doctor_edit(c,
				 "%s --add-device --channel "
				 "unix,target.type=virtio,"
				 "target.name=org.qemu.guest_agent.0",
				 c->name),
		     "no channel for a guest agent in the definition");
}

static void agent_silent(struct doctor_case *c)
{
	const struct domain_info *d = c->domain->info;

	if (d->agent == AGENT_NONE || d->state != DOMAIN_RUNNING ||
	    c->domain->claimed || c->domain->agent_answers)
		return;
	doctor_found(c, RESULT_WARNING,
		     "file systems cannot be frozen, as for backups without "
		     "RAM; the command is for inside the guest",
		     mem_strdup("apt-get install qemu-guest-agent && "
				"systemctl restart qemu-guest-agent"),
		     d->agent == AGENT_CONNECTED
			     ? "the guest agent is there and does not answer"
			     : "there is a channel for a guest agent, and "
			       "nobody at its other end");
}

static void ram_refused(struct doctor_case *c)
{
	const struct domain_info *d = c->domain->info;

	if (d->ram_refused == NULL || d->state == DOMAIN_PMSUSPENDED ||
	    d->state == DOMAIN_CRASHED)
		return;
	doctor_found(c, RESULT_HINT,
		     "points of it have no RAM: a restored guest boots, and "
		     "cannot go on from where it was",
		     doctor_virsh(c, "edit %s", c->name), "no RAM: %s",
		     d->ram_refused);
}

static void overlay_refused(struct doctor_case *c)
{
	const char *text = c->domain->info->overlay_refused;
	size_t cure = strlen(APPARMOR_CURE);

	if (text == NULL)
		return;
	size_t n = strlen(text);

	if (n > cure && strcmp(text + n - cure, APPARMOR_CURE) == 0)
		n -= cure;
	doctor_found(c, RESULT_WARNING,
		     "a backup of the running guest needs an overlay and its "
		     "merge; the command takes AppArmor off this guest, from "
		     "its next start on; libvirt 12.1 mends it without",
		     doctor_edit(c,
				 "%s --edit --seclabel "
				 "model=apparmor,type=none,clearxml=yes",
				 c->name),
		     "%.*s", (int)n, text);
}

static void snapshot_stale(struct doctor_case *c)
{
	for (size_t i = 0; i < c->domain->stale_count; i++) {
		autofree char *word = doctor_word(c->domain->stale[i]);

		doctor_found(c, RESULT_HINT,
			     "libvirt refuses to undefine or migrate a domain "
			     "with snapshots, and reverting to it would fail",
			     doctor_virsh(c, "snapshot-delete %s %s --metadata",
					  c->name, word),
			     "of snapshot '%s' libvirt has the name, and no "
			     "image has its data",
			     c->domain->stale[i]);
	}
}

static void emulated(struct doctor_case *c)
{
	if (!c->domain->info->emulated || !c->facts->host.kvm_works)
		return;
	doctor_found(c, RESULT_HINT,
		     "it is slower by an order of magnitude, and before QEMU "
		     "9.0 stands still while its RAM is saved",
		     doctor_edit(c, "%s --edit --type kvm", c->name),
		     "QEMU emulates its processor, and this host has KVM");
}

/* A guest that somebody paused on purpose is nobody's business. */
static void left_paused(struct doctor_case *c)
{
	const struct domain_info *d = c->domain->info;

	if (d->state != DOMAIN_PAUSED || c->domain->claimed ||
	    c->domain->journal)
		return;
	if (doctor_is(d->pause_reason, "I/O error"))
		doctor_found(c, RESULT_ERROR,
			     "QEMU stopped it when a disk failed or its "
			     "storage was full; resume it when that is mended",
			     doctor_virsh(c, "domblkerror %s", c->name),
			     "paused after an I/O error");
	else if (doctor_is(d->pause_reason, "creating snapshot") ||
		 doctor_is(d->pause_reason, "saving"))
		doctor_found(c, RESULT_WARNING,
			     "whoever stopped it for that is gone or stuck",
			     doctor_virsh(c, "resume %s", c->name),
			     "paused (%s), and no vmkeep is at work on it",
			     d->pause_reason);
}

static void journal_left(struct doctor_case *c)
{
	if (!c->domain->journal || c->domain->claimed)
		return;
	doctor_found(c, RESULT_WARNING,
		     "overlays, a paused or frozen guest, files: what it "
		     "began is finished or undone by the command",
		     mem_strdup("vmkeep recover"),
		     "a backup of it was killed, and its journal is there");
}

const struct doctor_rule doctor_domain_rules[] = {
	{ "agent-missing", agent_missing, "no channel for a guest agent" },
	{ "agent-silent", agent_silent, "a guest agent that does not answer" },
	{ "ram-refused", ram_refused,
	  "devices that keep RAM from being saved" },
	{ "overlay-refused", overlay_refused,
	  "AppArmor rules that will refuse a merge" },
	{ "snapshot-stale", snapshot_stale,
	  "snapshots of which only the name is left" },
	{ "emulated", emulated, "no KVM for a guest that could have it" },
	{ "left-paused", left_paused, "a guest that nobody resumes" },
	{ "journal-left", journal_left, "what a killed backup has left" },
	{ NULL, NULL, NULL },
};
