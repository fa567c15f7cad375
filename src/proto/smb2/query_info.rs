// SPDX-License-Identifier: GPL-2.0
//! QUERY_INFO (MS-SMB2 2.2.37, 2.2.38): asks about a file, a volume or a security descriptor.

use crate::codec::{size, Malformed, NoSpace, Writer};
use crate::smb2::info::{self, Queried};
use crate::smb2::{len32, Code, Command, FileId, Message};

/// Which parts of a security descriptor (MS-SMB2 2.2.37 AdditionalInformation).
#[allow(missing_docs)]
pub mod security {
    pub const OWNER: u32 = 0x01;
    pub const GROUP: u32 = 0x02;
    pub const DACL: u32 = 0x04;
    pub const SACL: u32 = 0x08;
}

/// Asks for one information class.
#[derive(Clone, Copy, Debug)]
pub struct QueryInfo<'a> {
    /// See [`info::kind`].
    pub kind: u8,
    /// See [`info::class`] and [`info::fs_class`]; 0 for security.
    pub class: u8,
    /// How many bytes of output fit at most.
    pub max_output: u32,
    /// See [`security`]; 0 otherwise.
    pub additional: u32,
    /// Flags of an extended attribute query; 0 otherwise.
    pub flags: u32,
    /// The handle.
    pub file_id: FileId,
    /// The names of extended attributes, or nothing.
    pub input: &'a [u8],
}

impl QueryInfo<'_> {
    /// Asks for what `I` is parsed from.
    pub fn of<I: Queried>(file_id: FileId) -> Self {
        Self {
            kind: I::KIND,
            class: I::CLASS,
            max_output: I::MAX_LEN,
            additional: 0,
            flags: 0,
            file_id,
            input: &[],
        }
    }

    /// Asks for parts of the security descriptor; see [`security`].
    pub const fn security(file_id: FileId, parts: u32, max_output: u32) -> Self {
        Self {
            kind: info::kind::SECURITY,
            class: 0,
            max_output,
            additional: parts,
            flags: 0,
            file_id,
            input: &[],
        }
    }
}

impl Command for QueryInfo<'_> {
    const CODE: Code = Code::QueryInfo;
    /// The bytes of the class; also for `BUFFER_OVERFLOW`, then cut.
    type Reply<'a> = &'a [u8];

    fn len(&self) -> usize {
        40_usize.saturating_add(self.input.len())
    }

    fn emit(&self, w: &mut Writer<'_>) -> Result<(), NoSpace> {
        w.u16(41)?;
        w.u8(self.kind)?;
        w.u8(self.class)?;
        w.u32(self.max_output)?;
        w.u16(if self.input.is_empty() { 0 } else { 0x68 })?;
        w.u16(0)?;
        w.u32(len32(self.input.len())?)?;
        w.u32(self.additional)?;
        w.u32(self.flags)?;
        self.file_id.emit(w)?;
        w.put(self.input)
    }

    fn parse<'a>(message: &Message<'a>) -> Result<&'a [u8], Malformed> {
        output(message)
    }

    fn payload(&self) -> usize {
        self.input.len().max(size(self.max_output))
    }
}

/// The reply that QUERY_INFO, QUERY_DIRECTORY and CHANGE_NOTIFY have in common: one buffer.
pub(crate) fn output<'a>(message: &Message<'a>) -> Result<&'a [u8], Malformed> {
    let mut r = message.fixed(9)?;
    let at = r.u16()?;
    let len = r.u32()?;
    message.variable(8, u32::from(at), len)
}
