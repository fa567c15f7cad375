// SPDX-License-Identifier: GPL-2.0
//! Which target next, when to race, when to wait, when to give up.
//!
//! [`Failover`] is a pure state machine for one outage (or one mount). The shell reports what
//! happened ([`Failover::up`], [`Failover::down`], [`Failover::progress`], [`Failover::replace`])
//! and after each report calls [`Failover::poll`] until it answers [`Action::Wait`], or an end:
//!
//! ```text
//!            +--- down, too slow, no progress ---+
//!            v                                   |
//!   new -> Idle --- Connect ---> Trying ---------+--- up ---> Publish
//!            |  all failed once: Refetch (a list that changed: replace)
//!            +--- deadline passed, or mounting and all failed ---> GiveUp
//! ```
//!
//! The rules, in order of weight:
//! - Only a target whose whole stack stood up is published, and the first that did wins.
//! - A failed contender makes room for the next at once; a silent one after a stagger, which halves
//!   with each contender under way. One that reports progress holds the next back once more.
//! - Order: fewest tries, then the hint, target set, penalty of past failures, rank. A hint that was
//!   lost by silence goes last, but is tried.
//! - Each target is tried again after its own backoff, so a restarted server is found soon although
//!   others still hang. All starts together obey a rate limit: no livelock, no storm.
//! - When every target has failed once more, one fresh referral is asked for, without waiting for it.

pub mod health;
pub mod homing;
mod policy;
pub mod watch;

use core::ops::DerefMut;

use crate::time::{Instant, Span};
pub use health::{Cause, Fault, Health};
pub use policy::{Lost, Policy};

/// Shortest time between two [`Action::Refetch`].
const REFETCH_GAP: Span = Span::secs(1);

/// Contenders may be started back to back this many times [`RATE_GAP`] ahead of the limit.
const RATE_BURST: Span = Span::ms(160);

/// Average shortest time between two starts, over all targets.
const RATE_GAP: Span = Span::ms(10);

/// How often one contender's progress may hold back the next.
const MAX_STAGES: u32 = 6;

/// One attempt at one target; late reports about an attempt that is over are ignored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Attempt {
    /// Index of the target.
    pub target: usize,
    /// Number of the attempt, from 1, over all targets.
    pub serial: u32,
}

/// Why the machine gave up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reason {
    /// The time of a soft mount is over (ETIMEDOUT); the worst failure seen meanwhile, if any.
    Deadline(Option<Fault>),
    /// Every target failed; the most telling failure, `None` if there was no target.
    Exhausted(Option<Fault>),
}

/// What the shell shall do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// Start this attempt: resolve, connect, negotiate, log on, connect the share, look up the path.
    Connect(Attempt),
    /// Abandon this attempt; nothing it reports later counts.
    Cancel(Attempt),
    /// Ask for a fresh referral, without waiting for the answer.
    Refetch,
    /// Nothing to do before this moment or the next report.
    Wait(Instant),
    /// This attempt won: use it, abandon all others. Final.
    Publish(Attempt),
    /// No target will be had; abandon all attempts. Final.
    GiveUp(Reason),
}

/// The state of one target, in storage the caller provides.
#[derive(Clone, Copy, Debug)]
pub struct Slot {
    set: u16,
    health: Health,
    trying: Option<Trying>,
    tries: u32,
    not_before: Instant,
    round: u32,
}

#[derive(Clone, Copy, Debug)]
struct Trying {
    serial: u32,
    since: Instant,
    moved: Instant,
    stages: u32,
    limit: Span,
}

impl Trying {
    /// When it has taken too long.
    fn deadline(&self) -> Instant {
        self.since.after(self.limit)
    }
}

impl Slot {
    /// A target of target set `set` with this past.
    pub const fn new(set: u16, health: Health) -> Self {
        Self {
            set,
            health,
            trying: None,
            tries: 0,
            not_before: Instant(0),
            round: 0,
        }
    }

    /// Its past including this outage, to be kept for the next one.
    pub const fn health(&self) -> &Health {
        &self.health
    }

    /// How often it was tried in this outage.
    pub const fn tries(&self) -> u32 {
        self.tries
    }

    /// Whether an attempt is under way.
    pub const fn is_trying(&self) -> bool {
        self.trying.is_some()
    }

    /// Whether it has a go left where each target has but one: what was cut off in the middle may be
    /// begun anew, once.
    fn has_a_go(&self) -> bool {
        let was_cut = || self.health.fault().is_some_and(|f| f.cause == Cause::Cut);
        self.tries == 0 || (self.tries == 1 && was_cut())
    }
}

/// The state machine; `S` is the storage of one [`Slot`] per target in rank order.
#[derive(Debug)]
pub struct Failover<S> {
    slots: S,
    policy: Policy,
    hint: Hint,
    deadline: Option<Instant>,
    in_flight: usize,
    next_start: Instant,
    rate: Instant,
    round: u32,
    failed: usize,
    refetch: bool,
    refetched: Option<Instant>,
    serial: u32,
    random: u64,
    worst: Option<Fault>,
    end: Option<Action>,
}

/// What is known of the target used last.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Hint {
    First(usize),
    Last(usize),
    None,
}

impl<S: DerefMut<Target = [Slot]>> Failover<S> {
    /// Begins at `now`; `hint` is the index of the target used last.
    ///
    /// The loss of the hint is entered into its health here.
    pub fn new(slots: S, hint: usize, lost: Lost, policy: Policy, now: Instant) -> Self {
        let mut this = Self {
            slots,
            policy,
            hint: Hint::None,
            deadline: policy.soft.map(|limit| now.after(limit)),
            in_flight: 0,
            next_start: now,
            rate: now,
            round: 1,
            failed: 0,
            refetch: lost == Lost::ShareGone,
            refetched: None,
            serial: 0,
            random: policy.seed,
            worst: None,
            end: None,
        };
        let cause = match lost {
            Lost::Start => None,
            Lost::Reset => Some(Cause::Unreachable),
            Lost::Silent => Some(Cause::Silent),
            Lost::ShareGone => Some(Cause::Missing),
        };
        if let (Some(slot), Some(cause)) = (this.slots.get_mut(hint), cause) {
            slot.health.down(now, cause.into());
        }
        this.reset(now);
        let penalty = this.slots.get(hint).map(|s| s.health.penalty(now));
        this.hint = match lost {
            Lost::Start if penalty == Some(0) => Hint::First(hint),
            Lost::Start => Hint::None,
            Lost::Reset => Hint::First(hint),
            Lost::Silent | Lost::ShareGone => Hint::Last(hint),
        };
        this
    }

    /// Takes the targets of a fresh referral that differ from those at hand; `hint` is the new index
    /// of the hint, if it is still there. The caller abandons all attempts first. Returns the old
    /// slots.
    pub fn replace(&mut self, slots: S, hint: Option<usize>, now: Instant) -> S {
        let old = core::mem::replace(&mut self.slots, slots);
        self.hint = match (self.hint, hint) {
            (Hint::First(_), Some(i)) => Hint::First(i),
            (Hint::Last(_), Some(i)) => Hint::Last(i),
            _ => Hint::None,
        };
        self.round = self.round.saturating_add(1);
        self.reset(now);
        old
    }

    /// The targets and what is known of them.
    pub fn slots(&self) -> &[Slot] {
        &self.slots
    }

    /// Ends the machine and returns the slots.
    pub fn into_slots(self) -> S {
        self.slots
    }

    /// The attempts under way.
    pub fn attempts(&self) -> impl Iterator<Item = Attempt> + '_ {
        self.trying().map(|(target, t)| Attempt {
            target,
            serial: t.serial,
        })
    }

    /// How many attempts were started.
    pub const fn started(&self) -> u32 {
        self.serial
    }

    /// The whole stack of `attempt` stands.
    pub fn up(&mut self, now: Instant, attempt: Attempt) {
        if self.end.is_some() || self.current(attempt).is_none() {
            return;
        }
        self.end = Some(Action::Publish(attempt));
        self.in_flight = self.in_flight.saturating_sub(1);
        if let Some(slot) = self.slots.get_mut(attempt.target) {
            slot.trying = None;
            slot.health.up(now);
        }
    }

    /// `attempt` came one step further: connected, negotiated, logged on.
    pub fn progress(&mut self, now: Instant, attempt: Attempt) {
        let gap = self.gap();
        let tries = self.slots.get(attempt.target).map_or(0, |s| s.tries);
        let limit = self.policy.attempt_limit(tries);
        let Some(trying) = self.current(attempt) else {
            return;
        };
        trying.limit = limit;
        if trying.stages < MAX_STAGES {
            trying.stages = trying.stages.saturating_add(1);
            trying.moved = now;
            self.next_start = self.next_start.max(now.after(gap));
        }
    }

    /// `attempt` failed.
    pub fn down(&mut self, now: Instant, attempt: Attempt, fault: Fault) {
        if self.end.is_none() && self.current(attempt).is_some() {
            self.fail(now, attempt.target, fault);
        }
    }

    /// Has all targets tried again now, however long they were to be left alone.
    pub fn hurry(&mut self, now: Instant) {
        self.next_start = now;
        for slot in self.slots.iter_mut() {
            slot.not_before = slot.not_before.min(now);
        }
    }

    /// What to do at `now`. To be called again until it answers [`Action::Wait`] or an end, which it
    /// then repeats.
    pub fn poll(&mut self, now: Instant) -> Action {
        if let Some(end) = self.end {
            return end;
        }
        if self.deadline.is_some_and(|d| d <= now) {
            return self.finish(Action::GiveUp(Reason::Deadline(self.worst)));
        }
        if let Some(attempt) = self.overdue(now) {
            self.fail(now, attempt.target, Cause::Silent.into());
            return Action::Cancel(attempt);
        }
        if self.policy.once && self.in_flight == 0 && self.candidates().next().is_none() {
            return self.finish(Action::GiveUp(Reason::Exhausted(self.worst)));
        }
        if self.refetch_at().is_some_and(|at| at <= now) {
            self.refetch = false;
            self.refetched = Some(now);
            return Action::Refetch;
        }
        match self.best(now) {
            Some(target) => self.connect(now, target),
            None => Action::Wait(self.wake(now).max(now.after(Span::ms(1)))),
        }
    }

    fn finish(&mut self, end: Action) -> Action {
        self.end = Some(end);
        end
    }

    /// Forgets all attempts and backoffs of this outage.
    fn reset(&mut self, now: Instant) {
        self.in_flight = 0;
        self.failed = 0;
        self.next_start = now;
        let once = self.policy.once;
        for slot in self.slots.iter_mut() {
            slot.trying = None;
            slot.tries = 0;
            slot.round = 0;
            slot.not_before = if once { now } else { slot.health.ready() };
        }
    }

    fn current(&mut self, attempt: Attempt) -> Option<&mut Trying> {
        let slot = self.slots.get_mut(attempt.target)?;
        slot.trying.as_mut().filter(|t| t.serial == attempt.serial)
    }

    fn trying(&self) -> impl Iterator<Item = (usize, &Trying)> {
        let slots = self.slots.iter().enumerate();
        slots.filter_map(|(i, slot)| slot.trying.as_ref().map(|t| (i, t)))
    }

    /// Targets that may be tried, now or after their backoff.
    fn candidates(&self) -> impl Iterator<Item = (usize, &Slot)> {
        let once = self.policy.once;
        let slots = self.slots.iter().enumerate();
        slots.filter(move |(_, s)| s.trying.is_none() && (!once || s.has_a_go()))
    }

    /// The earliest moment at which pace and backoff let a contender start, places aside.
    fn start_at(&self) -> Option<Instant> {
        let ready = self.candidates().map(|(_, s)| s.not_before).min()?;
        let rate = Instant(self.rate.0.saturating_sub(RATE_BURST.0));
        Some(ready.max(self.next_start).max(rate))
    }

    fn full(&self) -> bool {
        self.in_flight >= self.policy.contenders.max(1)
    }

    /// The target to be tried next, if one may be started now.
    fn best(&self, now: Instant) -> Option<usize> {
        if self.full() || self.start_at()? > now {
            return None;
        }
        let ready = self.candidates().filter(|(_, s)| s.not_before <= now);
        let order = |(i, s): &(usize, &Slot)| {
            let favour = match self.hint {
                Hint::First(hint) if hint == *i => 0,
                Hint::Last(hint) if hint == *i => 2,
                _ => 1,
            };
            (s.tries, favour, s.set, s.health.penalty(now), *i)
        };
        ready.min_by_key(order).map(|(i, _)| i)
    }

    /// Time between the last start and the next, with the contenders now under way.
    fn gap(&self) -> Span {
        let others = u32::try_from(self.in_flight.saturating_sub(1)).unwrap_or(u32::MAX);
        let halved = self.policy.stagger.0.checked_shr(others).unwrap_or(0);
        Span(halved.max(self.policy.stagger_min.0))
    }

    fn connect(&mut self, now: Instant, target: usize) -> Action {
        self.serial = self.serial.saturating_add(1);
        let serial = self.serial;
        let limit = self.policy.attempt;
        if let Some(slot) = self.slots.get_mut(target) {
            slot.tries = slot.tries.saturating_add(1);
            slot.trying = Some(Trying {
                serial,
                since: now,
                moved: now,
                stages: 0,
                limit,
            });
        }
        self.in_flight = self.in_flight.saturating_add(1);
        self.next_start = now.after(self.gap());
        self.rate = self.rate.max(now).after(RATE_GAP);
        Action::Connect(Attempt { target, serial })
    }

    /// An attempt whose time is over, or that must make room for a target that waits.
    fn overdue(&self, now: Instant) -> Option<Attempt> {
        let crowded = self.full() && self.start_at().is_some_and(|at| at <= now);
        let late = |t: &Trying| {
            t.deadline() <= now || (crowded && t.moved.after(self.policy.patience) <= now)
        };
        let oldest = self
            .trying()
            .filter(|(_, t)| late(t))
            .min_by_key(|(_, t)| t.since);
        oldest.map(|(target, t)| Attempt {
            target,
            serial: t.serial,
        })
    }

    fn fail(&mut self, now: Instant, target: usize, fault: Fault) {
        let jitter = self.jitter();
        let (min, max) = (self.policy.backoff_min, self.policy.backoff_max);
        let Some(slot) = self.slots.get_mut(target) else {
            return;
        };
        let since = slot.trying.take().map_or(now, |t| t.since);
        slot.health.down(now, fault);
        let doublings = slot.tries.saturating_sub(1).min(16);
        let backoff = min.0.saturating_mul(1 << doublings).min(max.0);
        let spread = |span: u64| {
            let half = span >> 1;
            Span(half.saturating_add(half.saturating_mul(jitter) >> 16))
        };
        // Counted from the start: an attempt that hung for long has waited already.
        let paced = since.after(spread(backoff)).max(now.after(spread(min.0)));
        slot.not_before = paced.max(slot.health.ready());
        if slot.round != self.round {
            slot.round = self.round;
            self.failed = self.failed.saturating_add(1);
        }
        self.worst = self.worst.max(Some(fault));
        self.in_flight = self.in_flight.saturating_sub(1);
        self.next_start = now;
        if self.failed >= self.slots.len() {
            self.round = self.round.saturating_add(1);
            self.failed = 0;
            self.refetch = true;
        }
    }

    /// When a wanted refetch is due.
    fn refetch_at(&self) -> Option<Instant> {
        let wanted = self.refetch || self.slots.is_empty();
        if !wanted || self.policy.once {
            return None;
        }
        let last = self.refetched;
        Some(last.map_or(Instant(0), |at| at.after(REFETCH_GAP)))
    }

    /// When something changes without a report.
    fn wake(&self, now: Instant) -> Instant {
        let attempts = self.trying().map(|(_, t)| t.deadline());
        let start = match (self.start_at(), self.full()) {
            (Some(at), true) => {
                let patience = self.policy.patience;
                let room = self.trying().map(|(_, t)| t.moved.after(patience)).min();
                room.map(|room| room.max(at))
            }
            (at, _) => at,
        };
        attempts
            .chain(start)
            .chain(self.deadline)
            .chain(self.refetch_at())
            .min()
            .unwrap_or(now.after(REFETCH_GAP))
    }

    /// A number below 2^16.
    fn jitter(&mut self) -> u64 {
        self.random = self.random.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (self.random ^ (self.random >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb) >> 48
    }
}
