/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the program in the kernel tells the agent: records in a ring buffer, each with a fixed part and, some of them, a tail.
 * `agent/src/sense/exec_ebpf/record.rs` reads them and asserts the sizes given here. Numbers are in the order of the machine's
 * bytes; times are nanoseconds since the boot, with those that it slept.
 */
#ifndef PICKET_H
#define PICKET_H

#include "vmlinux.h"

enum kind {
	/* Says nothing: it only wakes the reader. */
	NUDGE = 0,
	EXEC = 1,
	FORK = 2,
	EXIT = 3,
	CONNECT = 4,
	ACCEPT = 5,
	LISTEN = 6,
	SIGNAL = 7,
	/* A process that was there before: an EXEC without arguments and environment. */
	RUNNING = 8,
	KINDS = 9,
};

/* Of an EXEC or RUNNING record, but for the last. */
enum flags {
	/* The file's path: longer or deeper than is walked. */
	PATH_CUT = 1,
	/* The file's path ends in no mount namespace: it was unmounted, or never mounted. */
	PATH_LOOSE = 2,
	/* The file never had a path, as one of memfd_create. */
	PATH_NONE = 4,
	/* Any of that of the working directory. */
	CWD_UNSURE = 8,
	/* There are arguments, but they could not be read. */
	ARGS_UNREAD = 16,
	/* The settings exclude the file that runs: arguments and environment are left out. Or whoever begins to listen. */
	EXCLUDED = 32,
};

struct header {
	u64 time;
	u32 size;
	u16 kind;
	u16 flags;
};

struct process {
	u64 start;
	u32 pid;
	u32 unused;
};

struct identity {
	u32 uid;
	u32 euid;
	u32 suid;
	u32 gid;
	u32 egid;
	/* All ones: none. */
	u32 login_uid;
	u32 session;
	u32 unused;
};

#define ANCESTORS 8
#define TTY 16

struct exec {
	struct header header;
	struct process process;
	struct identity identity;
	u64 inode;
	u64 cgroup;
	/* Which content the file has: its length, and when it or what is said of it was last changed, since 1970. */
	u64 file_size;
	s64 changed;
	/* As the kernel has it within: 12 bits, 20 bits. */
	u32 device;
	u32 mode;
	u32 owner;
	u32 links;
	/* 0 where the file system has none. */
	u32 generation;
	u32 mount_namespace;
	u32 pid_namespace;
	u32 argc;
	/* How many bytes there are of arguments and environment, of which the tail may have less. */
	u32 args_size;
	u32 env_size;
	/* The parts of the tail, in its order: names from the file up to the root, each with a zero at its end; the same of the
	 * working directory; the name by which it was started; arguments; environment. */
	u32 path_length;
	u32 cwd_length;
	u32 name_length;
	u32 args_length;
	u32 env_length;
	u32 changed_nanos;
	char tty[TTY];
	struct process ancestors[ANCESTORS];
};

struct fork {
	struct header header;
	struct process parent;
	struct process child;
	struct identity identity;
};

struct exit {
	struct header header;
	struct process process;
	/* As `wait` has it. */
	u32 status;
	u32 unused;
};

struct connection {
	struct header header;
	/* Of a CONNECT whoever asks for it, of a LISTEN whoever listens, of an ACCEPT nobody: it happens in an interrupt. */
	struct process process;
	struct identity identity;
	u32 network_namespace;
	u16 family;
	u16 local_port;
	u16 remote_port;
	u16 unused;
	u32 local_v4;
	u32 remote_v4;
	u32 unused_too;
	u8 local_v6[16];
	u8 remote_v6[16];
};

struct signal {
	struct header header;
	struct process sender;
	struct process target;
	u32 number;
	u32 unused;
};

struct nudge {
	struct header header;
};

/* Two compilers read this: both must see the same. */
_Static_assert(sizeof(struct header) == 16, "header");
_Static_assert(sizeof(struct process) == 16, "process");
_Static_assert(sizeof(struct identity) == 32, "identity");
_Static_assert(sizeof(struct exec) == 304, "exec");
_Static_assert(sizeof(struct fork) == 80, "fork");
_Static_assert(sizeof(struct exit) == 40, "exit");
_Static_assert(sizeof(struct connection) == 120, "connection");
_Static_assert(sizeof(struct signal) == 56, "signal");

#endif
