// SPDX-License-Identifier: GPL-2.0
//! UNC and DFS paths in canonical form, without allocation.
//!
//! A [`Path`] borrows the text it was parsed from and answers as if that text were canonical: both
//! separators count, repeated and trailing ones do not, and letter case does not distinguish
//! (MS-DFSC 2.2.2). Two forms are written out: the device form `//host/share/a` a user mounts, and
//! the request form `\host\share\a` with one leading backslash (MS-DFSC 3.1.4.2). An IPv6 host may
//! be given as `[fe80::1%eth0]` or as `fe80--1seth0.ipv6-literal.net`; the two are equal, and
//! requests carry the second because a colon is not allowed in a UNC path.

mod check;

use core::fmt;
use core::net::Ipv6Addr;

use crate::codec::{NoSpace, Writer};
use crate::utf16::{fold, same};
pub use check::{check, BadPath, MAX_COMPONENT, MAX_LEN};
use check::{cut, is_separator, literal, LITERAL_SUFFIX};

/// `text` after the separator at its front.
fn after_separator(text: &str) -> Option<&str> {
    text.strip_prefix('/').or_else(|| text.strip_prefix('\\'))
}

/// `text` without the separators at its front.
fn trim_start(mut text: &str) -> &str {
    while let Some(tail) = after_separator(text) {
        text = tail;
    }
    text
}

/// `text` without the separators at its end.
fn trim_end(mut text: &str) -> &str {
    while let Some(head) = text.strip_suffix('/').or_else(|| text.strip_suffix('\\')) {
        text = head;
    }
    text
}

/// A host, a share and any number of directories below it.
///
/// # Invariants
/// `text` starts and ends with a component, has `depth >= 2` components in all, and each of them
/// passed [`check`].
#[derive(Clone, Copy)]
pub struct Path<'a> {
    text: &'a str,
    depth: usize,
}

impl<'a> Path<'a> {
    /// Parses any spelling that starts with at least one separator.
    pub fn parse(text: &'a str) -> Result<Self, BadPath> {
        let tail = after_separator(text).ok_or(BadPath::Start)?;
        let depth = check(tail.chars())?;
        Ok(Self {
            text: trim_end(trim_start(tail)),
            depth,
        })
    }

    /// Parses the device of a mount: `//host/share[/prefix]` or the same with backslashes.
    pub fn device(text: &'a str) -> Result<Self, BadPath> {
        Self::parse(after_separator(text).ok_or(BadPath::Start)?)
    }

    /// The number of components, host and share included: at least 2.
    pub const fn depth(&self) -> usize {
        self.depth
    }

    /// All components: the host as it was given, the share, the directories.
    pub fn components(&self) -> Components<'a> {
        Components { rest: self.text }
    }

    /// The host as it was given.
    pub fn host(&self) -> &'a str {
        self.components().next().unwrap_or("")
    }

    /// The host as an IPv6 address and its zone (which may be empty), if it is spelt as one.
    pub fn ipv6(&self) -> Option<(Ipv6Addr, &'a str)> {
        literal(self.host())
    }

    /// The share.
    pub fn share(&self) -> &'a str {
        self.below(1).next().unwrap_or("")
    }

    /// The directories below the share.
    pub fn directories(&self) -> Components<'a> {
        self.below(2)
    }

    /// The components after the first `depth`.
    pub fn below(&self, depth: usize) -> Components<'a> {
        let mut components = self.components();
        for _ in 0..depth {
            components.next();
        }
        components
    }

    /// The path of the first `depth` components, if there are as many and at least two.
    pub fn prefix(&self, depth: usize) -> Option<Self> {
        if depth < 2 || depth > self.depth {
            return None;
        }
        let tail = self.below(depth).rest;
        let end = self.text.len().checked_sub(tail.len())?;
        let text = trim_end(self.text.get(..end)?);
        Some(Self { text, depth })
    }

    /// The path without its last component, down to `\host\share`.
    pub fn parent(&self) -> Option<Self> {
        self.prefix(self.depth.saturating_sub(1))
    }

    /// The path itself, its parent and so on down to `\host\share`: the order in which a referral
    /// cache is searched.
    pub fn prefixes(&self) -> impl Iterator<Item = Path<'a>> {
        core::iter::successors(Some(*self), Self::parent)
    }

    /// Whether `prefix` is this path or one above it.
    pub fn starts_with(&self, prefix: &Path<'_>) -> bool {
        self.prefix(prefix.depth).is_some_and(|p| p == *prefix)
    }

    /// Whether both name the same host, in whatever spelling.
    pub fn same_host(&self, other: &Path<'_>) -> bool {
        match (self.ipv6(), other.ipv6()) {
            (Some((a, za)), Some((b, zb))) => a == b && same(za, zb),
            (None, None) => same(self.host(), other.host()),
            _ => false,
        }
    }

    /// A hash that is equal for equal paths, salted with `seed`.
    ///
    /// Good enough for a bounded table; not a defence against a server that searches collisions
    /// unless `seed` is secret.
    pub fn hash(&self, seed: u64) -> u64 {
        let longest = self.prefix_hashes(seed).last();
        longest.map_or(seed, |(_, hash)| hash)
    }

    /// The depth and the hash of each prefix, from `\host\share` down to the path itself: in one
    /// pass over the path.
    pub fn prefix_hashes(&self, seed: u64) -> impl Iterator<Item = (usize, u64)> + 'a {
        let mut hash = Fnv(seed ^ 0xcbf2_9ce4_8422_2325);
        match self.ipv6() {
            Some((address, zone)) => {
                address.octets().into_iter().for_each(|b| hash.byte(b));
                zone.chars().for_each(|c| hash.char(c));
            }
            None => self.host().chars().for_each(|c| hash.char(c)),
        }
        self.below(1).enumerate().map(move |(above, component)| {
            hash.char('\\');
            component.chars().for_each(|c| hash.char(c));
            (above.saturating_add(2), hash.finish())
        })
    }

    /// Whether `text`, which was written as the device form of a path, names this one; it is not
    /// checked again.
    pub fn is_device(&self, text: &str) -> bool {
        let text = trim_start(text);
        let other = Path {
            text,
            depth: Components { rest: text }.count(),
        };
        *self == other
    }

    /// The characters of the request form, `\host\share\a`.
    pub fn chars(&self) -> Chars<'a> {
        Chars {
            part: "".chars(),
            is_literal: false,
            rest: self.components(),
            is_next_host: true,
        }
    }

    /// Length of the request form in UTF-16 code units.
    pub fn units(&self) -> usize {
        self.chars()
            .fold(0usize, |n, c| n.saturating_add(c.len_utf16()))
    }

    /// Writes the request form as UTF-16LE, without a terminator.
    pub fn emit(&self, w: &mut Writer<'_>) -> Result<(), NoSpace> {
        let mut units = [0; 2];
        self.chars().try_for_each(|c| {
            let mut units = c.encode_utf16(&mut units).iter();
            units.try_for_each(|unit| w.u16(*unit))
        })
    }

    /// The request form, for display.
    pub fn request(&self) -> RequestForm<'a> {
        RequestForm(*self)
    }

    /// How many components a server says it consumed, when it counts `bytes` of the request form in
    /// UTF-16 (`PathConsumed`, MS-DFSC 2.2.4).
    ///
    /// The count must end a component, at `\host\share` or below; one unit more is tolerated, since
    /// servers differ on whether the separator or terminator behind is counted. An odd byte is
    /// ignored. `None` when it ends inside a component or beyond the path.
    pub fn consumed(&self, bytes: u16) -> Option<usize> {
        let units = usize::from(bytes).checked_div(2)?;
        (2..=self.depth).find(|depth| {
            let end = self.prefix(*depth).map_or(usize::MAX, |p| p.units());
            end == units || end.checked_add(1) == Some(units)
        })
    }

    /// Writes the path that results when the first `depth` components are replaced by `target`, in
    /// device form, into `buffer`.
    ///
    /// Fails with [`NoSpace`] when `buffer` or [`MAX_LEN`] is too small for it.
    pub fn rebase<'b>(
        &self,
        depth: usize,
        target: &Path<'_>,
        buffer: &'b mut [u8],
    ) -> Result<Path<'b>, NoSpace> {
        let mut w = Writer::new(buffer);
        let mut len = 0usize;
        w.put(b"/")?;
        for component in target.components().chain(self.below(depth)) {
            w.put(b"/")?;
            w.put(component.as_bytes())?;
            len = w.written();
        }
        let text = buffer.get(..len).ok_or(NoSpace)?;
        let text = core::str::from_utf8(text).map_err(|_| NoSpace)?;
        Path::parse(text).map_err(|_| NoSpace)
    }
}

impl PartialEq<Path<'_>> for Path<'_> {
    fn eq(&self, other: &Path<'_>) -> bool {
        self.depth == other.depth
            && self.same_host(other)
            && self.below(1).zip(other.below(1)).all(|(a, b)| same(a, b))
    }
}

impl Eq for Path<'_> {}

impl fmt::Display for Path<'_> {
    /// The device form.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("/")?;
        for component in self.components() {
            f.write_str("/")?;
            f.write_str(component)?;
        }
        Ok(())
    }
}

impl fmt::Debug for Path<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// Displays a [`Path`] in request form.
#[derive(Clone, Copy, Debug)]
pub struct RequestForm<'a>(Path<'a>);

impl fmt::Display for RequestForm<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0
            .chars()
            .try_for_each(|c| fmt::Write::write_char(f, c))
    }
}

/// Iterator over the characters of a path in request form.
#[derive(Clone, Debug)]
pub struct Chars<'a> {
    /// What is left of the component under way.
    part: core::str::Chars<'a>,
    /// Whether that is an IPv6 address which came in brackets.
    is_literal: bool,
    rest: Components<'a>,
    is_next_host: bool,
}

impl Iterator for Chars<'_> {
    type Item = char;

    fn next(&mut self) -> Option<char> {
        loop {
            match self.part.next() {
                Some(':') if self.is_literal => return Some('-'),
                Some('%') if self.is_literal => return Some('s'),
                Some(c) => return Some(c),
                None if self.is_literal => {
                    self.is_literal = false;
                    self.part = LITERAL_SUFFIX.chars();
                }
                None => {
                    let component = self.rest.next()?;
                    let inner = component.strip_prefix('[');
                    let inner = inner.and_then(|inner| inner.strip_suffix(']'));
                    let inner = inner.filter(|_| self.is_next_host);
                    self.is_next_host = false;
                    self.is_literal = inner.is_some();
                    self.part = inner.unwrap_or(component).chars();
                    return Some('\\');
                }
            }
        }
    }
}

/// Components of a path, in order, none of them empty.
#[derive(Clone, Copy, Debug)]
pub struct Components<'a> {
    rest: &'a str,
}

impl<'a> Iterator for Components<'a> {
    type Item = &'a str;

    fn next(&mut self) -> Option<&'a str> {
        let (head, tail) = cut(trim_start(self.rest), is_separator);
        self.rest = tail;
        (!head.is_empty()).then_some(head)
    }
}

/// FNV-1a over folded characters, mixed at the end so that all bits are usable.
#[derive(Clone, Copy)]
struct Fnv(u64);

impl Fnv {
    fn byte(&mut self, b: u8) {
        self.0 = (self.0 ^ u64::from(b)).wrapping_mul(0x0000_0100_0000_01b3);
    }

    fn char(&mut self, c: char) {
        let folded = u32::from(fold(c));
        folded.to_le_bytes().into_iter().for_each(|b| self.byte(b));
    }

    fn finish(self) -> u64 {
        let mut h = self.0;
        h = (h ^ (h >> 33)).wrapping_mul(0xff51_afd7_ed55_8ccd);
        h = (h ^ (h >> 33)).wrapping_mul(0xc4ce_b9fe_1a85_ec53);
        h ^ (h >> 33)
    }
}
