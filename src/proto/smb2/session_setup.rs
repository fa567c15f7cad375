// SPDX-License-Identifier: GPL-2.0
//! SESSION_SETUP (MS-SMB2 2.2.5, 2.2.6): carries security tokens until a session stands.

use crate::codec::{Malformed, NoSpace, Writer};
use crate::smb2::{len16, Code, Command, Message};

/// Request flag: bind an existing session to this connection.
pub const BINDING: u8 = 0x01;

/// Reply flag: the user was let in as guest; nothing is signed.
pub const IS_GUEST: u16 = 0x0001;
/// Reply flag: the user is anonymous; nothing is signed.
pub const IS_NULL: u16 = 0x0002;
/// Reply flag: the server wants every message of the session sealed.
pub const ENCRYPT_DATA: u16 = 0x0004;

const FIXED: usize = 24;

/// One step of the authentication.
#[derive(Clone, Copy, Debug)]
pub struct SessionSetup<'a> {
    /// 0 or [`BINDING`].
    pub flags: u8,
    /// Signing enabled (1) or required (2), as in negotiate.
    pub security_mode: u8,
    /// Only [`capabilities::DFS`](crate::smb2::negotiate::capabilities::DFS) means anything here.
    pub capabilities: u32,
    /// The session of a connection that was lost, for the server to forget; or 0.
    pub previous_session: u64,
    /// The SPNEGO token.
    pub token: &'a [u8],
}

/// The server's step; parsed when the status is success or `MORE_PROCESSING_REQUIRED`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reply<'a> {
    /// [`IS_GUEST`], [`IS_NULL`], [`ENCRYPT_DATA`].
    pub flags: u16,
    /// The SPNEGO token; may be empty.
    pub token: &'a [u8],
}

impl Command for SessionSetup<'_> {
    const CODE: Code = Code::SessionSetup;
    type Reply<'a> = Reply<'a>;

    fn len(&self) -> usize {
        FIXED.saturating_add(self.token.len())
    }

    fn emit(&self, w: &mut Writer<'_>) -> Result<(), NoSpace> {
        w.u16(25)?;
        w.u8(self.flags)?;
        w.u8(self.security_mode)?;
        w.u32(self.capabilities)?;
        w.u32(0)?;
        w.u16(0x58)?;
        w.u16(len16(self.token.len())?)?;
        w.u64(self.previous_session)?;
        w.put(self.token)
    }

    fn parse<'a>(message: &Message<'a>) -> Result<Reply<'a>, Malformed> {
        let mut r = message.fixed(9)?;
        let flags = r.u16()?;
        let at = r.u16()?;
        let len = r.u16()?;
        let token = message.variable(8, u32::from(at), u32::from(len))?;
        Ok(Reply { flags, token })
    }
}
