// SPDX-License-Identifier: GPL-2.0
//! Strings of a referral response.

use core::fmt;

use crate::codec::{Malformed, Reader};
use crate::utf16::{self, Points};

/// Longest string of a response in UTF-16 code units.
const MAX_UNITS: usize = 4096;

/// A string of a response: UTF-16LE, without its terminator.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Wide<'a> {
    bytes: &'a [u8],
}

impl<'a> Wide<'a> {
    /// No characters.
    pub(super) const EMPTY: Self = Self { bytes: &[] };

    /// The string at the front of `bytes`, up to its terminator.
    pub(super) fn parse(bytes: &'a [u8]) -> Result<Self, Malformed> {
        let mut rest = Reader::new(bytes);
        let mut len = 0usize;
        for _ in 0..=MAX_UNITS {
            if rest.u16()? == 0 {
                let bytes = bytes.get(..len).ok_or(Malformed)?;
                return Ok(Self { bytes });
            }
            len = len.saturating_add(2);
        }
        Err(Malformed)
    }

    /// Its bytes as received.
    pub const fn bytes(&self) -> &'a [u8] {
        self.bytes
    }

    /// Whether it has no characters.
    pub const fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    /// Its characters; an unpaired surrogate becomes U+FFFD.
    pub fn chars(&self) -> Chars<'a> {
        Chars {
            points: utf16::points(self.bytes).unwrap_or(Points::NONE),
        }
    }

    /// Its characters without the backslashes at its front.
    pub(in crate::dfs) fn bare(&self) -> Chars<'a> {
        let mut chars = self.chars();
        let mut ahead = chars.clone();
        while ahead.next() == Some('\\') {
            chars = ahead.clone();
        }
        chars
    }

    /// Whether it is valid UTF-16.
    pub fn is_valid(&self) -> bool {
        utf16::chars(self.bytes).is_ok_and(|mut chars| chars.all(|c| c.is_ok()))
    }

    /// Whether it equals `text` but for letter case.
    pub fn is(&self, text: &str) -> bool {
        utf16::same_as(self.bytes, text)
    }

    /// Writes it into `buffer` as UTF-8; fails when it is not valid UTF-16 or does not fit.
    pub fn utf8<'b>(&self, buffer: &'b mut [u8]) -> Result<&'b str, utf16::NameError> {
        utf16::decode(self.bytes, buffer)
    }
}

/// Iterator over the characters of a [`Wide`].
#[derive(Clone, Debug)]
pub struct Chars<'a> {
    points: Points<'a>,
}

impl Iterator for Chars<'_> {
    type Item = char;

    fn next(&mut self) -> Option<char> {
        let c = self.points.next()?;
        Some(char::from_u32(c).unwrap_or(char::REPLACEMENT_CHARACTER))
    }
}

impl fmt::Display for Wide<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.chars().try_for_each(|c| fmt::Write::write_char(f, c))
    }
}

impl fmt::Debug for Wide<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}
