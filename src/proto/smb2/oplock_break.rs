// SPDX-License-Identifier: GPL-2.0
//! OPLOCK_BREAK (MS-SMB2 2.2.23 to 2.2.25): the server takes back an oplock or a lease.
//!
//! The notification comes unasked, with message id all ones ([`UNSOLICITED`]) and no signature.

use crate::codec::{Malformed, NoSpace, Writer};
use crate::smb2::{Code, Command, FileId, Message};

/// The message id of a notification.
pub const UNSOLICITED: u64 = u64::MAX;

/// Lease break flag: the server waits for an acknowledgment.
pub const ACK_REQUIRED: u32 = 0x01;

/// What the server takes back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Break {
    /// An oplock (MS-SMB2 2.2.23.1).
    Oplock {
        /// What is left; see [`oplock`](crate::smb2::create::oplock).
        level: u8,
        /// The handle that held it.
        file_id: FileId,
    },
    /// A lease (MS-SMB2 2.2.23.2).
    Lease {
        /// The new epoch; 0 for a lease of the first version.
        epoch: u16,
        /// [`ACK_REQUIRED`], or 0.
        flags: u32,
        /// Names the lease.
        key: [u8; 16],
        /// What was held; see [`lease_state`](crate::smb2::context::lease_state).
        current: u32,
        /// What is left.
        new: u32,
    },
}

impl Break {
    /// Parses a notification.
    pub fn parse(message: &Message<'_>) -> Result<Self, Malformed> {
        let mut r = message.body()?;
        match r.u16()? {
            24 => {
                let level = r.u8()?;
                r.skip(5)?;
                let file_id = FileId::parse(&mut r)?;
                Ok(Self::Oplock { level, file_id })
            }
            44 => {
                let lease = Self::Lease {
                    epoch: r.u16()?,
                    flags: r.u32()?,
                    key: r.array()?,
                    current: r.u32()?,
                    new: r.u32()?,
                };
                r.skip(12)?;
                Ok(lease)
            }
            _ => Err(Malformed),
        }
    }
}

/// Acknowledges the break of an oplock (MS-SMB2 2.2.24.1).
#[derive(Clone, Copy, Debug)]
pub struct OplockAck {
    /// What the client keeps.
    pub level: u8,
    /// The handle that held it.
    pub file_id: FileId,
}

impl Command for OplockAck {
    const CODE: Code = Code::OplockBreak;
    /// The level that is left.
    type Reply<'a> = u8;

    fn len(&self) -> usize {
        24
    }

    fn emit(&self, w: &mut Writer<'_>) -> Result<(), NoSpace> {
        w.u16(24)?;
        w.u8(self.level)?;
        w.zeros(5)?;
        self.file_id.emit(w)
    }

    fn parse(message: &Message<'_>) -> Result<u8, Malformed> {
        let mut r = message.fixed(24)?;
        let level = r.u8()?;
        r.skip(21)?;
        Ok(level)
    }
}

/// Acknowledges the break of a lease (MS-SMB2 2.2.24.2).
#[derive(Clone, Copy, Debug)]
pub struct LeaseAck {
    /// Names the lease.
    pub key: [u8; 16],
    /// What the client keeps; see [`lease_state`](crate::smb2::context::lease_state).
    pub state: u32,
}

impl Command for LeaseAck {
    const CODE: Code = Code::OplockBreak;
    /// The state that is left.
    type Reply<'a> = u32;

    fn len(&self) -> usize {
        36
    }

    fn emit(&self, w: &mut Writer<'_>) -> Result<(), NoSpace> {
        w.u16(36)?;
        w.u16(0)?;
        w.u32(0)?;
        w.put(&self.key)?;
        w.u32(self.state)?;
        w.u64(0)
    }

    fn parse(message: &Message<'_>) -> Result<u32, Malformed> {
        let mut r = message.fixed(36)?;
        r.skip(6)?;
        r.skip(16)?;
        let state = r.u32()?;
        r.skip(8)?;
        Ok(state)
    }
}
