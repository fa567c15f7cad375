// SPDX-License-Identifier: GPL-2.0

//! Keeps cached referrals fresh: a delayed work that has those fetched that are about to expire.
//!
//! It asks the cache for what is due, which costs nothing while nothing is. What is due at one host
//! is fetched by one job on the work queue, a few jobs side by side, so that one dead server does not
//! keep the others from being asked; a host that just failed is left alone for a while.
//!
//! Lock: `Refresh::state`, above those of the cache; not held while anybody is asked.

use super::{
    counters::Counters,
    reconnect::{
        Attempt,
        Cached,
        Seeker, //
    },
    referral,
    trouble::Trouble,
    volume::Volume,
    world::{
        Account,
        World, //
    }, //
};
use crate::{
    dfs::cache::{
        Holder,
        Owner, //
    },
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
    new_mutex,
    prelude::*,
    sync::{
        atomic::{
            Acquire,
            Atomic,
            AtomicFlag,
            Relaxed,
            Release, //
        },
        Arc,
        Mutex, //
    }, //
};
use rsdfs_proto::{
    dfs::path::Path,
    failover::Cause,
    time::{
        Instant,
        Span, //
    }, //
};

/// How often it looks for referrals that are due, in milliseconds.
const PERIOD: u64 = 1000;

/// The same while there are more than it takes at once.
const HURRY: u64 = 50;

/// How many referrals it takes at once.
const BATCH: usize = 256;

/// How many hosts are asked side by side.
const JOBS: usize = 8;

/// For how long a host that failed is left alone.
const REST: Span = Span::secs(5);

/// The same for one that refused the credentials: the account must not be locked.
const LONG_REST: Span = Span::secs(30);

/// How many hosts are remembered that failed.
const RESTING: usize = 64;

/// How long a mount may take that has found a referral in the cache.
const MOUNTING: Span = Span::secs(60);

/// A job that did nothing for so long is called off.
const STUCK: Span = Span::secs(10);

/// The work; see the module.
#[pin_data]
pub(crate) struct Refresh {
    world: Arc<World>,
    timer: Timer,
    #[pin]
    state: Mutex<State>,
    stopped: AtomicFlag,
}

/// Who is asked, and who is not to be.
struct State {
    jobs: KVec<Arc<Fetch>>,
    resting: KVec<Resting>,
}

/// A host that failed.
struct Resting {
    peer: Peer,
    until: Instant,
}

/// A host, and for whom it is asked.
struct Peer {
    host: KVec<u8>,
    account: Arc<Account>,
}

impl Peer {
    fn is(&self, host: &str, account: &Account) -> bool {
        self.host.eq_ignore_ascii_case(host.as_bytes()) && self.account.same(account)
    }
}

/// A job under way.
struct Fetch {
    peer: Peer,
    attempt: Arc<Attempt>,
    /// When it last got on, in milliseconds since boot.
    progress: Atomic<u64>,
}

/// A job to be.
struct Group {
    fetch: Arc<Fetch>,
    referrals: KVec<Cached>,
}

impl Refresh {
    /// Starts it.
    pub(crate) fn start(world: &Arc<World>) -> Result<Arc<Self>> {
        let refresh = Arc::pin_init(
            try_pin_init!(Self {
                world: world.clone(),
                timer: Timer::new(world.queue())?,
                state <- new_mutex!(State {
                    jobs: KVec::new(),
                    resting: KVec::new(),
                }),
                stopped: AtomicFlag::new(false),
            }),
            GFP_KERNEL,
        )?;
        refresh.timer.arm(PERIOD, refresh.clone())?;
        Ok(refresh)
    }

    /// Stops it for good; jobs under way end soon.
    pub(crate) fn stop(&self) {
        self.stopped.store(true, Release);
        // The job may have armed itself again before it saw the flag.
        self.timer.cancel_sync();
        self.timer.cancel_sync();
        let state = self.state.lock();
        for fetch in state.jobs.iter() {
            fetch.attempt.cancel();
        }
    }

    /// Has fetched what is due; whether there may be more.
    fn look(self: &Arc<Self>) -> Result<bool> {
        let now = Instant(now_ms());
        self.call_off(now);
        let cache = &self.world.cache;
        let due = cache.take_due(now, BATCH)?;
        if due.is_empty() {
            return Ok(false);
        }
        let more = due.len() == BATCH;
        let volumes = self.world.volumes()?;
        let mut groups = KVec::new();
        for referral in due {
            match wanted_by(&volumes, &referral) {
                // Without memory for it, it is due again in a while.
                Some(account) => drop(self.sort(&mut groups, referral, account, now)),
                None => self.pass_over(&referral, now),
            }
        }
        for group in groups {
            let _ = self.begin(group);
        }
        Ok(more)
    }

    /// Nobody has anything mounted with it. Whoever used it just now may be about to; and it goes when
    /// nobody could use it any more.
    fn pass_over(&self, referral: &Cached, now: Instant) {
        if now.since(referral.used()) < MOUNTING {
            let soon = now.after(Span::ms(PERIOD));
            return self.world.cache.postpone(referral, soon);
        }
        if let Holder::Own(account) = &referral.holder {
            if !referral.entry.is_usable(now, account.stale()) {
                self.world.cache.forget(referral);
            }
        }
    }

    /// Adds a referral to the job for its host.
    fn sort(
        &self,
        groups: &mut KVec<Group>,
        referral: Cached,
        account: Arc<Account>,
        now: Instant,
    ) -> Result {
        let path = Path::parse(referral.text()).map_err(|_| EINVAL)?;
        let host = path.host();
        let same = |group: &&mut Group| group.fetch.peer.is(host, &account);
        if let Some(group) = groups.iter_mut().find(same) {
            return Ok(group.referrals.push(referral, GFP_KERNEL)?);
        }
        let mut state = self.state.lock();
        state.resting.retain(|resting| resting.until > now);
        if state.resting.iter().any(|r| r.peer.is(host, &account)) {
            return Ok(());
        }
        let busy = state.jobs.iter().any(|job| job.peer.is(host, &account));
        if busy || state.jobs.len() >= JOBS {
            drop(state);
            self.world
                .cache
                .postpone(&referral, now.after(Span::ms(PERIOD)));
            return Ok(());
        }
        let fetch = Arc::new(
            Fetch {
                peer: Peer {
                    host: bytes(host)?,
                    account,
                },
                attempt: Attempt::new()?,
                progress: Atomic::new(now.0),
            },
            GFP_KERNEL,
        )?;
        let mut referrals = KVec::new();
        referrals.push(referral, GFP_KERNEL)?;
        let group = Group {
            fetch: fetch.clone(),
            referrals,
        };
        groups.push(group, GFP_KERNEL)?;
        Ok(state.jobs.push(fetch, GFP_KERNEL)?)
    }

    /// Starts a job.
    fn begin(self: &Arc<Self>, group: Group) -> Result {
        let (refresh, fetch) = (self.clone(), group.fetch.clone());
        let started = self.world.queue().run(GFP_KERNEL, move || {
            let _scope = NoFs::enter();
            refresh.fetch(&group);
            refresh.end(&group.fetch);
        });
        if started.is_err() {
            self.end(&fetch);
        }
        started
    }

    fn end(&self, fetch: &Arc<Fetch>) {
        let mut state = self.state.lock();
        state.jobs.retain(|job| !Arc::ptr_eq(job, fetch));
    }

    /// Calls off what gets nowhere.
    fn call_off(&self, now: Instant) {
        let state = self.state.lock();
        for fetch in state.jobs.iter() {
            if now.since(Instant(fetch.progress.load(Relaxed))) > STUCK {
                fetch.attempt.cancel();
            }
        }
    }

    /// Fetches the referrals of a group one after the other.
    fn fetch(&self, group: &Group) {
        let Group { fetch, referrals } = group;
        if self.stopped.load(Acquire) {
            return;
        }
        let (peer, attempt) = (&fetch.peer, &fetch.attempt);
        let seeker = Seeker {
            world: self.world.clone(),
            account: peer.account.clone(),
            counters: Counters::new(),
        };
        let host = core::str::from_utf8(&peer.host).unwrap_or_default();
        let mut left = referrals.iter();
        let mut each = || left.try_for_each(|referral| self.fetch_one(&seeker, fetch, referral));
        let outcome = match self.world.domains.find(host, &peer.account) {
            Some(_) => each(),
            // One session for all of them.
            None => (self.world.servers).with(&seeker, host, attempt, |_| each()),
        };
        attempt.release();
        if let Err(trouble) = outcome {
            // What is wrong with the server goes for those, too, that it was not asked for.
            let counts = &self.world.cache.counts;
            let unasked = left.len() as u64;
            counts.refresh_failed.fetch_add(unasked, Relaxed);
            // A server that does not answer leaves the old ones in use.
            let _ = self.let_rest(host, &peer.account, &trouble);
        }
    }

    /// Fetches one; a failure that concerns the host and not just this referral is an error.
    fn fetch_one(
        &self,
        seeker: &Seeker,
        fetch: &Fetch,
        referral: &Cached,
    ) -> core::result::Result<(), Trouble> {
        if self.stopped.load(Acquire) || fetch.attempt.cancelled().is_set() {
            return Err(Trouble::cancelled());
        }
        let counts = &self.world.cache.counts;
        referral.try_at(Instant(now_ms()));
        let outcome = referral::refresh(seeker, referral, &fetch.attempt);
        fetch.progress.store(now_ms(), Relaxed);
        let Err(trouble) = outcome else {
            counts.refreshed.fetch_add(1, Relaxed);
            return Ok(());
        };
        counts.refresh_failed.fetch_add(1, Relaxed);
        let answered = trouble.fault.status.is_some() && trouble.fault.cause != Cause::Denied;
        match answered || trouble.fault.cause == Cause::Broken {
            true => Ok(()),
            false => Err(trouble),
        }
    }

    /// Leaves a host alone for a while.
    fn let_rest(&self, host: &str, account: &Arc<Account>, trouble: &Trouble) -> Result {
        let rest = match trouble.fault.cause {
            Cause::Denied => LONG_REST,
            _ => REST,
        };
        let resting = Resting {
            peer: Peer {
                host: bytes(host)?,
                account: account.clone(),
            },
            until: Instant(now_ms()).after(rest),
        };
        let mut state = self.state.lock();
        if state.resting.len() < RESTING {
            state.resting.push(resting, GFP_KERNEL)?;
        }
        Ok(())
    }
}

/// For whom among those that have something mounted a referral is to be fetched.
fn wanted_by(volumes: &[Arc<Volume>], referral: &Cached) -> Option<Arc<Account>> {
    let account = volumes.iter().map(|volume| volume.account());
    let account = account
        .into_iter()
        .find(|account| referral.holder.serves(account));
    match &referral.holder {
        Holder::Own(own) => account.map(|_| own.clone()),
        Holder::Import(_) => account,
    }
}

fn bytes(text: &str) -> Result<KVec<u8>> {
    let mut bytes = KVec::with_capacity(text.len(), GFP_KERNEL)?;
    bytes.extend_from_slice(text.as_bytes(), GFP_KERNEL)?;
    Ok(bytes)
}

impl Job for Refresh {
    fn run(self: Arc<Self>) {
        let _scope = NoFs::enter();
        let more = self.look().unwrap_or(false);
        if !self.stopped.load(Acquire) {
            let wait = if more { HURRY } else { PERIOD };
            let _ = self.timer.arm(wait, self.clone());
        }
    }
}
