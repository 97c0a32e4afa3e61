/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the kernel offers to a program, by the numbers of its stable interface, and how members are read by name. Declared
 * here so that a build needs nothing but clang.
 */
#ifndef PICKET_HELPERS_H
#define PICKET_HELPERS_H

#include "vmlinux.h"

#define SEC(name) __attribute__((section(name), used))
#define INLINE static __attribute__((always_inline)) inline

/* How the loader reads the definition of a map. */
#define MAP_UINT(name, value) int(*name)[value]
#define MAP_TYPE(name, type) type *name

#define BPF_MAP_TYPE_ARRAY 2
#define BPF_MAP_TYPE_PERCPU_ARRAY 6
#define BPF_MAP_TYPE_LRU_HASH 9
#define BPF_MAP_TYPE_RINGBUF 27

#define BPF_RB_NO_WAKEUP 1
#define BPF_RB_FORCE_WAKEUP 2
#define BPF_RB_AVAIL_DATA 0

static void *(*bpf_map_lookup_elem)(void *map, const void *key) = (void *)1;
static u32 (*bpf_get_smp_processor_id)(void) = (void *)8;
static u64 (*bpf_get_current_pid_tgid)(void) = (void *)14;
static u64 (*bpf_get_current_task)(void) = (void *)35;
static long (*bpf_probe_read_user)(void *to, u32 size, const void *from) = (void *)112;
static long (*bpf_probe_read_kernel)(void *to, u32 size, const void *from) = (void *)113;
static long (*bpf_probe_read_kernel_str)(void *to, u32 size, const void *from) = (void *)115;
static u64 (*bpf_ktime_get_boot_ns)(void) = (void *)125;
static long (*bpf_seq_write)(struct seq_file *seq, const void *data, u32 size) = (void *)127;
static long (*bpf_ringbuf_output)(void *ring, void *data, u64 size, u64 flags) = (void *)130;
static u64 (*bpf_ringbuf_query)(void *ring, u64 flags) = (void *)134;

/* Where a member lies, and whether it is there, in the running kernel. */
#define OFFSET_OF(type, member) __builtin_preserve_field_info(((type *)0)->member, 0)
#define HAS(place) __builtin_preserve_field_info(place, 2)

/* A member of something that the verifier knows only as an address. What cannot be read is zero. */
#define READ(from, member)                                                             \
	({                                                                             \
		__typeof__((from)->member) value_ = 0;                                 \
		bpf_probe_read_kernel(&value_, sizeof(value_), &(from)->member);       \
		value_;                                                                \
	})

#endif
