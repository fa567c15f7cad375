// SPDX-License-Identifier: GPL-2.0
//! CHANGE_NOTIFY (MS-SMB2 2.2.35, 2.2.36): waits until a directory changes.

use crate::codec::{size, Malformed, NoSpace, Reader, Writer};
use crate::smb2::{Code, Command, FileId, Message};

/// What to wait for (MS-SMB2 2.2.35 CompletionFilter).
#[allow(missing_docs)]
pub mod filter {
    pub const FILE_NAME: u32 = 0x001;
    pub const DIR_NAME: u32 = 0x002;
    pub const ATTRIBUTES: u32 = 0x004;
    pub const SIZE: u32 = 0x008;
    pub const LAST_WRITE: u32 = 0x010;
    pub const LAST_ACCESS: u32 = 0x020;
    pub const CREATION: u32 = 0x040;
    pub const EA: u32 = 0x080;
    pub const SECURITY: u32 = 0x100;
}

/// What happened (MS-FSCC 2.7.1 Action).
#[allow(missing_docs)]
pub mod action {
    pub const ADDED: u32 = 1;
    pub const REMOVED: u32 = 2;
    pub const MODIFIED: u32 = 3;
    pub const RENAMED_OLD_NAME: u32 = 4;
    pub const RENAMED_NEW_NAME: u32 = 5;
}

/// Waits until a directory changes.
#[derive(Clone, Copy, Debug)]
pub struct ChangeNotify {
    /// Whether everything below the directory counts.
    pub tree: bool,
    /// How many bytes of changes fit at most.
    pub max_output: u32,
    /// The directory.
    pub file_id: FileId,
    /// See [`filter`].
    pub filter: u32,
}

impl Command for ChangeNotify {
    const CODE: Code = Code::ChangeNotify;
    /// The bytes of the changes, for [`changes`]; none with `NOTIFY_ENUM_DIR`, which says that
    /// there were too many.
    type Reply<'a> = &'a [u8];

    fn len(&self) -> usize {
        32
    }

    fn emit(&self, w: &mut Writer<'_>) -> Result<(), NoSpace> {
        w.u16(32)?;
        w.u16(u16::from(self.tree))?;
        w.u32(self.max_output)?;
        self.file_id.emit(w)?;
        w.u32(self.filter)?;
        w.u32(0)
    }

    fn parse<'a>(message: &Message<'a>) -> Result<&'a [u8], Malformed> {
        super::query_info::output(message)
    }

    fn payload(&self) -> usize {
        size(self.max_output)
    }
}

/// One change (MS-FSCC 2.7.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Change<'a> {
    /// See [`action`].
    pub action: u32,
    /// The path below the watched directory, in UTF-16LE.
    pub name: &'a [u8],
}

/// The changes of a reply, in order.
pub const fn changes(bytes: &[u8]) -> Changes<'_> {
    Changes { rest: bytes }
}

/// Iterator over changes; see [`changes`]. Ends after the first malformed one.
#[derive(Clone, Copy, Debug)]
pub struct Changes<'a> {
    rest: &'a [u8],
}

impl<'a> Changes<'a> {
    fn step(&mut self) -> Result<Change<'a>, Malformed> {
        let all = core::mem::take(&mut self.rest);
        let mut r = Reader::new(all);
        let next = size(r.u32()?);
        if next != 0 {
            // Past the fixed part, and aligned (MS-FSCC 2.7.1).
            if next < 12 || next.checked_rem(4) != Some(0) {
                return Err(Malformed);
            }
            match all.get(next..) {
                None | Some([]) => return Err(Malformed),
                Some(tail) => self.rest = tail,
            }
            r = Reader::new(all.get(4..next).ok_or(Malformed)?);
        }
        let action = r.u32()?;
        let len = r.u32()?;
        let name = r.take(size(len))?;
        if name.is_empty() || len & 1 != 0 {
            return Err(Malformed);
        }
        Ok(Change { action, name })
    }
}

impl<'a> Iterator for Changes<'a> {
    type Item = Result<Change<'a>, Malformed>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.rest.is_empty() {
            return None;
        }
        let step = self.step();
        if step.is_err() {
            self.rest = &[];
        }
        Some(step)
    }
}
