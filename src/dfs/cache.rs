// SPDX-License-Identifier: GPL-2.0

//! The referral cache: referrals by path and by whom they were given to.
//!
//! An entry is an immutable snapshot, [`Referral`]: whoever holds one can go on using it while a
//! newer one takes its place. The cache answers from memory and never asks anybody. It is bounded
//! in entries and in bytes; what was not used for longest goes first.
//!
//! Locks: `Cache::table`, then `Referral::health`, both leaves; `Cache::complaints`, a leaf. Under
//! none of them anything is allocated or waited for: the table grows by memory that was got before.

pub(crate) use super::referral::{
    Blob,
    Holder,
    Owner,
    Referral, //
};

use super::table::{
    supersedes,
    Room,
    Slot,
    Table, //
};
use crate::sys::{
    crypto,
    time::now_ns, //
};
use kernel::{
    new_mutex,
    new_spinlock,
    prelude::*,
    sync::{
        atomic::{
            Atomic,
            Relaxed, //
        },
        Arc,
        Mutex,
        SpinLock, //
    }, //
};
use rsdfs_proto::{
    dfs::{
        complaint::{
            topic,
            Complaints, //
        },
        entry::Entry,
        path::Path, //
    },
    time::Instant, //
};

/// Fewest and most entries that can be asked for.
const ENTRIES: (usize, usize) = (16, 1 << 20);

/// Bytes there are for each entry, on an average: some have hundreds of targets.
const BYTES_EACH: usize = 1024;

/// What the cache has to say about a path.
pub(crate) enum Answer<O: Owner> {
    /// A referral whose time to live has not passed.
    Fresh(Arc<Referral<O>>),
    /// A referral to be used if no newer can be had.
    Stale(Arc<Referral<O>>),
    /// Nothing.
    Miss,
}

/// What happened so far.
pub(crate) struct Counts {
    /// Times [`Cache::find`] was asked.
    pub(crate) lookups: Atomic<u64>,
    /// Nanoseconds it took in all.
    pub(crate) lookup_ns: Atomic<u64>,
    /// Times it knew nothing.
    pub(crate) misses: Atomic<u64>,
    /// Times it had an expired referral only.
    pub(crate) stale: Atomic<u64>,
    /// Entries that had to make room.
    pub(crate) evicted: Atomic<u64>,
    /// Responses that were malformed.
    pub(crate) refused: Atomic<u64>,
    /// Referrals that were fetched again in time.
    pub(crate) refreshed: Atomic<u64>,
    /// Referrals that could not be.
    pub(crate) refresh_failed: Atomic<u64>,
}

impl Counts {
    fn new() -> Self {
        Self {
            lookups: Atomic::new(0),
            lookup_ns: Atomic::new(0),
            misses: Atomic::new(0),
            stale: Atomic::new(0),
            evicted: Atomic::new(0),
            refused: Atomic::new(0),
            refreshed: Atomic::new(0),
            refresh_failed: Atomic::new(0),
        }
    }
}

/// How large it is.
pub(crate) struct Size {
    pub(crate) entries: usize,
    pub(crate) most: usize,
    /// Of the entries.
    pub(crate) bytes: usize,
    /// Of the table.
    pub(crate) table_bytes: usize,
}

/// The cache; see the module.
#[pin_data]
pub(crate) struct Cache<O: Owner> {
    seed: u64,
    /// Entries at most.
    most: usize,
    pub(crate) counts: Counts,
    #[pin]
    table: Mutex<Table<O>>,
    #[pin]
    complaints: SpinLock<Complaints>,
}

impl<O: Owner> Cache<O> {
    /// An empty cache for `most` entries, 16 to 1 048 576; `seed` makes its hash values
    /// unpredictable.
    pub(crate) fn new(seed: u64, most: usize) -> Result<Arc<Self>> {
        Arc::pin_init(
            pin_init!(Self {
                seed,
                most: most.clamp(ENTRIES.0, ENTRIES.1),
                counts: Counts::new(),
                table <- new_mutex!(Table::new()),
                complaints <- new_spinlock!(Complaints::new()),
            }),
            GFP_KERNEL,
        )
    }

    /// The referral with the longest prefix of `path`. Never does I/O.
    pub(crate) fn find(&self, path: &Path<'_>, owner: &O, now: Instant) -> Answer<O> {
        let begin = now_ns();
        let mut table = self.table.lock();
        let found = table.longest(path, self.seed, owner, now).and_then(|slot| {
            table.used(slot, now);
            table.get(slot).cloned()
        });
        drop(table);
        let took = now_ns().saturating_sub(begin);
        self.counts.lookups.fetch_add(1, Relaxed);
        self.counts.lookup_ns.fetch_add(took, Relaxed);
        match found {
            Some(found) if found.entry.is_fresh(now) => Answer::Fresh(found),
            Some(found) => {
                self.counts.stale.fetch_add(1, Relaxed);
                Answer::Stale(found)
            }
            None => {
                self.counts.misses.fetch_add(1, Relaxed);
                Answer::Miss
            }
        }
    }

    /// Takes in the answer to a request for `path`. Hint and health are carried over from the
    /// entry it replaces.
    pub(crate) fn put(
        &self,
        path: &Path<'_>,
        entry: Entry<Blob>,
        owner: &Arc<O>,
    ) -> Result<Arc<Referral<O>>> {
        let key = path.prefix(entry.depth()).ok_or(EINVAL)?;
        let fresh = Referral::new(&key, entry, Holder::Own(owner.clone()))?;
        self.enter(&key, &fresh)?;
        Ok(fresh)
    }

    /// Makes an entry of what was imported; it counts when it is given to [`Self::import`].
    pub(crate) fn heard(
        path: &Path<'_>,
        entry: Entry<Blob>,
        bound: &Arc<O::Bound>,
    ) -> Result<Arc<Referral<O>>> {
        let key = path.prefix(entry.depth()).ok_or(EINVAL)?;
        Referral::new(&key, entry.unconfirmed(), Holder::Import(bound.clone()))
    }

    /// Takes in all of `entries`, or none if they are too many: `ENOSPC`.
    pub(crate) fn import(&self, entries: &[Arc<Referral<O>>]) -> Result {
        let bytes = entries.iter().map(|entry| entry.bytes());
        let bytes = bytes.fold(0, usize::saturating_add);
        if entries.len() > self.most || bytes > self.most_bytes() {
            return Err(ENOSPC);
        }
        while self.table.lock().capacity() < entries.len() {
            if !self.grow()? {
                break;
            }
        }
        for entry in entries {
            let path = Path::device(entry.text()).map_err(|_| EINVAL)?;
            self.enter(&path, entry)?;
        }
        Ok(())
    }

    /// Up to `most` referrals that it is time to fetch again. Each is due again in a while, whatever
    /// comes of it.
    pub(crate) fn take_due(&self, now: Instant, most: usize) -> Result<KVec<Arc<Referral<O>>>> {
        let mut due = KVec::with_capacity(most, GFP_KERNEL)?;
        let random = random();
        let mut table = self.table.lock();
        for _ in 0..most {
            // A few numbers out of one, so that what is due together is not due together again.
            let spread = random.rotate_left(table.len() as u32 ^ due.len() as u32);
            let Some(entry) = table.take_due(now, spread) else {
                break;
            };
            if due.push_within_capacity(entry).is_err() {
                break;
            }
        }
        drop(table);
        Ok(due)
    }

    /// Has a referral fetched again at `due` and not before.
    pub(crate) fn postpone(&self, entry: &Arc<Referral<O>>, due: Instant) {
        let Some(hash) = self.hash(entry) else { return };
        let mut table = self.table.lock();
        if let Some(slot) = table.slot_of(hash, entry) {
            table.set_due(slot, due);
        }
    }

    /// Drops a referral.
    pub(crate) fn forget(&self, entry: &Arc<Referral<O>>) {
        let Some(hash) = self.hash(entry) else { return };
        let mut table = self.table.lock();
        let slot = table.slot_of(hash, entry);
        let gone = slot.and_then(|slot| table.remove(slot));
        drop(table);
        drop(gone);
    }

    /// Forgets everything.
    pub(crate) fn flush(&self) {
        let mut table = self.table.lock();
        let gone = core::mem::replace(&mut *table, Table::new());
        drop(table);
        drop(gone);
    }

    /// All entries, those used last first.
    pub(crate) fn all(&self) -> Result<KVVec<Arc<Referral<O>>>> {
        let mut all = KVVec::new();
        loop {
            let len = self.table.lock().len();
            all.reserve(len, GFP_KERNEL)?;
            let table = self.table.lock();
            if table.len() > all.capacity() {
                continue;
            }
            for entry in table.entries() {
                if all.push_within_capacity(entry.clone()).is_err() {
                    break;
                }
            }
            drop(table);
            return Ok(all);
        }
    }

    /// How large it is.
    pub(crate) fn size(&self) -> Size {
        let table = self.table.lock();
        Size {
            entries: table.len(),
            most: self.most,
            bytes: table.bytes(),
            table_bytes: table.own_bytes(),
        }
    }

    /// Notes that a response of `server` was refused for this reason. Whether to say so in the log:
    /// once in a while.
    pub(crate) fn refused(&self, server: &str, why: &str, now: Instant) -> bool {
        self.counts.refused.fetch_add(1, Relaxed);
        self.complaints.lock().may(topic(server, why), now)
    }

    /// In bytes.
    pub(crate) fn most_bytes(&self) -> usize {
        self.most.saturating_mul(BYTES_EACH)
    }

    fn hash(&self, entry: &Referral<O>) -> Option<u64> {
        let path = Path::device(entry.text()).ok()?;
        Some(path.hash(self.seed))
    }

    /// Puts an entry in place of what it supersedes, or into a free slot, for which others may have
    /// to go.
    fn enter(&self, path: &Path<'_>, new: &Arc<Referral<O>>) -> Result {
        let hash = path.hash(self.seed);
        let replaced = |entry: &Referral<O>| supersedes(&new.holder, &entry.holder);
        let at = |table: &Table<O>| table.exact(hash, path, path.depth(), replaced);
        let full = {
            let table = self.table.lock();
            let old = at(&table).and_then(|slot| table.get(slot).cloned());
            let full = table.len() >= table.capacity();
            drop(table);
            if let Some(old) = &old {
                new.inherit(old);
            }
            old.is_none() && full
        };
        if full {
            // Without memory for it, another one has to go.
            let grown = self.grow();
            if grown.is_err() && self.table.lock().capacity() == 0 {
                return Err(ENOMEM);
            }
        }
        let due = new.entry.refresh_at(random());
        let import = |entry: &Referral<O>| entry.is_import() && replaced(entry);
        let mut table = self.table.lock();
        let (gone, evicted): (Slot<O>, Slot<O>) = match at(&table) {
            Some(slot) => (table.replace(slot, new.clone(), due), None),
            None => {
                let evicted = (table.len() >= table.capacity()).then(|| table.evict());
                let left = table.insert(hash, path.depth(), new.clone(), due);
                (left, evicted.flatten())
            }
        };
        // What was imported is confirmed now.
        let confirmed = match new.is_import() {
            true => None,
            false => table.exact(hash, path, path.depth(), import),
        };
        let confirmed = confirmed.and_then(|slot| table.remove(slot));
        drop(table);
        self.count_evicted(&evicted);
        drop((gone, evicted, confirmed));
        self.trim();
        Ok(())
    }

    /// Gets memory for more entries; whether there may be more.
    fn grow(&self) -> Result<bool> {
        let capacity = self.table.lock().capacity();
        let Some(room) = Room::beyond(capacity, self.most)? else {
            return Ok(false);
        };
        let mut table = self.table.lock();
        let left = table.grow(room);
        drop(table);
        drop(left);
        Ok(true)
    }

    /// Lets entries go until the rest is small enough.
    fn trim(&self) {
        loop {
            let mut table = self.table.lock();
            if table.bytes() <= self.most_bytes() || table.len() <= 1 {
                return;
            }
            let gone = table.evict();
            drop(table);
            self.count_evicted(&gone);
        }
    }

    fn count_evicted(&self, gone: &Slot<O>) {
        if gone.is_some() {
            self.counts.evicted.fetch_add(1, Relaxed);
        }
    }
}

fn random() -> u32 {
    let mut bytes = [0; 4];
    crypto::random(&mut bytes);
    u32::from_le_bytes(bytes)
}
