// SPDX-License-Identifier: GPL-2.0
//! NTLMSSP with NTLMv2 (MS-NLMP): the three messages, the keys and the message integrity codes.
//!
//! Only the form a careful server wants: Unicode, extended session security, NTLMv2, key exchange,
//! and a MIC over the three messages whenever the server sent its time. LM and NTLMv1 responses
//! are not made. Anonymous authentication is an empty response (MS-NLMP 3.2.5.1.2).

use super::{wipe, Crypto, Secret};
use crate::codec::{Malformed, NoSpace, Writer};

mod authenticate;
mod challenge;

pub use authenticate::{
    lm_v2, ntowf_v2, prove, Authenticate, Identity, Nonces, MAX_AUTHENTICATE, MAX_NAME,
};
pub use challenge::{av, AvPair, AvPairs, Challenge, MAX_TARGET_INFO};

/// Negotiate flags (MS-NLMP 2.2.2.5).
pub mod flags {
    /// Strings are UTF-16LE.
    pub const UNICODE: u32 = 0x0000_0001;
    /// The server is to send its target name.
    pub const REQUEST_TARGET: u32 = 0x0000_0004;
    /// A session key for signing is negotiated.
    pub const SIGN: u32 = 0x0000_0010;
    /// NTLM authentication.
    pub const NTLM: u32 = 0x0000_0200;
    /// The client authenticates as nobody.
    pub const ANONYMOUS: u32 = 0x0000_0800;
    /// Sign, whatever the other flags say.
    pub const ALWAYS_SIGN: u32 = 0x0000_8000;
    /// NTLMv2 session security.
    pub const EXTENDED_SESSION_SECURITY: u32 = 0x0008_0000;
    /// The challenge carries target information.
    pub const TARGET_INFO: u32 = 0x0080_0000;
    /// The version field is filled in.
    pub const VERSION: u32 = 0x0200_0000;
    /// 128-bit session keys.
    pub const KEY_128: u32 = 0x2000_0000;
    /// A random session key is exchanged.
    pub const KEY_EXCHANGE: u32 = 0x4000_0000;
}

/// What we ask for.
const WANTED: u32 = flags::UNICODE
    | flags::REQUEST_TARGET
    | flags::SIGN
    | flags::NTLM
    | flags::ALWAYS_SIGN
    | flags::EXTENDED_SESSION_SECURITY
    | flags::TARGET_INFO
    | flags::VERSION
    | flags::KEY_128
    | flags::KEY_EXCHANGE;

/// The version field (MS-NLMP 2.2.2.10): only its last byte, the NTLMSSP revision, has a meaning.
const VERSION: [u8; 8] = [6, 1, 0, 0, 0, 0, 0, 15];

/// The NEGOTIATE message we send (MS-NLMP 2.2.1.1): it names neither domain nor workstation.
pub const NEGOTIATE: [u8; 40] = {
    let [a, b, c, d] = WANTED.to_le_bytes();
    #[rustfmt::skip]
    let message = [
        b'N', b'T', b'L', b'M', b'S', b'S', b'P', 0, 1, 0, 0, 0, a, b, c, d,
        0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
        6, 1, 0, 0, 0, 0, 0, 15,
    ];
    message
};

/// Why no AUTHENTICATE message came about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Error {
    /// The challenge is not what MS-NLMP allows.
    Malformed,
    /// The server does not do Unicode, extended session security or 128-bit keys.
    Weak,
    /// A name is longer than [`MAX_NAME`], or the challenge than [`MAX_TARGET_INFO`].
    TooLong,
    /// The caller's buffer is too small.
    NoSpace,
}

impl From<Malformed> for Error {
    fn from(_: Malformed) -> Self {
        Self::Malformed
    }
}

impl From<NoSpace> for Error {
    fn from(_: NoSpace) -> Self {
        Self::NoSpace
    }
}

/// Which side made a signature.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    /// Client to server.
    Client,
    /// Server to client.
    Server,
}

impl Side {
    const fn signing(self) -> &'static [u8] {
        match self {
            Self::Client => b"session key to client-to-server signing key magic constant\0",
            Self::Server => b"session key to server-to-client signing key magic constant\0",
        }
    }

    const fn sealing(self) -> &'static [u8] {
        match self {
            Self::Client => b"session key to client-to-server sealing key magic constant\0",
            Self::Server => b"session key to server-to-client sealing key magic constant\0",
        }
    }
}

/// The first signature of a session over `message` (MS-NLMP 3.4.4.2, sequence number 0), which
/// SPNEGO uses as its mechListMIC. `negotiated` are the [`flags`] of the challenge.
pub fn sign<C: Crypto>(
    crypto: &C,
    key: &Secret<16>,
    negotiated: u32,
    side: Side,
    message: &[u8],
) -> [u8; 16] {
    /// Version 1 in front, the sequence number behind.
    const SEQUENCE: [u8; 4] = [0; 4];
    let signing = Secret::new(crypto.md5(&[key.bytes(), side.signing()]));
    let mut full = crypto.hmac_md5(signing.bytes(), &[&SEQUENCE, message]);
    let mut out = [0; 16];
    let mut w = Writer::new(&mut out);
    if let Some((sum, _)) = full.split_first_chunk_mut::<8>() {
        if negotiated & flags::KEY_EXCHANGE != 0 {
            let sealing = Secret::new(crypto.md5(&[key.bytes(), side.sealing()]));
            crypto.rc4(sealing.bytes(), sum);
        }
        // 16 bytes in all: the writer cannot fail.
        let _ = w
            .u32(1)
            .and_then(|()| w.put(sum))
            .and_then(|()| w.put(&SEQUENCE));
    }
    wipe(&mut full);
    out
}
