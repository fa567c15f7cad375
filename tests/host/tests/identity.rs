// SPDX-License-Identifier: GPL-2.0
//! Which file stands for the one that was open, on the same server, on one storage, on replicas.

use proptest::prelude::*;
use rsdfs_proto::identity::{Face, Known, Likeness, Rule};

const HERE: u64 = 1;
const THERE: u64 = 2;

const FILE: Face = Face {
    id: 70,
    birth: 1000,
    size: 4096,
    write: 2000,
    oldest: 1500,
    dir: false,
};

fn known() -> Known {
    Known::new(FILE, HERE)
}

#[test]
fn on_one_storage_number_and_age_decide() {
    let mut known = known();
    known.wrote(10_000);
    let written = Face {
        size: 20_000,
        write: 9000,
        ..FILE
    };
    assert_eq!(known.compare(&written, HERE), Likeness::Same);
    assert_eq!(known.compare(&written, THERE), Likeness::Same);
    // The number was given to another file.
    let reused = Face {
        birth: 3000,
        ..FILE
    };
    assert_eq!(known.compare(&reused, HERE), Likeness::Other);
}

#[test]
fn an_age_that_is_made_up_may_move() {
    let made_up = |birth| Face {
        birth,
        oldest: birth,
        ..FILE
    };
    let known = Known::new(made_up(1500), HERE);
    assert_eq!(known.compare(&made_up(1700), THERE), Likeness::Same);
    assert_eq!(known.compare(&made_up(1300), THERE), Likeness::Similar);
    assert_eq!(
        known.compare(
            &Face {
                birth: 1700,
                ..FILE
            },
            THERE
        ),
        Likeness::Similar
    );
    let other = Face {
        id: 5,
        ..made_up(1700)
    };
    assert_eq!(known.compare(&other, THERE), Likeness::Similar);
}

#[test]
fn a_copy_put_in_its_place_is_another_file() {
    let copy = Face { id: 71, ..FILE };
    assert_eq!(known().compare(&copy, HERE), Likeness::Similar);
    assert_eq!(known().compare(&copy, THERE), Likeness::Same);
}

#[test]
fn a_replica_is_the_same_with_age_size_and_time() {
    let replica = Face { id: 5, ..FILE };
    assert_eq!(known().compare(&replica, THERE), Likeness::Same);
    for other in [
        Face {
            birth: 1001,
            ..replica
        },
        Face {
            write: 2001,
            ..replica
        },
    ] {
        assert_eq!(known().compare(&other, THERE), Likeness::Similar);
    }
    let longer = Face {
        size: 4097,
        ..replica
    };
    assert_eq!(known().compare(&longer, THERE), Likeness::Other);
    let folder = Face {
        dir: true,
        ..replica
    };
    assert_eq!(known().compare(&folder, THERE), Likeness::Other);
}

#[test]
fn a_replica_without_what_was_written_is_not_the_same() {
    let replica = Face { id: 5, ..FILE };
    let mut inside = known();
    inside.wrote(100);
    assert_eq!(inside.compare(&replica, THERE), Likeness::Similar);
    let mut longer = known();
    longer.wrote(5000);
    assert_eq!(longer.compare(&replica, THERE), Likeness::Other);
    let mut cut = known();
    cut.resized(0);
    assert_eq!(cut.compare(&replica, THERE), Likeness::Other);
}

#[test]
fn an_answer_older_than_a_write_settles_nothing() {
    let mut known = known();
    let mark = known.mark();
    known.wrote(5000);
    known.learn(FILE, HERE, mark);
    let replica = Face { id: 5, ..FILE };
    assert_eq!(known.compare(&replica, THERE), Likeness::Other);
    let now = Face {
        size: 5000,
        write: 2500,
        ..FILE
    };
    known.learn(now, HERE, known.mark());
    assert_eq!(known.compare(&Face { id: 5, ..now }, THERE), Likeness::Same);
}

#[test]
fn a_replica_that_was_not_written_since_it_was_made_is_only_similar() {
    let fresh = Face {
        birth: 2000,
        ..FILE
    };
    let replica = Face { id: 5, ..fresh };
    let known = Known::new(fresh, HERE);
    assert_eq!(known.compare(&replica, THERE), Likeness::Similar);
    assert_eq!(known.compare(&fresh, THERE), Likeness::Same);
}

#[test]
fn rules() {
    let wanted = [
        (Rule::Strict, [true, false, false]),
        (Rule::SameSize, [true, true, false]),
        (Rule::Any, [true, true, true]),
    ];
    for (rule, accepted) in wanted {
        let all = [Likeness::Same, Likeness::Similar, Likeness::Other];
        assert_eq!(all.map(|likeness| rule.accepts(likeness)), accepted);
        assert_eq!(Rule::named(rule.name()), Some(rule));
    }
    assert_eq!(Rule::named("Any"), None);
}

fn face() -> impl Strategy<Value = Face> {
    let times = (0u64..3, 0u64..3, 0u64..3);
    let all = (0u64..3, 0u64..3, times, any::<bool>());
    all.prop_map(|(id, size, (birth, write, oldest), dir)| Face {
        id,
        birth,
        size,
        write,
        oldest,
        dir,
    })
}

proptest! {
    #[test]
    fn never_another_age_or_kind(a in face(), b in face(), writes in prop::collection::vec(0u64..4, 0..3), origin in 1u64..3) {
        let mut known = Known::new(a, HERE);
        for end in &writes {
            known.wrote(*end);
        }
        let likeness = known.compare(&b, origin);
        if likeness == Likeness::Same {
            let numbered = a.id != 0 && a.id == b.id;
            let moved = numbered && a.birth == a.oldest && b.birth == b.oldest && a.birth < b.birth;
            prop_assert!(a.dir == b.dir && (a.birth == b.birth || moved));
            // Without the number, nothing was written, and nothing differs.
            prop_assert!(numbered || writes.is_empty() && (a.size, a.write) == (b.size, b.write));
            prop_assert!(numbered || origin != HERE || a.id == 0 || b.id == 0);
        }
        if numbered_twin(&a, &b) {
            prop_assert_eq!(likeness, Likeness::Same);
        }
    }
}

fn numbered_twin(a: &Face, b: &Face) -> bool {
    a.id != 0 && (a.id, a.birth, a.dir) == (b.id, b.birth, b.dir)
}
