// SPDX-License-Identifier: GPL-2.0

//! What is mounted: a share that outlives its servers.

mod end;
mod parking;
mod passage;
mod view;

use super::{
    chores::Chore,
    counters::Counters,
    handle::Handle,
    io::Parked,
    keeper,
    left::LeftBehind,
    locks,
    names::Names,
    reconnect::{
        Attempt,
        Cached,
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
        time::now_ms,
        wait::{
            Outcome,
            WaitQueue, //
        }, //
    },
    transport::conn::Reason, //
};
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
use rsdfs_proto::failover::Policy;
pub(crate) use view::{
    Stats,
    View,
    Why, //
};

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
    /// Renames under way, and what is left of operations that were cut short.
    #[pin]
    pub(super) chores: Mutex<KVec<Arc<Chore>>>,
    /// How many of the files are to be removed, now that they are closed, and how many chores are the keeper's.
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
    #[pin]
    pub(super) left: LeftBehind,
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
                chores <- new_mutex!(KVec::new()),
                doomed: Atomic::new(0),
                parked <- new_spinlock!(Parked::default()),
                locks <- locks::Registry::new(),
                keeper <- new_mutex!(None),
                upkeep <- Upkeep::new(mode),
                zombie <- Zombie::new(),
                left <- LeftBehind::new(),
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
                    Phase::Up if self.locks.is_due() => Work::Tend,
                    Phase::Up if self.has_condemned() => Work::Bury,
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
}
