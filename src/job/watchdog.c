/* SPDX-License-Identifier: Apache-2.0 */
#include "job/watchdog.h"

#include "virt/recover.h"

int job_watchdog(int argc, char **argv)
{
	return watchdog_main(argc, argv);
}
