// SPDX-License-Identifier: GPL-2.0
//! How hard to try, and what made it necessary.

use crate::time::Span;

/// How hard to try; see [`Policy::HARD`] for the defaults.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Policy {
    /// How long the first contender is alone before the second is started.
    pub stagger: Span,
    /// Shortest stagger; RFC 8305 recommends not to go below 100 ms.
    pub stagger_min: Span,
    /// How many targets are tried at once at most.
    pub contenders: usize,
    /// When all places are taken and others wait, a contender without progress for this long goes.
    pub patience: Span,
    /// How long one attempt may take until the whole stack stands. A target that made progress gets
    /// twice as long at the second try and four times at the third: it may be just slow.
    pub attempt: Span,
    /// Backoff of a target after its first failure, before jitter.
    pub backoff_min: Span,
    /// Longest backoff of a target.
    pub backoff_max: Span,
    /// Give up this long after the start.
    pub soft: Option<Span>,
    /// Give up when each target has failed once, or twice if the first time the connection was cut: for mounting.
    pub once: bool,
    /// Anything random; different clients must not come back in step.
    pub seed: u64,
}

impl Policy {
    /// Never gives up.
    pub const HARD: Self = Self {
        stagger: Span::ms(250),
        stagger_min: Span::ms(100),
        contenders: 8,
        patience: Span::ms(1500),
        attempt: Span::secs(5),
        backoff_min: Span::ms(50),
        backoff_max: Span::secs(5),
        soft: None,
        once: false,
        seed: 0,
    };

    /// One try of every target, then the most telling failure.
    pub const MOUNT: Self = Self {
        once: true,
        ..Self::HARD
    };

    /// Gives up after `limit`.
    pub const fn soft(limit: Span) -> Self {
        Self {
            soft: Some(limit),
            ..Self::HARD
        }
    }

    /// How long the attempt of this number at a target that makes progress may take.
    pub(super) fn attempt_limit(&self, number: u32) -> Span {
        let doublings = number.saturating_sub(1).min(2);
        Span(self.attempt.0.saturating_mul(1 << doublings))
    }

    /// The same with this seed.
    pub const fn with_seed(self, seed: u64) -> Self {
        Self { seed, ..self }
    }
}

/// How the connection to the hint was lost.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lost {
    /// There was none: mounting. The hint goes first unless it is known to have failed.
    Start,
    /// It was closed or reset: the host is there, the server may be back soon. The hint goes first.
    Reset,
    /// Nothing was heard from it. The hint goes last.
    Silent,
    /// The server answers but the share is gone. The hint goes last, and a fresh referral is asked
    /// for at once.
    ShareGone,
}
