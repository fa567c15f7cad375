// SPDX-License-Identifier: GPL-2.0

//! Requests in flight: who waits for which message id.

use super::{
    Error,
    Result, //
};
use crate::sys::{
    iter::{
        Dest,
        Source, //
    },
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
}

/// Who holds the sink of a request in flight.
pub(super) enum Holder {
    /// The table.
    Table(KBox<dyn Sink>),
    /// The sender, whose data must stay where it is until all of it is sent.
    Sender,
    /// Still the sender, though the server has answered.
    Early(Answer),
    /// Whoever asked has been told that there will be no answer: it is dropped when it comes.
    Nobody,
}

/// A sink that a task waits for.
#[pin_data]
pub(crate) struct Slot {
    #[pin]
    event: Event,
    #[pin]
    answer: SpinLock<Option<Result<Answer>>>,
}

impl Slot {
    /// A slot with no answer in it.
    pub(crate) fn new() -> Result<Arc<Self>> {
        Ok(Arc::pin_init(
            pin_init!(Self {
                event <- Event::new(),
                answer <- new_spinlock!(None),
            }),
            GFP_KERNEL,
        )?)
    }

    /// The sink that fills the slot.
    pub(crate) fn sink(self: &Arc<Self>) -> Result<KBox<dyn Sink>> {
        let sink: KBox<dyn Sink> = KBox::new(Fill(self.clone()), GFP_KERNEL)?;
        Ok(sink)
    }

    /// Waits for the answer, for at most `timeout` milliseconds.
    pub(crate) fn wait(&self, timeout: Option<u64>) -> Result<Answer> {
        match self.event.wait_killable(timeout) {
            Ok(Outcome::Ready) => {}
            Ok(Outcome::TimedOut) => return Err(Error::Timeout),
            Err(_) => return Err(Error::Interrupted),
        }
        self.answer.lock().take().unwrap_or(Err(Error::Lost))
    }
}

/// The writing end of a [`Slot`].
struct Fill(Arc<Slot>);

impl Sink for Fill {
    fn done(self: KBox<Self>, answer: Result<Answer>) {
        *self.0.answer.lock() = Some(answer);
        self.0.event.set();
    }
}

/// A sink for answers that nobody wants.
pub(crate) struct Ignore;

impl Sink for Ignore {
    fn done(self: KBox<Self>, _: Result<Answer>) {}
}
