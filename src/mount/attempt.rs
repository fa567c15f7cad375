// SPDX-License-Identifier: GPL-2.0

//! An attempt to reach something, which can be called off from any thread.

use crate::{
    sys::{
        time::now_ms,
        wait::{
            Event,
            WaitQueue, //
        }, //
    },
    transport::{
        conn::Reason,
        Conn, //
    }, //
};
use core::mem;
use kernel::{
    new_spinlock,
    prelude::*,
    sync::{
        atomic::{
            Atomic,
            AtomicFlag,
            Relaxed, //
        },
        Arc,
        SpinLock, //
    }, //
};

/// How long a server may take for each answer while a stack is brought up, and for all of what else must be done before
/// waiting I/O goes on, in milliseconds.
pub(super) const PATIENCE: u64 = 5000;

/// The last [`Attempt::tag`].
static TAG: Atomic<u64> = Atomic::new(0);

/// An attempt under way, which can be called off from any thread.
#[pin_data]
pub(crate) struct Attempt {
    #[pin]
    cancelled: Event,
    #[pin]
    doing: SpinLock<Doing>,
    /// Steps done: connected, negotiated, logged on, ...
    pub(super) steps: Atomic<u32>,
    /// Its race shall wait no longer before it tries targets again.
    pub(super) hurried: AtomicFlag,
    /// Tells its requests from others on the same connection.
    tag: u64,
}

/// What an attempt is busy with, to be ended when it is called off.
pub(super) enum Doing {
    Nothing,
    /// A connection of its own.
    Conn(Arc<Conn>),
    /// A connection that others may use too.
    Shared(Arc<Conn>),
    Race(Arc<News>),
}

impl Attempt {
    /// An attempt that has not begun.
    pub(crate) fn new() -> Result<Arc<Self>> {
        Arc::pin_init(
            pin_init!(Self {
                cancelled <- Event::new(),
                doing <- new_spinlock!(Doing::Nothing),
                steps: Atomic::new(0),
                hurried: AtomicFlag::new(false),
                tag: TAG.fetch_add(1, Relaxed).saturating_add(1),
            }),
            GFP_KERNEL,
        )
    }

    /// For its requests ([`Context::tag`](crate::transport::Context::tag)).
    pub(crate) fn tag(&self) -> u64 {
        self.tag
    }

    /// Until when a request that is made now may be answered, in milliseconds since boot.
    pub(crate) fn patience(&self) -> Option<u64> {
        Some(now_ms().saturating_add(PATIENCE))
    }

    /// Calls it off: whatever it waits for ends now.
    pub(crate) fn cancel(&self) {
        self.cancelled.set();
        // Not under the lock: the last user of a connection waits for its thread.
        let doing = mem::replace(&mut *self.doing.lock(), Doing::Nothing);
        match doing {
            Doing::Nothing => {}
            Doing::Conn(conn) => conn.kill(Reason::Closed),
            Doing::Shared(conn) => conn.abandon(self.tag),
            Doing::Race(news) => news.queue.wake_all(),
        }
    }

    /// Has its race try all targets again now, however long they were to be left alone.
    pub(crate) fn hurry(&self) {
        self.hurried.store(true, Relaxed);
        let race = match &*self.doing.lock() {
            Doing::Race(news) => Some(news.clone()),
            _ => None,
        };
        if let Some(news) = race {
            news.tell();
        }
    }

    /// For waits that shall end when it is called off.
    pub(crate) fn cancelled(&self) -> &Event {
        &self.cancelled
    }

    /// Notes a step done.
    pub(crate) fn step(&self) {
        self.steps.fetch_add(1, Relaxed);
    }

    /// Notes the connection that is waited for, which others may use too.
    pub(crate) fn borrow(&self, conn: &Arc<Conn>) {
        self.set(Doing::Shared(conn.clone()));
    }

    /// Notes the connection that is waited for, its own.
    pub(crate) fn hold(&self, conn: &Arc<Conn>) {
        self.set(Doing::Conn(conn.clone()));
    }

    /// Notes that nothing is waited for any more; what was made is the caller's.
    pub(crate) fn release(&self) {
        self.set(Doing::Nothing);
    }

    /// Notes what it waits for.
    pub(super) fn set(&self, doing: Doing) {
        let old = mem::replace(&mut *self.doing.lock(), doing);
        drop(old);
        if self.cancelled.is_set() {
            self.cancel();
        }
    }
}

/// Wakes a race up.
#[pin_data]
pub(super) struct News {
    #[pin]
    pub(super) queue: WaitQueue,
    pub(super) count: Atomic<u32>,
}

impl News {
    /// Something has happened.
    pub(super) fn tell(&self) {
        self.count.fetch_add(1, Relaxed);
        self.queue.wake_all();
    }
}
