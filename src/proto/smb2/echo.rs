// SPDX-License-Identifier: GPL-2.0
//! ECHO (MS-SMB2 2.2.28, 2.2.29): asks a server whether it lives.

use crate::smb2::{Bare, Code};

/// Asks whether the server lives.
#[derive(Clone, Copy, Debug, Default)]
pub struct Echo;

impl Bare for Echo {
    const CODE: Code = Code::Echo;
}
