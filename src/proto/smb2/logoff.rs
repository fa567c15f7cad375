// SPDX-License-Identifier: GPL-2.0
//! LOGOFF (MS-SMB2 2.2.7, 2.2.8): ends a session and everything opened in it.

use crate::smb2::{Bare, Code};

/// Ends the session named in the header.
#[derive(Clone, Copy, Debug, Default)]
pub struct Logoff;

impl Bare for Logoff {
    const CODE: Code = Code::Logoff;
}
