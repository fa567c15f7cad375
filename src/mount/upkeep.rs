// SPDX-License-Identifier: GPL-2.0

//! Moves mounts that work to another target: back to the preferred one, away from one that the
//! administrator has taken out, or where the administrator wants it. Nothing fails by that: the new
//! target is brought up as a whole beforehand, what is under way on the old one ends there, and what
//! comes next goes to the new one.
//!
//! It also finds connections that died while nobody used them.

use super::{
    ops,
    options::Failback,
    reconnect::{
        self,
        Attempt, //
    },
    tree::{
        On,
        Tree, //
    },
    volume::{
        Volume,
        Why, //
    },
    world::World, //
};
use crate::{
    sys::{
        thread::NoFs,
        time::{
            now_ms,
            now_us, //
        },
        timer::{
            Job,
            Timer, //
        },
        wait::WaitQueue, //
    },
    transport::conn::Reason, //
};
use kernel::{
    new_spinlock,
    prelude::*,
    sync::{
        atomic::{
            Acquire,
            AtomicFlag,
            Release, //
        },
        Arc,
        SpinLock, //
    }, //
};
use rsdfs_proto::{
    dfs::path::Path,
    failover::{
        homing::{
            Homing,
            Step,
            Where, //
        },
        Policy, //
    },
    time::{
        Instant,
        Span, //
    }, //
};

/// The upkeep of one mount.
#[pin_data]
pub(super) struct Upkeep {
    #[pin]
    state: SpinLock<State>,
    /// Something that took time has ended.
    #[pin]
    idle: WaitQueue,
}

struct State {
    homing: Homing,
    /// Whether to return to the preferred target.
    mode: Failback,
    /// The generation in which the administrator moved the mount: it stays there.
    held: Option<u64>,
    /// What is being done is what the administrator wants.
    asked: bool,
    /// The target to move to, with its whole stack.
    candidate: Option<Arc<Tree>>,
    /// What is being done at the moment.
    attempt: Option<Arc<Attempt>>,
    ended: bool,
}

/// What has come of something that took time.
pub(super) enum Outcome {
    /// There is a target to move to, or not.
    Probed(Option<Arc<Tree>>),
    /// Open files have followed.
    Followed,
}

impl Upkeep {
    /// Of a mount that was given this option.
    pub(super) fn new(mode: Failback) -> impl PinInit<Self> {
        pin_init!(Self {
            state <- new_spinlock!(State {
                homing: Homing::default(),
                mode,
                held: None,
                asked: false,
                candidate: None,
                attempt: None,
                ended: false,
            }),
            idle <- WaitQueue::new(),
        })
    }

    /// Whether to return to the preferred target.
    pub(super) fn mode(&self) -> Failback {
        self.state.lock().mode
    }

    /// Changes it.
    pub(super) fn set_mode(&self, mode: Failback) {
        self.state.lock().mode = mode;
    }

    /// The administrator has moved the mount to where it is in this generation, or holds it no longer.
    pub(super) fn hold(&self, generation: Option<u64>) {
        self.state.lock().held = generation;
    }

    /// Whether the administrator has moved it to where it is in this generation.
    pub(super) fn is_held(&self, generation: u64) -> bool {
        self.state.lock().held == Some(generation)
    }

    /// Ends it: the mount is ended.
    pub(super) fn end(&self) {
        let mut state = self.state.lock();
        state.ended = true;
        let gone = (state.candidate.take(), state.attempt.take());
        drop(state);
        self.idle.wake_all();
        if let Some(attempt) = &gone.1 {
            attempt.cancel();
        }
    }

    /// Begins something that takes time, unless something is under way.
    fn begin(&self) -> Option<Arc<Attempt>> {
        let attempt = Attempt::new().ok()?;
        let mut state = self.state.lock();
        if state.ended || state.attempt.is_some() {
            return None;
        }
        state.attempt = Some(attempt.clone());
        Some(attempt)
    }

    /// Ends what was begun, with what has come of it.
    pub(super) fn finish(&self, outcome: Outcome) {
        let mut state = self.state.lock();
        let attempt = state.attempt.take();
        let gone = match outcome {
            Outcome::Followed => None,
            Outcome::Probed(candidate) => {
                state.homing.probed(Instant(now_ms()), candidate.is_some());
                match state.ended {
                    true => candidate,
                    false => core::mem::replace(&mut state.candidate, candidate),
                }
            }
        };
        state.asked = false;
        drop(state);
        self.idle.wake_all();
        drop((gone, attempt));
    }

    /// Begins something for the administrator; what is done in the background is called off for it.
    ///
    /// Fails with `EBUSY` if the administrator is served already, and if the mount is ended.
    pub(super) fn seize(&self) -> Result<Arc<Attempt>> {
        let attempt = Attempt::new()?;
        let mut seized = Err(EBUSY);
        self.idle.wait_killable(None, || {
            let mut state = self.state.lock();
            if state.ended || state.asked {
                return true;
            }
            let under_way = match &state.attempt {
                Some(under_way) => under_way.clone(),
                None => {
                    state.attempt = Some(attempt.clone());
                    state.asked = true;
                    seized = Ok(attempt.clone());
                    return true;
                }
            };
            drop(state);
            under_way.cancel();
            false
        })?;
        seized
    }
}

/// How often mounts are looked after, in milliseconds.
const PERIOD: u64 = 1000;

/// Looks after all mounts, again and again.
pub(crate) struct Rounds {
    world: Arc<World>,
    timer: Timer,
    stopped: AtomicFlag,
}

impl Rounds {
    /// Starts.
    pub(crate) fn start(world: &Arc<World>) -> Result<Arc<Self>> {
        let rounds = Self {
            world: world.clone(),
            timer: Timer::new(world.queue())?,
            stopped: AtomicFlag::new(false),
        };
        let rounds = Arc::new(rounds, GFP_KERNEL)?;
        rounds.timer.arm(PERIOD, rounds.clone())?;
        Ok(rounds)
    }

    /// Stops for good.
    pub(crate) fn stop(&self) {
        self.stopped.store(true, Release);
        // The job may have armed itself again before it saw the flag.
        self.timer.cancel_sync();
        self.timer.cancel_sync();
    }
}

impl Job for Rounds {
    fn run(self: Arc<Self>) {
        let _scope = NoFs::enter();
        for volume in self.world.volumes().into_iter().flatten() {
            volume.look_after();
        }
        if !self.stopped.load(Acquire) {
            let _ = self.timer.arm(PERIOD, self.clone());
        }
    }
}

impl Volume {
    /// Looks after the mount; called about once a second. Does not wait.
    pub(super) fn look_after(self: &Arc<Self>) {
        let view = self.view();
        let Some(tree) = view.tree.filter(|_| view.up) else {
            return;
        };
        if tree.dead().is_some() {
            return self.lost(&tree, Reason::Gone);
        }
        let place = self.place(&tree);
        let after = Span::ms(self.options().failback_after_ms());
        let quiet = match self.failback() {
            Failback::Idle => self.is_idle(),
            _ => true,
        };
        let mut state = self.upkeep.state.lock();
        if state.ended || state.attempt.is_some() {
            return;
        }
        let stands = (state.candidate.as_ref()).is_some_and(|tree| tree.dead().is_none());
        let now = Instant(now_ms());
        let step = state.homing.step(now, place, stands, quiet, after);
        let gone = match step {
            Step::Drop => state.candidate.take(),
            _ => None,
        };
        drop(state);
        drop(gone);
        match step {
            Step::Rest | Step::Drop if self.is_to_follow() => self.spawn(|volume, _| {
                volume.follow();
                Outcome::Followed
            }),
            Step::Rest | Step::Drop => {}
            Step::Probe => self.spawn(move |volume, attempt| volume.probe(place, &tree, attempt)),
            Step::Move => self.spawn(move |volume, attempt| volume.go(place, &tree, attempt)),
        }
    }

    /// Where the mount is, by the referrals in the cache.
    fn place(&self, tree: &Tree) -> Where {
        let (Ok(path), Ok(present)) = (
            Path::parse(self.path()),
            Path::parse(core::str::from_utf8(tree.path()).unwrap_or_default()),
        ) else {
            return Where::Home;
        };
        let outlook = reconnect::outlook(&self.seeker, &path, &present);
        let wanted = match self.failback() {
            Failback::Never => false,
            Failback::Auto => outlook.failback,
            Failback::Idle | Failback::Always => true,
        };
        match outlook {
            _ if !outlook.known => Where::Home,
            _ if !outlook.listed => Where::Delisted,
            _ if self.upkeep.is_held(tree.generation()) => Where::Home,
            _ if !outlook.first && wanted => Where::Away,
            _ => Where::Home,
        }
    }

    /// The mount has moved: it, and others, begin here the next time.
    pub(super) fn prefer_here(&self) {
        let Some(tree) = self.view().tree else {
            return;
        };
        let present = core::str::from_utf8(tree.path()).unwrap_or_default();
        if let (Ok(path), Ok(present)) = (Path::parse(self.path()), Path::parse(present)) {
            reconnect::outlook(&self.seeker, &path, &present).prefer();
        }
    }

    /// Runs what takes time on the work queue, one at a time.
    fn spawn(
        self: &Arc<Self>,
        body: impl FnOnce(&Arc<Volume>, &Arc<Attempt>) -> Outcome + Send + 'static,
    ) {
        let Some(attempt) = self.upkeep.begin() else {
            return;
        };
        let volume = self.clone();
        let work = move || {
            let _scope = NoFs::enter();
            let outcome = body(&volume, &attempt);
            volume.upkeep.finish(outcome);
        };
        if self.seeker.world.queue().run(GFP_KERNEL, work).is_err() {
            self.upkeep.finish(Outcome::Probed(None));
        }
    }

    /// Brings up the target to move to.
    fn probe(&self, place: Where, present: &Tree, attempt: &Arc<Attempt>) -> Outcome {
        let Ok(path) = Path::parse(self.path()) else {
            return Outcome::Probed(None);
        };
        let found = match place {
            Where::Delisted => reconnect::race(&self.seeker, &path, Policy::MOUNT, attempt),
            _ => reconnect::follow(&self.seeker, &path, 0, None, attempt),
        };
        let found = found.ok().filter(|tree| tree.path() != present.path());
        Outcome::Probed(found)
    }

    /// Moves to the candidate, if that still works.
    fn go(&self, place: Where, present: &Arc<Tree>, attempt: &Attempt) -> Outcome {
        let Some(candidate) = self.upkeep.state.lock().candidate.take() else {
            return Outcome::Probed(None);
        };
        let why = match place {
            Where::Delisted => Why::Drain,
            _ => Why::Failback,
        };
        let began = now_us();
        if ops::check_directory(&On::new(&candidate, attempt.patience())).is_ok() {
            if self.switch(present, candidate, why, began).is_ok() {
                self.prefer_here();
            }
        }
        Outcome::Probed(None)
    }
}
