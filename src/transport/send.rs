// SPDX-License-Identifier: GPL-2.0

//! How a request gets onto the wire: room in the table, message ids and credits, the turn to send, and the frame.

use super::{
    conn::Reason,
    pending::{
        Entry,
        Holder,
        Sink, //
    },
    request::{
        Request,
        Stamp,
        MAX_PARTS, //
    },
    wire::Wire,
    Error,
    Result, //
};
use crate::sys::{
    socket::Mark,
    time::now_ms,
    wait::Outcome, //
};
use core::mem;
use kernel::{
    prelude::*,
    rbtree::RBTreeNodeReservation, //
};
use rsdfs_proto::link::Link;

/// Sinks of a request, in the order of its parts.
pub(super) type Sinks = [Option<KBox<dyn Sink>>; MAX_PARTS];

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
pub(super) struct Turn<'a>(&'a Wire);

impl<'a> Turn<'a> {
    /// Takes it, if nobody else has it.
    pub(super) fn now(wire: &'a Wire) -> Option<Self> {
        let busy = mem::replace(&mut *wire.tx.lock(), true);
        (!busy).then(|| Turn(wire))
    }
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        *self.0.tx.lock() = false;
        self.0.turn.wake_one();
    }
}

impl Wire {
    /// Sends a request and enters its sinks as pending. An error has been told to every sink.
    pub(super) fn transmit(
        &self,
        request: &mut Request,
        sinks: Sinks,
        timeout: Option<u64>,
    ) -> Result {
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
            // Pages are sent as they are. Nobody tells the sink of a failure before the connection has
            // forgotten them or the server has them, so that they cannot change on their way.
            self.socket.send_all(&frame, data.as_mut(), true, patience)
        };
        let end = self.socket.mark();
        drop(turn);
        if sent.is_err() {
            self.kill(self.blame());
        }
        if let Some(sink) = held {
            self.hand_over(stamps[0].id, sink, end);
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
                data_end: None,
                put_off: None,
            };
            state.pending.insert(node.into_node(stamp.id, entry));
        }
        false
    }

    /// All is sent: from now on the table may finish the sink, unless its time has come already.
    /// What it sent ends at `end`.
    fn hand_over(&self, id: u64, sink: KBox<dyn Sink>, end: Mark) {
        let mut state = self.state.lock();
        let outcome = match state.pending.get_mut(&id) {
            None => Err(Error::Lost),
            Some(entry) => match mem::replace(&mut entry.holder, Holder::Sender) {
                Holder::Early(answer) => Ok(answer),
                _ => {
                    entry.holder = Holder::Table(sink);
                    entry.data_end = Some(end);
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
            let mut turn = None;
            let ready = || {
                if short {
                    return !self.short(request);
                }
                turn = Turn::now(self);
                turn.is_some()
            };
            let queue = if short { &self.credits } else { &self.turn };
            match queue.wait_killable(timeout, ready) {
                Ok(Outcome::Ready) => {}
                Ok(Outcome::TimedOut) => return Err(Error::Timeout),
                Err(_) => return Err(Error::Interrupted),
            }
            let Some(turn) = turn else {
                (short, waited) = (false, true);
                continue;
            };
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
        let turn = Turn::now(self)?;
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
