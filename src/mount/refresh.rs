// SPDX-License-Identifier: GPL-2.0

//! Keeps cached referrals fresh: a delayed work that fetches those that are about to expire.

use super::{
    reconnect::{
        Attempt,
        Seeker, //
    },
    referral,
    world::World, //
};
use crate::{
    dfs::cache::Owner,
    sys::{
        thread::NoFs,
        time::now_ms,
        timer::{
            Job,
            Timer, //
        }, //
    }, //
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
use rsdfs_proto::time::{
    Instant,
    Span, //
};

/// How often it looks for referrals that are due, in milliseconds.
const PERIOD: u64 = 1000;

/// The work; see the module.
#[pin_data]
pub(crate) struct Refresh {
    world: Arc<World>,
    timer: Timer,
    /// The fetch under way.
    #[pin]
    attempt: SpinLock<Option<Arc<Attempt>>>,
    stopped: AtomicFlag,
}

impl Refresh {
    /// Starts it.
    pub(crate) fn start(world: &Arc<World>) -> Result<Arc<Self>> {
        let refresh = Arc::pin_init(
            try_pin_init!(Self {
                world: world.clone(),
                timer: Timer::new(world.queue())?,
                attempt <- new_spinlock!(None),
                stopped: AtomicFlag::new(false),
            }),
            GFP_KERNEL,
        )?;
        refresh.timer.arm(PERIOD, refresh.clone())?;
        Ok(refresh)
    }

    /// Stops it for good.
    pub(crate) fn stop(&self) {
        self.stopped.store(true, Release);
        let attempt = self.attempt.lock().take();
        if let Some(attempt) = attempt {
            attempt.cancel();
        }
        // The job may have armed itself again before it saw the flag.
        self.timer.cancel_sync();
        self.timer.cancel_sync();
    }

    /// Fetches what is due, one after the other. Only referrals of mounts that exist.
    fn look(&self) -> Result {
        let now = Instant(now_ms());
        let volumes = self.world.volumes()?;
        for referral in self.world.cache.all()? {
            let early = Span::ms(referral.entry.ttl().0 / 8);
            let due = referral.entry.expires() <= now.after(early);
            let wanted = volumes
                .iter()
                .any(|volume| volume.account().same(&referral.owner));
            if !due || !wanted || !referral.may_refresh(now) {
                continue;
            }
            let seeker = Seeker {
                world: self.world.clone(),
                account: referral.owner.clone(),
            };
            let attempt = Attempt::new()?;
            *self.attempt.lock() = Some(attempt.clone());
            if self.stopped.load(Acquire) {
                return Ok(());
            }
            // A server that does not answer leaves the old one in use.
            let _ = referral::refresh(&seeker, &referral, &attempt);
            let done = self.attempt.lock().take();
            drop(done);
        }
        Ok(())
    }
}

impl Job for Refresh {
    fn run(self: Arc<Self>) {
        let _scope = NoFs::enter();
        let _ = self.look();
        if !self.stopped.load(Acquire) {
            let _ = self.timer.arm(PERIOD, self.clone());
        }
    }
}
