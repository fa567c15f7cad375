// SPDX-License-Identifier: GPL-2.0
//! One remembered referral: the response as it was received, validated once, and its age.
//!
//! An [`Entry`] never changes; a refresh makes a new one. What changes, the hint and the health of
//! each target, is kept beside it by the owner of the cache.

use super::path::Path;
use super::referral::{self, Body, Entries, Flaw, Kind, Names, Response, Wide};
use crate::time::{Instant, Span};
use crate::utf16::same_chars;

/// Shortest time to live that is honoured: one of 0 would have the server asked without end.
pub const MIN_TTL: Span = Span::secs(1);

/// Longest time to live that is honoured.
pub const MAX_TTL: Span = Span::secs(24 * 60 * 60);

/// A referral that could not be fetched again is tried again after an eighth of its time to live,
/// but not sooner than this.
pub const MIN_RETRY: Span = Span::secs(1);

/// The same, but not later than this.
pub const MAX_RETRY: Span = Span::secs(60);

/// A part of `span`, evenly spread by `random`.
fn some_of(span: Span, random: u32) -> Span {
    let part = u128::from(span.0).saturating_mul(u128::from(random)) >> 32;
    Span::ms(u64::try_from(part).unwrap_or(span.0))
}

/// The time to live of a response: the shortest of its entries, between [`MIN_TTL`] and
/// [`MAX_TTL`].
fn ttl(response: &Response<'_>) -> Span {
    let shortest = response.entries().map(|e| u64::from(e.ttl)).min();
    Span::secs(shortest.unwrap_or(0)).clamp(MIN_TTL, MAX_TTL)
}

/// A root or link and its targets.
///
/// # Invariants
/// `blob` parses as a [`Response`] of targets, `count >= 1` of which are usable.
#[derive(Clone, Debug)]
pub struct Entry<B> {
    blob: B,
    kind: Kind,
    flags: u32,
    failback: bool,
    interlink: bool,
    depth: usize,
    count: usize,
    received: Instant,
    ttl: Span,
    confirmed: bool,
}

impl<B: AsRef<[u8]>> Entry<B> {
    /// Validates `blob`, the answer to a request for `path`, received at `now`.
    ///
    /// Refused is what [`Response::parse`] refuses, a list of names, a response without a usable
    /// target, and one that is not about `path` ([`Response::depth`]).
    pub fn parse(path: &Path<'_>, blob: B, now: Instant) -> Result<Self, Flaw> {
        let response = Response::parse(blob.as_ref())?;
        if response.kind() == Kind::Names {
            return Err(Flaw::Names);
        }
        let depth = response.depth(path).ok_or(Flaw::Consumed)?;
        let mut count = 0usize;
        for _ in response.targets() {
            count = count.saturating_add(1);
        }
        if count == 0 {
            return Err(Flaw::NoTarget);
        }
        Ok(Self {
            confirmed: true,
            kind: response.kind(),
            flags: response.flags,
            failback: response.failback(),
            interlink: response.interlink(),
            depth,
            count,
            received: now,
            ttl: ttl(&response),
            blob,
        })
    }

    /// The same as something that was heard of: stale from the beginning.
    pub fn unconfirmed(self) -> Self {
        Self {
            confirmed: false,
            ..self
        }
    }

    /// The response as it was received.
    pub const fn blob(&self) -> &B {
        &self.blob
    }

    /// [`Kind::Root`] or [`Kind::Link`].
    pub const fn kind(&self) -> Kind {
        self.kind
    }

    /// The header flags, see [`super::referral::header_flags`].
    pub const fn flags(&self) -> u32 {
        self.flags
    }

    /// Whether clients shall return to a preferred target when it is back.
    pub const fn wants_failback(&self) -> bool {
        self.failback
    }

    /// Whether the targets of this link lie in a DFS namespace themselves.
    pub const fn interlink(&self) -> bool {
        self.interlink
    }

    /// How many components of the path asked for this entry is about: the depth of its cache key.
    pub const fn depth(&self) -> usize {
        self.depth
    }

    /// The time to live that was honoured.
    pub const fn ttl(&self) -> Span {
        self.ttl
    }

    /// When it was received.
    pub const fn received(&self) -> Instant {
        self.received
    }

    /// When it stops being fresh.
    pub const fn expires(&self) -> Instant {
        match self.confirmed {
            true => self.received.after(self.ttl),
            false => self.received,
        }
    }

    /// Whether its time to live has not passed. A stale entry stays usable for a while.
    pub fn is_fresh(&self, now: Instant) -> bool {
        now < self.expires()
    }

    /// Whether it may be used: it is fresh, or expired not more than `stale` ago.
    pub fn is_usable(&self, now: Instant, stale: Span) -> bool {
        self.is_fresh(now) || now < self.expires().after(stale)
    }

    /// When to fetch it again: in the last quarter of its time to live, and not in the last eighth,
    /// where in it depending on `random`, so that what was fetched together is not fetched together
    /// again. What is unconfirmed is due at once.
    pub fn refresh_at(&self, random: u32) -> Instant {
        if !self.confirmed {
            return self.received;
        }
        let eighth = Span::ms(self.ttl.0 >> 3);
        let early = eighth.0.saturating_add(some_of(eighth, random).0);
        Instant(self.expires().0.saturating_sub(early))
    }

    /// How long to wait before it is tried again to fetch it, also depending on `random`.
    pub fn retry_after(&self, random: u32) -> Span {
        let wait = Span::ms(self.ttl.0 >> 3).clamp(MIN_RETRY, MAX_RETRY);
        let more = some_of(Span::ms(wait.0 >> 2), random);
        Span::ms(wait.0.saturating_add(more.0))
    }

    /// The number of usable targets, 1 to [`super::MAX_TARGETS`].
    pub const fn count(&self) -> usize {
        self.count
    }

    /// All targets: the one with index `hint` first, then the others in rank order.
    pub fn targets(&self, hint: usize) -> Targets<'_> {
        Targets {
            hinted: self.target(hint),
            hint,
            others: self.ranked(),
        }
    }

    /// The target with this index.
    pub fn target(&self, index: usize) -> Option<Target<'_>> {
        self.ranked().find(|t| t.index == index)
    }

    /// Whether `other` has the same targets, in whatever order.
    pub fn same_targets<C: AsRef<[u8]>>(&self, other: &Entry<C>) -> bool {
        self.count == other.count
            && self.ranked().all(|a| other.position(&a).is_some())
            && other.ranked().all(|b| self.position(&b).is_some())
    }

    /// The index of the target with the same path and set as `target`, to carry a hint over to a
    /// refreshed entry.
    pub fn position(&self, target: &Target<'_>) -> Option<usize> {
        let same = self.ranked().find(|t| t.is_same(target));
        same.map(|t| t.index)
    }

    fn ranked(&self) -> Ranked<'_> {
        let response = Response::parse(self.blob.as_ref()).ok();
        Ranked {
            targets: response.map(|r| r.targets()),
            index: 0,
        }
    }
}

/// The targets of an [`Entry`] in rank order.
#[derive(Clone, Debug)]
struct Ranked<'a> {
    targets: Option<referral::Targets<'a>>,
    index: usize,
}

impl<'a> Iterator for Ranked<'a> {
    type Item = Target<'a>;

    fn next(&mut self) -> Option<Target<'a>> {
        let (set, entry, path) = self.targets.as_mut()?.next()?;
        let index = self.index;
        self.index = index.saturating_add(1);
        Some(Target {
            index,
            set,
            path,
            root: entry.root,
        })
    }
}

/// The targets of an [`Entry`], one of them before its turn.
#[derive(Clone, Debug)]
pub struct Targets<'a> {
    hinted: Option<Target<'a>>,
    hint: usize,
    others: Ranked<'a>,
}

impl<'a> Iterator for Targets<'a> {
    type Item = Target<'a>;

    fn next(&mut self) -> Option<Target<'a>> {
        let hinted = self.hinted.take();
        hinted.or_else(|| self.others.find(|t| t.index != self.hint))
    }
}

/// One target of an [`Entry`].
#[derive(Clone, Copy, Debug)]
pub struct Target<'a> {
    /// Its rank among the usable targets.
    pub index: usize,
    /// Its target set: all of a set are preferred to those of the next.
    pub set: u16,
    /// Its path, which spells `\host\share` or deeper.
    pub path: Wide<'a>,
    /// Whether it is a DFS root.
    pub root: bool,
}

impl Target<'_> {
    /// Whether both have the same path but for letter case and leading backslashes.
    pub fn is_same(&self, other: &Target<'_>) -> bool {
        same_chars(self.path.bare(), other.path.bare())
    }
}

/// A domain list or domain controller list (MS-DFSC 3.1.5.4.1, 3.1.5.4.2).
///
/// # Invariants
/// `blob` parses as a [`Response`] of [`Kind::Names`].
#[derive(Clone, Debug)]
pub struct NameList<B> {
    blob: B,
    received: Instant,
    ttl: Span,
}

impl<B: AsRef<[u8]>> NameList<B> {
    /// Validates `blob`, received at `now`; a response of targets is refused here.
    pub fn parse(blob: B, now: Instant) -> Result<Self, Flaw> {
        let response = Response::parse(blob.as_ref())?;
        if response.kind() != Kind::Names {
            return Err(Flaw::NoNames);
        }
        Ok(Self {
            received: now,
            ttl: ttl(&response),
            blob,
        })
    }

    /// When it stops being fresh.
    pub const fn expires(&self) -> Instant {
        self.received.after(self.ttl)
    }

    /// Whether its time to live has not passed.
    pub fn is_fresh(&self, now: Instant) -> bool {
        now < self.expires()
    }

    /// Each domain, and its controllers if it was asked for them. Names come with or without
    /// leading backslashes; see [`bare`].
    pub fn domains(&self) -> Domains<'_> {
        let response = Response::parse(self.blob.as_ref()).ok();
        Domains {
            entries: response.map(|r| r.entries()),
        }
    }
}

/// The domains of a [`NameList`].
#[derive(Clone, Debug)]
pub struct Domains<'a> {
    entries: Option<Entries<'a>>,
}

impl<'a> Iterator for Domains<'a> {
    type Item = (Wide<'a>, Names<'a>);

    fn next(&mut self) -> Option<Self::Item> {
        match self.entries.as_mut()?.next()?.body {
            Body::Names { special, expanded } => Some((special, expanded)),
            Body::Target { .. } => None,
        }
    }
}

/// A host or domain name without the backslashes some servers put before it.
pub fn bare(mut name: &str) -> &str {
    while let Some(tail) = name.strip_prefix('\\') {
        name = tail;
    }
    name
}
