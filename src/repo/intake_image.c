/* SPDX-License-Identifier: Apache-2.0 */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/num.h"
#include "repo/intake_internal.h"

void images_wake(struct intake *in)
{
	pthread_mutex_lock(&in->images_lock);
	for (struct intake_image *i = in->images; i != NULL; i = i->next) {
		pthread_mutex_lock(&i->lock);
		pthread_cond_broadcast(&i->change);
		pthread_mutex_unlock(&i->lock);
	}
	pthread_mutex_unlock(&in->images_lock);
}

void image_done(struct intake_image *img)
{
	pthread_mutex_lock(&img->lock);
	assert(img->under_way > 0);
	if (--img->under_way == 0)
		pthread_cond_broadcast(&img->change);
	pthread_mutex_unlock(&img->lock);
}

void image_forget(struct intake *in, struct intake_image *img)
{
	pthread_mutex_lock(&in->images_lock);
	struct intake_image **at = &in->images;

	while (*at != img)
		at = &(*at)->next;
	*at = img->next;
	pthread_mutex_unlock(&in->images_lock);
	image_free(img);
}

/* Too large for the tree is a failure of the whole. */
static uint64_t check_size(struct intake *in, uint64_t size)
{
	struct err e = ERR_INIT;

	if (size <= IMAGE_MAX_SIZE)
		return size;
	err_set(&e, ERR_REFUSED, "an image of %llu bytes is larger than 16 PiB",
		(unsigned long long)size);
	intake_fail(in, &e);
	return 0;
}

struct intake_image *intake_image(struct intake *in, uint64_t size)
{
	struct intake_image *img = mem_zalloc(1, sizeof(*img));

	size = check_size(in, size);
	img->size = size;
	img->extents = num_parts(size, EXTENT_SIZE);
	img->block_count = (size_t)num_parts(img->extents, TREE_FANOUT);
	img->blocks =
		mem_zalloc(img->block_count, sizeof(struct extent_block *));
	pthread_mutex_init(&img->lock, NULL);
	pthread_cond_init(&img->change, NULL);
	pthread_mutex_lock(&in->images_lock);
	img->next = in->images;
	in->images = img;
	pthread_mutex_unlock(&in->images_lock);
	return img;
}

uint8_t *intake_buffer(struct intake *in, struct err *e)
{
	void *b;

	if (queue_pop(in->free, &b) == 1)
		return b;
	if (intake_alive(in, e) == 0)
		err_set(e, ERR_STOPPED, "stopped");
	return NULL;
}

void intake_unbuffer(struct intake *in, uint8_t *buffer)
{
	if (queue_push(in->free, buffer) < 0)
		free(buffer);
}

void intake_grow(struct intake *in, struct intake_image *img, uint64_t size)
{
	size = check_size(in, size);
	pthread_mutex_lock(&img->lock);
	size = num_max(size, img->size); /* it never shrinks */
	size_t old = img->block_count;

	img->size = size;
	img->extents = num_parts(size, EXTENT_SIZE);
	img->block_count = (size_t)num_parts(img->extents, TREE_FANOUT);
	img->blocks =
		mem_grow(img->blocks, img->block_count, sizeof(*img->blocks));
	for (size_t i = old; i < img->block_count; i++)
		img->blocks[i] = NULL;
	pthread_mutex_unlock(&img->lock);
}

static struct extent_job *job_new(struct intake_image *img, uint64_t number,
				  uint8_t *buffer)
{
	struct extent_job *job = mem_alloc(sizeof(*job));

	pthread_mutex_lock(&img->lock);
	assert(number < img->extents);
	*job = (struct extent_job){
		.image = img,
		.number = number,
		.valid = num_min(EXTENT_SIZE, img->size - number * EXTENT_SIZE),
		.buffer = buffer,
	};
	img->under_way++;
	pthread_mutex_unlock(&img->lock);
	return job;
}

int intake_put(struct intake *in, struct intake_image *img, uint64_t number,
	       uint8_t *buffer, struct err *e)
{
	/* an image that failed may have no such extent */
	if (intake_alive(in, e) < 0) {
		intake_unbuffer(in, buffer);
		return -1;
	}
	struct extent_job *job = job_new(img, number, buffer);

	if (queue_push(in->work, job) == 0)
		return 0;
	image_done(img);
	intake_unbuffer(in, buffer);
	free(job);
	if (intake_alive(in, e) == 0)
		err_set(e, ERR_STOPPED, "stopped");
	return -1;
}

/* After a failure jobs stay in the queue, and intake_close() frees them:
 * nobody waits for them. */
static int wait_for_extents(struct intake *in, struct intake_image *img,
			    struct err *e)
{
	pthread_mutex_lock(&img->lock);
	while (img->under_way > 0 && !atomic_load(&in->failed))
		pthread_cond_wait(&img->change, &img->lock);
	pthread_mutex_unlock(&img->lock);
	return intake_alive(in, e);
}

int intake_finish(struct intake *in, struct intake_image *img,
		  struct image_root *root, struct err *e)
{
	if (wait_for_extents(in, img, e) < 0)
		return -1;
	pthread_mutex_lock(&in->main_lock);
	pthread_rwlock_rdlock(&in->running);
	int built = image_root(in->main, img, root, e);

	if (built < 0)
		intake_fail(in, e);
	pthread_rwlock_unlock(&in->running);
	pthread_mutex_unlock(&in->main_lock);
	image_forget(in, img);
	return built < 0 ? intake_alive(in, e) : 0;
}

int intake_bytes(struct intake *in, const void *data, size_t size,
		 struct image_root *root, struct err *e)
{
	struct intake_image *img = intake_image(in, size);
	const uint8_t *p = data;

	for (uint64_t i = 0; i < img->extents; i++) {
		size_t n = num_min(EXTENT_SIZE, size - i * EXTENT_SIZE);
		uint8_t *b = intake_buffer(in, e);

		if (b == NULL)
			return -1;
		memcpy(b, p + i * EXTENT_SIZE, n);
		memset(b + n, 0, EXTENT_SIZE - n);
		if (intake_put(in, img, i, b, e) < 0)
			return -1;
	}
	return intake_finish(in, img, root, e);
}
