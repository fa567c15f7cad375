// SPDX-License-Identifier: GPL-2.0

//! The receiving thread: a frame in, its request found, the request's sink called.
//!
//! It is also the watchman: between frames it asks [`rsdfs_proto::failover::watch`] whether the
//! server is alive. It never waits for anything but the socket.

use super::{
    conn::Reason,
    pending::{
        Answer,
        Entry,
        Holder,
        Sink, //
    },
    wire::{
        State,
        Wire, //
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
        oplock_break::{
            Break,
            UNSOLICITED, //
        },
        read::ReadHead,
        Code,
        Message,
        HEADER_LEN, //
    },
    status::NtStatus,
    stream::{
        Carry,
        Cut,
        CARRY_LEN,
        HEAD_LEN, //
    },
    time::{
        Instant,
        Span, //
    }, //
};

/// The receiver looks after the server at least this often, in milliseconds: a request may be sent
/// while it sleeps.
const TICK: u64 = 250;

/// Receives until the connection is dead.
pub(super) fn run(wire: &Arc<Wire>) {
    let _scope = NoFs::enter();
    let reason = match KVec::from_elem(0, CARRY_LEN, GFP_KERNEL) {
        Ok(mut buffer) => {
            let mut carry = Carry::new(&mut buffer);
            loop {
                match next(wire, &mut carry) {
                    Ok(()) => {}
                    Err(reason) => break reason,
                }
            }
        }
        Err(_) => Reason::Closed,
    };
    wire.kill(reason);
}

/// Receives one frame and delivers what is in it.
fn next(wire: &Wire, carry: &mut Carry<'_>) -> core::result::Result<(), Reason> {
    // Until the frame is whole the server owes us something, though its request may be off the table.
    let mut partial = false;
    loop {
        let limit = wire.state.lock().limits.frame;
        let (short, length) = match carry.cut(limit).map_err(|_| Reason::BadFrame)? {
            Cut::Short => (true, 0),
            Cut::Whole(frame) => {
                whole(wire, frame)?;
                (false, frame.len())
            }
            Cut::Begun { length, here } => {
                owes(wire, &mut partial);
                rest(wire, here, length)?;
                (false, length)
            }
        };
        if !short {
            carry.used(length);
            break;
        }
        if !carry.is_empty() {
            owes(wire, &mut partial);
        }
        let count = receive(wire, carry.room())?;
        carry.filled(count);
    }
    if partial {
        wire.state.lock().seen.partial = None;
    }
    Ok(())
}

/// Notes, once, that a frame has begun and is not whole yet.
fn owes(wire: &Wire, noted: &mut bool) {
    if !core::mem::replace(noted, true) {
        wire.state.lock().seen.partial = Some(Instant(now_ms()));
    }
}

/// Delivers a frame that is here as a whole.
fn whole(wire: &Wire, frame: &[u8]) -> core::result::Result<(), Reason> {
    if let Some((sink, payload)) = direct(wire, frame, frame.len())? {
        return place(wire, sink, frame, payload);
    }
    for message in frame::messages(frame) {
        let message = message.map_err(|_| Reason::BadFrame)?;
        finish(wire, message.bytes, to_vec)?;
    }
    Ok(())
}

/// Receives and delivers what is left of a frame of `length` bytes of which only `here` is.
fn rest(wire: &Wire, here: &[u8], length: usize) -> core::result::Result<(), Reason> {
    if let Some((sink, payload)) = direct(wire, here, length)? {
        return place(wire, sink, here, payload);
    }
    let mut bytes = KVVec::with_capacity(length, GFP_KERNEL).map_err(|_| Reason::Closed)?;
    bytes
        .extend_from_slice(here, GFP_KERNEL)
        .map_err(|_| Reason::Closed)?;
    bytes
        .resize(length, 0, GFP_KERNEL)
        .map_err(|_| Reason::Closed)?;
    let mut missing = bytes.get_mut(here.len()..).unwrap_or_default();
    while !missing.is_empty() {
        let count = receive(wire, missing)?;
        missing = missing.get_mut(count..).unwrap_or_default();
    }
    deliver(wire, bytes)
}

fn to_vec(bytes: &[u8]) -> Result<KVVec<u8>> {
    let mut copy = KVVec::with_capacity(bytes.len(), GFP_KERNEL)?;
    copy.extend_from_slice(bytes, GFP_KERNEL)?;
    Ok(copy)
}

/// Receives at least a byte into `buffer`, watching the server meanwhile; says how many came.
fn receive(wire: &Wire, buffer: &mut [u8]) -> core::result::Result<usize, Reason> {
    loop {
        match wire.socket.recv_some(buffer, Some(look_after(wire)?)) {
            Ok(Received::Data(n)) => {
                heard(wire);
                return Ok(n);
            }
            Ok(Received::TimedOut) => {}
            Ok(Received::Closed) => return Err(Reason::Reset),
            Err(_) => return Err(wire.blame()),
        }
    }
}

/// Notes that the server lives.
fn heard(wire: &Wire) {
    wire.state.lock().seen.heard(Instant(now_ms()));
}

/// Looks after the server; says for how many milliseconds the receiver may sleep.
fn look_after(wire: &Wire) -> core::result::Result<u64, Reason> {
    let tick = wire.tend_closes().unwrap_or(TICK);
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
            Ok(now.until(at).0.clamp(1, tick))
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

/// Whether `here` starts a frame of `length` bytes that is a lone unsigned successful READ response,
/// whose payload goes straight to a sink.
fn direct(wire: &Wire, here: &[u8], length: usize) -> core::result::Result<Option<Direct>, Reason> {
    let Ok(message) = Message::parse(here) else {
        return Err(Reason::BadFrame);
    };
    let header = &message.header;
    if header.command != Code::Read.number()
        || header.status != NtStatus(0)
        || header.next != 0
        || header.flags & flags::SIGNED != 0
    {
        return Ok(None);
    }
    // Shorter answers have no payload.
    let (Some(head), Some(payload)) =
        (here.get(HEADER_LEN..HEAD_LEN), length.checked_sub(HEAD_LEN))
    else {
        return Ok(None);
    };
    let Ok(read) = ReadHead::parse(head) else {
        return Err(Reason::BadFrame);
    };
    if read.data_offset as usize != HEAD_LEN || read.data_len as usize != payload {
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

/// Gives `payload` bytes to `sink`: those that are here, behind the head, and the rest as it comes.
fn place(
    wire: &Wire,
    mut sink: KBox<dyn Sink>,
    here: &[u8],
    payload: usize,
) -> core::result::Result<(), Reason> {
    let (head, begun) = here.split_at_checked(HEAD_LEN).unwrap_or_default();
    let placed = fill(wire, &mut *sink, begun, payload);
    let answer = match placed {
        Ok(()) => to_vec(head).map(|head| Answer::new(head, payload)),
        Err(_) => Err(Error::Lost),
    };
    sink.done(answer);
    placed
}

fn fill(
    wire: &Wire,
    sink: &mut dyn Sink,
    begun: &[u8],
    payload: usize,
) -> core::result::Result<(), Reason> {
    let Some(mut room) = sink.payload() else {
        return Err(Reason::BadFrame);
    };
    if room.len() < payload || room.write(begun) != begun.len() {
        return Err(Reason::BadFrame);
    }
    let mut left = payload.saturating_sub(begun.len());
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

/// Delivers the messages of a frame that has a buffer of its own.
fn deliver(wire: &Wire, bytes: KVVec<u8>) -> core::result::Result<(), Reason> {
    let first = Message::parse(&bytes).map_err(|_| Reason::BadFrame)?.header;
    if first.next == 0 {
        // Alone in its frame: handed on without a copy.
        return finish(wire, bytes, Ok);
    }
    for message in frame::messages(&bytes) {
        let message = message.map_err(|_| Reason::BadFrame)?;
        finish(wire, message.bytes, to_vec)?;
    }
    Ok(())
}

/// Gives the answer to whom it belongs, and a notification to who listens; interim answers belong to
/// nobody.
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
    if header.message_id == UNSOLICITED {
        let broken = header.command == Code::OplockBreak.number();
        if let (true, Ok(what)) = (broken, Break::parse(&message)) {
            wire.listener.broken(&what);
        }
        return Ok(());
    }
    let id = header.message_id;
    let mut state = wire.state.lock();
    state.link.grant(header.credits);
    let put_off = header.async_id().filter(|_| header.status.is_pending());
    let entry = state.pending.get_mut(&id);
    let key = entry.map(|entry| {
        entry.put_off = entry.put_off.or(put_off);
        entry.key.clone()
    });
    drop(state);
    wire.credits_came();
    let Some(key) = key else {
        return Err(Reason::BadFrame);
    };
    if put_off.is_some() {
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
        (Holder::Nobody, answer) => {
            let (entry, starved) = take_off(&mut state, id);
            drop(state);
            let opened = entry.and_then(|entry| entry.opens);
            if let (Some(context), Ok(answer)) = (opened, answer) {
                wire.close_opened(&context, &answer);
            }
            if starved {
                return Err(Reason::BadFrame);
            }
        }
        (Holder::Sender, Ok(answer)) => entry.holder = Holder::Early(answer),
        (Holder::Sender, Err(_)) => return Err(Reason::Closed),
        (twice @ Holder::Early(_), answer) => {
            // Freeing them may sleep.
            drop(state);
            drop((twice, answer));
            return Err(Reason::BadFrame);
        }
    }
    Ok(())
}
