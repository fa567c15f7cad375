// SPDX-License-Identifier: GPL-2.0
//! When a mount that works should move to another target all the same: back to the one its referral
//! prefers, or away from one that its referral does not list any more.

use crate::time::{Instant, Span};

/// How long after a probe that failed the next one is made.
pub const PROBE: Span = Span::ms(5000);

/// Where a mount is, by the referrals that lead to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Where {
    /// On the preferred target, or on one that need not be left.
    Home,
    /// On another one, though it should return.
    Away,
    /// On one that is not listed.
    Delisted,
}

/// What to do now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// Nothing.
    Rest,
    /// Bring up the whole stack on the target to move to, and tell [`Homing::probed`].
    Probe,
    /// Give up the target that was brought up: it is not needed.
    Drop,
    /// Move to it.
    Move,
}

/// The state of one mount. The caller holds the target that was brought up, its *candidate*.
#[derive(Clone, Copy, Debug, Default)]
pub struct Homing {
    since: Option<Instant>,
    next: Instant,
}

impl Homing {
    /// What to do at `now`.
    ///
    /// `stands`: the candidate has not been lost since it was brought up. `quiet`: nothing is open that
    /// the user does not want to be moved. `after`: how long the preferred target must have been good.
    pub fn step(
        &mut self,
        now: Instant,
        place: Where,
        stands: bool,
        quiet: bool,
        after: Span,
    ) -> Step {
        let Some(since) = self.since else {
            return match place {
                Where::Home => Step::Rest,
                _ if now < self.next => Step::Rest,
                _ => Step::Probe,
            };
        };
        if !stands || place == Where::Home {
            self.since = None;
            self.next = if stands { now } else { now.after(PROBE) };
            return Step::Drop;
        }
        let good = now.since(since);
        let ready = match place {
            Where::Delisted => true,
            _ => quiet && good >= after,
        };
        match ready {
            true => Step::Move,
            false => Step::Rest,
        }
    }

    /// A probe that began with [`Step::Probe`], or a [`Step::Move`], has ended: `up` if there is a
    /// candidate now.
    pub fn probed(&mut self, now: Instant, up: bool) {
        self.since = up.then_some(now);
        self.next = now.after(PROBE);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const AFTER: Span = Span::ms(30_000);

    fn at(ms: u64) -> Instant {
        Instant(ms)
    }

    #[test]
    fn returns_after_the_preferred_target_was_good_long_enough() {
        let mut homing = Homing::default();
        assert_eq!(
            homing.step(at(1000), Where::Home, false, true, AFTER),
            Step::Rest
        );
        assert_eq!(
            homing.step(at(2000), Where::Away, false, true, AFTER),
            Step::Probe
        );
        homing.probed(at(2100), false);
        assert_eq!(
            homing.step(at(7000), Where::Away, false, true, AFTER),
            Step::Rest
        );
        assert_eq!(
            homing.step(at(7100), Where::Away, false, true, AFTER),
            Step::Probe
        );
        homing.probed(at(7200), true);
        assert_eq!(
            homing.step(at(37_199), Where::Away, true, true, AFTER),
            Step::Rest
        );
        assert_eq!(
            homing.step(at(37_200), Where::Away, true, false, AFTER),
            Step::Rest
        );
        assert_eq!(
            homing.step(at(38_000), Where::Away, true, true, AFTER),
            Step::Move
        );
        homing.probed(at(38_100), false);
        assert_eq!(
            homing.step(at(39_000), Where::Home, false, true, AFTER),
            Step::Rest
        );
    }

    #[test]
    fn a_candidate_that_dies_starts_the_time_anew() {
        let mut homing = Homing::default();
        assert_eq!(
            homing.step(at(0), Where::Away, false, true, AFTER),
            Step::Probe
        );
        homing.probed(at(0), true);
        assert_eq!(
            homing.step(at(29_000), Where::Away, false, true, AFTER),
            Step::Drop
        );
        assert_eq!(
            homing.step(at(30_000), Where::Away, false, true, AFTER),
            Step::Rest
        );
        assert_eq!(
            homing.step(at(34_000), Where::Away, false, true, AFTER),
            Step::Probe
        );
        homing.probed(at(34_000), true);
        assert_eq!(
            homing.step(at(63_999), Where::Away, true, true, AFTER),
            Step::Rest
        );
        assert_eq!(
            homing.step(at(64_000), Where::Away, true, true, AFTER),
            Step::Move
        );
    }

    #[test]
    fn a_candidate_that_is_not_needed_is_dropped() {
        let mut homing = Homing::default();
        homing.probed(at(0), true);
        assert_eq!(
            homing.step(at(1), Where::Home, true, true, AFTER),
            Step::Drop
        );
        assert_eq!(
            homing.step(at(2), Where::Home, false, true, AFTER),
            Step::Rest
        );
    }

    #[test]
    fn a_delisted_target_is_left_as_soon_as_there_is_another() {
        let mut homing = Homing::default();
        assert_eq!(
            homing.step(at(0), Where::Delisted, false, false, AFTER),
            Step::Probe
        );
        homing.probed(at(10), false);
        assert_eq!(
            homing.step(at(20), Where::Delisted, false, false, AFTER),
            Step::Rest
        );
        assert_eq!(
            homing.step(at(5010), Where::Delisted, false, false, AFTER),
            Step::Probe
        );
        homing.probed(at(5020), true);
        assert_eq!(
            homing.step(at(5030), Where::Delisted, true, false, AFTER),
            Step::Move
        );
    }
}
