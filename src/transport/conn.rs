// SPDX-License-Identifier: GPL-2.0

//! A connection, as those see it who send requests.

use super::{
    pending::{
        Answer,
        Sink,
        Slots, //
    },
    pump,
    request::{
        Context,
        Request,
        MAX_PARTS, //
    },
    wire::Wire,
    Error,
    Listener,
    Result, //
};
use crate::sys::{
    socket::TcpSocket,
    thread::Thread,
    time::now_ms, //
};
use kernel::{
    prelude::*,
    sync::Arc, //
};
use rsdfs_proto::smb2::{
    Command,
    FileId, //
};

/// Why a connection ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Reason {
    /// We closed it.
    Closed,
    /// The server closed it, or reset it.
    Reset,
    /// The network was silent: data sent was not acknowledged.
    Silent,
    /// The network is alive, but the server did not answer for too long.
    Frozen,
    /// What came is not SMB, or is signed wrongly.
    BadFrame,
    /// The share is gone from the server.
    Gone,
    /// The server ended the session.
    SessionEnded,
}

impl Reason {
    /// A word for the views.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Reason::Closed => "closed",
            Reason::Reset => "reset",
            Reason::Silent => "silent",
            Reason::Frozen => "frozen",
            Reason::BadFrame => "bad-frame",
            Reason::Gone => "gone",
            Reason::SessionEnded => "session-ended",
        }
    }
}

/// How long a connection may be silent before it counts as dead, in milliseconds.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Tuning {
    /// A server that acknowledges but answers nothing for this long, not even an echo, is frozen.
    pub(crate) echo_interval: u64,
}

/// What was negotiated and the rest of the connection needs.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Limits {
    /// The largest frame the server may send us, in bytes.
    pub(crate) frame: usize,
    /// Whether requests over 64 KiB are allowed and charged for (dialect 2.1 and later).
    pub(crate) multi_credit: bool,
}

/// A connection, owned. Dropping it closes it.
pub(crate) struct Conn {
    wire: Arc<Wire>,
    _pump: Thread,
}

impl Conn {
    /// Takes over a connected socket and starts to receive.
    pub(crate) fn new(
        socket: TcpSocket,
        tuning: Tuning,
        listener: KBox<dyn Listener>,
    ) -> Result<Arc<Self>> {
        let wire = Wire::new(socket, tuning, listener)?;
        let receiver = wire.clone();
        let pump = Thread::spawn(c"rsdfs-recv", move |_| pump::run(&receiver))?;
        Ok(Arc::new(Self { wire, _pump: pump }, GFP_KERNEL)?)
    }

    /// Sets what negotiation found out.
    pub(crate) fn negotiated(&self, limits: Limits) {
        let mut state = self.wire.state.lock();
        state.link.negotiated(limits.multi_credit);
        state.limits = limits;
    }

    /// Answers all requests with this [`Context::tag`] with [`Error::Lost`], while the others go on.
    pub(crate) fn abandon(&self, tag: u64) {
        self.wire.give_up(Error::Lost, |entry| entry.tag == tag);
    }

    /// Requests that await their answer.
    pub(crate) fn in_flight(&self) -> usize {
        self.wire.state.lock().pending.iter().count()
    }

    /// The most payload a request may carry without waiting for credits for ever, in bytes.
    pub(crate) fn payload_max(&self) -> usize {
        self.wire.state.lock().link.attainable()
    }

    /// Why the connection is dead, if it is.
    pub(crate) fn dead(&self) -> Option<Reason> {
        self.wire.state.lock().dead
    }

    /// Ends the connection; whoever waits for an answer gets [`Error::Lost`].
    pub(crate) fn kill(&self, reason: Reason) {
        self.wire.kill(reason);
    }

    /// Sends one command and waits for its answer, whatever its status.
    pub(crate) fn call<C: Command>(
        &self,
        context: &Context,
        command: &C,
        timeout: Option<u64>,
    ) -> Result<Answer> {
        let [answer] = self.call_parts(&mut Request::new(context, command)?, timeout)?;
        Ok(answer)
    }

    /// Sends a request of `N` parts and waits for all its answers.
    pub(crate) fn call_parts<const N: usize>(
        &self,
        request: &mut Request,
        timeout: Option<u64>,
    ) -> Result<[Answer; N]> {
        let now = now_ms();
        let left = |deadline: u64| deadline.saturating_sub(now);
        let timeout = timeout.or_else(|| request.context.deadline.map(left));
        let slots = Slots::new(N)?;
        let mut sinks = [const { None }; MAX_PARTS];
        for (index, sink) in sinks.iter_mut().take(N).enumerate() {
            *sink = Some(slots.sink(index)?);
        }
        self.wire.transmit(request, sinks, timeout)?;
        let waited = match request.hurried(timeout) {
            Some(hurry) => match slots.wait(Some(hurry)) {
                Err(Error::Timeout) if !self.wire.has_put_off(request) => {
                    slots.wait(timeout.map(|timeout| timeout.saturating_sub(hurry)))
                }
                waited => waited,
            },
            None => slots.wait(timeout),
        };
        if let Err(error) = waited {
            self.wire.leave(request, error);
            self.wire.cancel(request);
        }
        let answers: [Result<Answer>; N] = slots.take();
        let failure = answers.iter().find_map(|answer| answer.as_ref().err());
        if let Some(error) = failure.copied() {
            if let (true, Some(Ok(first))) = (request.leaves_open(), answers.first()) {
                self.wire.close_opened(&request.context, first);
            }
            return Err(error);
        }
        Ok(answers.map(|answer| answer.unwrap_or_else(|_| Answer::new(KVVec::new(), 0))))
    }

    /// Has the server close a file. Nobody waits for that; see [`super::closes`].
    pub(crate) fn close(&self, context: &Context, file: FileId) {
        self.wire.close(context, file);
    }

    /// Sends a request of one part, and then the data of `sink`, which gets the answer.
    ///
    /// The sink always learns the outcome; nothing is returned because nothing is left to do.
    pub(crate) fn submit(&self, request: Result<Request>, sink: KBox<dyn Sink>) {
        match request {
            Ok(mut request) => {
                let mut sinks = [const { None }; MAX_PARTS];
                sinks[0] = Some(sink);
                // A failure has reached the sink already.
                let deadline = request.context.deadline;
                let timeout = deadline.map(|at| at.saturating_sub(now_ms()));
                let _ = self.wire.transmit(&mut request, sinks, timeout);
            }
            Err(error) => sink.done(Err(error)),
        }
    }
}

impl Drop for Conn {
    fn drop(&mut self) {
        self.wire.kill(Reason::Closed);
    }
}
