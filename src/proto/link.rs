// SPDX-License-Identifier: GPL-2.0
//! One connection's message ids and credits (MS-SMB2 3.2.4.1.2 to 3.2.4.1.6, 3.2.5.1.4).
//!
//! A credit is the right to use one message id. [`Link`] hands out ids in rising order while there
//! are credits, asks for more with each request and takes what replies grant:
//!
//! ```text
//! take(charge) --id--> request on the wire (asking ask(charge))
//! every reply of it, interim or final:  grant(header.credits)
//! the final one, or its being given up: finish(charge)
//! ```
//!
//! CANCEL takes no credit and repeats the id of what it cancels. While requests are in flight the
//! last credit is kept for [`Link::take_urgent`] (ECHO), so that a server whose other answers are
//! slow can still be asked whether it lives.
//!
//! Invariants: `credits <= MAX_CREDITS`; `spent` is the sum of the charges in flight.

/// Credits beyond this are not used, whatever a server grants.
pub const MAX_CREDITS: u32 = 0xffff;

/// Payload bytes that one credit pays for (MS-SMB2 3.1.5.2).
pub const CREDIT_PAYLOAD: usize = 65536;

/// How many credits a connection tries to own by default: room for 64 requests of 4 MiB.
pub const WINDOW: u32 = 4096;

/// Nothing is in flight that could bring credits, and there are none: the connection is of no use
/// any more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Starved;

/// Message ids and credits of one connection.
#[derive(Clone, Debug)]
pub struct Link {
    next: u64,
    credits: u32,
    spent: u32,
    in_flight: u32,
    window: u32,
    multi_credit: bool,
}

impl Default for Link {
    fn default() -> Self {
        Self::new(WINDOW)
    }
}

impl Link {
    /// A fresh connection: one credit, message id 0, aiming at `window` credits.
    pub const fn new(window: u32) -> Self {
        let window = if window > MAX_CREDITS {
            MAX_CREDITS
        } else {
            window
        };
        Self {
            next: 0,
            credits: 1,
            spent: 0,
            in_flight: 0,
            window,
            multi_credit: false,
        }
    }

    /// What negotiate brought: whether a request may be charged more than one credit
    /// (dialect and `SMB2_GLOBAL_CAP_LARGE_MTU`).
    pub fn negotiated(&mut self, multi_credit: bool) {
        self.multi_credit = multi_credit;
    }

    /// Whether a request may be charged more than one credit.
    pub const fn multi_credit(&self) -> bool {
        self.multi_credit
    }

    /// The credits that a request with `payload` bytes sent or expected costs.
    ///
    /// Without multi-credit it is always 1, and a payload beyond [`CREDIT_PAYLOAD`] is not allowed.
    pub fn charge(&self, payload: usize) -> u16 {
        if !self.multi_credit {
            return 1;
        }
        let n = payload.div_ceil(CREDIT_PAYLOAD).max(1);
        u16::try_from(n).unwrap_or(u16::MAX)
    }

    /// Takes the message id (the first of `charge`) for a request, or `None` when the caller must
    /// wait for credits.
    pub fn take(&mut self, charge: u16) -> Option<u64> {
        self.take_chain(&[charge])
    }

    /// Takes ids for a compound of requests with these `charges`, all or none: each element's id
    /// is its predecessor's plus its predecessor's charge.
    pub fn take_chain(&mut self, charges: &[u16]) -> Option<u64> {
        let reserve = u32::from(self.in_flight > 0);
        self.take_leaving(charges, reserve)
    }

    /// Like [`Link::take`], but may use the reserved credit: for ECHO.
    pub fn take_urgent(&mut self, charge: u16) -> Option<u64> {
        self.take_leaving(&[charge], 0)
    }

    fn take_leaving(&mut self, charges: &[u16], reserve: u32) -> Option<u64> {
        let mut cost: u32 = 0;
        for charge in charges {
            cost = cost.checked_add(u32::from(*charge).max(1))?;
        }
        let credits = self.credits.checked_sub(cost)?;
        let requests = u32::try_from(charges.len()).ok()?;
        // The last id, all ones, belongs to unsolicited messages.
        let next = self.next.checked_add(u64::from(cost))?;
        if credits < reserve || requests == 0 {
            return None;
        }
        let first = self.next;
        self.next = next;
        self.credits = credits;
        self.spent = self.spent.saturating_add(cost);
        self.in_flight = self.in_flight.saturating_add(requests);
        Some(first)
    }

    /// How many credits a request of this charge, already taken, should ask for.
    ///
    /// At least what it cost while below the window, so that the window never shrinks by itself;
    /// fewer above it, but never 0, which a server may answer with none.
    pub fn ask(&self, charge: u16) -> u16 {
        let owned = self.credits.saturating_add(self.spent);
        let want = u32::from(charge.max(1))
            .saturating_add(self.window)
            .saturating_sub(owned);
        u16::try_from(want).unwrap_or(u16::MAX).max(1)
    }

    /// Takes what a reply grants, up to [`MAX_CREDITS`]; call it for interim replies too.
    pub fn grant(&mut self, credits: u16) {
        self.credits = self
            .credits
            .saturating_add(u32::from(credits))
            .min(MAX_CREDITS);
    }

    /// A request of this charge has its final reply, whose credits were granted before.
    ///
    /// Errors: [`Starved`] when no credit is left and nothing is in flight that could bring one.
    pub fn finish(&mut self, charge: u16) -> Result<(), Starved> {
        self.spent = self.spent.saturating_sub(u32::from(charge.max(1)));
        self.in_flight = self.in_flight.saturating_sub(1);
        if self.credits == 0 && self.in_flight == 0 {
            return Err(Starved);
        }
        Ok(())
    }

    /// The number of requests without a final reply.
    pub const fn in_flight(&self) -> u32 {
        self.in_flight
    }

    /// The most payload bytes that a request can ever carry, as far as the server has let the
    /// connection own credits until now; at least what one credit pays for.
    pub fn attainable(&self) -> usize {
        let owned = self.credits.saturating_add(self.spent).saturating_sub(1);
        let owned = if self.multi_credit { owned.max(1) } else { 1 };
        usize::try_from(owned)
            .unwrap_or(usize::MAX)
            .saturating_mul(CREDIT_PAYLOAD)
    }

    /// The credits that can be used now.
    pub const fn credits(&self) -> u32 {
        self.credits
    }

    /// The most payload bytes a request can carry if it is sent now; 0 when it must wait.
    ///
    /// A request that waits for more credits than the server ever lets the connection own would
    /// wait forever: when nothing is in flight, the caller makes it this small instead.
    pub fn affordable(&self) -> usize {
        let reserve = u32::from(self.in_flight > 0);
        let credits = self.credits.saturating_sub(reserve);
        let credits = if self.multi_credit {
            credits
        } else {
            credits.min(1)
        };
        usize::try_from(credits)
            .unwrap_or(usize::MAX)
            .saturating_mul(CREDIT_PAYLOAD)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::arithmetic_side_effects)]
mod tests {
    use super::*;

    #[test]
    fn attainable_grows_with_what_is_granted() {
        assert_eq!(Link::default().attainable(), CREDIT_PAYLOAD);
        let mut link = ready(33);
        assert_eq!(link.attainable(), 32 * CREDIT_PAYLOAD);
        // What is in flight comes back.
        link.take(20).unwrap();
        assert_eq!(link.attainable(), 32 * CREDIT_PAYLOAD);
        link.negotiated(false);
        assert_eq!(link.attainable(), CREDIT_PAYLOAD);
    }

    fn ready(credits: u16) -> Link {
        let mut link = Link::default();
        assert_eq!(link.take(1), Some(0));
        link.grant(credits);
        link.finish(1).unwrap();
        link.negotiated(true);
        link
    }

    #[test]
    fn a_fresh_connection_has_one_credit() {
        let mut link = Link::default();
        assert_eq!(link.take(2), None);
        assert_eq!(link.take(1), Some(0));
        assert_eq!(link.take(1), None);
        assert_eq!(link.take_urgent(1), None);
        assert_eq!(link.finish(1), Err(Starved));
    }

    #[test]
    fn charges() {
        let mut link = ready(1);
        for (payload, charge) in [
            (0, 1),
            (1, 1),
            (65536, 1),
            (65537, 2),
            (1 << 20, 16),
            (8 << 20, 128),
            (usize::MAX, u16::MAX),
        ] {
            assert_eq!(link.charge(payload), charge);
        }
        link.negotiated(false);
        assert_eq!(link.charge(1 << 20), 1);
        assert_eq!(link.affordable(), 65536);
    }

    #[test]
    fn ids_step_by_the_charge() {
        let mut link = ready(100);
        assert_eq!(link.take(16), Some(1));
        assert_eq!(link.take(1), Some(17));
        assert_eq!(link.take_chain(&[1, 2, 3]), Some(18));
        assert_eq!(link.take(1), Some(24));
        assert_eq!(link.credits(), 100 - 24 + 1 - 1);
        assert_eq!(link.in_flight(), 6);
        assert_eq!(link.take_chain(&[]), None);
    }

    #[test]
    fn the_last_credit_is_for_echo() {
        let mut link = ready(3);
        assert_eq!(link.take(1), Some(1));
        assert_eq!(link.take(2), None);
        assert_eq!(link.take(1), Some(2));
        assert_eq!(link.take(1), None);
        assert_eq!(link.affordable(), 0);
        assert_eq!(link.take_urgent(1), Some(3));
        assert_eq!(link.take_urgent(1), None);
        // Alone, a request may use it.
        let mut link = ready(16);
        assert_eq!(link.affordable(), 1 << 20);
        assert!(link.take(16).is_some());
    }

    #[test]
    fn the_window_fills_and_holds() {
        let mut link = ready(1);
        for _ in 0..10_000 {
            let charge = link.charge(link.affordable().min(1 << 20));
            if link.take(charge).is_some() {
                let ask = link.ask(charge);
                link.grant(ask);
                link.finish(charge).unwrap();
            }
        }
        assert_eq!(link.credits(), WINDOW);
    }

    #[test]
    fn a_lying_server_is_bounded() {
        let mut link = ready(1);
        for _ in 0..100_000 {
            link.take(1).unwrap();
            link.grant(u16::MAX);
            link.finish(1).unwrap();
        }
        assert_eq!(link.credits(), MAX_CREDITS);
        assert_eq!(link.ask(1), 1);
        assert_eq!(link.ask(128), 1);
        // Replies that no request asked for do not underflow anything.
        assert_eq!(link.finish(9), Ok(()));
        assert_eq!(link.in_flight(), 0);
        // Interim grants, then a final reply with none.
        let mut link = ready(1);
        link.take(1).unwrap();
        link.grant(1);
        link.grant(0);
        assert_eq!(link.finish(1), Ok(()));
    }

    #[test]
    fn ids_do_not_wrap() {
        let mut link = ready(10);
        link.next = u64::MAX - 1;
        assert_eq!(link.take(1), Some(u64::MAX - 1));
        assert_eq!(link.take(1), None);
    }
}
