/* SPDX-License-Identifier: Apache-2.0 */
#include "job/secret.h"

#include <string.h>

#include "codec/keys.h"

char *job_secret_new(size_t size, struct err *e)
{
	if (keys_init(e) < 0)
		return NULL;

	char *secret = keys_secret_alloc(size, e);

	if (secret != NULL)
		memset(secret, 0, size);
	return secret;
}

void job_secret_free(char *secret)
{
	keys_secret_free(secret);
}
