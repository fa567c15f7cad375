// SPDX-License-Identifier: GPL-2.0
//! Keys of an SMB 3.x session (MS-SMB2 3.1.4.2): the counter-mode KDF of NIST SP 800-108 with
//! HMAC-SHA256, a 32-bit counter and 128-bit output.

use super::{Crypto, Secret};

/// What a derived key is for. The label differs between 3.0.x and 3.1.1, the context is a constant
/// in 3.0.x and the preauthentication hash of the session in 3.1.1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// Signing, both directions (`Session.SigningKey`, `Channel.SigningKey`).
    Signing,
    /// Handed to the application (`Session.ApplicationKey`).
    Application,
    /// Sealing, client to server (the client's `Session.EncryptionKey`).
    Encryption,
    /// Sealing, server to client (the client's `Session.DecryptionKey`).
    Decryption,
}

impl Purpose {
    /// Label and context in dialects 3.0 and 3.0.2, terminators included.
    const fn smb30(self) -> (&'static [u8], &'static [u8]) {
        match self {
            Self::Signing => (b"SMB2AESCMAC\0", b"SmbSign\0"),
            Self::Application => (b"SMB2APP\0", b"SmbRpc\0"),
            Self::Encryption => (b"SMB2AESCCM\0", b"ServerIn \0"),
            Self::Decryption => (b"SMB2AESCCM\0", b"ServerOut\0"),
        }
    }

    /// Label in dialect 3.1.1, terminator included.
    const fn smb311(self) -> &'static [u8] {
        match self {
            Self::Signing => b"SMBSigningKey\0",
            Self::Application => b"SMBAppKey\0",
            Self::Encryption => b"SMBC2SCipherKey\0",
            Self::Decryption => b"SMBS2CCipherKey\0",
        }
    }
}

/// Derives one 128-bit key from `key` (SP 800-108 5.1, one iteration).
///
/// `label` and `context` carry their own terminating zero where MS-SMB2 asks for one.
pub fn derive<C: Crypto>(crypto: &C, key: &[u8; 16], label: &[u8], context: &[u8]) -> Secret<16> {
    /// `i`, the counter of the only iteration.
    const COUNTER: [u8; 4] = 1u32.to_be_bytes();
    /// `L`, the bits wanted.
    const BITS: [u8; 4] = 128u32.to_be_bytes();
    let long = Secret::new(crypto.hmac_sha256(key, &[&COUNTER, label, &[0], context, &BITS]));
    let mut out = Secret::new([0; 16]);
    for (to, from) in out.bytes_mut().iter_mut().zip(long.bytes()) {
        *to = *from;
    }
    out
}

/// A key of a 3.0 or 3.0.2 session.
pub fn smb30<C: Crypto>(crypto: &C, session_key: &[u8; 16], purpose: Purpose) -> Secret<16> {
    let (label, context) = purpose.smb30();
    derive(crypto, session_key, label, context)
}

/// A key of a 3.1.1 session; `preauth` is `Session.PreauthIntegrityHashValue` after the last
/// session setup request.
pub fn smb311<C: Crypto>(
    crypto: &C,
    session_key: &[u8; 16],
    purpose: Purpose,
    preauth: &[u8; 64],
) -> Secret<16> {
    derive(crypto, session_key, purpose.smb311(), preauth)
}
