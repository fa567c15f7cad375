// SPDX-License-Identifier: GPL-2.0
//! TREE_DISCONNECT (MS-SMB2 2.2.11, 2.2.12): lets go of a share.

use crate::codec::{Malformed, NoSpace, Writer};
use crate::smb2::{Code, Command, Message};

/// Lets go of the tree named in the header.
#[derive(Clone, Copy, Debug, Default)]
pub struct TreeDisconnect;

impl Command for TreeDisconnect {
    const CODE: Code = Code::TreeDisconnect;
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
