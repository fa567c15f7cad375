// SPDX-License-Identifier: GPL-2.0

//! What is mounted: a share that outlives its servers.

use super::{
    counters::Counters,
    handle::Handle,
    io::{
        Io,
        Parked, //
    },
    keeper,
    locks,
    names::Names,
    reconnect::{
        self,
        Attempt,
        Cached,
        Course,
        Loss,
        Race,
        Seeker, //
    },
    tree::{
        On,
        Tree, //
    },
    trouble::Trouble,
    upkeep::Upkeep,
    world::{
        Account,
        World, //
    },
    zombie::Zombie,
    Error,
    MountError,
    Options,
    Result, //
};
use crate::{
    sys::{
        fs::file::task_killed,
        net::Net,
        thread::{
            NoFs,
            Thread, //
        },
        time::{
            now_ms,
            now_us, //
        },
        trace::{
            Event as _,
            Reconnect,
            TargetSwitch, //
        },
        wait::{
            Outcome,
            WaitQueue, //
        }, //
    },
    transport::conn::Reason, //
};
use core::mem;
use kernel::{
    new_mutex,
    new_spinlock,
    prelude::*,
    rbtree::RBTree,
    sync::{
        atomic::{
            Atomic,
            Relaxed, //
        },
        Arc,
        Mutex,
        SpinLock, //
    }, //
};
use rsdfs_proto::{
    dfs::path::Path,
    failover::{
        Lost,
        Policy, //
    }, //
};

/// How long an unmount waits for a lost server to be replaced, in milliseconds.
const GRACE: u64 = 500;

/// How long open files stay on a target that is drained, in milliseconds.
const GRACE_OPEN: u64 = 10_000;

/// How long an unmount waits for each answer to its farewells, in milliseconds.
const FAREWELL: u64 = 200;

/// A mounted share.
#[pin_data]
pub(crate) struct Volume {
    pub(super) seeker: Arc<Seeker>,
    /// What was mounted, in device form.
    path: KVec<u8>,
    #[pin]
    state: SpinLock<State>,
    /// Waiting for a tree.
    #[pin]
    changed: WaitQueue,
    /// Here the keeper waits for something to do.
    #[pin]
    pub(super) todo: WaitQueue,
    next: Atomic<u64>,
    /// The open files, by [`Handle::id`].
    #[pin]
    pub(super) handles: Mutex<RBTree<u64, Arc<Handle>>>,
    /// How many of them are to be removed, now that they are closed.
    pub(super) doomed: Atomic<usize>,
    /// Reads and writes that wait for a tree, in the order they came.
    #[pin]
    parked: SpinLock<Parked>,
    /// The files with locks.
    #[pin]
    pub(crate) locks: locks::Registry,
    #[pin]
    keeper: Mutex<Option<Thread>>,
    #[pin]
    pub(super) upkeep: Upkeep,
    #[pin]
    pub(super) zombie: Zombie,
}

/// The state of a mount.
struct State {
    tree: Option<Arc<Tree>>,
    generation: u64,
    phase: Phase,
    /// The bring-up under way.
    attempt: Option<Arc<Attempt>>,
    stats: Stats,
    /// The targets it was found among, for when the cache has forgotten them.
    known: Option<Cached>,
    /// When the tree before was lost, in microseconds since boot.
    lost: u64,
    /// When an unmount began.
    closing: Option<u64>,
    /// What the last tree's path was, to know where not to begin.
    last: KVec<u8>,
}

/// Where a mount stands.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Phase {
    /// There is a tree, for all that is known.
    Up,
    /// There is none, since this time (milliseconds since boot).
    Down(u64, Reason),
    /// `umount -f`, or a dead server at umount: everything fails.
    Aborted,
}

/// What the keeper is to do.
pub(super) enum Work {
    /// Find a tree: since when there is none, and why.
    Seek(u64, Reason),
    /// See to what is parked.
    Resume,
    /// Remove files that were closed without a name.
    Bury,
    /// See to locks.
    Tend,
    /// End.
    Stop,
}

/// For the views.
#[derive(Clone, Copy, Default)]
pub(crate) struct Stats {
    /// Trees that replaced a lost one.
    pub(crate) failovers: u64,
    /// Trees that replaced one that worked.
    pub(crate) moves: u64,
    /// Why the last one was left.
    pub(crate) reason: Option<Why>,
    /// How long it took to replace it, in milliseconds.
    pub(crate) duration: u64,
    /// When one was lost and has been replaced, in milliseconds since boot.
    pub(crate) recovered: u64,
}

/// Why a mount has left a target.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Why {
    /// It was lost.
    Lost(Reason),
    /// The preferred one is back.
    Failback,
    /// The referral does not list it any more.
    Drain,
    /// The administrator wants it so.
    Asked,
}

impl Why {
    /// A word for the views.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Why::Lost(reason) => reason.name(),
            Why::Failback => "failback",
            Why::Drain => "drain",
            Why::Asked => "asked",
        }
    }
}

/// What the views show of a mount.
pub(crate) struct View {
    pub(crate) tree: Option<Arc<Tree>>,
    pub(crate) generation: u64,
    pub(crate) up: bool,
    pub(crate) stats: Stats,
}

impl Volume {
    /// Mounts what `options` name.
    pub(crate) fn mount(options: Options) -> core::result::Result<Arc<Self>, MountError> {
        let set_up = || -> core::result::Result<_, Trouble> {
            let mut path = KVec::new();
            path.extend_from_slice(options.source().as_bytes(), GFP_KERNEL)?;
            let account = Account {
                options: Arc::new(options, GFP_KERNEL)?,
                net: Net::current(),
                names: Arc::pin_init(Names::read(), GFP_KERNEL)?,
            };
            Ok((Arc::new(account, GFP_KERNEL)?, path))
        };
        let (account, path) = set_up()?;
        Self::mount_at(account, path)
    }

    /// Mounts `path`, in device form, on behalf of `account`. Fails with `EINTR` when the task is
    /// killed.
    pub(super) fn mount_at(
        account: Arc<Account>,
        path: KVec<u8>,
    ) -> core::result::Result<Arc<Self>, MountError> {
        Self::bring_up(account, path).map_err(|trouble| match task_killed() {
            true => Trouble::from(EINTR).into(),
            false => trouble.into(),
        })
    }

    fn bring_up(account: Arc<Account>, path: KVec<u8>) -> core::result::Result<Arc<Self>, Trouble> {
        let world = World::get().ok_or(ENODEV)?;
        let mode = account.options.failback();
        let seeker = Seeker {
            world: world.clone(),
            account,
            counters: Counters::new(),
        };
        let volume = Arc::pin_init(
            try_pin_init!(Self {
                seeker: Arc::new(seeker, GFP_KERNEL)?,
                path,
                state <- new_spinlock!(State {
                    tree: None,
                    generation: 0,
                    phase: Phase::Down(now_ms(), Reason::Closed),
                    attempt: None,
                    known: None,
                    lost: 0,
                    closing: None,
                    stats: Stats::default(),
                    last: KVec::new(),
                }),
                changed <- WaitQueue::new(),
                todo <- WaitQueue::new(),
                next: Atomic::new(1),
                handles <- new_mutex!(RBTree::new()),
                doomed: Atomic::new(0),
                parked <- new_spinlock!(Parked::default()),
                locks <- locks::Registry::new(),
                keeper <- new_mutex!(None),
                upkeep <- Upkeep::new(mode),
                zombie <- Zombie::new(),
            }),
            GFP_KERNEL,
        )?;
        let tree = volume.seek(Policy::MOUNT, None)?;
        volume.publish(tree, None)?;
        let kept = volume.clone();
        let keeper = Thread::spawn(c"rsdfs-keeper", move |stop| keeper::run(&kept, stop))?;
        *volume.keeper.lock() = Some(keeper);
        if let Err(error) = world.enlist(&volume) {
            volume.unmount();
            return Err(error.into());
        }
        Ok(volume)
    }

    /// The mount's options.
    pub(crate) fn options(&self) -> &Options {
        &self.seeker.account.options
    }

    /// What was mounted, in device form.
    pub(crate) fn path(&self) -> &str {
        core::str::from_utf8(&self.path).unwrap_or_default()
    }

    /// On whose behalf it is mounted.
    pub(super) fn account(&self) -> Arc<Account> {
        self.seeker.account.clone()
    }

    /// Counts the trees there were; changes at each failover.
    pub(crate) fn generation(&self) -> u64 {
        self.state.lock().generation
    }

    /// Whether its tree is good, for all that is known.
    pub(crate) fn stands(&self) -> bool {
        let view = self.view();
        view.up && view.tree.is_some_and(|tree| !tree.is_dead())
    }

    /// What there is to see.
    pub(crate) fn view(&self) -> View {
        let state = self.state.lock();
        View {
            tree: state.tree.clone(),
            generation: state.generation,
            up: state.phase == Phase::Up,
            stats: state.stats,
        }
    }

    /// The largest read, in bytes.
    pub(crate) fn read_max(&self) -> usize {
        self.limit(self.options().rsize(), |tree| tree.read_max())
    }

    /// The largest write, in bytes.
    pub(crate) fn write_max(&self) -> usize {
        self.limit(self.options().wsize(), |tree| tree.write_max())
    }

    /// A limit of the mount's and of its present server, if it has one.
    fn limit(&self, wanted: usize, server: impl FnOnce(&Tree) -> usize) -> usize {
        let tree = self.state.lock().tree.clone();
        tree.map_or(64 << 10, |tree| server(&tree)).min(wanted)
    }

    /// Runs an operation on a tree; if the tree is lost meanwhile, again on the next.
    pub(super) fn run<T>(&self, mut operation: impl FnMut(&On<'_>) -> Result<T>) -> Result<T> {
        let _scope = NoFs::enter();
        let deadline = self.deadline();
        let mut malformed = false;
        loop {
            let tree = self.tree(deadline)?;
            let result = operation(&On::new(&tree, deadline));
            if let Err(Error::Status(status)) = result {
                if let Some(reason) = tree.gone(status) {
                    self.lost(&tree, reason);
                    self.seeker.counters.repeated.add();
                    continue;
                }
            }
            match result {
                Err(Error::Lost) => self.lost(&tree, Reason::Gone),
                // An answer that is never right must not move the mount about for ever.
                Err(Error::Malformed) if !malformed => {
                    malformed = true;
                    self.lost(&tree, Reason::BadFrame);
                }
                result => return result,
            }
            self.seeker.counters.repeated.add();
        }
    }

    /// When an operation that begins now must have ended, in milliseconds since boot.
    pub(super) fn deadline(&self) -> Option<u64> {
        self.options()
            .soft_ms()
            .map(|ms| now_ms().saturating_add(ms))
    }

    /// The tree, as soon as there is one.
    pub(super) fn tree(&self, deadline: Option<u64>) -> Result<Arc<Tree>> {
        let mut found = Err(Error::Timeout);
        let left = deadline.map(|at| at.saturating_sub(now_ms()));
        let outcome = self.changed.wait_killable(left, || {
            let state = self.state.lock();
            found = match (&state.tree, state.phase) {
                (_, Phase::Aborted) => Err(Error::Kernel(EIO)),
                (Some(tree), Phase::Up) => Ok(tree.clone()),
                _ => return false,
            };
            true
        });
        match outcome {
            Ok(Outcome::Ready) => found,
            Ok(Outcome::TimedOut) => Err(Error::Timeout),
            Err(_) => Err(Error::Interrupted),
        }
    }

    /// Says that `tree` is of no use any more; `reason` counts if its connection still stands.
    pub(super) fn lost(&self, tree: &Arc<Tree>, reason: Reason) {
        let reason = tree.dead().unwrap_or(reason);
        tree.lose(reason);
        let mut state = self.state.lock();
        if !matches!(&state.tree, Some(current) if Arc::ptr_eq(current, tree)) {
            return;
        }
        let gone = state.tree.take();
        if state.phase == Phase::Up {
            state.phase = Phase::Down(now_ms(), reason);
            state.lost = now_us();
        }
        drop(state);
        self.todo.wake_all();
        if matches!(reason, Reason::Silent | Reason::Frozen) {
            self.zombie.left(tree.session_arc());
        }
        drop(gone);
    }

    /// Looks for a tree.
    pub(super) fn seek(
        &self,
        policy: Policy,
        how: Option<Lost>,
    ) -> core::result::Result<Arc<Tree>, Trouble> {
        let attempt = Attempt::new()?;
        let mut state = self.state.lock();
        if state.phase == Phase::Aborted {
            return Err(Trouble::cancelled());
        }
        state.attempt = Some(attempt.clone());
        let last = mem::take(&mut state.last);
        let known = state.known.clone();
        drop(state);
        let path = Path::parse(self.path()).map_err(|_| EINVAL)?;
        let course = match (reconnect::course(&self.seeker, &path), known) {
            (Course::Itself, Some(known)) => Course::Targets(known),
            (course, _) => course,
        };
        let loss = how.map(|how| Loss { how, target: &last });
        let found = Race::new(&self.seeker, &path, 0, course, &attempt)
            .and_then(|race| race.run(policy, loss, &mut || self.tick(&attempt)));
        let known = match reconnect::course(&self.seeker, &path) {
            Course::Targets(known) => Some(known),
            Course::Domain(_) | Course::Itself => None,
        };
        let mut state = self.state.lock();
        state.attempt = None;
        state.last = last;
        let forgotten = match known {
            Some(known) => state.known.replace(known),
            None => None,
        };
        drop(state);
        drop(forgotten);
        found
    }

    /// Puts `tree` in the place of the one that was lost at `since`.
    pub(super) fn publish(&self, tree: Arc<Tree>, since: Option<u64>) -> Result {
        let mut last = KVec::with_capacity(tree.path().len(), GFP_KERNEL)?;
        last.extend_from_slice(tree.path(), GFP_KERNEL)?;
        let new = tree.clone();
        let mut why = None;
        let mut state = self.state.lock();
        if state.phase == Phase::Aborted {
            return Err(Error::Kernel(EIO));
        }
        if let (Some(since), Phase::Down(_, reason)) = (since, state.phase) {
            state.stats.failovers = state.stats.failovers.saturating_add(1);
            state.stats.reason = Some(Why::Lost(reason));
            state.stats.recovered = now_ms();
            state.stats.duration = state.stats.recovered.saturating_sub(since);
            why = state.stats.reason;
        }
        state.generation = state.generation.saturating_add(1);
        tree.set_generation(state.generation);
        let old = (
            state.tree.replace(tree),
            mem::replace(&mut state.last, last),
        );
        state.phase = Phase::Up;
        let lost = state.lost;
        drop(state);
        self.locks.stir();
        self.changed.wake_all();
        if let Some(why) = why {
            self.tell(&old.1, &new, why, lost);
            self.lay_to_rest(new.session());
        }
        drop(old);
        Ok(())
    }

    /// Puts into the trace that the mount has gone from the target `old` to `new`, which began at
    /// `began` in microseconds since boot.
    fn tell(&self, old: &[u8], new: &Tree, why: Why, began: u64) {
        let (path, reason) = (self.path(), why.name());
        let us = now_us().saturating_sub(began);
        TargetSwitch::emit(|| {
            let switch = TargetSwitch {
                path,
                old,
                new: new.path(),
                reason,
                us,
            };
            Some(switch).filter(|switch| switch.old != switch.new)
        });
        if matches!(why, Why::Lost(_)) {
            let generation = new.generation();
            Reconnect::emit(|| {
                Some(Reconnect {
                    path,
                    reason,
                    generation,
                    us,
                })
            });
        }
    }

    /// Goes from `present`, which works, to `tree`; that began at `began`, in microseconds since boot.
    pub(super) fn switch(
        &self,
        present: &Arc<Tree>,
        tree: Arc<Tree>,
        why: Why,
        began: u64,
    ) -> Result {
        let new = tree.clone();
        let mut last = KVec::with_capacity(tree.path().len(), GFP_KERNEL)?;
        last.extend_from_slice(tree.path(), GFP_KERNEL)?;
        let mut state = self.state.lock();
        let same = |current: &Arc<Tree>| Arc::ptr_eq(current, present);
        if state.phase != Phase::Up || !state.tree.as_ref().is_some_and(same) {
            return Err(Error::Kernel(EAGAIN));
        }
        // Before it is seen that the mount has gone: who finds a file open there must know why.
        let grace = if why == Why::Drain { GRACE_OPEN } else { 0 };
        present.leave(now_ms().saturating_add(grace));
        state.stats.moves = state.stats.moves.saturating_add(1);
        state.stats.reason = Some(why);
        state.stats.duration = 0;
        state.generation = state.generation.saturating_add(1);
        tree.set_generation(state.generation);
        let old = (
            state.tree.replace(tree),
            mem::replace(&mut state.last, last),
        );
        drop(state);
        self.tell(&old.1, &new, why, began);
        drop(old);
        // Files in which nothing is locked any more follow.
        self.locks.stir();
        self.wake();
        Ok(())
    }

    /// Waits for something to do for the keeper.
    pub(super) fn wait_for_work(&self, stop: impl Fn() -> bool) -> Work {
        loop {
            let mut work = Work::Stop;
            let outcome = self.todo.wait_idle(self.locks.rest(), || {
                if stop() {
                    work = Work::Stop;
                    return true;
                }
                work = match self.state.lock().phase {
                    Phase::Down(since, reason) => Work::Seek(since, reason),
                    Phase::Up | Phase::Aborted if !self.parked.lock().is_empty() => Work::Resume,
                    Phase::Up if self.doomed.load(Relaxed) > 0 => Work::Bury,
                    Phase::Up if self.locks.is_due() => Work::Tend,
                    _ => return false,
                };
                true
            });
            match outcome {
                Outcome::Ready => return work,
                Outcome::TimedOut => self.locks.stir(),
            }
        }
    }

    /// Has the keeper look whether there is something to do.
    pub(super) fn wake(&self) {
        self.todo.wake_all();
    }

    /// Whether it is ended, and everything fails.
    pub(super) fn is_aborted(&self) -> bool {
        self.state.lock().phase == Phase::Aborted
    }

    /// A new number, for what needs one in this mount.
    pub(super) fn number(&self) -> u64 {
        self.next.fetch_add(1, Relaxed)
    }

    /// How many reads and writes wait for a tree.
    pub(super) fn parked(&self) -> usize {
        let mut count = self.parked.lock().len();
        self.locks
            .each(|locks| count = count.saturating_add(locks.parked()));
        count
    }

    /// The targets it was found among last.
    pub(super) fn known(&self) -> Option<Cached> {
        self.state.lock().known.clone()
    }

    /// Has the keeper try all targets again now, if it is looking for one.
    pub(super) fn hurry(&self) {
        let attempt = self.state.lock().attempt.clone();
        if let Some(attempt) = attempt {
            attempt.hurry();
        }
    }

    /// The tree, if there is one by `deadline` (milliseconds since boot); also not if an unmount begins.
    pub(super) fn tree_until(&self, deadline: u64) -> kernel::error::Result<Arc<Tree>> {
        let mut found = Err(ETIMEDOUT);
        let left = deadline.saturating_sub(now_ms());
        self.changed.wait_killable(Some(left), || {
            let state = self.state.lock();
            found = match (&state.tree, state.phase) {
                (_, Phase::Aborted) => Err(EIO),
                _ if state.closing.is_some() => Err(EIO),
                (Some(tree), Phase::Up) => Ok(tree.clone()),
                _ => return false,
            };
            true
        })?;
        found
    }

    /// Keeps a read or write until there is a tree again.
    pub(super) fn park(&self, io: KBox<Io>) {
        self.parked.lock().insert(io);
        self.todo.wake_all();
    }

    /// Sends what is parked, in order; or ends it, on an aborted mount.
    pub(super) fn resume(&self) {
        self.expire();
        let mut parked = mem::take(&mut *self.parked.lock());
        while let Some(io) = parked.pop() {
            Io::start(io);
        }
    }

    /// Sees to time limits while there is no tree, and to the end of the task that looks for one.
    fn tick(&self, attempt: &Attempt) {
        if task_killed() {
            attempt.cancel();
        }
        let state = self.state.lock();
        let late = match (state.closing, state.phase) {
            (Some(closing), Phase::Down(since, _)) => {
                now_ms() > closing.max(since).saturating_add(GRACE)
            }
            _ => false,
        };
        drop(state);
        if late {
            self.abort();
        } else {
            self.expire();
        }
    }

    /// Ends parked requests whose time is up, or all of an aborted mount.
    pub(super) fn expire(&self) {
        let aborted = self.state.lock().phase == Phase::Aborted;
        let now = now_ms();
        let fail = |mut late: Parked| {
            while let Some(io) = late.pop() {
                io.fail(if aborted {
                    Error::Kernel(EIO)
                } else {
                    Error::Timeout
                });
            }
        };
        let over = |io: &Io| aborted || io.is_late(now);
        let late = self.parked.lock().take(over);
        fail(late);
        self.locks.each(|locks| fail(locks.take_parked(over)));
    }

    /// `umount -f`: from now on everything fails at once.
    pub(crate) fn abort(&self) {
        let mut state = self.state.lock();
        state.phase = Phase::Aborted;
        let attempt = state.attempt.take();
        let tree = state.tree.take();
        drop(state);
        if let Some(attempt) = attempt {
            attempt.cancel();
        }
        if let Some(tree) = tree {
            tree.abandon();
        }
        self.abandon_left();
        self.changed.wake_all();
        self.todo.wake_all();
        self.locks.wake();
        self.expire();
    }

    /// Ends the requests that are under way on trees the mount has left, where files are open still.
    fn abandon_left(&self) {
        let _scope = NoFs::enter();
        let mut left = KVec::new();
        // Without memory those that were found so far have to do; the others end when they are answered.
        let _ = self.copy_handles(&mut left, |handle| handle.is_left());
        for tree in left.iter().filter_map(|handle| handle.tree()) {
            tree.abandon();
        }
    }

    /// An unmount begins: from now on a server that is lost must be replaced soon.
    pub(crate) fn closing(&self) {
        self.state.lock().closing = Some(now_ms());
        self.upkeep.end();
        self.changed.wake_all();
    }

    /// Ends the mount: takes leave of the server, if that goes quickly.
    pub(crate) fn unmount(&self) {
        self.upkeep.end();
        self.zombie.end();
        let keeper = self.keeper.lock().take();
        if let Some(keeper) = &keeper {
            keeper.stop();
        }
        self.bury(FAREWELL);
        let tree = self.state.lock().tree.take();
        if let Some(tree) = tree {
            tree.farewell(FAREWELL);
        }
        self.abort();
        drop(keeper);
        self.expire();
        self.seeker.world.discharge(self);
    }
}
