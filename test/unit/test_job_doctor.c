/* SPDX-License-Identifier: Apache-2.0 */

/* Rules of doctor about domains, disks and images. */

#include "doctor_kit.h"

static void all_is_well(void **state)
{
	struct world w;

	(void)state;
	make_world(&w);
	struct result_doctor r = judge(&w);

	for (size_t i = 0; i < r.count; i++)
		print_error("%s: %s\n", r.findings[i].rule, r.findings[i].fact);
	assert_int_equal(r.count, 0);
	assert_int_equal(r.domains, 2);
	assert_int_equal(r.disks, 2);
	assert_int_equal(r.volumes, 1);
	assert_int_equal(r.pools, 0);
	result_doctor_fini(&r);
}

/* ---- one thing changed ---- */

static void preallocated(struct world *w)
{
	dataset(w);
	w->volume[2].compressed = false;
}

static void btrfs(struct world *w)
{
	raw(w);
	w->volume[0].fs = lit("btrfs");
	w->chain[1][0] = w->chain[0][0];
	w->image[1][0] = w->image[0][0];
	w->how[1].cache = lit("writeback");
}

static void no_agent(struct world *w)
{
	w->info[0].agent = AGENT_NONE;
}

static void deaf_agent(struct world *w)
{
	w->look[0].agent_answers = false;
}

static void nobody_there(struct world *w)
{
	deaf_agent(w);
	w->info[0].agent = AGENT_DISCONNECTED;
}

static void hostdev(struct world *w)
{
	w->info[0].ram_refused = lit("<hostdev type='pci'>: no");
}

static void confined(struct world *w)
{
	w->info[0].overlay_refused = lit("forbidden; but allowed");
}

static void stale(struct world *w)
{
	w->names[1][1] = lit("it's old");
	w->look[0].stale = &w->names[1][1];
	w->look[0].stale_count = 1;
}

static void tcg(struct world *w)
{
	w->info[0].emulated = true;
}

static void io_error(struct world *w)
{
	w->info[0].state = DOMAIN_PAUSED;
	w->info[0].pause_reason = lit("I/O error");
}

static void snapshot_pause(struct world *w)
{
	io_error(w);
	w->info[0].pause_reason = lit("creating snapshot");
}

static void journal(struct world *w)
{
	w->look[0].journal = true;
}

static void unsafe(struct world *w)
{
	w->how[0].cache = lit("unsafe");
}

static void cached_device(struct world *w)
{
	device(w, TRAITS_PLAIN);
	w->chain[0][0].format = lit("qcow2"); /* no-bitmaps is not meant */
	w->how[0].cache = NULL;
}

static void direct_btrfs(struct world *w)
{
	btrfs(w);
}

static void direct_zfs(struct world *w)
{
	dataset(w);
	w->volume[2].direct = true;
}

static void discard(struct world *w)
{
	w->how[0].discard = NULL;
}

static void zeroes(struct world *w)
{
	dataset(w);
	w->how[0].discard = lit("ignore");
	w->how[0].detect_zeroes = lit("unmap");
}

static void sectors(struct world *w)
{
	zvol(w);
	w->volume[2].physical = 16384;
}

static void drift(struct world *w)
{
	w->how[0].kept = lit("/srv/old.qcow2");
}

static void drift_below(struct world *w)
{
	chain(w, 2);
	drift(w);
	w->how[0].kept_below = true;
}

static void job(struct world *w)
{
	w->disk[0].job_active = true;
}

static void our_overlay(struct world *w)
{
	chain(w, 2);
	w->chain[0][0].path = lit("/srv/a.vmkeep-0123.qcow2");
}

static void overlay_on_chain(struct world *w)
{
	chain(w, 3);
	w->chain[0][0].path = lit("/srv/a.vmkeep-0123.qcow2");
}

static void killed_overlay(struct world *w)
{
	our_overlay(w);
	journal(w);
}

static void their_chain(struct world *w)
{
	chain(w, 2);
}

static void chain_off(struct world *w)
{
	chain(w, 2);
	w->info[0].state = DOMAIN_SHUT_OFF;
}

static void long_chain(struct world *w)
{
	chain(w, 27);
}

static void no_image(struct world *w)
{
	w->image[0][0] = (struct checkup_image){ .local = true };
	w->files[0][0] = TRAITS_NONE;
}

static void locked_image(struct world *w)
{
	w->image[0][0].readable = false;
}

static void in_memory(struct world *w)
{
	make_volume(w, 2, "/tmp", NULL);
	w->file[0].volume = 2;
	w->f.traits.volume_count = 3;
	w->volume[2].disk_count = 0;
	w->volume[2].memory = true;
	w->volume[2].fs = lit("tmpfs");
}

static void is_corrupt(struct world *w)
{
	w->image[0][0].corrupt = true;
}

static void is_dirty(struct world *w)
{
	w->image[1][0].dirty = true;
}

static void internal(struct world *w)
{
	w->image[0][0].snapshots = 2;
}

static void relative(struct world *w)
{
	chain(w, 2);
	w->image[0][0].relative = true;
}

static void guessed(struct world *w)
{
	chain(w, 2);
	w->image[0][0].guessed = true;
}

static void old_qcow2(struct world *w)
{
	w->image[0][0].version = 2;
}

static void plain_raw(struct world *w)
{
	raw(w);
}

static void twice_cow(struct world *w)
{
	dataset(w);
	w->chain[0][0].format = lit("qcow2");
	w->image[0][0].qcow2 = true;
}

static const struct sample samples[] = {
	{ preallocated, "allocated-in-vain", RESULT_HINT, "web 1/vda",
	  "fallocate --dig-holes" },
	{ no_agent, "agent-missing", RESULT_HINT, "web 1",
	  "virt-xml 'web 1' --add-device" },
	{ deaf_agent, "agent-silent", RESULT_WARNING, "web 1", "qemu-guest" },
	{ nobody_there, "agent-silent", RESULT_WARNING, "web 1", "apt-get" },
	{ hostdev, "ram-refused", RESULT_HINT, "web 1", "virsh edit 'web 1'" },
	{ confined, "overlay-refused", RESULT_WARNING, "web 1",
	  "model=apparmor" },
	{ stale, "snapshot-stale", RESULT_HINT, "web 1",
	  "'web 1' 'it'\\''s old' --metadata" },
	{ tcg, "emulated", RESULT_HINT, "web 1", "--edit --type kvm" },
	{ io_error, "left-paused", RESULT_ERROR, "web 1", "domblkerror" },
	{ snapshot_pause, "left-paused", RESULT_WARNING, "web 1", "resume" },
	{ journal, "journal-left", RESULT_WARNING, "web 1", "vmkeep recover" },
	{ unsafe, "cache-unsafe", RESULT_ERROR, "web 1/vda",
	  "--edit target=vda --disk cache=none" },
	{ cached_device, "cache-twice", RESULT_HINT, "web 1/vda",
	  "cache=none" },
	{ direct_btrfs, "btrfs-direct", RESULT_WARNING, "web 1/vda",
	  "cache=writeback" },
	{ direct_zfs, "zfs-direct", RESULT_HINT, "web 1/vda",
	  "zfs set direct=disabled tank/vm" },
	{ discard, "no-discard", RESULT_HINT, "web 1/vda", "discard=unmap" },
	{ zeroes, "zeroes-kept", RESULT_HINT, "web 1/vda", "discard=unmap" },
	{ sectors, "sector-hidden", RESULT_HINT, "web 1/vda",
	  "blockio.physical_block_size=4096" },
	{ drift, "kept-elsewhere", RESULT_ERROR, "web 1/vda", NULL },
	{ job, "job-left", RESULT_WARNING, "web 1/vda", "virsh blockjob" },
	{ our_overlay, "overlay-left", RESULT_WARNING, "web 1/vda",
	  "vmkeep flatten 'web 1' --disk vda" },
	{ overlay_on_chain, "overlay-left", RESULT_WARNING, "web 1/vda",
	  "vmkeep flatten 'web 1' --disk vda --base 2" },
	{ their_chain, "chain-left", RESULT_HINT, "web 1/vda",
	  "vmkeep flatten 'web 1' --disk vda" },
	{ chain_off, "chain-left", RESULT_HINT, "web 1/vda",
	  "vmkeep flatten 'web 1' --disk vda" },
	{ long_chain, "chain-left", RESULT_WARNING, "web 1/vda",
	  "vmkeep flatten 'web 1'" },
	{ no_image, "image-missing", RESULT_ERROR, "web 1/vda", NULL },
	{ locked_image, "image-unreadable", RESULT_WARNING, "web 1/vda",
	  "setfacl" },
	{ in_memory, "image-in-memory", RESULT_WARNING, "web 1/vda",
	  "cp --sparse=always '/srv/a b.qcow2' " },
	{ is_corrupt, "qcow2-corrupt", RESULT_ERROR, "web 1/vda",
	  "qemu-img check -r all" },
	{ is_dirty, "qcow2-dirty", RESULT_WARNING, "db/vda",
	  "qemu-img check -r all /srv/db.qcow2" },
	{ internal, "snapshots-inside", RESULT_HINT, "web 1/vda",
	  "qemu-img snapshot" },
	{ old_qcow2, "no-bitmaps", RESULT_HINT, "web 1/vda",
	  "qemu-img amend -o compat=1.1" },
	{ plain_raw, "no-bitmaps", RESULT_HINT, "web 1/vda",
	  "qemu-img convert" },
	{ twice_cow, "cow-on-cow", RESULT_HINT, "web 1/vda", "-O raw" },
};

/* Those that bring another finding with them. */
static const struct sample pairs[] = {
	{ drift_below, "kept-elsewhere", RESULT_ERROR, "web 1/vda",
	  "virsh blockcommit" },
	{ killed_overlay, "overlay-left", RESULT_WARNING, "web 1/vda",
	  "vmkeep recover" },
	{ relative, "base-relative", RESULT_HINT, "web 1/vda",
	  "qemu-img rebase -u -F qcow2 -b /srv/base.qcow2 '/srv/a b.qcow2'" },
	{ guessed, "base-guessed", RESULT_WARNING, "web 1/vda",
	  "qemu-img rebase -u" },
};

static void one_thing(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(samples); i++)
		check(&samples[i], true);
	for (size_t i = 0; i < COUNT(pairs); i++)
		check(&pairs[i], false);
}

static bool has_sample(const char *id)
{
	for (size_t i = 0; i < COUNT(samples); i++)
		if (strcmp(samples[i].rule, id) == 0)
			return true;
	for (size_t i = 0; i < COUNT(pairs); i++)
		if (strcmp(pairs[i].rule, id) == 0)
			return true;
	return false;
}

static void has_samples_of(const struct doctor_rule *rules)
{
	for (; rules->id != NULL; rules++)
		if (!has_sample(rules->id))
			fail_msg("%s has no sample", rules->id);
}

static void every_rule(void **state)
{
	(void)state;
	has_samples_of(doctor_domain_rules);
	has_samples_of(doctor_disk_rules);
	has_samples_of(doctor_image_rules);
}

/* ---- what is no finding ---- */

static void under_way(struct world *w)
{
	our_overlay(w);
	journal(w);
	job(w);
	drift(w);
	nobody_there(w);
	w->look[0].claimed = true;
}

static void new_kernel(struct world *w)
{
	btrfs(w);
	w->f.host.kernel = 0x60f;
}

static void nocow(struct world *w)
{
	btrfs(w);
	w->file[0].nocow = true;
}

static void shared_base(struct world *w)
{
	their_chain(w);
	w->chain[1][0].path = lit("/srv/base.qcow2");
}

static void by_user(struct world *w)
{
	io_error(w);
	w->info[0].pause_reason = lit("user");
}

static void a_drive(struct world *w)
{
	unsafe(w);
	w->disk[0].device = lit("cdrom");
}

static void elsewhere(struct world *w)
{
	w->chain[0][0] = (struct domain_image){ .path = NULL,
						.format = lit("raw"),
						.type = lit("network") };
	w->image[0][0] = (struct checkup_image){ .local = false };
	w->files[0][0] = TRAITS_NONE;
}

static void is_fine(void **state)
{
	static void (*const fine[])(struct world *) = { under_way, new_kernel,
							nocow,     shared_base,
							by_user,   a_drive,
							elsewhere };

	(void)state;
	for (size_t i = 0; i < COUNT(fine); i++)
		nothing(fine[i]);
}

/* ---- all together ---- */

static void sorted_and_ignored(void **state)
{
	char ids[][16] = { "cache-unsafe", "clock-loose" };
	char *list[] = { ids[0], ids[1] };
	const struct doctor_ignore none = { .ids = NULL };
	const struct doctor_ignore ignore = { .ids = list, .count = 2 };
	struct result_doctor r = { .findings = NULL };
	struct world w;

	(void)state;
	make_world(&w);
	discard(&w);
	w.how[1].discard = NULL;
	w.f.host.clock_loose = true;
	unsafe(&w);
	w.f.uri = lit("'qemu+ssh://a b/system'");
	doctor_judge(&w.f, &none, &r);
	assert_int_equal(r.count, 4);
	assert_string_equal(r.findings[0].rule, "cache-unsafe");
	assert_string_equal(r.findings[1].subject, "host");
	assert_string_equal(r.findings[2].subject, "db/vda");
	assert_string_equal(r.findings[2].domain, "db");
	assert_string_equal(r.findings[3].subject, "web 1/vda");
	assert_string_equal(r.findings[0].command,
			    "virt-xml -c 'qemu+ssh://a b/system' 'web 1' "
			    "--edit target=vda --disk cache=none");
	assert_null(r.findings[1].domain);
	result_doctor_fini(&r);
	doctor_judge(&w.f, &ignore, &r);
	assert_int_equal(r.count, 2);
	assert_string_equal(r.findings[0].rule, "no-discard");
	result_doctor_fini(&r);
}

static void words(void **state)
{
	static const char *const pairs_of[][2] = {
		{ "web1", "web1" },
		{ "", "''" },
		{ "a b", "'a b'" },
		{ "it's", "'it'\\''s'" },
		{ "$(x)", "'$(x)'" },
		{ "~", "'~'" },
		{ "a\nb'\\", "$'a\\012b\\047\\134'" },
		{ "gr\xc3\xb6\xc3\x9f"
		  "e",
		  "'gr\xc3\xb6\xc3\x9f"
		  "e'" },
	};

	(void)state;
	for (size_t i = 0; i < COUNT(pairs_of); i++) {
		autofree char *word = doctor_word(pairs_of[i][0]);

		assert_string_equal(word, pairs_of[i][1]);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(words),
		cmocka_unit_test(all_is_well),
		cmocka_unit_test(one_thing),
		cmocka_unit_test(every_rule),
		cmocka_unit_test(is_fine),
		cmocka_unit_test(sorted_and_ignored),
	};

	return cmocka_run_group_tests_name("job/doctor", tests, NULL, NULL);
}
