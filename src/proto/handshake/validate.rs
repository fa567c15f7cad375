// SPDX-License-Identifier: GPL-2.0
//! FSCTL_VALIDATE_NEGOTIATE_INFO (MS-SMB2 3.2.5.5): what 3.0 and 3.0.2 have in place of the
//! preauthentication hash.

use super::Refused;
use crate::codec::{NoSpace, Writer};
use crate::smb2::ioctl::{self, NegotiateInfo};
use crate::status::NtStatus;

/// The client's side of the negotiation, to be repeated under a signature, and the server's side,
/// to be compared.
///
/// Send it signed, as [`Ioctl::validate_negotiate`](ioctl::Ioctl::validate_negotiate), on the
/// first tree of a session that has a key; guest and anonymous sessions cannot.
#[derive(Clone, Copy, Debug)]
pub struct ValidateNegotiate {
    pub(super) request: ioctl::ValidateNegotiate,
    pub(super) expected: NegotiateInfo,
}

impl ValidateNegotiate {
    /// The most bytes [`ValidateNegotiate::emit`] writes.
    pub const MAX_LEN: usize = ioctl::ValidateNegotiate::MAX_LEN;

    /// Writes the input of the IOCTL and returns its length in bytes.
    ///
    /// # Errors
    /// [`NoSpace`] if `buffer` is shorter than [`ValidateNegotiate::MAX_LEN`].
    pub fn emit(&self, buffer: &mut [u8]) -> Result<usize, NoSpace> {
        let mut w = Writer::new(buffer);
        self.request.emit(&mut w)?;
        Ok(w.written())
    }

    /// Judges a successful reply's output, whose signature has been verified.
    ///
    /// # Errors
    /// [`Refused::Downgrade`] if any value differs: the connection must be ended.
    pub fn check(&self, output: &[u8]) -> Result<(), Refused> {
        if NegotiateInfo::parse(output)? == self.expected {
            Ok(())
        } else {
            Err(Refused::Downgrade)
        }
    }

    /// Judges a failure's status, whose signature has been verified: a server that does not know
    /// the code says so under a signature, which is as good as a yes, for nobody could have
    /// answered in its place.
    ///
    /// # Errors
    /// [`Refused::Status`] for any other failure.
    pub const fn check_failure(&self, status: NtStatus) -> Result<(), Refused> {
        match status {
            NtStatus::INVALID_DEVICE_REQUEST | NtStatus::NOT_SUPPORTED | NtStatus::FILE_CLOSED => {
                Ok(())
            }
            _ => Err(Refused::Status(status)),
        }
    }
}
