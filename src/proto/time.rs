// SPDX-License-Identifier: GPL-2.0
//! Monotonic time as the caller hands it in: milliseconds since an arbitrary origin (boot time).

/// A moment, in milliseconds of monotonic boot time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Instant(pub u64);

/// A length of time in milliseconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Span(pub u64);

impl Span {
    /// A span of whole seconds, saturating.
    pub const fn secs(n: u64) -> Self {
        Self(n.saturating_mul(1000))
    }

    /// A span of milliseconds.
    pub const fn ms(n: u64) -> Self {
        Self(n)
    }
}

impl Instant {
    /// The moment `span` later, saturating.
    pub const fn after(self, span: Span) -> Self {
        Self(self.0.saturating_add(span.0))
    }

    /// How long ago `earlier` was; zero if it lies in the future.
    pub const fn since(self, earlier: Self) -> Span {
        Span(self.0.saturating_sub(earlier.0))
    }

    /// How long until `later`; zero if it has passed.
    pub const fn until(self, later: Self) -> Span {
        later.since(self)
    }
}
