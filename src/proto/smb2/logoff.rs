// SPDX-License-Identifier: GPL-2.0
//! LOGOFF (MS-SMB2 2.2.7, 2.2.8): ends a session and everything opened in it.

use crate::codec::{Malformed, NoSpace, Writer};
use crate::smb2::{Code, Command, Message};

/// Ends the session named in the header.
#[derive(Clone, Copy, Debug, Default)]
pub struct Logoff;

impl Command for Logoff {
    const CODE: Code = Code::Logoff;
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
