// SPDX-License-Identifier: GPL-2.0

//! A request as it goes out: one message, or a compound of related ones.

use super::Result;
use crate::sys::{
    crypto::KernelCrypto,
    iter::Source, //
};
use kernel::{
    prelude::*,
    sync::Arc, //
};
use rsdfs_proto::{
    auth::Mac as _,
    codec::{
        Reader,
        Writer, //
    },
    crypt::{
        self,
        SigningKey, //
    },
    smb2::{
        flags,
        Code,
        Command,
        Header,
        HEADER_LEN, //
    },
    status::NtStatus, //
};

/// The direct TCP transport header before every frame (MS-SMB2 2.1).
pub(super) const PREFIX: usize = 4;

/// Room for a compound that opens, does something and closes, names of common length included, in
/// bytes: adding parts seldom has to allocate.
const ROOM: usize = 512;

/// The most messages in one compound.
pub(crate) const MAX_PARTS: usize = 8;

/// On whose behalf a request is made.
#[derive(Clone, Default)]
pub(crate) struct Context {
    /// Session id, 0 before session setup.
    pub(crate) session: u64,
    /// Tree id, 0 for requests that belong to none.
    pub(crate) tree: u32,
    /// Signs requests and checks answers; none on a session that does not sign.
    pub(crate) key: Option<Arc<SigningKey>>,
    /// When whoever asks gives up, in milliseconds since boot; `None`: never.
    pub(crate) deadline: Option<u64>,
    /// Who asks, for [`Conn::abandon`](super::Conn::abandon).
    pub(crate) tag: u64,
}

/// One message of a request.
#[derive(Clone, Copy)]
pub(super) struct Part {
    /// Where its header starts in [`Request::bytes`].
    pub(super) start: usize,
    /// Its length in bytes, padding included, without data sent from elsewhere.
    pub(super) len: usize,
    /// Larger of the variable bytes sent and expected.
    pub(super) payload: usize,
    code: Code,
}

/// What a connection gives each message.
#[derive(Clone, Copy, Default)]
pub(super) struct Stamp {
    /// Message id.
    pub(super) id: u64,
    /// Credits it costs.
    pub(super) charge: u16,
    /// Credits it asks for.
    pub(super) ask: u16,
}

/// A request that is complete but for what the connection adds: message ids, credits, signature.
pub(crate) struct Request {
    bytes: KVec<u8>,
    parts: [Option<Part>; MAX_PARTS],
    /// The parts after the first work on its handle and tree.
    related: bool,
    /// The first part may have been carried out before.
    replay: bool,
    /// It is about what the server calls so.
    async_id: Option<u64>,
    /// See [`Self::hurry`].
    hurry: Option<u64>,
    pub(super) context: Context,
}

impl Request {
    /// A request of one command.
    pub(crate) fn new<C: Command>(context: &Context, command: &C) -> Result<Self> {
        let mut request = Self {
            bytes: KVec::with_capacity(
                (PREFIX + HEADER_LEN)
                    .saturating_add(command.len())
                    .max(ROOM),
                GFP_KERNEL,
            )?,
            parts: [None; MAX_PARTS],
            related: true,
            replay: false,
            async_id: None,
            hurry: None,
            context: context.clone(),
        };
        request.bytes.resize(PREFIX, 0, GFP_KERNEL)?;
        request.append(command)?;
        Ok(request)
    }

    /// Adds a command that works on the handle and tree of the one before (MS-SMB2 3.2.4.1.4).
    pub(crate) fn then<C: Command>(&mut self, command: &C) -> Result {
        self.append(command)
    }

    /// Says that the first command may have been carried out before (MS-SMB2 2.2.1.2).
    pub(crate) fn replay(&mut self) {
        self.replay = true;
    }

    /// Says that it is about what the server has put off under this async id (MS-SMB2 3.2.4.24).
    pub(super) fn of_async(&mut self, id: u64) {
        self.async_id = Some(id);
    }

    /// Whoever waits for the answer gives up after `patience` milliseconds already, if the server has put it off by then.
    pub(crate) fn hurry(&mut self, patience: u64) {
        self.hurry = Some(patience);
    }

    /// What that was set to, if it is shorter than `timeout`.
    pub(super) fn hurried(&self, timeout: Option<u64>) -> Option<u64> {
        self.hurry
            .filter(|hurry| timeout.is_none_or(|timeout| *hurry < timeout))
    }

    /// Adds a command that has nothing to do with the others (MS-SMB2 3.2.4.1.4).
    pub(super) fn and<C: Command>(mut self, command: &C) -> Result<Self> {
        self.append(command)?;
        self.related = false;
        Ok(self)
    }

    /// Whether it may reach the server before the closes that came earlier: what it does cannot
    /// depend on whether a file is still open.
    pub(super) fn may_overtake(&self) -> bool {
        let mut parts = self.parts();
        let first = parts.next().map(|part| part.code);
        let passes = matches!(
            first,
            Some(Code::Create | Code::Read | Code::Write | Code::Echo)
        );
        parts.next().is_none() && passes
    }

    /// Whether it opens a file that it does not close.
    pub(super) fn leaves_open(&self) -> bool {
        let has = |code| self.parts().any(|part| part.code == code);
        has(Code::Create) && !has(Code::Close)
    }

    fn append<C: Command>(&mut self, command: &C) -> Result {
        let count = self.parts().count();
        if let Some(last) = self.parts.iter_mut().flatten().last() {
            let padded = last.len.checked_next_multiple_of(8).ok_or(EINVAL)?;
            let end = last.start.saturating_add(padded);
            self.bytes.resize(end, 0, GFP_KERNEL)?;
            last.len = padded;
        }
        let slot = self.parts.get_mut(count).ok_or(EINVAL)?;
        let start = self.bytes.len();
        let len = HEADER_LEN.saturating_add(command.len());
        self.bytes
            .resize(start.saturating_add(len), 0, GFP_KERNEL)?;
        let body = self.bytes.get_mut(start.saturating_add(HEADER_LEN)..);
        command.emit(&mut Writer::new(body.ok_or(EINVAL)?))?;
        *slot = Some(Part {
            start,
            len,
            payload: command.payload(),
            code: C::CODE,
        });
        Ok(())
    }

    /// The messages, in order.
    pub(super) fn parts(&self) -> impl Iterator<Item = Part> + '_ {
        self.parts.iter().map_while(|part| *part)
    }

    /// The bytes of the first message as they were sent; for the preauthentication hash.
    pub(crate) fn message(&self) -> &[u8] {
        self.bytes.get(PREFIX..).unwrap_or_default()
    }

    /// The message ids it was sent with.
    pub(super) fn ids(&self) -> impl Iterator<Item = u64> + '_ {
        self.parts().filter_map(|part| {
            let header = self.bytes.get(part.start..)?;
            Some(Header::parse(&mut Reader::new(header)).ok()?.message_id)
        })
    }

    /// The frame, transport header included, without data sent from elsewhere.
    pub(super) fn frame(&self) -> &[u8] {
        &self.bytes
    }

    /// Completes the frame; `data` follows the last part.
    pub(super) fn finish(
        &mut self,
        stamps: &[Stamp; MAX_PARTS],
        mut data: Option<Source<'_>>,
    ) -> Result {
        let data_len = data.as_ref().map_or(0, Source::len);
        let total = self.message().len().saturating_add(data_len);
        let total = u32::try_from(total).map_err(|_| EINVAL)?;
        *self.bytes.first_chunk_mut().ok_or(EINVAL)? = total.to_be_bytes();
        let parts = self.parts;
        let last = self.parts().count().saturating_sub(1);
        for (i, (part, stamp)) in parts.iter().flatten().zip(stamps).enumerate() {
            let mut bits = 0;
            if i > 0 && self.related {
                bits |= flags::RELATED;
            }
            if i == 0 && self.replay {
                bits |= flags::REPLAY;
            }
            if self.context.key.is_some() {
                bits |= flags::SIGNED;
            }
            let mut header = Header {
                credit_charge: stamp.charge,
                // In 3.x the ChannelSequence: it stays what it is, as a session has one channel.
                status: NtStatus::SUCCESS,
                command: part.code.number(),
                credits: stamp.ask,
                flags: bits,
                next: if i == last { 0 } else { part.len as u32 },
                message_id: stamp.id,
                tree_id: self.context.tree,
                process_id: 0,
                session_id: self.context.session,
                signature: [0; 16],
            };
            if let Some(id) = self.async_id {
                header.set_async_id(id);
            }
            let end = part.start.saturating_add(part.len);
            let message = self.bytes.get_mut(part.start..end).ok_or(EINVAL)?;
            header.emit(&mut Writer::new(message))?;
            let Some(key) = &self.context.key else {
                continue;
            };
            let (header, body) = message.split_first_chunk_mut().ok_or(EINVAL)?;
            let mut mac = key.begin(&KernelCrypto, header);
            mac.update(body);
            if let (true, Some(data)) = (i == last, &mut data) {
                data.for_each_chunk(|chunk| mac.update(chunk));
            }
            crypt::set_signature(header, &mac.finish());
        }
        Ok(())
    }
}
