// SPDX-License-Identifier: GPL-2.0
//! Whether a request whose answer was lost took effect: what there is now tells, by what was known before.
//!
//! A request that makes something gives it a *mark*, a time of creation that nothing else has. One that
//! takes a name away is judged by what had that name. Where a thing that is there could be the work of
//! somebody else as well as ours, the verdict is [`Verdict::Unknown`].

/// How far two clocks may be apart, in 100 ns.
const SLACK: u64 = 10_000_000;

/// The part of a mark that is random. What it spans is a tenth of a second.
const RANDOM: u64 = (1 << 20) - 1;

/// What a server says about a file or directory.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Thing {
    /// The server's number for it; 0 if it has none.
    pub id: u64,
    /// Creation, as a FILETIME.
    pub created: u64,
    /// Last write, as a FILETIME.
    pub written: u64,
    /// End of file, in bytes.
    pub size: u64,
}

impl Thing {
    /// Whether both tell of one file, or of replicas of it: the same number and age, as servers of one
    /// storage give them, or the same size and times.
    pub const fn is_twin(&self, other: &Self) -> bool {
        let numbered = self.id != 0 && self.id == other.id;
        let alike = self.size == other.size && self.written == other.written;
        self.created == other.created && (numbered || alike)
    }
}

/// When a request was on its way that was not answered, by the server's clock, as FILETIMEs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Doubt {
    /// When it was sent first.
    pub sent: u64,
    /// When the last connection that it was sent on was lost.
    pub lost: u64,
}

impl Doubt {
    /// Whether what was created at `time` may be the work of the request, as far as clocks tell.
    const fn covers(&self, time: u64) -> bool {
        time.saturating_add(SLACK) >= self.sent && time <= self.lost.saturating_add(SLACK)
    }

    /// Whether what was created at `time` is younger than the request.
    const fn precedes(&self, time: u64) -> bool {
        time >= self.sent
    }
}

/// What became of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It took effect: to repeat it would be wrong.
    Took,
    /// It did not: it is to be sent again.
    DidNot,
    /// That cannot be known.
    Unknown,
}

/// The mark for what is made at `now`, a FILETIME of the server's clock; `random` are any bits.
pub const fn mark(now: u64, random: u64) -> u64 {
    (now & !RANDOM) | (random & RANDOM)
}

/// Whether something was made that bears `mark`, when `there` is what has its name now. It is the first
/// of its name: a request of this kind fails if there is one.
pub const fn made(mark: u64, doubt: &Doubt, there: Option<&Thing>) -> Verdict {
    match there {
        None => Verdict::DidNot,
        Some(thing) if thing.created == mark => Verdict::Took,
        // Made in that time, and without a mark: by somebody else, or by a server that died, or would
        // not go on, between making and marking.
        Some(thing) if thing.size == 0 && doubt.covers(thing.created) => Verdict::Unknown,
        Some(_) => Verdict::DidNot,
    }
}

/// Whether the name of `victim` was taken away, when `there` is what has that name now.
pub const fn removed(victim: &Thing, doubt: &Doubt, there: Option<&Thing>) -> Verdict {
    match there {
        None => Verdict::Took,
        Some(thing) if thing.is_twin(victim) => Verdict::DidNot,
        // Only when the name was free could it be taken.
        Some(thing) if doubt.precedes(thing.created) => Verdict::Took,
        Some(_) => Verdict::Unknown,
    }
}

/// Whether `moved` was renamed, when `from` and `to` are what has its old and its new name now.
pub fn renamed(moved: &Thing, from: Option<&Thing>, to: Option<&Thing>) -> Verdict {
    let is_it = |thing: Option<&Thing>| thing.is_some_and(|thing| thing.is_twin(moved));
    match (is_it(from), is_it(to)) {
        // With two names it may have two links, or one in two spellings: once more does no harm.
        (true, _) => Verdict::DidNot,
        (false, true) => Verdict::Took,
        (false, false) => Verdict::Unknown,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: u64 = 133_000_000_000_000_000;
    const DOUBT: Doubt = Doubt {
        sent: NOW,
        lost: NOW + SLACK,
    };

    fn thing(id: u64, created: u64) -> Thing {
        Thing {
            id,
            created,
            written: created,
            size: 0,
        }
    }

    #[test]
    fn a_mark_is_close_to_the_time_it_stands_for() {
        for random in [0, 1, RANDOM, u64::MAX, 0x1234_5678_9abc_def0] {
            let mark = mark(NOW, random);
            assert!(mark.abs_diff(NOW) <= RANDOM);
            assert_eq!(mark & RANDOM, random & RANDOM);
        }
    }

    #[test]
    fn what_bears_the_mark_was_made() {
        let mark = mark(NOW, 77);
        assert_eq!(made(mark, &DOUBT, None), Verdict::DidNot);
        assert_eq!(made(mark, &DOUBT, Some(&thing(5, mark))), Verdict::Took);
    }

    #[test]
    fn what_was_there_before_or_has_content_is_somebody_elses() {
        let mark = mark(NOW, 77);
        let old = thing(5, NOW - 10 * SLACK);
        assert_eq!(made(mark, &DOUBT, Some(&old)), Verdict::DidNot);
        let late = thing(5, DOUBT.lost + 10 * SLACK);
        assert_eq!(made(mark, &DOUBT, Some(&late)), Verdict::DidNot);
        let full = Thing {
            size: 1,
            ..thing(5, NOW + 1)
        };
        assert_eq!(made(mark, &DOUBT, Some(&full)), Verdict::DidNot);
    }

    #[test]
    fn what_is_new_and_not_marked_cannot_be_told() {
        let mark = mark(NOW, 77);
        for created in [NOW - SLACK, NOW, NOW + 1, DOUBT.lost + SLACK] {
            if created != mark {
                assert_eq!(
                    made(mark, &DOUBT, Some(&thing(5, created))),
                    Verdict::Unknown
                );
            }
        }
    }

    #[test]
    fn a_removed_name_is_free_or_taken_by_something_younger() {
        let victim = thing(5, NOW - 50 * SLACK);
        assert_eq!(removed(&victim, &DOUBT, None), Verdict::Took);
        assert_eq!(removed(&victim, &DOUBT, Some(&victim)), Verdict::DidNot);
        // Written to meanwhile, but the same number and age.
        let written = Thing {
            size: 9,
            written: NOW,
            ..victim
        };
        assert_eq!(removed(&victim, &DOUBT, Some(&written)), Verdict::DidNot);
        let younger = thing(6, NOW + 1);
        assert_eq!(removed(&victim, &DOUBT, Some(&younger)), Verdict::Took);
        let other = thing(6, NOW - 40 * SLACK);
        assert_eq!(removed(&victim, &DOUBT, Some(&other)), Verdict::Unknown);
    }

    #[test]
    fn a_number_that_is_used_again_is_another_thing() {
        let victim = thing(5, NOW - 50 * SLACK);
        let reused = thing(5, NOW + 1);
        assert_eq!(removed(&victim, &DOUBT, Some(&reused)), Verdict::Took);
    }

    #[test]
    fn replicas_are_known_by_size_and_times() {
        let here = thing(5, NOW - 50 * SLACK);
        let there = Thing { id: 99, ..here };
        assert!(here.is_twin(&there));
        assert_eq!(renamed(&here, Some(&there), None), Verdict::DidNot);
        assert_eq!(renamed(&here, None, Some(&there)), Verdict::Took);
        assert!(!here.is_twin(&Thing { size: 1, ..there }));
    }

    #[test]
    fn a_rename_is_told_by_where_the_thing_is() {
        let (it, other) = (thing(5, NOW - 50 * SLACK), thing(6, NOW - 40 * SLACK));
        assert_eq!(renamed(&it, Some(&it), None), Verdict::DidNot);
        assert_eq!(renamed(&it, Some(&it), Some(&other)), Verdict::DidNot);
        assert_eq!(renamed(&it, None, Some(&it)), Verdict::Took);
        // The old name was taken by somebody since.
        assert_eq!(renamed(&it, Some(&other), Some(&it)), Verdict::Took);
        assert_eq!(renamed(&it, Some(&it), Some(&it)), Verdict::DidNot);
        assert_eq!(renamed(&it, None, None), Verdict::Unknown);
        assert_eq!(renamed(&it, None, Some(&other)), Verdict::Unknown);
    }
}
