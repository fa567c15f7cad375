// SPDX-License-Identifier: GPL-2.0
//! TREE_CONNECT (MS-SMB2 2.2.9, 2.2.10): connects a session to a share.

use crate::codec::{Malformed, NoSpace, Writer};
use crate::smb2::{len16, Code, Command, Message};

/// Share types (MS-SMB2 2.2.10).
#[allow(missing_docs)]
pub mod share_type {
    pub const DISK: u8 = 0x01;
    pub const PIPE: u8 = 0x02;
    pub const PRINT: u8 = 0x03;
}

/// Share flags (MS-SMB2 2.2.10).
pub mod share_flags {
    /// The share is in a DFS namespace: its links may be asked for.
    pub const DFS: u32 = 0x0000_0001;
    /// The share is the root of a DFS namespace.
    pub const DFS_ROOT: u32 = 0x0000_0002;
    /// The two caching bits: manual 0x00, auto 0x10, for programs 0x20, none 0x30.
    pub const CACHING: u32 = 0x0000_0030;
    /// Exclusive opens are restricted.
    pub const RESTRICT_EXCLUSIVE_OPENS: u32 = 0x0000_0100;
    /// Files may be deleted while they are open, always.
    pub const FORCE_SHARED_DELETE: u32 = 0x0000_0200;
    /// Names may be listed from what is cached.
    pub const ALLOW_NAMESPACE_CACHING: u32 = 0x0000_0400;
    /// Only what the user may read is listed.
    pub const ACCESS_BASED_ENUM: u32 = 0x0000_0800;
    /// No more than read leases.
    pub const FORCE_LEVELII_OPLOCK: u32 = 0x0000_1000;
    /// Messages to the share must be sealed.
    pub const ENCRYPT_DATA: u32 = 0x0000_8000;
}

/// Share capabilities (MS-SMB2 2.2.10).
pub mod share_caps {
    /// The share is in a DFS namespace.
    pub const DFS: u32 = 0x0000_0008;
    /// Opens survive the server's restart.
    pub const CONTINUOUS_AVAILABILITY: u32 = 0x0000_0010;
    /// Several nodes serve the share.
    pub const SCALEOUT: u32 = 0x0000_0020;
    /// The server can witness that the share moves.
    pub const CLUSTER: u32 = 0x0000_0040;
    /// A node serves the share better than the others.
    pub const ASYMMETRIC: u32 = 0x0000_0080;
    /// The server may redirect to another node.
    pub const REDIRECT_TO_OWNER: u32 = 0x0000_0100;
}

/// Connects to a share.
#[derive(Clone, Copy, Debug)]
pub struct TreeConnect<'a> {
    /// `\\server\share` in UTF-16LE, without a terminator.
    pub path: &'a [u8],
}

/// What the share is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reply {
    /// See [`share_type`].
    pub share_type: u8,
    /// See [`share_flags`].
    pub share_flags: u32,
    /// See [`share_caps`].
    pub capabilities: u32,
    /// What the user may do at most; see [`access`](crate::smb2::create::access).
    pub maximal_access: u32,
}

impl Command for TreeConnect<'_> {
    const CODE: Code = Code::TreeConnect;
    type Reply<'a> = Reply;

    fn len(&self) -> usize {
        8_usize.saturating_add(self.path.len())
    }

    fn emit(&self, w: &mut Writer<'_>) -> Result<(), NoSpace> {
        w.u16(9)?;
        w.u16(0)?;
        w.u16(0x48)?;
        w.u16(len16(self.path.len())?)?;
        w.put(self.path)
    }

    fn parse(message: &Message<'_>) -> Result<Reply, Malformed> {
        let mut r = message.fixed(16)?;
        let share_type = r.u8()?;
        r.skip(1)?;
        Ok(Reply {
            share_type,
            share_flags: r.u32()?,
            capabilities: r.u32()?,
            maximal_access: r.u32()?,
        })
    }
}
