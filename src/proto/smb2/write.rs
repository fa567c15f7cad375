// SPDX-License-Identifier: GPL-2.0
//! WRITE (MS-SMB2 2.2.21, 2.2.22).
//!
//! The body ends where the data begins: the shell sends `data_len` bytes right after it, from
//! wherever they are. The header's and the body's bytes are a multiple of eight.

use crate::codec::{size, Malformed, NoSpace, Writer};
use crate::smb2::{Code, Command, FileId, Message};

/// Flag: on the disk before the reply (2.1 and later).
pub const WRITE_THROUGH: u32 = 0x0000_0001;
/// Flag: do not go through the server's cache (3.0.2 and later).
pub const UNBUFFERED: u32 = 0x0000_0002;

/// Where the data starts, from the header: right after the body.
const DATA_AT: u16 = 0x70;

/// Writes a range of a file; the data follows the body and is the shell's.
#[derive(Clone, Copy, Debug)]
pub struct Write {
    /// How many bytes follow.
    pub data_len: u32,
    /// Where in the file, in bytes.
    pub offset: u64,
    /// The handle.
    pub file_id: FileId,
    /// [`WRITE_THROUGH`], [`UNBUFFERED`].
    pub flags: u32,
}

impl Command for Write {
    const CODE: Code = Code::Write;
    /// How many bytes were written.
    type Reply<'a> = u32;

    fn len(&self) -> usize {
        48
    }

    fn emit(&self, w: &mut Writer<'_>) -> Result<(), NoSpace> {
        w.u16(49)?;
        w.u16(DATA_AT)?;
        w.u32(self.data_len)?;
        w.u64(self.offset)?;
        self.file_id.emit(w)?;
        w.zeros(4)?; // Channel
        w.zeros(4)?; // RemainingBytes
        w.zeros(4)?; // WriteChannelInfo offset and length
        w.u32(self.flags)
    }

    fn parse(message: &Message<'_>) -> Result<u32, Malformed> {
        let mut r = message.fixed(17)?;
        r.skip(2)?;
        let count = r.u32()?;
        r.skip(8)?;
        Ok(count)
    }

    fn payload(&self) -> usize {
        size(self.data_len)
    }
}
