/* cpus.h - processors that this process may use: affinity mask and cgroup quota. */
#ifndef CPUS_H
#define CPUS_H

/* Processors in the affinity mask, cut down to the cgroup's quota. A fraction of a
 * processor counts as one, unless it is below a tenth and there are whole ones. At least 1. */
int cpus_available(void);

/* The tightest CPU quota of a process's cgroups and of those above them, in
 * thousandths of a processor, or -1 without any: version 2 (cpu.max) and version
 * 1 (cpu.cfs_quota_us, cpu.cfs_period_us). `groups` is the path of its list of
 * cgroups, /proc/self/cgroup, and `mounts` the folder of their mounts,
 * /sys/fs/cgroup. In a container whose list names the host's folders, the mount's
 * own files are what remains of them. cgroups(7). */
long cpus_quota(const char *groups, const char *mounts);

#endif
