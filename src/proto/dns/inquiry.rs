// SPDX-License-Identifier: GPL-2.0
//! Which name server is asked when, until two questions are answered or nobody is left to ask.
//!
//! The servers are asked in order, each with a head start over the next, and all of them again while
//! nobody answers, at growing intervals. What one says counts, whoever was asked since; one that
//! cannot say makes room for the next at once. When one question has found something, the other is
//! waited for only a little.

use super::{files::SERVERS, Verdict};
use crate::time::{Instant, Span};

/// Questions of one inquiry at most: a name for each family, or two names of a service.
pub const QUESTIONS: usize = 2;

/// How long a server is alone before the next is asked; twice as long in each round.
const HEAD_START: Span = Span::ms(200);

/// How long the second answer is waited for when the first found something (RFC 8305 section 3).
const GRACE: Span = Span::ms(50);

/// How often each server is asked at most.
const ROUNDS: u32 = 4;

/// What to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// Put the questions that are [open](Inquiry::is_open) to the server of this index.
    Ask(usize),
    /// Wait for answers, but not longer than until then.
    Wait(Instant),
    /// Nothing more is to be expected.
    Done,
}

/// One question.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Open,
    Found,
    Nothing,
}

/// See the module.
#[derive(Clone, Debug)]
pub struct Inquiry {
    questions: [State; QUESTIONS],
    servers: usize,
    /// Servers that could not say, in this round.
    failed: [bool; SERVERS],
    /// How many times a server was asked.
    asked: u32,
    /// When the next is asked.
    due: Instant,
    /// When to end.
    end: Instant,
}

impl Inquiry {
    /// Begins with `questions` open, to be put to `servers`, and ends after `patience`.
    pub fn new(questions: usize, servers: usize, patience: Span, now: Instant) -> Self {
        let mut states = [State::Nothing; QUESTIONS];
        for (state, _) in states.iter_mut().zip(0..questions) {
            *state = State::Open;
        }
        Self {
            questions: states,
            servers: servers.min(SERVERS),
            failed: [false; SERVERS],
            asked: 0,
            due: now,
            end: now.after(patience),
        }
    }

    /// Whether question `index` has no answer so far.
    pub fn is_open(&self, index: usize) -> bool {
        self.questions.get(index) == Some(&State::Open)
    }

    /// Whether question `index` found something.
    pub fn has_found(&self, index: usize) -> bool {
        self.questions.get(index) == Some(&State::Found)
    }

    /// Whether servers said that there is nothing: to every question.
    pub fn is_nothing(&self) -> bool {
        self.questions.iter().all(|state| *state == State::Nothing)
    }

    /// Server `server` says this about question `index`. What is truncated counts as not said.
    pub fn heard(&mut self, index: usize, server: usize, verdict: Verdict, now: Instant) {
        if !self.is_open(index) {
            return;
        }
        let state = match verdict {
            Verdict::Found => State::Found,
            Verdict::Nothing => State::Nothing,
            Verdict::Truncated | Verdict::Refused => return self.failed(server, now),
        };
        if let Some(slot) = self.questions.get_mut(index) {
            *slot = state;
        }
        if state == State::Found {
            self.end = self.end.min(now.after(GRACE));
        }
    }

    /// Server `server` cannot be reached, or cannot say.
    pub fn failed(&mut self, server: usize, now: Instant) {
        let Some(failed) = self.failed.get_mut(server) else {
            return;
        };
        // Once a round: the answer to the other question will be the same.
        let news = !core::mem::replace(failed, true);
        if news && self.last() == Some(server) {
            self.due = now;
        }
    }

    /// What to do now; to be asked again after it was done.
    pub fn poll(&mut self, now: Instant) -> Step {
        let open = self.questions.contains(&State::Open);
        let Some(next) = self.next().filter(|_| open && now < self.end) else {
            return Step::Done;
        };
        let out = self
            .servers
            .saturating_mul(usize::try_from(ROUNDS).unwrap_or(0));
        let more = self.asked_times() < out;
        if !more || now < self.due {
            return Step::Wait(if more {
                self.due.min(self.end)
            } else {
                self.end
            });
        }
        let round = self.asked_times().checked_div(self.servers).unwrap_or(0);
        if next == 0 {
            if round > 0 && self.all_failed() {
                // All of them answered, and none could say.
                return Step::Done;
            }
            self.failed = [false; SERVERS];
        }
        self.asked = self.asked.saturating_add(1);
        let doublings = u32::try_from(round).unwrap_or(0).min(ROUNDS);
        self.due = now.after(Span(HEAD_START.0.saturating_mul(1 << doublings)));
        Step::Ask(next)
    }

    /// Whether every server could not say in this round.
    fn all_failed(&self) -> bool {
        let mut asked = self.failed.iter().zip(0..self.servers);
        asked.all(|(failed, _)| *failed)
    }

    fn asked_times(&self) -> usize {
        usize::try_from(self.asked).unwrap_or(usize::MAX)
    }

    /// The server that is asked next.
    fn next(&self) -> Option<usize> {
        self.asked_times().checked_rem(self.servers)
    }

    /// The server that was asked last.
    fn last(&self) -> Option<usize> {
        self.asked_times().checked_sub(1)?.checked_rem(self.servers)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asks(inquiry: &mut Inquiry, now: u64, server: usize, until: u64) {
        assert_eq!(inquiry.poll(Instant(now)), Step::Ask(server), "at {now}");
        assert_eq!(
            inquiry.poll(Instant(now)),
            Step::Wait(Instant(until)),
            "at {now}"
        );
    }

    #[test]
    fn silent_servers_are_asked_in_turn() {
        let mut i = Inquiry::new(2, 2, Span::secs(5), Instant(0));
        asks(&mut i, 0, 0, 200);
        asks(&mut i, 200, 1, 400);
        asks(&mut i, 400, 0, 800);
        asks(&mut i, 800, 1, 1200);
        asks(&mut i, 1200, 0, 2000);
        asks(&mut i, 2000, 1, 2800);
        asks(&mut i, 2800, 0, 4400);
        asks(&mut i, 4400, 1, 5000);
        assert_eq!(i.poll(Instant(5000)), Step::Done);
        assert!(!i.is_nothing() && i.is_open(0));
    }

    #[test]
    fn the_other_family_is_waited_for_a_little() {
        let mut i = Inquiry::new(2, 1, Span::secs(5), Instant(0));
        asks(&mut i, 0, 0, 200);
        i.heard(0, 0, Verdict::Found, Instant(10));
        assert_eq!(i.poll(Instant(10)), Step::Wait(Instant(60)));
        i.heard(0, 0, Verdict::Nothing, Instant(11));
        assert!(i.has_found(0) && i.is_open(1));
        assert_eq!(i.poll(Instant(60)), Step::Done);
        let mut i = Inquiry::new(2, 1, Span::secs(5), Instant(0));
        asks(&mut i, 0, 0, 200);
        i.heard(1, 0, Verdict::Nothing, Instant(10));
        assert_eq!(i.poll(Instant(10)), Step::Wait(Instant(200)));
        i.heard(0, 0, Verdict::Nothing, Instant(12));
        assert_eq!(i.poll(Instant(12)), Step::Done);
        assert!(i.is_nothing());
    }

    #[test]
    fn who_cannot_say_makes_room_at_once() {
        let mut i = Inquiry::new(2, 2, Span::secs(5), Instant(0));
        asks(&mut i, 0, 0, 200);
        i.heard(0, 0, Verdict::Refused, Instant(5));
        i.heard(1, 0, Verdict::Refused, Instant(5));
        asks(&mut i, 5, 1, 205);
        i.failed(0, Instant(6));
        assert_eq!(i.poll(Instant(6)), Step::Wait(Instant(205)));
        i.failed(1, Instant(7));
        // Each had its say.
        assert_eq!(i.poll(Instant(7)), Step::Done);
        assert!(!i.is_nothing());
        assert_eq!(
            Inquiry::new(2, 0, Span::secs(5), Instant(0)).poll(Instant(0)),
            Step::Done
        );
    }

    #[test]
    fn a_late_answer_counts() {
        let mut i = Inquiry::new(1, 2, Span::secs(5), Instant(0));
        asks(&mut i, 0, 0, 200);
        asks(&mut i, 200, 1, 400);
        i.failed(1, Instant(310));
        asks(&mut i, 310, 0, 710);
        i.heard(0, 1, Verdict::Found, Instant(320));
        assert_eq!(i.poll(Instant(320)), Step::Done);
        assert!(i.has_found(0) && !i.is_nothing());
    }
}
