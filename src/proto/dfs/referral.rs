// SPDX-License-Identifier: GPL-2.0
//! Referral requests and responses (MS-DFSC 2.2.2 to 2.2.5).
//!
//! A response is validated once by [`Response::parse`]; afterwards its entries and their strings
//! are read in place. Each entry is found by the `Size` of the one before, strings by offsets from
//! their own entry; they may be shared, but none reaches outside the response, or into the fixed part
//! of its entry.
//!
//! Known deviations that are accepted: a request of level 1 answered with version 2; strings with
//! no, one or two leading backslashes; entries without the unused site GUID; a target that is no
//! usable `\host\share` (passed over by [`Response::targets`]).

pub mod build;
mod flaw;
mod request;
mod wide;

use super::path::{check, Path};
use super::MAX_TARGETS;
use crate::codec::Reader;
use crate::utf16::same_chars;
pub use flaw::Flaw;
pub use request::{
    Request, Subject, FSCTL_DFS_GET_REFERRALS, FSCTL_DFS_GET_REFERRALS_EX, MAX_LEVEL,
};
pub use wide::Wide;

/// The fixed part of an entry of version 2, in bytes.
const V2_HEAD: u16 = 22;

/// The fixed part of an entry of version 3 or 4 without the unused site GUID, in bytes.
const V3_HEAD: u16 = 18;

/// Time to live of version 1 entries, which carry none, in seconds.
const V1_TTL: u32 = 300;

/// Flags of the referral header (MS-DFSC 2.2.4).
pub mod header_flags {
    /// All targets are DFS roots that answer referral requests.
    pub const REFERRAL_SERVERS: u32 = 0x0000_0001;
    /// All targets can be used without asking for a further referral.
    pub const STORAGE_SERVERS: u32 = 0x0000_0002;
    /// Clients shall return to a preferred target when it is back (version 4 only).
    pub const TARGET_FAILBACK: u32 = 0x0000_0004;
}

/// Flags of a referral entry (MS-DFSC 2.2.5.3, 2.2.5.4).
pub mod entry_flags {
    /// The entry lists names instead of a target.
    pub const NAME_LIST: u16 = 0x0002;
    /// The entry is the first of a target set (version 4 only).
    pub const TARGET_SET_BOUNDARY: u16 = 0x0004;
}

/// One referral entry (MS-DFSC 2.2.5).
#[derive(Clone, Copy, Debug)]
pub struct Referral<'a> {
    /// 1 to 4.
    pub version: u16,
    /// Whether the target is a DFS root rather than a link target.
    pub root: bool,
    /// See [`entry_flags`]; zero for versions 1 and 2.
    pub flags: u16,
    /// Time to live in seconds.
    pub ttl: u32,
    /// A target or a list of names.
    pub body: Body<'a>,
}

/// What a referral entry holds.
#[derive(Clone, Copy, Debug)]
pub enum Body<'a> {
    /// A target of a root or link.
    Target {
        /// The path of the root or link; empty in version 1.
        dfs_path: Wide<'a>,
        /// The same in short names; empty in version 1.
        alternate: Wide<'a>,
        /// `\host\share\...` of the target.
        address: Wide<'a>,
    },
    /// A domain and, in a domain controller referral, its controllers (MS-DFSC 2.2.5.3.2).
    Names {
        /// The domain, with or without a leading backslash.
        special: Wide<'a>,
        /// The controllers.
        expanded: Names<'a>,
    },
}

impl<'a> Referral<'a> {
    /// Parses the entry at the front of `bytes`, which reach to the end of the response; returns it
    /// with the bytes of the next one.
    fn parse(bytes: &'a [u8]) -> Result<(Self, &'a [u8]), Flaw> {
        let mut r = Reader::new(bytes);
        let version = r.u16()?;
        let size = usize::from(r.u16()?);
        let (own, next) = bytes.split_at_checked(size).ok_or(Flaw::Size)?;
        let mut r = Reader::new(own);
        r.skip(4)?;
        let root = r.u16()? == 1;
        let flags = r.u16()?;
        let (flags, ttl, body) = match version {
            1 => (0, V1_TTL, Body::v1(r)?),
            2 => {
                r.skip(4)?;
                (0, r.u32()?, Body::target(r, bytes, V2_HEAD)?)
            }
            3 | 4 => {
                let ttl = r.u32()?;
                let body = match flags & entry_flags::NAME_LIST {
                    0 => Body::target(r, bytes, V3_HEAD)?,
                    _ => Body::names(r, bytes)?,
                };
                (flags, ttl, body)
            }
            _ => return Err(Flaw::Version),
        };
        let entry = Self {
            version,
            root,
            flags,
            ttl,
            body,
        };
        Ok((entry, next))
    }

    /// The target, if it is a usable one: valid UTF-16 that spells `\host\share` or deeper.
    pub fn address(&self) -> Option<Wide<'a>> {
        match self.body {
            Body::Target { address, .. }
                if address.is_valid() && check(address.chars()).is_ok() =>
            {
                Some(address)
            }
            _ => None,
        }
    }

    /// Whether this entry starts a new target set (version 4 only).
    pub const fn starts_set(&self) -> bool {
        self.version == 4 && self.flags & entry_flags::TARGET_SET_BOUNDARY != 0
    }
}

impl<'a> Body<'a> {
    /// Version 1: the string is part of the entry.
    fn v1(r: Reader<'a>) -> Result<Self, Flaw> {
        Ok(Self::Target {
            dfs_path: Wide::EMPTY,
            alternate: Wide::EMPTY,
            address: Wide::parse(r.rest()).map_err(|_| Flaw::Text)?,
        })
    }

    /// Versions 2 to 4: three offsets from the start of the entry, whose fixed part is `head` bytes.
    fn target(mut r: Reader<'a>, bytes: &'a [u8], head: u16) -> Result<Self, Flaw> {
        Ok(Self::Target {
            dfs_path: string(bytes, r.u16()?, head)?,
            alternate: string(bytes, r.u16()?, head)?,
            address: string(bytes, r.u16()?, head)?,
        })
    }

    /// Versions 3 and 4 with the name list flag.
    fn names(mut r: Reader<'a>, bytes: &'a [u8]) -> Result<Self, Flaw> {
        let special = string(bytes, r.u16()?, V3_HEAD)?;
        let count = usize::from(r.u16()?).min(MAX_TARGETS);
        let offset = r.u16()?;
        let rest = match count {
            0 => &[][..],
            _ => at(bytes, offset, V3_HEAD)?,
        };
        let expanded = Names { rest, left: count };
        expanded.validate()?;
        Ok(Self::Names { special, expanded })
    }
}

/// What is at `offset` from the start of an entry: behind its fixed part, and in the response.
fn at(bytes: &[u8], offset: u16, head: u16) -> Result<&[u8], Flaw> {
    let rest = bytes.get(usize::from(offset)..);
    rest.filter(|_| offset >= head).ok_or(Flaw::Offset)
}

/// The string at `offset` from the start of an entry; an offset of 0 means there is none.
fn string(bytes: &[u8], offset: u16, head: u16) -> Result<Wide<'_>, Flaw> {
    match offset {
        0 => Ok(Wide::EMPTY),
        _ => Wide::parse(at(bytes, offset, head)?).map_err(|_| Flaw::Text),
    }
}

/// Consecutive terminated strings: the domain controllers of a name list, in the order of the
/// server. Names that are empty or no valid UTF-16 are passed over.
#[derive(Clone, Copy, Debug)]
pub struct Names<'a> {
    rest: &'a [u8],
    left: usize,
}

impl<'a> Names<'a> {
    fn step(&mut self) -> Result<Option<Wide<'a>>, Flaw> {
        let Some(left) = self.left.checked_sub(1) else {
            return Ok(None);
        };
        let name = Wide::parse(self.rest).map_err(|_| Flaw::Text)?;
        let used = name.bytes().len().saturating_add(2);
        self.rest = self.rest.get(used..).ok_or(Flaw::Text)?;
        self.left = left;
        Ok(Some(name))
    }

    fn validate(mut self) -> Result<(), Flaw> {
        while self.step()?.is_some() {}
        Ok(())
    }
}

impl<'a> Iterator for Names<'a> {
    type Item = Wide<'a>;

    fn next(&mut self) -> Option<Wide<'a>> {
        loop {
            let name = self.step().ok().flatten()?;
            if !name.is_empty() && name.is_valid() {
                return Some(name);
            }
        }
    }
}

/// What a response is about (MS-DFSC 3.1.5.4).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// The targets of a DFS root.
    Root,
    /// The targets of a DFS link.
    Link,
    /// Domains or domain controllers.
    Names,
}

/// A validated referral response (MS-DFSC 2.2.4).
///
/// # Invariants
/// The first `count` entries of `entries` parse, all of one version and of one kind.
#[derive(Clone, Copy, Debug)]
pub struct Response<'a> {
    /// `PathConsumed` as on the wire, in bytes of UTF-16; see [`Path::consumed`].
    pub consumed: u16,
    /// See [`header_flags`].
    pub flags: u32,
    entries: &'a [u8],
    count: usize,
    kind: Kind,
    version: u16,
}

impl<'a> Response<'a> {
    /// Validates the whole of `bytes`.
    ///
    /// Refused are: no entries, an entry or string that leaves the bytes, a string in the fixed part
    /// of its entry, without an end or longer than 4096 units, entries of different versions
    /// (forbidden by MS-DFSC 2.2.5), name lists mixed with targets. Entries after the first
    /// [`MAX_TARGETS`] are not looked at.
    pub fn parse(bytes: &'a [u8]) -> Result<Self, Flaw> {
        let mut r = Reader::new(bytes);
        let consumed = r.u16()?;
        let count = usize::from(r.u16()?).min(MAX_TARGETS);
        let flags = r.u32()?;
        let entries = r.rest();
        if count == 0 {
            return Err(Flaw::Empty);
        }
        let (first, mut rest) = Referral::parse(entries)?;
        let is_names = matches!(first.body, Body::Names { .. });
        for _ in 1..count {
            let (entry, next) = Referral::parse(rest)?;
            if entry.version != first.version
                || matches!(entry.body, Body::Names { .. }) != is_names
            {
                return Err(Flaw::Mixed);
            }
            rest = next;
        }
        let kind = match (is_names, first.root) {
            (true, _) => Kind::Names,
            (false, true) => Kind::Root,
            (false, false) => Kind::Link,
        };
        Ok(Self {
            consumed,
            flags,
            entries,
            count,
            kind,
            version: first.version,
        })
    }

    /// Whether the targets are those of a root or of a link, or whether there are names instead.
    pub const fn kind(&self) -> Kind {
        self.kind
    }

    /// The version of all entries.
    pub const fn version(&self) -> u16 {
        self.version
    }

    /// The number of entries, 1 to [`MAX_TARGETS`].
    pub const fn count(&self) -> usize {
        self.count
    }

    /// Whether clients shall return to a preferred target when it is back (version 4 only).
    pub const fn failback(&self) -> bool {
        self.version == 4 && self.flags & header_flags::TARGET_FAILBACK != 0
    }

    /// Whether the targets of this link are themselves in a DFS namespace (MS-DFSC 3.1.5.4.5).
    pub const fn interlink(&self) -> bool {
        matches!(self.kind, Kind::Link)
            && self.flags & header_flags::REFERRAL_SERVERS != 0
            && self.flags & header_flags::STORAGE_SERVERS == 0
    }

    /// The entries, in the order of the server.
    pub fn entries(&self) -> Entries<'a> {
        Entries {
            rest: self.entries,
            left: self.count,
        }
    }

    /// The usable targets in the order of the server, each with the number of its target set.
    pub fn targets(&self) -> Targets<'a> {
        Targets {
            entries: self.entries(),
            is_first: true,
            set: 0,
        }
    }

    /// How many components of `path`, for which this response was asked, it is about.
    ///
    /// Taken from `PathConsumed`; when that ends nowhere in `path`, from the DFS path of the first
    /// entry, if that is `path` or above it.
    pub fn depth(&self, path: &Path<'_>) -> Option<usize> {
        if let Some(depth) = path.consumed(self.consumed) {
            return Some(depth);
        }
        let Body::Target { dfs_path, .. } = self.entries().next()?.body else {
            return None;
        };
        let depth = check(dfs_path.chars()).ok()?;
        let prefix = path.prefix(depth)?;
        let mut canonical = prefix.chars();
        canonical.next();
        same_chars(dfs_path.bare(), canonical).then_some(depth)
    }
}

/// The entries of a [`Response`].
#[derive(Clone, Copy, Debug)]
pub struct Entries<'a> {
    rest: &'a [u8],
    left: usize,
}

impl<'a> Iterator for Entries<'a> {
    type Item = Referral<'a>;

    fn next(&mut self) -> Option<Referral<'a>> {
        self.left = self.left.checked_sub(1)?;
        let (entry, next) = Referral::parse(self.rest).ok()?;
        self.rest = next;
        Some(entry)
    }
}

/// The usable targets of a [`Response`].
#[derive(Clone, Copy, Debug)]
pub struct Targets<'a> {
    entries: Entries<'a>,
    is_first: bool,
    set: u16,
}

impl<'a> Iterator for Targets<'a> {
    type Item = (u16, Referral<'a>, Wide<'a>);

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            let entry = self.entries.next()?;
            if entry.starts_set() && !self.is_first {
                self.set = self.set.saturating_add(1);
            }
            self.is_first = false;
            if let Some(address) = entry.address() {
                return Some((self.set, entry, address));
            }
        }
    }
}
