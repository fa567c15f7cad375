// SPDX-License-Identifier: GPL-2.0

//! What an administrator may see of a mount and do to it while it works.

use super::{
    counters::Counters,
    ops,
    options::Failback,
    reconnect::{
        self,
        Attempt,
        Cached,
        Course, //
    },
    tree::On,
    upkeep::Outcome,
    volume::{
        Volume,
        Why, //
    },
    Error,
    Handle, //
};
use crate::{
    sys::{
        errno,
        thread::{
            NoFs,
            Thread, //
        },
        time::{
            now_ms,
            now_us, //
        },
        wait::Event, //
    },
    transport::conn::Reason, //
};
use kernel::{
    new_spinlock,
    prelude::*,
    sync::{
        Arc,
        SpinLock, //
    }, //
};
use rsdfs_proto::dfs::path::{
    Path,
    MAX_LEN, //
};

/// How long the administrator waits for a mount to be restored, in milliseconds.
const RESTORE: u64 = 5000;

/// Where a mount is, compared with what its referrals say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Standing {
    /// It has no target.
    Down,
    /// There is no referral: an ordinary share.
    Alone,
    /// On the preferred target.
    Home,
    /// On another one.
    Away,
    /// On one that is not listed any more.
    Delisted,
}

impl Standing {
    /// A word for the views.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Standing::Down => "down",
            Standing::Alone => "alone",
            Standing::Home => "home",
            Standing::Away => "away",
            Standing::Delisted => "delisted",
        }
    }
}

/// What is open and what waits, of a mount.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Load {
    /// Open files.
    pub(crate) open: usize,
    /// Those of them that are not open on the present target yet.
    pub(crate) stale: usize,
    /// Those of them of which a lease is held.
    pub(crate) leased: usize,
    /// Those of them that their server keeps open when the connection is lost.
    pub(crate) durable: usize,
    /// Reads and writes that wait for a target.
    pub(crate) parked: usize,
}

impl Volume {
    /// What is counted.
    pub(crate) fn counters(&self) -> &Counters {
        &self.seeker.counters
    }

    /// Where it is; and the index of its target in the referral, if that is known.
    pub(crate) fn standing(&self) -> (Standing, Option<usize>) {
        let view = self.view();
        let Some(tree) = view.tree.filter(|_| view.up) else {
            return (Standing::Down, None);
        };
        let present = core::str::from_utf8(tree.path()).unwrap_or_default();
        let (Ok(path), Ok(present)) = (Path::parse(self.path()), Path::parse(present)) else {
            return (Standing::Alone, None);
        };
        let outlook = reconnect::outlook(&self.seeker, &path, &present);
        let standing = match outlook {
            _ if !outlook.known => Standing::Alone,
            _ if !outlook.listed => Standing::Delisted,
            _ if outlook.first => Standing::Home,
            _ => Standing::Away,
        };
        (standing, outlook.index())
    }

    /// What is open and what waits.
    pub(crate) fn load(&self) -> Load {
        let generation = self.generation();
        let mut load = Load::default();
        self.each_handle(|handle| {
            load.open = load.open.saturating_add(1);
            if !handle.is_open_in(generation) {
                load.stale = load.stale.saturating_add(1);
            }
            let (lease, durable) = handle.granted();
            load.leased = load.leased.saturating_add(usize::from(lease != 0));
            load.durable = load.durable.saturating_add(usize::from(durable));
        });
        load.parked = self.parked();
        load
    }

    /// Moves the mount to the target with this index in its referral, with the whole stack.
    ///
    /// Fails with `ENOENT` if there is no such target, with `EAGAIN` if the mount has no target at the
    /// moment, with `EBUSY` if it is being moved, and with why the target could not be reached. Then
    /// nothing has changed.
    pub(crate) fn move_to_index(self: &Arc<Self>, index: usize) -> Result {
        let referral = self.referral()?;
        referral.entry.target(index).ok_or(ENOENT)?;
        self.move_to(Some(index))
    }

    /// As [`Self::move_to_index`], to the target with this path: as the referral says it, or with what
    /// is mounted below it. Fails with `EINVAL` if it is not a path.
    pub(crate) fn move_to_path(self: &Arc<Self>, text: &str) -> Result {
        let wanted = Path::parse(text).map_err(|_| EINVAL)?;
        let path = Path::parse(self.path()).map_err(|_| EINVAL)?;
        let referral = self.referral()?;
        let mut buffer = KBox::new([0; MAX_LEN], GFP_KERNEL)?;
        let mut name = KVec::from_elem(0u8, MAX_LEN, GFP_KERNEL)?;
        for target in referral.entry.targets(usize::MAX) {
            let bare = target.path.utf8(&mut name).ok().map(Path::parse);
            let full = reconnect::rebase(&referral, target.index, &path, &mut buffer);
            let is_it = matches!(bare, Some(Ok(bare)) if bare == wanted)
                || matches!(full, Ok(Some(full)) if full == wanted);
            if is_it {
                return self.move_to(Some(target.index));
            }
        }
        Err(ENOENT)
    }

    /// Returns to the preferred target now. Fails as [`Self::move_to_index`] does.
    pub(crate) fn return_home(self: &Arc<Self>) -> Result {
        self.upkeep.hold(None);
        self.referral()?;
        self.move_to(None)
    }

    /// Whether the mount returns to the preferred target of itself.
    pub(crate) fn failback(&self) -> Failback {
        self.upkeep.mode()
    }

    /// Changes that, for this mount; one that was moved by the administrator is held no longer.
    pub(crate) fn set_failback(&self, mode: Failback) {
        self.upkeep.hold(None);
        self.upkeep.set_mode(mode);
    }

    /// Whether the administrator has moved it to where it is, so that it stays there.
    pub(crate) fn is_held(&self) -> bool {
        self.upkeep.is_held(self.generation())
    }

    /// Has a mount without a target look for one now, however long it was going to wait, and opens
    /// all files that are not open on its target. What is parked is sent as soon as there is one.
    ///
    /// Fails with `ETIMEDOUT` if there is no target within five seconds, and goes on looking.
    pub(crate) fn restore(&self) -> Result {
        let _scope = NoFs::enter();
        let deadline = now_ms().saturating_add(RESTORE);
        let mut stale = KVec::new();
        self.hurry();
        let mut tree = self.tree_until(deadline)?;
        if let Err(Error::Lost) = ops::check_directory(&On::new(&tree, Some(deadline))) {
            self.lost(&tree, Reason::Gone);
            tree = self.tree_until(deadline)?;
        }
        let generation = tree.generation();
        self.copy_handles(&mut stale, |handle| {
            !handle.is_open_in(generation) && !handle.is_anchored()
        })?;
        self.locks.stir();
        self.wake();
        for handle in stale {
            self.redrive(&handle, deadline)?;
        }
        Ok(())
    }

    /// Opens a file on the present target. What is wrong with the file, its user learns.
    fn redrive(&self, handle: &Arc<Handle>, deadline: u64) -> Result {
        handle.forgive();
        loop {
            let tree = self.tree_until(deadline)?;
            match self.seat(&On::new(&tree, Some(deadline)), handle) {
                Err(Error::Lost) => self.lost(&tree, Reason::Gone),
                Err(error @ (Error::Timeout | Error::Interrupted)) => return Err(error.into()),
                _ => return Ok(()),
            }
        }
    }

    /// The referral that leads to it; `ENOENT` if there is none.
    fn referral(&self) -> Result<Cached> {
        let path = Path::parse(self.path()).map_err(|_| EINVAL)?;
        match reconnect::course(&self.seeker, &path) {
            Course::Targets(referral) => Ok(referral),
            _ => self.known().ok_or(ENOENT),
        }
    }

    /// Moves it to target `index` of its referral, or to the preferred one.
    ///
    /// In a thread of its own: bringing up a whole stack takes more of the kernel's stack than a
    /// system call has left.
    fn move_to(self: &Arc<Self>, index: Option<usize>) -> Result {
        let errand = Arc::pin_init(
            pin_init!(Errand {
                over <- Event::new(),
                moved <- new_spinlock!(Err(errno::ECANCELED)),
            }),
            GFP_KERNEL,
        )?;
        let attempt = self.upkeep.seize()?;
        let (volume, theirs, during) = (self.clone(), errand.clone(), attempt.clone());
        let began = now_us();
        let thread = Thread::spawn(c"rsdfs-move", move |_| {
            let _scope = NoFs::enter();
            let moved = volume.bring_to(index, &during, began);
            volume.upkeep.finish(Outcome::Probed(None));
            *theirs.moved.lock() = moved;
            theirs.over.set();
        });
        match thread {
            Ok(thread) => {
                if errand.over.wait_killable(None).is_err() {
                    attempt.cancel();
                }
                thread.join();
            }
            Err(error) => {
                self.upkeep.finish(Outcome::Probed(None));
                return Err(error);
            }
        }
        let moved = *errand.moved.lock();
        moved
    }

    /// Brings up target `index`, or the preferred one, and goes there.
    fn bring_to(&self, index: Option<usize>, attempt: &Arc<Attempt>, began: u64) -> Result {
        let tree = (self.view().tree).ok_or(EAGAIN)?;
        let path = Path::parse(self.path()).map_err(|_| EINVAL)?;
        let found = reconnect::follow(&self.seeker, &path, 0, index, attempt)
            .map_err(|trouble| trouble.errno)?;
        if found.path() != tree.path() {
            self.switch(&tree, found, Why::Asked, began)?;
        }
        self.prefer_here();
        if index.is_some() {
            self.upkeep.hold(Some(self.generation()));
        }
        Ok(())
    }
}

/// What has come of a move.
#[pin_data]
struct Errand {
    #[pin]
    over: Event,
    #[pin]
    moved: SpinLock<Result>,
}
