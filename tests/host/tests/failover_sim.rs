// SPDX-License-Identifier: GPL-2.0
//! The failover machine against a simulated network with a fake clock: thousands of outages.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use rsdfs_proto::failover::{Action, Attempt, Cause, Failover, Health, Lost, Policy, Reason, Slot};
use rsdfs_proto::time::{Instant, Span};

/// How a target behaves towards an attempt, with the time it takes in milliseconds.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Way {
    /// The whole stack stands after this long.
    Good(u64),
    /// Connection refused.
    Refuse(u64),
    /// Packets vanish.
    Hole,
    /// The connection stands, then nothing.
    Zombie(u64),
    /// Connects and logs on, but the share is not there.
    NoShare(u64),
    /// Refuses the password.
    Denied(u64),
    /// The connection stands and is lost.
    Cut(u64),
}

/// What a target does from which moment on.
#[derive(Clone, Debug)]
struct Target(Vec<(u64, Way)>);

impl Target {
    fn always(way: Way) -> Self {
        Self(vec![(0, way)])
    }

    fn at(&self, t: u64) -> Way {
        self.0.iter().rev().find(|(from, _)| *from <= t).unwrap().1
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Report {
    Progress,
    Up,
    Refused,
    Missing,
    Denied,
    Cut,
}

#[derive(Debug)]
struct Outcome {
    end: Option<Action>,
    at: u64,
    starts: Vec<(u64, usize)>,
    refetches: Vec<u64>,
    peak: usize,
    health: Vec<Health>,
}

struct Sim {
    targets: Vec<Target>,
    sets: Vec<u16>,
    health: Vec<Health>,
    hint: usize,
    lost: Lost,
    policy: Policy,
    start: u64,
    until: u64,
}

impl Sim {
    fn new(ways: &[Way], lost: Lost, policy: Policy) -> Self {
        Self {
            targets: ways.iter().map(|w| Target::always(*w)).collect(),
            sets: vec![0; ways.len()],
            health: vec![Health::NEW; ways.len()],
            hint: 0,
            lost,
            policy,
            start: 0,
            until: 600_000,
        }
    }

    /// Runs to an end or to `until`, checking on the way what must hold always.
    fn run(&self) -> Outcome {
        let slots: Vec<Slot> = self
            .sets
            .iter()
            .zip(&self.health)
            .map(|(set, health)| Slot::new(*set, *health))
            .collect();
        let n = slots.len();
        let mut machine = Failover::new(
            slots,
            self.hint,
            self.lost,
            self.policy,
            Instant(self.start),
        );
        let mut queue = BinaryHeap::new();
        let mut live: Vec<Attempt> = Vec::new();
        let mut reported_up: Vec<Attempt> = Vec::new();
        let mut out = Outcome {
            end: None,
            at: self.start,
            starts: vec![],
            refetches: vec![],
            peak: 0,
            health: vec![],
        };
        let mut now = self.start;
        let mut ticks = 0;
        'time: loop {
            let mut polls = 0;
            let wake = loop {
                polls += 1;
                assert!(polls <= 3 * n + 20, "polled {polls} times at {now}");
                match machine.poll(Instant(now)) {
                    Action::Connect(a) => {
                        assert!(
                            live.iter().all(|l| l.target != a.target),
                            "two attempts at one target"
                        );
                        live.push(a);
                        out.starts.push((now, a.target));
                        self.enqueue(&mut queue, now, a);
                    }
                    Action::Cancel(a) => {
                        let before = live.len();
                        live.retain(|l| *l != a);
                        assert_eq!(live.len() + 1, before, "cancelled what does not run");
                    }
                    Action::Refetch => out.refetches.push(now),
                    Action::Wait(t) => {
                        assert!(t.0 > now, "busy loop at {now}");
                        ticks = if t.0 == now + 1 { ticks + 1 } else { 0 };
                        assert!(ticks < 20, "ticking at {now}");
                        break t.0;
                    }
                    end @ (Action::Publish(_) | Action::GiveUp(_)) => {
                        if let Action::Publish(a) = end {
                            assert!(reported_up.contains(&a), "published without Up");
                        }
                        assert_eq!(machine.poll(Instant(now + 1)), end, "an end is final");
                        out.end = Some(end);
                        break 'time;
                    }
                }
                out.peak = out.peak.max(live.len());
                assert_eq!(machine.attempts().count(), live.len());
            };
            let next = queue
                .peek()
                .map_or(wake, |Reverse((t, _, _, _))| wake.min(*t));
            if next > self.until {
                now = self.until;
                break;
            }
            now = next;
            while let Some(Reverse((t, target, serial, report))) = queue.peek().copied() {
                if t > now {
                    break;
                }
                queue.pop();
                let a = Attempt { target, serial };
                let is_live = live.contains(&a);
                let at = Instant(now);
                match report {
                    Report::Progress => machine.progress(at, a),
                    Report::Up => {
                        // Died during the handshake: it never reports.
                        if !matches!(self.targets[target].at(now), Way::Good(_)) {
                            continue;
                        }
                        if is_live {
                            reported_up.push(a);
                        }
                        machine.up(at, a);
                    }
                    Report::Refused => machine.down(at, a, Cause::Unreachable.into()),
                    Report::Missing => machine.down(at, a, Cause::Missing.into()),
                    Report::Denied => machine.down(at, a, Cause::Denied.into()),
                    Report::Cut => machine.down(at, a, Cause::Cut.into()),
                }
                if !matches!(report, Report::Progress) {
                    live.retain(|l| *l != a);
                }
            }
        }
        out.at = now;
        self.check(&out);
        out.health = machine.into_slots().iter().map(|s| *s.health()).collect();
        out
    }

    #[allow(clippy::type_complexity)]
    fn enqueue(
        &self,
        queue: &mut BinaryHeap<Reverse<(u64, usize, u32, Report)>>,
        now: u64,
        a: Attempt,
    ) {
        let mut put = |after: u64, r| queue.push(Reverse((now + after, a.target, a.serial, r)));
        match self.targets[a.target].at(now) {
            Way::Good(t) => {
                for stage in 1..=4 {
                    put(t * stage / 5, Report::Progress);
                }
                put(t, Report::Up);
            }
            Way::Refuse(t) => put(t, Report::Refused),
            Way::Hole => {}
            Way::Zombie(t) => put(t, Report::Progress),
            Way::NoShare(t) => {
                put(t / 2, Report::Progress);
                put(t, Report::Missing);
            }
            Way::Denied(t) => {
                put(t / 2, Report::Progress);
                put(t, Report::Denied);
            }
            Way::Cut(t) => {
                put(t / 2, Report::Progress);
                put(t, Report::Cut);
            }
        }
    }

    /// What must hold of any run.
    fn check(&self, out: &Outcome) {
        assert!(out.peak <= self.policy.contenders);
        let times: Vec<u64> = out.starts.iter().map(|(t, _)| *t).collect();
        assert!(most_within(&times, 1000) <= 120, "too many starts a second");
        for i in 0..self.targets.len() {
            let own: Vec<u64> = out
                .starts
                .iter()
                .filter(|(_, target)| *target == i)
                .map(|(t, _)| *t)
                .collect();
            assert!(most_within(&own, 10_000) <= 16, "target {i}: {own:?}");
            if matches!(self.targets[i].0[..], [(_, Way::Denied(_))]) {
                assert!(most_within(&own, 29_000) <= 1, "would lock the account");
            }
        }
        assert!(most_within(&out.refetches, 999) <= 1, "refetch storm");
        match out.end {
            Some(Action::GiveUp(Reason::Deadline(_))) => {
                assert_eq!(out.at, self.start + self.policy.soft.unwrap().0);
            }
            Some(Action::GiveUp(Reason::Exhausted(_))) => {
                assert!(self.policy.once);
                let mut tried: Vec<usize> = out.starts.iter().map(|s| s.1).collect();
                tried.sort_unstable();
                if self
                    .targets
                    .iter()
                    .any(|t| matches!(t.0[..], [(_, Way::Cut(_))]))
                {
                    tried.dedup();
                }
                assert!(tried.into_iter().eq(0..self.targets.len()), "each once");
            }
            Some(Action::Publish(_)) => {}
            Some(other) => panic!("{other:?} is no end"),
            None => assert!(self.policy.soft.is_none() && !self.policy.once),
        }
    }
}

/// The most of `times` that lie in any window of this length.
fn most_within(times: &[u64], window: u64) -> usize {
    let mut first = 0;
    let mut most = 0;
    for (i, t) in times.iter().enumerate() {
        while times[first] + window <= *t {
            first += 1;
        }
        most = most.max(i + 1 - first);
    }
    most
}

fn published(out: &Outcome) -> usize {
    match out.end {
        Some(Action::Publish(a)) => a.target,
        _ => panic!("nothing published: {out:?}"),
    }
}

struct Rng(u64);

impl Rng {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn below(&mut self, n: u64) -> u64 {
        self.next() % n
    }

    fn bad(&mut self) -> Way {
        match self.below(5) {
            0 => Way::Refuse(self.below(20)),
            1 => Way::Hole,
            2 => Way::Zombie(self.below(50)),
            3 => Way::NoShare(1 + self.below(100)),
            _ => Way::Denied(1 + self.below(100)),
        }
    }

    fn lost(&mut self) -> Lost {
        [Lost::Start, Lost::Reset, Lost::Silent, Lost::ShareGone][self.below(4) as usize]
    }
}

/// The longest it may take to reach the last of `n` targets when all others are bad in the worst
/// way: a full stagger each, twice where progress holds the next back, and patience for each batch
/// beyond the places.
fn bound(n: usize, policy: &Policy) -> u64 {
    let gaps: u64 = (0..n.saturating_sub(1))
        .map(|k| (policy.stagger.0 >> k.min(10)).max(policy.stagger_min.0))
        .sum();
    let crowd = (n.saturating_sub(1) / policy.contenders) as u64;
    2 * gaps + crowd * (policy.patience.0 + 2 * policy.stagger.0) + 100
}

#[test]
fn shows_of_the_mount() {
    use Way::*;
    for (ways, limit) in [
        (&[Hole, Good(100)][..], 350),
        (&[Hole, Hole, Good(100)], 475),
        (&[Zombie(5), Good(100)], 355),
        (&[NoShare(50), Good(100)], 150),
        (&[Denied(50), Good(100)], 150),
        (&[Refuse(1), Refuse(1), Good(100)], 102),
        (&[Zombie(5), Zombie(5), Zombie(5), Good(100)], 700),
    ] {
        for lost in [Lost::Start, Lost::Reset] {
            for policy in [Policy::MOUNT, Policy::HARD] {
                let out = Sim::new(ways, lost, policy).run();
                assert_eq!(published(&out), ways.len() - 1);
                assert!(out.at <= limit, "{ways:?}: {} ms", out.at);
            }
        }
    }
}

#[test]
fn seven_dead_of_eight() {
    let mut ways = [Way::Hole; 8];
    ways[7] = Way::Good(100);
    let out = Sim::new(&ways, Lost::Start, Policy::HARD).run();
    assert_eq!((published(&out), out.at), (7, 975));
}

#[test]
fn a_silent_hint_goes_last_but_goes() {
    use Way::*;
    let out = Sim::new(&[Good(10), Good(10)], Lost::Silent, Policy::HARD).run();
    assert_eq!((published(&out), out.at), (1, 10));
    let out = Sim::new(&[Good(10), Hole, Hole], Lost::Silent, Policy::HARD).run();
    assert_eq!((published(&out), out.at), (0, 385));
    let out = Sim::new(&[Good(10)], Lost::Silent, Policy::HARD).run();
    assert_eq!((published(&out), out.at), (0, 10));
}

#[test]
fn a_lost_share_asks_for_a_referral_at_once() {
    let ways = [Way::NoShare(10), Way::Good(10)];
    let out = Sim::new(&ways, Lost::ShareGone, Policy::HARD).run();
    assert_eq!(
        (out.refetches.clone(), published(&out), out.at),
        (vec![0], 1, 10)
    );
}

#[test]
fn a_restarted_server_is_found_while_others_hang() {
    let mut sim = Sim::new(&[Way::Refuse(1), Way::Hole], Lost::Reset, Policy::HARD);
    sim.targets[0] = Target(vec![(0, Way::Refuse(1)), (700, Way::Good(50))]);
    let out = sim.run();
    assert_eq!(published(&out), 0);
    assert!(out.at <= 700 + 800 + 50, "{}", out.at);
}

#[test]
fn a_slow_target_that_moves_is_not_crowded_out() {
    // Five steps of 180 ms: progress holds the second back, so there is no second.
    let out = Sim::new(&[Way::Good(900), Way::Good(10)], Lost::Start, Policy::HARD).run();
    assert_eq!((published(&out), out.starts.len()), (0, 1));
}

#[test]
fn a_very_slow_target_is_reached_at_last() {
    let out = Sim::new(&[Way::Good(17_000)], Lost::Start, Policy::HARD).run();
    assert_eq!((published(&out), out.starts.len()), (0, 3));
    assert!(out.at < 5_000 + 10_000 + 17_000 + 200, "{}", out.at);
}

#[test]
fn sets_before_penalty_before_rank() {
    let mut bad = Health::NEW;
    bad.down(Instant(0), Cause::Missing.into());
    let mut sim = Sim::new(&[Way::Hole; 5], Lost::Start, Policy::HARD);
    sim.start = 5000;
    sim.until = 6000;
    sim.sets = vec![0, 0, 0, 1, 1];
    sim.hint = 4;
    sim.health[0] = bad;
    sim.health[3] = bad;
    let order: Vec<usize> = sim.run().starts.iter().map(|s| s.1).collect();
    assert_eq!(order, [4, 1, 2, 0, 3]);
}

#[test]
fn mounting_gives_up_with_the_most_telling_failure() {
    use Way::*;
    for (ways, cause, limit) in [
        (&[Refuse(1), Refuse(1)][..], Cause::Unreachable, 10),
        (&[Refuse(1), NoShare(5), Refuse(1)], Cause::Missing, 20),
        (&[NoShare(1), Denied(5), Hole], Cause::Denied, 5010),
        (&[Hole, Hole, Zombie(3)], Cause::Silent, 5400),
    ] {
        let out = Sim::new(ways, Lost::Start, Policy::MOUNT).run();
        let Some(Action::GiveUp(Reason::Exhausted(Some(fault)))) = out.end else {
            panic!("{out:?}")
        };
        assert_eq!(fault.cause, cause);
        assert!(out.at <= limit, "{ways:?}: {}", out.at);
    }
    let out = Sim::new(&[], Lost::Start, Policy::MOUNT).run();
    assert_eq!(out.end, Some(Action::GiveUp(Reason::Exhausted(None))));
}

#[test]
fn mounting_begins_anew_once_what_was_cut_off() {
    use Way::*;
    let mut sim = Sim::new(&[Cut(5), Refuse(1)], Lost::Start, Policy::MOUNT);
    sim.targets[0] = Target(vec![(0, Cut(5)), (6, Good(5))]);
    let out = sim.run();
    assert_eq!(published(&out), 0);
    assert!(out.at <= 100, "{out:?}");

    let out = Sim::new(&[Cut(5), Refuse(1)], Lost::Start, Policy::MOUNT).run();
    let order: Vec<usize> = out.starts.iter().map(|s| s.1).collect();
    assert_eq!(order, [0, 1, 0], "the cut one twice, after the other");
    let cut = Some(Action::GiveUp(Reason::Exhausted(Some(Cause::Cut.into()))));
    assert_eq!(out.end, cut);
}

#[test]
fn no_target_at_all_is_no_busy_loop() {
    let out = Sim::new(&[], Lost::Reset, Policy::HARD).run();
    assert_eq!(out.end, None);
    assert!(out.refetches.len() > 500);
}

#[test]
fn random_outages_with_a_good_target() {
    for seed in 0..20_000 {
        let mut rng = Rng(seed);
        let n = 1 + rng.below(if seed % 10 == 0 { 40 } else { 8 }) as usize;
        let ways: Vec<Way> = (0..n).map(|_| rng.bad()).collect();
        let policy = if rng.below(2) == 0 {
            Policy::HARD
        } else {
            Policy::MOUNT
        };
        let mut sim = Sim::new(&ways, rng.lost(), policy.with_seed(rng.next()));
        let handshake = 1 + rng.below(400);
        let good = rng.below(n as u64) as usize;
        sim.targets[good] = Target::always(Way::Good(handshake));
        sim.hint = rng.below(n as u64 + 1) as usize;
        for set in 1..n {
            sim.sets[set] = sim.sets[set - 1] + rng.below(2) as u16;
        }
        sim.start = rng.below(1_000_000);
        sim.until = sim.start + 60_000;
        let out = sim.run();
        assert_eq!(published(&out), good, "seed {seed}");
        let took = out.at - sim.start;
        let limit = bound(n, &policy) + handshake;
        assert!(
            took <= limit,
            "seed {seed}: {took} > {limit}, {:?}",
            sim.targets
        );
    }
}

#[test]
fn random_outages_until_one_comes_back() {
    for seed in 0..5000 {
        let mut rng = Rng(seed ^ 0xabcd);
        let n = 1 + rng.below(6) as usize;
        let ways: Vec<Way> = (0..n).map(|_| rng.bad()).collect();
        let mut sim = Sim::new(&ways, rng.lost(), Policy::HARD.with_seed(seed));
        let who = rng.below(n as u64) as usize;
        let back = rng.below(120_000);
        sim.targets[who].0.push((back, Way::Good(80)));
        let out = sim.run();
        assert_eq!(published(&out), who);
        // The longest backoff or a hanging attempt, and a little pacing among the others.
        let limit = match ways[who] {
            Way::Denied(_) => 31_000,
            // A stage was reached, so the third attempt may hang for longer.
            Way::Zombie(_) => 21_000,
            _ => 6_000,
        };
        assert!(out.at <= back + limit, "seed {seed}: {back} -> {}", out.at);
        if back > 5_000 && !ways.iter().any(|w| matches!(w, Way::Denied(_))) {
            assert!(!out.refetches.is_empty(), "seed {seed}");
        }
    }
}

#[test]
fn hard_never_gives_up_and_soft_is_punctual() {
    for seed in 0..400 {
        let mut rng = Rng(seed ^ 0x5050);
        let n = rng.below(10) as usize;
        let ways: Vec<Way> = (0..n).map(|_| rng.bad()).collect();
        let out = Sim::new(&ways, rng.lost(), Policy::HARD.with_seed(seed)).run();
        assert_eq!(out.end, None, "seed {seed}");
        let soft = Policy::soft(Span(1 + rng.below(20_000))).with_seed(seed);
        let out = Sim::new(&ways, rng.lost(), soft).run();
        assert!(matches!(out.end, Some(Action::GiveUp(Reason::Deadline(_)))));
    }
}

#[test]
fn many_targets() {
    for (bad, limit) in [(Way::Refuse(0), 6_000), (Way::Hole, 150_000)] {
        let mut ways = vec![bad; 512];
        ways[511] = Way::Good(50);
        let out = Sim::new(&ways, Lost::Start, Policy::HARD).run();
        assert_eq!(published(&out), 511);
        assert!(out.at <= limit, "{}", out.at);
    }
}

/// A target that comes up and is lost again at once, over and over: attempts stay bounded, and a
/// good one takes over.
#[test]
fn flapping() {
    let mut health = [Health::NEW; 1];
    let mut now = 0;
    let mut ups = vec![];
    let mut lost = Lost::Start;
    while now < 60_000 {
        let mut sim = Sim::new(&[Way::Good(2)], lost, Policy::HARD);
        sim.health = health.to_vec();
        sim.start = now;
        sim.until = now + 60_000;
        let out = sim.run();
        published(&out);
        ups.push(out.at);
        now = out.at + 1;
        health[0] = out.health[0];
        lost = Lost::Reset;
    }
    assert!(most_within(&ups, 10_000) <= 16, "{}", ups.len());

    let mut sim = Sim::new(&[Way::Good(2), Way::Good(30)], Lost::Reset, Policy::HARD);
    sim.start = now;
    sim.until = now + 1000;
    sim.health[0] = health[0];
    let out = sim.run();
    assert_eq!((published(&out), out.at), (1, now + 30));
}

/// Cuts back and forth between two targets that each hold for some seconds cost nothing extra.
#[test]
fn twenty_cuts() {
    for period in [2_500, 5_000, 30_000] {
        let mut health = vec![Health::NEW; 2];
        let mut hint = 0;
        for cut in 1..=20 {
            let start = cut * period;
            let mut sim = Sim::new(&[Way::Good(20); 2], Lost::Silent, Policy::HARD);
            sim.targets[hint] = Target::always(Way::Hole);
            sim.health = health;
            sim.hint = hint;
            sim.start = start;
            sim.until = start + 10_000;
            let out = sim.run();
            assert_eq!((published(&out), out.at - start), (1 - hint, 20));
            hint = 1 - hint;
            health = out.health;
        }
    }
}

/// Polls at `at` until it answers with something other than [`Action::Refetch`].
fn next(m: &mut Failover<Vec<Slot>>, at: Instant) -> Action {
    loop {
        match m.poll(at) {
            Action::Refetch => {}
            action => return action,
        }
    }
}

#[test]
fn hurrying_ends_every_backoff() {
    let one = vec![Slot::new(0, Health::NEW)];
    let mut m = Failover::new(one, 0, Lost::Reset, Policy::HARD, Instant(0));
    let mut at = Instant(0);
    // Fails until it is to be left alone for some seconds.
    loop {
        match next(&mut m, at) {
            Action::Connect(a) => m.down(at, a, Cause::Unreachable.into()),
            Action::Wait(t) if at.until(t) >= Span::ms(2500) => break,
            Action::Wait(t) => at = t,
            other => panic!("{other:?}"),
        }
        // A wait for a referral does not count.
        assert!(at < Instant(60_000));
    }
    at = at.after(Span::ms(100));
    assert!(matches!(next(&mut m, at), Action::Wait(_)));
    m.hurry(at);
    assert!(matches!(next(&mut m, at), Action::Connect(_)));
}

#[test]
fn replacing_the_targets() {
    let now = Instant(1000);
    let slots = |n: usize| vec![Slot::new(0, Health::NEW); n];
    let mut m = Failover::new(slots(1), 0, Lost::Reset, Policy::HARD, now);
    let Action::Connect(old) = m.poll(now) else {
        panic!()
    };
    m.down(now, old, Cause::Unreachable.into());
    assert_eq!(m.poll(now), Action::Refetch);
    assert!(matches!(m.poll(now), Action::Wait(_)));
    let Action::Connect(retry) = m.poll(Instant(1050)) else {
        panic!()
    };
    let old_slots = m.replace(slots(3), Some(2), Instant(1060));
    assert_eq!(old_slots[0].health().fails(), 2);
    m.up(Instant(1061), retry);
    let Action::Connect(next) = m.poll(Instant(1061)) else {
        panic!("a report of an abandoned attempt counts for nothing")
    };
    assert_eq!(next.target, 2);
    m.up(Instant(1070), next);
    assert_eq!(m.poll(Instant(1070)), Action::Publish(next));
}

/// Reports that make no sense, late, twice or about attempts that never were.
#[test]
fn any_reports() {
    for seed in 0..5000 {
        let mut rng = Rng(seed ^ 0x7777);
        let n = rng.below(6) as usize;
        let slots = |n: usize| vec![Slot::new(0, Health::NEW); n];
        let mut now = 0;
        let hint = rng.below(8) as usize;
        let policy = [
            Policy::HARD,
            Policy::MOUNT,
            Policy::soft(Span(3000)),
            Policy {
                contenders: 0,
                attempt: Span(0),
                ..Policy::HARD
            },
        ][rng.below(4) as usize];
        let mut m = Failover::new(slots(n), hint, rng.lost(), policy, Instant(now));
        let mut issued: Vec<Attempt> = vec![];
        let mut live: Vec<Attempt> = vec![];
        let mut ups: Vec<Attempt> = vec![];
        for _ in 0..60 {
            now += rng.below(700);
            let at = Instant(now);
            let a = match issued.len() as u64 {
                0 => Attempt {
                    target: rng.below(9) as usize,
                    serial: rng.below(3) as u32,
                },
                len => issued[rng.below(len) as usize],
            };
            match rng.below(12) {
                0 if rng.below(8) == 0 => {
                    if live.contains(&a) && ups.is_empty() {
                        ups.push(a);
                    }
                    m.up(at, a);
                }
                1..=3 => m.progress(at, a),
                4..=6 => {
                    m.down(at, a, Cause::Busy.into());
                    live.retain(|l| *l != a);
                }
                7 if rng.below(4) == 0 => {
                    m.replace(slots(rng.below(6) as usize), None, at);
                    live.clear();
                }
                _ => {}
            }
            for _ in 0..100 {
                match m.poll(at) {
                    Action::Connect(a) => {
                        issued.push(a);
                        live.push(a);
                    }
                    Action::Cancel(a) => live.retain(|l| *l != a),
                    Action::Publish(a) => {
                        assert_eq!(ups, [a]);
                        break;
                    }
                    Action::Wait(t) => {
                        assert!(t > at && ups.is_empty());
                        break;
                    }
                    Action::GiveUp(_) => break,
                    Action::Refetch => {}
                }
            }
            assert!(live.len() <= policy.contenders.max(1));
        }
    }
}
