// SPDX-License-Identifier: GPL-2.0
//! LOCK (MS-SMB2 2.2.26, 2.2.27): byte-range locks.

use crate::codec::{Malformed, NoSpace, Writer};
use crate::smb2::{len16, Code, Command, FileId, Message};

/// Flag: a shared lock.
pub const SHARED: u32 = 0x01;
/// Flag: an exclusive lock.
pub const EXCLUSIVE: u32 = 0x02;
/// Flag: unlock. All elements of a request are unlocks, or none is.
pub const UNLOCK: u32 = 0x04;
/// Flag: fail rather than wait.
pub const FAIL_IMMEDIATELY: u32 = 0x10;

/// One range.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Range {
    /// Where it starts, in bytes.
    pub offset: u64,
    /// How long it is, in bytes.
    pub len: u64,
    /// [`SHARED`], [`EXCLUSIVE`], [`UNLOCK`], [`FAIL_IMMEDIATELY`].
    pub flags: u32,
}

/// Locks or unlocks ranges of a file, all or none.
#[derive(Clone, Copy, Debug)]
pub struct Lock<'a> {
    /// Number (4 bits) and index (28 bits) by which the server recognises a replay, or 0.
    pub sequence: u32,
    /// The handle.
    pub file_id: FileId,
    /// At least one; more than one must not wait.
    pub ranges: &'a [Range],
}

impl Command for Lock<'_> {
    const CODE: Code = Code::Lock;
    type Reply<'a> = ();

    fn len(&self) -> usize {
        self.ranges.len().saturating_mul(24).saturating_add(24)
    }

    fn emit(&self, w: &mut Writer<'_>) -> Result<(), NoSpace> {
        w.u16(48)?;
        w.u16(len16(self.ranges.len())?)?;
        w.u32(self.sequence)?;
        self.file_id.emit(w)?;
        for range in self.ranges {
            w.u64(range.offset)?;
            w.u64(range.len)?;
            w.u32(range.flags)?;
            w.u32(0)?;
        }
        Ok(())
    }

    fn parse(message: &Message<'_>) -> Result<(), Malformed> {
        message.fixed(4)?.skip(2)
    }
}
