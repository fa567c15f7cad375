// SPDX-License-Identifier: GPL-2.0
//! What a path may consist of, and hosts that are IPv6 addresses.

use core::fmt;
use core::net::Ipv6Addr;

/// Longest canonical path in bytes of UTF-8.
pub const MAX_LEN: usize = 4096;

/// Longest component (host, share, directory) in UTF-16 code units.
pub const MAX_COMPONENT: usize = 255;

/// The domain under which an IPv6 address is a legal host name of a UNC path (MS-DTYP 2.2.57).
pub(super) const LITERAL_SUFFIX: &str = ".ipv6-literal.net";

/// Longest spelling of an IPv6 address with a zone that is recognised as one.
const LITERAL_LEN: usize = 96;

/// Why a text is not a path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BadPath {
    /// It does not start with a separator (two for a device).
    Start,
    /// There is no host.
    NoHost,
    /// There is no share.
    NoShare,
    /// The host contains a character no host name has, or is a broken IPv6 literal.
    Host,
    /// The share contains a character no share name has.
    Share,
    /// A component is `.` or `..`.
    Dots,
    /// A component contains a control character.
    Control,
    /// A component is longer than [`MAX_COMPONENT`] or the path longer than [`MAX_LEN`].
    TooLong,
}

impl fmt::Display for BadPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Start => "path must start with //",
            Self::NoHost => "path has no host",
            Self::NoShare => "path has no share",
            Self::Host => "host name is not valid",
            Self::Share => "share name is not valid",
            Self::Dots => "path has a . or .. component",
            Self::Control => "path has a control character",
            Self::TooLong => "path is too long",
        })
    }
}

/// Whether `c` separates components.
pub(super) const fn is_separator(c: char) -> bool {
    matches!(c, '/' | '\\')
}

/// `text` before and from the first of its characters that `is_end`.
pub(super) fn cut(text: &str, is_end: impl Fn(char) -> bool) -> (&str, &str) {
    let mut at = 0usize;
    for c in text.chars() {
        if is_end(c) {
            break;
        }
        at = at.saturating_add(c.len_utf8());
    }
    text.split_at_checked(at).unwrap_or((text, ""))
}

/// Checks a path character by character, whatever its encoding.
///
/// Separators at the front are passed over, so a caller that needs them looks for them itself.
struct Check {
    depth: usize,
    len: usize,
    units: usize,
    dots_only: bool,
    unc_unsafe: bool,
    host: [u8; LITERAL_LEN],
    host_len: usize,
    bracket: bool,
}

impl Check {
    const fn new() -> Self {
        Self {
            depth: 0,
            len: 0,
            units: 0,
            dots_only: true,
            unc_unsafe: false,
            host: [0; LITERAL_LEN],
            host_len: 0,
            bracket: false,
        }
    }

    fn feed(&mut self, c: char) -> Result<(), BadPath> {
        if is_separator(c) {
            return self.close();
        }
        if c.is_control() {
            return Err(BadPath::Control);
        }
        if self.units == 0 {
            self.len = self.len.saturating_add(1);
            self.bracket = self.depth == 0 && c == '[';
        }
        self.len = self.len.saturating_add(c.len_utf8());
        self.units = self.units.saturating_add(c.len_utf16());
        if self.units > MAX_COMPONENT || self.len > MAX_LEN {
            return Err(BadPath::TooLong);
        }
        self.dots_only &= c == '.';
        self.unc_unsafe |= match self.depth {
            0 => matches!(
                c,
                ':' | '*' | '?' | '"' | '<' | '>' | '|' | '[' | ']' | ',' | ' ' | '%'
            ),
            1 => matches!(c, ':' | '*' | '?' | '"' | '<' | '>' | '|'),
            _ => false,
        };
        if self.depth == 0 {
            if let (Some(slot), Ok(byte)) = (self.host.get_mut(self.host_len), u8::try_from(c)) {
                *slot = byte;
            }
            self.host_len = self.host_len.saturating_add(1);
        }
        Ok(())
    }

    /// Ends the component under way, if any.
    fn close(&mut self) -> Result<(), BadPath> {
        if self.units == 0 {
            return Ok(());
        }
        if self.dots_only && self.units <= 2 {
            return Err(BadPath::Dots);
        }
        match self.depth {
            0 if self.bracket => {
                let text = self.host.get(..self.host_len).ok_or(BadPath::Host)?;
                let text = core::str::from_utf8(text).map_err(|_| BadPath::Host)?;
                literal(text).ok_or(BadPath::Host)?;
            }
            0 if self.unc_unsafe => return Err(BadPath::Host),
            1 if self.unc_unsafe => return Err(BadPath::Share),
            _ => {}
        }
        self.depth = self.depth.saturating_add(1);
        self.units = 0;
        self.dots_only = true;
        self.unc_unsafe = false;
        Ok(())
    }

    /// The number of components, at least two.
    fn end(mut self) -> Result<usize, BadPath> {
        self.close()?;
        match self.depth {
            0 => Err(BadPath::NoHost),
            1 => Err(BadPath::NoShare),
            n => Ok(n),
        }
    }
}

/// Checks that `chars` spell a path; returns the number of its components.
///
/// For text that is not UTF-8 yet, such as the UTF-16 of a referral target; leading separators do
/// not matter.
pub fn check(chars: impl Iterator<Item = char>) -> Result<usize, BadPath> {
    let mut check = Check::new();
    for c in chars {
        check.feed(c)?;
    }
    check.end()
}

/// Reads an IPv6 host in either spelling: the address and its zone, which may be empty.
pub(super) fn literal(host: &str) -> Option<(Ipv6Addr, &str)> {
    if let Some(inner) = host.strip_prefix('[') {
        let inner = inner.strip_suffix(']')?;
        let (address, zone) = match cut(inner, |c| c == '%') {
            (_, "%") => return None,
            (address, zone) => (address, zone.strip_prefix('%').unwrap_or("")),
        };
        let odd = |c: char| !c.is_ascii_alphanumeric() && !matches!(c, '.' | '_' | '-');
        if zone.chars().any(odd) {
            return None;
        }
        return Some((address.parse().ok()?, zone));
    }
    let split = host.len().checked_sub(LITERAL_SUFFIX.len())?;
    let (inner, suffix) = host.split_at_checked(split)?;
    if !suffix.eq_ignore_ascii_case(LITERAL_SUFFIX) {
        return None;
    }
    let (address, zone) = cut(inner, |c| matches!(c, 's' | 'S'));
    let zone = zone.get(1..).unwrap_or("");
    let mut colons = [0; LITERAL_LEN];
    let colons = colons.get_mut(..address.len())?;
    for (to, from) in colons.iter_mut().zip(address.bytes()) {
        *to = if from == b'-' { b':' } else { from };
    }
    let address = core::str::from_utf8(colons).ok()?;
    Some((address.parse().ok()?, zone))
}
