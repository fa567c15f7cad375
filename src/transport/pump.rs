// SPDX-License-Identifier: GPL-2.0

//! The receiving thread: a frame in, its request found, the request's sink called.
//!
//! It is also the watchman: between frames it asks [`rsdfs_proto::failover::watch`] whether the
//! server is alive. It never waits for anything but the socket.

use super::{
    conn::{
        Reason,
        State,
        Wire, //
    },
    pending::{
        Answer,
        Entry,
        Holder,
        Sink, //
    },
    Error,
    Result, //
};
use crate::sys::{
    crypto::KernelCrypto,
    socket::Received,
    thread::NoFs,
    time::now_ms, //
};
use kernel::{
    prelude::*,
    sync::Arc, //
};
use rsdfs_proto::{
    failover::watch::{
        self,
        Death,
        Signs,
        Verdict, //
    },
    frame,
    smb2::{
        flags,
        read::ReadHead,
        Code,
        Message,
        HEADER_LEN, //
    },
    status::NtStatus,
    time::{
        Instant,
        Span, //
    }, //
};

/// A READ response up to its payload, if that starts where all known servers put it: header, and
/// the fixed 16 bytes.
const READ_HEAD: usize = HEADER_LEN + 16;

/// The receiver looks after the server at least this often, in milliseconds: a request may be sent
/// while it sleeps.
const TICK: u64 = 250;

/// Receives until the connection is dead.
pub(super) fn run(wire: &Arc<Wire>) {
    let _scope = NoFs::enter();
    let reason = loop {
        match next(wire) {
            Ok(()) => {}
            Err(reason) => break reason,
        }
    };
    wire.kill(reason);
}

/// Receives one frame and delivers what is in it.
fn next(wire: &Wire) -> core::result::Result<(), Reason> {
    let mut prefix = [0; 4];
    receive(wire, &mut prefix)?;
    // Until the frame is whole the server owes us something, though its request may be off the table.
    wire.state.lock().seen.partial = Some(Instant(now_ms()));
    let done = rest(wire, prefix);
    wire.state.lock().seen.partial = None;
    done
}

/// Receives what follows a transport header.
fn rest(wire: &Wire, prefix: [u8; 4]) -> core::result::Result<(), Reason> {
    let length = frame::length(prefix).map_err(|_| Reason::BadFrame)?;
    let limit = wire.state.lock().limits.frame;
    if !(HEADER_LEN..=limit).contains(&length) {
        return Err(Reason::BadFrame);
    }
    let mut head = [0; READ_HEAD];
    let head = &mut head[..length.min(READ_HEAD)];
    receive(wire, head)?;
    if let Some((sink, payload)) = direct(wire, head, length)? {
        return place(wire, sink, head, payload);
    }
    let mut bytes = KVVec::with_capacity(length, GFP_KERNEL).map_err(|_| Reason::Closed)?;
    bytes
        .extend_from_slice(head, GFP_KERNEL)
        .map_err(|_| Reason::Closed)?;
    bytes
        .resize(length, 0, GFP_KERNEL)
        .map_err(|_| Reason::Closed)?;
    receive(wire, bytes.get_mut(head.len()..).unwrap_or_default())?;
    deliver(wire, bytes)
}

/// Fills `buffer`, watching the server between the bytes.
fn receive(wire: &Wire, mut buffer: &mut [u8]) -> core::result::Result<(), Reason> {
    while !buffer.is_empty() {
        match wire.socket.recv_some(buffer, Some(look_after(wire)?)) {
            Ok(Received::Data(n)) => {
                heard(wire);
                buffer = buffer.get_mut(n..).unwrap_or_default();
            }
            Ok(Received::TimedOut) => {}
            Ok(Received::Closed) => return Err(Reason::Reset),
            Err(_) => return Err(wire.blame()),
        }
    }
    Ok(())
}

/// Notes that the server lives.
fn heard(wire: &Wire) {
    wire.state.lock().seen.heard(Instant(now_ms()));
}

/// Looks after the server; says for how many milliseconds the receiver may sleep.
fn look_after(wire: &Wire) -> core::result::Result<u64, Reason> {
    let now = Instant(now_ms());
    let unacked = wire.socket.unacked_ms();
    let state = wire.state.lock();
    if state.dead.is_some() {
        return Err(Reason::Closed);
    }
    let signs = Signs {
        received: state.seen.received,
        // Requests are sent in the order of their ids; the echo is not one to wait for.
        oldest: (state.pending.values())
            .find(|entry| !entry.echo)
            .map(|entry| Instant(entry.sent))
            .or(state.seen.partial),
        unacked: (unacked > 0).then(|| Span::ms(unacked)),
        echo: state.seen.echo,
        last_echo: state.seen.last_echo,
        rtt: Span::ms(wire.socket.rtt_ms().into()),
    };
    drop(state);
    let limits = watch::Limits {
        echo_interval: Span::ms(wire.tuning.echo_interval),
        ..watch::Limits::DEFAULT
    };
    match watch::judge(now, &signs, &limits) {
        Verdict::Fine(at) => {
            wire.expire(now.0);
            Ok(now.until(at).0.clamp(1, TICK))
        }
        Verdict::SendEcho => {
            wire.echo();
            Ok(100)
        }
        Verdict::Dead(Death::Silent) => Err(Reason::Silent),
        Verdict::Dead(Death::Frozen) => Err(Reason::Frozen),
    }
}

/// A sink and the length of the payload it gets.
type Direct = (KBox<dyn Sink>, usize);

/// Whether `head` starts a lone unsigned successful READ response whose payload goes straight to a
/// sink.
fn direct(wire: &Wire, head: &[u8], length: usize) -> core::result::Result<Option<Direct>, Reason> {
    let Ok(message) = Message::parse(head) else {
        return Err(Reason::BadFrame);
    };
    let header = &message.header;
    if header.command != Code::Read.number()
        || header.status != NtStatus(0)
        || header.next != 0
        || header.flags & flags::SIGNED != 0
        || head.len() < READ_HEAD
    {
        return Ok(None);
    }
    let Ok(read) = ReadHead::parse(&head[HEADER_LEN..]) else {
        return Err(Reason::BadFrame);
    };
    let payload = length - READ_HEAD;
    if read.data_offset as usize != READ_HEAD || read.data_len as usize != payload {
        return Ok(None);
    }
    let mut state = wire.state.lock();
    let wants = match state.pending.get_mut(&header.message_id) {
        Some(Entry {
            holder: Holder::Table(sink),
            key: None,
            ..
        }) => sink.payload().is_some(),
        _ => false,
    };
    if !wants {
        return Ok(None);
    }
    state.link.grant(header.credits);
    let (entry, starved) = take_off(&mut state, header.message_id);
    drop(state);
    wire.credits_came();
    let Some(Holder::Table(sink)) = entry.map(|entry| entry.holder) else {
        return Ok(None);
    };
    if starved {
        sink.done(Err(Error::Lost));
        return Err(Reason::BadFrame);
    }
    Ok(Some((sink, payload)))
}

/// Takes a request with its final answer off the table; says whether the server leaves us without
/// credits, which ends the conversation.
fn take_off(state: &mut State, id: u64) -> (Option<Entry>, bool) {
    let entry = state.pending.remove(&id);
    let starved = match &entry {
        Some(entry) => state.link.finish(entry.charge).is_err(),
        None => false,
    };
    (entry, starved)
}

/// Receives `payload` bytes into `sink`.
fn place(
    wire: &Wire,
    mut sink: KBox<dyn Sink>,
    head: &[u8],
    payload: usize,
) -> core::result::Result<(), Reason> {
    let placed = fill(wire, &mut *sink, payload);
    let answer = match placed {
        Ok(()) => copy(head, payload),
        Err(_) => Err(Error::Lost),
    };
    sink.done(answer);
    placed
}

fn fill(wire: &Wire, sink: &mut dyn Sink, payload: usize) -> core::result::Result<(), Reason> {
    let Some(mut room) = sink.payload() else {
        return Err(Reason::BadFrame);
    };
    if room.len() < payload {
        return Err(Reason::BadFrame);
    }
    let mut left = payload;
    while left > 0 {
        match wire
            .socket
            .recv_into(&mut room, left, Some(look_after(wire)?))
        {
            Ok(Received::Data(n)) => {
                heard(wire);
                left = left.saturating_sub(n);
            }
            Ok(Received::TimedOut) => {}
            Ok(Received::Closed) => return Err(Reason::Reset),
            Err(_) => return Err(wire.blame()),
        }
    }
    Ok(())
}

fn copy(bytes: &[u8], placed: usize) -> Result<Answer> {
    let mut message = KVVec::with_capacity(bytes.len(), GFP_KERNEL)?;
    message.extend_from_slice(bytes, GFP_KERNEL)?;
    Ok(Answer::new(message, placed))
}

/// Delivers the messages of a whole frame.
fn deliver(wire: &Wire, bytes: KVVec<u8>) -> core::result::Result<(), Reason> {
    let first = Message::parse(&bytes).map_err(|_| Reason::BadFrame)?.header;
    if first.next == 0 {
        // Alone in its frame: handed on without a copy.
        return finish(wire, bytes, Ok);
    }
    for message in frame::messages(&bytes) {
        let message = message.map_err(|_| Reason::BadFrame)?;
        finish(wire, message.bytes, |bytes| {
            let mut copy = KVVec::with_capacity(bytes.len(), GFP_KERNEL)?;
            copy.extend_from_slice(bytes, GFP_KERNEL)?;
            Ok(copy)
        })?;
    }
    Ok(())
}

/// Gives the answer to whom it belongs; interim answers and notifications belong to nobody.
fn finish<B: core::ops::Deref<Target = [u8]>>(
    wire: &Wire,
    bytes: B,
    keep: impl FnOnce(B) -> Result<KVVec<u8>>,
) -> core::result::Result<(), Reason> {
    let message = Message::parse(&bytes).map_err(|_| Reason::BadFrame)?;
    let header = message.header;
    if header.flags & flags::RESPONSE == 0 {
        return Err(Reason::BadFrame);
    }
    if header.message_id == u64::MAX {
        return Ok(());
    }
    let id = header.message_id;
    let mut state = wire.state.lock();
    state.link.grant(header.credits);
    let key = state.pending.get(&id).map(|entry| entry.key.clone());
    drop(state);
    wire.credits_came();
    let Some(key) = key else {
        return Err(Reason::BadFrame);
    };
    if header.flags & flags::ASYNC != 0 && header.status.is_pending() {
        return Ok(());
    }
    if key.is_some_and(|key| !key.verify(&KernelCrypto, &message)) {
        return Err(Reason::BadFrame);
    }
    let answer = keep(bytes).map(|bytes| Answer::new(bytes, 0));
    let mut state = wire.state.lock();
    if header.command == Code::Echo.number() {
        state.seen.echo = None;
    }
    let Some(entry) = state.pending.get_mut(&id) else {
        // The connection was ended meanwhile.
        return Ok(());
    };
    match (
        core::mem::replace(&mut entry.holder, Holder::Sender),
        answer,
    ) {
        (Holder::Table(sink), answer) => {
            let (entry, starved) = take_off(&mut state, id);
            drop(state);
            drop(entry);
            sink.done(answer);
            if starved {
                return Err(Reason::BadFrame);
            }
        }
        (Holder::Nobody, _) => {
            let (entry, starved) = take_off(&mut state, id);
            drop(state);
            drop(entry);
            if starved {
                return Err(Reason::BadFrame);
            }
        }
        (Holder::Sender, Ok(answer)) => entry.holder = Holder::Early(answer),
        (Holder::Sender, Err(_)) => return Err(Reason::Closed),
        (Holder::Early(_), _) => return Err(Reason::BadFrame),
    }
    Ok(())
}
