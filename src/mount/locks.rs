// SPDX-License-Identifier: GPL-2.0

//! Byte-range locks of a file, kept over failovers.
//!
//! A server's locks belong to a handle, bind everybody, and are in the way of other handles of the same
//! client, too (MS-SMB2 3.3.5.14). So all locks of a file are taken with *one* handle, the anchor, which
//! is open for as long as the file is, from its first lock on; and while there are locks, all that is
//! read and written goes through it. Who of this machine is in whose way, the kernel's own lists say;
//! the server is told the union of what they have ([`rsdfs_proto::locks`]).
//!
//! What the processes of this machine hold is the *inventory*, [`State::claims`]. It changes together
//! with the kernel's lists, under `Locks::state`; nothing of it is known by a server alone. A server is
//! brought in line with it ([`settle`]) by whoever has the *turn* ([`turn`]): one at a time, without the mutex. If
//! its answer is lost, nothing has to be found out: the locks went with the handle, and the whole
//! inventory is taken again on the next one ([`reclaim`]), once, before any read or write of the file
//! goes on. A lock that cannot be had again is lost, and with it the open file it was taken through.
//!
//! Locks: `Registry::list`, `Locks::state`, then `Handle::state`, `Volume::state`.

mod anchor;
mod ask;
mod reclaim;
mod route;
mod settle;
mod turn;
mod wire;

pub(crate) use ask::{
    Outcome,
    Owner,
    Wish, //
};
pub(super) use reclaim::Registry;
pub(super) use route::Route;

use super::{
    handle::{
        Cause,
        Handle,
        Seat, //
    },
    io::Parked,
    tree::Tree,
    volume::{
        View,
        Volume, //
    }, //
};
use crate::sys::{
    thread::NoFs,
    time::now_ms,
    wait::WaitQueue, //
};
use core::mem;
use kernel::{
    new_mutex,
    prelude::*,
    sync::{
        Arc,
        Mutex, //
    }, //
};
use rsdfs_proto::locks::{
    place_last,
    union,
    Lock, //
};

pub(crate) use rsdfs_proto::locks::{
    Kind,
    Range, //
};

/// A lock of somebody on this machine.
#[derive(Clone)]
struct Claim {
    owner: Owner,
    lock: Lock,
    /// The open file it was taken through.
    handle: Arc<Handle>,
    /// It could not be had again.
    lost: bool,
    /// Written to while it is shared: exclusive for the server, or it would not let us.
    written: bool,
}

/// Where the server stands.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Stage {
    /// It holds nothing for us.
    Idle,
    /// It may hold something, with the anchor as it is open in [`State::at`].
    Held,
    /// What it held is being taken again, since this time (milliseconds since boot).
    Reclaiming(u64),
}

struct State {
    /// The inventory.
    claims: KVec<Claim>,
    /// Counts changes of the inventory, and attempts at some.
    edits: u64,
    /// The last of them that the server is in line with.
    settled: u64,
    /// What the server holds, in order; away while somebody has the turn.
    held: KVec<Lock>,
    /// Whether these are locked there is not known: the caller left before the answer.
    unknown: [Option<Range>; 2],
    stage: Stage,
    /// Somebody has the turn.
    busy: bool,
    anchor: Option<Arc<Handle>>,
    /// In the registry.
    listed: bool,
    /// Where the anchor was open when `held` was locked.
    at: Option<Seat>,
    /// Since when something may be locked in a session that is over, in milliseconds since boot, or since the last
    /// server was lost if that is later.
    left: Option<u64>,
    /// A shared lock may lie over others.
    stacks: bool,
    /// Reads and writes that wait for their locks.
    parked: Parked,
    /// Open files that were lost and could be written to: what is dirty may be theirs.
    poisoned: usize,
    /// Open files.
    users: usize,
    /// Those who are about to lock a part of the file.
    asking: usize,
}

/// The locks of one file.
#[pin_data]
pub(crate) struct Locks {
    #[pin]
    state: Mutex<State>,
    /// The turn is free, or the locks are held again.
    #[pin]
    changed: WaitQueue,
}

/// Who wants to know which way reads and writes go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Way {
    /// One who is about to lock a part of the file.
    Begin,
    /// The same, when that is over.
    End,
    /// Somebody else.
    Look,
}

/// What the views show of a lock.
pub(crate) struct Shown {
    pub(crate) path: KVec<u8>,
    pub(crate) range: Range,
    pub(crate) kind: Kind,
    pub(crate) flock: bool,
    pub(crate) state: &'static str,
}

impl Locks {
    /// Of a file that nobody has open.
    pub(crate) fn new() -> Result<Arc<Self>> {
        Arc::pin_init(
            pin_init!(Self {
                state <- new_mutex!(State {
                    claims: KVec::new(),
                    edits: 0,
                    settled: 0,
                    held: KVec::new(),
                    unknown: [None; 2],
                    stage: Stage::Idle,
                    busy: false,
                    anchor: None,
                    listed: false,
                    at: None,
                    left: None,
                    stacks: true,
                    parked: Parked::default(),
                    poisoned: 0,
                    users: 0,
                    asking: 0,
                }),
                changed <- WaitQueue::new(),
            }),
            GFP_KERNEL,
        )
    }

    /// The file was opened once more.
    pub(crate) fn enter(&self) {
        let mut state = self.state.lock();
        state.users = state.users.saturating_add(1);
    }

    /// `handle` was closed. With the last one of the file the anchor goes, and all that is locked.
    pub(crate) fn leave(&self, volume: &Volume, handle: &Handle) {
        let mut state = self.state.lock();
        state.users = state.users.saturating_sub(1);
        if handle.is_poison() {
            state.poisoned = state.poisoned.saturating_sub(1);
        }
        let gone = state.end();
        drop(state);
        self.bury(volume, gone);
    }

    /// Ends what is left of the locks of a file that nobody has open.
    fn bury(&self, volume: &Volume, gone: Option<(Option<Arc<Handle>>, KVec<Claim>)>) {
        let Some((anchor, claims)) = gone else {
            return;
        };
        drop(claims);
        volume.locks.discharge(self);
        if let Some(anchor) = anchor {
            anchor.part(volume);
        }
    }

    /// Changes the inventory and, with `commit`, the kernel's lists, together.
    fn edit(&self, wish: &Wish<'_>, commit: &dyn Fn() -> Result) -> Result {
        let _scope = NoFs::enter();
        let mut state = self.state.lock();
        let state = &mut *state;
        state.claims.reserve(2, GFP_KERNEL)?;
        commit()?;
        let mut split = None;
        state.claims.retain(|claim| claim.cut(wish, &mut split));
        if let Some(split) = split {
            state.claim(split)?;
        }
        if let Some(kind) = wish.kind {
            let range = wish.range;
            state.claim(Claim {
                owner: wish.owner,
                lock: Lock { range, kind },
                handle: wish.handle.clone(),
                lost: false,
                written: false,
            })?;
        }
        state.edits = state.edits.saturating_add(1);
        let through = |claim: &Claim| Arc::ptr_eq(&claim.handle, wish.handle);
        wish.handle.set_locked(state.claims.iter().any(through));
        Ok(())
    }

    /// What the server is to hold, if `wish` comes true; and which edit that is the state of.
    fn wanted(&self, wish: Option<&Wish<'_>>) -> super::Result<(KVec<Lock>, u64)> {
        let state = self.state.lock();
        let most = state.claims.len().saturating_add(2).saturating_mul(2);
        let mut all = KVec::with_capacity(most, GFP_KERNEL)?;
        let mut add = |lock: Lock| -> Result {
            all.push(lock, GFP_KERNEL)?;
            place_last(&mut all, |lock| *lock);
            Ok(())
        };
        for claim in state.claims.iter().filter(|claim| !claim.lost) {
            let kind = match claim.written {
                true => Kind::Exclusive,
                false => claim.lock.kind,
            };
            let range = claim.lock.range;
            match wish.filter(|wish| claim.meets(wish)) {
                Some(wish) => {
                    let (before, after) = range.without(wish.range);
                    for range in [before, after].into_iter().flatten() {
                        add(Lock { range, kind })?;
                    }
                }
                None => add(Lock { range, kind })?,
            }
        }
        if let Some(Wish {
            range,
            kind: Some(kind),
            ..
        }) = wish
        {
            add(Lock {
                range: *range,
                kind: *kind,
            })?;
        }
        // Each lock adds at most two ends.
        let mut wanted = KVec::with_capacity(all.len().saturating_mul(2), GFP_KERNEL)?;
        union(&all, |lock| wanted.push(lock, GFP_KERNEL))?;
        Ok((wanted, state.edits))
    }

    /// Whether what is dirty must not land.
    pub(crate) fn is_poisoned(&self) -> bool {
        self.state.lock().poisoned > 0
    }

    /// The locks that are `lost` could not be had again, and the open files they were taken through are given up.
    /// Says how many there were.
    fn lose(&self, volume: &Volume, lost: impl Fn(&Claim) -> bool) -> usize {
        let carry_on = volume.options().recover_lost_locks();
        let mut count = 0usize;
        let mut state = self.state.lock();
        state.edits = state.edits.saturating_add(1);
        loop {
            let found = (state.claims.iter_mut()).find(|claim| !claim.lost && lost(claim));
            let Some(claim) = found else { break };
            claim.lost = true;
            let handle = claim.handle.clone();
            count = count.saturating_add(1);
            volume.counters().locks_lost.add();
            if carry_on {
                continue;
            }
            for claim in state.claims.iter_mut() {
                claim.lost |= Arc::ptr_eq(&claim.handle, &handle);
            }
            if handle.poison() {
                state.poisoned = state.poisoned.saturating_add(1);
            }
            drop(state);
            volume.lose(&handle, Cause::Lock);
            state = self.state.lock();
        }
        count
    }

    /// Tells `set` whether others may have parts of the file locked while we have: pages are shared with them
    /// then. One who wants a part counts from `Way::Begin` until `Way::End`. What `set` does is in order.
    pub(crate) fn choose_way(&self, way: Way, set: impl FnOnce(bool)) {
        let mut state = self.state.lock();
        state.asking = match way {
            Way::Begin => state.asking.saturating_add(1),
            Way::End => state.asking.saturating_sub(1),
            Way::Look => state.asking,
        };
        let part = |claim: &Claim| claim.lock.range != Range::ALL;
        set(state.asking > 0 || state.claims.iter().any(part));
    }

    /// Calls `show` with each lock.
    pub(crate) fn each(&self, mut show: impl FnMut(Shown)) -> Result {
        // Reclaim may write pages of the file back, and for that the lock.
        let _scope = NoFs::enter();
        let state = self.state.lock();
        for claim in state.claims.iter() {
            show(Shown {
                path: claim.handle.path()?,
                range: claim.lock.range,
                kind: claim.lock.kind,
                flock: claim.owner.flock,
                state: match state.stage {
                    _ if claim.lost => "lost",
                    Stage::Reclaiming(_) => "reclaiming",
                    Stage::Held if state.at.as_ref().is_some_and(|at| at.0.dead().is_none()) => {
                        "ok"
                    }
                    Stage::Held => "reclaiming",
                    Stage::Idle => "asked",
                },
            });
        }
        Ok(())
    }
}

impl Claim {
    /// Whether a wish is about some of it.
    fn meets(&self, wish: &Wish<'_>) -> bool {
        self.owner == wish.owner && self.lock.range.overlaps(wish.range)
    }

    /// Leaves what the wish is not about; a second part goes to `split`. Says whether anything is left.
    fn cut(&mut self, wish: &Wish<'_>, split: &mut Option<Claim>) -> bool {
        if !self.meets(wish) {
            return true;
        }
        let (before, after) = self.lock.range.without(wish.range);
        let Some(first) = before.or(after) else {
            return false;
        };
        if let (Some(_), Some(range)) = (before, after) {
            let mut rest = self.clone();
            rest.lock.range = range;
            *split = Some(rest);
        }
        self.lock.range = first;
        true
    }
}

impl State {
    /// Adds a claim; there is room.
    fn claim(&mut self, claim: Claim) -> Result {
        self.claims.push(claim, GFP_KERNEL)?;
        place_last(&mut self.claims, |claim| claim.lock);
        Ok(())
    }

    /// Where the anchor is open and has its locks, if it still is: on the present tree, or on one that was
    /// left though it works.
    fn alive(&self, present: &Arc<Tree>) -> Option<Seat> {
        let (tree, file) = self.at.as_ref()?;
        let same = |(now, there): &Seat| Arc::ptr_eq(now, tree) && there == file;
        let here = Arc::ptr_eq(tree, present) || tree.leaving().is_some();
        let works = tree.dead().is_none() && !tree.session().is_over();
        self.anchor
            .as_ref()
            .and_then(|anchor| anchor.seat().ok().flatten())
            .filter(|seat| here && works && same(seat))
    }

    /// Whether the locks are held, if there are any.
    fn is_ready(&self, view: &View) -> bool {
        match (self.stage, &view.tree) {
            (Stage::Idle, _) => true,
            (Stage::Held, Some(tree)) => view.up && self.alive(tree).is_some(),
            _ => false,
        }
    }

    /// Whether the server is to be asked something.
    fn is_unsettled(&self) -> bool {
        self.edits != self.settled || self.unknown != [None; 2]
    }

    /// The anchor, and where it is open, if it is of no use there: nothing is locked, and the mount has gone
    /// elsewhere.
    fn left_over(&mut self) -> Option<(Arc<Handle>, Option<Seat>)> {
        let idle = self.stage == Stage::Idle && self.users > 0;
        let anchor = (self.anchor).take_if(|anchor| idle && anchor.is_left())?;
        Some((anchor, self.at.take()))
    }

    /// The anchor and all claims, if nobody has the file open.
    fn end(&mut self) -> Option<(Option<Arc<Handle>>, KVec<Claim>)> {
        if self.users > 0 || self.busy || self.anchor.is_none() && !self.listed {
            return None;
        }
        let anchor = self.anchor.take();
        self.listed = false;
        self.at = None;
        self.left.get_or_insert(0);
        self.stage = Stage::Idle;
        self.held.clear();
        self.unknown = [None; 2];
        self.settled = self.edits;
        Some((anchor, mem::take(&mut self.claims)))
    }
}

/// How long ago `since` was, in milliseconds.
fn age(since: u64) -> u64 {
    now_ms().saturating_sub(since)
}
