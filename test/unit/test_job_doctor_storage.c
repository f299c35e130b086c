/* SPDX-License-Identifier: Apache-2.0 */

/* Rules of doctor about storage, host and repository. */

#include "doctor_kit.h"
#include "job/doctor_look.h"

static void large_records(struct world *w)
{
	dataset(w);
	w->volume[2].block = 131072;
}

static void small_records(struct world *w)
{
	zvol(w);
	w->volume[2].block = 8192;
}

static void one_sector(struct world *w)
{
	dataset(w);
	w->volume[2].block = 4096;
}

static void tiny_records(struct world *w)
{
	dataset(w);
	w->pool[0].ashift = 9;
	w->pool[0].physical = 512;
	w->volume[2].block = 2048;
}

static void thick_zvol(struct world *w)
{
	zvol(w);
	w->volume[2].reservation = 10 * GIB;
	w->volume[2].referenced = 5 * GIB;
}

static void thick_full(struct world *w)
{
	thick_zvol(w);
	w->volume[2].referenced = 60 * GIB;
}

static void lazy_zfs(struct world *w)
{
	dataset(w);
	w->volume[2].sync_off = true;
}

static void thick_lv(struct world *w)
{
	device(w, TRAITS_THICK);
	w->chain[0][0].format = lit("qcow2"); /* no-bitmaps is not meant */
}

static void full_disk(struct world *w)
{
	w->volume[0].free = GIB;
}

static void degraded(struct world *w)
{
	dataset(w);
	w->pool[0].health = lit("DEGRADED");
}

static void faulted(struct world *w)
{
	dataset(w);
	w->pool[0].health = lit("SUSPENDED");
}

static void zpool_80(struct world *w)
{
	dataset(w);
	w->pool[0].data = 80;
}

static void zpool_95(struct world *w)
{
	dataset(w);
	w->pool[0].data = 95;
}

static void ashift_9(struct world *w)
{
	dataset(w);
	w->pool[0].ashift = 9;
}

static void thin_80(struct world *w)
{
	thin(w);
	w->pool[0].data = 80;
	w->pool[0].vg_free = GIB;
}

static void thin_95(struct world *w)
{
	thin(w);
	w->pool[0].data = 95;
}

static void metadata_70(struct world *w)
{
	thin(w);
	w->pool[0].metadata = 70;
}

static void metadata_90(struct world *w)
{
	thin(w);
	w->pool[0].metadata = 90;
}

static void fixed_pool(struct world *w)
{
	thin(w);
	w->pool[0].autoextend = 100;
}

static void promised(struct world *w)
{
	fixed_pool(w);
	w->pool[0].promised = 200 * GIB;
}

static void kvm(struct world *w)
{
	w->f.host.kvm_works = false;
}

static void clock_off(struct world *w)
{
	w->f.host.clock_loose = true;
}

static void two_ways(struct world *w)
{
	w->f.host.routes = 2;
	w->f.host.strict = lit("eth0");
}

static void limit(struct world *w)
{
	w->f.host.memlock = 65536;
}

static void lzop(struct world *w)
{
	w->f.host.config = lit("/etc/libvirt/qemu.conf");
	w->f.host.image_format = lit("lzop");
}

static void small_spool(struct world *w)
{
	w->volume[1].free = GIB - 1;
}

static void memory_spool(struct world *w)
{
	w->volume[1].memory = true;
	w->volume[1].fs = lit("tmpfs");
}

static void small_overlays(struct world *w)
{
	w->f.host.overlays = (struct doctor_dir){ "/backup/over", 2 };
	w->volume[1].free = 2 * GIB;
}

static void same_disk(struct world *w)
{
	w->names[1][0] = lit("sda");
}

static void unverified(struct world *w)
{
	w->f.repo.verified_ns = 0;
}

static void long_ago(struct world *w)
{
	w->f.repo.verified_ns = 60 * DAY;
}

static const struct sample samples[] = {
	{ large_records, "record-large", RESULT_WARNING, "tank/vm",
	  "zfs set recordsize=64K tank/vm" },
	{ small_records, "record-small", RESULT_HINT, "tank/web",
	  "zfs create -s -V 10737418240 -o volblocksize=16K tank/web.new" },
	{ one_sector, "record-small", RESULT_WARNING, "tank/vm",
	  "recordsize=16K" },
	{ tiny_records, "record-tiny", RESULT_WARNING, "tank/vm",
	  "recordsize=16K" },
	{ thick_zvol, "reservation", RESULT_WARNING, "tank/web",
	  "refreservation=none" },
	{ thick_full, "reservation", RESULT_ERROR, "tank/web",
	  "refreservation=none" },
	{ lazy_zfs, "sync-off", RESULT_ERROR, "tank/vm", "sync=standard" },
	{ thick_lv, "lvm-thick", RESULT_HINT, "tank/web",
	  "lvcreate -T -V 10737418240b -n NEW tank/POOL" },
	{ full_disk, "overlay-room", RESULT_WARNING, "/srv", "--overlay-dir" },
	{ degraded, "zpool-ill", RESULT_WARNING, "tank", "zpool status" },
	{ faulted, "zpool-ill", RESULT_ERROR, "tank", "zpool status" },
	{ zpool_80, "zpool-full", RESULT_WARNING, "tank", "zfs list" },
	{ zpool_95, "zpool-full", RESULT_ERROR, "tank", "zfs list" },
	{ ashift_9, "ashift-small", RESULT_WARNING, "tank", "ashift=12" },
	{ thin_80, "thin-full", RESULT_WARNING, "vg/thin",
	  "lvextend -l +10%FREE vg/thin" },
	{ thin_95, "thin-full", RESULT_ERROR, "vg/thin", NULL },
	{ metadata_70, "thin-metadata", RESULT_WARNING, "vg/thin",
	  "--poolmetadatasize" },
	{ metadata_90, "thin-metadata", RESULT_ERROR, "vg/thin",
	  "--poolmetadatasize" },
	{ fixed_pool, "thin-autoextend", RESULT_HINT, "vg/thin", "lvm.conf" },
	{ promised, "thin-autoextend", RESULT_WARNING, "vg/thin", "lvm.conf" },
	{ kvm, "kvm-broken", RESULT_WARNING, "host", "dmesg" },
	{ clock_off, "clock-loose", RESULT_WARNING, "host", "timedatectl" },
	{ two_ways, "path-filter", RESULT_WARNING, "host",
	  "net.ipv4.conf.eth0.rp_filter=2" },
	{ limit, "memory-unlocked", RESULT_HINT, "host", "ulimit" },
	{ lzop, "dump-packed", RESULT_WARNING, "host",
	  "/etc/libvirt/qemu.conf" },
	{ small_spool, "spool-small", RESULT_WARNING, "host", "--spool-dir" },
	{ memory_spool, "spool-in-memory", RESULT_HINT, "host", "--spool-dir" },
	{ small_overlays, "overlays-small", RESULT_WARNING, "host",
	  "--overlay-dir" },
	{ same_disk, "repo-beside", RESULT_WARNING, "host", "vmkeep init" },
	{ unverified, "verify-old", RESULT_WARNING, "host",
	  "vmkeep verify --level data" },
	{ long_ago, "verify-old", RESULT_WARNING, "host", "verify" },
};

static void one_thing(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(samples); i++)
		check(&samples[i], true);
}

static bool has_sample(const char *id)
{
	for (size_t i = 0; i < COUNT(samples); i++)
		if (strcmp(samples[i].rule, id) == 0)
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
	has_samples_of(doctor_volume_rules);
	has_samples_of(doctor_pool_rules);
	has_samples_of(doctor_host_rules);
}

/* ---- what is no finding ---- */

static void young(struct world *w)
{
	unverified(w);
	w->f.repo.oldest_ns = 90 * DAY;
}

static void no_points(struct world *w)
{
	unverified(w);
	w->f.repo.oldest_ns = 0;
}

static void one_way(struct world *w)
{
	two_ways(w);
	w->f.host.routes = 1;
}

static void denied_kvm(struct world *w)
{
	kvm(w);
	w->f.host.kvm_denied = true;
}

static void overlays_apart(struct world *w)
{
	full_disk(w);
	w->f.host.overlays = (struct doctor_dir){ "/backup/over", 2 };
}

static void no_tools(struct world *w)
{
	dataset(w);
	w->volume[2].block = 0;
	w->volume[2].compressed = true;
	w->pool[0] = (struct traits_pool){ .zfs = true, .name = lit("tank") };
}

static void is_fine(void **state)
{
	static void (*const fine[])(struct world *) = {
		young,    no_points, one_way, denied_kvm, overlays_apart,
		no_tools, zvol,      thin,    dataset
	};

	(void)state;
	for (size_t i = 0; i < COUNT(fine); i++)
		nothing(fine[i]);
}

/* ---- facts about the host ---- */

static void kernels(void **state)
{
	(void)state;
	assert_int_equal(look_kernel("6.1.0-13-amd64"), 0x601);
	assert_int_equal(look_kernel("6.15-rc1"), 0x60f);
	assert_int_equal(look_kernel("new"), 0);
	assert_int_equal(look_kernel("6.999"), 0);
}

static void routes(void **state)
{
	char *cards[LOOK_ROUTES];

	(void)state;
	assert_int_equal(look_routes("", cards), 0);
	size_t n = look_routes(
		"Iface\tDestination\tGateway\tFlags\tRefCnt\tUse\tMetric\tMask\n"
		"eth0\t00000000\t0102A8C0\t0003\t0\t0\t0\t00000000\t0\t0\t0\n"
		"eth0\t0002A8C0\t00000000\t0001\t0\t0\t0\t00FFFFFF\t0\t0\t0\n"
		"eth1\t00000000\t01030A0A\t0003\t0\t0\t9\t00000000\t0\t0\t0\n"
		"eth1\t00000000\t01030A0B\t0003\t0\t0\t9\t00000000\t0\t0\t0\n"
		"tun0\t00000000\t00000000\t0003\t0\t0\t9\t00000080\t0\t0\t0\n"
		"torn",
		cards);

	assert_int_equal(n, 2);
	assert_string_equal(cards[0], "eth0");
	assert_string_equal(cards[1], "eth1");
	free(cards[0]);
	free(cards[1]);
}

static void qemu_conf(void **state)
{
	static const char *const texts[][2] = {
		{ "snapshot_image_format = \"lzop\"\n", "lzop" },
		{ "a\n  snapshot_image_format='zstd' # why", "zstd" },
		{ "snapshot_image_format=\"raw\"\n"
		  "snapshot_image_format=\"gzip\"",
		  "gzip" },
		{ "snapshot_image_format = \"torn", "torn" },
		{ "#snapshot_image_format = \"lzop\"\n", NULL },
		{ "save_image_format = \"lzop\"\n", NULL },
		{ "snapshot_image_format lzop", NULL },
		{ "snapshot_image_format", NULL },
	};

	(void)state;
	for (size_t i = 0; i < COUNT(texts); i++) {
		autofree char *found = look_image_format(texts[i][0]);

		if (texts[i][1] == NULL)
			assert_null(found);
		else
			assert_string_equal(found, texts[i][1]);
	}
}

static void conf_paths(void **state)
{
	autofree char *root = look_qemu_conf("qemu:///system");
	autofree char *embed = look_qemu_conf("qemu:///embed?root=/x");
	autofree char *far = look_qemu_conf("qemu+ssh://host/system");

	(void)state;
	assert_string_equal(root, "/etc/libvirt/qemu.conf");
	assert_string_equal(embed, "/x/etc/qemu.conf");
	assert_null(far);
	setenv("XDG_CONFIG_HOME", "/home/u/.conf", 1);
	autofree char *session = look_qemu_conf("qemu:///session");

	assert_string_equal(session, "/home/u/.conf/libvirt/qemu.conf");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(kernels),   cmocka_unit_test(routes),
		cmocka_unit_test(qemu_conf), cmocka_unit_test(conf_paths),
		cmocka_unit_test(one_thing), cmocka_unit_test(every_rule),
		cmocka_unit_test(is_fine),
	};

	return cmocka_run_group_tests_name("job/doctor, storage", tests, NULL,
					   NULL);
}
