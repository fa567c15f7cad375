// SPDX-License-Identifier: GPL-2.0

//! One connection to one server: frames out, frames in, and which reply belongs to which request.
//!
//! A connection that fails in any way is dead for good: every request in flight is answered with
//! [`Error::Lost`], once, and nothing is ever sent again. What to do then is decided above, in
//! `mount`.
//!
//! Locks, in order: `Wire::tx`, then `Wire::state`. `Wire::closes` is a leaf. No lock is held while a [`Sink`] runs.

mod closes;
pub(crate) mod conn;
pub(crate) mod pending;
pub(crate) mod pump;
pub(crate) mod request;
mod send;
mod urgent;
mod wire;

pub(crate) use conn::{Conn, Limits, Tuning};
pub(crate) use pending::{Answer, Sink};
pub(crate) use request::{Context, Request};

use kernel::prelude::*;
use rsdfs_proto::{
    codec::{
        Malformed,
        NoSpace, //
    },
    smb2::oplock_break::Break,
    status::NtStatus, //
};

/// Hears what a server says unasked. Called on the receiving thread: it must not wait.
pub(crate) trait Listener: Send + Sync {
    /// It takes back something that it gave.
    fn broken(&self, what: &Break);
}

/// Why a request has no answer, or not the one that was hoped for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Error {
    /// The connection ended before the answer came; the request may or may not have been carried
    /// out.
    Lost,
    /// The caller's deadline passed.
    Timeout,
    /// The calling task is being killed.
    Interrupted,
    /// The server refused.
    Status(NtStatus),
    /// The answer is not what the specification allows.
    Malformed,
    /// Something of our own failed, such as an allocation.
    Kernel(kernel::error::Error),
}

/// What a request comes to.
pub(crate) type Result<T = ()> = core::result::Result<T, Error>;

impl From<Malformed> for Error {
    fn from(_: Malformed) -> Self {
        Error::Malformed
    }
}

impl From<NoSpace> for Error {
    fn from(_: NoSpace) -> Self {
        Error::Kernel(E2BIG)
    }
}

impl From<kernel::error::Error> for Error {
    fn from(error: kernel::error::Error) -> Self {
        Error::Kernel(error)
    }
}

impl From<kernel::alloc::AllocError> for Error {
    fn from(_: kernel::alloc::AllocError) -> Self {
        Error::Kernel(ENOMEM)
    }
}

impl From<Error> for kernel::error::Error {
    /// The one place where a failure becomes an errno.
    fn from(error: Error) -> Self {
        match error {
            Error::Lost | Error::Malformed => EIO,
            Error::Timeout => ETIMEDOUT,
            Error::Interrupted => EINTR,
            Error::Status(status) => {
                kernel::error::Error::from_errno(status.errno().saturating_neg())
            }
            Error::Kernel(error) => error,
        }
    }
}
