// SPDX-License-Identifier: GPL-2.0
//! What can be wrong with a referral response.

use core::fmt;

use crate::codec::Malformed;

/// Why a response is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Flaw {
    /// It ends within a header.
    Short,
    /// It has no entries.
    Empty,
    /// The size of an entry is more than there is.
    Size,
    /// The version of an entry is none of 1 to 4.
    Version,
    /// A string lies outside the response or in the fixed part of its entry.
    Offset,
    /// A string has no end or is too long.
    Text,
    /// Its entries are of different versions, or names and targets.
    Mixed,
    /// No target is a usable path.
    NoTarget,
    /// It is not about the path that was asked for.
    Consumed,
    /// It lists names where targets were asked for.
    Names,
    /// It has targets where names were asked for.
    NoNames,
    /// It has more bytes than are taken.
    Long,
}

impl Flaw {
    /// For an administrator.
    pub const fn text(self) -> &'static str {
        match self {
            Self::Short => "it is cut short",
            Self::Empty => "it has no entries",
            Self::Size => "the size of an entry is more than there is",
            Self::Version => "an entry is of an unknown version",
            Self::Offset => "a string lies outside of it or overlaps a header",
            Self::Text => "a string has no end or is too long",
            Self::Mixed => "its entries are of different kinds",
            Self::NoTarget => "none of its targets is a usable path",
            Self::Consumed => "it is not about the path that was asked for",
            Self::Names => "it lists names instead of targets",
            Self::NoNames => "it has targets instead of names",
            Self::Long => "it has more than 64 KiB",
        }
    }
}

impl fmt::Display for Flaw {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.text())
    }
}

impl From<Malformed> for Flaw {
    fn from(_: Malformed) -> Self {
        Self::Short
    }
}
