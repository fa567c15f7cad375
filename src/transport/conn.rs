// SPDX-License-Identifier: GPL-2.0

//! A connection: its socket, its credits, and the requests in flight.

use super::{
    closes::Closes,
    pending::{
        Answer,
        Entry,
        Holder,
        Ignore,
        Sink,
        Slots, //
    },
    pump,
    request::{
        Context,
        Request,
        Stamp,
        MAX_PARTS, //
    },
    Error,
    Listener,
    Result, //
};
use crate::sys::{
    socket::TcpSocket,
    thread::Thread,
    time::now_ms,
    wait::{
        Outcome,
        WaitQueue, //
    }, //
};
use core::mem;
use kernel::{
    new_spinlock,
    prelude::*,
    rbtree::{
        RBTree,
        RBTreeNodeReservation, //
    },
    sync::{
        Arc,
        SpinLock, //
    }, //
};
use rsdfs_proto::{
    link::Link,
    smb2::{
        cancel::Cancel,
        echo::Echo,
        Command,
        FileId, //
    },
    time::Instant, //
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
    credits: WaitQueue,
    /// Held by the one who is sending a frame.
    #[pin]
    tx: SpinLock<bool>,
    /// Waiting for `tx`.
    #[pin]
    turn: WaitQueue,
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
        let wire = Arc::pin_init(
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
        )?;
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
        if let Err(error) = slots.wait(timeout) {
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

/// Sinks of a request, in the order of its parts.
type Sinks = [Option<KBox<dyn Sink>>; MAX_PARTS];

/// Room in the table for the parts of a request.
type Nodes = [Option<RBTreeNodeReservation<u64, Entry>>; MAX_PARTS];

/// The turn to send a request, and what its parts get.
type Right<'a> = (Turn<'a>, [Stamp; MAX_PARTS]);

/// Answers all of `sinks` with `error`, which is handed on.
fn refuse(sinks: Sinks, error: Error) -> Error {
    for sink in sinks.into_iter().flatten() {
        sink.done(Err(error));
    }
    error
}

/// The right to send a frame; given back on drop.
struct Turn<'a>(&'a Wire);

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        *self.0.tx.lock() = false;
        self.0.turn.wake_one();
    }
}

impl Wire {
    /// Sends a request and enters its sinks as pending. An error has been told to every sink.
    fn transmit(&self, request: &mut Request, sinks: Sinks, timeout: Option<u64>) -> Result {
        self.closes_before(request, timeout);
        let reserved = self
            .nodes(request)
            .and_then(|nodes| Ok((nodes, self.reserve(request, timeout)?)));
        match reserved {
            Ok((nodes, right)) => self.send(request, sinks, nodes, right, None),
            Err(error) => Err(refuse(sinks, error)),
        }
    }

    /// As [`Self::transmit`], for what may be tried again: without `wait` nothing is waited for. An
    /// error means that nothing was sent.
    pub(super) fn transmit_closes(
        &self,
        request: &mut Request,
        sinks: Sinks,
        wait: Option<Option<u64>>,
    ) -> Result {
        let nodes = self.nodes(request)?;
        let right = match wait {
            Some(timeout) => self.reserve(request, timeout)?,
            None => self.reserve_now(request).ok_or(EAGAIN)?,
        };
        // Small as it is there is room for it; or else the connection is lost, and the files with it.
        let patience = wait.is_none().then_some(0);
        let _ = self.send(request, sinks, nodes, right, patience);
        Ok(())
    }

    /// Room in the table for all parts.
    fn nodes(&self, request: &Request) -> Result<Nodes> {
        let mut nodes = [const { None }; MAX_PARTS];
        for (node, _) in nodes.iter_mut().zip(request.parts()) {
            *node = Some(RBTreeNodeReservation::new(GFP_KERNEL)?);
        }
        Ok(nodes)
    }

    /// Sends a request with the right to; waits at most `patience` milliseconds for room.
    fn send(
        &self,
        request: &mut Request,
        mut sinks: Sinks,
        nodes: Nodes,
        (turn, stamps): Right<'_>,
        patience: Option<u64>,
    ) -> Result {
        // From here on message ids are spent: a request that is not sent would leave a hole in
        // them, so every failure ends the connection.
        let mut held = sinks[0].take_if(|sink| sink.data().is_some());
        let data = held.as_mut().and_then(|sink| sink.data());
        let finished = request.finish(&stamps, data);
        let mut lost = finished.is_err();
        if lost {
            self.kill(Reason::Closed);
        } else {
            lost = self.enter(request, nodes, &stamps, &mut sinks);
        }
        if lost {
            drop(turn);
            sinks[0] = sinks[0].take().or(held);
            return Err(refuse(sinks, Error::Lost));
        }
        let sent = {
            let mut data = held.as_mut().and_then(|sink| sink.data());
            let frame = [request.frame()];
            // Pages are sent as they are. The end of a connection forgets what it has not sent
            // before the sink learns of it, so that they cannot change on their way.
            self.socket.send_all(&frame, data.as_mut(), true, patience)
        };
        drop(turn);
        if sent.is_err() {
            self.kill(self.blame());
        }
        if let Some(sink) = held {
            self.hand_over(stamps[0].id, sink);
        }
        match sent {
            Ok(()) => Ok(()),
            Err(_) => Err(Error::Lost),
        }
    }

    /// Enters a request as pending; says whether the connection is dead.
    fn enter(
        &self,
        request: &Request,
        nodes: Nodes,
        stamps: &[Stamp; MAX_PARTS],
        sinks: &mut Sinks,
    ) -> bool {
        let sent = now_ms();
        // Of the first part, which is the only one that opens files.
        let mut opens = (request.leaves_open()).then(|| request.context.clone());
        let mut state = self.state.lock();
        if state.dead.is_some() {
            return true;
        }
        for ((node, stamp), sink) in nodes.into_iter().flatten().zip(stamps).zip(sinks) {
            let holder = sink.take().map_or(Holder::Sender, Holder::Table);
            let entry = Entry {
                holder,
                key: request.context.key.clone(),
                charge: stamp.charge,
                echo: false,
                sent,
                deadline: request.context.deadline,
                tag: request.context.tag,
                opens: opens.take(),
            };
            state.pending.insert(node.into_node(stamp.id, entry));
        }
        false
    }

    /// All is sent: from now on the table may finish the sink, unless its time has come already.
    fn hand_over(&self, id: u64, sink: KBox<dyn Sink>) {
        let mut state = self.state.lock();
        let outcome = match state.pending.get_mut(&id) {
            None => Err(Error::Lost),
            Some(entry) => match mem::replace(&mut entry.holder, Holder::Sender) {
                Holder::Early(answer) => Ok(answer),
                _ => {
                    entry.holder = Holder::Table(sink);
                    return;
                }
            },
        };
        let starved = match state.pending.remove(&id) {
            Some(entry) => state.link.finish(entry.charge).is_err(),
            None => false,
        };
        drop(state);
        sink.done(outcome);
        if starved {
            self.kill(Reason::BadFrame);
        }
    }

    /// Takes message ids and credits for all parts and the right to send, waiting for them if need
    /// be. Ids are taken in the order of sending.
    fn reserve(&self, request: &Request, timeout: Option<u64>) -> Result<Right<'_>> {
        let mut short = false;
        let mut waited = false;
        loop {
            let ready = || {
                if short {
                    return !self.short(request);
                }
                let mut busy = self.tx.lock();
                if *busy {
                    return false;
                }
                *busy = true;
                true
            };
            let queue = if short { &self.credits } else { &self.turn };
            match queue.wait_killable(timeout, ready) {
                Ok(Outcome::Ready) => {}
                Ok(Outcome::TimedOut) => return Err(Error::Timeout),
                Err(_) => return Err(Error::Interrupted),
            }
            if short {
                (short, waited) = (false, true);
                continue;
            }
            let turn = Turn(self);
            let mut state = self.state.lock();
            if state.dead.is_some() {
                return Err(Error::Lost);
            }
            let taken = take(&mut state.link, request);
            let idle = state.link.in_flight() == 0;
            drop(state);
            if waited && (taken.is_some() || idle) {
                // What is left may do for the next.
                self.credits_came();
            }
            match taken {
                Some(stamps) => return Ok((turn, stamps)),
                // Nothing is under way that could bring the credits this takes.
                None if idle => return Err(Error::Kernel(E2BIG)),
                None => short = true,
            }
        }
    }

    /// As [`Self::reserve`], if that can be had, and the request sent, without waiting.
    fn reserve_now(&self, request: &Request) -> Option<Right<'_>> {
        if mem::replace(&mut *self.tx.lock(), true) {
            return None;
        }
        let turn = Turn(self);
        if !self.socket.has_room() {
            return None;
        }
        let mut state = self.state.lock();
        if state.dead.is_some() {
            return None;
        }
        let stamps = take(&mut state.link, request)?;
        Some((turn, stamps))
    }

    /// Whether credits are too few for `request` on a living connection that may bring more.
    fn short(&self, request: &Request) -> bool {
        let state = self.state.lock();
        let charges = charges(&state.link, request);
        let parts = request.parts().count();
        state.dead.is_none()
            && state.link.in_flight() > 0
            && state.link.clone().take_chain(&charges[..parts]).is_none()
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
    fn leave(&self, request: &Request, error: Error) {
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
    fn give_up(&self, error: Error, chosen: impl Fn(&Entry) -> bool) {
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

    /// Asks the server for a sign of life. Runs on the receiving thread, so it must not wait: where
    /// somebody is stuck sending, or there is no room, the server owes us a sign of life already.
    pub(super) fn echo(&self) {
        if mem::replace(&mut *self.tx.lock(), true) {
            return self.owe();
        }
        let turn = Turn(self);
        if !self.socket.has_room() {
            return self.owe();
        }
        let sent = self.echo_now();
        drop(turn);
        if sent.is_err() {
            self.kill(self.blame());
        }
    }

    /// Notes that the server is waited for as if an echo had been sent.
    fn owe(&self) {
        let now = Instant(now_ms());
        let mut state = self.state.lock();
        state.seen.echo = Some(now);
        state.seen.last_echo = Some(now);
        state.seen.owed = true;
    }

    /// Tells the server that nobody waits for the answers to `request` any more (MS-SMB2 3.2.4.24).
    /// The answers come nevertheless, and bring their credits. Does not wait.
    fn cancel(&self, request: &Request) {
        if mem::replace(&mut *self.tx.lock(), true) {
            return;
        }
        let turn = Turn(self);
        let sent = request
            .ids()
            .filter(|id| self.state.lock().pending.get(id).is_some())
            .try_for_each(|id| self.cancel_now(&request.context, id));
        drop(turn);
        if sent.is_err() {
            self.kill(self.blame());
        }
    }

    fn cancel_now(&self, context: &Context, id: u64) -> Result {
        let mut request = Request::new(context, &Cancel)?;
        let mut stamps = [Stamp::default(); MAX_PARTS];
        stamps[0].id = id;
        request.finish(&stamps, None)?;
        let sent = self
            .socket
            .send_all(&[request.frame()], None, false, Some(0));
        match sent {
            Err(unsent) if unsent.sent > 0 => Err(Error::Lost),
            // A server that takes nothing more need not be told.
            _ => Ok(()),
        }
    }

    fn echo_now(&self) -> Result {
        let mut request = Request::new(&Context::default(), &Echo)?;
        let node = RBTreeNodeReservation::new(GFP_KERNEL)?;
        let sink: KBox<dyn Sink> = KBox::new(Ignore, GFP_KERNEL)?;
        let mut state = self.state.lock();
        let Some(id) = state.link.take_urgent(1).filter(|_| state.dead.is_none()) else {
            drop(state);
            self.owe();
            return Ok(());
        };
        let mut stamps = [Stamp::default(); MAX_PARTS];
        stamps[0] = Stamp {
            id,
            charge: 1,
            ask: state.link.ask(1),
        };
        let now = Instant(now_ms());
        state.seen.echo = Some(now);
        state.seen.last_echo = Some(now);
        let entry = Entry {
            holder: Holder::Table(sink),
            key: None,
            charge: 1,
            echo: true,
            sent: now_ms(),
            deadline: None,
            tag: 0,
            opens: None,
        };
        state.pending.insert(node.into_node(id, entry));
        drop(state);
        request.finish(&stamps, None)?;
        self.socket
            .send_all(&[request.frame()], None, false, Some(0))
            .map_err(|_| Error::Lost)
    }
}

/// What the parts of `request` cost, in credits; 0 for parts it does not have.
fn charges(link: &Link, request: &Request) -> [u16; MAX_PARTS] {
    let mut charges = [0; MAX_PARTS];
    for (charge, part) in charges.iter_mut().zip(request.parts()) {
        *charge = link.charge(part.payload);
    }
    charges
}

/// Takes message ids and credits for every part, all or none.
fn take(link: &mut Link, request: &Request) -> Option<[Stamp; MAX_PARTS]> {
    let charges = charges(link, request);
    let mut id = link.take_chain(charges.get(..request.parts().count())?)?;
    let mut stamps = [Stamp::default(); MAX_PARTS];
    for (stamp, charge) in stamps.iter_mut().zip(charges) {
        *stamp = Stamp {
            id,
            charge,
            ask: link.ask(charge),
        };
        id = id.saturating_add(u64::from(charge));
    }
    Some(stamps)
}
