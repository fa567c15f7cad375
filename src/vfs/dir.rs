// SPDX-License-Identifier: GPL-2.0

//! Reading directories: a snapshot, taken at the start and when a reader goes back there.
//!
//! A snapshot also answers the lookups that commonly follow (`ls -l`), for as long as attributes
//! count as fresh.

use super::{
    attr,
    automount,
    node::{
        hash,
        kind_of,
        Asked, //
    },
    super_block::Mounted,
    Dentry,
    Fs,
    Inode, //
};
use crate::{
    mount::{
        Attr,
        Listing,
        Volume, //
    },
    sys::fs::{
        dir::{
            Emitter,
            Operations, //
        },
        inode::Kind, //
    }, //
};
use kernel::{
    new_mutex,
    prelude::*,
    sync::{
        Arc,
        Mutex, //
    }, //
};

/// An open directory.
#[pin_data]
pub(crate) struct Reading {
    #[pin]
    snapshot: Mutex<Option<Arc<Snapshot>>>,
}

/// The position of the first name; before it are `.` and `..`.
const FIRST: u64 = 2;

/// The most names in a snapshot that is kept for lookups.
const KEEP: u32 = 1 << 14;

/// What was in a directory at one time.
pub(super) struct Snapshot {
    listing: Listing,
    /// Where to find a name, by its hash: indices into the listing plus 1, 0 for none. Of a length
    /// that is a power of two and twice that of the listing at least; empty if there are too many.
    slots: KVVec<u32>,
    asked: Asked,
}

impl Snapshot {
    /// Asks the server.
    fn take(volume: &Volume, path: &str) -> Result<Self> {
        let asked = Asked::now(volume);
        let listing = volume.list(path)?;
        Ok(Self {
            slots: index(&listing)?,
            listing,
            asked,
        })
    }

    /// What the listing says about a name, if it is recent; with it, when the server was asked.
    pub(super) fn find(&self, mounted: &Mounted, name: &str) -> Option<(&Attr, Asked)> {
        let old = mounted.changed_since(self.asked.at);
        if old || !self.asked.is_recent(mounted.volume()) {
            return None;
        }
        let mask = self.slots.len().checked_sub(1)?;
        let mut at = hash(name) as usize & mask;
        loop {
            let index = self.slots.get(at)?.checked_sub(1)?;
            match self.listing.get(index as usize)? {
                (other, attr) if other == name => return Some((attr, self.asked)),
                _ => at = (at + 1) & mask,
            }
        }
    }
}

fn index(listing: &Listing) -> Result<KVVec<u32>> {
    let mut count = 0;
    while count <= KEEP && listing.get(count as usize).is_some() {
        count += 1;
    }
    if count == 0 || count > KEEP {
        return Ok(KVVec::new());
    }
    let len = (2 * count as usize).next_power_of_two();
    let mut slots = KVVec::with_capacity(len, GFP_KERNEL)?;
    slots.resize(len, 0, GFP_KERNEL)?;
    for index in 0..count {
        let Some((name, _)) = listing.get(index as usize) else {
            break;
        };
        let mut at = hash(name) as usize & (len - 1);
        while slots.get(at).is_some_and(|slot| *slot != 0) {
            at = (at + 1) & (len - 1);
        }
        if let Some(slot) = slots.get_mut(at) {
            *slot = index + 1;
        }
    }
    Ok(slots)
}

impl Operations for Fs {
    fn open_dir(_inode: &Inode) -> Result<Pin<KBox<Reading>>> {
        let reading = pin_init!(Reading {
            snapshot <- new_mutex!(None),
        });
        KBox::pin_init(reading, GFP_KERNEL)
    }

    fn iterate_shared(dentry: &Dentry, reading: Pin<&Reading>, out: &mut Emitter<'_>) -> Result {
        let mut snapshot = reading.get_ref().snapshot.lock();
        let names = match &*snapshot {
            Some(names) if out.pos() != 0 => names.clone(),
            _ => {
                let inode = dentry.inode().ok_or(ENOENT)?;
                let changes = inode.data().changes();
                let volume = attr::volume(&inode);
                let taken = Snapshot::take(&volume, dentry.path()?.as_str())?;
                let taken = Arc::new(taken, GFP_KERNEL)?;
                inode.data().keep(&taken, changes);
                *snapshot = Some(taken.clone());
                taken
            }
        };
        drop(snapshot);
        if !out.dots() {
            return Ok(());
        }
        let mut at = out.pos().saturating_sub(FIRST);
        while let Some((name, found)) = names.listing.get(at as usize) {
            let (kind, number) = match kind_of(found) {
                Kind::Link => (Kind::Link, automount::number(dentry.path()?.as_str(), name)),
                // A number that is not known is never 0, which means "no entry".
                kind => (kind, found.id.max(1)),
            };
            if !out.emit(name, number, kind) {
                break;
            }
            at = at.saturating_add(1);
            out.set_pos(FIRST.saturating_add(at));
        }
        Ok(())
    }
}
