// SPDX-License-Identifier: GPL-2.0

//! From a path to a share that works: which targets there are, and a race between them.
//!
//! The decisions are those of [`rsdfs_proto::failover::Failover`]; here are the threads. Each
//! contender is a thread that brings up a whole stack, for a target that is a link again by a race
//! of its own. A contender that has lost is called off and left to end by itself: nobody waits for
//! it.

use super::{
    counters::Counters,
    referral,
    session,
    tree::Tree,
    trouble::Trouble,
    world::{
        Account,
        World, //
    }, //
};
use crate::{
    dfs::{
        cache::{
            Answer,
            Referral, //
        },
        domains::Domain, //
    },
    sys::{
        crypto,
        errno,
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
            TargetProbe, //
        },
        wait::{
            Event,
            WaitQueue, //
        }, //
    },
    transport::{
        conn::Reason,
        Conn, //
    }, //
};
use core::mem;
use kernel::{
    new_spinlock,
    prelude::*,
    sync::{
        atomic::{
            Atomic,
            AtomicFlag,
            Relaxed, //
        },
        Arc,
        SpinLock, //
    }, //
};
use rsdfs_proto::{
    dfs::path::{
        Path,
        MAX_LEN, //
    },
    failover::{
        self,
        Action,
        Failover,
        Health,
        Lost,
        Policy,
        Slot, //
    },
    time::Instant, //
};

/// Links that are followed one after the other at most; more is a loop.
const MAX_DEPTH: u32 = 8;

/// How long a server may take for each answer while a stack is brought up, in milliseconds.
const PATIENCE: u64 = 5000;

/// The last [`Attempt::tag`].
static TAG: Atomic<u64> = Atomic::new(0);

/// Targets of nested links that are looked at in [`outlook`] at most.
const MAX_OUTLOOK: usize = 256;

/// A cached referral of this module's accounts.
pub(crate) type Cached = Arc<Referral<Account>>;

/// A domain known to this module's accounts.
pub(crate) type Controllers = Domain<Account>;

/// Who looks for a share, and with what.
pub(crate) struct Seeker {
    pub(crate) world: Arc<World>,
    pub(crate) account: Arc<Account>,
    /// What it comes to is counted here.
    pub(crate) counters: Counters,
}

/// An attempt under way, which can be called off from any thread.
#[pin_data]
pub(crate) struct Attempt {
    #[pin]
    cancelled: Event,
    #[pin]
    doing: SpinLock<Doing>,
    /// Steps done: connected, negotiated, logged on, ...
    steps: Atomic<u32>,
    /// Its race shall wait no longer before it tries targets again.
    hurried: AtomicFlag,
    /// Tells its requests from others on the same connection.
    tag: u64,
}

/// What an attempt is busy with, to be ended when it is called off.
enum Doing {
    Nothing,
    /// A connection of its own.
    Conn(Arc<Conn>),
    /// A connection that others may use too.
    Shared(Arc<Conn>),
    Race(Arc<News>),
}

impl Attempt {
    /// An attempt that has not begun.
    pub(crate) fn new() -> Result<Arc<Self>> {
        Arc::pin_init(
            pin_init!(Self {
                cancelled <- Event::new(),
                doing <- new_spinlock!(Doing::Nothing),
                steps: Atomic::new(0),
                hurried: AtomicFlag::new(false),
                tag: TAG.fetch_add(1, Relaxed).saturating_add(1),
            }),
            GFP_KERNEL,
        )
    }

    /// For its requests ([`Context::tag`](crate::transport::Context::tag)).
    pub(crate) fn tag(&self) -> u64 {
        self.tag
    }

    /// Until when a request that is made now may be answered, in milliseconds since boot.
    pub(crate) fn patience(&self) -> Option<u64> {
        Some(now_ms().saturating_add(PATIENCE))
    }

    /// Calls it off: whatever it waits for ends now.
    pub(crate) fn cancel(&self) {
        self.cancelled.set();
        // Not under the lock: the last user of a connection waits for its thread.
        let doing = mem::replace(&mut *self.doing.lock(), Doing::Nothing);
        match doing {
            Doing::Nothing => {}
            Doing::Conn(conn) => conn.kill(Reason::Closed),
            Doing::Shared(conn) => conn.abandon(self.tag),
            Doing::Race(news) => news.queue.wake_all(),
        }
    }

    /// Has its race try all targets again now, however long they were to be left alone.
    pub(crate) fn hurry(&self) {
        self.hurried.store(true, Relaxed);
        let race = match &*self.doing.lock() {
            Doing::Race(news) => Some(news.clone()),
            _ => None,
        };
        if let Some(news) = race {
            news.tell();
        }
    }

    /// For waits that shall end when it is called off.
    pub(crate) fn cancelled(&self) -> &Event {
        &self.cancelled
    }

    /// Notes a step done.
    pub(crate) fn step(&self) {
        self.steps.fetch_add(1, Relaxed);
    }

    /// Notes the connection that is waited for, which others may use too.
    pub(crate) fn borrow(&self, conn: &Arc<Conn>) {
        self.set(Doing::Shared(conn.clone()));
    }

    /// Notes the connection that is waited for, its own.
    pub(crate) fn hold(&self, conn: &Arc<Conn>) {
        self.set(Doing::Conn(conn.clone()));
    }

    /// Notes that nothing is waited for any more; what was made is the caller's.
    pub(crate) fn release(&self) {
        self.set(Doing::Nothing);
    }

    fn set(&self, doing: Doing) {
        let old = mem::replace(&mut *self.doing.lock(), doing);
        drop(old);
        if self.cancelled.is_set() {
            self.cancel();
        }
    }
}

/// Wakes a race up.
#[pin_data]
struct News {
    #[pin]
    queue: WaitQueue,
    count: Atomic<u32>,
}

impl News {
    fn tell(&self) {
        self.count.fetch_add(1, Relaxed);
        self.queue.wake_all();
    }
}

/// A contender: one thread and what has come of it.
struct Runner {
    attempt: failover::Attempt,
    steps: u32,
    shared: Arc<Contender>,
    thread: Option<Thread>,
}

/// What a contender and the race share.
#[pin_data]
struct Contender {
    work: Arc<Attempt>,
    #[pin]
    outcome: SpinLock<Option<core::result::Result<Arc<Tree>, Trouble>>>,
}

/// What a race is between.
#[derive(Clone)]
pub(crate) enum Course {
    /// The targets of a referral.
    Targets(Cached),
    /// The controllers of the domain that the path is in.
    Domain(Arc<Controllers>),
    /// The path's own host only.
    Itself,
}

/// How the tree before was lost, and its path.
pub(crate) struct Loss<'a> {
    pub(crate) how: Lost,
    pub(crate) target: &'a [u8],
}

/// Finds a way to `path`: the longest cached referral, fresh or stale, or its own host.
pub(crate) fn course(seeker: &Seeker, path: &Path<'_>) -> Course {
    if seeker.account.options.nodfs() {
        return Course::Itself;
    }
    let cache = &seeker.world.cache;
    match cache.find(path, &seeker.account, Instant(now_ms())) {
        Answer::Fresh(found) | Answer::Stale(found) => Course::Targets(found),
        Answer::Miss => Course::Itself,
    }
}

/// Where a mount could be, by the referrals in the cache.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Outlook {
    /// There is a referral for it.
    pub(crate) known: bool,
    /// Its present place is among the targets.
    pub(crate) listed: bool,
    /// Its present place is the first one.
    pub(crate) first: bool,
    /// The target of the first referral that leads to its present place.
    pub(crate) index: Option<usize>,
    /// A referral asks for returning to the first target (MS-DFSC 2.2.4, TargetFailback).
    pub(crate) failback: bool,
    /// How many targets were looked at.
    seen: usize,
}

/// Compares `present`, where `path` is served from, with what the referrals say. Does no I/O.
pub(crate) fn outlook(seeker: &Seeker, path: &Path<'_>, present: &Path<'_>) -> Outlook {
    let mut outlook = Outlook::default();
    match expand(seeker, path, present, (0, true), &mut outlook) {
        Ok(()) => outlook,
        // Without memory nothing can be said.
        Err(_) => Outlook::default(),
    }
}

/// Adds all places that `path`, `at.0` links deep, leads to; `at.1`: it came by first targets only.
#[inline(never)]
fn expand(
    seeker: &Seeker,
    path: &Path<'_>,
    present: &Path<'_>,
    at: (u32, bool),
    outlook: &mut Outlook,
) -> core::result::Result<(), Trouble> {
    let (depth, first) = at;
    let place = |path: &Path<'_>, outlook: &mut Outlook| {
        if path == present {
            outlook.listed = true;
            outlook.first |= first;
        }
    };
    let Course::Targets(referral) = course(seeker, path) else {
        place(path, outlook);
        return Ok(());
    };
    outlook.known |= depth == 0;
    outlook.failback |= referral.entry.wants_failback();
    let mut buffer = KBox::new([0; MAX_LEN], GFP_KERNEL)?;
    for (rank, target) in referral.entry.targets(usize::MAX).enumerate() {
        outlook.seen = outlook.seen.saturating_add(1);
        if outlook.seen > MAX_OUTLOOK || depth > MAX_DEPTH {
            return Ok(());
        }
        match rebase(&referral, target.index, path, &mut buffer) {
            Ok(Some(target)) => {
                let at = (depth.saturating_add(1), first && rank == 0);
                expand(seeker, &target, present, at, outlook)?;
            }
            Ok(None) => place(path, outlook),
            Err(_) => {}
        }
        if depth == 0 && outlook.listed && outlook.index.is_none() {
            outlook.index = Some(target.index);
        }
    }
    Ok(())
}

/// Reaches `path` by whatever target stands first.
#[inline(never)]
pub(crate) fn race(
    seeker: &Arc<Seeker>,
    path: &Path<'_>,
    policy: Policy,
    attempt: &Arc<Attempt>,
) -> core::result::Result<Arc<Tree>, Trouble> {
    let course = course(seeker, path);
    Race::new(seeker, path, 0, course, attempt)?.run(policy, None, &mut || {})
}

/// Reaches `path` by the first target of each referral on the way and no other, but for the first
/// referral by target `pick` if there is one.
#[inline(never)]
pub(crate) fn follow(
    seeker: &Arc<Seeker>,
    path: &Path<'_>,
    depth: u32,
    pick: Option<usize>,
    attempt: &Arc<Attempt>,
) -> core::result::Result<Arc<Tree>, Trouble> {
    if depth > MAX_DEPTH {
        return Err(circle());
    }
    let referral = match course(seeker, path) {
        Course::Targets(referral) => referral,
        _ => match session::stand_up(seeker, path.host(), path, attempt)? {
            session::Place::Here(tree) => return Ok(tree),
            session::Place::Elsewhere(referral) => referral,
            _ => return direct(seeker, path, depth, attempt),
        },
    };
    let first = || referral.entry.targets(usize::MAX).next().map(|t| t.index);
    let index = pick.or_else(first).unwrap_or(0);
    let mut buffer = KBox::new([0; MAX_LEN], GFP_KERNEL)?;
    let target = rebase(&referral, index, path, &mut buffer)?;
    let mut text = KVec::new();
    copy_path(&mut text, target.as_ref().unwrap_or(path))?;
    let tree = probed(seeker, &text, || match &target {
        None => direct(seeker, path, depth, attempt),
        Some(target) => follow(seeker, target, depth.saturating_add(1), None, attempt),
    })?;
    referral.set_hint(index);
    Ok(tree)
}

/// Tries the target `path` with its whole stack; counts it and says what came of it.
fn probed(
    seeker: &Seeker,
    path: &[u8],
    work: impl FnOnce() -> core::result::Result<Arc<Tree>, Trouble>,
) -> core::result::Result<Arc<Tree>, Trouble> {
    let began = now_us();
    let outcome = work();
    let error = outcome.as_ref().err().map(|trouble| trouble.errno);
    seeker.counters.probes.add();
    if error.is_some_and(|error| error != errno::ECANCELED) {
        seeker.counters.probes_failed.add();
    }
    TargetProbe::emit(|| {
        Some(TargetProbe {
            target: path,
            error: error.map_or(0, |error| error.to_errno()),
            us: now_us().saturating_sub(began),
        })
    });
    outcome
}

/// The path that target `index` of `referral` makes of `path`; `None` if it is the same.
#[inline(never)]
pub(super) fn rebase<'b>(
    referral: &Cached,
    index: usize,
    path: &Path<'_>,
    buffer: &'b mut [u8; MAX_LEN],
) -> core::result::Result<Option<Path<'b>>, Trouble> {
    let bad = || Trouble::new(EINVAL, "the referral names a target that is not a path");
    let target = referral.entry.target(index).ok_or_else(bad)?;
    let mut text = KVec::from_elem(0u8, MAX_LEN, GFP_KERNEL)?;
    let text = target.path.utf8(&mut text).map_err(|_| bad())?;
    let target = Path::parse(text).map_err(|_| bad())?;
    let path = path
        .rebase(referral.entry.depth(), &target, buffer)
        .map(|rebased| Some(rebased).filter(|rebased| rebased != path));
    path.map_err(|_| bad())
}

/// Reaches `path`, which came from `depth` links before.
fn reach(
    seeker: &Arc<Seeker>,
    path: &Path<'_>,
    depth: u32,
    attempt: &Arc<Attempt>,
) -> core::result::Result<Arc<Tree>, Trouble> {
    match course(seeker, path) {
        Course::Itself => direct(seeker, path, depth, attempt),
        _ if depth > MAX_DEPTH => Err(circle()),
        course => {
            Race::new(seeker, path, depth, course, attempt)?.run(Policy::MOUNT, None, &mut || {})
        }
    }
}

/// Reaches `path` on its own host or a controller of its domain, unless that says it is elsewhere.
#[inline(never)]
fn direct(
    seeker: &Arc<Seeker>,
    path: &Path<'_>,
    depth: u32,
    attempt: &Arc<Attempt>,
) -> core::result::Result<Arc<Tree>, Trouble> {
    let domain = seeker.world.domains.find(path.host(), &seeker.account);
    if let Some(domain) = domain.filter(|_| !seeker.account.options.nodfs()) {
        let race = Race::new(seeker, path, depth, Course::Domain(domain), attempt)?;
        match race.run(Policy::MOUNT, None, &mut || {}) {
            // Its controllers may have other names by now.
            Err(trouble) if trouble.is_silence() && !attempt.cancelled().is_set() => {}
            result => return result,
        }
    }
    at(seeker, path.host(), path, depth, attempt)
}

/// Reaches `path` on `host`, unless that says it is elsewhere.
#[inline(never)]
fn at(
    seeker: &Arc<Seeker>,
    host: &str,
    path: &Path<'_>,
    depth: u32,
    attempt: &Arc<Attempt>,
) -> core::result::Result<Arc<Tree>, Trouble> {
    if depth > MAX_DEPTH {
        return Err(circle());
    }
    let course = match session::stand_up(seeker, host, path, attempt)? {
        session::Place::Here(tree) => return Ok(tree),
        session::Place::Elsewhere(referral) => Course::Targets(referral),
        session::Place::Domain(domain) => Course::Domain(domain),
        session::Place::Alias(host) => {
            let text = moved(core::str::from_utf8(&host).unwrap_or_default(), path)?;
            let text = core::str::from_utf8(&text).unwrap_or_default();
            let path = Path::parse(text).map_err(|_| Trouble::from(EINVAL))?;
            return reach(seeker, &path, depth.saturating_add(1), attempt);
        }
    };
    Race::new(seeker, path, depth, course, attempt)?.run(Policy::MOUNT, None, &mut || {})
}

/// Too many links.
fn circle() -> Trouble {
    Trouble::new(errno::ELOOP, "the DFS links run in a circle")
}

/// A race for one path.
pub(crate) struct Race<'a> {
    seeker: &'a Arc<Seeker>,
    path: &'a Path<'a>,
    depth: u32,
    course: Course,
    attempt: &'a Arc<Attempt>,
    news: Arc<News>,
    runners: KVec<Runner>,
    refetch: Option<Runner>,
    worst: Option<Trouble>,
}

impl<'a> Race<'a> {
    /// A race that can be called off through `attempt`.
    pub(crate) fn new(
        seeker: &'a Arc<Seeker>,
        path: &'a Path<'a>,
        depth: u32,
        course: Course,
        attempt: &'a Arc<Attempt>,
    ) -> core::result::Result<Self, Trouble> {
        let news = Arc::pin_init(
            pin_init!(News {
                queue <- WaitQueue::new(),
                count: Atomic::new(0),
            }),
            GFP_KERNEL,
        )?;
        Ok(Self {
            seeker,
            path,
            depth,
            course,
            attempt,
            news,
            runners: KVec::new(),
            refetch: None,
            worst: None,
        })
    }

    /// Runs the race to its end; `tick` is called at least every quarter of a second.
    pub(crate) fn run(
        mut self,
        policy: Policy,
        loss: Option<Loss<'_>>,
        tick: &mut dyn FnMut(),
    ) -> core::result::Result<Arc<Tree>, Trouble> {
        self.attempt.set(Doing::Race(self.news.clone()));
        let mut seed = [0; 8];
        crypto::random(&mut seed);
        let policy = policy.with_seed(u64::from_le_bytes(seed));
        let hint = self.hint();
        let how = match &loss {
            Some(loss) if self.is_target(hint, loss.target) => loss.how,
            _ => Lost::Start,
        };
        let now = Instant(now_ms());
        let mut machine = Failover::new(self.slots()?, hint, how, policy, now);
        loop {
            if self.attempt.cancelled().is_set() {
                return Err(Trouble::cancelled());
            }
            let seen = self.news.count.load(Relaxed);
            if self.attempt.hurried.xchg(false, Relaxed) {
                machine.hurry(Instant(now_ms()));
            }
            let winner = self.collect(&mut machine);
            if winner.is_none() {
                if let Some(fresh) = self.refetched() {
                    self.switch(fresh, &mut machine)?;
                    continue;
                }
            }
            match machine.poll(Instant(now_ms())) {
                Action::Connect(attempt) => {
                    if let Err(trouble) = self.start(attempt) {
                        let fault = trouble.fault;
                        self.worst = Some(trouble);
                        machine.down(Instant(now_ms()), attempt, fault);
                    }
                }
                Action::Cancel(attempt) => self.call_off(attempt),
                Action::Refetch => self.fetch(),
                Action::Wait(until) => {
                    let left = Instant(now_ms()).until(until).0.clamp(1, 250);
                    let (news, attempt) = (&self.news, self.attempt);
                    news.queue.wait_idle(Some(left), || {
                        news.count.load(Relaxed) != seen || attempt.cancelled().is_set()
                    });
                    tick();
                }
                Action::Publish(attempt) => {
                    self.keep_health(machine.slots());
                    match &self.course {
                        Course::Targets(referral) => referral.set_hint(attempt.target),
                        Course::Domain(domain) => domain.set_hint(attempt.target),
                        Course::Itself => {}
                    }
                    self.attempt.release();
                    return winner.ok_or_else(|| Trouble::from(EIO));
                }
                Action::GiveUp(reason) => {
                    self.keep_health(machine.slots());
                    let deadline = matches!(reason, failover::Reason::Deadline(_));
                    let worst = self.worst.take();
                    return Err(match worst {
                        Some(worst) if !deadline => worst,
                        _ => Trouble::new(ETIMEDOUT, "no target could be reached in time"),
                    });
                }
            }
        }
    }

    /// The target to begin with.
    fn hint(&self) -> usize {
        match &self.course {
            Course::Targets(referral) => referral.hint(),
            Course::Domain(domain) => domain.hint(),
            Course::Itself => 0,
        }
    }

    #[inline(never)]
    fn slots(&self) -> core::result::Result<KVec<Slot>, Trouble> {
        let mut slots = KVec::new();
        match &self.course {
            Course::Itself => slots.push(Slot::new(0, Health::NEW), GFP_KERNEL)?,
            Course::Domain(domain) => {
                for _ in domain.controllers() {
                    slots.push(Slot::new(0, Health::NEW), GFP_KERNEL)?;
                }
            }
            Course::Targets(referral) => {
                // In rank order, whatever the hint.
                for target in referral.entry.targets(usize::MAX) {
                    let health = referral.health(target.index);
                    slots.push(Slot::new(target.set, health), GFP_KERNEL)?;
                }
            }
        }
        Ok(slots)
    }

    /// Whether target `index` leads to the tree with this path.
    #[inline(never)] // It has a path on the stack.
    fn is_target(&self, index: usize, path: &[u8]) -> bool {
        let Ok(mut buffer) = KBox::new([0; MAX_LEN], GFP_KERNEL) else {
            return false;
        };
        match self.target(index, &mut buffer) {
            Ok(Some(target)) => same(&target, path),
            Ok(None) => same(self.path, path),
            Err(_) => false,
        }
    }

    /// The path that target `index` makes of ours; `None` if it is the same.
    fn target<'b>(
        &self,
        index: usize,
        buffer: &'b mut [u8; MAX_LEN],
    ) -> core::result::Result<Option<Path<'b>>, Trouble> {
        match &self.course {
            Course::Targets(referral) => rebase(referral, index, self.path, buffer),
            _ => Ok(None),
        }
    }

    /// Starts a contender.
    fn start(&mut self, attempt: failover::Attempt) -> core::result::Result<(), Trouble> {
        if let Course::Domain(domain) = &self.course {
            return self.start_at(attempt, domain.clone());
        }
        let mut buffer = KBox::new([0; MAX_LEN], GFP_KERNEL)?;
        let mut text = KVec::new();
        let elsewhere = self.target(attempt.target, &mut buffer)?;
        copy_path(&mut text, elsewhere.as_ref().unwrap_or(self.path))?;
        let itself = elsewhere.is_none();
        let deeper = u32::from(matches!(self.course, Course::Targets(_)));
        let depth = self.depth.saturating_add(deeper);
        let runner = self.runner(attempt, move |seeker, work| {
            let path = core::str::from_utf8(&text).unwrap_or_default();
            let path = Path::parse(path).map_err(|_| Trouble::from(EINVAL))?;
            probed(seeker, &text, || match itself {
                true => direct(seeker, &path, depth, work),
                false => reach(seeker, &path, depth, work),
            })
        })?;
        Ok(self.runners.push(runner, GFP_KERNEL)?)
    }

    /// Starts one that looks on a controller of a domain.
    fn start_at(
        &mut self,
        attempt: failover::Attempt,
        domain: Arc<Controllers>,
    ) -> core::result::Result<(), Trouble> {
        let mut text = KVec::new();
        copy_path(&mut text, self.path)?;
        // A controller is no link, but a domain that points to itself must end.
        let depth = self.depth.saturating_add(1);
        let runner = self.runner(attempt, move |seeker, work| {
            let text = core::str::from_utf8(&text).unwrap_or_default();
            let path = Path::parse(text).map_err(|_| Trouble::from(EINVAL))?;
            let host = domain.controllers().nth(attempt.target);
            let host = host.unwrap_or_default();
            let target = moved(host, &path)?;
            probed(seeker, &target, || at(seeker, host, &path, depth, work))
        })?;
        Ok(self.runners.push(runner, GFP_KERNEL)?)
    }

    /// A thread that does `work` and tells the race.
    fn runner(
        &self,
        attempt: failover::Attempt,
        work: impl FnOnce(&Arc<Seeker>, &Arc<Attempt>) -> core::result::Result<Arc<Tree>, Trouble>
            + Send
            + 'static,
    ) -> core::result::Result<Runner, Trouble> {
        let shared = Arc::pin_init(
            try_pin_init!(Contender {
                work: Attempt::new()?,
                outcome <- new_spinlock!(None),
            }),
            GFP_KERNEL,
        )?;
        let (theirs, seeker, news) = (shared.clone(), self.seeker.clone(), self.news.clone());
        let thread = Thread::spawn(c"rsdfs-target", move |_| {
            // Writeback may be waiting for this.
            let _scope = NoFs::enter();
            let outcome = work(&seeker, &theirs.work);
            *theirs.outcome.lock() = Some(outcome);
            news.tell();
        })?;
        Ok(Runner {
            attempt,
            steps: 0,
            shared,
            thread: Some(thread),
        })
    }

    /// Tells the machine what the contenders have come to; a tree that stands, if there is one.
    #[inline(never)]
    fn collect(&mut self, machine: &mut Failover<KVec<Slot>>) -> Option<Arc<Tree>> {
        let now = Instant(now_ms());
        let mut winner = None;
        let mut at = 0;
        while let Some(runner) = self.runners.get_mut(at) {
            let steps = runner.shared.work.steps.load(Relaxed);
            if steps != mem::replace(&mut runner.steps, steps) {
                machine.progress(now, runner.attempt);
            }
            // What is dropped below may wait: not under the lock.
            let outcome = runner.shared.outcome.lock().take();
            let attempt = runner.attempt;
            let Some(outcome) = outcome else {
                at = at.saturating_add(1);
                continue;
            };
            if let Ok(runner) = self.runners.remove(at) {
                self.bury(runner);
            }
            match outcome {
                Ok(tree) => {
                    let counts = machine.attempts().any(|other| other == attempt);
                    if counts && winner.is_none() {
                        machine.up(now, attempt);
                        winner = Some(tree);
                    }
                }
                Err(trouble) => {
                    machine.down(now, attempt, trouble.fault);
                    if self
                        .worst
                        .as_ref()
                        .is_none_or(|worst| worst.fault <= trouble.fault)
                    {
                        self.worst = Some(trouble);
                    }
                }
            }
        }
        winner
    }

    fn call_off(&mut self, attempt: failover::Attempt) {
        for runner in self.runners.iter() {
            if runner.attempt == attempt {
                runner.shared.work.cancel();
            }
        }
    }

    /// Asks for a fresh referral, on the side.
    fn fetch(&mut self) {
        if self.refetch.is_some() {
            // Still under way.
            return;
        }
        let Course::Targets(referral) = &self.course else {
            return;
        };
        let referral = referral.clone();
        let none = failover::Attempt {
            target: 0,
            serial: 0,
        };
        let runner = self.runner(none, move |seeker, work| {
            referral::refresh(seeker, &referral, work)?;
            Err(Trouble::cancelled())
        });
        // Without memory for it the old one has to do.
        self.refetch = runner.ok();
    }

    /// A referral with other targets than those at hand, if one has come.
    #[inline(never)]
    fn refetched(&mut self) -> Option<Cached> {
        let runner = self.refetch.as_mut()?;
        let outcome = runner.shared.outcome.lock().take();
        outcome.as_ref()?;
        if let Some(runner) = self.refetch.take() {
            self.bury(runner);
        }
        let Course::Targets(old) = &self.course else {
            return None;
        };
        match course(self.seeker, self.path) {
            Course::Targets(new) if !new.entry.same_targets(&old.entry) => Some(new),
            _ => None,
        }
    }

    /// Goes on with the targets of `fresh`.
    #[inline(never)]
    fn switch(
        &mut self,
        fresh: Cached,
        machine: &mut Failover<KVec<Slot>>,
    ) -> core::result::Result<(), Trouble> {
        self.keep_health(machine.slots());
        self.retire();
        let hint = fresh.hint();
        self.course = Course::Targets(fresh);
        machine.replace(self.slots()?, Some(hint), Instant(now_ms()));
        Ok(())
    }

    fn keep_health(&self, slots: &[Slot]) {
        if let Course::Targets(referral) = &self.course {
            for (index, slot) in slots.iter().enumerate() {
                referral.set_health(index, *slot.health());
            }
        }
    }

    /// Calls all contenders off and leaves them to the work queue, which waits for their end.
    fn retire(&mut self) {
        for runner in self.runners.iter() {
            runner.shared.work.cancel();
        }
        let runners = mem::take(&mut self.runners);
        if let Some(refetch) = self.refetch.take() {
            refetch.shared.work.cancel();
            self.bury(refetch);
        }
        for runner in runners {
            self.bury(runner);
        }
    }

    fn bury(&self, mut runner: Runner) {
        if let Some(thread) = runner.thread.take() {
            self.seeker.world.bury(thread);
        }
    }
}

impl Drop for Race<'_> {
    fn drop(&mut self) {
        self.retire();
    }
}

/// Whether `path` is what `text` says.
fn same(path: &Path<'_>, text: &[u8]) -> bool {
    core::str::from_utf8(text)
        .ok()
        .and_then(|text| Path::parse(text).ok())
        .is_some_and(|other| other == *path)
}

/// The device form of `path`, but on `host`.
fn moved(host: &str, path: &Path<'_>) -> Result<KVec<u8>> {
    let mut text = KVec::new();
    text.extend_from_slice(b"//", GFP_KERNEL)?;
    text.extend_from_slice(host.as_bytes(), GFP_KERNEL)?;
    for component in path.below(1) {
        text.push(b'/', GFP_KERNEL)?;
        text.extend_from_slice(component.as_bytes(), GFP_KERNEL)?;
    }
    Ok(text)
}

/// Appends the device form of `path`.
pub(crate) fn copy_path(out: &mut KVec<u8>, path: &Path<'_>) -> Result {
    out.push(b'/', GFP_KERNEL)?;
    for component in path.components() {
        out.push(b'/', GFP_KERNEL)?;
        out.extend_from_slice(component.as_bytes(), GFP_KERNEL)?;
    }
    Ok(())
}
