// SPDX-License-Identifier: GPL-2.0

//! Why a target could not be reached: for the failover machine, for the system call, and in words
//! for the administrator.

use super::MountError;
use crate::{
    sys::{
        errno,
        fmt::Plain, //
    },
    transport, //
};
use kernel::{
    alloc::AllocError,
    prelude::*,
    str::CString, //
};
use rsdfs_proto::{
    failover::{
        Cause,
        Fault, //
    },
    handshake::Refused,
    status::{
        Class,
        NtStatus, //
    }, //
};

/// A failure to reach something. Holds no secrets.
pub(crate) struct Trouble {
    /// For the failover machine.
    pub(crate) fault: Fault,
    /// For the system call.
    pub(crate) errno: Error,
    /// For the administrator.
    pub(crate) message: Option<CString>,
}

impl Trouble {
    /// A failure in words.
    pub(crate) fn new(errno: Error, what: &str) -> Self {
        Self {
            message: CString::try_from_fmt(fmt!("{what}")).ok(),
            ..Self::from(errno)
        }
    }

    /// Whether nobody answered, or not to the end.
    pub(crate) fn is_silence(&self) -> bool {
        matches!(
            self.fault.cause,
            Cause::Unreachable | Cause::Cut | Cause::Silent
        )
    }

    /// Says what else was wrong.
    pub(crate) fn after(self, other: &Self) -> Self {
        let both = self.message.as_ref().zip(other.message.as_ref());
        let both = both.and_then(|(own, other)| own.to_str().ok().zip(other.to_str().ok()));
        let message = both.and_then(|(own, other)| {
            CString::try_from_fmt(fmt!("{own}; before that, {other}")).ok()
        });
        Self {
            message: message.or(self.message),
            ..self
        }
    }

    /// The same for somebody else.
    pub(crate) fn again(&self) -> Self {
        let message = self.message.as_ref().and_then(|text| text.to_str().ok());
        Self {
            fault: self.fault,
            errno: self.errno,
            message: message.and_then(|text| CString::try_from_fmt(fmt!("{text}")).ok()),
        }
    }

    /// The attempt was called off.
    pub(crate) fn cancelled() -> Self {
        Self::from(errno::ECANCELED)
    }

    /// A status from a server.
    pub(crate) fn status(status: NtStatus) -> Self {
        Self {
            fault: Fault {
                cause: cause(status),
                status: Some(status),
            },
            errno: Error::from_errno(status.errno().saturating_neg()),
            message: CString::try_from_fmt(fmt!("the server answered {}", Plain(status))).ok(),
        }
    }

    /// Says at what host, or in what, it happened.
    pub(crate) fn at(self, place: &str) -> Self {
        let message = match &self.message {
            Some(message) => {
                let message = message.to_str().unwrap_or_default();
                CString::try_from_fmt(fmt!("{place}: {message}"))
            }
            None => {
                let errno = self.errno;
                match name(errno) {
                    Some(words) => CString::try_from_fmt(fmt!("{place}: {words}")),
                    None => CString::try_from_fmt(fmt!("{place}: error {}", errno.to_errno())),
                }
            }
        };
        Self {
            message: message.ok(),
            ..self
        }
    }
}

/// Words for what the network says.
fn name(error: Error) -> Option<&'static str> {
    Some(match error {
        ETIMEDOUT => "no answer",
        errno::ECONNREFUSED => "connection refused",
        errno::ECONNRESET | EPIPE => "connection reset",
        errno::EHOSTUNREACH | errno::ENETUNREACH => "unreachable",
        errno::ENOKEY => "the name cannot be resolved: is key.dns_resolver installed?",
        errno::ECANCELED => "called off",
        ENOMEM => "out of memory",
        _ => return None,
    })
}

/// What kind of failure a status is.
fn cause(status: NtStatus) -> Cause {
    match status.class() {
        Class::Auth => Cause::Denied,
        Class::ShareGone | Class::PathNotCovered => Cause::Missing,
        Class::Busy => Cause::Busy,
        Class::SessionGone => Cause::Unreachable,
        _ if matches!(status.errno(), 2 | 20) => Cause::Missing,
        _ if status.errno() == 13 => Cause::Denied,
        _ => Cause::Broken,
    }
}

impl From<Error> for Trouble {
    fn from(error: Error) -> Self {
        let cause = match error {
            ETIMEDOUT => Cause::Silent,
            EACCES | EPERM => Cause::Denied,
            ENOENT | ENOTDIR => Cause::Missing,
            errno::ELOOP => Cause::Missing,
            ENOMEM => Cause::Busy,
            errno::ECONNRESET | EPIPE => Cause::Cut,
            EINVAL | errno::EPROTO => Cause::Broken,
            _ => Cause::Unreachable,
        };
        Self {
            fault: cause.into(),
            errno: error,
            message: None,
        }
    }
}

impl From<AllocError> for Trouble {
    fn from(_: AllocError) -> Self {
        ENOMEM.into()
    }
}

impl From<transport::Error> for Trouble {
    fn from(error: transport::Error) -> Self {
        match error {
            transport::Error::Status(status) => Self::status(status),
            transport::Error::Lost => Self::new(errno::ECONNRESET, "the connection was lost"),
            transport::Error::Malformed => {
                Self::new(errno::EPROTO, "the server sent a malformed message")
            }
            error => Error::from(error).into(),
        }
    }
}

impl From<Refused> for Trouble {
    fn from(refused: Refused) -> Self {
        let message = CString::try_from_fmt(fmt!("{}", Plain(refused))).ok();
        match refused {
            Refused::Status(status) => Self {
                message,
                ..Self::status(status)
            },
            _ => Self {
                message,
                ..Error::from_errno(refused.errno().saturating_neg()).into()
            },
        }
    }
}

impl From<Trouble> for MountError {
    fn from(trouble: Trouble) -> Self {
        MountError {
            errno: trouble.errno,
            message: trouble.message,
        }
    }
}
