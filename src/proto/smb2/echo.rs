// SPDX-License-Identifier: GPL-2.0
//! ECHO (MS-SMB2 2.2.28, 2.2.29): asks a server whether it lives.

use crate::codec::{Malformed, NoSpace, Writer};
use crate::smb2::{Code, Command, Message};

/// Asks whether the server lives.
#[derive(Clone, Copy, Debug, Default)]
pub struct Echo;

impl Command for Echo {
    const CODE: Code = Code::Echo;
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
