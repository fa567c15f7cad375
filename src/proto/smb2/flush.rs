// SPDX-License-Identifier: GPL-2.0
//! FLUSH (MS-SMB2 2.2.17, 2.2.18): puts what was written on the server's disk.

use crate::codec::{Malformed, NoSpace, Writer};
use crate::smb2::{Code, Command, FileId, Message};

/// Puts a file's data on the disk.
#[derive(Clone, Copy, Debug)]
pub struct Flush {
    /// The handle, opened for writing.
    pub file_id: FileId,
}

impl Command for Flush {
    const CODE: Code = Code::Flush;
    type Reply<'a> = ();

    fn len(&self) -> usize {
        24
    }

    fn emit(&self, w: &mut Writer<'_>) -> Result<(), NoSpace> {
        w.u16(24)?;
        w.u16(0)?;
        w.u32(0)?;
        self.file_id.emit(w)
    }

    fn parse(message: &Message<'_>) -> Result<(), Malformed> {
        message.fixed(4)?.skip(2)
    }
}
