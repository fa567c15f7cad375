// SPDX-License-Identifier: GPL-2.0

//! Open files that outlive the server they were opened on.
//!
//! What becomes of one:
//!
//! ```text
//!  open() --> Open <--> Stale --> Reclaiming --> Open
//!               |         |          |  `------> Stale   (its tree was lost meanwhile)
//!               `---------+----------+---------> Lost --> Reclaiming   (only by `restore`)
//!  close(): from each of them to Closed, which is the end
//! ```
//!
//! There is no handle before it is open. It comes to Reclaiming only by taking the one [`Claim`] there is, and
//! from there to Open only by giving that up with a new seat, so that a file is opened again once, whoever waits
//! for it.

mod look;

use super::{
    durable::{
        Asked,
        Grant, //
    },
    lease::Lease,
    tree::Tree,
    Attr,
    Create,
    Error,
    How,
    Result, //
};
use crate::sys::{
    time::now_ms,
    wait::{
        Outcome,
        WaitQueue, //
    }, //
};
use core::{
    mem,
    str, //
};
use kernel::{
    new_mutex,
    prelude::*,
    sync::{
        atomic::{
            Atomic,
            AtomicFlag,
            Relaxed, //
        },
        Arc,
        Mutex, //
    }, //
};
pub(crate) use look::{
    Cause,
    Condition,
    Look, //
};
use rsdfs_proto::{
    identity::{
        Known,
        Likeness, //
    },
    smb2::FileId, //
};

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
    /// Counts the writes through it, and how many of them were synced.
    written: Atomic<u64>,
    synced: Atomic<u64>,
    locked: AtomicFlag,
    /// Locks are taken with it: only those who see to them may open it elsewhere.
    anchored: AtomicFlag,
    /// What was written through it must not land any more.
    poisoned: AtomicFlag,
    /// Somebody holds the claim; with `settled`, for those who wait for that to end.
    claimed: AtomicFlag,
    #[pin]
    settled: WaitQueue,
    #[pin]
    state: Mutex<State>,
}

struct State {
    path: KVec<u8>,
    phase: Phase,
    /// What servers have said of it.
    known: Known,
    /// It was opened again at least once.
    reclaimed: bool,
    /// To open it again was asked for, and not answered.
    asked: Asked,
    /// The file was removed; `path` is what it is called until it is closed.
    nameless: bool,
}

/// What has become of an open file.
enum Phase {
    /// Open on a tree, which may be lost, or not the present one any more.
    Open(Seat),
    /// Not open on any tree.
    Stale,
    /// Somebody is about to open it again; it may still be open where it was.
    Reclaiming(Option<Seat>),
    /// Given up: the user gets `EIO` until it is closed.
    Lost(Cause),
    /// Closed by the user.
    Closed,
    /// The same, and the last without a name: the file is to be removed, best where it was open.
    Condemned(Option<Arc<Tree>>),
}

impl Phase {
    /// Where it is open, for all that is known.
    fn seat(&self) -> Option<&Seat> {
        match self {
            Phase::Open(seat) | Phase::Reclaiming(Some(seat)) => Some(seat),
            _ => None,
        }
    }

    /// As [`Self::seat`]; it is not that any more.
    fn into_seat(self) -> Option<Seat> {
        match self {
            Phase::Open(seat) | Phase::Reclaiming(Some(seat)) => Some(seat),
            _ => None,
        }
    }
}

/// A tree, and the server's id for the file there.
pub(super) type Seat = (Arc<Tree>, FileId);

/// The right to open a file again. There is one at a time; without a word it goes back to how it was.
pub(super) struct Claim<'a>(&'a Handle);

impl Claim<'_> {
    /// Where it is open still.
    pub(super) fn seat(&self) -> Option<Seat> {
        self.0.state.lock().phase.seat().cloned()
    }

    /// It was opened again, and is like this if that was asked for. The seat that is not needed is to be closed: the one
    /// before, or this one, if the file was closed or given up meanwhile.
    pub(super) fn opened(self, seat: Seat, attr: Option<&Attr>) -> Option<Seat> {
        let mut state = self.0.state.lock();
        match state.phase {
            Phase::Reclaiming(_) => {
                let mark = state.known.mark();
                if let Some(attr) = attr {
                    state.known.learn(attr.face(), seat.0.origin(), mark);
                }
                state.reclaimed = true;
                mem::replace(&mut state.phase, Phase::Open(seat)).into_seat()
            }
            _ => Some(seat),
        }
    }
}

impl Drop for Claim<'_> {
    fn drop(&mut self) {
        let mut state = self.0.state.lock();
        if let Phase::Reclaiming(seat) = &mut state.phase {
            let seat = seat.take();
            state.phase = seat.map_or(Phase::Stale, Phase::Open);
        }
        // Under the lock: who finds it open or stale must find the claim free, too.
        self.0.claimed.store(false, Relaxed);
        drop(state);
        self.0.settled.wake_all();
    }
}

impl Handle {
    /// A handle that was opened on `tree`.
    pub(super) fn new(
        id: u64,
        path: &str,
        how: How,
        lease: &Arc<Lease>,
        (tree, file): Seat,
        (attr, grant): (&Attr, Grant),
    ) -> Result<Arc<Self>> {
        let known = Known::new(attr.face(), tree.origin());
        let path = bytes(path)?;
        Ok(Arc::pin_init(
            pin_init!(Self {
                id,
                how,
                lease: lease.clone(),
                grant <- new_mutex!(Some(grant)),
                written: Atomic::new(0),
                synced: Atomic::new(0),
                locked: AtomicFlag::new(false),
                anchored: AtomicFlag::new(false),
                poisoned: AtomicFlag::new(false),
                claimed: AtomicFlag::new(false),
                settled <- WaitQueue::new(),
                state <- new_mutex!(State {
                    path,
                    phase: Phase::Open((tree, file)),
                    known,
                    reclaimed: false,
                    asked: Asked::default(),
                    nameless: false,
                }),
            }),
            GFP_KERNEL,
        )?)
    }

    /// The lease that all who have the file open share.
    pub(crate) fn lease(&self) -> &Arc<Lease> {
        &self.lease
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

    /// What was asked for, and not answered, when it was to be opened again; for who has the claim.
    pub(super) fn take_asked(&self) -> Asked {
        mem::take(&mut self.state.lock().asked)
    }

    /// That was not answered.
    pub(super) fn put_asked(&self, asked: Asked) {
        self.state.lock().asked = asked;
    }

    /// Where it is open, for all that is known. None if it has to be opened again; `EIO` if it was given up.
    pub(super) fn seat(&self) -> Result<Option<Seat>> {
        match &self.state.lock().phase {
            Phase::Open(seat) => Ok(Some(seat.clone())),
            Phase::Stale | Phase::Reclaiming(_) => Ok(None),
            Phase::Lost(_) => Err(Error::Kernel(EIO)),
            Phase::Closed | Phase::Condemned(_) => Err(Error::Kernel(EBADF)),
        }
    }

    /// The claim to open it again, instead of `seat`. None if there is nothing to do any more; waits while somebody
    /// else has it, at most until `deadline` in milliseconds since boot.
    pub(super) fn claim(
        &self,
        seat: Option<&Seat>,
        deadline: Option<u64>,
    ) -> Result<Option<Claim<'_>>> {
        let left = deadline.map(|at| at.saturating_sub(now_ms()));
        let free = || !self.claimed.load(Relaxed);
        match self.settled.wait_killable(left, free) {
            Ok(Outcome::Ready) => {}
            Ok(Outcome::TimedOut) => return Err(Error::Timeout),
            Err(_) => return Err(Error::Interrupted),
        }
        let mut state = self.state.lock();
        let kept = match (&state.phase, seat) {
            (Phase::Stale, _) => None,
            (Phase::Open((tree, file)), Some((left, old)))
                if Arc::ptr_eq(tree, left) && file == old =>
            {
                seat.cloned()
            }
            _ => return Ok(None),
        };
        state.phase = Phase::Reclaiming(kept);
        self.claimed.store(true, Relaxed);
        Ok(Some(Claim(self)))
    }

    /// Gives it up: every use of it fails with `EIO` until it is closed. Says whether that is news, and what is left
    /// to close on a server.
    pub(super) fn lose(&self, cause: Cause) -> (bool, Option<Seat>) {
        let mut state = self.state.lock();
        match state.phase {
            Phase::Lost(_) | Phase::Closed | Phase::Condemned(_) => (false, None),
            _ => {
                let before = mem::replace(&mut state.phase, Phase::Lost(cause));
                (true, before.into_seat())
            }
        }
    }

    /// If it was given up, it may be opened again; not for a lock, which others may have had since.
    pub(super) fn forgive(&self) {
        let mut state = self.state.lock();
        if let Phase::Lost(Cause::Missing | Cause::Replaced) = state.phase {
            state.phase = Phase::Stale;
        }
    }

    /// Something is about to be written through it.
    pub(crate) fn touch(&self) {
        self.written.fetch_add(1, Relaxed);
    }

    /// Goes with a sync of all that was written, to [`Self::synced`] when that was done.
    pub(crate) fn written(&self) -> u64 {
        self.written.load(Relaxed)
    }

    /// All that was written until `mark` is on stable storage.
    pub(crate) fn synced(&self, mark: u64) {
        self.synced.store(mark, Relaxed);
    }

    /// There are locks on it, or none any more.
    pub(super) fn set_locked(&self, locked: bool) {
        self.locked.store(locked, Relaxed);
    }

    /// Locks are going to be taken with it, or not any more.
    pub(super) fn set_anchored(&self, anchored: bool) {
        self.anchored.store(anchored, Relaxed);
    }

    /// Whether locks may be held with it.
    pub(super) fn is_anchored(&self) -> bool {
        self.anchored.load(Relaxed)
    }

    /// If it may have been written through, that must not land any more. Says whether that is news.
    pub(super) fn poison(&self) -> bool {
        self.how.write && !self.poisoned.xchg(true, Relaxed)
    }

    /// Whether what was written through it must not land any more.
    pub(super) fn is_poison(&self) -> bool {
        self.poisoned.load(Relaxed)
    }

    /// Whether it was opened to be read from, or written to.
    pub(super) fn may(&self, write: bool) -> bool {
        match write {
            true => self.how.write,
            false => self.how.read,
        }
    }

    /// Whether there is something at stake: data that was not synced, or locks. Then it is opened again before
    /// anything else, and only if it is the same file for sure.
    pub(crate) fn is_staked(&self) -> bool {
        self.locked.load(Relaxed) || self.written.load(Relaxed) != self.synced.load(Relaxed)
    }

    /// Goes with a question for its attributes, to [`Self::learn`] with the answer.
    pub(super) fn mark(&self) -> u64 {
        self.state.lock().known.mark()
    }

    /// The server of `tree` has answered a question that was asked at `mark`.
    pub(super) fn learn(&self, attr: &Attr, tree: &Tree, mark: u64) {
        let mut state = self.state.lock();
        state.known.learn(attr.face(), tree.origin(), mark);
    }

    /// A server has carried out a write that ends at `end`.
    pub(super) fn wrote(&self, end: u64) {
        self.state.lock().known.wrote(end);
    }

    /// A server has set its size.
    pub(super) fn resized(&self, size: u64) {
        self.state.lock().known.resized(size);
    }

    /// How alike is the file that `tree` has under its name now?
    pub(super) fn compare(&self, attr: &Attr, tree: &Tree) -> Likeness {
        let state = self.state.lock();
        state.known.compare(&attr.face(), tree.origin())
    }

    /// Whether it is open on the tree of this generation.
    pub(super) fn is_open_in(&self, generation: u64) -> bool {
        let state = self.state.lock();
        let seat = state.phase.seat();
        seat.is_some_and(|(tree, _)| tree.generation() == generation)
    }

    /// The tree it is open on, for all that is known.
    pub(super) fn tree(&self) -> Option<Arc<Tree>> {
        let state = self.state.lock();
        match &state.phase {
            Phase::Condemned(tree) => tree.clone(),
            phase => phase.seat().map(|(tree, _)| tree.clone()),
        }
    }

    /// Whether it should follow the volume now.
    pub(super) fn is_to_follow(&self, now: u64) -> bool {
        if self.is_anchored() {
            return false;
        }
        let state = self.state.lock();
        let seat = state.phase.seat();
        seat.is_some_and(|(tree, _)| {
            tree.leaving().is_some_and(|at| at <= now) && tree.dead().is_none()
        })
    }

    /// It is not open there any more; whether that was news.
    pub(super) fn forget(&self, stale: &Seat) -> bool {
        let mut state = self.state.lock();
        let it = |(tree, file): &Seat| Arc::ptr_eq(tree, &stale.0) && *file == stale.1;
        let gone = match &mut state.phase {
            Phase::Open(seat) if it(seat) => {
                mem::replace(&mut state.phase, Phase::Stale).into_seat()
            }
            Phase::Reclaiming(seat) => seat.take_if(|seat| it(seat)),
            _ => None,
        };
        drop(state);
        gone.is_some()
    }

    /// Closes it on the server, for now: what is to be closed there. Not if it has locks, which would be lost.
    pub(super) fn set_aside(&self) -> Option<Seat> {
        let mut state = self.state.lock();
        match state.phase {
            Phase::Open(_) if !self.locked.load(Relaxed) => {
                mem::replace(&mut state.phase, Phase::Stale).into_seat()
            }
            _ => None,
        }
    }

    /// Closes it for good, and condemns the file if it was the last without a name; what is left to close on a server.
    pub(super) fn close(&self, condemned: bool) -> Option<Seat> {
        let mut state = self.state.lock();
        let tree = state.phase.seat().map(|(tree, _)| tree.clone());
        let closed = match condemned {
            true => Phase::Condemned(tree),
            false => Phase::Closed,
        };
        mem::replace(&mut state.phase, closed).into_seat()
    }

    /// Whether its user has closed it.
    pub(super) fn is_closed(&self) -> bool {
        matches!(self.state.lock().phase, Phase::Closed | Phase::Condemned(_))
    }

    /// Whether its file is to be removed.
    pub(super) fn is_condemned(&self) -> bool {
        matches!(self.state.lock().phase, Phase::Condemned(_))
    }

    /// The tree on which its file was to be removed is lost.
    pub(super) fn forget_tree(&self) {
        let mut state = self.state.lock();
        let gone = match &mut state.phase {
            Phase::Condemned(tree) => tree.take(),
            _ => None,
        };
        drop(state);
        drop(gone);
    }

    /// Its file was removed, though it is still there as `path`. Whether that is what it is called.
    pub(super) fn unname(&self, path: &str) -> bool {
        let mut state = self.state.lock();
        let it = state.path[..] == *path.as_bytes();
        state.nameless |= it;
        it
    }

    /// Whether its file was removed.
    pub(super) fn is_nameless(&self) -> bool {
        self.state.lock().nameless
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

    /// Whether that is below the directory `path`.
    pub(super) fn is_below(&self, path: &str) -> bool {
        let state = self.state.lock();
        let below = state.path.strip_prefix(path.as_bytes());
        below.is_some_and(|rest| rest.first() == Some(&b'/'))
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

/// A path to be kept.
pub(super) fn bytes(path: &str) -> Result<KVec<u8>> {
    let mut bytes = KVec::with_capacity(path.len(), GFP_KERNEL)?;
    bytes.extend_from_slice(path.as_bytes(), GFP_KERNEL)?;
    Ok(bytes)
}

/// A path kept as bytes; it came from a `str`.
pub(super) fn text(path: &[u8]) -> &str {
    str::from_utf8(path).unwrap_or_default()
}
