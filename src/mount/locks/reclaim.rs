// SPDX-License-Identifier: GPL-2.0

//! Taking the locks again after a loss, and whatever else nobody waits for: by the keeper.

use super::{
    age,
    settle::Settled,
    turn::Turn,
    Locks,
    Stage,
    State, //
};
use crate::{
    mount::{
        self,
        handle::{
            Handle,
            Seat, //
        },
        io::Io,
        tree::On,
        volume::Volume,
        Error, //
    },
    sys::time::now_ms, //
};
use core::ptr;
use kernel::{
    new_mutex,
    prelude::*,
    sync::{
        atomic::{
            Acquire,
            AtomicFlag,
            Release, //
        },
        Arc,
        Mutex, //
    }, //
};
use rsdfs_proto::{
    smb2::FileId,
    status::Class, //
};

/// How long a lock is asked for again that somebody seems to have: it may be us, before the server has
/// noticed that our last session is over. In milliseconds.
const PATIENCE: u64 = 2000;

/// How often, in milliseconds.
const PERIOD: u64 = 50;

/// How long the keeper waits for the answer of a server that is there, in milliseconds.
const ANSWER: u64 = 10_000;

/// The files of a mount with locks, and whether something is to be done about them.
#[pin_data]
pub(crate) struct Registry {
    #[pin]
    list: Mutex<KVec<Arc<Locks>>>,
    due: AtomicFlag,
    /// Something has to be tried again soon.
    again: AtomicFlag,
}

impl Registry {
    pub(in crate::mount) fn new() -> impl PinInit<Self> {
        pin_init!(Self {
            list <- new_mutex!(KVec::new()),
            due: AtomicFlag::new(false),
            again: AtomicFlag::new(false),
        })
    }

    /// Something is to be done; the keeper has to be woken.
    pub(in crate::mount) fn stir(&self) {
        self.due.store(true, Release);
    }

    /// Whether something is to be done.
    pub(in crate::mount) fn is_due(&self) -> bool {
        self.due.load(Acquire)
    }

    /// For how many milliseconds there is nothing to be done; `None`: until it is stirred.
    pub(in crate::mount) fn rest(&self) -> Option<u64> {
        self.again.load(Acquire).then_some(PERIOD)
    }

    /// Enters a file.
    pub(super) fn enlist(&self, locks: &Arc<Locks>) -> Result {
        let mut list = self.list.lock();
        if !list.iter().any(|other| Arc::ptr_eq(other, locks)) {
            list.push(locks.clone(), GFP_KERNEL)?;
        }
        Ok(())
    }

    /// Forgets a file.
    pub(super) fn discharge(&self, locks: &Locks) {
        let mut gone = None;
        let mut list = self.list.lock();
        let found = list.iter().position(|other| ptr::eq(&**other, locks));
        if let Some(at) = found {
            gone = list.remove(at).ok();
        }
        drop(list);
        drop(gone);
    }

    /// Calls `f` with each file, without the lock.
    pub(crate) fn each(&self, mut f: impl FnMut(&Arc<Locks>)) {
        // From the end: when one goes meanwhile, others may come twice, but none is left out.
        let mut left = self.list.lock().len();
        while let Some(at) = left.checked_sub(1) {
            let next = self.list.lock().get(at).cloned();
            if let Some(locks) = next {
                f(&locks);
            }
            left = at;
        }
    }

    /// Wakes up whoever waits for a turn.
    pub(in crate::mount) fn wake(&self) {
        self.each(|locks| locks.changed.wake_all());
    }
}

impl Volume {
    /// Sees to the locks of all files, those that were lost with the last tree first of all. For the keeper.
    pub(in crate::mount) fn tend(self: &Arc<Self>) {
        self.locks.due.store(false, Release);
        let mut again = false;
        self.locks.each(|locks| again |= !locks.tend(self));
        self.locks.again.store(again, Release);
    }
}

impl Locks {
    /// Sees to the locks of a file, and lets go on what waits for them. Says whether nothing is left to do.
    fn tend(self: &Arc<Self>, volume: &Arc<Volume>) -> bool {
        // Whoever has the turn calls again.
        let Some(mut turn) = self.try_turn(volume, true) else {
            return true;
        };
        turn.keeper = true;
        let view = volume.view();
        let Some(present) = view.tree.filter(|_| view.up) else {
            return true;
        };
        let on = On::new(&present, Some(now_ms().saturating_add(ANSWER)));
        let result = turn.tend(&on);
        if let Err(error) = result {
            turn.is_mended(&present, error);
        }
        drop(turn);
        if self.is_ready(volume) {
            self.resume();
        }
        result == Ok(true)
    }

    /// Lets go on what waits.
    fn resume(&self) {
        let mut parked = self.take_parked(|_| true);
        while let Some(io) = parked.pop() {
            Io::start(io);
        }
    }
}

impl Turn<'_> {
    /// Brings the server in line. Says whether it is: if not, later.
    fn tend(&mut self, on: &On<'_>) -> mount::Result<bool> {
        let state = self.locks.state.lock();
        let seat = state.alive(on);
        let (stage, quiet) = (state.stage, !state.is_unsettled());
        drop(state);
        match (stage, seat) {
            (Stage::Idle, _) => Ok(true),
            (Stage::Held, Some(_)) if quiet => Ok(true),
            (Stage::Held, Some(seat)) => {
                self.settle_or_lose(&on.with(&seat.0), seat.1)?;
                Ok(true)
            }
            _ => self.reclaim(on),
        }
    }

    /// Takes all locks again on the present tree.
    #[inline(never)]
    fn reclaim(&mut self, on: &On<'_>) -> mount::Result<bool> {
        let mut state = self.locks.state.lock();
        let Some(anchor) = state.anchor.clone() else {
            state.stage = Stage::Idle;
            return Ok(true);
        };
        let (mut since, gone) = match state.stage {
            Stage::Reclaiming(since) => (since, None),
            _ => (now_ms(), state.begin(now_ms())),
        };
        let wanted = state.claims.iter().any(|claim| !claim.lost);
        let alive = state.alive(on).is_some();
        drop(state);
        drop(gone);
        // What the server holds, if anything, is gone with the handle.
        if !wanted && !alive && !anchor.granted().1 {
            self.held.clear();
            return Ok(self.reclaimed(0));
        }
        let seat = match self.volume.seat(on, &anchor) {
            Ok(seat) => seat,
            // The file is not there any more, or is another one.
            Err(error) if is_final(error) => {
                self.held.clear();
                self.locks.lose(self.volume, |_| true);
                self.locks.part_with_anchor(self.volume);
                return Ok(self.reclaimed(0));
            }
            Err(error) => return Err(error),
        };
        let same = |(tree, file): &Seat| Arc::ptr_eq(tree, &seat.0) && *file == seat.1;
        if !self.locks.state.lock().at.as_ref().is_some_and(same) {
            // On another tree than at the last attempt, if there was one: nothing is held there.
            self.let_go(&on.with(&seat.0), seat.1, &anchor)?;
            since = now_ms();
            let mut state = self.locks.state.lock();
            let gone = (state.begin(since), state.at.replace(seat.clone()));
            drop(state);
            drop(gone);
        }
        match self.settle(&on.with(&seat.0), seat.1, None) {
            Ok(Settled::Done { .. }) => {}
            Ok(Settled::Refused(_)) if age(since) < PATIENCE => return Ok(false),
            Ok(Settled::Refused(_)) => self.settle_or_lose(&on.with(&seat.0), seat.1)?,
            // A server that does not know locks, or has no room for more.
            Err(error) if is_final(error) && age(since) >= PATIENCE => {
                self.locks.lose(self.volume, |_| true);
            }
            Err(error) => return Err(error),
        }
        let count = self.locks.claimed();
        Ok(self.reclaimed(count))
    }

    /// Forgets what was held before the loss. An anchor that is durable may have been kept with its locks.
    fn let_go(&mut self, on: &On<'_>, file: FileId, anchor: &Handle) -> mount::Result {
        if anchor.granted().1 {
            for at in 0..self.held.len() {
                if let Some(range) = self.held.get(at).map(|lock| lock.range) {
                    self.unlock_all(on, file, range)?;
                }
            }
        }
        self.held.clear();
        Ok(())
    }

    /// They are held again, `count` of them, or lost.
    fn reclaimed(&mut self, count: usize) -> bool {
        self.locks.state.lock().stage = Stage::Held;
        for _ in 0..count {
            self.volume.counters().locks_reclaimed.add();
        }
        true
    }
}

impl State {
    /// The locks are to be taken again: the handle that had them is gone.
    fn begin(&mut self, now: u64) -> Option<Seat> {
        self.stage = Stage::Reclaiming(now);
        self.left = Some(now);
        self.unknown = [None; 2];
        self.stacks = true;
        self.at.take()
    }
}

/// Whether the file cannot be opened on this target, now or later.
fn is_final(error: Error) -> bool {
    match error {
        Error::Status(status) => !matches!(
            status.class(),
            Class::Busy | Class::SessionGone | Class::ShareGone | Class::HandleGone
        ),
        Error::Kernel(error) => matches!(error, EIO | EBADF),
        _ => false,
    }
}

impl Locks {
    /// Whether somebody elsewhere who is in the way may be us, in a session that is over, but not for its server yet.
    pub(crate) fn may_be_ours(&self, volume: &Volume) -> bool {
        let recovered = volume.view().stats.recovered;
        let left = self.state.lock().left;
        left.is_some_and(|left| age(left.max(recovered)) < PATIENCE)
    }

    /// Waits until it is time to ask again.
    pub(crate) fn pause(&self) -> Result {
        self.changed
            .wait_killable(Some(PERIOD), || false)
            .map(|_| ())
    }

    /// How many locks there are that are not lost.
    fn claimed(&self) -> usize {
        let state = self.state.lock();
        let held = state.claims.iter().filter(|claim| !claim.lost);
        held.fold(0usize, |count, _| count.saturating_add(1))
    }
}
