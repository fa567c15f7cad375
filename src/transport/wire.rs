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

    /// Ends the connection, once: all sinks learn of it, without a lock held.
    pub(super) fn kill(&self, reason: Reason) {
        let mut state = self.state.lock();
        if state.dead.is_some() {
            return;
        }
        state.dead = Some(reason);
        let mut pending = mem::take(&mut state.pending);
        drop(state);
        // A write that is still in our send buffer must not reach the server later, when the same
        // blocks may have been written elsewhere.
        self.socket.abort();
        self.credits.wake_all();
        while let Some(cursor) = pending.cursor_front_mut() {
            let (_, node) = cursor.remove_current();
            let (_, entry) = node.to_key_value();
            if let Holder::Table(sink) = entry.holder {
                sink.done(Err(Error::Lost));
            }
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
    pub(super) fn give_up(&self, error: Error, chosen: impl Fn(&Entry) -> bool) {
        loop {
            let mut state = self.state.lock();
            let found =
                state
                    .pending
                    .values_mut()
                    .find_map(|entry| match (&entry.holder, chosen(entry)) {
                        (Holder::Table(_), true) => {
                            Some(mem::replace(&mut entry.holder, Holder::Nobody))
                        }
                        _ => None,
                    });
            drop(state);
            match found {
                Some(Holder::Table(sink)) => sink.done(Err(error)),
                _ => return,
            }
        }
    }
}
