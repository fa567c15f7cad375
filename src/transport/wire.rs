// SPDX-License-Identifier: GPL-2.0

//! What a connection and its receiving thread share, and how it ends: once, and whoever waits learns of it.

use super::{
    closes::Closes,
    conn::{
        Limits,
        Reason,
        Tuning, //
    },
    pending::{
        Entry,
        Holder, //
    },
    request::Request,
    Error,
    Listener,
    Result, //
};
use crate::sys::{
    socket::TcpSocket,
    time::now_ms,
    wait::WaitQueue, //
};
use core::mem;
use kernel::{
    new_spinlock,
    prelude::*,
    rbtree::RBTree,
    sync::{
        Arc,
        SpinLock, //
    }, //
};
use rsdfs_proto::{
    link::Link,
    time::Instant, //
};

/// What was seen of the server.
#[derive(Clone, Copy)]
pub(super) struct Seen {
    /// When bytes were last received, or when the connection stood.
    pub(super) received: Instant,
    /// When the echo that awaits its answer was sent.
    pub(super) echo: Option<Instant>,
    /// When the last echo was sent, answered or not.
    pub(super) last_echo: Option<Instant>,
    /// Since when a frame is being received.
    pub(super) partial: Option<Instant>,
    /// There was no way to send `echo`: whatever comes answers it.
    pub(super) owed: bool,
}

impl Seen {
    /// Something came at `now`.
    pub(super) fn heard(&mut self, now: Instant) {
        self.received = now;
        if mem::take(&mut self.owed) {
            self.echo = None;
        }
    }
}

/// How often requests are looked through for those whose time is up, in milliseconds.
const EXPIRE_MS: u64 = 250;

/// What the lock of a connection protects.
pub(super) struct State {
    pub(super) link: Link,
    pub(super) pending: RBTree<u64, Entry>,
    pub(super) dead: Option<Reason>,
    pub(super) limits: Limits,
    pub(super) seen: Seen,
    /// When `pending` was last looked through for requests whose time is up.
    expired: u64,
}

/// The part of a connection that its receiving thread shares.
#[pin_data]
pub(super) struct Wire {
    pub(super) socket: TcpSocket,
    pub(super) tuning: Tuning,
    pub(super) listener: KBox<dyn Listener>,
    #[pin]
    pub(super) state: SpinLock<State>,
    /// Files to be closed soon.
    #[pin]
    pub(super) closes: SpinLock<Closes>,
    /// Waiting for credits.
    #[pin]
    pub(super) credits: WaitQueue,
    /// Held by the one who is sending a frame.
    #[pin]
    pub(super) tx: SpinLock<bool>,
    /// Waiting for `tx`.
    #[pin]
    pub(super) turn: WaitQueue,
}

impl Wire {
    /// Of a connected socket.
    pub(super) fn new(
        socket: TcpSocket,
        tuning: Tuning,
        listener: KBox<dyn Listener>,
    ) -> Result<Arc<Self>> {
        Ok(Arc::pin_init(
            try_pin_init!(Wire {
                socket,
                tuning,
                listener,
                state <- new_spinlock!(State {
                    link: Link::default(),
                    pending: RBTree::new(),
                    dead: None,
                    limits: Limits {
                        frame: 64 << 10,
                        multi_credit: false,
                    },
                    seen: Seen {
                        received: Instant(now_ms()),
                        echo: None,
                        last_echo: None,
                        partial: None,
                        owed: false,
                    },
                    expired: 0,
                }),
                closes <- new_spinlock!(Closes::default()),
                credits <- WaitQueue::new(),
                tx <- new_spinlock!(false),
                turn <- WaitQueue::new(),
            }),
            GFP_KERNEL,
        )?)
    }

    /// What a socket error means: silence if data waits to be acknowledged, else a reset.
    pub(super) fn blame(&self) -> Reason {
        if self.socket.unacked_ms() >= 500 {
            Reason::Silent
        } else {
            Reason::Reset
        }
    }

    /// Lets the one who has waited longest for credits look whether they are enough. If they are, and some
    /// are left, that one wakes the next.
    pub(super) fn credits_came(&self) {
        self.credits.wake_one();
    }

    /// Ends the connection: all sinks learn of it, without a lock held.
    pub(super) fn kill(&self, reason: Reason) {
        self.cut(reason);
        let mut pending = mem::take(&mut self.state.lock().pending);
        self.credits.wake_all();
        while let Some(cursor) = pending.cursor_front_mut() {
            let (_, node) = cursor.remove_current();
            let (_, entry) = node.to_key_value();
            if let Holder::Table(sink) = entry.holder {
                sink.done(Err(Error::Lost));
            }
        }
    }

    /// Lets nothing more in or out, for `reason` unless there is one already; the sinks know nothing of
    /// it yet.
    ///
    /// When it returns, TCP has forgotten what it had to send, also if it was another who set `dead`:
    /// nobody may take requests off the table as lost without that. A write must not reach the server
    /// when its pages hold something else already, or when the same blocks were written elsewhere.
    fn cut(&self, reason: Reason) {
        self.state.lock().dead.get_or_insert(reason);
        self.socket.abort();
    }

    /// Why the server has not taken yet what it was sent, as far as one can tell.
    fn reproach(&self) -> Reason {
        match self.blame() {
            Reason::Reset if self.state.lock().seen.echo.is_some() => Reason::Frozen,
            reason => reason,
        }
    }

    /// Ends the requests whose time is up, if it is time to look for them.
    pub(super) fn expire(&self, now: u64) {
        let mut state = self.state.lock();
        if now.saturating_sub(state.expired) < EXPIRE_MS {
            return;
        }
        state.expired = now;
        drop(state);
        self.give_up(Error::Timeout, |entry| {
            entry.deadline.is_some_and(|deadline| deadline <= now)
        });
    }

    /// Whether the server has put off a part of `request`.
    pub(super) fn has_put_off(&self, request: &Request) -> bool {
        let put_off = |id| {
            let state = self.state.lock();
            state
                .pending
                .get(&id)
                .is_some_and(|entry| entry.put_off.is_some())
        };
        request.ids().any(put_off)
    }

    /// Tells the sinks of `request` that nobody waits for their answers. Those whose answer is there
    /// already have it, or are about to.
    pub(super) fn leave(&self, request: &Request, error: Error) {
        for id in request.ids() {
            let mut state = self.state.lock();
            let holder = match state.pending.get_mut(&id) {
                Some(entry) if matches!(entry.holder, Holder::Table(_)) => {
                    mem::replace(&mut entry.holder, Holder::Nobody)
                }
                _ => continue,
            };
            drop(state);
            if let Holder::Table(sink) = holder {
                sink.done(Err(error));
            }
        }
    }

    /// Tells the sinks of `chosen` requests that there is no answer. Those that are still being sent
    /// are not among them.
    ///
    /// The data of a write may change as soon as its sink knows. If TCP has not delivered all of it the
    /// connection ends first, whoever else uses it.
    pub(super) fn give_up(&self, error: Error, chosen: impl Fn(&Entry) -> bool) {
        let mut over = None;
        loop {
            let mut state = self.state.lock();
            let found =
                state
                    .pending
                    .values_mut()
                    .find_map(|entry| match (&entry.holder, chosen(entry)) {
                        (Holder::Table(_), true) => {
                            let holder = mem::replace(&mut entry.holder, Holder::Nobody);
                            Some((holder, entry.data_end))
                        }
                        _ => None,
                    });
            drop(state);
            let Some((Holder::Table(sink), end)) = found else {
                break;
            };
            if over.is_none() && end.is_some_and(|end| !self.socket.has_acked(end)) {
                let reason = self.reproach();
                self.cut(reason);
                over = Some(reason);
            }
            sink.done(Err(error));
        }
        if let Some(reason) = over {
            self.kill(reason);
        }
    }
}
