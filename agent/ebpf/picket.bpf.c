/* SPDX-License-Identifier: Apache-2.0 OR GPL-2.0-only OR BSD-2-Clause */
/*
 * The sensor's part in the kernel: what processes do, seen where it happens, and all of it that is gone a millisecond later.
 *
 * All programs but two are on tracepoints with types (tp_btf), which have been stable since 5.8, cost nothing where they are
 * not attached, and need neither tracefs nor kprobes. The two iterators tell at the start what there was before. All hold for
 * 5.10, so there is no bpf_loop, no kfunc and no dynptr.
 *
 * Losses are counted, never hidden: `lost` for what found the ring full; what the kernel itself passes over (a program that
 * would interrupt itself) it counts as recursion_misses of the program.
 */
#include "helpers.h"
#include "picket.h"

char LICENSE[] SEC("license") = "Dual BSD/GPL";

#define PF_KTHREAD 0x00200000
#define SIGNAL_GROUP_EXIT 4
#define S_IFMT 0170000
#define S_IFSOCK 0140000
#define AF_INET 2
#define AF_INET6 10
#define IPPROTO_TCP 6
#define TCP_ESTABLISHED 1
#define TCP_SYN_SENT 2
#define TCP_SYN_RECV 3
#define TCP_LISTEN 10

/* The longest of each part of a record's tail. */
#define PATH_MOST 4096
#define NAME_MOST 256
#define ARGS_MOST 32768
#define ENV_MOST 32768
/* Namespaces of pids lie no deeper in one another. */
#define PID_SPACES 32
/* How far up a path, and up the cgroups, is walked. */
#define STEPS 64
#define CGROUPS 8

/* Settings, which the loader fills in before the program is verified: what is switched off costs nothing. */
const volatile u32 take_environment = 0;
const volatile u32 exclude_images = 0;
const volatile u32 exclude_cgroups = 0;
/* The inodes of the namespaces of pids and of the network that the agent is in, where it is not in the host's first: it is told
 * of what is in its namespace of pids alone, by the numbers that this has. 0 in the first, which has all processes. */
const volatile u32 pid_space = 0;
const volatile u32 net_space = 0;
/* With so many bytes unread the reader is woken in any case. */
const volatile u64 much = 1 << 20;

struct {
	MAP_UINT(type, BPF_MAP_TYPE_RINGBUF);
	MAP_UINT(max_entries, 8 << 20);
} ring SEC(".maps");

/* How deep the reader sleeps. */
enum sleep {
	AWAKE = 0,
	/* Whatever is urgent wakes it. */
	ASLEEP = 1,
	/* It comes back by itself in a moment: under load one wake-up serves many records. */
	NAPPING = 2,
};

struct {
	MAP_UINT(type, BPF_MAP_TYPE_ARRAY);
	MAP_UINT(max_entries, 1);
	MAP_TYPE(key, u32);
	MAP_TYPE(value, u32);
} reader SEC(".maps");

/* By kind of record. */
struct {
	MAP_UINT(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	MAP_UINT(max_entries, KINDS);
	MAP_TYPE(key, u32);
	MAP_TYPE(value, u64);
} lost SEC(".maps");

/* A file. Numbers of inodes are used again, with another generation. */
struct image {
	u64 inode;
	u32 device;
	u32 generation;
};

struct {
	MAP_UINT(type, BPF_MAP_TYPE_LRU_HASH);
	MAP_UINT(max_entries, 1024);
	MAP_TYPE(key, struct image);
	MAP_TYPE(value, u8);
} images SEC(".maps");

struct {
	MAP_UINT(type, BPF_MAP_TYPE_LRU_HASH);
	MAP_UINT(max_entries, 1024);
	MAP_TYPE(key, u64);
	MAP_TYPE(value, u8);
} cgroups SEC(".maps");

/* A record in the making. It is too large for the stack, and for a value of each CPU (32 KiB at most): so the loader makes as
 * many entries as there are CPUs. The kernel lets no program interrupt itself on one CPU, and each has a scratch of its own. */
struct scratch {
	struct exec exec;
	u8 tail[3 * PATH_MOST + NAME_MOST + ARGS_MOST + ENV_MOST];
	/* Where the tail ends. It lies here and not in a register so that the verifier sees the same at each step of a walk. */
	u32 end;
};

struct {
	MAP_UINT(type, BPF_MAP_TYPE_ARRAY);
	MAP_UINT(max_entries, 1);
	MAP_TYPE(key, u32);
	MAP_TYPE(value, struct scratch);
} scratch SEC(".maps");

struct {
	MAP_UINT(type, BPF_MAP_TYPE_ARRAY);
	MAP_UINT(max_entries, 1);
	MAP_TYPE(key, u32);
	MAP_TYPE(value, struct scratch);
} seed_scratch SEC(".maps");

INLINE bool rouses(u32 *sleep, bool urgent)
{
	if (!sleep || *(volatile u32 *)sleep == AWAKE)
		return 0;
	if (urgent && *(volatile u32 *)sleep == ASLEEP)
		return 1;
	return bpf_ringbuf_query(&ring, BPF_RB_AVAIL_DATA) >= much;
}

INLINE void lose(u32 kind)
{
	u64 *count = bpf_map_lookup_elem(&lost, &kind);

	if (count)
		*count += 1;
}

/* Puts a record into the ring. A wake-up costs more than all the rest, so only one who sleeps is woken, and only once. */
INLINE void emit(void *record, u32 kind, u64 size, bool urgent)
{
	u32 zero = 0;
	u32 *sleep = bpf_map_lookup_elem(&reader, &zero);
	u64 wake = BPF_RB_NO_WAKEUP;
	u32 before = AWAKE;

	if (rouses(sleep, urgent)) {
		before = *(volatile u32 *)sleep;
		*(volatile u32 *)sleep = AWAKE;
		wake = BPF_RB_FORCE_WAKEUP;
	}
	if (bpf_ringbuf_output(&ring, record, size, wake)) {
		/* What finds no room wakes nobody: the next has to. */
		if (sleep && before != AWAKE)
			*(volatile u32 *)sleep = before;
		lose(kind);
		return;
	}
	/* It may have gone to sleep after it was looked at and before the record was there: it looks once more after it said
	 * so, and this looks once more after the record is there, so that one of the two sees the other. */
	if (wake == BPF_RB_NO_WAKEUP && urgent && rouses(sleep, urgent)) {
		struct nudge nudge;

		nudge.header.time = 0;
		nudge.header.size = sizeof(nudge);
		nudge.header.kind = NUDGE;
		nudge.header.flags = 0;
		*(volatile u32 *)sleep = AWAKE;
		bpf_ringbuf_output(&ring, &nudge, sizeof(nudge), BPF_RB_FORCE_WAKEUP);
	}
}

INLINE void head(struct header *header, u16 kind, u32 size)
{
	header->time = bpf_ktime_get_boot_ns();
	header->size = size;
	header->kind = kind;
	header->flags = 0;
}

/* The number of a task in the agent's namespace of pids; 0 when it has none there. */
INLINE u32 number(struct task_struct *task)
{
	struct pid *pid;
	u32 depth;

	if (!pid_space)
		return READ(task, tgid);
	pid = READ(task, thread_pid);
	depth = READ(pid, level);
	for (u32 level = 0; level <= PID_SPACES && level <= depth; level++) {
		struct upid *place = (void *)&pid->numbers + level * sizeof(struct upid);
		struct pid_namespace *space = READ(place, ns);

		if (READ(space, ns.inum) == pid_space)
			return READ(place, nr);
	}
	return 0;
}

/* Whether a task is in no namespace that the agent sees. */
INLINE bool foreign(struct task_struct *task)
{
	return pid_space && !number(task);
}

/* Which process a task belongs to. Its start is the leader's, as in /proc. */
INLINE void name(struct process *process, struct task_struct *task)
{
	struct task_struct *leader = READ(task, group_leader);

	process->pid = number(leader);
	process->start = READ(leader, start_boottime);
	process->unused = 0;
}

INLINE void identify(struct identity *identity, struct task_struct *task)
{
	struct cred *cred = READ(task, cred);

	identity->login_uid = ~0u;
	identity->session = ~0u;
	/* Both are there only where the kernel was built with audit. */
	if (HAS(task->loginuid)) {
		identity->login_uid = READ(task, loginuid.val);
		identity->session = READ(task, sessionid);
	}
	identity->uid = READ(cred, uid.val);
	identity->euid = READ(cred, euid.val);
	identity->suid = READ(cred, suid.val);
	identity->gid = READ(cred, gid.val);
	identity->egid = READ(cred, egid.val);
	identity->unused = 0;
}

INLINE u64 cgroup_of(struct task_struct *task)
{
	struct css_set *set = READ(task, cgroups);
	struct cgroup *group = READ(set, dfl_cgrp);
	struct kernfs_node *node = READ(group, kn);

	return READ(node, id);
}

/* Whether the settings exclude its cgroup, or one that this lies in. */
INLINE bool excluded(struct task_struct *task)
{
	struct css_set *set;
	struct cgroup *group;

	if (!exclude_cgroups)
		return 0;
	set = READ(task, cgroups);
	group = READ(set, dfl_cgrp);
	for (int step = 0; step < CGROUPS && group; step++) {
		struct kernfs_node *node = READ(group, kn);
		u64 id = READ(node, id);
		struct cgroup_subsys_state *above;

		if (bpf_map_lookup_elem(&cgroups, &id))
			return 1;
		above = READ(group, self.parent);
		group = above ? (void *)above - OFFSET_OF(struct cgroup, self) : 0;
	}
	return 0;
}

/*
 * Adds the names of a path to the tail, the last one first. `bpf_d_path` is not for tracepoints, so this walks as the kernel
 * does: up the directories of a mount, then on from the place where it is mounted, until a mount that lies on itself. It takes
 * no locks: while a directory above is renamed, a path may be read of which one part is from before and another from after.
 */
INLINE u16 walk(struct scratch *s, struct dentry *dentry, struct vfsmount *point)
{
	struct mount *mount = (void *)point - OFFSET_OF(struct mount, mnt);
	struct dentry *root = READ(point, mnt_root);
	u32 begin = s->end;
	u16 flags = PATH_CUT;

	for (int step = 0; step < STEPS; step++) {
		struct dentry *parent = READ(dentry, d_parent);
		u32 end = s->end;
		long length;

		if (dentry == root) {
			struct mount *above = READ(mount, mnt_parent);

			if (above == mount || !above) {
				flags = READ(mount, mnt_ns) ? 0 : PATH_LOOSE;
				break;
			}
			dentry = READ(mount, mnt_mountpoint);
			mount = above;
			root = READ(mount, mnt.mnt_root);
			continue;
		}
		if (end - begin > PATH_MOST - NAME_MOST || end > 3 * PATH_MOST - NAME_MOST)
			break;
		length = bpf_probe_read_kernel_str(&s->tail[end], NAME_MOST, READ(dentry, d_name.name));
		if (length <= 0 || length > NAME_MOST)
			break;
		s->end = end + length;
		if (dentry == parent) {
			/* The top of no mount. */
			flags = PATH_NONE;
			break;
		}
		dentry = parent;
	}
	return flags;
}

/* Which content a file has. */
INLINE void date(struct exec *exec, struct inode *inode)
{
	struct inode___in_parts *parts = (void *)inode;
	struct inode___hidden *hidden = (void *)inode;
	struct inode___plain *plain = (void *)inode;

	exec->file_size = READ(inode, i_size);
	exec->changed = 0;
	exec->changed_nanos = 0;
	if (HAS(parts->i_ctime_sec)) {
		exec->changed = READ(parts, i_ctime_sec);
		/* The highest bit notes that somebody has asked. */
		exec->changed_nanos = READ(parts, i_ctime_nsec) & ~(1u << 31);
	} else if (HAS(hidden->__i_ctime)) {
		exec->changed = READ(hidden, __i_ctime.tv_sec);
		exec->changed_nanos = READ(hidden, __i_ctime.tv_nsec);
	} else if (HAS(plain->i_ctime)) {
		exec->changed = READ(plain, i_ctime.tv_sec);
		exec->changed_nanos = READ(plain, i_ctime.tv_nsec);
	}
}

/* What an exec and a process that was there before have in common. */
INLINE void describe(struct scratch *s, struct task_struct *task, struct mm_struct *mm, u16 kind)
{
	struct exec *exec = &s->exec;
	struct nsproxy *spaces = READ(task, nsproxy);
	struct mnt_namespace *mounts = READ(spaces, mnt_ns);
	struct signal_struct *signal = READ(task, signal);
	struct tty_struct *tty = READ(signal, tty);
	struct pid *pid = READ(task, thread_pid);
	struct pid_namespace *pids = 0;
	struct fs_struct *fs = READ(task, fs);
	struct file *file = READ(mm, exe_file);
	struct inode *inode = READ(file, f_inode);
	struct super_block *super = READ(inode, i_sb);
	struct task_struct *up = task;
	u16 flags = PATH_CUT;

	head(&exec->header, kind, 0);
	name(&exec->process, task);
	identify(&exec->identity, task);
	exec->cgroup = cgroup_of(task);
	exec->mount_namespace = READ(mounts, ns.inum);
	/* Its own is that of the last number that it goes by. */
	bpf_probe_read_kernel(&pids, sizeof(pids),
			      (void *)&pid->numbers + OFFSET_OF(struct upid, ns) +
				      (READ(pid, level) & 63) * sizeof(struct upid));
	exec->pid_namespace = READ(pids, ns.inum);
	exec->tty[0] = 0;
	if (tty)
		bpf_probe_read_kernel_str(exec->tty, TTY, &tty->name);
	for (int at = 0; at < ANCESTORS; at++) {
		up = READ(up, real_parent);
		name(&exec->ancestors[at], up);
	}

	exec->inode = READ(inode, i_ino);
	exec->device = READ(super, s_dev);
	exec->mode = READ(inode, i_mode);
	exec->owner = READ(inode, i_uid.val);
	exec->links = READ(inode, i_nlink);
	exec->generation = READ(inode, i_generation);
	date(exec, inode);
	s->end = 0;
	if (file)
		flags = walk(s, READ(file, f_path.dentry), READ(file, f_path.mnt));
	exec->path_length = s->end;
	if (!fs || walk(s, READ(fs, pwd.dentry), READ(fs, pwd.mnt)))
		flags |= CWD_UNSURE;
	exec->cwd_length = s->end - exec->path_length;
	exec->header.flags = flags;
	exec->argc = 0;
	exec->args_size = 0;
	exec->env_size = 0;
	exec->name_length = 0;
	exec->args_length = 0;
	exec->env_length = 0;
}

/* Adds so many bytes of the process's own memory to the tail. How many it added. */
INLINE u32 take(struct scratch *s, unsigned long from, u32 size, u32 most)
{
	u32 end = s->end;

	if (size > most)
		size = most;
	/* So that the verifier knows it as well. */
	if (end > sizeof(s->tail) - most || size > most)
		return 0;
	if (bpf_probe_read_user(&s->tail[end], size, (void *)from))
		return 0;
	s->end = end + size;
	return size;
}

SEC("tp_btf/sched_process_exec")
int on_exec(u64 *context)
{
	struct task_struct *task = (void *)context[0];
	struct linux_binprm *program = (void *)context[2];
	u32 cpu = bpf_get_smp_processor_id();
	struct scratch *s = bpf_map_lookup_elem(&scratch, &cpu);
	struct mm_struct *mm = READ(task, mm);
	struct exec *exec;
	unsigned long from, to;
	u32 end;

	if (!mm || foreign(task) || excluded(task))
		return 0;
	if (!s) {
		lose(EXEC);
		return 0;
	}
	describe(s, task, mm, EXEC);
	exec = &s->exec;

	end = s->end;
	if (end <= 2 * PATH_MOST) {
		long length = bpf_probe_read_kernel_str(&s->tail[end], PATH_MOST, READ(program, filename));

		if (length > 0 && length <= PATH_MOST) {
			s->end = end + length;
			exec->name_length = length;
		}
	}
	exec->argc = READ(program, argc);
	if (exclude_images) {
		struct image image = {
			.inode = exec->inode,
			.device = exec->device,
			.generation = exec->generation,
		};

		if (bpf_map_lookup_elem(&images, &image))
			exec->header.flags |= EXCLUDED;
	}
	if (!(exec->header.flags & EXCLUDED)) {
		from = READ(mm, arg_start);
		to = READ(mm, arg_end);
		if (to > from) {
			exec->args_size = to - from;
			exec->args_length = take(s, from, to - from, ARGS_MOST);
			if (!exec->args_length)
				exec->header.flags |= ARGS_UNREAD;
		}
		from = READ(mm, env_start);
		to = READ(mm, env_end);
		if (take_environment && to > from) {
			exec->env_size = to - from;
			exec->env_length = take(s, from, to - from, ENV_MOST);
		}
	}

	end = s->end;
	if (end > sizeof(s->tail))
		return 0;
	exec->header.size = sizeof(*exec) + end;
	emit(s, EXEC, sizeof(*exec) + end, 1);
	return 0;
}

SEC("tp_btf/sched_process_fork")
int on_fork(u64 *context)
{
	struct task_struct *parent = (void *)context[0], *child = (void *)context[1];
	struct fork record;

	/* Threads are none of ours, neither of programs nor of the kernel. */
	if (READ(child, pid) != READ(child, tgid) || READ(child, flags) & PF_KTHREAD || foreign(child) ||
	    excluded(child))
		return 0;
	head(&record.header, FORK, sizeof(record));
	name(&record.parent, parent);
	name(&record.child, child);
	identify(&record.identity, child);
	emit(&record, FORK, sizeof(record), 0);
	return 0;
}

SEC("tp_btf/sched_process_exit")
int on_exit(u64 *context)
{
	struct task_struct *task = (void *)context[0];
	struct signal_struct *signal = READ(task, signal);
	struct exit record;

	/* The last of its threads; when two go at once both may be it, which the reader knows. */
	if (!signal || READ(signal, live.counter) || READ(task, flags) & PF_KTHREAD || excluded(task))
		return 0;
	if (foreign(READ(task, group_leader)))
		return 0;
	head(&record.header, EXIT, sizeof(record));
	name(&record.process, task);
	if (READ(signal, flags) & SIGNAL_GROUP_EXIT) {
		record.status = READ(signal, group_exit_code);
	} else {
		struct task_struct *leader = READ(task, group_leader);
		record.status = READ(leader, exit_code);
	}
	record.unused = 0;
	emit(&record, EXIT, sizeof(record), 0);
	return 0;
}

/* Both ends of a socket. Whether it is one of TCP over IP. */
INLINE bool ends(struct connection *record, struct sock *sock)
{
	struct sock_common *common = &sock->__sk_common;
	struct net *net = READ(common, skc_net.net);

	record->family = READ(common, skc_family);
	if (READ(sock, sk_protocol) != IPPROTO_TCP || (record->family != AF_INET && record->family != AF_INET6))
		return 0;
	record->network_namespace = READ(net, ns.inum);
	record->local_port = READ(common, skc_num);
	record->remote_port = __builtin_bswap16(READ(common, skc_dport));
	record->local_v4 = READ(common, skc_rcv_saddr);
	record->remote_v4 = READ(common, skc_daddr);
	if (record->family == AF_INET6 && HAS(common->skc_v6_daddr)) {
		bpf_probe_read_kernel(record->local_v6, sizeof(record->local_v6), &common->skc_v6_rcv_saddr);
		bpf_probe_read_kernel(record->remote_v6, sizeof(record->remote_v6), &common->skc_v6_daddr);
	}
	return 1;
}

SEC("tp_btf/inet_sock_set_state")
int on_connection(u64 *context)
{
	struct sock *sock = (void *)context[0];
	int before = context[1], now = context[2];
	struct connection record = {};
	u16 kind;

	if (now == TCP_SYN_SENT)
		kind = CONNECT;
	else if (now == TCP_ESTABLISHED && before == TCP_SYN_RECV)
		kind = ACCEPT;
	else if (now == TCP_LISTEN)
		kind = LISTEN;
	else
		return 0;
	if (!ends(&record, sock) || (kind == ACCEPT && net_space && record.network_namespace != net_space))
		return 0;
	head(&record.header, kind, sizeof(record));
	/* A connection that was accepted comes about in an interrupt: whoever runs just then has nothing to do with it. */
	if (kind != ACCEPT) {
		struct task_struct *task = (void *)bpf_get_current_task();

		if (READ(task, flags) & PF_KTHREAD || foreign(task))
			return 0;
		if (excluded(task)) {
			if (kind != LISTEN)
				return 0;
			record.header.flags = EXCLUDED;
		}
		name(&record.process, task);
		identify(&record.identity, task);
	}
	emit(&record, kind, sizeof(record), kind == CONNECT);
	return 0;
}

/* Signals that end or halt whoever has not prepared for them. */
#define WATCHED (1 << 1 | 1 << 2 | 1 << 3 | 1 << 6 | 1 << 9 | 1 << 11 | 1 << 15 | 1 << 19)

#define SI_USER 0
#define SI_QUEUE -1
#define SI_TKILL -6

SEC("tp_btf/signal_generate")
int on_signal(u64 *context)
{
	int number = context[0];
	struct kernel_siginfo *info = (void *)context[1];
	struct task_struct *target = (void *)context[2];
	struct task_struct *sender;
	struct signal record;
	int code;

	/* 0 and 1 in the place of an address: the kernel speaks for itself. Of the codes only these tell that somebody calls just
	 * now. A timer's signal comes about in an interrupt, which belongs to nobody; who claims to be a timer is missed. */
	if (number < 1 || number > 31 || !(1 << number & WATCHED) || (u64)info <= 1)
		return 0;
	code = READ(info, si_code);
	if (code != SI_USER && code != SI_QUEUE && code != SI_TKILL)
		return 0;
	sender = (void *)bpf_get_current_task();
	if (foreign(sender) || foreign(target))
		return 0;
	name(&record.sender, sender);
	name(&record.target, target);
	if (record.sender.pid == record.target.pid || READ(sender, flags) & PF_KTHREAD || excluded(sender))
		return 0;
	head(&record.header, SIGNAL, sizeof(record));
	record.number = number;
	record.unused = 0;
	emit(&record, SIGNAL, sizeof(record), 1);
	return 0;
}

/* What runs already. Its arguments are not in this process's memory: the reader takes them from /proc. */
SEC("iter/task")
int seed_processes(struct bpf_iter__task *context)
{
	struct task_struct *task = context->task;
	u32 zero = 0;
	struct scratch *s = bpf_map_lookup_elem(&seed_scratch, &zero);
	struct mm_struct *mm;
	u32 end;

	if (!task || !s)
		return 0;
	mm = READ(task, mm);
	if (!mm || READ(task, pid) != READ(task, tgid) || READ(task, flags) & PF_KTHREAD || foreign(task) ||
	    excluded(task))
		return 0;
	describe(s, task, mm, RUNNING);
	end = s->end;
	if (end > 2 * PATH_MOST)
		return 0;
	s->exec.header.size = sizeof(s->exec) + end;
	bpf_seq_write(context->meta->seq, s, sizeof(s->exec) + end);
	return 0;
}

/* Who listens already: accepted connections are attributed to them. */
SEC("iter/task_file")
int seed_listeners(struct bpf_iter__task_file *context)
{
	struct file *file = context->file;
	struct task_struct *task = context->task;
	struct connection record = {};
	struct socket *socket;
	struct inode *inode;
	struct sock *sock;

	if (!task || !file || foreign(task))
		return 0;
	inode = READ(file, f_inode);
	if ((READ(inode, i_mode) & S_IFMT) != S_IFSOCK)
		return 0;
	socket = READ(file, private_data);
	sock = READ(socket, sk);
	if (!sock || READ(sock, __sk_common.skc_state) != TCP_LISTEN || !ends(&record, sock))
		return 0;
	head(&record.header, LISTEN, sizeof(record));
	if (excluded(task))
		record.header.flags = EXCLUDED;
	name(&record.process, task);
	identify(&record.identity, task);
	bpf_seq_write(context->meta->seq, &record, sizeof(record));
	return 0;
}
