// SPDX-License-Identifier: GPL-2.0
//! The order in which the hosts of a service are tried (RFC 2782).

/// What decides about a host.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rank {
    /// The lowest is tried first.
    pub priority: u16,
    /// How often to choose it among those with the same priority.
    pub weight: u16,
}

/// Puts `hosts` in order: by priority, and among equals at random, those of more weight more often
/// first. `random` gives any number.
pub fn order<T>(hosts: &mut [T], rank: impl Fn(&T) -> Rank, mut random: impl FnMut() -> u32) {
    let mut rest = hosts;
    while let Some(lowest) = rest.iter().map(|host| rank(host).priority).min() {
        // One more than their weight, so that those of none have a chance, too.
        let chance = |host: &T| match rank(host) {
            Rank { priority, weight } if priority == lowest => u32::from(weight).saturating_add(1),
            _ => 0,
        };
        let total = rest.iter().map(chance).fold(0, u32::saturating_add);
        let left = random().checked_rem(total).unwrap_or(0);
        let mut passed = 0u32;
        let chosen = rest.iter().position(|host| {
            passed = passed.saturating_add(chance(host));
            left < passed
        });
        rest.swap(0, chosen.unwrap_or(0));
        rest = rest.split_first_mut().map_or(&mut [], |(_, rest)| rest);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::vec::Vec;

    fn ordered(hosts: &[(u16, u16)], mut seed: u32) -> Vec<(u16, u16)> {
        let mut hosts = hosts.to_vec();
        let rank = |&(priority, weight): &(u16, u16)| Rank { priority, weight };
        order(&mut hosts, rank, || {
            seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            seed >> 8
        });
        hosts
    }

    #[test]
    fn priority_comes_first() {
        let hosts = ordered(&[(10, 0), (0, 5), (20, 100), (0, 7)], 1);
        let priorities: Vec<_> = hosts.iter().map(|host| host.0).collect();
        assert_eq!(priorities, [0, 0, 10, 20]);
        assert_eq!(ordered(&[], 1), []);
    }

    #[test]
    fn weight_is_how_often() {
        let first = |seed| {
            ordered(&[(0, 99), (0, 299), (0, 0)], seed)
                .first()
                .map(|host| host.1)
        };
        let mut counts = [0u32; 3];
        for seed in 0..4000 {
            match first(seed) {
                Some(99) => counts[0] = counts[0].saturating_add(1),
                Some(299) => counts[1] = counts[1].saturating_add(1),
                _ => counts[2] = counts[2].saturating_add(1),
            }
        }
        assert!((700..1300).contains(&counts[0]), "{counts:?}");
        assert!((2700..3300).contains(&counts[1]), "{counts:?}");
    }
}
