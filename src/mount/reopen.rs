// SPDX-License-Identifier: GPL-2.0

//! Open files on the tree of the moment: opened again, by path, when they are used first on it.
//!
//! The answer to that says whether it is the same file (`proto::identity`); what it has to be like, the mount's option
//! `reopen` says, or else what is at stake ([`Handle::is_staked`]). A file that will not do is closed again
//! and never written to.

use super::{
    attempt::PATIENCE,
    durable::{
        self,
        Asked,
        Grant, //
    },
    handle::{
        text,
        Cause,
        Claim,
        Handle,
        Seat, //
    },
    lease::Lease,
    ops::{
        attr_of_all,
        call,
        change,
        close,
        open,
        parse_info,
        stat,
        Opened, //
    },
    tree::{
        On,
        Tree, //
    },
    volume::Volume,
    Attr,
    Error,
    How,
    Result, //
};
use crate::{
    sys::{
        thread::NoFs,
        time::now_ms,
        trace::{
            Event as _,
            FileLost, //
        }, //
    },
    transport::conn::Reason, //
};
use kernel::{
    prelude::*,
    sync::Arc, //
};
use rsdfs_proto::{
    identity::{
        Likeness,
        Rule, //
    },
    smb2::{
        create::access,
        info::{
            self,
            attributes, //
        },
        query_info::QueryInfo,
        set_info::Set,
        FileId, //
    },
    status::{
        Class,
        NtStatus, //
    }, //
};

/// After how long a file that was not found on the present tree is looked for again, in milliseconds.
const AGAIN: u64 = 1000;

impl Volume {
    /// Opens a file again where the mount is now, if it is to be had there.
    pub(super) fn take_along(&self, handle: &Arc<Handle>) -> Result {
        self.with(handle, |_, _| Ok(()))
    }

    /// Runs an operation on an open file, which is opened again first if need be.
    pub(super) fn with<T>(
        &self,
        handle: &Arc<Handle>,
        mut operation: impl FnMut(&On<'_>, FileId) -> Result<T>,
    ) -> Result<T> {
        self.run(|present| {
            let mut again = false;
            loop {
                let (tree, file) = self.seat(present, handle)?;
                let elsewhere = !Arc::ptr_eq(&tree, present);
                let result = operation(&present.with(&tree), file);
                let mended = match result {
                    Err(Error::Lost) => elsewhere,
                    Err(Error::Status(status)) if status.class() == Class::HandleGone => {
                        !core::mem::replace(&mut again, true)
                    }
                    Err(Error::Status(status)) => elsewhere && tree.gone(status).is_some(),
                    _ => false,
                };
                if !mended {
                    return result;
                }
                self.forget(handle, &(tree, file));
            }
        })
    }

    /// Where a file is open: on the `present` tree, or on the one before if the mount has left that
    /// though it works, and the file is to stay there for now, or is not to be had on the present one.
    /// Opens it again if need be.
    pub(super) fn seat(&self, present: &On<'_>, handle: &Handle) -> Result<Seat> {
        loop {
            let old = handle.seat()?;
            if let Some((tree, file)) = &old {
                let stays = tree.leaving().is_some_and(|at| now_ms() < at);
                if Arc::ptr_eq(tree, present) || stays && !tree.session().is_over() {
                    return Ok((tree.clone(), *file));
                }
            }
            // Nothing to claim: look again at what somebody else has made of it.
            if let Some(claim) = handle.claim(old.as_ref(), present.deadline())? {
                self.reopen(present, handle, claim)?;
            }
        }
    }

    /// Opens a file again: as the server kept it, or else by its path, if there is the same one. If there is not, it
    /// stays where it is if that works still, and is looked for again after a second; otherwise it is given up.
    fn reopen(&self, present: &On<'_>, handle: &Handle, claim: Claim<'_>) -> Result {
        let old = (claim.seat()).filter(|(tree, _)| tree.leaving().is_some() && !tree.is_dead());
        // What is open still has its grant there.
        if old.is_none() {
            if let Some((file, grant)) = durable::resume(present, handle)? {
                self.reopened(handle, claim, (Arc::clone(present), file), (None, grant));
                return Ok(());
            }
        }
        let found = match self.find(present, handle, old.as_ref()) {
            Err(Error::Status(status)) if is_no_file(status) => Err(Cause::Missing),
            Err(Error::Status(status)) if old.is_some() && present.gone(status).is_none() => {
                Err(Cause::Missing)
            }
            found => found?.ok_or(Cause::Replaced),
        };
        match (found, old) {
            (Ok((file, attr, grant)), _) => {
                self.reopened(
                    handle,
                    claim,
                    (Arc::clone(present), file),
                    (Some(&attr), grant),
                );
                Ok(())
            }
            (Err(_), Some((tree, _))) => {
                tree.leave(now_ms().saturating_add(AGAIN));
                Ok(())
            }
            (Err(cause), None) => {
                self.lose(handle, cause);
                Err(Error::Kernel(EIO))
            }
        }
    }

    /// Opens what has the name of an open file now, if that will do for it. While the file is being renamed it may have
    /// either name.
    fn find(
        &self,
        present: &On<'_>,
        handle: &Handle,
        old: Option<&Seat>,
    ) -> Result<Option<Opened>> {
        let asked = handle.take_asked();
        loop {
            let path = handle.path()?;
            let found = self.find_at(present, handle, old, text(&path), &asked);
            if matches!(found, Err(Error::Lost | Error::Malformed)) {
                handle.put_asked(asked);
                return found;
            }
            if !is_missing(&found) {
                return found;
            }
            for other in self.other_names(text(&path))? {
                let found = self.find_at(present, handle, old, text(&other), &Asked::default());
                if !is_missing(&found) {
                    return found;
                }
            }
            // A rename that has ended meanwhile has told the handle.
            if handle.is_at(text(&path)) {
                return found;
            }
        }
    }

    /// The same, of `path`.
    fn find_at(
        &self,
        present: &On<'_>,
        handle: &Handle,
        old: Option<&Seat>,
        path: &str,
        asked: &Asked,
    ) -> Result<Option<Opened>> {
        let wanted = (handle.lease(), asked);
        match open(present, path, handle.again(), wanted, None) {
            Ok((file, attr, grant)) if self.is_the_one(present, handle, old, &attr) => {
                Ok(Some((file, attr, grant)))
            }
            Ok((file, ..)) => {
                close(present, file);
                Ok(None)
            }
            Err(Error::Status(NtStatus::ACCESS_DENIED)) if handle.may(true) => {
                self.find_readonly(present, handle, old, path)
            }
            Err(error) => Err(error),
        }
    }

    /// The same, of a file that was made read-only, or has become so, while it was open for writing: for the moment
    /// of opening it is not.
    #[inline(never)]
    fn find_readonly(
        &self,
        present: &On<'_>,
        handle: &Handle,
        old: Option<&Seat>,
        path: &str,
    ) -> Result<Option<Opened>> {
        let found = stat(present, path)?;
        if found.attributes & attributes::READONLY == 0 {
            return Err(Error::Status(NtStatus::ACCESS_DENIED));
        }
        if !self.is_the_one(present, handle, old, &found) {
            return Ok(None);
        }
        let wanted = (handle.lease(), &Asked::default());
        open_readonly(present, path, handle.again(), wanted, &found).map(Some)
    }

    /// Notes that an open file was opened again.
    fn reopened(
        &self,
        handle: &Handle,
        claim: Claim<'_>,
        seat: Seat,
        (attr, grant): (Option<&Attr>, Grant),
    ) {
        handle.put_grant(grant);
        if let Some(spare) = claim.opened(seat, attr) {
            self.release(handle, spare);
        }
        self.seeker.counters.reopened.add();
    }

    /// Whether what is found under the name of an open file will do for it. While that is open still at the server that
    /// the mount has left, it has to be the same.
    fn is_the_one(
        &self,
        present: &On<'_>,
        handle: &Handle,
        old: Option<&Seat>,
        found: &Attr,
    ) -> bool {
        let likeness = handle.compare(found, present);
        let Some((tree, file)) = old else {
            return self.rule(handle).accepts(likeness);
        };
        if likeness == Likeness::Same {
            return true;
        }
        // What is known may be out of date.
        let mark = handle.mark();
        let here = call(&present.with(tree), &QueryInfo::of::<info::All>(*file))
            .and_then(|answer| Ok(attr_of_all(&parse_info(&answer)?)));
        match here {
            Ok(here) => {
                handle.learn(&here, tree, mark);
                handle.compare(found, present) == Likeness::Same
            }
            Err(Error::Interrupted | Error::Timeout | Error::Kernel(_)) => false,
            // It is not open there any more.
            Err(_) => self.rule(handle).accepts(likeness),
        }
    }

    /// What a file must be like to be taken for this one.
    fn rule(&self, handle: &Handle) -> Rule {
        self.options().reopen().unwrap_or(match handle.is_staked() {
            true => Rule::Strict,
            false => Rule::SameSize,
        })
    }

    /// Whether what a server says of the name of an open file is about another one.
    pub(crate) fn is_another(&self, handle: &Handle, found: &Attr) -> bool {
        let Some(present) = self
            .view()
            .tree
            .filter(|tree| !handle.is_open_in(tree.generation()))
        else {
            return false;
        };
        let likeness = handle.compare(found, &present);
        match handle.is_lost() || handle.is_left() {
            true => likeness != Likeness::Same,
            false => !self.rule(handle).accepts(likeness),
        }
    }

    /// Closes the open files below a directory, so that a server lets it be renamed. They are opened again when they are
    /// used. Says whether there are any.
    pub(crate) fn set_aside_below(&self, path: &str) -> Result<bool> {
        let _scope = NoFs::enter();
        let mut below = KVec::new();
        self.copy_handles(&mut below, |handle| handle.is_below(path))?;
        let mut any = false;
        for handle in below {
            if let Some(seat) = handle.set_aside() {
                drop(handle.take_grant());
                self.release(&handle, seat);
                any = true;
            }
        }
        Ok(any)
    }

    /// Opens what there is something at stake for on a new tree, before anything else is done there; for no longer than
    /// [`PATIENCE`], since all that waits for the tree waits for this.
    pub(super) fn reclaim(&self, tree: &Arc<Tree>) {
        let mut staked = KVec::new();
        // Without memory those that were found so far have to do; the others are opened when they are used.
        let _ = self.copy_handles(&mut staked, |handle| handle.is_staked());
        let deadline = Some(now_ms().saturating_add(PATIENCE));
        for handle in staked {
            match self.seat(&On::new(tree, deadline), &handle) {
                Err(Error::Lost) => return self.lost(tree, Reason::Gone),
                // The rest is opened when it is used.
                Err(Error::Timeout) => return,
                // What is wrong with the file, its user learns.
                _ => {}
            }
        }
    }

    /// Opens a file again, or gives it up, if there is something at stake and the mount has a tree: so that it is known
    /// before its pages are sent.
    pub(crate) fn settle(&self, handle: &Handle) {
        let view = self.view();
        let Some(tree) = view.tree.filter(|_| view.up && handle.is_staked()) else {
            return;
        };
        let _scope = NoFs::enter();
        if let Err(Error::Lost) = self.seat(&On::new(&tree, self.deadline()), handle) {
            self.lost(&tree, Reason::Gone);
        }
    }

    /// Gives up an open file: whatever is done with it fails with `EIO` until it is closed.
    pub(super) fn lose(&self, handle: &Handle, cause: Cause) {
        let (news, seat) = handle.lose(cause);
        if let Some(seat) = seat {
            drop(handle.take_grant());
            self.release(handle, seat);
        }
        if news {
            self.seeker.counters.lost.add();
            let path = handle.path().unwrap_or_default();
            FileLost::emit(|| {
                Some(FileLost {
                    path: self.path(),
                    file: &path,
                    cause: cause.name(),
                })
            });
            pr_warn!(
                "{}: open file {} is lost: {}\n",
                self.path(),
                text(&path),
                cause.name(),
            );
        }
    }
}

/// Opens a file that exists and that we may have made read-only.
pub(super) fn open_existing(
    tree: &On<'_>,
    path: &str,
    how: How,
    wanted: (&Arc<Lease>, &Asked),
) -> Result<Opened> {
    match open(tree, path, how, wanted, None) {
        Err(Error::Status(NtStatus::ACCESS_DENIED)) if how.write && how.readonly_attr => {
            open_readonly(tree, path, how, wanted, &stat(tree, path)?)
        }
        opened => opened,
    }
}

/// Opens a file for writing that is read-only, of which `found` is known: for the moment of opening it is not.
#[inline(never)]
fn open_readonly(
    tree: &On<'_>,
    path: &str,
    how: How,
    wanted: (&Arc<Lease>, &Asked),
    found: &Attr,
) -> Result<Opened> {
    let set = |attributes| {
        let times = info::Times::default();
        let basic = Set::Basic(info::Basic { times, attributes });
        let needed = (access::WRITE_ATTRIBUTES, 0);
        change(tree, path, needed, &[basic], Some(wanted.0))
    };
    let kept = found.attributes & (attributes::HIDDEN | attributes::SYSTEM | attributes::ARCHIVE);
    set(if kept == 0 { attributes::NORMAL } else { kept })?;
    let opened = open(tree, path, how, wanted, None);
    let set_back = set(kept | attributes::READONLY);
    let (file, attr, grant) = opened?;
    if let Err(error) = set_back {
        close(tree, file);
        return Err(error);
    }
    Ok((file, attr, grant))
}

/// Whether there is no file of that name, or not the right one.
fn is_missing(found: &Result<Option<Opened>>) -> bool {
    match found {
        Ok(found) => found.is_none(),
        Err(Error::Status(status)) => is_no_file(*status),
        Err(_) => false,
    }
}

/// Whether this says that there is no file of that name.
fn is_no_file(status: NtStatus) -> bool {
    matches!(Error::Status(status).into(), ENOENT | ENOTDIR | EISDIR)
}
