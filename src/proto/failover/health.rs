// SPDX-License-Identifier: GPL-2.0
//! What is remembered of a target between outages, and how it counts.

use crate::status::{Class, NtStatus};
use crate::time::{Instant, Span};

/// A target that held at least this long did not flap.
const STABLE: Span = Span::secs(2);

/// Half-life of a penalty.
const HALF_LIFE: Span = Span::secs(30);

/// How long a target that refused the credentials is left alone, so that a wrong password does not
/// lock the account.
const DENIED_HOLDOFF: Span = Span::secs(30);

/// Holdoff after the first flap; doubles with each further one.
const FLAP_MIN: Span = Span::ms(50);

/// Longest holdoff of a flapping target.
const FLAP_MAX: Span = Span::secs(1);

/// Why a target could not be used, the most telling for a user last.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Cause {
    /// It did not answer in time.
    Silent,
    /// Its name does not resolve, the connection was refused or reset, or there is no route.
    Unreachable,
    /// The connection stood and was lost in the middle of the conversation.
    Cut,
    /// It answered against the protocol.
    Broken,
    /// It has no resources just now.
    Busy,
    /// It lacks the share, or the share lacks the path.
    Missing,
    /// It refused the credentials or the access.
    Denied,
}

/// A failure: its cause and the status the server sent, if it sent one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fault {
    /// What kind of failure.
    pub cause: Cause,
    /// The server's word for it.
    pub status: Option<NtStatus>,
}

impl From<Cause> for Fault {
    fn from(cause: Cause) -> Self {
        Self {
            cause,
            status: None,
        }
    }
}

impl From<NtStatus> for Fault {
    /// What the status of any step of standing up the stack says of the target.
    fn from(status: NtStatus) -> Self {
        let cause = match status.class() {
            Class::Auth => Cause::Denied,
            Class::ShareGone | Class::PathNotCovered | Class::HandleGone => Cause::Missing,
            Class::Busy | Class::Pending => Cause::Busy,
            Class::SessionGone => Cause::Unreachable,
            Class::Fatal if status.errno() == NtStatus::ACCESS_DENIED.errno() => Cause::Denied,
            Class::Fatal if status.errno() == NtStatus::OBJECT_NAME_NOT_FOUND.errno() => {
                Cause::Missing
            }
            Class::Ok | Class::More | Class::End | Class::Fatal => Cause::Broken,
        };
        Self {
            cause,
            status: Some(status),
        }
    }
}

impl PartialOrd for Fault {
    fn partial_cmp(&self, other: &Self) -> Option<core::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Fault {
    /// The more telling failure is the greater.
    fn cmp(&self, other: &Self) -> core::cmp::Ordering {
        let key = |f: &Self| (f.cause, f.status.map(|s| s.0));
        key(self).cmp(&key(other))
    }
}

/// The past of one target.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Health {
    last_up: Option<Instant>,
    last_failure: Option<Instant>,
    fault: Option<Fault>,
    fails: u32,
    flaps: u32,
}

impl Health {
    /// Nothing is known.
    pub const NEW: Self = Self {
        last_up: None,
        last_failure: None,
        fault: None,
        fails: 0,
        flaps: 0,
    };

    /// The target was taken into use.
    pub fn up(&mut self, now: Instant) {
        self.last_up = Some(now);
    }

    /// The target could not be used, or was lost.
    pub fn down(&mut self, now: Instant, fault: Fault) {
        if let (true, Some(up)) = (self.is_up(), self.last_up) {
            self.fails = 0;
            self.flaps = if now.since(up) < STABLE {
                self.flaps.saturating_add(1)
            } else {
                0
            };
        }
        self.fails = self.fails.saturating_add(1);
        self.last_failure = Some(now);
        self.last_up = None;
        self.fault = Some(fault);
    }

    /// Whether it was in use when last heard of.
    pub const fn is_up(&self) -> bool {
        self.last_up.is_some()
    }

    /// When it was taken into use, if it did not fail since.
    pub const fn last_up(&self) -> Option<Instant> {
        self.last_up
    }

    /// When it last failed.
    pub const fn last_failure(&self) -> Option<Instant> {
        self.last_failure
    }

    /// The last failure.
    pub const fn fault(&self) -> Option<Fault> {
        self.fault
    }

    /// Failures since it was last in use.
    pub const fn fails(&self) -> u32 {
        self.fails
    }

    /// How far back it goes in its target set: 0 for a target without blame, halved every 30 s.
    ///
    /// A failure that costs the user more time to find out, or harms more when repeated, weighs more.
    pub fn penalty(&self, now: Instant) -> u32 {
        let (false, Some(at), Some(fault)) = (self.is_up(), self.last_failure, self.fault) else {
            return 0;
        };
        let weight: u32 = match fault.cause {
            Cause::Unreachable | Cause::Cut => 16,
            Cause::Broken | Cause::Busy => 32,
            Cause::Silent | Cause::Missing => 64,
            Cause::Denied => 128,
        };
        let halvings = now.since(at).0.checked_div(HALF_LIFE.0).unwrap_or(0);
        let halvings = u32::try_from(halvings).unwrap_or(u32::MAX);
        let full = weight.saturating_mul(self.fails.min(4));
        full.checked_shr(halvings).unwrap_or(0)
    }

    /// The moment before which it should not be tried again, whatever happens.
    ///
    /// Only for targets that refused the credentials and for those that came up and went down again
    /// at once; others are paced by the backoff of the outage.
    pub fn ready(&self) -> Instant {
        let (false, Some(at), Some(fault)) = (self.is_up(), self.last_failure, self.fault) else {
            return Instant(0);
        };
        if fault.cause == Cause::Denied {
            return at.after(DENIED_HOLDOFF);
        }
        match self.flaps.checked_sub(1) {
            None => Instant(0),
            Some(doublings) => {
                let holdoff = FLAP_MIN.0.saturating_mul(1 << doublings.min(16));
                at.after(Span(holdoff).min(FLAP_MAX))
            }
        }
    }
}
