/* SPDX-License-Identifier: MIT
 *
 * How many Ps there should be: what the program asked for, else WEFT_MAXPROCS, else the CPUs it may
 * use, which can change while it runs.
 */
#ifndef WI_CORE_PROCS_H
#define WI_CORE_PROCS_H

/* The number for a run that starts. */
int wi_procs_wanted(void);

/* Sets the number, in a run or for the next. The previous one; n < 1 only reads. */
int wi_procs_set(int n);

/* Applies a changed number of CPUs, unless the program or the environment has set one. */
void wi_procs_follow_cpus(void);

#endif
