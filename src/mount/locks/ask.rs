// SPDX-License-Identifier: GPL-2.0

//! What processes ask for: to lock a range, to unlock it, what is in the way, and to wait until their locks
//! are held.

use super::{
    settle::Settled,
    turn::{
        Turn,
        NOT_NOW, //
    },
    Kind,
    Lock,
    Locks,
    Range,
    Stage, //
};
use crate::{
    mount::{
        self,
        handle::Handle,
        tree::On,
        volume::Volume, //
    },
    sys::{
        fs::file::task_killed,
        thread::NoFs, //
    }, //
};
use kernel::{
    prelude::*,
    sync::Arc, //
};

/// Whose a lock is, on this machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Owner {
    /// Taken by flock: those and others never meet.
    pub(crate) flock: bool,
    /// Tells owners apart.
    pub(crate) id: u64,
}

/// What somebody wants, or wants no more.
pub(crate) struct Wish<'a> {
    pub(crate) owner: Owner,
    pub(crate) range: Range,
    /// `None` to unlock.
    pub(crate) kind: Option<Kind>,
    /// The open file it is asked for through.
    pub(crate) handle: &'a Arc<Handle>,
}

/// What has come of a wish for a lock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// It is held. `fresh` if the server had to be asked: others may have had it since.
    Granted { fresh: bool },
    /// Somebody on this machine is in the way.
    Busy,
    /// Somebody elsewhere is.
    Conflict,
}

impl Locks {
    /// Locks a range: on this machine if `probe` finds nobody in the way, and then `commit`; and on the
    /// server. Waits for a server, and for nobody else.
    pub(crate) fn acquire(
        self: &Arc<Self>,
        volume: &Arc<Volume>,
        wish: &Wish<'_>,
        probe: &dyn Fn() -> Result,
        commit: &dyn Fn() -> Result,
    ) -> Result<Outcome> {
        let _scope = NoFs::enter();
        let deadline = volume.deadline();
        loop {
            let tree = volume.tree(deadline)?;
            let mut turn = self.turn(volume, deadline)?;
            if wish.handle.is_lost() {
                return Err(EIO);
            }
            match probe() {
                Ok(()) => {}
                Err(EAGAIN) => return Ok(Outcome::Busy),
                Err(error) => return Err(error),
            }
            match turn.acquire(&On::new(&tree, deadline), wish, commit) {
                Ok(outcome) => return outcome,
                Err(error) if turn.is_mended(&tree, error) => {}
                Err(error) => return Err(error.into()),
            }
        }
    }

    /// Unlocks a range, on this machine at once. The server learns of it now, or as soon as it can.
    pub(crate) fn release(
        self: &Arc<Self>,
        volume: &Arc<Volume>,
        wish: &Wish<'_>,
        commit: &dyn Fn() -> Result,
    ) -> Result {
        let _scope = NoFs::enter();
        self.edit(wish, commit)?;
        if self.state.lock().stage == Stage::Idle {
            return Ok(());
        }
        let deadline = volume.deadline();
        let view = volume.view();
        let tree = view.tree.filter(|_| view.up && !task_killed());
        let settled = tree.ok_or(NOT_NOW).and_then(|tree| {
            let mut turn = self.any_turn(volume, deadline)?;
            let on = On::new(&tree, deadline);
            let result = turn.settle_again(&on);
            result.inspect_err(|error| {
                turn.is_mended(&tree, *error);
            })
        });
        if settled.is_err() {
            // The keeper sees to it.
            volume.locks.stir();
            volume.wake();
        }
        Ok(())
    }

    /// Whether somebody elsewhere has some of a range, as far as it is not locked for us.
    pub(crate) fn test(
        self: &Arc<Self>,
        volume: &Arc<Volume>,
        handle: &Arc<Handle>,
        wanted: Lock,
    ) -> Result<Option<Kind>> {
        let _scope = NoFs::enter();
        let deadline = volume.deadline();
        loop {
            let tree = volume.tree(deadline)?;
            let mut turn = self.turn(volume, deadline)?;
            match turn.test(&On::new(&tree, deadline), handle, wanted) {
                Ok(Some(_)) if self.may_be_ours(volume) => {
                    drop(turn);
                    self.pause()?;
                }
                Ok(found) => return Ok(found),
                Err(error) if turn.is_mended(&tree, error) => {}
                Err(error) => return Err(error.into()),
            }
        }
    }

    /// Waits until the locks of the file are held on a server that works.
    pub(crate) fn ready(self: &Arc<Self>, volume: &Arc<Volume>) -> Result {
        if self.state.lock().stage != Stage::Idle {
            self.turn(volume, volume.deadline())?;
        }
        Ok(())
    }
}

impl Turn<'_> {
    /// Locks what is wished for. The inner error is that of `commit`.
    fn acquire(
        &mut self,
        on: &On<'_>,
        wish: &Wish<'_>,
        commit: &dyn Fn() -> Result,
    ) -> mount::Result<Result<Outcome>> {
        let seat = self.sit(on, wish.handle)?;
        let there = on.with(&seat.0);
        // Until it is known what has come of it.
        self.locks.unsettle();
        match self.settle(&there, seat.1, Some(wish))? {
            Settled::Done { fresh, edit } => match self.locks.edit(wish, commit) {
                Ok(()) => {
                    self.locks.settle(edit, 1);
                    Ok(Ok(Outcome::Granted { fresh }))
                }
                Err(error) => {
                    self.settle_or_lose(&there, seat.1)?;
                    Ok(Err(error))
                }
            },
            Settled::Refused(_) => {
                self.settle_or_lose(&there, seat.1)?;
                Ok(Ok(Outcome::Conflict))
            }
        }
    }

    /// Locks and unlocks what nobody here has of a range; says what is in the way.
    fn test(
        &mut self,
        on: &On<'_>,
        handle: &Arc<Handle>,
        wanted: Lock,
    ) -> mount::Result<Option<Kind>> {
        let seat = self.sit(on, handle)?;
        let there = on.with(&seat.0);
        self.locks.unsettle();
        let mut found = None;
        for kind in [wanted.kind, Kind::Shared] {
            let free = self.cover(&there, seat.1, Lock { kind, ..wanted })?;
            self.settle_or_lose(&there, seat.1)?;
            if free {
                break;
            }
            // What does not even let others read is exclusive.
            found = Some(match kind {
                Kind::Exclusive => Kind::Shared,
                Kind::Shared => Kind::Exclusive,
            });
        }
        Ok(found)
    }

    /// Brings the server in line again, if the locks are held there.
    fn settle_again(&mut self, on: &On<'_>) -> mount::Result {
        let state = self.locks.state.lock();
        let seat = match state.stage {
            Stage::Idle => return Ok(()),
            Stage::Held => state.alive(on).ok_or(NOT_NOW)?,
            Stage::Reclaiming(_) => return Err(NOT_NOW),
        };
        drop(state);
        self.settle_or_lose(&on.with(&seat.0), seat.1)
    }
}
