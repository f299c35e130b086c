/* SPDX-License-Identifier: Apache-2.0 */
#include "disk/socket.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

bool socket_name_fits(const char *path)
{
	return strlen(path) < sizeof(((struct sockaddr_un *)0)->sun_path);
}

int socket_connect(const char *path, struct err *e)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };

	if (!socket_name_fits(path))
		return err_sysno(e, ENAMETOOLONG, "socket '%s'", path);
	memcpy(address.sun_path, path, strlen(path));

	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return err_sys(e, "cannot make a socket");
	if (connect(fd, (struct sockaddr *)&address, sizeof(address)) == 0)
		return fd;
	err_sys(e, "cannot connect to '%s'", path);
	close(fd);
	return -1;
}
