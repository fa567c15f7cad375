// SPDX-License-Identifier: GPL-2.0
//! CANCEL (MS-SMB2 2.2.30, 3.2.4.24): asks the server to give up a request.
//!
//! A CANCEL has the message id of the request it cancels (and its async id, when an interim reply
//! told one), costs no credit and is never answered: the cancelled request is.

use crate::smb2::{Bare, Code};

/// Gives up the request whose message id stands in the header.
#[derive(Clone, Copy, Debug, Default)]
pub struct Cancel;

impl Bare for Cancel {
    const CODE: Code = Code::Cancel;
}
