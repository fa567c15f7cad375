// SPDX-License-Identifier: GPL-2.0
//! Where the entries of a cache are: by hash, by last use and by when they are due, all at once.
//!
//! An [`Index`] deals in slot numbers and owns no entry: the caller keeps those in an array of its
//! own, and the storage of the index is the caller's too. Finding is a walk along one short chain,
//! the order of use a list, the order of due times a heap: nothing costs more as the cache grows,
//! but for a heap's logarithm.

use core::ops::DerefMut;

use crate::time::Instant;

/// No slot.
const NONE: u32 = u32::MAX;

/// The most slots an index can have.
pub const MAX_SLOTS: usize = 1 << 24;

/// The place of one entry in all orders.
#[derive(Clone, Copy, Debug)]
pub struct Node {
    hash: u64,
    due: Instant,
    /// The next in the bucket, or the next free one.
    chain: u32,
    /// Used before this one.
    older: u32,
    /// Used after this one.
    newer: u32,
    /// Where it is in the heap; [`NONE`] if it is free.
    place: u32,
}

impl Node {
    /// One that is not used.
    pub const FREE: Self = Self {
        hash: 0,
        due: Instant(0),
        chain: NONE,
        older: NONE,
        newer: NONE,
        place: NONE,
    };
}

/// Room for an index of some size.
///
/// `nodes` and `heap` have as many elements as there shall be slots, `buckets` a power of two.
#[derive(Clone, Debug, Default)]
pub struct Storage<N, L> {
    /// To be filled with [`Node::FREE`].
    pub nodes: N,
    /// To be filled with anything.
    pub buckets: L,
    /// To be filled with anything.
    pub heap: L,
}

/// See the module.
///
/// # Invariants
/// The slots in use are, each once: in the chain of their bucket, in the list from `newest` to
/// `oldest`, and in the first `count` places of the heap, of which none is due before its parent.
/// The others are in the chain that begins at `free`.
#[derive(Clone, Debug)]
pub struct Index<N, L> {
    room: Storage<N, L>,
    free: u32,
    newest: u32,
    oldest: u32,
    count: usize,
}

impl<N: Default, L: Default> Default for Index<N, L> {
    fn default() -> Self {
        Self {
            room: Storage::default(),
            free: NONE,
            newest: NONE,
            oldest: NONE,
            count: 0,
        }
    }
}

impl<N, L> Index<N, L>
where
    N: DerefMut<Target = [Node]>,
    L: DerefMut<Target = [u32]>,
{
    /// How many slots are in use.
    pub const fn len(&self) -> usize {
        self.count
    }

    /// Whether none is.
    pub const fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// How many there can be with the storage at hand.
    pub fn capacity(&self) -> usize {
        self.room.nodes.len().min(self.room.heap.len())
    }

    /// Moves into larger storage; slots keep their numbers. Returns the storage of before, or what
    /// was given if it is not larger or does not fit together.
    pub fn grow(&mut self, mut room: Storage<N, L>) -> Storage<N, L> {
        let slots = room.nodes.len();
        let fits = slots == room.heap.len()
            && slots > self.capacity()
            && slots <= MAX_SLOTS
            && room.buckets.len().is_power_of_two();
        if !fits {
            return room;
        }
        let kept = self.room.nodes.len();
        for (to, from) in room.nodes.iter_mut().zip(self.room.nodes.iter()) {
            *to = *from;
        }
        for (to, from) in room.heap.iter_mut().zip(self.room.heap.iter()) {
            *to = *from;
        }
        room.buckets.fill(NONE);
        core::mem::swap(&mut self.room, &mut room);
        for slot in (kept..slots).rev() {
            self.release(number(slot));
        }
        let mut at = self.newest;
        while let Some(node) = self.node(at) {
            let older = node.older;
            self.link(at);
            at = older;
        }
        room
    }

    /// The slot of this hash for which `is` holds; it is asked about each with the very hash.
    pub fn find(&self, hash: u64, mut is: impl FnMut(usize) -> bool) -> Option<usize> {
        let mut at = *self.room.buckets.get(self.bucket(hash)?)?;
        while let Some(node) = self.node(at) {
            if node.hash == hash && is(place(at)) {
                return Some(place(at));
            }
            at = node.chain;
        }
        None
    }

    /// Takes a free slot for an entry of this hash, as the one used last; `None` if none is free.
    pub fn insert(&mut self, hash: u64, due: Instant) -> Option<usize> {
        let at = self.free;
        let end = number(self.count);
        let node = self.node_mut(at)?;
        let free = node.chain;
        *node = Node {
            hash,
            due,
            place: end,
            ..Node::FREE
        };
        self.free = free;
        self.link(at);
        self.enlist(at);
        if let Some(last) = self.room.heap.get_mut(self.count) {
            *last = at;
        }
        self.count = self.count.saturating_add(1);
        self.rise(end);
        Some(place(at))
    }

    /// Gives a slot back.
    pub fn remove(&mut self, slot: usize) {
        let at = number(slot);
        let Some(node) = self.used(at).copied() else {
            return;
        };
        self.unlink(at, node.hash);
        self.delist(at);
        let end = self.count.saturating_sub(1);
        let last = self.room.heap.get(end).copied().unwrap_or(NONE);
        self.count = end;
        if last != at {
            self.put(node.place, last);
            self.rise(node.place);
            self.sink(node.place);
        }
        self.release(at);
    }

    /// Gives all slots back.
    pub fn clear(&mut self) {
        (self.free, self.newest, self.oldest, self.count) = (NONE, NONE, NONE, 0);
        self.room.buckets.fill(NONE);
        for slot in (0..self.capacity()).rev() {
            self.release(number(slot));
        }
    }

    /// Makes it the one used last.
    pub fn touch(&mut self, slot: usize) {
        let at = number(slot);
        if self.newest != at && self.used(at).is_some() {
            self.delist(at);
            self.enlist(at);
        }
    }

    /// The one not used for longest.
    pub fn oldest(&self) -> Option<usize> {
        self.node(self.oldest).map(|_| place(self.oldest))
    }

    /// All slots in use, the one used last first.
    pub fn slots(&self) -> impl Iterator<Item = usize> + '_ {
        let first = self.node(self.newest).map(|_| self.newest);
        let next = |at: &u32| {
            let older = self.node(*at)?.older;
            self.node(older).map(|_| older)
        };
        core::iter::successors(first, next).map(place)
    }

    /// The slot that is due first, and when.
    pub fn first_due(&self) -> Option<(usize, Instant)> {
        let at = *self.room.heap.first()?;
        let node = self.used(at).filter(|_| self.count > 0)?;
        Some((place(at), node.due))
    }

    /// When a slot is due.
    pub fn due(&self, slot: usize) -> Option<Instant> {
        self.used(number(slot)).map(|node| node.due)
    }

    /// Changes when a slot is due.
    pub fn set_due(&mut self, slot: usize, due: Instant) {
        let at = number(slot);
        if self.used(at).is_none() {
            return;
        }
        if let Some(node) = self.node_mut(at) {
            node.due = due;
            let at = node.place;
            self.rise(at);
        }
        if let Some(at) = self.used(at).map(|node| node.place) {
            self.sink(at);
        }
    }

    fn node(&self, at: u32) -> Option<&Node> {
        self.room.nodes.get(place(at))
    }

    fn node_mut(&mut self, at: u32) -> Option<&mut Node> {
        self.room.nodes.get_mut(place(at))
    }

    fn used(&self, at: u32) -> Option<&Node> {
        self.node(at).filter(|node| node.place != NONE)
    }

    fn release(&mut self, at: u32) {
        let free = self.free;
        if let Some(node) = self.node_mut(at) {
            *node = Node {
                chain: free,
                ..Node::FREE
            };
            self.free = at;
        }
    }

    fn bucket(&self, hash: u64) -> Option<usize> {
        let mask = self.room.buckets.len().checked_sub(1)?;
        usize::try_from(hash & u64::from(NONE))
            .ok()
            .map(|h| h & mask)
    }

    /// Puts a slot at the front of its bucket.
    fn link(&mut self, at: u32) {
        let Some(hash) = self.node(at).map(|node| node.hash) else {
            return;
        };
        let bucket = self.bucket(hash);
        let Some(head) = bucket.and_then(|b| self.room.buckets.get_mut(b)) else {
            return;
        };
        let next = core::mem::replace(head, at);
        if let Some(node) = self.node_mut(at) {
            node.chain = next;
        }
    }

    /// Takes a slot out of its bucket.
    fn unlink(&mut self, at: u32, hash: u64) {
        let next = self.node(at).map_or(NONE, |node| node.chain);
        let bucket = self.bucket(hash);
        let Some(head) = bucket.and_then(|b| self.room.buckets.get_mut(b)) else {
            return;
        };
        if *head == at {
            *head = next;
            return;
        }
        let mut before = *head;
        while let Some(node) = self.node_mut(before) {
            if node.chain == at {
                node.chain = next;
                return;
            }
            before = node.chain;
        }
    }

    /// Puts a slot at the end of what was used last.
    fn enlist(&mut self, at: u32) {
        let second = core::mem::replace(&mut self.newest, at);
        match self.node_mut(second) {
            Some(node) => node.newer = at,
            None => self.oldest = at,
        }
        if let Some(node) = self.node_mut(at) {
            (node.newer, node.older) = (NONE, second);
        }
    }

    fn delist(&mut self, at: u32) {
        let Some(node) = self.node(at) else {
            return;
        };
        let (newer, older) = (node.newer, node.older);
        match self.node_mut(newer) {
            Some(node) => node.older = older,
            None => self.newest = older,
        }
        match self.node_mut(older) {
            Some(node) => node.newer = newer,
            None => self.oldest = newer,
        }
    }

    /// What is in a place of the heap, and when it is due.
    fn heap(&self, at: u32) -> Option<(u32, Instant)> {
        let slot = *self.room.heap.get(..self.count)?.get(place(at))?;
        Some((slot, self.node(slot)?.due))
    }

    fn put(&mut self, at: u32, slot: u32) {
        if let Some(to) = self.room.heap.get_mut(place(at)) {
            *to = slot;
        }
        if let Some(node) = self.node_mut(slot) {
            node.place = at;
        }
    }

    /// Moves what is at `at` up to where it belongs.
    fn rise(&mut self, mut at: u32) {
        while at > 0 {
            let parent = at.saturating_sub(1) >> 1;
            let (Some((own, due)), Some((other, before))) = (self.heap(at), self.heap(parent))
            else {
                return;
            };
            if before <= due {
                return;
            }
            self.put(at, other);
            self.put(parent, own);
            at = parent;
        }
    }

    /// Moves what is at `at` down to where it belongs.
    fn sink(&mut self, mut at: u32) {
        while let Some((own, due)) = self.heap(at) {
            let left = at.saturating_mul(2).saturating_add(1);
            let children = [left, left.saturating_add(1)];
            let due_of = |at: u32| self.heap(at).map(|(slot, due)| (due, at, slot));
            let Some((before, child, other)) = children.into_iter().filter_map(due_of).min() else {
                return;
            };
            if due <= before {
                return;
            }
            self.put(at, other);
            self.put(child, own);
            at = child;
        }
    }
}

/// A slot or place as it is kept.
fn number(slot: usize) -> u32 {
    u32::try_from(slot).unwrap_or(NONE)
}

/// The other way round.
fn place(at: u32) -> usize {
    usize::try_from(at).unwrap_or(usize::MAX)
}

/// How many slots and buckets storage shall have when `slots` are not enough, and no more than
/// `most` are wanted; `None` if it shall not grow.
pub fn next_size(slots: usize, most: usize) -> Option<(usize, usize)> {
    let more = slots.saturating_mul(2).max(64).min(most.min(MAX_SLOTS));
    (more > slots).then(|| (more, more.next_power_of_two()))
}
