// SPDX-License-Identifier: GPL-2.0
//! Preauthentication integrity of dialect 3.1.1 (MS-SMB2 3.1.4.4.1).

use crate::auth::Crypto;

/// A running hash over the messages of negotiate and session setup: each new value is the SHA-512
/// of the old one and a message, from its SMB2 header to its end.
///
/// It is kept for every dialect, because while the negotiate request is sent none is chosen yet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PreauthHash([u8; 64]);

impl PreauthHash {
    /// The hash before the first message: zeros.
    pub const fn new() -> Self {
        Self([0; 64])
    }

    /// Takes in one message.
    pub fn update<C: Crypto>(&mut self, crypto: &C, message: &[u8]) {
        self.0 = crypto.sha512(&[&self.0, message]);
    }

    /// The value.
    pub const fn bytes(&self) -> &[u8; 64] {
        &self.0
    }
}

impl Default for PreauthHash {
    fn default() -> Self {
        Self::new()
    }
}
