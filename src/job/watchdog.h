/* SPDX-License-Identifier: Apache-2.0 */
#ifndef VMKEEP_JOB_WATCHDOG_H
#define VMKEEP_JOB_WATCHDOG_H

/*
 * The hidden command that a capture starts beside itself (virt/recover.h).
 * argv[0] is the command's name.  Returns the exit code.
 */
int job_watchdog(int argc, char **argv);

#endif
