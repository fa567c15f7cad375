/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The tracepoints of rsdfs; Documentation/inspect.md describes them. Texts come
 * with their length: Rust's are not terminated. Times are in microseconds.
 */
#undef TRACE_SYSTEM
#define TRACE_SYSTEM rsdfs

#if !defined(RSDFS_TRACE_H) || defined(TRACE_HEADER_MULTI_READ)
#define RSDFS_TRACE_H

#include <linux/tracepoint.h>

/* A referral was asked for. */
TRACE_EVENT(referral,

	TP_PROTO(const char *path, size_t path_len,
		 const char *host, size_t host_len,
		 const char *kind, size_t kind_len,
		 u32 ttl, u32 targets, u32 status, int error, u64 us),

	TP_ARGS(path, path_len, host, host_len, kind, kind_len, ttl, targets,
		status, error, us),

	TP_STRUCT__entry(
		__string_len(path, path, path_len)
		__string_len(host, host, host_len)
		__string_len(kind, kind, kind_len)
		__field(u32, ttl)
		__field(u32, targets)
		__field(u32, status)
		__field(int, error)
		__field(u64, us)
	),

	TP_fast_assign(
		__assign_str(path);
		__assign_str(host);
		__assign_str(kind);
		__entry->ttl = ttl;
		__entry->targets = targets;
		__entry->status = status;
		__entry->error = error;
		__entry->us = us;
	),

	TP_printk("path=%s host=%s kind=%s ttl=%u targets=%u status=0x%x error=%d us=%llu",
		  __get_str(path), __get_str(host), __get_str(kind),
		  __entry->ttl, __entry->targets, __entry->status,
		  __entry->error, __entry->us)
);

/* A target was tried with its whole stack. */
TRACE_EVENT(target_probe,

	TP_PROTO(const char *target, size_t target_len, int error, u64 us),

	TP_ARGS(target, target_len, error, us),

	TP_STRUCT__entry(
		__string_len(target, target, target_len)
		__field(int, error)
		__field(u64, us)
	),

	TP_fast_assign(
		__assign_str(target);
		__entry->error = error;
		__entry->us = us;
	),

	TP_printk("target=%s error=%d us=%llu", __get_str(target),
		  __entry->error, __entry->us)
);

/* A mount went from one target to another, lost or not. */
TRACE_EVENT(target_switch,

	TP_PROTO(const char *path, size_t path_len,
		 const char *old, size_t old_len,
		 const char *new, size_t new_len,
		 const char *reason, size_t reason_len, u64 us),

	TP_ARGS(path, path_len, old, old_len, new, new_len, reason, reason_len,
		us),

	TP_STRUCT__entry(
		__string_len(path, path, path_len)
		__string_len(old, old, old_len)
		__string_len(new, new, new_len)
		__string_len(reason, reason, reason_len)
		__field(u64, us)
	),

	TP_fast_assign(
		__assign_str(path);
		__assign_str(old);
		__assign_str(new);
		__assign_str(reason);
		__entry->us = us;
	),

	TP_printk("path=%s old=%s new=%s reason=%s us=%llu", __get_str(path),
		  __get_str(old), __get_str(new), __get_str(reason),
		  __entry->us)
);

/* A mount that had lost its target works again, there or elsewhere. */
TRACE_EVENT(reconnect,

	TP_PROTO(const char *path, size_t path_len,
		 const char *reason, size_t reason_len,
		 u64 generation, u64 us),

	TP_ARGS(path, path_len, reason, reason_len, generation, us),

	TP_STRUCT__entry(
		__string_len(path, path, path_len)
		__string_len(reason, reason, reason_len)
		__field(u64, generation)
		__field(u64, us)
	),

	TP_fast_assign(
		__assign_str(path);
		__assign_str(reason);
		__entry->generation = generation;
		__entry->us = us;
	),

	TP_printk("path=%s reason=%s generation=%llu us=%llu", __get_str(path),
		  __get_str(reason), __entry->generation, __entry->us)
);

/* An open file was given up. */
TRACE_EVENT(file_lost,

	TP_PROTO(const char *path, size_t path_len,
		 const char *file, size_t file_len,
		 const char *cause, size_t cause_len),

	TP_ARGS(path, path_len, file, file_len, cause, cause_len),

	TP_STRUCT__entry(
		__string_len(path, path, path_len)
		__string_len(file, file, file_len)
		__string_len(cause, cause, cause_len)
	),

	TP_fast_assign(
		__assign_str(path);
		__assign_str(file);
		__assign_str(cause);
	),

	TP_printk("path=%s file=%s cause=%s", __get_str(path),
		  __get_str(file), __get_str(cause))
);

#endif /* RSDFS_TRACE_H */

/* Found by the -I of Kbuild, in the kernel's tree and out of it. */
#undef TRACE_INCLUDE_FILE
#define TRACE_INCLUDE_FILE rsdfs
#include <trace/define_trace.h>
