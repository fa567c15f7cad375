// SPDX-License-Identifier: GPL-2.0

//! One cached referral: an immutable snapshot, but for the hint and the health of its targets.
//!
//! Locks: `Referral::health` is a leaf.

use kernel::{
    new_spinlock,
    prelude::*,
    sync::{
        atomic::{
            Atomic,
            Relaxed, //
        },
        Arc,
        SpinLock, //
    }, //
};
use rsdfs_proto::{
    dfs::{
        entry::Entry,
        path::Path, //
    },
    failover::Health,
    time::{
        Instant,
        Span, //
    }, //
};

/// A referral response as it was received.
pub(crate) struct Blob(pub(crate) KVec<u8>);

impl AsRef<[u8]> for Blob {
    fn as_ref(&self) -> &[u8] {
        &self.0
    }
}

/// Whom a referral was given to: entries of different owners never mix.
pub(crate) trait Owner: Send + Sync {
    /// Whom a referral that was imported is for, as far as a text can say.
    type Bound: PartialEq + Send + Sync;

    /// Whether referrals of `other` may be used by this owner too.
    fn same(&self, other: &Self) -> bool;

    /// Whether this owner may use what was imported for `bound`.
    fn within(&self, bound: &Self::Bound) -> bool;

    /// How long an expired referral may still be used by this owner.
    fn stale(&self) -> Span;
}

/// Whose a referral is.
pub(crate) enum Holder<O: Owner> {
    /// It was fetched by this one's leave, and may be fetched again.
    Own(Arc<O>),
    /// It was imported, and nobody has confirmed it yet.
    Import(Arc<O::Bound>),
}

impl<O: Owner> Clone for Holder<O> {
    fn clone(&self) -> Self {
        match self {
            Self::Own(owner) => Self::Own(owner.clone()),
            Self::Import(bound) => Self::Import(bound.clone()),
        }
    }
}

impl<O: Owner> Holder<O> {
    /// Whether `owner` may use it.
    pub(crate) fn serves(&self, owner: &O) -> bool {
        match self {
            Self::Own(own) => core::ptr::eq(&**own, owner) || own.same(owner),
            Self::Import(bound) => owner.within(bound),
        }
    }
}

/// One cached referral.
#[pin_data]
pub(crate) struct Referral<O: Owner> {
    /// The path it is about, in device form.
    path: KVec<u8>,
    pub(crate) entry: Entry<Blob>,
    pub(crate) holder: Holder<O>,
    hint: Atomic<usize>,
    /// When it was last looked up; 0 if never.
    used: Atomic<u64>,
    /// When it was last tried to fetch it again; 0 if never.
    tried: Atomic<u64>,
    #[pin]
    health: SpinLock<KVec<Health>>,
}

impl<O: Owner> Referral<O> {
    /// `entry` is what was answered about `path` or one below it.
    pub(super) fn new(path: &Path<'_>, entry: Entry<Blob>, holder: Holder<O>) -> Result<Arc<Self>> {
        let path = device(path)?;
        let health = KVec::from_elem(Health::NEW, entry.count(), GFP_KERNEL)?;
        Arc::pin_init(
            pin_init!(Self {
                path,
                used: Atomic::new(0),
                tried: Atomic::new(0),
                entry,
                holder,
                hint: Atomic::new(0),
                health <- new_spinlock!(health),
            }),
            GFP_KERNEL,
        )
    }

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

    /// The path as text.
    pub(crate) fn text(&self) -> &str {
        core::str::from_utf8(&self.path).unwrap_or_default()
    }

    /// Whether nobody has confirmed it since it was imported.
    pub(crate) fn is_import(&self) -> bool {
        matches!(self.holder, Holder::Import(_))
    }

    /// When it was last looked up.
    pub(crate) fn used(&self) -> Instant {
        Instant(self.used.load(Relaxed))
    }

    /// Notes that it was looked up.
    pub(super) fn use_at(&self, now: Instant) {
        self.used.store(now.0, Relaxed);
    }

    /// When it was last tried to fetch it again.
    pub(super) fn tried(&self) -> Option<Instant> {
        Some(Instant(self.tried.load(Relaxed))).filter(|tried| tried.0 > 0)
    }

    /// Notes that it is tried to fetch it again.
    pub(crate) fn try_at(&self, now: Instant) {
        self.tried.store(now.0, Relaxed);
    }

    /// Its memory in bytes, without what the allocator adds.
    pub(crate) fn bytes(&self) -> usize {
        let health = self
            .entry
            .count()
            .saturating_mul(core::mem::size_of::<Health>());
        core::mem::size_of::<Self>()
            .saturating_add(self.path.capacity())
            .saturating_add(self.entry.blob().0.capacity())
            .saturating_add(health)
    }

    /// Carries over what is known of the targets that are still there.
    pub(super) fn inherit(&self, old: &Self) {
        let hint = old.hint();
        for target in old.entry.targets(hint) {
            if let Some(index) = self.entry.position(&target) {
                self.set_health(index, old.health(target.index));
                if target.index == hint {
                    self.set_hint(index);
                }
            }
        }
    }
}

/// The device form of `path`.
fn device(path: &Path<'_>) -> Result<KVec<u8>> {
    let len = path
        .components()
        .fold(1usize, |n, c| n.saturating_add(c.len()).saturating_add(1));
    let mut text = KVec::with_capacity(len, GFP_KERNEL)?;
    text.push(b'/', GFP_KERNEL)?;
    for component in path.components() {
        text.push(b'/', GFP_KERNEL)?;
        text.extend_from_slice(component.as_bytes(), GFP_KERNEL)?;
    }
    Ok(text)
}
