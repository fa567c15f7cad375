// SPDX-License-Identifier: GPL-2.0

//! Connections that are being made, several at a time.

use super::{
    ConnectOpts,
    SocketAddr,
    TcpSocket,
    WRITABLE, //
};
use crate::sys::{
    errno,
    wait::{
        self,
        Event,
        Order,
        Outcome,
        Sleep, //
    }, //
};
use kernel::prelude::*;

/// How many can be waited for at once.
const MOST: usize = 8;

/// A connection that was begun. Dropped, it comes to nothing.
pub(crate) struct Connecting {
    socket: TcpSocket,
    address: SocketAddr,
    /// What `connect()` said, if it was not that it takes time.
    known: Option<Result>,
}

impl Connecting {
    /// Begins to connect to `address`.
    pub(crate) fn begin(address: SocketAddr, opts: &ConnectOpts<'_>) -> Result<Self> {
        let socket = TcpSocket::open(&address, opts)?;
        let known = match socket.start(&address) {
            Err(errno::EINPROGRESS) => None,
            result => Some(result),
        };
        Ok(Self {
            socket,
            address,
            known,
        })
    }

    /// Where to.
    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Whether it has come to something, be it a failure.
    pub(crate) fn is_settled(&self) -> bool {
        self.known.is_some() || self.socket.poll() & WRITABLE != 0
    }

    /// What it has come to.
    pub(crate) fn settle(self) -> Result<TcpSocket> {
        let outcome = match self.known {
            Some(outcome) => outcome,
            // The second call says what came of it.
            None => self.socket.start(&self.address),
        };
        outcome.map(|()| self.socket)
    }

    /// Waits until one of `pending` (got out by `of`), of which there are eight at most, is settled, for
    /// at most `timeout` milliseconds.
    ///
    /// Fails with `ECANCELED` as soon as `cancel` is set, or with `EINTR` if the task is killed.
    pub(crate) fn wait_any<T>(
        pending: &[T],
        of: impl Fn(&T) -> &Connecting,
        cancel: &Event,
        timeout: u64,
    ) -> Result<Outcome> {
        // A place that is not needed waits for the cancellation once more.
        let mut queues = [cancel.raw(); MOST + 1];
        for (queue, one) in queues.iter_mut().skip(1).zip(pending) {
            *queue = of(one).socket.queue();
        }
        let ready = || cancel.is_set() || pending.iter().any(|one| of(one).is_settled());
        let (how, limit) = (Sleep::Killable, Some(timeout));
        // SAFETY: They belong to the sockets and to the event, which are all borrowed.
        let outcome = unsafe { wait::wait(queues, how, Order::All, limit, ready) }?;
        match cancel.is_set() {
            true => Err(errno::ECANCELED),
            false => Ok(outcome),
        }
    }
}
