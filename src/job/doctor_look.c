/* SPDX-License-Identifier: Apache-2.0 */
#include "job/doctor_look.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/kvm.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/resource.h>
#include <sys/timex.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "base/file.h"
#include "base/mem.h"

#define MAX_FILE (1u << 20)
#define KVM_API  12 /* the only one there ever was */

#define FORMAT_KEY "snapshot_image_format"

/* The whole file as text, or NULL.  Free it. */
static char *load(const char *path)
{
	struct buf b = BUF_INIT;
	struct err ignored = ERR_INIT;
	char *text = NULL;

	if (file_load(path, MAX_FILE, &b, &ignored) == 0) {
		*buf_room(&b, 1) = 0;
		text = mem_strdup((const char *)b.p);
	}
	buf_fini(&b);
	return text;
}

static void look_kvm(struct doctor_host *h)
{
	autofd int fd = open("/dev/kvm", O_RDWR | O_CLOEXEC);

	h->kvm = fd >= 0 || errno != ENOENT;
	h->kvm_denied = fd < 0 && (errno == EACCES || errno == EPERM);
	if (fd < 0 || ioctl(fd, KVM_GET_API_VERSION, 0) != KVM_API)
		return;
	autofd int vm = ioctl(fd, KVM_CREATE_VM, 0);

	h->kvm_works = vm >= 0;
}

/* ---- the network ---- */

static bool is_among(char *const *names, size_t count, const char *name)
{
	for (size_t i = 0; i < count; i++)
		if (strcmp(names[i], name) == 0)
			return true;
	return false;
}

/* Iface Destination Gateway Flags RefCnt Use Metric Mask ... */
static bool is_default(const char *line, char card[64])
{
	char to[9], mask[9];

	return sscanf(line, "%63s %8s %*s %*s %*s %*s %*s %8s", card, to,
		      mask) == 3 &&
	       strcmp(to, "00000000") == 0 && strcmp(mask, "00000000") == 0;
}

size_t look_routes(const char *text, char *cards[LOOK_ROUTES])
{
	size_t count = 0;
	char card[64];

	while (*text != '\0' && count < LOOK_ROUTES) {
		if (is_default(text, card) && !is_among(cards, count, card))
			cards[count++] = mem_strdup(card);
		text += strcspn(text, "\n");
		text += *text == '\n';
	}
	return count;
}

static int rp_filter(const char *card)
{
	autofree char *path =
		mem_fmt("/proc/sys/net/ipv4/conf/%s/rp_filter", card);
	autofree char *text = load(path);

	return text != NULL ? atoi(text) : 0;
}

/* What counts is the larger of a card's own value and that of "all". */
static void look_net(struct doctor_host *h)
{
	autofree char *text = load("/proc/net/route");
	char *cards[LOOK_ROUTES];
	size_t count = text != NULL ? look_routes(text, cards) : 0;
	int all = rp_filter("all");

	for (size_t i = 0; i < count; i++) {
		int own = rp_filter(cards[i]);

		if (h->strict == NULL && (own > all ? own : all) == 1)
			h->strict = mem_strdup(cards[i]);
		free(cards[i]);
	}
	h->routes = (unsigned)count;
}

/* ---- libvirt's settings ---- */

/* key = "value" at the start of a line. */
static char *value_in(const char *line)
{
	line += strspn(line, " \t");
	if (strncmp(line, FORMAT_KEY, strlen(FORMAT_KEY)) != 0)
		return NULL;
	line += strlen(FORMAT_KEY);
	line += strspn(line, " \t");
	if (*line != '=')
		return NULL;
	line++;
	line += strspn(line, " \t");
	if (*line != '"' && *line != '\'')
		return NULL;
	const char quote[] = { *line, '\n', '\0' };
	size_t n = strcspn(line + 1, quote);

	return mem_fmt("%.*s", (int)n, line + 1);
}

char *look_image_format(const char *text)
{
	char *found = NULL;

	while (*text != '\0') {
		char *value = value_in(text);

		if (value != NULL) { /* the last one counts */
			free(found);
			found = value;
		}
		text += strcspn(text, "\n");
		text += *text == '\n';
	}
	return found;
}

static char *session_conf(void)
{
	const char *xdg = getenv("XDG_CONFIG_HOME");
	const char *home = getenv("HOME");

	if (xdg != NULL && xdg[0] == '/')
		return path_join(xdg, "libvirt/qemu.conf");
	return home != NULL ? path_join(home, ".config/libvirt/qemu.conf")
			    : NULL;
}

char *look_qemu_conf(const char *uri)
{
	static const char embed[] = "qemu:///embed?root=";

	if (uri == NULL)
		uri = getenv("LIBVIRT_DEFAULT_URI");
	if (uri == NULL)
		uri = geteuid() == 0 ? "qemu:///system" : "qemu:///session";
	if (strcmp(uri, "qemu:///system") == 0)
		return mem_strdup("/etc/libvirt/qemu.conf");
	if (strcmp(uri, "qemu:///session") == 0)
		return session_conf();
	if (strncmp(uri, embed, strlen(embed)) == 0)
		return path_join(uri + strlen(embed), "etc/qemu.conf");
	return NULL;
}

static void look_libvirt(const struct job *j, struct doctor_host *h)
{
	autofree char *path = look_qemu_conf(j->uri);
	autofree char *text = path != NULL ? load(path) : NULL;

	if (text == NULL)
		return;
	h->image_format = look_image_format(text);
	h->config = mem_take(&path);
}

/* ---- all of it ---- */

uint32_t look_kernel(const char *release)
{
	unsigned major, minor;

	if (sscanf(release, "%u.%u", &major, &minor) != 2 || major > 255 ||
	    minor > 255)
		return 0;
	return major << 8 | minor;
}

static uint64_t memlock(void)
{
	struct rlimit limit;

	/* root's capability stands above the limit */
	if (geteuid() == 0 || getrlimit(RLIMIT_MEMLOCK, &limit) < 0)
		return UINT64_MAX;
	return limit.rlim_cur == RLIM_INFINITY ? UINT64_MAX : limit.rlim_cur;
}

void look_host(const struct job *j, struct doctor_host *h)
{
	struct timex clock = { .modes = 0 };
	struct utsname name;

	look_kvm(h);
	look_net(h);
	look_libvirt(j, h);
	h->clock_loose = adjtimex(&clock) == TIME_ERROR;
	h->memlock = memlock();
	if (uname(&name) == 0)
		h->kernel = look_kernel(name.release);
}

void look_host_fini(struct doctor_host *h)
{
	free(h->strict);
	free(h->config);
	free(h->image_format);
	*h = (struct doctor_host){ .kvm = false };
}
