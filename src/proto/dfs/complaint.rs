// SPDX-License-Identifier: GPL-2.0
//! Whether something is to be said again: a server that sends nonsense must not fill the log.

use crate::time::{Instant, Span};

/// How long one complaint is enough.
pub const QUIET: Span = Span::secs(3600);

/// How many complaints there are within that time.
pub const MOST: usize = 16;

/// A number for a complaint about this server for this reason.
pub fn topic(server: &str, why: &str) -> u64 {
    let bytes = server.bytes().chain([0]).chain(why.bytes());
    bytes.fold(0xcbf2_9ce4_8422_2325, |hash: u64, byte| {
        let byte = u64::from(byte.to_ascii_lowercase());
        (hash ^ byte).wrapping_mul(0x0000_0100_0000_01b3)
    })
}

/// What was complained about.
#[derive(Clone, Copy, Debug, Default)]
pub struct Complaints {
    made: [Option<(u64, Instant)>; MOST],
}

impl Complaints {
    /// Nothing yet.
    pub const fn new() -> Self {
        Self { made: [None; MOST] }
    }

    /// Whether to complain about `what`, a [`topic`]; if so it is noted.
    ///
    /// Once in [`QUIET`], and about not more than [`MOST`] things in that time.
    pub fn may(&mut self, what: u64, now: Instant) -> bool {
        for made in &mut self.made {
            *made = made.filter(|(_, at)| now.since(*at) < QUIET);
        }
        if self.made.iter().flatten().any(|(other, _)| *other == what) {
            return false;
        }
        let free = self.made.iter_mut().find(|made| made.is_none());
        let may = free.is_some();
        if let Some(free) = free {
            *free = Some((what, now));
        }
        may
    }
}
