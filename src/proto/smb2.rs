// SPDX-License-Identifier: GPL-2.0
//! SMB2/3 messages (MS-SMB2 2.2): the header, and one file per command.

use crate::codec::{size, window, Malformed, NoSpace, Reader, Writer};
use crate::status::NtStatus;

pub mod cancel;
pub mod change_notify;
pub mod close;
pub mod compound;
pub mod context;
pub mod create;
pub mod echo;
pub mod error;
pub mod flush;
pub mod info;
pub mod ioctl;
pub mod lock;
pub mod logoff;
pub mod negotiate;
pub mod oplock_break;
pub mod query_directory;
pub mod query_info;
pub mod read;
pub mod session_setup;
pub mod set_info;
pub mod tree_connect;
pub mod tree_disconnect;
pub mod write;

/// Length of the SMB2 header in bytes.
pub const HEADER_LEN: usize = 64;

/// The protocol id at the start of every SMB2 header.
pub const PROTOCOL_ID: [u8; 4] = [0xfe, b'S', b'M', b'B'];

/// Header flags (MS-SMB2 2.2.1.2).
pub mod flags {
    /// The message is a response.
    pub const RESPONSE: u32 = 0x0000_0001;
    /// Asynchronous header: the tree id field is half of the async id.
    pub const ASYNC: u32 = 0x0000_0002;
    /// Related operation of a compound.
    pub const RELATED: u32 = 0x0000_0004;
    /// The signature field is valid.
    pub const SIGNED: u32 = 0x0000_0008;
    /// The path in the request is a DFS path.
    pub const DFS: u32 = 0x1000_0000;
    /// The request repeats one whose answer was lost.
    pub const REPLAY: u32 = 0x2000_0000;
}

/// Command codes (MS-SMB2 2.2.1.2).
#[allow(missing_docs)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u16)]
pub enum Code {
    Negotiate = 0x00,
    SessionSetup = 0x01,
    Logoff = 0x02,
    TreeConnect = 0x03,
    TreeDisconnect = 0x04,
    Create = 0x05,
    Close = 0x06,
    Flush = 0x07,
    Read = 0x08,
    Write = 0x09,
    Lock = 0x0a,
    Ioctl = 0x0b,
    Cancel = 0x0c,
    Echo = 0x0d,
    QueryDirectory = 0x0e,
    ChangeNotify = 0x0f,
    QueryInfo = 0x10,
    SetInfo = 0x11,
    OplockBreak = 0x12,
}

impl Code {
    /// The number on the wire.
    #[allow(clippy::as_conversions)]
    pub const fn number(self) -> u16 {
        self as u16
    }
}

/// A server's name for an open file (MS-SMB2 2.2.14.1), valid within its session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FileId {
    /// The part that survives a durable reconnect.
    pub persistent: u64,
    /// The part that is new with each open.
    pub volatile: u64,
}

impl FileId {
    /// The file that the previous element of a related compound opened or used
    /// (MS-SMB2 3.2.4.1.4), and the file id of an IOCTL that has none.
    pub const ANY: Self = Self {
        persistent: u64::MAX,
        volatile: u64::MAX,
    };

    /// Reads the 16 bytes of a file id.
    pub fn parse(r: &mut Reader<'_>) -> Result<Self, Malformed> {
        Ok(Self {
            persistent: r.u64()?,
            volatile: r.u64()?,
        })
    }

    /// Writes the 16 bytes of a file id.
    pub fn emit(&self, w: &mut Writer<'_>) -> Result<(), NoSpace> {
        w.u64(self.persistent)?;
        w.u64(self.volatile)
    }
}

/// The SMB2 header (MS-SMB2 2.2.1), synchronous or asynchronous form.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header {
    /// Credits this request consumes, or 0 in dialect 2.0.2.
    pub credit_charge: u16,
    /// Status in a response; channel sequence (low 16 bits) in a 3.x request.
    pub status: NtStatus,
    /// Command code as on the wire; see [`Code`].
    pub command: u16,
    /// Credits asked for in a request, granted in a response.
    pub credits: u16,
    /// See [`flags`].
    pub flags: u32,
    /// Offset of the next element of a compound from the start of this header, or 0.
    pub next: u32,
    /// Message id.
    pub message_id: u64,
    /// Tree id, or the upper half of the async id when [`flags::ASYNC`] is set.
    pub tree_id: u32,
    /// Process id (reserved), or the lower half of the async id.
    pub process_id: u32,
    /// Session id.
    pub session_id: u64,
    /// Signature, all zero in an unsigned message.
    pub signature: [u8; 16],
}

impl Header {
    /// A request of this code with everything else zero.
    pub const fn request(code: Code) -> Self {
        Self {
            credit_charge: 0,
            status: NtStatus::SUCCESS,
            command: code.number(),
            credits: 0,
            flags: 0,
            next: 0,
            message_id: 0,
            tree_id: 0,
            process_id: 0,
            session_id: 0,
            signature: [0; 16],
        }
    }

    /// Whether the message comes from a server.
    pub const fn is_response(&self) -> bool {
        self.flags & flags::RESPONSE != 0
    }

    /// Whether it answers a request of this code.
    pub const fn answers(&self, code: Code) -> bool {
        self.is_response() && self.command == code.number()
    }

    /// The async id, when the header is of the asynchronous form.
    pub fn async_id(&self) -> Option<u64> {
        (self.flags & flags::ASYNC != 0)
            .then(|| (u64::from(self.tree_id) << 32) | u64::from(self.process_id))
    }

    /// Makes the header asynchronous, as a CANCEL of a pending request needs it
    /// (MS-SMB2 3.2.4.24).
    pub fn set_async_id(&mut self, id: u64) {
        let half = |v: u64| u32::try_from(v & 0xffff_ffff).unwrap_or(0);
        self.flags |= flags::ASYNC;
        self.process_id = half(id);
        self.tree_id = half(id >> 32);
    }

    /// Parses the first [`HEADER_LEN`] bytes of `r`.
    pub fn parse(r: &mut Reader<'_>) -> Result<Self, Malformed> {
        if r.array::<4>()? != PROTOCOL_ID || r.u16()? != 64 {
            return Err(Malformed);
        }
        let credit_charge = r.u16()?;
        let status = NtStatus(r.u32()?);
        let command = r.u16()?;
        let credits = r.u16()?;
        let flags = r.u32()?;
        let next = r.u32()?;
        let message_id = r.u64()?;
        let process_id = r.u32()?;
        let tree_id = r.u32()?;
        let session_id = r.u64()?;
        let signature = r.array()?;
        Ok(Self {
            credit_charge,
            status,
            command,
            credits,
            flags,
            next,
            message_id,
            tree_id,
            process_id,
            session_id,
            signature,
        })
    }

    /// Writes the [`HEADER_LEN`] bytes of the header.
    pub fn emit(&self, w: &mut Writer<'_>) -> Result<(), NoSpace> {
        w.put(&PROTOCOL_ID)?;
        w.u16(64)?;
        w.u16(self.credit_charge)?;
        w.u32(self.status.0)?;
        w.u16(self.command)?;
        w.u16(self.credits)?;
        w.u32(self.flags)?;
        w.u32(self.next)?;
        w.u64(self.message_id)?;
        w.u32(self.process_id)?;
        w.u32(self.tree_id)?;
        w.u64(self.session_id)?;
        w.put(&self.signature)
    }
}

/// One received message: its header and all its bytes from the header on (one element of a
/// compound), so that offsets in the body can be resolved.
#[derive(Clone, Copy, Debug)]
pub struct Message<'a> {
    /// The parsed header.
    pub header: Header,
    /// The whole message, header included.
    pub bytes: &'a [u8],
}

impl<'a> Message<'a> {
    /// Parses the header; `bytes` starts at the SMB2 header and ends with the message.
    pub fn parse(bytes: &'a [u8]) -> Result<Self, Malformed> {
        let header = Header::parse(&mut Reader::new(bytes))?;
        Ok(Self { header, bytes })
    }

    /// A reader at the first byte of the body.
    pub fn body(&self) -> Result<Reader<'a>, Malformed> {
        let mut r = Reader::new(self.bytes);
        r.skip(HEADER_LEN)?;
        Ok(r)
    }

    /// `len` bytes at `offset` from the start of the header.
    pub fn window(&self, offset: usize, len: usize) -> Result<&'a [u8], Malformed> {
        window(self.bytes, offset, len)
    }

    /// A reader at the first byte after the structure size, which must be `size` (its lowest bit
    /// says that a variable part follows, MS-SMB2 2.2).
    pub fn fixed(&self, size: u16) -> Result<Reader<'a>, Malformed> {
        let mut r = self.body()?;
        if r.u16()? != size {
            return Err(Malformed);
        }
        Ok(r)
    }

    /// The variable part of a body whose fixed part is `fixed` bytes: `len` bytes at `offset` from
    /// the start of the header, not reaching back into the fixed part. With `len` 0 the offset
    /// says nothing.
    pub fn variable(&self, fixed: usize, offset: u32, len: u32) -> Result<&'a [u8], Malformed> {
        if len == 0 {
            return Ok(&[]);
        }
        let offset = size(offset);
        if offset < HEADER_LEN.saturating_add(fixed) {
            return Err(Malformed);
        }
        self.window(offset, size(len))
    }
}

/// Narrows a length to a 16-bit field; what does not fit cannot be sent.
pub(crate) fn len16(n: usize) -> Result<u16, NoSpace> {
    u16::try_from(n).map_err(|_| NoSpace)
}

/// Narrows a length to a 32-bit field; what does not fit cannot be sent.
pub(crate) fn len32(n: usize) -> Result<u32, NoSpace> {
    u32::try_from(n).map_err(|_| NoSpace)
}

/// Rounds up to a multiple of eight.
pub(crate) const fn align8(n: usize) -> usize {
    n.saturating_add(7) & !7
}

/// A request and the reply that belongs to it.
///
/// `parse` is called for replies whose status says that a body of the command's own form follows
/// (success, and the per-command exceptions named in each file); an error body is
/// [`error::ErrorReply`].
#[allow(clippy::len_without_is_empty)] // A body is never empty.
pub trait Command {
    /// The command code.
    const CODE: Code;
    /// The parsed reply, borrowed from the received message.
    type Reply<'a>;
    /// The exact number of bytes [`Command::emit`] writes (the body, without the header).
    fn len(&self) -> usize;
    /// Writes the body. Offsets inside count from the header, that is [`HEADER_LEN`] before `w`'s
    /// first byte.
    fn emit(&self, w: &mut Writer<'_>) -> Result<(), NoSpace>;
    /// Parses the body of a reply.
    fn parse<'a>(message: &Message<'a>) -> Result<Self::Reply<'a>, Malformed>;
    /// The larger of the variable bytes sent and expected back: decides the credit charge
    /// (MS-SMB2 3.1.5.2).
    fn payload(&self) -> usize {
        0
    }
}

/// A [`Command`] whose request and reply say nothing but what the header says: a structure size of 4
/// and two reserved bytes.
pub trait Bare {
    /// The command code.
    const CODE: Code;
}

impl<T: Bare> Command for T {
    const CODE: Code = <T as Bare>::CODE;
    type Reply<'a> = ();

    fn len(&self) -> usize {
        4
    }

    fn emit(&self, w: &mut Writer<'_>) -> Result<(), NoSpace> {
        w.u16(4)?;
        w.u16(0)
    }

    fn parse(message: &Message<'_>) -> Result<(), Malformed> {
        message.fixed(4)?.skip(2)
    }
}
