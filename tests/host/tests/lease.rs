// SPDX-License-Identifier: GPL-2.0
//! Whatever the order in which the answers to CREATEs are read: in the end the client holds what the server has given.

use proptest::prelude::*;
use rsdfs_proto::lease::Holding;
use rsdfs_proto::smb2::context::{lease_state, Lease, LeaseV2};

/// What a server does to a lease.
#[derive(Clone, Debug)]
enum Change {
    /// Answers a CREATE with more rights, or the same. The answer is read after so many further changes.
    Grant(u32, usize),
    /// Takes rights away. That is heard of at once.
    Take(u32),
}

fn change() -> impl Strategy<Value = Change> {
    prop_oneof![
        (0u32..8, 0usize..6).prop_map(|(state, late)| Change::Grant(state, late)),
        (0u32..8).prop_map(Change::Take),
    ]
}

fn lease(state: u32, epoch: u16) -> Lease {
    let parent = [0; 16];
    Lease {
        key: [1; 16],
        state,
        flags: 0,
        v2: Some(LeaseV2 { parent, epoch }),
    }
}

proptest! {
    #[test]
    fn late_answers_change_nothing_that_is_newer(first in any::<u16>(), changes in prop::collection::vec(change(), 1..40)) {
        let (mut state, mut epoch) = (lease_state::NONE, first);
        let mut held = Holding::new(true);
        let mut late: Vec<(usize, Lease)> = Vec::new();
        for (now, change) in changes.iter().enumerate() {
            match change {
                Change::Grant(more, after) => {
                    if state | more != state {
                        state |= more;
                        epoch = epoch.wrapping_add(1);
                    }
                    late.push((now + after, lease(state, epoch)));
                }
                Change::Take(rights) => {
                    let new = state & !rights;
                    if new != state {
                        epoch = epoch.wrapping_add(1);
                        let loss = held.broken(state, new, epoch);
                        prop_assert_eq!(loss.write, state & !new & lease_state::WRITE != 0);
                        prop_assert_eq!(loss.read, state & !new & lease_state::READ != 0);
                        state = new;
                        prop_assert_eq!(held.state(), new);
                    }
                }
            }
            late.retain(|(at, lease)| {
                if *at <= now {
                    held.granted(lease);
                }
                *at > now
            });
            // Nothing is held that the server has taken.
            prop_assert_eq!(held.state() & !state, 0);
        }
        for (_, lease) in late {
            held.granted(&lease);
        }
        prop_assert_eq!(held.state(), state);
    }
}
