// SPDX-License-Identifier: GPL-2.0
//! Why a handshake came to nothing.

use crate::auth::ntlm;
use crate::codec::{Malformed, NoSpace};
use crate::status::NtStatus;
use core::fmt;

/// The reason a server was turned down, or turned us down. Holds no secrets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refused {
    /// The server speaks none of the dialects offered.
    NoDialect,
    /// The server chose a dialect that was not offered.
    Dialect(u16),
    /// The negotiate contexts of 3.1.1 are missing, doubled, or choose what was not offered.
    Contexts,
    /// The server announced sizes too small to work with.
    Sizes,
    /// The server does not offer NTLM.
    NoMechanism,
    /// The server's NTLM lacks Unicode, extended session security or 128-bit keys.
    WeakNtlm,
    /// A user, domain or host name is too long, or the server's challenge is.
    TooLong,
    /// The server let in a guest where a user was named and signing required, or nobody at all.
    GuestNotWanted,
    /// Signing was required of a guest or anonymous session, which has no key.
    SigningImpossible,
    /// The last reply of the session setup, or its SPNEGO token, is not signed with the key of the
    /// session: somebody changed a message, or the server does not know the password.
    Signature,
    /// The server demands sealing.
    Encryption,
    /// The server answered the session setup with ACCESS_DENIED, which is not about the password:
    /// mostly it demands sealing of a client that cannot.
    Denied,
    /// The server remembers another negotiation than the client (MS-SMB2 3.2.5.5).
    Downgrade,
    /// A message is not what the specification allows.
    Malformed,
    /// The caller's buffer is too small.
    NoSpace,
    /// The server's own refusal.
    Status(NtStatus),
}

impl Refused {
    /// The positive Linux errno for the application.
    pub const fn errno(self) -> i32 {
        const EIO: i32 = 5;
        const ENOMEM: i32 = 12;
        const EACCES: i32 = 13;
        const ENAMETOOLONG: i32 = 36;
        const EPROTO: i32 = 71;
        const EOPNOTSUPP: i32 = 95;
        match self {
            Self::NoDialect | Self::Dialect(_) | Self::NoMechanism => EOPNOTSUPP,
            Self::WeakNtlm | Self::SigningImpossible | Self::Encryption => EOPNOTSUPP,
            Self::Contexts | Self::Sizes | Self::Malformed => EPROTO,
            Self::GuestNotWanted | Self::Signature | Self::Denied | Self::Downgrade => EACCES,
            Self::TooLong => ENAMETOOLONG,
            Self::NoSpace => ENOMEM,
            Self::Status(status) => match status.errno() {
                0 => EIO,
                errno => errno,
            },
        }
    }
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NoDialect => "the server speaks none of the protocol versions asked for (vers=)",
            Self::Dialect(number) => {
                return write!(
                    f,
                    "the server chose dialect {number:#06x}, which was not offered"
                );
            }
            Self::Contexts => "the server's negotiate contexts are not valid",
            Self::Sizes => "the server's read and write sizes are too small",
            Self::NoMechanism => "the server does not offer NTLM",
            Self::WeakNtlm => "the server's NTLM is too old to be safe",
            Self::TooLong => "a user, domain or host name is too long",
            Self::GuestNotWanted => "the server let us in as a guest, not as the user named",
            Self::SigningImpossible => "a guest or anonymous session cannot be signed (sign)",
            Self::Signature => {
                "the server's session setup reply is not signed with the session's key"
            }
            Self::Encryption => "the server demands encryption (seal), which is not supported yet",
            Self::Denied => {
                "the server denied the session (ACCESS_DENIED): it may demand encryption (seal), \
                 which is not supported yet"
            }
            Self::Downgrade => {
                "the server negotiated something else: the connection was tampered with"
            }
            Self::Malformed => "the server sent a malformed message",
            Self::NoSpace => "a message does not fit its buffer",
            Self::Status(status) => return write!(f, "the server refused: {status}"),
        })
    }
}

impl From<Malformed> for Refused {
    fn from(_: Malformed) -> Self {
        Self::Malformed
    }
}

impl From<NoSpace> for Refused {
    fn from(_: NoSpace) -> Self {
        Self::NoSpace
    }
}

impl From<ntlm::Error> for Refused {
    fn from(error: ntlm::Error) -> Self {
        match error {
            ntlm::Error::Malformed => Self::Malformed,
            ntlm::Error::Weak => Self::WeakNtlm,
            ntlm::Error::TooLong => Self::TooLong,
            ntlm::Error::NoSpace => Self::NoSpace,
        }
    }
}
