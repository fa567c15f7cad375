// SPDX-License-Identifier: GPL-2.0

//! Error codes that `kernel::error::code` lacks.
//!
//! C headers: [`include/uapi/asm-generic/errno.h`](srctree/include/uapi/asm-generic/errno.h),
//! [`include/linux/errno.h`](srctree/include/linux/errno.h)

use super::bindings;
use core::mem::{size_of, transmute};
use kernel::error::Error;

/// The [`Error`] for a positive errno, at compile time.
const fn error(errno: u32) -> Error {
    const { assert!(size_of::<Error>() == size_of::<i32>()) };
    assert!(0 < errno && errno <= bindings::MAX_ERRNO);
    // SAFETY: `Error` is a newtype around `NonZeroI32`, of the size asserted above; its invariant,
    // a negative errno within range, is what the second assertion establishes. `check` verifies
    // the outcome when the module is loaded.
    unsafe { transmute::<i32, Error>(-(errno as i32)) }
}

macro_rules! errnos {
    ($($name:ident = $doc:literal;)*) => {
        $(
            #[doc = $doc]
            pub(crate) const $name: Error = error(bindings::$name);
        )*

        /// Whether the constants say what they should; `false` if `Error` is not what it was.
        pub(super) fn check() -> bool {
            true $(&& $name.to_errno() == -(bindings::$name as i32))*
        }
    };
}

errnos! {
    EADDRINUSE = "Address already in use.";
    EADDRNOTAVAIL = "Cannot assign requested address.";
    EAFNOSUPPORT = "Address family not supported by protocol.";
    EALREADY = "Operation already in progress.";
    EBADMSG = "Not a data message.";
    EBADR = "Invalid request descriptor.";
    ECANCELED = "Operation canceled.";
    ECOMM = "Communication error on send.";
    ECONNABORTED = "Software caused connection abort.";
    ECONNREFUSED = "Connection refused.";
    ECONNRESET = "Connection reset by peer.";
    EDEADLK = "Resource deadlock would occur.";
    EDESTADDRREQ = "Destination address required.";
    EDQUOT = "Quota exceeded.";
    EHOSTDOWN = "Host is down.";
    EHOSTUNREACH = "No route to host.";
    EILSEQ = "Illegal byte sequence.";
    EINPROGRESS = "Operation now in progress.";
    EISCONN = "Transport endpoint is already connected.";
    EKEYEXPIRED = "Key has expired.";
    EKEYREJECTED = "Key was rejected by service.";
    EKEYREVOKED = "Key has been revoked.";
    ELOOP = "Too many symbolic links encountered.";
    EMEDIUMTYPE = "Wrong medium type.";
    EMULTIHOP = "Multihop attempted.";
    ENAMETOOLONG = "File name too long.";
    ENETDOWN = "Network is down.";
    ENETRESET = "Network dropped connection because of reset.";
    ENETUNREACH = "Network is unreachable.";
    ENOBUFS = "No buffer space available.";
    ENODATA = "No data available.";
    ENOKEY = "Required key not available.";
    ENOLCK = "No record locks available.";
    ENOLINK = "Link has been severed.";
    ENOMEDIUM = "No medium found.";
    ENONET = "Machine is not on the network.";
    ENOSYS = "Invalid system call number.";
    ENOTCONN = "Transport endpoint is not connected.";
    ENOTEMPTY = "Directory not empty.";
    ENOTSOCK = "Socket operation on non-socket.";
    ENOTUNIQ = "Name not unique on network.";
    EOPNOTSUPP = "Operation not supported on transport endpoint.";
    EOWNERDEAD = "Owner died.";
    EPFNOSUPPORT = "Protocol family not supported.";
    EPROTO = "Protocol error.";
    EPROTONOSUPPORT = "Protocol not supported.";
    EPROTOTYPE = "Protocol wrong type for socket.";
    EREMCHG = "Remote address changed.";
    EREMOTE = "Object is remote.";
    EREMOTEIO = "Remote I/O error.";
    ESHUTDOWN = "Cannot send after transport endpoint shutdown.";
    ESTALE = "Stale file handle.";
    ETIME = "Timer expired.";
    EUCLEAN = "Structure needs cleaning.";
    EUSERS = "Too many users.";
}
