// SPDX-License-Identifier: GPL-2.0

//! A hashtable of referrals, keyed by path and by whom they were given to.
//!
//! An entry is an immutable snapshot, [`Referral`]: whoever holds one can go on using it while a
//! newer one takes its place. Only the hint and the health of its targets change, in place.
//!
//! Locks: `Cache::table`, then `Referral::health`; both are leaves: nothing waits under them.

use core::mem;
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
        entry::Entry,
        path::Path, //
    },
    failover::Health,
    time::Instant, //
};

/// A referral response as it was received.
pub(crate) struct Blob(pub(crate) KVec<u8>);

impl AsRef<[u8]> for Blob {
    fn as_ref(&self) -> &[u8] {
        &self.0
    }
}

/// Buckets of the table; a power of two.
const BUCKETS: usize = 512;

/// Entries kept at most; beyond, the one not used for longest goes.
const CAPACITY: usize = 4096;

/// Whom a referral was given to: entries of different owners never mix.
pub(crate) trait Owner: Send + Sync {
    /// Whether referrals of `other` may be used by this owner too.
    fn same(&self, other: &Self) -> bool;
}

/// One cached referral.
#[pin_data]
pub(crate) struct Referral<O> {
    /// The path it is about, in device form.
    pub(crate) path: KVec<u8>,
    pub(crate) entry: Entry<Blob>,
    /// By whose leave it was fetched, and may be fetched again.
    pub(crate) owner: Arc<O>,
    hint: Atomic<usize>,
    used: Atomic<u64>,
    /// When it was last tried to fetch it again.
    tried: Atomic<u64>,
    #[pin]
    health: SpinLock<KVec<Health>>,
}

impl<O> Referral<O> {
    /// The index of the target in use, or to be tried first.
    pub(crate) fn hint(&self) -> usize {
        self.hint.load(Relaxed)
    }

    /// Makes target `index` the one to be tried first.
    pub(crate) fn set_hint(&self, index: usize) {
        self.hint.store(index, Relaxed);
    }

    /// What is known of target `index`.
    pub(crate) fn health(&self, index: usize) -> Health {
        self.health.lock().get(index).copied().unwrap_or_default()
    }

    /// Replaces what is known of target `index`.
    pub(crate) fn set_health(&self, index: usize, health: Health) {
        if let Some(slot) = self.health.lock().get_mut(index) {
            *slot = health;
        }
    }

    /// Whether it is time to try to fetch it again: at most once in a while.
    pub(crate) fn may_refresh(&self, now: Instant) -> bool {
        let last = Instant(self.tried.load(Relaxed));
        let wait = (self.entry.ttl().0 / 8).max(1000);
        if now.since(last).0 < wait {
            return false;
        }
        self.tried.store(now.0, Relaxed);
        true
    }

    /// The path as text.
    pub(crate) fn text(&self) -> &str {
        core::str::from_utf8(&self.path).unwrap_or_default()
    }

    /// Notes a use.
    fn touch(&self, now: Instant) {
        self.used.store(now.0, Relaxed);
    }
}

/// What the cache has to say about a path.
pub(crate) enum Answer<O> {
    /// A referral whose time to live has not passed.
    Fresh(Arc<Referral<O>>),
    /// A referral to be used if no newer can be had.
    Stale(Arc<Referral<O>>),
    /// Nothing.
    Miss,
}

struct Table<O> {
    buckets: KVec<KVec<Arc<Referral<O>>>>,
    count: usize,
}

/// The cache; see the module.
#[pin_data]
pub(crate) struct Cache<O> {
    seed: u64,
    #[pin]
    table: Mutex<Table<O>>,
}

impl<O: Owner> Cache<O> {
    /// An empty cache; `seed` makes its hash values unpredictable.
    pub(crate) fn new(seed: u64) -> Result<Arc<Self>> {
        let mut buckets = KVec::with_capacity(BUCKETS, GFP_KERNEL)?;
        for _ in 0..BUCKETS {
            buckets.push(KVec::new(), GFP_KERNEL)?;
        }
        Arc::pin_init(
            pin_init!(Self {
                seed,
                table <- new_mutex!(Table { buckets, count: 0 }),
            }),
            GFP_KERNEL,
        )
    }

    /// The referral with the longest prefix of `path`. Never does I/O.
    pub(crate) fn find(&self, path: &Path<'_>, owner: &O, now: Instant) -> Answer<O> {
        let table = self.table.lock();
        for prefix in path.prefixes() {
            let bucket = table.buckets.get(self.bucket(&prefix));
            let mut entries = bucket.into_iter().flatten();
            let Some(found) = entries.find(|entry| matches(entry, &prefix, owner)) else {
                continue;
            };
            found.touch(now);
            let found = found.clone();
            return if found.entry.is_fresh(now) {
                Answer::Fresh(found)
            } else {
                Answer::Stale(found)
            };
        }
        Answer::Miss
    }

    /// Takes in the answer to a request for `path`. Hint and health are carried over from the
    /// entry it replaces.
    pub(crate) fn put(
        &self,
        path: &Path<'_>,
        entry: Entry<Blob>,
        owner: &Arc<O>,
        now: Instant,
    ) -> Result<Arc<Referral<O>>> {
        let key = path.prefix(entry.depth()).ok_or(EINVAL)?;
        let mut text = KVec::new();
        write_path(&mut text, &key)?;
        let health = KVec::from_elem(Health::NEW, entry.count(), GFP_KERNEL)?;
        let fresh = Arc::pin_init(
            pin_init!(Referral {
                path: text,
                entry,
                owner: owner.clone(),
                hint: Atomic::new(0),
                used: Atomic::new(now.0),
                tried: Atomic::new(now.0),
                health <- new_spinlock!(health),
            }),
            GFP_KERNEL,
        )?;
        let mut table = self.table.lock();
        let bucket = table.buckets.get_mut(self.bucket(&key)).ok_or(EINVAL)?;
        let old = bucket.iter_mut().find(|entry| matches(entry, &key, owner));
        let gone = match old {
            Some(slot) => {
                inherit(&fresh, slot);
                Some(mem::replace(slot, fresh.clone()))
            }
            None => {
                bucket.push(fresh.clone(), GFP_KERNEL)?;
                table.count = table.count.saturating_add(1);
                if table.count > CAPACITY {
                    table.evict()
                } else {
                    None
                }
            }
        };
        drop(table);
        drop(gone);
        Ok(fresh)
    }

    /// Forgets everything.
    pub(crate) fn flush(&self) {
        let mut gone = KVec::new();
        let mut table = self.table.lock();
        for bucket in table.buckets.iter_mut() {
            // Without memory for it they are dropped under the lock, which is no harm.
            let _ = gone.push(mem::take(bucket), GFP_KERNEL);
        }
        table.count = 0;
        drop(table);
    }

    /// All entries, in no particular order.
    pub(crate) fn all(&self) -> Result<KVec<Arc<Referral<O>>>> {
        let table = self.table.lock();
        let mut all = KVec::with_capacity(table.count, GFP_KERNEL)?;
        for entry in table.buckets.iter().flatten() {
            all.push(entry.clone(), GFP_KERNEL)?;
        }
        Ok(all)
    }

    fn bucket(&self, key: &Path<'_>) -> usize {
        key.hash(self.seed) as usize & (BUCKETS - 1)
    }
}

impl<O> Table<O> {
    /// Takes out the entry that was not used for longest.
    fn evict(&mut self) -> Option<Arc<Referral<O>>> {
        let mut oldest = (u64::MAX, 0, 0);
        for (b, bucket) in self.buckets.iter().enumerate() {
            for (slot, entry) in bucket.iter().enumerate() {
                oldest = oldest.min((entry.used.load(Relaxed), b, slot));
            }
        }
        let (_, bucket, slot) = oldest;
        let gone = self.buckets.get_mut(bucket)?.remove(slot).ok()?;
        self.count = self.count.saturating_sub(1);
        Some(gone)
    }
}

fn matches<O: Owner>(entry: &Referral<O>, key: &Path<'_>, owner: &O) -> bool {
    entry.owner.same(owner) && Path::parse(entry.text()).is_ok_and(|path| path == *key)
}

/// Carries over what is known of the targets that are still there.
fn inherit<O>(new: &Referral<O>, old: &Referral<O>) {
    let hint = old.hint();
    for target in old.entry.targets(hint) {
        if let Some(index) = new.entry.position(&target) {
            new.set_health(index, old.health(target.index));
            if target.index == hint {
                new.set_hint(index);
            }
        }
    }
}

/// Appends the device form of `path`.
fn write_path(out: &mut KVec<u8>, path: &Path<'_>) -> Result {
    out.push(b'/', GFP_KERNEL)?;
    for component in path.components() {
        out.push(b'/', GFP_KERNEL)?;
        out.extend_from_slice(component.as_bytes(), GFP_KERNEL)?;
    }
    Ok(())
}
