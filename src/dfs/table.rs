// SPDX-License-Identifier: GPL-2.0

//! What the lock of the cache protects: the entries and their index. Nothing here allocates, waits
//! or drops an entry: what goes is handed out, to be dropped without the lock.

use super::referral::{
    Holder,
    Owner,
    Referral, //
};
use core::mem;
use kernel::{
    prelude::*,
    sync::Arc, //
};
use rsdfs_proto::{
    dfs::{
        index::{
            next_size,
            Index,
            Node,
            Storage, //
        },
        path::Path, //
    },
    time::{
        Instant,
        Span, //
    }, //
};

/// An entry, or none.
pub(super) type Slot<O> = Option<Arc<Referral<O>>>;

/// Memory for a table of some size.
pub(super) struct Room<O: Owner> {
    storage: Storage<KVVec<Node>, KVVec<u32>>,
    slots: KVVec<Slot<O>>,
}

impl<O: Owner> Room<O> {
    /// Room for more than `now` entries, if there may be more: for `most` of them at most.
    pub(super) fn beyond(now: usize, most: usize) -> Result<Option<Self>> {
        let Some((slots, buckets)) = next_size(now, most) else {
            return Ok(None);
        };
        let mut values = KVVec::with_capacity(slots, GFP_KERNEL)?;
        for _ in 0..slots {
            values.push(None, GFP_KERNEL)?;
        }
        Ok(Some(Self {
            storage: Storage {
                nodes: KVVec::from_elem(Node::FREE, slots, GFP_KERNEL)?,
                buckets: KVVec::from_elem(0, buckets, GFP_KERNEL)?,
                heap: KVVec::from_elem(0, slots, GFP_KERNEL)?,
            },
            slots: values,
        }))
    }

    /// Its size in bytes.
    fn bytes(&self) -> usize {
        let each = mem::size_of::<Slot<O>>()
            .saturating_add(mem::size_of::<Node>())
            .saturating_add(mem::size_of::<u32>());
        let buckets = self.storage.buckets.len();
        let buckets = buckets.saturating_mul(mem::size_of::<u32>());
        self.slots
            .len()
            .saturating_mul(each)
            .saturating_add(buckets)
    }
}

/// See the module.
pub(super) struct Table<O: Owner> {
    index: Index<KVVec<Node>, KVVec<u32>>,
    slots: KVVec<Slot<O>>,
    /// The deepest path there is, in components.
    deepest: usize,
    /// Of the entries.
    bytes: usize,
    /// Of the table itself.
    own_bytes: usize,
}

impl<O: Owner> Table<O> {
    /// Without room for anything.
    pub(super) fn new() -> Self {
        Self {
            index: Index::default(),
            slots: KVVec::new(),
            deepest: 0,
            bytes: 0,
            own_bytes: 0,
        }
    }

    pub(super) fn len(&self) -> usize {
        self.index.len()
    }

    pub(super) fn capacity(&self) -> usize {
        self.index.capacity()
    }

    /// The memory of the entries, in bytes.
    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    /// The memory of the table, in bytes.
    pub(super) fn own_bytes(&self) -> usize {
        self.own_bytes
    }

    /// Moves into `room`; hands out what is not needed.
    pub(super) fn grow(&mut self, mut room: Room<O>) -> Room<O> {
        if room.slots.len() <= self.capacity() {
            return room;
        }
        self.own_bytes = room.bytes();
        for (to, from) in room.slots.iter_mut().zip(self.slots.iter_mut()) {
            *to = from.take();
        }
        mem::swap(&mut self.slots, &mut room.slots);
        Room {
            storage: self.index.grow(room.storage),
            slots: room.slots,
        }
    }

    /// The slot of the longest prefix of `path` that `owner` may use now, its own before imported.
    pub(super) fn longest(
        &self,
        path: &Path<'_>,
        seed: u64,
        owner: &O,
        now: Instant,
    ) -> Option<usize> {
        let stale = owner.stale();
        let mut longest = None;
        for (depth, hash) in path.prefix_hashes(seed) {
            if depth > self.deepest {
                break;
            }
            let may = |entry: &Referral<O>| entry.entry.is_usable(now, stale);
            let found = self.exact(hash, path, depth, |entry| {
                may(entry) && entry.holder.serves(owner)
            });
            longest = found.or(longest);
        }
        longest
    }

    /// The slot about the first `depth` components of `path` for which `is` holds; one that was
    /// fetched before one that was imported.
    pub(super) fn exact(
        &self,
        hash: u64,
        path: &Path<'_>,
        depth: usize,
        is: impl Fn(&Referral<O>) -> bool,
    ) -> Option<usize> {
        let mut import = None;
        let own = self.index.find(hash, |slot| {
            let Some(entry) = self.get(slot) else {
                return false;
            };
            let same = path
                .prefix(depth)
                .is_some_and(|prefix| prefix.is_device(entry.text()));
            if !same || !is(entry) {
                return false;
            }
            if entry.is_import() {
                import = Some(slot);
            }
            !entry.is_import()
        });
        own.or(import)
    }

    /// What is in a slot.
    pub(super) fn get(&self, slot: usize) -> Option<&Arc<Referral<O>>> {
        self.slots.get(slot)?.as_ref()
    }

    /// Notes that a slot was used; if it has expired it is due as soon as it may be tried again.
    pub(super) fn used(&mut self, slot: usize, now: Instant) {
        self.index.touch(slot);
        let Some(entry) = self.get(slot) else {
            return;
        };
        entry.use_at(now);
        if entry.entry.is_fresh(now) {
            return;
        }
        let soon = match entry.tried() {
            Some(tried) => tried.after(entry.entry.retry_after(0)).max(now),
            None => now,
        };
        if self.index.due(slot).is_some_and(|due| soon < due) {
            self.index.set_due(slot, soon);
        }
    }

    /// Puts an entry into a slot in place of what is there, which is handed out.
    pub(super) fn replace(&mut self, slot: usize, new: Arc<Referral<O>>, due: Instant) -> Slot<O> {
        self.bytes = self.bytes.saturating_add(new.bytes());
        let old = mem::replace(self.slots.get_mut(slot)?, Some(new));
        self.index.set_due(slot, due);
        self.index.touch(slot);
        self.account_for(&old);
        old
    }

    /// Puts an entry into a free slot; hands it out again if there is none.
    pub(super) fn insert(
        &mut self,
        hash: u64,
        depth: usize,
        new: Arc<Referral<O>>,
        due: Instant,
    ) -> Slot<O> {
        let Some(slot) = self.index.insert(hash, due) else {
            return Some(new);
        };
        self.deepest = self.deepest.max(depth);
        self.bytes = self.bytes.saturating_add(new.bytes());
        match self.slots.get_mut(slot) {
            Some(to) => to.replace(new),
            None => Some(new),
        }
    }

    /// Takes out the entry that was not used for longest.
    pub(super) fn evict(&mut self) -> Slot<O> {
        let oldest = self.index.oldest()?;
        self.remove(oldest)
    }

    /// Empties a slot.
    pub(super) fn remove(&mut self, slot: usize) -> Slot<O> {
        self.index.remove(slot);
        let old = self.slots.get_mut(slot)?.take();
        self.account_for(&old);
        old
    }

    /// The entry that is due first, if it is; it will be due again in `Entry::retry_after`.
    pub(super) fn take_due(&mut self, now: Instant, random: u32) -> Slot<O> {
        let (slot, due) = self.index.first_due()?;
        if due > now {
            return None;
        }
        let entry = self.get(slot)?.clone();
        let again = now.after(entry.entry.retry_after(random));
        self.index.set_due(slot, again.max(now.after(Span::ms(1))));
        Some(entry)
    }

    /// The slot of this very entry.
    pub(super) fn slot_of(&self, hash: u64, entry: &Arc<Referral<O>>) -> Option<usize> {
        let is = |slot| self.get(slot).is_some_and(|own| Arc::ptr_eq(own, entry));
        self.index.find(hash, is)
    }

    pub(super) fn set_due(&mut self, slot: usize, due: Instant) {
        self.index.set_due(slot, due);
    }

    /// All entries, those used last first.
    pub(super) fn entries(&self) -> impl Iterator<Item = &Arc<Referral<O>>> {
        self.index.slots().filter_map(|slot| self.get(slot))
    }

    fn account_for(&mut self, gone: &Slot<O>) {
        if let Some(gone) = gone {
            self.bytes = self.bytes.saturating_sub(gone.bytes());
        }
    }
}

/// Whether what is kept for `old` is to make room for what is for `new`.
pub(super) fn supersedes<O: Owner>(new: &Holder<O>, old: &Holder<O>) -> bool {
    match (new, old) {
        (Holder::Own(owner), old) => old.serves(owner),
        (Holder::Import(new), Holder::Import(old)) => **new == **old,
        (Holder::Import(_), Holder::Own(_)) => false,
    }
}
