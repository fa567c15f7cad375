// SPDX-License-Identifier: GPL-2.0
//! Byte-range locks: what a server is to hold for all who lock ranges of a file here, and how to get there.
//!
//! A server knows one holder, the handle that all locks of a file are taken with. So it is told the
//! *union* of what the local holders have: a byte is locked there if anybody here has it locked, and
//! exclusively if anybody here has it so. Which of the local holders are in each other's way is not
//! decided here.
//!
//! A server unlocks only exactly what it has locked at once. A shared lock may lie over other locks of
//! the same handle, an exclusive one may not (MS-FSA 2.1.5.8). So what is given up in part, or becomes
//! exclusive, has to be unlocked as a whole first; what stays shared is locked before that, and is
//! never unlocked in between.

use core::cmp::Ordering;

/// One past the last byte that can be locked: what the kernel calls `OFFSET_MAX` is the last.
pub const END: u64 = 1 << 63;

/// Bytes of a file, at least one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Range {
    start: u64,
    end: u64,
}

impl Range {
    /// Every byte.
    pub const ALL: Range = Range { start: 0, end: END };

    /// From `start` up to, and without, `end`; `None` if there is nothing between, or beyond [`END`].
    pub const fn new(start: u64, end: u64) -> Option<Self> {
        if start < end && end <= END {
            Some(Self { start, end })
        } else {
            None
        }
    }

    /// Its first byte.
    pub const fn start(self) -> u64 {
        self.start
    }

    /// One past its last byte.
    pub const fn end(self) -> u64 {
        self.end
    }

    /// How many bytes it has.
    pub const fn len(self) -> u64 {
        self.end.saturating_sub(self.start)
    }

    /// Whether it has no bytes: never.
    pub const fn is_empty(self) -> bool {
        false
    }

    /// Whether all of `other` is in it.
    pub const fn contains(self, other: Range) -> bool {
        self.start <= other.start && other.end <= self.end
    }

    /// Whether both have a byte in common.
    pub const fn overlaps(self, other: Range) -> bool {
        self.start < other.end && other.start < self.end
    }

    /// What is left of it without `cut`: before, and after.
    pub fn without(self, cut: Range) -> (Option<Range>, Option<Range>) {
        let before = Range::new(self.start, self.end.min(cut.start));
        let after = Range::new(self.start.max(cut.end), self.end);
        (before, after)
    }
}

/// What a lock keeps others from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// Writing.
    Shared,
    /// Everything.
    Exclusive,
}

/// A locked range.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Lock {
    /// Which bytes.
    pub range: Range,
    /// How.
    pub kind: Kind,
}

/// What to ask of the server next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// Lock a range.
    Lock(Lock),
    /// Unlock a range, which is one that was locked.
    Unlock(Range),
}

/// Moves the last of `list` to its place among the others, which are in order of their ranges.
pub fn place_last<T>(list: &mut [T], lock: impl Fn(&T) -> Lock) {
    let order = |a: &T, b: &T| lock(a).range.start.cmp(&lock(b).range.start);
    let mut at = list.len();
    while let Some([before, last]) = at.checked_sub(2).and_then(|from| list.get_mut(from..at)) {
        if order(before, last) != Ordering::Greater {
            return;
        }
        core::mem::swap(before, last);
        at = at.saturating_sub(1);
    }
}

/// Tells `sink` the union of `locks`, which are in order of their ranges: ranges that do not overlap, in
/// order, each as long as it can be.
pub fn union<E>(locks: &[Lock], mut sink: impl FnMut(Lock) -> Result<(), E>) -> Result<(), E> {
    let mut rest = locks.iter().peekable();
    let (mut at, mut shared_to, mut exclusive_to) = (0, 0, 0);
    let mut grown: Option<Lock> = None;
    loop {
        while let Some(lock) = rest.next_if(|lock| lock.range.start <= at) {
            let to = match lock.kind {
                Kind::Shared => &mut shared_to,
                Kind::Exclusive => &mut exclusive_to,
            };
            *to = lock.range.end.max(*to);
        }
        let next = rest.peek().map_or(END, |lock| lock.range.start);
        let (kind, end) = match at {
            at if at < exclusive_to => (Kind::Exclusive, exclusive_to.min(next)),
            at if at < shared_to => (Kind::Shared, shared_to.min(next)),
            _ if rest.peek().is_none() => break,
            _ => {
                at = next;
                continue;
            }
        };
        let Some(range) = Range::new(at, end) else {
            break;
        };
        at = end;
        grown = match grown {
            Some(last) if last.kind == kind && last.range.end == range.start => Some(Lock {
                range: Range { end, ..last.range },
                kind,
            }),
            Some(done) => {
                sink(done)?;
                Some(Lock { range, kind })
            }
            None => Some(Lock { range, kind }),
        };
    }
    grown.map_or(Ok(()), sink)
}

/// What to ask of a server that holds `held` next, so that it holds `wanted` in the end; `None` when it does.
///
/// `wanted` is a [`union`]; `held` is in order of its ranges. First comes what can be refused while nothing has
/// been given up for it. `stacks` if the server lets a shared lock lie over others of the handle.
pub fn next_step(held: &[Lock], wanted: &[Lock], stacks: bool) -> Option<Step> {
    let kept = |lock: &Lock| is_kept(lock, wanted);
    // Nobody here has any of it yet.
    let fresh = first_gap(held.iter(), wanted.iter());
    // It stays shared, or becomes so, while what lies over it is unlocked.
    let stays = || {
        if !stacks {
            return None;
        }
        let wanted = wanted.iter().filter(|lock| lock.kind == Kind::Shared);
        first_gap(held.iter().filter(|lock| kept(lock)), wanted)
    };
    // To unlock the range of both would unlock the exclusive one, below which the shared one does no harm.
    let below = |lock: &Lock| {
        lock.kind == Kind::Shared
            && held.iter().any(|other| {
                other.kind == Kind::Exclusive && other.range == lock.range && kept(other)
            })
    };
    let over = || {
        let over = held.iter().find(|lock| !kept(lock) && !below(lock))?;
        Some(Step::Unlock(over.range))
    };
    fresh.or_else(stays).map(Step::Lock).or_else(over)
}

/// Notes in `held` that `range` was unlocked: where it is locked twice, the exclusive lock goes first. Says where
/// the one is that goes.
pub fn unlocked(held: &[Lock], range: Range) -> Option<usize> {
    let find = |kind| held.iter().position(|lock| *lock == Lock { range, kind });
    find(Kind::Exclusive).or_else(|| find(Kind::Shared))
}

/// Whether all of a range is wanted as it is locked.
fn is_kept(lock: &Lock, wanted: &[Lock]) -> bool {
    // The first that does not end before it, by halves: `slice::partition_point` has bare sums in it.
    let (mut rest, mut first) = (wanted, None);
    while let Some((left, [middle, right @ ..])) = rest.split_at_checked(rest.len() / 2) {
        if middle.range.end > lock.range.start {
            (rest, first) = (left, Some(middle));
        } else {
            rest = right;
        }
    }
    first.is_some_and(|other| other.kind == lock.kind && other.range.contains(lock.range))
}

/// The first range of `wanted` of which nothing is in `held`; both are in order.
fn first_gap<'a>(
    held: impl Iterator<Item = &'a Lock>,
    wanted: impl Iterator<Item = &'a Lock>,
) -> Option<Lock> {
    let mut held = held.peekable();
    let mut covered_to = 0;
    for lock in wanted {
        let mut at = lock.range.start;
        while at < lock.range.end {
            while let Some(other) = held.next_if(|other| other.range.start <= at) {
                covered_to = other.range.end.max(covered_to);
            }
            if covered_to > at {
                at = covered_to;
                continue;
            }
            let end = held.peek().map_or(END, |other| other.range.start);
            let range = Range::new(at, end.min(lock.range.end))?;
            return Some(Lock { range, ..*lock });
        }
    }
    None
}
