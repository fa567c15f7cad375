// SPDX-License-Identifier: GPL-2.0
/*
 * The tracepoints of include/trace/events/rsdfs.h, as functions that Rust can
 * call. Whether one is enabled is asked of its static key.
 */
#include <linux/types.h>

#define CREATE_TRACE_POINTS
#include <trace/events/rsdfs.h>

#include "helpers.h"

bool rsdfs_referral_traced(void)
{
	return trace_referral_enabled();
}

void rsdfs_trace_referral(struct rsdfs_text path, struct rsdfs_text host,
			  struct rsdfs_text kind, u32 ttl, u32 targets,
			  u32 status, int error, u64 us)
{
	trace_referral(path.at, path.len, host.at, host.len, kind.at, kind.len,
		       ttl, targets, status, error, us);
}

bool rsdfs_target_probe_traced(void)
{
	return trace_target_probe_enabled();
}

void rsdfs_trace_target_probe(struct rsdfs_text target, int error, u64 us)
{
	trace_target_probe(target.at, target.len, error, us);
}

bool rsdfs_target_switch_traced(void)
{
	return trace_target_switch_enabled();
}

void rsdfs_trace_target_switch(struct rsdfs_text path, struct rsdfs_text from,
			       struct rsdfs_text to, struct rsdfs_text reason,
			       u64 us)
{
	trace_target_switch(path.at, path.len, from.at, from.len, to.at, to.len,
			    reason.at, reason.len, us);
}

bool rsdfs_reconnect_traced(void)
{
	return trace_reconnect_enabled();
}

void rsdfs_trace_reconnect(struct rsdfs_text path, struct rsdfs_text reason,
			   u64 generation, u64 us)
{
	trace_reconnect(path.at, path.len, reason.at, reason.len, generation,
			us);
}

bool rsdfs_file_lost_traced(void)
{
	return trace_file_lost_enabled();
}

void rsdfs_trace_file_lost(struct rsdfs_text path, struct rsdfs_text file,
			   struct rsdfs_text cause)
{
	trace_file_lost(path.at, path.len, file.at, file.len, cause.at,
			cause.len);
}
