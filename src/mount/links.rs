// SPDX-License-Identifier: GPL-2.0

//! Links that are met below a mount: what is known of them, and mounting them.

use super::{
    ops,
    reconnect::{
        Attempt,
        Cached,
        Seeker, //
    },
    referral,
    tree::On,
    trouble::Trouble,
    volume::Volume,
    Attr,
    Error,
    MountError,
    Result, //
};
use crate::{
    dfs::cache::Answer,
    sys::time::now_ms,
    transport::conn::Reason, //
};
use kernel::{
    prelude::*,
    sync::Arc, //
};
use rsdfs_proto::{
    dfs::path::{
        Path,
        MAX_LEN, //
    },
    smb2::query_directory::Entry,
    status::{
        Class,
        NtStatus, //
    },
    time::Instant, //
};

/// `IO_REPARSE_TAG_DFS` and `IO_REPARSE_TAG_DFSR` (MS-FSCC 2.1.2.1).
const TAGS: [u32; 2] = [0x8000_000a, 0x8000_0012];

/// Referrals that are followed one after the other in the cache at most.
const MAX_DEPTH: u32 = 8;

/// Targets of a referral that are looked at in the cache at most.
const MAX_TARGETS: usize = 8;

impl Attr {
    /// Of a link of which nothing more is known.
    pub(crate) const LINK: Self = Self {
        dir: true,
        link: true,
        reparse: true,
        size: 0,
        alloc: 0,
        atime: 0,
        mtime: 0,
        ctime: 0,
        btime: 0,
        attributes: 0,
        id: 0,
        nlink: 1,
    };
}

/// What the cache knows of a link.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Known {
    /// It was there, and the time to live has not passed.
    Fresh,
    /// It was there.
    Stale,
}

/// What there is to say about a link: that it leads elsewhere.
pub(super) fn attr(attr: Attr) -> Attr {
    Attr {
        dir: true,
        link: true,
        // A server's number for the place, which only a listing tells.
        id: 0,
        size: 0,
        ..attr
    }
}

/// Whether a listing shows a link.
pub(super) fn is_link(entry: &Entry<'_>) -> bool {
    TAGS.contains(&entry.reparse_tag)
}

/// Takes the answer that a path is elsewhere as what is to be said about it.
pub(super) fn covered(path: &str, result: Result<Attr>) -> Result<Attr> {
    match result {
        Err(Error::Status(status)) if is_elsewhere(status) && !path.is_empty() => Ok(Attr::LINK),
        result => result,
    }
}

fn is_elsewhere(status: NtStatus) -> bool {
    status.class() == Class::PathNotCovered
}

impl Volume {
    /// What the present server knows about `path`; `None` if there is no server now, or it is lost
    /// before it has answered, or does not answer within `patience` milliseconds. Does not wait for
    /// another one.
    pub(crate) fn glance(&self, path: &str, patience: Option<u64>) -> Result<Option<Attr>> {
        let view = self.view();
        let Some(tree) = view.tree.filter(|_| view.up) else {
            return Ok(None);
        };
        let patience = patience.map(|ms| now_ms().saturating_add(ms));
        let deadline = [patience, self.deadline()].into_iter().flatten().min();
        match covered(path, ops::stat(&On::new(&tree, deadline), path)) {
            Ok(found) => Ok(Some(found)),
            Err(Error::Timeout) => Ok(None),
            Err(Error::Lost) => {
                self.lost(&tree, Reason::Gone);
                Ok(None)
            }
            Err(Error::Malformed) => {
                self.lost(&tree, Reason::BadFrame);
                Ok(None)
            }
            Err(Error::Status(status)) => match tree.gone(status) {
                Some(reason) => {
                    self.lost(&tree, reason);
                    Ok(None)
                }
                None => Err(Error::Status(status)),
            },
            Err(error) => Err(error),
        }
    }

    /// The path in the namespace of `below`, a path in this mount, in device form.
    pub(crate) fn path_of(&self, below: &str) -> Result<KVec<u8>> {
        let mut path = KVec::new();
        path.extend_from_slice(self.path().as_bytes(), GFP_KERNEL)?;
        path.push(b'/', GFP_KERNEL)?;
        path.extend_from_slice(below.as_bytes(), GFP_KERNEL)?;
        Ok(path)
    }

    /// Whether the cache knows that there is a link at `below`. Asks nobody.
    pub(crate) fn known_link(&self, below: &str) -> Option<Known> {
        if self.options().nodfs() {
            return None;
        }
        let path = self.path_of(below).ok()?;
        let path = Path::parse(core::str::from_utf8(&path).ok()?).ok()?;
        known(&self.seeker, &path, 0)
    }

    /// Mounts what the link at `below` leads to, with the options of this mount and on its behalf.
    pub(crate) fn submount(&self, below: &str) -> core::result::Result<Arc<Volume>, MountError> {
        let path = self.path_of(below).map_err(|error| MountError {
            errno: error.into(),
            message: None,
        })?;
        if self.known_link(below).is_none() {
            // Without an answer the mount finds out for itself.
            let _ = self.ask_where(below);
        }
        Volume::mount_at(self.account(), path)
    }

    /// Asks the present server, which is at hand, where the link at `below` leads, so that it need
    /// not be reached once more for that.
    fn ask_where(&self, below: &str) -> core::result::Result<(), Trouble> {
        let Some(tree) = self.view().tree else {
            return Ok(());
        };
        let mut path = KVec::new();
        path.extend_from_slice(tree.path(), GFP_KERNEL)?;
        path.push(b'/', GFP_KERNEL)?;
        path.extend_from_slice(below.as_bytes(), GFP_KERNEL)?;
        let path = core::str::from_utf8(&path).map_err(|_| EINVAL)?;
        let path = Path::parse(path).map_err(|_| EINVAL)?;
        let attempt = Attempt::new()?;
        referral::fetch(&self.seeker, tree.session(), &path, &attempt)?;
        Ok(())
    }
}

/// Looks for a referral of just this path: under its own name, or under the one that a referral for
/// the beginning of it makes of it.
fn known(seeker: &Seeker, path: &Path<'_>, depth: u32) -> Option<Known> {
    let now = Instant(now_ms());
    let (found, known): (Cached, _) = match seeker.world.cache.find(path, &seeker.account, now) {
        Answer::Fresh(found) => (found, Known::Fresh),
        Answer::Stale(found) => (found, Known::Stale),
        Answer::Miss => return None,
    };
    if found.entry.depth() == path.depth() {
        return Some(known);
    }
    if depth >= MAX_DEPTH {
        return None;
    }
    let mut text = KVec::from_elem(0u8, MAX_LEN, GFP_KERNEL).ok()?;
    let mut buffer = KVec::from_elem(0u8, MAX_LEN, GFP_KERNEL).ok()?;
    for target in found.entry.targets(found.hint()).take(MAX_TARGETS) {
        let other = target
            .path
            .utf8(&mut text)
            .ok()
            .and_then(|text| Path::parse(text).ok())
            .and_then(|target| path.rebase(found.entry.depth(), &target, &mut buffer).ok());
        // A target that is the path itself leads nowhere else.
        let Some(other) = other.filter(|other| other != path) else {
            continue;
        };
        if let Some(known) = self::known(seeker, &other, depth.saturating_add(1)) {
            return Some(known);
        }
    }
    None
}
