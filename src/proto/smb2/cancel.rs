// SPDX-License-Identifier: GPL-2.0
//! CANCEL (MS-SMB2 2.2.30, 3.2.4.24): asks the server to give up a request.
//!
//! A CANCEL has the message id of the request it cancels (and its async id, when an interim reply
//! told one), costs no credit and is never answered: the cancelled request is.

use crate::codec::{Malformed, NoSpace, Writer};
use crate::smb2::{Code, Command, Message};

/// Gives up the request whose message id stands in the header.
#[derive(Clone, Copy, Debug, Default)]
pub struct Cancel;

impl Command for Cancel {
    const CODE: Code = Code::Cancel;
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
