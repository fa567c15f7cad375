// SPDX-License-Identifier: GPL-2.0

//! Open files that outlive the server they were opened on.

use super::{
    durable::Grant,
    lease::Lease,
    tree::Tree,
    Create,
    How,
    Result, //
};
use core::str;
use kernel::{
    new_mutex,
    prelude::*,
    sync::{
        Arc,
        Mutex, //
    }, //
};
use rsdfs_proto::smb2::FileId;

/// An open file of a volume, for as long as the file system keeps it open.
///
/// It is open on one tree at a time, its *seat*. When that is lost it is opened again, by its path, when
/// it is first used on the next. When the volume leaves a tree that works, it follows then too if it
/// can, or keeps its seat.
#[pin_data]
pub(crate) struct Handle {
    /// Names the handle within its volume.
    pub(super) id: u64,
    pub(super) how: How,
    lease: Arc<Lease>,
    /// What was granted where it was open last. A leaf.
    #[pin]
    grant: Mutex<Option<Grant>>,
    #[pin]
    state: Mutex<State>,
}

struct State {
    path: KVec<u8>,
    open: Option<Seat>,
    closed: bool,
}

/// A tree, and the server's id for the file there.
pub(super) type Seat = (Arc<Tree>, FileId);

impl Handle {
    /// A handle that was opened on `tree`.
    pub(super) fn new(
        id: u64,
        path: &str,
        how: How,
        lease: &Arc<Lease>,
        (tree, file): (&Arc<Tree>, FileId),
        grant: Grant,
    ) -> Result<Arc<Self>> {
        let path = bytes(path)?;
        Ok(Arc::pin_init(
            pin_init!(Self {
                id,
                how,
                lease: lease.clone(),
                grant <- new_mutex!(Some(grant)),
                state <- new_mutex!(State {
                    path,
                    open: Some((tree.clone(), file)),
                    closed: false,
                }),
            }),
            GFP_KERNEL,
        )?)
    }

    /// The lease that all who have the file open share.
    pub(crate) fn lease(&self) -> &Arc<Lease> {
        &self.lease
    }

    /// What is held of it, and whether its server keeps the file open when the connection is lost.
    pub(crate) fn granted(&self) -> (u32, bool) {
        let grant = self.grant.lock();
        (grant.as_ref()).map_or((0, false), |grant| (grant.lease(), grant.is_durable()))
    }

    /// Takes out what was granted.
    pub(super) fn take_grant(&self) -> Option<Grant> {
        self.grant.lock().take()
    }

    /// Puts in what was granted.
    pub(super) fn put_grant(&self, grant: Grant) {
        let old = self.grant.lock().replace(grant);
        drop(old);
    }

    /// Where it is open, for all that is known.
    pub(super) fn seat(&self) -> Option<Seat> {
        self.state.lock().open.clone()
    }

    /// Whether it is open on the tree of this generation.
    pub(super) fn is_open_in(&self, generation: u64) -> bool {
        let state = self.state.lock();
        (state.open.as_ref()).is_some_and(|(tree, _)| tree.generation() == generation)
    }

    /// Whether its seat is on a tree that the volume has left though it works.
    pub(crate) fn is_left(&self) -> bool {
        let state = self.state.lock();
        (state.open.as_ref()).is_some_and(|(tree, _)| tree.leaving().is_some())
    }

    /// Whether it should follow the volume now.
    pub(super) fn is_to_follow(&self, now: u64) -> bool {
        let state = self.state.lock();
        (state.open.as_ref()).is_some_and(|(tree, _)| {
            tree.leaving().is_some_and(|at| at <= now) && tree.dead().is_none()
        })
    }

    /// Notes that it was opened again. The seat that is not needed is given back: the one before, or,
    /// if it has one as new already, or is closed, this one.
    pub(super) fn opened(&self, tree: &Arc<Tree>, file: FileId) -> Option<Seat> {
        let mut state = self.state.lock();
        let newer = |(open, _): &Seat| open.generation() >= tree.generation();
        if state.closed || state.open.as_ref().is_some_and(newer) {
            return Some((tree.clone(), file));
        }
        state.open.replace((tree.clone(), file))
    }

    /// The server says the id is not valid any more.
    pub(super) fn forget(&self, stale: FileId) {
        let mut state = self.state.lock();
        let gone = state.open.take_if(|(_, file)| *file == stale);
        drop(state);
        drop(gone);
    }

    /// Closes it for good; what is left to close on a server.
    pub(super) fn close(&self) -> Option<Seat> {
        let mut state = self.state.lock();
        state.closed = true;
        state.open.take()
    }

    /// Where it is now, relative to the share, with '/'.
    pub(super) fn path(&self) -> Result<KVec<u8>> {
        let state = self.state.lock();
        let mut path = KVec::with_capacity(state.path.len(), GFP_KERNEL)?;
        path.extend_from_slice(&state.path, GFP_KERNEL)?;
        Ok(path)
    }

    /// Whether that is `path`.
    pub(super) fn is_at(&self, path: &str) -> bool {
        &self.state.lock().path[..] == path.as_bytes()
    }

    /// Follows a rename of it, or of a directory above it.
    pub(super) fn moved(&self, from: &str, to: &str) -> Result {
        let mut state = self.state.lock();
        let below = match state.path.strip_prefix(from.as_bytes()) {
            Some(rest) if rest.is_empty() || rest.first() == Some(&b'/') => rest,
            _ => return Ok(()),
        };
        let mut path = KVec::with_capacity(to.len().saturating_add(below.len()), GFP_KERNEL)?;
        path.extend_from_slice(to.as_bytes(), GFP_KERNEL)?;
        path.extend_from_slice(below, GFP_KERNEL)?;
        state.path = path;
        Ok(())
    }

    /// How it is opened when it is opened again: what there was, is there, and keeps its content.
    pub(super) fn again(&self) -> How {
        How {
            create: Create::Open,
            ..self.how
        }
    }
}

fn bytes(path: &str) -> Result<KVec<u8>> {
    let mut bytes = KVec::with_capacity(path.len(), GFP_KERNEL)?;
    bytes.extend_from_slice(path.as_bytes(), GFP_KERNEL)?;
    Ok(bytes)
}

/// A path kept as bytes; it came from a `str`.
pub(super) fn text(path: &[u8]) -> &str {
    str::from_utf8(path).unwrap_or_default()
}
