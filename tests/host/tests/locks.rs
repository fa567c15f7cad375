// SPDX-License-Identifier: GPL-2.0
//! The plan for a server's byte-range locks against a model that knows each byte.

use proptest::prelude::*;
use rsdfs_proto::locks::{next_step, place_last, union, unlocked, Kind, Lock, Range, Step, END};

const BYTES: u64 = 24;

fn lock(start: u64, end: u64, kind: Kind) -> Lock {
    let range = Range::new(start, end).unwrap();
    Lock { range, kind }
}

fn union_of(locks: &[Lock]) -> Vec<Lock> {
    let mut sorted = Vec::new();
    for lock in locks {
        sorted.push(*lock);
        place_last(&mut sorted, |lock| *lock);
    }
    let mut out = Vec::new();
    union(&sorted, |lock| {
        out.push(lock);
        Ok::<(), ()>(())
    })
    .unwrap();
    out
}

/// How each byte is locked.
fn bytes(locks: &[Lock]) -> Vec<Option<Kind>> {
    (0..BYTES)
        .map(|at| {
            let here = |lock: &&Lock| lock.range.start() <= at && at < lock.range.end();
            locks.iter().filter(here).map(|lock| lock.kind).max()
        })
        .collect()
}

/// A server with one handle, by the rules of MS-FSA.
#[derive(Default)]
struct Server {
    locks: Vec<Lock>,
    stacks: bool,
}

impl Server {
    fn lock(&mut self, wanted: Lock) -> bool {
        let mut over = self
            .locks
            .iter()
            .filter(|lock| lock.range.overlaps(wanted.range));
        let may = match wanted.kind {
            Kind::Shared if self.stacks => true,
            Kind::Shared => over.all(|lock| lock.kind == Kind::Shared),
            Kind::Exclusive => over.next().is_none(),
        };
        if may {
            self.locks.push(wanted);
        }
        may
    }

    fn unlock(&mut self, range: Range) -> bool {
        let exclusive = |lock: &Lock| lock.range == range && lock.kind == Kind::Exclusive;
        let at = self
            .locks
            .iter()
            .position(exclusive)
            .or_else(|| self.locks.iter().position(|lock| lock.range == range));
        at.map(|at| self.locks.remove(at)).is_some()
    }
}

/// Runs the plan to its end, or through `most` steps; says how each byte was locked meanwhile.
fn run(server: &mut Server, held: &mut Vec<Lock>, wanted: &[Lock], most: usize) -> Vec<Step> {
    let mut steps = Vec::new();
    while let Some(step) = next_step(held, wanted, server.stacks) {
        if steps.len() == most {
            break;
        }
        match step {
            Step::Lock(lock) => {
                assert!(server.lock(lock), "{lock:?} refused with {held:?}");
                held.push(lock);
                place_last(held, |lock| *lock);
            }
            Step::Unlock(range) => {
                assert!(server.unlock(range), "{range:?} is not locked");
                held.remove(unlocked(held, range).unwrap());
            }
        }
        assert!(held.iter().all(|lock| server.locks.contains(lock)));
        assert_eq!(held.len(), server.locks.len());
        steps.push(step);
        assert!(steps.len() < 500, "no end");
    }
    steps
}

fn any_lock() -> impl Strategy<Value = Lock> {
    (0..BYTES, 1..BYTES, any::<bool>()).prop_map(|(start, len, exclusive)| {
        let kind = if exclusive {
            Kind::Exclusive
        } else {
            Kind::Shared
        };
        lock(start, (start + len).min(BYTES), kind)
    })
}

fn some() -> impl Strategy<Value = Vec<Lock>> {
    prop::collection::vec(any_lock(), 0..6)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(10000))]

    #[test]
    fn union_is_that_of_the_bytes(locks in some()) {
        let union = union_of(&locks);
        prop_assert_eq!(bytes(&union), bytes(&locks));
        for pair in union.windows(2) {
            prop_assert!(pair[0].range.end() <= pair[1].range.start());
            let joined = pair[0].range.end() == pair[1].range.start();
            prop_assert!(!joined || pair[0].kind != pair[1].kind);
        }
    }

    /// Any plans one after the other, each left early or not: what is wanted is held in the end, and what can
    /// stay locked stays locked.
    #[test]
    fn plans_come_to_what_is_wanted(
        rounds in prop::collection::vec((some(), prop_oneof![3 => Just(500usize), 1 => 0usize..4]), 1..6),
        stacks in any::<bool>(),
    ) {
        let mut server = Server { stacks, ..Server::default() };
        let mut held = Vec::new();
        for (claims, most) in rounds {
            let wanted = union_of(&claims);
            let before = (bytes(&server.locks), held.clone());
            let steps = run(&mut server, &mut held, &wanted, most);
            if steps.len() < most {
                prop_assert_eq!(bytes(&server.locks), bytes(&wanted));
            }
            // Again, to look at every moment.
            let mut replay = Server { locks: before.1.clone(), stacks };
            let goal = bytes(&wanted);
            let keeps = |at: u64| before.1.iter().any(|lock| {
                let inside = |all: &Lock| all.kind == lock.kind && all.range.contains(lock.range);
                lock.range.start() <= at && at < lock.range.end() && wanted.iter().any(inside)
            });
            let mut given_up = false;
            for step in &steps {
                match step {
                    Step::Lock(lock) => {
                        let fresh = (lock.range.start()..lock.range.end())
                            .all(|at| before.0[at as usize].is_none());
                        prop_assert!(!fresh || !given_up, "given up before {:?}", lock);
                        prop_assert!(replay.lock(*lock));
                    }
                    Step::Unlock(range) => {
                        given_up = true;
                        prop_assert!(replay.unlock(*range));
                    }
                }
                let now = bytes(&replay.locks);
                for at in 0..BYTES {
                    let i = at as usize;
                    let was = before.0[i].is_some();
                    if was && goal[i] == Some(Kind::Shared) && stacks {
                        prop_assert!(now[i].is_some(), "byte {} was unlocked", at);
                    }
                    if keeps(at) {
                        prop_assert!(now[i] >= goal[i], "byte {} was weakened", at);
                    }
                }
            }
        }
    }

    #[test]
    fn without_is_the_rest(a in any_lock(), b in any_lock()) {
        let (before, after) = a.range.without(b.range);
        let rest: Vec<Lock> = [before, after]
            .into_iter()
            .flatten()
            .map(|range| Lock { range, ..a })
            .collect();
        let cut = bytes(&[Lock { kind: a.kind, ..b }]);
        let wanted: Vec<_> = bytes(&[a]).into_iter().zip(cut).map(|(a, b)| a.filter(|_| b.is_none())).collect();
        prop_assert_eq!(bytes(&rest), wanted);
    }
}

#[test]
fn usual_cases() {
    use Kind::{Exclusive, Shared};
    let plan = |held: &[Lock], wanted: &[Lock]| {
        let mut server = Server {
            locks: held.to_vec(),
            stacks: true,
        };
        run(&mut server, &mut held.to_vec(), wanted, 500)
    };
    // Nothing to do; a lock; an unlock.
    assert_eq!(plan(&[], &[]), []);
    assert_eq!(
        plan(&[], &[lock(3, 9, Exclusive)]),
        [Step::Lock(lock(3, 9, Exclusive))]
    );
    let all = Lock {
        range: Range::ALL,
        kind: Exclusive,
    };
    assert_eq!(Range::ALL.len(), END);
    assert_eq!(plan(&[all], &[]), [Step::Unlock(Range::ALL)]);
    // To less without a gap.
    assert_eq!(
        plan(&[lock(0, 9, Exclusive)], &[lock(0, 9, Shared)]),
        [
            Step::Lock(lock(0, 9, Shared)),
            Step::Unlock(Range::new(0, 9).unwrap())
        ]
    );
    // To more, with one.
    assert_eq!(
        plan(&[lock(0, 9, Shared)], &[lock(0, 9, Exclusive)]),
        [
            Step::Unlock(Range::new(0, 9).unwrap()),
            Step::Lock(lock(0, 9, Exclusive))
        ]
    );
    // A hole in a shared lock: both sides stay locked.
    assert_eq!(
        plan(
            &[lock(0, 9, Shared)],
            &[lock(0, 3, Shared), lock(6, 9, Shared)]
        ),
        [
            Step::Lock(lock(0, 3, Shared)),
            Step::Lock(lock(6, 9, Shared)),
            Step::Unlock(Range::new(0, 9).unwrap())
        ]
    );
    // A plan that was left after the shared lock was laid over the exclusive one: that stays.
    let both = [lock(0, 9, Exclusive), lock(0, 9, Shared)];
    assert_eq!(plan(&both, &[lock(0, 9, Exclusive)]), []);
    let unlock = Step::Unlock(Range::new(0, 9).unwrap());
    assert_eq!(plan(&both, &[]), [unlock, unlock]);
    // Next to each other: the first is left alone.
    assert_eq!(
        plan(&[lock(0, 3, Exclusive)], &[lock(0, 9, Exclusive)]),
        [Step::Lock(lock(3, 9, Exclusive))]
    );
}

#[test]
fn ranges_are_never_empty_or_beyond_the_end() {
    assert_eq!(Range::new(4, 4), None);
    assert_eq!(Range::new(5, 4), None);
    assert_eq!(Range::new(0, END + 1), None);
    assert_eq!(Range::new(END - 1, END).map(Range::len), Some(1));
}
