/* SPDX-License-Identifier: Apache-2.0 */
#ifndef VMKEEP_BASE_FILE_H
#define VMKEEP_BASE_FILE_H

/*
 * Files and folders.  Everything is opened with O_CLOEXEC; short reads and
 * writes and EINTR are handled here and nowhere else.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>
#include <sys/uio.h>

#include "base/bytes.h"
#include "base/err.h"

#define autofd AUTO(fd_close_at)

/* Close *fd unless it is negative.  For AUTO(). */
void fd_close_at(int *fd);

/* Give the descriptor away: returns *fd and leaves -1. */
int fd_take(int *fd);

/*
 * open(2), without O_CREAT, of what may be a volume of ZFS.  The first open of
 * one wants the lock of all pools, and when another command has it just then,
 * OpenZFS lets ERESTARTSYS (512) through to us, which no program is to see
 * (zvol_open() in zvol_os.c): tried again then, for up to 5 s.
 */
int fd_open(const char *path, int flags);

/* Is it what is at the path now? */
bool fd_is_at(int fd, const char *path);

/* Read exactly n bytes at offset; fewer is ERR_INTEGRITY ("ends early"). */
int fd_pread_full(int fd, void *to, size_t n, uint64_t offset, struct err *e);

/* Read until n bytes are there or the file ends; *got says how many. */
int fd_read_some(int fd, void *to, size_t n, size_t *got, struct err *e);

int fd_write_full(int fd, const void *from, size_t n, struct err *e);
int fd_pwrite_full(int fd, const void *from, size_t n, uint64_t offset,
		   struct err *e);

/* All of count (at most 1,024) pieces of memory, one after the other; iov is
 * used up. */
int fd_pwritev_full(int fd, struct iovec *iov, size_t count, uint64_t offset,
		    struct err *e);

/* The whole file, at most max bytes (more is ERR_INTEGRITY), appended to b.
 * NOT_FOUND when there is none. */
int file_load(const char *path, size_t max, struct buf *b, struct err *e);

/* Write a file so that after a crash there is the old one or the new one:
 * temporary file beside it, fdatasync, rename, fsync of the folder. */
int file_save(const char *path, mode_t mode, const void *data, size_t size,
	      struct err *e);

/* mkdir -p; existing folders are fine and keep their mode. */
int dir_make(const char *path, mode_t mode, struct err *e);

/* fsync the folder, so that names made or removed in it stay so. */
int dir_sync(const char *path, struct err *e);

/* The folder part of a path ("." when there is none).  Free it. */
char *path_dir(const char *path);

/* The last part of a path, inside it. */
const char *path_base(const char *path);

/* dir/name in a new string.  Free it. */
char *path_join(const char *dir, const char *name);

/*
 * Take an exclusive lock (flock) on the file, which is made when missing and
 * stays.  *fd holds the lock until it is closed.  ERR_BUSY when another
 * process has it; the message names the file, and its holder's process id
 * where the holder wrote it (this call writes ours).
 */
int file_lock(const char *path, int *fd, struct err *e);

/* Of the file system that holds path, in bytes. */
struct file_room {
	uint64_t size;
	uint64_t free; /* for us */
};

int file_room(const char *path, struct file_room *room, struct err *e);

/* Is there anything of this name (links not followed)? */
bool file_exists(const char *path);

#endif
