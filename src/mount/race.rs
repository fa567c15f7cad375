// SPDX-License-Identifier: GPL-2.0

//! A race between the targets of a path.
//!
//! The decisions are those of [`rsdfs_proto::failover::Failover`]; here are the threads. Each
//! contender is a thread that brings up a whole stack, for a target that is a link again by a race
//! of its own. A contender that has lost is called off and left to end by itself: nobody waits for
//! it.

use super::{
    attempt::{
        Attempt,
        Doing,
        News, //
    },
    reconnect::{
        at,
        copy_path,
        course,
        direct,
        moved,
        probed,
        reach,
        rebase,
        Cached,
        Controllers,
        Course,
        Seeker, //
    },
    referral,
    tree::Tree,
    trouble::Trouble, //
};
use crate::sys::{
    crypto,
    thread::{
        NoFs,
        Thread, //
    },
    time::now_ms,
    wait::WaitQueue, //
};
use core::mem;
use kernel::{
    new_spinlock,
    prelude::*,
    sync::{
        atomic::{
            Atomic,
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

/// How the tree before was lost, and its path.
pub(crate) struct Loss<'a> {
    pub(crate) how: Lost,
    pub(crate) target: &'a [u8],
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
                    return Err(match self.worst.take() {
                        Some(worst) if !matches!(reason, failover::Reason::Deadline(_)) => worst,
                        worst => self.too_late(worst)?,
                    });
                }
            }
        }
    }

    /// There was not time enough, and `worst` is what is known besides.
    #[inline(never)]
    fn too_late(&self, worst: Option<Trouble>) -> Result<Trouble> {
        let mut path = KVec::new();
        copy_path(&mut path, self.path)?;
        let path = core::str::from_utf8(&path).unwrap_or_default();
        let late = Trouble::new(ETIMEDOUT, "no target could be reached in time").at(path);
        Ok(match worst {
            Some(worst) => late.after(&worst),
            None => late,
        })
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
