// SPDX-License-Identifier: GPL-2.0

//! Clocks as plain numbers.
//!
//! C header: [`include/linux/timekeeping.h`](srctree/include/linux/timekeeping.h)

use super::bindings;

/// 100 ns intervals from 1601-01-01 to 1970-01-01.
const EPOCH_1601: u64 = 116_444_736_000_000_000;

/// Milliseconds since boot, time asleep included: `ktime_get_boottime()`. Never goes back.
pub(crate) fn now_ms() -> u64 {
    now_ns() / 1_000_000
}

/// Microseconds since boot, time asleep included: `ktime_get_boottime()`. Never goes back.
pub(crate) fn now_us() -> u64 {
    now_ns() / 1_000
}

/// Nanoseconds since boot, time asleep included: `ktime_get_boottime()`. Never goes back.
pub(crate) fn now_ns() -> u64 {
    // SAFETY: May be called from any context but NMI, where no Rust code of this module runs.
    let ns = unsafe { bindings::ktime_get_boottime() };
    u64::try_from(ns).unwrap_or(0)
}

/// The wall clock as a FILETIME, in 100 ns since 1601: `ktime_get_real()`.
///
/// May jump; only for what is shown or sent, never to measure.
pub(crate) fn filetime_now() -> u64 {
    // SAFETY: As in `now_ns`.
    let ns = unsafe { bindings::ktime_get_real() };
    EPOCH_1601.saturating_add(u64::try_from(ns).unwrap_or(0) / 100)
}
