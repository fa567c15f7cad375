// SPDX-License-Identifier: GPL-2.0
//! The index of the referral cache against a plain model, and what it costs as it grows.

use proptest::prelude::*;
use rsdfs_proto::dfs::index::{next_size, Index, Node, Storage};
use rsdfs_proto::time::Instant;
use std::collections::HashMap;

type Plain = Index<Vec<Node>, Vec<u32>>;

fn room(slots: usize, buckets: usize) -> Storage<Vec<Node>, Vec<u32>> {
    Storage {
        nodes: vec![Node::FREE; slots],
        buckets: vec![0; buckets],
        heap: vec![0; slots],
    }
}

fn full(slots: usize) -> Plain {
    let mut index = Plain::default();
    index.grow(room(slots, slots.next_power_of_two()));
    index
}

/// What the index should say: slot -> (hash, due), and slots by use, the last first.
#[derive(Default)]
struct Model {
    slots: HashMap<usize, (u64, u64)>,
    used: Vec<usize>,
}

fn compare(index: &Plain, model: &Model) {
    assert_eq!(index.len(), model.slots.len());
    assert!(index.slots().eq(model.used.iter().copied()));
    assert_eq!(index.oldest(), model.used.last().copied());
    let first = model.slots.values().map(|(_, due)| *due).min();
    assert_eq!(index.first_due().map(|(_, due)| due.0), first);
    if let Some((slot, due)) = index.first_due() {
        assert_eq!(model.slots[&slot].1, due.0);
    }
    for (slot, (hash, due)) in &model.slots {
        assert_eq!(index.due(*slot), Some(Instant(*due)));
        assert_eq!(index.find(*hash, |at| at == *slot), Some(*slot));
    }
}

#[derive(Clone, Debug)]
enum Step {
    Insert(u64, u64),
    Remove(usize),
    Touch(usize),
    Due(usize, u64),
    Grow,
    Clear,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        8 => (0u64..40, 0u64..100).prop_map(|(h, d)| Step::Insert(h, d)),
        4 => any::<usize>().prop_map(Step::Remove),
        4 => any::<usize>().prop_map(Step::Touch),
        6 => (any::<usize>(), 0u64..100).prop_map(|(s, d)| Step::Due(s, d)),
        2 => Just(Step::Grow),
        1 => Just(Step::Clear),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn like_the_model(steps in prop::collection::vec(step(), 1..120)) {
        let mut index = Plain::default();
        let mut model = Model::default();
        let mut size = 0;
        for step in steps {
            let pick = |n: usize| model.used.get(n % model.used.len().max(1)).copied();
            match step {
                Step::Insert(hash, due) => {
                    let slot = index.insert(hash, Instant(due));
                    prop_assert_eq!(slot.is_none(), model.slots.len() == size);
                    if let Some(slot) = slot {
                        prop_assert!(slot < size);
                        prop_assert!(model.slots.insert(slot, (hash, due)).is_none());
                        model.used.insert(0, slot);
                    }
                }
                Step::Remove(n) => {
                    if let Some(slot) = pick(n) {
                        index.remove(slot);
                        model.slots.remove(&slot);
                        model.used.retain(|s| *s != slot);
                        prop_assert_eq!(index.due(slot), None);
                        // Once more changes nothing.
                        index.remove(slot);
                    }
                }
                Step::Touch(n) => {
                    if let Some(slot) = pick(n) {
                        index.touch(slot);
                        model.used.retain(|s| *s != slot);
                        model.used.insert(0, slot);
                    }
                }
                Step::Due(n, due) => {
                    if let Some(slot) = pick(n) {
                        index.set_due(slot, Instant(due));
                        model.slots.get_mut(&slot).unwrap().1 = due;
                    }
                }
                Step::Grow => {
                    size = size * 2 + 3;
                    let old = index.grow(room(size, size.next_power_of_two()));
                    prop_assert!(old.nodes.len() < size);
                }
                Step::Clear => {
                    index.clear();
                    model = Model::default();
                }
            }
            prop_assert_eq!(index.capacity(), size);
            compare(&index, &model);
        }
    }
}

#[test]
fn storage_that_does_not_fit_is_given_back() {
    let mut index = full(8);
    for (slots, buckets) in [(8, 8), (4, 4), (16, 12), (16, 0)] {
        assert_eq!(index.grow(room(slots, buckets)).nodes.len(), slots);
        assert_eq!(index.capacity(), 8);
    }
    let mut uneven = room(16, 16);
    uneven.heap.pop();
    assert_eq!(index.grow(uneven).nodes.len(), 16);
}

#[test]
fn without_storage_there_is_nothing() {
    let mut index = Plain::default();
    assert_eq!(index.insert(1, Instant(1)), None);
    assert_eq!(index.find(1, |_| true), None);
    assert_eq!((index.oldest(), index.first_due()), (None, None));
    index.touch(0);
    index.remove(0);
    index.set_due(0, Instant(1));
    index.clear();
    assert!(index.is_empty());
}

#[test]
fn sizes() {
    assert_eq!(next_size(0, 64_000), Some((64, 64)));
    assert_eq!(next_size(64, 64_000), Some((128, 128)));
    assert_eq!(next_size(32_768, 64_000), Some((64_000, 65_536)));
    assert_eq!(next_size(64_000, 64_000), None);
    assert_eq!(next_size(0, 16), Some((16, 16)));
}

/// A full cache that keeps taking in new entries looks at one entry for each it puts out.
#[test]
fn a_full_index_evicts_in_the_order_of_use() {
    let hash = |n: u64| n.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 16;
    let mut index = full(64_000);
    for n in 0..64_000u64 {
        assert!(index.insert(hash(n), Instant(n)).is_some());
    }
    assert_eq!(index.insert(1, Instant(1)), None);
    for n in 0..200_000u64 {
        let oldest = index.oldest().unwrap();
        let mut asked = 0;
        let found = index.find(hash(n), |slot| {
            asked += 1;
            slot == oldest
        });
        assert_eq!((found, asked), (Some(oldest), 1));
        index.remove(oldest);
        assert_eq!(index.insert(hash(n + 64_000), Instant(n)), Some(oldest));
    }
}
