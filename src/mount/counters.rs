// SPDX-License-Identifier: GPL-2.0

//! What is counted of a mount, from its beginning on, for the views.

use kernel::sync::atomic::{
    Atomic,
    Relaxed, //
};

/// A number of times.
pub(crate) struct Counter(Atomic<u64>);

impl Counter {
    const fn new() -> Self {
        Counter(Atomic::new(0))
    }

    /// Once more.
    pub(crate) fn add(&self) {
        self.0.fetch_add(1, Relaxed);
    }

    /// How often so far.
    pub(crate) fn count(&self) -> u64 {
        self.0.load(Relaxed)
    }
}

/// The counters of one mount.
pub(crate) struct Counters {
    /// Operations begun again because their target was lost.
    pub(crate) repeated: Counter,
    /// Reads sent again because their target was lost with them.
    pub(crate) reads_resent: Counter,
    /// The same of writes.
    pub(crate) writes_resent: Counter,
    /// Operations on names whose answer was lost, and the next target asked what had become of them.
    pub(crate) probed: Counter,
    /// Those of them that had taken effect, and were answered here.
    pub(crate) synthesised: Counter,
    /// Those that had not, and were sent again.
    pub(crate) replayed: Counter,
    /// Those of which that could not be known.
    pub(crate) unknown: Counter,
    /// Open files that were opened again on another tree.
    pub(crate) reopened: Counter,
    /// Open files given up.
    pub(crate) lost: Counter,
    /// Locks taken again after a loss.
    pub(crate) locks_reclaimed: Counter,
    /// Locks that could not be had again.
    pub(crate) locks_lost: Counter,
    /// Questions for referrals that servers were asked.
    pub(crate) referrals: Counter,
    /// Targets tried with their whole stack: contenders of races, and probes.
    pub(crate) probes: Counter,
    /// Those of them that did not stand, not counting those called off.
    pub(crate) probes_failed: Counter,
    /// Open files that their server had kept, claimed again after a loss.
    pub(crate) durable_resumed: Counter,
    /// Leases that servers took back, as a whole or in part.
    pub(crate) leases_broken: Counter,
    /// Sessions left behind at servers that were silent, and ended there later.
    pub(crate) sessions_ended: Counter,
}

impl Counters {
    /// Nothing has happened yet.
    pub(crate) const fn new() -> Self {
        Self {
            repeated: Counter::new(),
            reads_resent: Counter::new(),
            writes_resent: Counter::new(),
            probed: Counter::new(),
            synthesised: Counter::new(),
            replayed: Counter::new(),
            unknown: Counter::new(),
            reopened: Counter::new(),
            lost: Counter::new(),
            locks_reclaimed: Counter::new(),
            locks_lost: Counter::new(),
            referrals: Counter::new(),
            probes: Counter::new(),
            probes_failed: Counter::new(),
            durable_resumed: Counter::new(),
            leases_broken: Counter::new(),
            sessions_ended: Counter::new(),
        }
    }
}
