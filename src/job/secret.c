/* SPDX-License-Identifier: Apache-2.0 */
#include "job/secret.h"

#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>

#include "codec/keys.h"

void job_secret_guard(void)
{
	const struct rlimit none = { 0, 0 };

	/* either may be forbidden; then the other one is left, and both only
	 * help against what should not happen */
	(void)setrlimit(RLIMIT_CORE, &none);
	(void)prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
}

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
