// SPDX-License-Identifier: GPL-2.0

//! How an open file is, for whoever looks.

use super::{
    Handle,
    Phase,
    Seat, //
};
use crate::mount::{
    How,
    Result, //
};
use kernel::{
    alloc::AllocError,
    prelude::*, //
};
use rsdfs_proto::smb2::FileId;

/// Why an open file was given up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Cause {
    /// There is nothing of its name any more, or something else than a file.
    Missing,
    /// There is another file of its name.
    Replaced,
    /// A lock on it was not to be had again.
    Lock,
}

impl Cause {
    /// A word for the views.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Cause::Missing => "missing",
            Cause::Replaced => "replaced",
            Cause::Lock => "lock",
        }
    }
}

/// How an open file is, for the views.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Condition {
    /// Open where the mount is.
    Ok,
    /// The same, after it was opened again.
    Reclaimed,
    /// To be opened again.
    Stale,
    /// Being opened again.
    Reclaiming,
    /// Given up.
    Lost(Cause),
    /// Closed; its file, which has no name, is being removed.
    Removing,
    /// Not in use any more, but its server, which fell silent, may still have it open.
    Leaked,
}

impl Condition {
    /// A word for the views.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Condition::Ok => "ok",
            Condition::Reclaimed => "reclaimed",
            Condition::Stale => "stale",
            Condition::Reclaiming => "reclaiming",
            Condition::Lost(_) => "lost",
            Condition::Removing => "removing",
            Condition::Leaked => "leaked",
        }
    }
}

/// What the views show of an open file.
pub(crate) struct Look {
    /// Where it is, relative to what is mounted.
    pub(crate) path: KVec<u8>,
    /// Host, share and directory where it is open, for all that is known.
    pub(crate) target: Option<KVec<u8>>,
    /// Of that target; 0 without one.
    pub(crate) generation: u64,
    /// What the server calls it there.
    pub(crate) file: Option<FileId>,
    pub(crate) condition: Condition,
    pub(crate) how: How,
}

impl Look {
    /// `handle` as it is called and where it is open.
    pub(in crate::mount) fn new(
        handle: &Handle,
        path: KVec<u8>,
        seat: Option<&Seat>,
        condition: Condition,
    ) -> Result<Self> {
        let target = seat.map(|(tree, _)| {
            let mut target = KVec::new();
            target.extend_from_slice(tree.path(), GFP_KERNEL)?;
            Ok::<_, AllocError>(target)
        });
        Ok(Self {
            path,
            target: target.transpose()?,
            generation: seat.map_or(0, |(tree, _)| tree.generation()),
            file: seat.map(|(_, file)| *file),
            condition,
            how: handle.how,
        })
    }
}

impl Handle {
    /// How it is, for a volume of this generation.
    pub(crate) fn look(&self, generation: u64) -> Result<Look> {
        let path = self.path()?;
        let state = self.state.lock();
        let seat = state.phase.seat().cloned();
        let condition = match &state.phase {
            Phase::Open((tree, _)) if tree.is_stale(generation) => Condition::Stale,
            Phase::Open(_) if state.reclaimed => Condition::Reclaimed,
            Phase::Open(_) => Condition::Ok,
            Phase::Reclaiming(_) => Condition::Reclaiming,
            Phase::Lost(cause) => Condition::Lost(*cause),
            Phase::Stale | Phase::Closed => Condition::Stale,
            Phase::Condemned(_) => Condition::Removing,
        };
        drop(state);
        Look::new(self, path, seat.as_ref(), condition)
    }

    /// What is held of it, and whether its server keeps the file open when the connection is lost.
    pub(crate) fn granted(&self) -> (u32, bool) {
        let grant = self.grant.lock();
        (grant.as_ref()).map_or((0, false), |grant| (grant.lease(), grant.is_durable()))
    }

    /// Whether it was given up.
    pub(crate) fn is_lost(&self) -> bool {
        matches!(self.state.lock().phase, Phase::Lost(_))
    }

    /// Whether its seat is on a tree that the volume has left though it works.
    pub(crate) fn is_left(&self) -> bool {
        let state = self.state.lock();
        let seat = state.phase.seat();
        seat.is_some_and(|(tree, _)| tree.leaving().is_some())
    }
}
