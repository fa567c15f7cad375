// SPDX-License-Identifier: GPL-2.0

//! Domains and their controllers: the domain cache of MS-DFSC 3.1.1.
//!
//! Lock: `Domains::list` is a leaf.

use super::cache::Owner;
use core::mem;
use kernel::{
    new_mutex,
    prelude::*,
    sync::{
        atomic::{
            Atomic,
            Relaxed, //
        },
        Arc,
        Mutex, //
    }, //
};
use rsdfs_proto::time::Instant;

/// Domains kept at most; beyond, the one told of first goes.
const CAPACITY: usize = 64;

/// Controllers kept of a domain at most.
const CONTROLLERS: usize = 64;

/// A domain, as a referral told of it.
pub(crate) struct Domain<O> {
    /// Its name, as it was asked for.
    name: KVec<u8>,
    controllers: KVec<KVec<u8>>,
    expires: Instant,
    owner: Arc<O>,
    hint: Atomic<usize>,
}

impl<O> Domain<O> {
    /// A domain without controllers so far.
    pub(crate) fn new(name: &str, owner: &Arc<O>, expires: Instant) -> Result<Self> {
        Ok(Self {
            name: bytes(name)?,
            controllers: KVec::new(),
            expires,
            owner: owner.clone(),
            hint: Atomic::new(0),
        })
    }

    /// Adds a controller, if it is not there and there are not too many.
    pub(crate) fn add(&mut self, host: &str) -> Result {
        let there = self.controllers().any(|c| c.eq_ignore_ascii_case(host));
        if !there && self.controllers.len() < CONTROLLERS {
            self.controllers.push(bytes(host)?, GFP_KERNEL)?;
        }
        Ok(())
    }

    /// The names of its controllers, in the order of the referral.
    pub(crate) fn controllers(&self) -> impl Iterator<Item = &str> + Clone {
        (self.controllers.iter()).map(|name| core::str::from_utf8(name).unwrap_or_default())
    }

    /// Its name, as it was asked for.
    pub(crate) fn name(&self) -> &str {
        core::str::from_utf8(&self.name).unwrap_or_default()
    }

    /// Whom it was told to.
    pub(crate) fn owner(&self) -> &O {
        &self.owner
    }

    /// When it stops being fresh.
    pub(crate) fn expires(&self) -> Instant {
        self.expires
    }

    /// The index of the controller in use, or to be tried first: the DCHint of MS-DFSC.
    pub(crate) fn hint(&self) -> usize {
        self.hint.load(Relaxed)
    }

    /// Makes controller `index` the one to be tried first.
    pub(crate) fn set_hint(&self, index: usize) {
        self.hint.store(index, Relaxed);
    }
}

/// See the module.
#[pin_data]
pub(crate) struct Domains<O> {
    #[pin]
    list: Mutex<KVec<Arc<Domain<O>>>>,
}

impl<O: Owner> Domains<O> {
    /// Knows of no domain.
    pub(crate) fn new() -> impl PinInit<Self> {
        pin_init!(Self {
            list <- new_mutex!(KVec::new()),
        })
    }

    /// The domain with this name. Never does I/O.
    pub(crate) fn find(&self, name: &str, owner: &O) -> Option<Arc<Domain<O>>> {
        let list = self.list.lock();
        let found = list.iter().find(|domain| domain.is(name, owner));
        found.cloned()
    }

    /// Takes in what a server said about a domain.
    pub(crate) fn put(&self, fresh: Domain<O>) -> Result<Arc<Domain<O>>> {
        let fresh = Arc::new(fresh, GFP_KERNEL)?;
        let mut list = self.list.lock();
        let old = (list.iter_mut()).find(|domain| domain.is(fresh.name(), &fresh.owner));
        let gone = match old {
            Some(slot) => {
                let used = slot.controllers().nth(slot.hint());
                let same = |host: &str| used.is_some_and(|used| used.eq_ignore_ascii_case(host));
                fresh.set_hint(fresh.controllers().position(same).unwrap_or(0));
                Some(mem::replace(slot, fresh.clone()))
            }
            None => {
                list.push(fresh.clone(), GFP_KERNEL)?;
                match list.len() > CAPACITY {
                    true => list.remove(0).ok(),
                    false => None,
                }
            }
        };
        drop(list);
        drop(gone);
        Ok(fresh)
    }

    /// Forgets everything.
    pub(crate) fn flush(&self) {
        let gone = mem::take(&mut *self.list.lock());
        drop(gone);
    }

    /// All domains.
    pub(crate) fn all(&self) -> Result<KVec<Arc<Domain<O>>>> {
        let list = self.list.lock();
        let mut all = KVec::with_capacity(list.len(), GFP_KERNEL)?;
        for domain in list.iter() {
            all.push(domain.clone(), GFP_KERNEL)?;
        }
        Ok(all)
    }
}

impl<O: Owner> Domain<O> {
    fn is(&self, name: &str, owner: &O) -> bool {
        self.name().eq_ignore_ascii_case(name) && self.owner.same(owner)
    }
}

fn bytes(text: &str) -> Result<KVec<u8>> {
    let mut bytes = KVec::with_capacity(text.len(), GFP_KERNEL)?;
    bytes.extend_from_slice(text.as_bytes(), GFP_KERNEL)?;
    Ok(bytes)
}
