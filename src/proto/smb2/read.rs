// SPDX-License-Identifier: GPL-2.0
//! READ (MS-SMB2 2.2.19, 2.2.20).
//!
//! The shell can take the payload straight from the socket into its pages: it receives the header
//! and [`ReadHead::LEN`] bytes, asks [`ReadHead::parse`] where the data is, and receives the rest.

use crate::codec::{size, Malformed, NoSpace, Reader, Writer};
use crate::smb2::{Code, Command, FileId, Message, HEADER_LEN};

/// Flag (3.0.2): do not go through the server's cache.
pub const UNBUFFERED: u8 = 0x01;

/// Where the data of a reply is asked to start, from the header.
const DATA_AT: u8 = 0x50;

/// Reads a range of a file.
#[derive(Clone, Copy, Debug)]
pub struct Read {
    /// 0 or [`UNBUFFERED`].
    pub flags: u8,
    /// How many bytes to read.
    pub len: u32,
    /// Where in the file, in bytes.
    pub offset: u64,
    /// The handle.
    pub file_id: FileId,
    /// Fewer bytes than this are an error (`END_OF_FILE`).
    pub minimum: u32,
}

impl Command for Read {
    const CODE: Code = Code::Read;
    /// The data; shorter than asked for at the end of the file.
    type Reply<'a> = &'a [u8];

    fn len(&self) -> usize {
        49
    }

    fn emit(&self, w: &mut Writer<'_>) -> Result<(), NoSpace> {
        w.u16(49)?;
        w.u8(DATA_AT)?;
        w.u8(self.flags)?;
        w.u32(self.len)?;
        w.u64(self.offset)?;
        self.file_id.emit(w)?;
        w.u32(self.minimum)?;
        w.zeros(4)?; // Channel
        w.zeros(4)?; // RemainingBytes
        w.zeros(4)?; // ReadChannelInfo offset and length
        w.u8(0) // The variable part has at least one byte.
    }

    /// Also for `BUFFER_OVERFLOW`, which a pipe answers when more is to come.
    fn parse<'a>(message: &Message<'a>) -> Result<&'a [u8], Malformed> {
        let head = ReadHead::parse(message.body()?.rest())?;
        match head.data_len {
            0 => Ok(&[]),
            n => message.window(size(head.data_offset), size(n)),
        }
    }

    fn payload(&self) -> usize {
        size(self.len)
    }
}

/// The fixed part of a read reply.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ReadHead {
    /// Where the data starts, in bytes from the start of the SMB2 header; at least 80 when there
    /// is any.
    pub data_offset: u32,
    /// How many bytes of data there are. The shell must refuse more than it asked for.
    pub data_len: u32,
}

impl ReadHead {
    /// Length of the fixed part, in bytes.
    pub const LEN: usize = 16;

    /// Parses the first [`ReadHead::LEN`] bytes after the SMB2 header. Whether the data lies
    /// within the frame is checked by who knows the frame's length: [`ReadHead::within`].
    pub fn parse(bytes: &[u8]) -> Result<Self, Malformed> {
        let mut r = Reader::new(bytes);
        if r.u16()? != 17 {
            return Err(Malformed);
        }
        let data_offset = u32::from(r.u8()?);
        r.skip(1)?;
        let data_len = r.u32()?;
        r.skip(8)?;
        let first = HEADER_LEN.saturating_add(Self::LEN);
        if data_len > 0 && size(data_offset) < first {
            return Err(Malformed);
        }
        Ok(Self {
            data_offset,
            data_len,
        })
    }

    /// How many bytes to pass over between the fixed part and the data, if the data lies within a
    /// message of `len` bytes (header included) and is no longer than `asked`.
    pub fn within(&self, len: usize, asked: u32) -> Result<usize, Malformed> {
        if self.data_len == 0 {
            return Ok(0);
        }
        let offset = size(self.data_offset);
        let end = offset.checked_add(size(self.data_len)).ok_or(Malformed)?;
        if end > len || self.data_len > asked {
            return Err(Malformed);
        }
        offset
            .checked_sub(HEADER_LEN.saturating_add(Self::LEN))
            .ok_or(Malformed)
    }
}
