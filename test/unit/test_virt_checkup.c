/* SPDX-License-Identifier: Apache-2.0 */

/* A closer look at a domain. */

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/file.h"
#include "base/mem.h"
#include "virt/checkup.h"
#include "virt/claim.h"
#include "virt/domain_xml.h"
#include "virt_xml.h"

static struct err e;

/* clang-format off */
#define TWO_DISKS(vda, vdb) \
"<domain type='kvm'><name>w</name><uuid>" UUID_OTHER "</uuid><devices>" \
"<disk type='file' device='disk'>" \
"<driver name='qemu' type='qcow2' cache='none' discard='unmap' " \
"detect_zeroes='on'/><source file='" vda "'/><backingStore type='file'>" \
"<format type='qcow2'/><source file='/images/base'/><backingStore/>" \
"</backingStore><target dev='vda' bus='virtio'/>" \
"<blockio logical_block_size='512' physical_block_size='4096'/></disk>" \
"<disk type='file' device='disk'><driver name='qemu' type='raw'/>" \
"<source file='" vdb "'/><backingStore/><target dev='vdb' bus='virtio'/>" \
"<blockio physical_block_size='much'/></disk>" \
"</devices></domain>"
/* clang-format on */

static struct domain_info *info(const char *xml)
{
	const struct domain_xml_env env = { .local = false };
	struct domain_info *d = mem_zalloc(1, sizeof(*d));

	assert_int_equal(domain_xml_read(xml, &env, d, &e), 0);
	return d;
}

static struct checkup *look(const char *xml)
{
	struct checkup *k = mem_zalloc(1, sizeof(*k));

	k->info = info(xml);
	assert_int_equal(checkup_read(k, xml, &e), 0);
	return k;
}

static void definition(void **state)
{
	struct checkup *k = look(TWO_DISKS("/images/a", "/images/b"));

	(void)state;
	assert_string_equal(k->disks[0].cache, "none");
	assert_string_equal(k->disks[0].discard, "unmap");
	assert_string_equal(k->disks[0].detect_zeroes, "on");
	assert_int_equal(k->disks[0].physical, 4096);
	assert_null(k->disks[1].cache);
	assert_int_equal(k->disks[1].physical, 0);
	checkup_files(k);
	assert_true(k->disks[0].images[1].local);
	assert_false(k->disks[0].images[1].exists);
	checkup_free(k);
	checkup_free(NULL);
	k = mem_zalloc(1, sizeof(*k));
	k->info = info(TWO_DISKS("/images/a", "/images/b"));
	assert_int_equal(checkup_read(k, "<domain>", &e), -1);
	checkup_free(k);
}

static void live_and_kept(void **state)
{
	struct checkup *k = look(TWO_DISKS("/images/a", "/images/b"));
	struct domain_info *same = info(TWO_DISKS("/images/a", "/images/b"));
	struct domain_info *base = info(TWO_DISKS("/images/base", "/x"));

	(void)state;
	checkup_compare(k, same);
	assert_null(k->disks[0].kept);
	checkup_compare(k, base);
	assert_string_equal(k->disks[0].kept, "/images/base");
	assert_true(k->disks[0].kept_below);
	assert_string_equal(k->disks[1].kept, "/x");
	assert_false(k->disks[1].kept_below);
	domain_info_free(same);
	domain_info_free(base);
	checkup_free(k);
}

#define SNAPSHOT(disks)                                                        \
	"<domainsnapshot><name>s</name><disks>" disks                          \
	"</disks></domainsnapshot>"
#define EXTERNAL(path)                                                         \
	"<disk name='vda' snapshot='external'><source file='" path "'/></disk>"
#define INTERNAL "<disk name='vda' snapshot='internal'/>"

static void snapshots(void **state)
{
	struct checkup *k = look(TWO_DISKS("/images/a", "/images/b"));

	(void)state;
	assert_true(checkup_is_stale(k, SNAPSHOT(EXTERNAL("/images/gone"))));
	assert_false(checkup_is_stale(k, SNAPSHOT(EXTERNAL("/images/a"))));
	assert_false(checkup_is_stale(k, SNAPSHOT(EXTERNAL("/images/base"))));
	assert_false(checkup_is_stale(k, SNAPSHOT(EXTERNAL("/dev/null"))));
	assert_false(checkup_is_stale(
		k, SNAPSHOT(EXTERNAL("/images/gone") EXTERNAL("/dev/null"))));
	/* what cannot be read may have it */
	assert_false(checkup_is_stale(k, SNAPSHOT(INTERNAL)));
	for (size_t i = 0; i < 2; i++)
		k->disks[0].images[i].readable = true;
	k->disks[1].images[0].readable = true;
	assert_true(checkup_is_stale(k, SNAPSHOT(INTERNAL)));
	k->disks[0].images[1].snapshots = 1;
	assert_false(checkup_is_stale(k, SNAPSHOT(INTERNAL)));
	/* nothing is known of it */
	assert_false(checkup_is_stale(k, SNAPSHOT("")));
	assert_false(checkup_is_stale(k, "torn"));
	checkup_free(k);
}

/* Only a lock that somebody holds is a claim, and asking takes none. */
static void claims(void **state)
{
	char dir[] = "/tmp/checkup.XXXXXX";
	int first = -1;
	int again = -1;

	(void)state;
	assert_non_null(mkdtemp(dir));
	assert_false(claim_held(dir, UUID_WEB));
	assert_int_equal(claim_take(dir, UUID_WEB, "w", &first, &e), 0);
	assert_true(claim_held(dir, UUID_WEB));
	assert_false(claim_held(dir, UUID_OTHER));
	close(first);
	assert_false(claim_held(dir, UUID_WEB));
	assert_int_equal(claim_take(dir, UUID_WEB, "w", &again, &e), 0);
	close(again);
	autofree char *path = mem_fmt("%s/%s.lock", dir, UUID_WEB);

	unlink(path);
	rmdir(dir);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(definition),
		cmocka_unit_test(live_and_kept),
		cmocka_unit_test(snapshots),
		cmocka_unit_test(claims),
	};

	return cmocka_run_group_tests_name("virt/checkup", tests, NULL, NULL);
}
