// SPDX-License-Identifier: GPL-2.0

//! Requests in flight: who waits for which message id.

use super::{
    request::{
        Context,
        MAX_PARTS, //
    },
    Error,
    Result, //
};
use crate::sys::{
    iter::{
        Dest,
        Source, //
    },
    socket::Mark,
    wait::{
        Event,
        Outcome, //
    }, //
};
use kernel::{
    new_spinlock,
    prelude::*,
    sync::{
        Arc,
        SpinLock, //
    }, //
};
use rsdfs_proto::{
    codec::Malformed,
    crypt::SigningKey,
    smb2::Message, //
};

/// A received message.
pub(crate) struct Answer {
    bytes: KVVec<u8>,
    /// How many bytes of payload went straight to [`Sink::payload`] and are not in `bytes`.
    pub(crate) placed: usize,
}

impl Answer {
    pub(super) fn new(bytes: KVVec<u8>, placed: usize) -> Self {
        Self { bytes, placed }
    }

    /// The message, header included.
    pub(crate) fn message(&self) -> core::result::Result<Message<'_>, Malformed> {
        Message::parse(&self.bytes)
    }
}

/// Who gets the answer to a request. [`Sink::done`] is called exactly once, without any lock held,
/// by the thread that receives or by whoever ended the connection. It may allocate but must not
/// wait for this connection.
pub(crate) trait Sink: Send {
    /// Where the payload of a successful READ goes, if not into the answer's bytes.
    fn payload(&mut self) -> Option<Dest<'_>> {
        None
    }

    /// What is sent after the request's body: afresh from its first byte at each call.
    fn data(&mut self) -> Option<Source<'_>> {
        None
    }

    /// The answer, or why there is none.
    fn done(self: KBox<Self>, answer: Result<Answer>);
}

/// One request in flight.
pub(super) struct Entry {
    pub(super) holder: Holder,
    /// The key that the answer must be signed with, if it must.
    pub(super) key: Option<Arc<SigningKey>>,
    /// The credits it cost.
    pub(super) charge: u16,
    /// It is an echo.
    pub(super) echo: bool,
    /// When it was sent, in milliseconds since boot.
    pub(super) sent: u64,
    /// When whoever waits for the answer gives up, in milliseconds since boot.
    pub(super) deadline: Option<u64>,
    /// Who asked.
    pub(super) tag: u64,
    /// On whose behalf a file is opened that the request does not close: it has to be, if nobody waits
    /// for the answer any more.
    pub(super) opens: Option<Context>,
    /// Where in the stream the data ends that was sent from where it lies ([`Sink::data`]), if there
    /// was any. Until the server has acknowledged it TCP reads it there.
    pub(super) data_end: Option<Mark>,
    /// The server has put it off (STATUS_PENDING), under this async id (MS-SMB2 3.2.5.1.5).
    pub(super) put_off: Option<u64>,
}

/// Who holds the sink of a request in flight.
pub(super) enum Holder {
    /// The table.
    Table(KBox<dyn Sink>),
    /// The sender, whose data must stay where it is until all of it is sent.
    Sender,
    /// Still the sender, though the server has answered.
    Early(Answer),
    /// Whoever asked has been told that there will be no answer: it is dropped when it comes, and a
    /// file that it opened is closed.
    Nobody,
}

/// Sinks that a task waits for: one for each part of a request.
#[pin_data]
pub(super) struct Slots {
    #[pin]
    event: Event,
    #[pin]
    state: SpinLock<Filled>,
}

/// What the lock of [`Slots`] protects.
struct Filled {
    answers: [Option<Result<Answer>>; MAX_PARTS],
    /// How many there are to come.
    missing: usize,
}

impl Slots {
    /// Slots for `count` answers, with nothing in them.
    pub(super) fn new(count: usize) -> Result<Arc<Self>> {
        Ok(Arc::pin_init(
            pin_init!(Self {
                event <- Event::new(),
                state <- new_spinlock!(Filled {
                    answers: [const { None }; MAX_PARTS],
                    missing: count,
                }),
            }),
            GFP_KERNEL,
        )?)
    }

    /// The sink that fills slot `index`.
    pub(super) fn sink(self: &Arc<Self>, index: usize) -> Result<KBox<dyn Sink>> {
        let slots = self.clone();
        let sink: KBox<dyn Sink> = KBox::new(Fill { slots, index }, GFP_KERNEL)?;
        Ok(sink)
    }

    /// Waits for all answers, for at most `timeout` milliseconds.
    pub(super) fn wait(&self, timeout: Option<u64>) -> Result {
        match self.event.wait_killable(timeout) {
            Ok(Outcome::Ready) => Ok(()),
            Ok(Outcome::TimedOut) => Err(Error::Timeout),
            Err(_) => Err(Error::Interrupted),
        }
    }

    /// Takes the answers, which are there or about to be.
    pub(super) fn take<const N: usize>(&self) -> [Result<Answer>; N] {
        self.event.wait_idle(None);
        let mut state = self.state.lock();
        let mut answers = core::mem::replace(&mut state.answers, [const { None }; MAX_PARTS]);
        drop(state);
        core::array::from_fn(|index| {
            let answer = answers.get_mut(index).and_then(Option::take);
            answer.unwrap_or(Err(Error::Lost))
        })
    }
}

/// The writing end of a slot.
struct Fill {
    slots: Arc<Slots>,
    index: usize,
}

impl Sink for Fill {
    fn done(self: KBox<Self>, answer: Result<Answer>) {
        let mut state = self.slots.state.lock();
        if let Some(slot) = state.answers.get_mut(self.index) {
            *slot = Some(answer);
        }
        state.missing = state.missing.saturating_sub(1);
        let whole = state.missing == 0;
        drop(state);
        if whole {
            self.slots.event.set();
        }
    }
}

/// A sink for answers that nobody wants.
pub(crate) struct Ignore;

impl Sink for Ignore {
    fn done(self: KBox<Self>, _: Result<Answer>) {}
}
