// SPDX-License-Identifier: GPL-2.0
//! Is the server still there? Fast for a network that is gone, patient with a server that is slow.
//!
//! [`judge`] is a pure function of what a connection has seen. Silence of the *network* shows as
//! data that TCP could not deliver; where nothing is to be delivered, an echo request (MS-SMB2
//! 2.2.28) is sent so that there is. A *server* that takes data and answers nothing, not even the
//! echo, is given the echo interval: it may be stopped and continue. One that answers the echo is
//! never abandoned, however slow its other answers are.

use crate::time::{Instant, Span};

/// Longest time between two echoes while an answer is awaited.
const PROBE_MAX: Span = Span::secs(1);

/// A round trip time counts this often before undelivered data means silence.
const RTT_FACTOR: u64 = 4;

/// What a connection has seen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Signs {
    /// When bytes were last received, or when the connection stood.
    pub received: Instant,
    /// When the oldest request that awaits its answer was sent; echoes do not count.
    pub oldest: Option<Instant>,
    /// For how long data that was sent has not been acknowledged by TCP; data that waits for the
    /// peer's window does not count.
    pub unacked: Option<Span>,
    /// When the echo that awaits its answer was sent.
    pub echo: Option<Instant>,
    /// When the last echo was sent, answered or not.
    pub last_echo: Option<Instant>,
    /// Smoothed round trip time as TCP measured it; zero if unknown.
    pub rtt: Span,
}

/// How fast to judge.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Undelivered data for this long means that the network is silent.
    pub silent: Span,
    /// An answer awaited for this long, with nothing received meanwhile, is worth an echo.
    pub suspect: Span,
    /// An unanswered echo for this long means that the server is frozen; also the time between
    /// echoes of an idle connection.
    pub echo_interval: Span,
}

impl Limits {
    /// 0.9 s, 0.4 s, 10 s; a mount puts its `echo_interval` in the place of the last.
    pub const DEFAULT: Self = Self {
        silent: Span::ms(900),
        suspect: Span::ms(400),
        echo_interval: Span::secs(10),
    };
}

/// Why a connection is given up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Death {
    /// The network does not deliver.
    Silent,
    /// The network delivers but the server does not answer.
    Frozen,
}

/// What to do about a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Nothing; judge again at this moment at the latest, and when a request is sent after a pause.
    Fine(Instant),
    /// Send an echo and judge again.
    SendEcho,
    /// Give it up.
    Dead(Death),
}

/// Judges a connection at `now`.
pub fn judge(now: Instant, signs: &Signs, limits: &Limits) -> Verdict {
    let silent = limits
        .silent
        .max(Span(signs.rtt.0.saturating_mul(RTT_FACTOR)));
    if signs.unacked.is_some_and(|span| span >= silent) {
        return Verdict::Dead(Death::Silent);
    }
    let undelivered = signs
        .unacked
        .map(|span| now.after(Span(silent.0.saturating_sub(span.0))));
    let due = match signs.echo {
        Some(sent) => {
            let frozen = sent.max(signs.received).after(limits.echo_interval);
            if frozen <= now {
                return Verdict::Dead(Death::Frozen);
            }
            frozen
        }
        None => {
            let due = echo_due(now, signs, limits);
            if due <= now {
                return Verdict::SendEcho;
            }
            due
        }
    };
    let busy = signs.echo.is_some() || signs.oldest.is_some();
    let recheck = busy.then(|| now.after(limits.suspect.min(silent)));
    let next = [undelivered, recheck]
        .into_iter()
        .flatten()
        .fold(due, Instant::min);
    Verdict::Fine(next.max(now.after(Span::ms(1))))
}

/// When the next echo is due, with none outstanding.
fn echo_due(now: Instant, signs: &Signs, limits: &Limits) -> Instant {
    let last = signs.last_echo.unwrap_or(signs.received);
    let idle = signs.received.max(last).after(limits.echo_interval);
    let Some(oldest) = signs.oldest else {
        return idle;
    };
    // The longer the server already lets us wait, the less a short silence means.
    let age = now.since(oldest);
    let quiet = Span(age.0 >> 1)
        .min(PROBE_MAX.min(limits.echo_interval))
        .max(limits.suspect);
    let heard = signs.received.max(oldest).max(last);
    idle.min(heard.after(quiet))
}
