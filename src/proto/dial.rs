// SPDX-License-Identifier: GPL-2.0
//! Which address of a host to try next, as RFC 8305 advises: families in turn, each attempt with a
//! head start over the next, and the first that stands wins.

use crate::time::{Instant, Span};
use core::net::IpAddr;

/// At most so many addresses of a host are tried.
pub const MOST: usize = 16;

/// At most so many attempts are under way at once.
pub const AT_ONCE: usize = 8;

/// How long an attempt is alone before the next is begun.
const HEAD_START: Span = Span::ms(250);

/// How long an attempt may take: the network's own patience is the caller's to end.
const LIMIT: Span = Span::secs(15);

/// What to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// Begin to connect to the address of this index.
    Begin(usize),
    /// Give up on the address of this index.
    Drop(usize),
    /// Wait for what comes of those under way, but not longer than until then.
    Wait(Instant),
    /// No address is left.
    Failed,
}

/// Attempts at the addresses of one host. The caller ends it when one of them stands.
#[derive(Clone, Debug)]
pub struct Dial {
    /// When the attempt at each address was begun, while it is under way.
    begun: [Option<Instant>; MOST],
    /// Addresses from here on were not tried.
    next: usize,
    count: usize,
    /// When the next is to be tried.
    due: Instant,
}

impl Dial {
    /// Nothing is tried so far of `count` addresses, of which [`MOST`] will be.
    pub fn new(count: usize, now: Instant) -> Self {
        Self {
            begun: [None; MOST],
            next: 0,
            count: count.min(MOST),
            due: now,
        }
    }

    /// The attempt at address `index` came to nothing: the next need not wait.
    pub fn failed(&mut self, index: usize, now: Instant) {
        if let Some(begun) = self.begun.get_mut(index) {
            *begun = None;
        }
        self.due = now;
    }

    /// What to do now; to be asked again after it was done.
    pub fn poll(&mut self, now: Instant) -> Step {
        let oldest = self.oldest();
        if self.next < self.count && (now >= self.due || oldest.is_none()) {
            match oldest {
                Some((index, _)) if self.under_way() >= AT_ONCE => return self.give_up(index),
                _ => return self.begin(now),
            }
        }
        let Some((index, begun)) = oldest else {
            return Step::Failed;
        };
        let end = begun.after(LIMIT);
        if now >= end {
            return self.give_up(index);
        }
        match self.next < self.count {
            true => Step::Wait(end.min(self.due)),
            false => Step::Wait(end),
        }
    }

    fn begin(&mut self, now: Instant) -> Step {
        let index = self.next;
        if let Some(begun) = self.begun.get_mut(index) {
            *begun = Some(now);
        }
        self.next = index.saturating_add(1);
        self.due = now.after(HEAD_START);
        Step::Begin(index)
    }

    fn give_up(&mut self, index: usize) -> Step {
        if let Some(begun) = self.begun.get_mut(index) {
            *begun = None;
        }
        Step::Drop(index)
    }

    /// The attempt that is under way for longest.
    fn oldest(&self) -> Option<(usize, Instant)> {
        let under_way = self.begun.iter().enumerate();
        under_way
            .filter_map(|(index, begun)| Some((index, (*begun)?)))
            .min_by_key(|(_, begun)| *begun)
    }

    fn under_way(&self) -> usize {
        let busy = self.begun.iter().flatten();
        busy.fold(0, |count: usize, _| count.saturating_add(1))
    }
}

/// Puts addresses of both families in turn, beginning with that of the first, and otherwise leaves
/// their order as it is (RFC 8305 section 4).
pub fn interleave(addresses: &mut [IpAddr]) {
    let mut rest = addresses;
    while let Some((first, others)) = rest.split_first_mut() {
        let other = others.iter().position(|ip| ip.is_ipv6() != first.is_ipv6());
        if let Some(moved) = other.and_then(|at| others.get_mut(..=at)) {
            // The last to the front, all others one further.
            let mut carried = moved.last().copied().unwrap_or(*first);
            for slot in moved.iter_mut() {
                core::mem::swap(slot, &mut carried);
            }
        }
        rest = others;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::vec::Vec;

    fn addresses(text: &str) -> Vec<IpAddr> {
        text.split(' ').flat_map(str::parse).collect()
    }

    #[test]
    fn families_take_turns() {
        let mut list = addresses("::1 ::2 ::3 10.0.0.1 10.0.0.2");
        interleave(&mut list);
        assert_eq!(list, addresses("::1 10.0.0.1 ::2 10.0.0.2 ::3"));
        let mut list = addresses("10.0.0.1 10.0.0.2 10.0.0.3 ::1");
        interleave(&mut list);
        assert_eq!(list, addresses("10.0.0.1 ::1 10.0.0.2 10.0.0.3"));
    }

    #[test]
    fn silent_addresses_are_joined_every_250_ms() {
        let mut dial = Dial::new(3, Instant(1000));
        assert_eq!(dial.poll(Instant(1000)), Step::Begin(0));
        assert_eq!(dial.poll(Instant(1000)), Step::Wait(Instant(1250)));
        assert_eq!(dial.poll(Instant(1249)), Step::Wait(Instant(1250)));
        assert_eq!(dial.poll(Instant(1250)), Step::Begin(1));
        assert_eq!(dial.poll(Instant(1500)), Step::Begin(2));
        assert_eq!(dial.poll(Instant(1500)), Step::Wait(Instant(16000)));
        assert_eq!(dial.poll(Instant(16000)), Step::Drop(0));
        assert_eq!(dial.poll(Instant(16500)), Step::Drop(1));
        assert_eq!(dial.poll(Instant(16500)), Step::Drop(2));
        assert_eq!(dial.poll(Instant(16500)), Step::Failed);
    }

    #[test]
    fn a_refusal_makes_room_at_once() {
        let mut dial = Dial::new(2, Instant(0));
        assert_eq!(dial.poll(Instant(0)), Step::Begin(0));
        dial.failed(0, Instant(3));
        assert_eq!(dial.poll(Instant(3)), Step::Begin(1));
        dial.failed(1, Instant(4));
        assert_eq!(dial.poll(Instant(4)), Step::Failed);
        assert_eq!(Dial::new(0, Instant(0)).poll(Instant(0)), Step::Failed);
    }

    #[test]
    fn never_more_than_a_few_at_once() {
        let mut dial = Dial::new(MOST.saturating_mul(2), Instant(0));
        let (mut under_way, mut begun) = (0usize, 0usize);
        let mut now = Instant(0);
        loop {
            match dial.poll(now) {
                Step::Begin(index) => {
                    assert_eq!(index, begun);
                    begun = begun.saturating_add(1);
                    under_way = under_way.saturating_add(1);
                }
                Step::Drop(_) => under_way = under_way.saturating_sub(1),
                Step::Wait(until) => {
                    assert!(until > now);
                    now = until;
                }
                Step::Failed => break,
            }
            assert!(under_way <= AT_ONCE);
        }
        assert_eq!((begun, under_way), (MOST, 0));
    }
}
