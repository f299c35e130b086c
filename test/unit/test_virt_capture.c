/* SPDX-License-Identifier: Apache-2.0 */

/* The pure parts of captures: what is said to libvirt, what is read back. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "base/mem.h"
#include "virt/merge.h"
#include "virt/overlay.h"
#include "virt/sight.h"
#include "virt/snapxml.h"
#include "virt/stray.h"

static void snapshot_xml(void **state)
{
	const struct snapxml_disk disks[] = {
		{ .target = "vda", .overlay = "/a b/'q\"<&>.qcow2" },
		{ .target = "vdb", .manual = true },
		{ .target = "sda" },
	};
	struct buf out = BUF_INIT;

	(void)state;
	snapxml_write("/s/ram", disks, 3, &out);
	assert_string_equal(
		(char *)out.p,
		"<domainsnapshot><memory snapshot='external' file='/s/ram'/>"
		"<disks><disk name='vda' snapshot='external' type='file'>"
		"<driver type='qcow2'/><source file='/a b/&apos;q&quot;&lt;"
		"&amp;&gt;.qcow2'/></disk><disk name='vdb' "
		"snapshot='manual'/><disk name='sda' snapshot='no'/></disks>"
		"</domainsnapshot>");
	buf_clear(&out);
	snapxml_write(NULL, disks + 2, 1, &out);
	assert_string_equal((char *)out.p,
			    "<domainsnapshot><memory snapshot='no'/><disks>"
			    "<disk name='sda' snapshot='no'/></disks>"
			    "</domainsnapshot>");
	buf_fini(&out);
}

static void names(void **state)
{
	struct overlay_want w = { .domain = "web/1",
				  .target = "vda",
				  .base = "/img/a.raw" };
	struct err e = ERR_INIT;
	char *n = overlay_name(&w, &e);

	(void)state;
	assert_memory_equal(n, "/img/a.raw.vmkeep-", 18);
	assert_string_equal(n + strlen(n) - 6, ".qcow2");
	assert_int_equal(strlen(n), 18 + 8 + 6);
	free(n);
	w.dir = "/o";
	w.block = true;
	n = overlay_name(&w, &e);
	assert_memory_equal(n, "/o/web_1-vda.vmkeep-", 20);
	free(n);
	w.dir = NULL;
	assert_null(overlay_name(&w, &e));
	assert_int_equal(e.code, ERR_REFUSED);
	assert_non_null(strstr(e.msg, "--overlay-dir"));
}

static void long_names(void **state)
{
	char *base = mem_zalloc(300, 1);
	struct overlay_want w = { .target = "vda", .base = base };
	struct err e = ERR_INIT;

	(void)state;
	base[0] = '/';
	for (int i = 1; i < 255; i += 2)
		memcpy(base + i, "\xc3\xa4", 2);

	char *n = overlay_name(&w, &e);

	assert_true(strlen(n) <= 1 + 255);
	/* cut between characters */
	char *mark = strstr(n, ".vmkeep-");

	assert_non_null(mark);
	assert_int_equal((unsigned char)mark[-1], 0xa4);
	free(n);
	free(base);
}

static const char live[] =
	"<domain><devices>"
	"<disk type='file'><source file='/o/vda'/><target dev='vda'/>"
	"<backingStore type='file'><source file='/b/vda'/></backingStore>"
	"<mirror type='file' job='active-commit' ready='yes'/></disk>"
	"<disk type='block'><source dev='/dev/x'/><target dev='vdb'/>"
	"<mirror type='file' job='active-commit'/></disk>"
	"<disk type='file'><source file='/u/vdc'/><target dev='vdc'/>"
	"<backingStore type='file'><source file='/o/vdc'/><backingStore>"
	"<source file='/b/vdc'/></backingStore></backingStore>"
	"<mirror type='file' job='copy' ready='yes'/></disk>"
	"<disk type='network'><source name='x'/><target dev='vdd'/></disk>"
	"</devices></domain>";

static enum plan_top top(const char *target, const char *base,
			 const char *overlay)
{
	struct plan_disk d = { .target = (char *)(uintptr_t)target,
			       .base = (char *)(uintptr_t)base,
			       .overlay = (char *)(uintptr_t)overlay };
	struct err e = ERR_INIT;
	enum plan_top t;

	assert_int_equal(sight_top(live, &d, &t, &e), 0);
	return t;
}

static void tops(void **state)
{
	(void)state;
	assert_int_equal(top("vda", "/b/vda", "/o/vda"), TOP_OVERLAY);
	assert_int_equal(top("vda", "/o/vda", "/z"), TOP_BASE);
	assert_int_equal(top("vdb", "/dev/x", "/o/vdb"), TOP_BASE);
	assert_int_equal(top("vdb", "/dev/y", "/o/vdb"), TOP_OTHER);
	assert_int_equal(top("vdc", "/b/vdc", "/o/vdc"), TOP_ABOVE);
	assert_int_equal(top("vdd", "/b", "/o"), TOP_OTHER);
	assert_int_equal(top("vde", "/b", "/o"), TOP_NONE);
}

static enum sight_mirror mirror(const char *target)
{
	struct err e = ERR_INIT;
	enum sight_mirror m;

	assert_int_equal(sight_mirror(live, target, &m, &e), 0);
	return m;
}

static void mirrors(void **state)
{
	(void)state;
	assert_int_equal(mirror("vda"), MIRROR_READY);
	assert_int_equal(mirror("vdb"), MIRROR_BUSY);
	assert_int_equal(mirror("vdc"), MIRROR_OTHER);
	assert_int_equal(mirror("vdd"), MIRROR_NONE);
	assert_int_equal(mirror("vdz"), MIRROR_NONE);
}

static void mirror_pivot(void **state)
{
	static const char xml[] =
		"<domain><devices><disk type='file'><target dev='vda'/>"
		"<mirror type='file' job='active-commit' ready='pivot'/>"
		"</disk></devices></domain>";
	struct err e = ERR_INIT;
	enum sight_mirror m;

	(void)state;
	assert_int_equal(sight_mirror(xml, "vda", &m, &e), 0);
	assert_int_equal(m, MIRROR_PIVOT);
}

static void maps(void **state)
{
	(void)state;
	assert_true(sight_map_empty("[{ \"start\": 0, \"length\": 9, "
				    "\"depth\": 1, \"present\": true}]"));
	assert_false(sight_map_empty("[{ \"start\": 0, \"length\": 9, "
				     "\"depth\": 0, \"present\": true}]"));
	assert_false(sight_map_empty(""));
}

static void rewrite(void **state)
{
	struct plan_disk d = { .target = (char *)(uintptr_t) "vda",
			       .base = (char *)(uintptr_t) "/b & c",
			       .format = (char *)(uintptr_t) "raw" };
	struct buf out = BUF_INIT;
	struct err e = ERR_INIT;

	(void)state;
	assert_int_equal(merge_rewrite(live, &d, false, &out, &e), 0);
	assert_non_null(strstr((char *)out.p, "file=\"/b &amp; c\""));
	assert_null(strstr((char *)out.p, "/b/vda"));
	assert_non_null(strstr((char *)out.p, "/o/vdc"));
	buf_clear(&out);
	assert_int_equal(merge_rewrite(live, &d, true, &out, &e), 0);
	assert_non_null(strstr((char *)out.p, "dev=\"/b &amp; c\""));
	buf_clear(&out);
	d.target = (char *)(uintptr_t) "vdz";
	assert_int_equal(merge_rewrite(live, &d, true, &out, &e), -1);
	assert_int_equal(e.code, ERR_NOT_FOUND);
	buf_fini(&out);
}

static void nodes(void **state)
{
	static const char json[] =
		"{\"return\":[{\"ro\":false,\"drv\":\"file\",\"node-name\":"
		"\"n3\",\"file\":\"/o}\\\"/a.vmkeep-01234567.qcow2\"},"
		"{\"drv\":\"qcow2\",\"image\":{\"filename\":\"/b\"},"
		"\"node-name\":\"n1\"},{\"drv\":\"qcow2\",\"image\":{"
		"\"filename\":\"/o/a.vmkeep-01234567.qcow2\"},\"node-name\":"
		"\"n4\"}],\"id\":\"x\"}";
	char *n = stray_node(json, "qcow2", "vmkeep-01234567.qcow2");
	char *f = stray_node(json, "file", "vmkeep-01234567.qcow2");

	(void)state;
	assert_string_equal(n, "n4");
	assert_string_equal(f, "n3");
	assert_null(stray_node(json, "raw", "vmkeep-01234567.qcow2"));
	assert_null(stray_node("{\"return\":[{\"drv\":", "raw", "x"));
	free(n);
	free(f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(snapshot_xml), cmocka_unit_test(names),
		cmocka_unit_test(long_names),   cmocka_unit_test(tops),
		cmocka_unit_test(mirrors),      cmocka_unit_test(mirror_pivot),
		cmocka_unit_test(maps),         cmocka_unit_test(rewrite),
		cmocka_unit_test(nodes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
