// SPDX-License-Identifier: GPL-2.0

//! Operations on names that have several steps, or whose outcome is not known yet.
//!
//! An [`Errand`] is entered, with all the memory it takes, before the first request is sent, and struck out when the
//! outcome is known. Until then a file that it is about may have the one name or the other: whoever opens it again
//! tries both ([`Volume::other_names`]). When the operation is cut short (its task is killed, its time is up), it is left to
//! the keeper, which finds out what became of it and does the rest.
//!
//! Lock: `Volume::chores` is a leaf.

use super::{
    handle::{
        bytes,
        text, //
    },
    once::there,
    ops::change,
    tree::On,
    volume::Volume,
    Attr,
    Error,
    Result, //
};
use crate::sys::thread::NoFs;
use kernel::{
    prelude::*,
    sync::{
        atomic::{
            AtomicFlag,
            Relaxed, //
        },
        Arc, //
    }, //
};
use rsdfs_proto::{
    outcome::{
        self,
        Thing,
        Verdict, //
    },
    smb2::{
        create::access,
        set_info::Set, //
    },
    status::NtStatus, //
};

/// A rename, from the first request on.
pub(super) struct Chore {
    from: KVec<u8>,
    to: KVec<u8>,
    moved: Thing,
    rest: Rest,
    /// Open files with smaller numbers were there before.
    number: u64,
    /// It is the keeper's.
    left: AtomicFlag,
}

/// What is to be done if it is cut short.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Rest {
    /// The open files are told if it took effect.
    Learn,
    /// The same; and what has the new name is to go.
    Remove,
    /// The file gets its old name back. If that is taken by now, it is to go.
    PutBack,
    /// It took effect; what has the new name is to go.
    Discard,
}

/// A chore that is entered, and struck out when it is dropped.
pub(super) struct Errand<'a> {
    volume: &'a Volume,
    chore: Arc<Chore>,
}

impl Errand<'_> {
    /// Leaves it to the keeper.
    pub(super) fn leave(self) {
        self.chore.left.store(true, Relaxed);
        self.volume.condemn();
    }

    /// Leaves it to the keeper if `error` says nothing about what has become of it.
    pub(super) fn unless_answered(self, error: Error) {
        match error {
            Error::Status(_) => {}
            _ => self.leave(),
        }
    }
}

impl Drop for Errand<'_> {
    fn drop(&mut self) {
        if !self.chore.left.load(Relaxed) {
            self.volume.strike_out(&self.chore);
        }
    }
}

impl Volume {
    /// Enters the rename of `from`, of which `moved` is known, to `to`.
    pub(super) fn errand(
        &self,
        from: &str,
        to: &str,
        moved: &Attr,
        rest: Rest,
    ) -> Result<Errand<'_>> {
        let _scope = NoFs::enter();
        let chore = Chore {
            from: bytes(from)?,
            to: bytes(to)?,
            moved: moved.thing(),
            rest,
            number: self.number(),
            left: AtomicFlag::new(false),
        };
        let chore = Arc::new(chore, GFP_KERNEL)?;
        self.chores.lock().push(chore.clone(), GFP_KERNEL)?;
        Ok(Errand {
            volume: self,
            chore,
        })
    }

    fn strike_out(&self, chore: &Arc<Chore>) -> bool {
        let mut chores = self.chores.lock();
        let before = chores.len();
        chores.retain(|other| !Arc::ptr_eq(other, chore));
        before > chores.len()
    }

    /// What else a file may be called by now that is known as `path`.
    pub(super) fn other_names(&self, path: &str) -> Result<KVec<KVec<u8>>> {
        let mut names = KVec::new();
        for chore in self.chores.lock().iter() {
            for (old, new) in [(&chore.from, &chore.to), (&chore.to, &chore.from)] {
                let below = path.as_bytes().strip_prefix(&old[..]);
                let below = below.filter(|rest| rest.is_empty() || rest.first() == Some(&b'/'));
                if let Some(rest) = below.filter(|_| chore.rest != Rest::Discard) {
                    let mut name =
                        KVec::with_capacity(new.len().saturating_add(rest.len()), GFP_KERNEL)?;
                    name.extend_from_slice(new, GFP_KERNEL)?;
                    name.extend_from_slice(rest, GFP_KERNEL)?;
                    names.push(name, GFP_KERNEL)?;
                }
            }
        }
        Ok(names)
    }

    /// The first chore that is left to the keeper.
    pub(super) fn chore(&self) -> Option<Arc<Chore>> {
        let chores = self.chores.lock();
        chores.iter().find(|it| it.left.load(Relaxed)).cloned()
    }

    /// A chore of the keeper's is done with.
    pub(super) fn done_with(&self, chore: &Arc<Chore>) {
        if self.strike_out(chore) {
            self.doomed.fetch_sub(1, Relaxed);
        }
    }

    /// Does what is left of an operation.
    pub(super) fn do_chore(&self, chore: &Chore, tree: &On<'_>) -> Result {
        let (from, to) = (text(&chore.from), text(&chore.to));
        match chore.rest {
            Rest::Learn | Rest::Remove => {
                let (old, new) = (there(tree, from)?, there(tree, to)?);
                let (old, new) = (old.map(|it| it.thing()), new.map(|it| it.thing()));
                let verdict = outcome::renamed(&chore.moved, old.as_ref(), new.as_ref());
                if verdict == Verdict::Took {
                    self.moved(from, to, chore.number)?;
                    if chore.rest == Rest::Remove {
                        self.discard(to, tree)?;
                    }
                }
                Ok(())
            }
            Rest::PutBack => {
                let name = tree.name(from)?;
                let set = Set::Rename {
                    replace: false,
                    name: &name,
                };
                match change(tree, to, (access::DELETE, 0), &[set], None) {
                    Ok(()) => self.moved(to, from, u64::MAX),
                    Err(Error::Status(NtStatus::OBJECT_NAME_COLLISION)) => self.discard(to, tree),
                    Err(error) => Err(error),
                }
            }
            Rest::Discard => self.discard(to, tree),
        }
    }

    /// What is called `path` is to go: when it is closed, if it is open here.
    fn discard(&self, path: &str, tree: &On<'_>) -> Result {
        match self.unname(path) {
            true => Ok(()),
            false => self.remove_hidden(path, tree),
        }
    }
}
