// SPDX-License-Identifier: GPL-2.0
//! NT status codes (MS-ERREF 2.3.1): what each means for the client and for the application.
//!
//! One table says name, number, [`Class`] and errno of every status a server was seen or is
//! specified to answer. What is not in the table is judged by its severity bits.

/// A status as it stands in a header (MS-SMB2 2.2.1).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct NtStatus(pub u32);

/// What a status asks the client to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Class {
    /// The request succeeded.
    Ok,
    /// The server works on it: an interim reply, the final one follows.
    Pending,
    /// The body is of the command's own form, and there is more to fetch or to say.
    More,
    /// There is nothing (more) to list or to read; not a failure.
    End,
    /// The path leaves this server: ask for a referral.
    PathNotCovered,
    /// The session or the connection is of no use any more: stand up a new one.
    SessionGone,
    /// The share is not here (any more): the session may live on.
    ShareGone,
    /// The file id is not known to the server any more: open again.
    HandleGone,
    /// The server could not do it now; the same request may succeed later.
    Busy,
    /// The credentials were refused, or could not be checked.
    Auth,
    /// The server's final word about this request.
    Fatal,
}

/// Linux errno numbers (`include/uapi/asm-generic/errno*.h`), the same on every architecture that
/// the kernel supports Rust on.
mod errno {
    pub(super) const EPERM: i32 = 1;
    pub(super) const ENOENT: i32 = 2;
    pub(super) const EIO: i32 = 5;
    pub(super) const ENXIO: i32 = 6;
    pub(super) const E2BIG: i32 = 7;
    pub(super) const EBADF: i32 = 9;
    pub(super) const EAGAIN: i32 = 11;
    pub(super) const ENOMEM: i32 = 12;
    pub(super) const EACCES: i32 = 13;
    pub(super) const EBUSY: i32 = 16;
    pub(super) const EEXIST: i32 = 17;
    pub(super) const EXDEV: i32 = 18;
    pub(super) const ENODEV: i32 = 19;
    pub(super) const ENOTDIR: i32 = 20;
    pub(super) const EISDIR: i32 = 21;
    pub(super) const EINVAL: i32 = 22;
    pub(super) const ENFILE: i32 = 23;
    pub(super) const EMFILE: i32 = 24;
    pub(super) const EFBIG: i32 = 27;
    pub(super) const ENOSPC: i32 = 28;
    pub(super) const EROFS: i32 = 30;
    pub(super) const EMLINK: i32 = 31;
    pub(super) const EPIPE: i32 = 32;
    pub(super) const EDEADLK: i32 = 35;
    pub(super) const ENAMETOOLONG: i32 = 36;
    pub(super) const ENOLCK: i32 = 37;
    pub(super) const ENOTEMPTY: i32 = 39;
    pub(super) const ENODATA: i32 = 61;
    pub(super) const EREMOTE: i32 = 66;
    pub(super) const EPROTO: i32 = 71;
    pub(super) const EOVERFLOW: i32 = 75;
    pub(super) const EUSERS: i32 = 87;
    pub(super) const EOPNOTSUPP: i32 = 95;
    pub(super) const ENETUNREACH: i32 = 101;
    pub(super) const ECONNABORTED: i32 = 103;
    pub(super) const ECONNRESET: i32 = 104;
    pub(super) const ENOBUFS: i32 = 105;
    pub(super) const ENOTCONN: i32 = 107;
    pub(super) const ESHUTDOWN: i32 = 108;
    pub(super) const ETIMEDOUT: i32 = 110;
    pub(super) const ECONNREFUSED: i32 = 111;
    pub(super) const EHOSTDOWN: i32 = 112;
    pub(super) const EHOSTUNREACH: i32 = 113;
    pub(super) const EINPROGRESS: i32 = 115;
    pub(super) const ESTALE: i32 = 116;
    pub(super) const EDQUOT: i32 = 122;
    pub(super) const ENOMEDIUM: i32 = 123;
    pub(super) const EMEDIUMTYPE: i32 = 124;
    pub(super) const ECANCELED: i32 = 125;
    pub(super) const EKEYEXPIRED: i32 = 127;
    pub(super) const EKEYREVOKED: i32 = 128;
}

macro_rules! statuses {
    ($($name:ident = $number:literal, $class:ident, $errno:expr;)*) => {
        #[allow(missing_docs)]
        impl NtStatus {
            $(pub const $name: Self = Self($number);)*

            /// The name without `STATUS_`, or `None` for a status that is not in the table.
            pub const fn name(self) -> Option<&'static str> {
                match self.0 {
                    $($number => Some(stringify!($name)),)*
                    _ => None,
                }
            }

            const fn known(self) -> Option<(Class, i32)> {
                #[allow(unused_imports)]
                use errno::*;
                match self.0 {
                    $($number => Some((Class::$class, $errno)),)*
                    _ => None,
                }
            }

            /// Every status of the table.
            pub const ALL: &'static [Self] = &[$(Self($number)),*];
        }
    };
}

impl NtStatus {
    /// What the client should do about it; an unknown status is judged by its severity.
    pub const fn class(self) -> Class {
        match self.known() {
            Some((class, _)) => class,
            None if self.is_error() => Class::Fatal,
            None => Class::Ok,
        }
    }

    /// The positive Linux errno for the application, or 0 if the status is no failure.
    ///
    /// An unknown failure is `EIO`.
    pub const fn errno(self) -> i32 {
        match self.known() {
            Some((_, errno)) => errno,
            None if self.is_error() => errno::EIO,
            None => 0,
        }
    }

    /// Whether the severity (MS-ERREF 2.3) is "error" or "warning".
    pub const fn is_error(self) -> bool {
        self.0 >= 0x8000_0000
    }

    /// The reply is interim: the final one follows under the same message id
    /// (MS-SMB2 3.2.5.1.5).
    pub const fn is_pending(self) -> bool {
        self.0 == Self::PENDING.0
    }
}

impl core::fmt::Display for NtStatus {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self.name() {
            Some(name) => f.write_str(name),
            None => write!(f, "{:#010x}", self.0),
        }
    }
}

statuses! {
    SUCCESS = 0x0000_0000, Ok, 0;
    PENDING = 0x0000_0103, Pending, EINPROGRESS;
    REPARSE = 0x0000_0104, Ok, 0;
    NOTIFY_CLEANUP = 0x0000_010b, Ok, 0;
    NOTIFY_ENUM_DIR = 0x0000_010c, Ok, 0;
    OBJECT_NAME_EXISTS = 0x4000_0000, Ok, 0;

    // Not failures: a body of the command's own form comes with them.
    MORE_PROCESSING_REQUIRED = 0xc000_0016, More, EINPROGRESS;
    BUFFER_OVERFLOW = 0x8000_0005, More, EOVERFLOW;
    NO_MORE_FILES = 0x8000_0006, End, ENODATA;
    NO_MORE_EAS = 0x8000_0012, End, ENODATA;
    NO_MORE_ENTRIES = 0x8000_001a, End, ENODATA;
    END_OF_FILE = 0xc000_0011, End, ENODATA;

    // The namespace.
    PATH_NOT_COVERED = 0xc000_0257, PathNotCovered, EREMOTE;
    DFS_EXIT_PATH_FOUND = 0xc000_009b, PathNotCovered, EREMOTE;
    STOPPED_ON_SYMLINK = 0x8000_002d, Fatal, EOPNOTSUPP;
    IO_REPARSE_TAG_NOT_HANDLED = 0xc000_0279, Fatal, EOPNOTSUPP;
    IO_REPARSE_TAG_INVALID = 0xc000_0276, Fatal, EINVAL;
    IO_REPARSE_TAG_MISMATCH = 0xc000_0277, Fatal, EINVAL;
    IO_REPARSE_DATA_INVALID = 0xc000_0278, Fatal, EINVAL;
    NOT_A_REPARSE_POINT = 0xc000_0275, Fatal, EINVAL;
    DIRECTORY_IS_A_REPARSE_POINT = 0xc000_0281, Fatal, EINVAL;
    REPARSE_POINT_NOT_RESOLVED = 0xc000_0280, Fatal, EREMOTE;
    FS_DRIVER_REQUIRED = 0xc000_019c, Fatal, EOPNOTSUPP;

    // The session or the connection is lost.
    USER_SESSION_DELETED = 0xc000_0203, SessionGone, ESTALE;
    NETWORK_SESSION_EXPIRED = 0xc000_035c, SessionGone, EKEYEXPIRED;
    CONNECTION_DISCONNECTED = 0xc000_020c, SessionGone, ENOTCONN;
    CONNECTION_RESET = 0xc000_020d, SessionGone, ECONNRESET;
    CONNECTION_ABORTED = 0xc000_0241, SessionGone, ECONNABORTED;
    CONNECTION_INVALID = 0xc000_023a, SessionGone, ENOTCONN;
    CONNECTION_REFUSED = 0xc000_0236, SessionGone, ECONNREFUSED;
    INVALID_CONNECTION = 0xc000_0140, SessionGone, ENOTCONN;
    VIRTUAL_CIRCUIT_CLOSED = 0xc000_00d6, SessionGone, ENOTCONN;
    LOCAL_DISCONNECT = 0xc000_013b, SessionGone, ENOTCONN;
    REMOTE_DISCONNECT = 0xc000_013c, SessionGone, ENOTCONN;
    LINK_FAILED = 0xc000_013e, SessionGone, ENOTCONN;
    LINK_TIMEOUT = 0xc000_013f, SessionGone, ETIMEDOUT;
    GRACEFUL_DISCONNECT = 0xc000_0237, SessionGone, ENOTCONN;
    SERVER_SHUTDOWN_IN_PROGRESS = 0xc000_0255, SessionGone, ESHUTDOWN;
    SHUTDOWN_IN_PROGRESS = 0xc000_02fe, SessionGone, ESHUTDOWN;
    SYSTEM_SHUTDOWN = 0xc000_02eb, SessionGone, ESHUTDOWN;
    SERVER_UNAVAILABLE = 0xc000_0466, SessionGone, EHOSTDOWN;
    NETWORK_UNREACHABLE = 0xc000_023c, SessionGone, ENETUNREACH;
    HOST_UNREACHABLE = 0xc000_023d, SessionGone, EHOSTUNREACH;
    PROTOCOL_UNREACHABLE = 0xc000_023e, SessionGone, EHOSTUNREACH;
    PORT_UNREACHABLE = 0xc000_023f, SessionGone, ECONNREFUSED;

    // The share is not here.
    NETWORK_NAME_DELETED = 0xc000_00c9, ShareGone, ESTALE;
    BAD_NETWORK_NAME = 0xc000_00cc, ShareGone, ENOENT;
    BAD_NETWORK_PATH = 0xc000_00be, ShareGone, ENOENT;
    SHARE_UNAVAILABLE = 0xc000_0480, ShareGone, EHOSTDOWN;
    SMB_BAD_CLUSTER_DIALECT = 0xc05d_0001, ShareGone, EOPNOTSUPP;
    DFS_UNAVAILABLE = 0xc000_026d, ShareGone, EHOSTUNREACH;
    VOLUME_DISMOUNTED = 0xc000_026e, ShareGone, ENODEV;
    DEVICE_DOES_NOT_EXIST = 0xc000_00c0, ShareGone, ENODEV;
    DEVICE_NOT_CONNECTED = 0xc000_009d, ShareGone, ENODEV;
    DEVICE_OFF_LINE = 0x8000_0010, ShareGone, ENODEV;
    NO_SUCH_DEVICE = 0xc000_000e, ShareGone, ENODEV;
    DEVICE_REMOVED = 0xc000_02b6, ShareGone, ENODEV;
    CLUSTER_NODE_DOWN = 0xc013_000c, ShareGone, EHOSTDOWN;
    CLUSTER_NODE_UNREACHABLE = 0xc013_000d, ShareGone, EHOSTUNREACH;

    // The handle is not known.
    FILE_CLOSED = 0xc000_0128, HandleGone, ESTALE;
    FILE_FORCED_CLOSED = 0xc000_00b6, HandleGone, ESTALE;
    INVALID_HANDLE = 0xc000_0008, HandleGone, EBADF;

    // Later, perhaps.
    INSUFFICIENT_RESOURCES = 0xc000_009a, Busy, ENOMEM;
    INSUFF_SERVER_RESOURCES = 0xc000_0205, Busy, ENOMEM;
    NO_MEMORY = 0xc000_0017, Busy, ENOMEM;
    WORKING_SET_QUOTA = 0xc000_00a1, Busy, ENOMEM;
    PAGEFILE_QUOTA = 0xc000_0007, Busy, ENOMEM;
    COMMITMENT_LIMIT = 0xc000_012d, Busy, ENOMEM;
    IO_TIMEOUT = 0xc000_00b5, Busy, ETIMEDOUT;
    NETWORK_BUSY = 0xc000_00bf, Busy, EBUSY;
    TOO_MANY_COMMANDS = 0xc000_00c1, Busy, EBUSY;
    REQUEST_NOT_ACCEPTED = 0xc000_00d0, Busy, EUSERS;
    TOO_MANY_SESSIONS = 0xc000_00ce, Busy, EUSERS;
    REMOTE_SESSION_LIMIT = 0xc000_0196, Busy, EUSERS;
    CONNECTION_COUNT_LIMIT = 0xc000_0246, Busy, EUSERS;
    LICENSE_QUOTA_EXCEEDED = 0xc000_0259, Busy, EUSERS;
    RETRY = 0xc000_022d, Busy, EAGAIN;
    SHARING_PAUSED = 0xc000_00cf, Busy, EBUSY;
    REDIRECTOR_PAUSED = 0xc000_00d1, Busy, EBUSY;
    FILE_NOT_AVAILABLE = 0xc000_0467, Busy, EHOSTDOWN;
    DEVICE_NOT_READY = 0xc000_00a3, Busy, EBUSY;
    DEVICE_BUSY = 0x8000_0011, Busy, EBUSY;
    UNEXPECTED_NETWORK_ERROR = 0xc000_00c4, Busy, EIO;

    // The credentials.
    LOGON_FAILURE = 0xc000_006d, Auth, EACCES;
    WRONG_PASSWORD = 0xc000_006a, Auth, EACCES;
    NO_SUCH_USER = 0xc000_0064, Auth, EACCES;
    NO_SUCH_LOGON_SESSION = 0xc000_005f, Auth, EACCES;
    ACCOUNT_RESTRICTION = 0xc000_006e, Auth, EACCES;
    INVALID_LOGON_HOURS = 0xc000_006f, Auth, EACCES;
    INVALID_WORKSTATION = 0xc000_0070, Auth, EACCES;
    PASSWORD_EXPIRED = 0xc000_0071, Auth, EKEYEXPIRED;
    PASSWORD_MUST_CHANGE = 0xc000_0224, Auth, EKEYEXPIRED;
    ACCOUNT_EXPIRED = 0xc000_0193, Auth, EKEYEXPIRED;
    ACCOUNT_DISABLED = 0xc000_0072, Auth, EKEYREVOKED;
    ACCOUNT_LOCKED_OUT = 0xc000_0234, Auth, EACCES;
    LOGON_NOT_GRANTED = 0xc000_0155, Auth, EACCES;
    LOGON_TYPE_NOT_GRANTED = 0xc000_015b, Auth, EACCES;
    NO_LOGON_SERVERS = 0xc000_005e, Auth, EACCES;
    NO_SUCH_DOMAIN = 0xc000_00df, Auth, EACCES;
    NO_TRUST_LSA_SECRET = 0xc000_018a, Auth, EACCES;
    NO_TRUST_SAM_ACCOUNT = 0xc000_018b, Auth, EACCES;
    TRUSTED_DOMAIN_FAILURE = 0xc000_018c, Auth, EACCES;
    TRUSTED_RELATIONSHIP_FAILURE = 0xc000_018d, Auth, EACCES;
    TRUST_FAILURE = 0xc000_0190, Auth, EACCES;
    NETLOGON_NOT_STARTED = 0xc000_0192, Auth, EACCES;
    NOLOGON_INTERDOMAIN_TRUST_ACCOUNT = 0xc000_0198, Auth, EACCES;
    NOLOGON_WORKSTATION_TRUST_ACCOUNT = 0xc000_0199, Auth, EACCES;
    NOLOGON_SERVER_TRUST_ACCOUNT = 0xc000_019a, Auth, EACCES;
    TIME_DIFFERENCE_AT_DC = 0xc000_0133, Auth, EACCES;
    DOMAIN_CONTROLLER_NOT_FOUND = 0xc000_0233, Auth, EACCES;
    NTLM_BLOCKED = 0xc000_0418, Auth, EACCES;
    DOWNGRADE_DETECTED = 0xc000_0388, Auth, EACCES;
    AUTHENTICATION_FIREWALL_FAILED = 0xc000_0413, Auth, EACCES;
    PKINIT_FAILURE = 0xc000_0320, Auth, EACCES;

    // Names.
    OBJECT_NAME_NOT_FOUND = 0xc000_0034, Fatal, ENOENT;
    OBJECT_PATH_NOT_FOUND = 0xc000_003a, Fatal, ENOENT;
    OBJECT_NAME_INVALID = 0xc000_0033, Fatal, ENOENT;
    OBJECT_PATH_INVALID = 0xc000_0039, Fatal, ENOENT;
    OBJECT_PATH_SYNTAX_BAD = 0xc000_003b, Fatal, ENOENT;
    OBJECT_NAME_COLLISION = 0xc000_0035, Fatal, EEXIST;
    NO_SUCH_FILE = 0xc000_000f, Fatal, ENOENT;
    NOT_FOUND = 0xc000_0225, Fatal, ENOENT;
    DELETE_PENDING = 0xc000_0056, Fatal, ENOENT;
    FILE_DELETED = 0xc000_0123, Fatal, ESTALE;
    FILE_RENAMED = 0xc000_00d5, Fatal, ESTALE;
    NAME_TOO_LONG = 0xc000_0106, Fatal, ENAMETOOLONG;
    NOT_A_DIRECTORY = 0xc000_0103, Fatal, ENOTDIR;
    FILE_IS_A_DIRECTORY = 0xc000_00ba, Fatal, EISDIR;
    DIRECTORY_NOT_EMPTY = 0xc000_0101, Fatal, ENOTEMPTY;
    NOT_SAME_DEVICE = 0xc000_00d4, Fatal, EXDEV;
    TOO_MANY_LINKS = 0xc000_0265, Fatal, EMLINK;
    OBJECT_TYPE_MISMATCH = 0xc000_0024, Fatal, EINVAL;
    OBJECTID_EXISTS = 0xc000_022b, Fatal, EEXIST;
    DUPLICATE_OBJECTID = 0xc000_022a, Fatal, EEXIST;
    OBJECTID_NOT_FOUND = 0xc000_02f0, Fatal, ENODATA;

    // Permission.
    ACCESS_DENIED = 0xc000_0022, Fatal, EACCES;
    NETWORK_ACCESS_DENIED = 0xc000_00ca, Fatal, EACCES;
    PRIVILEGE_NOT_HELD = 0xc000_0061, Fatal, EPERM;
    INVALID_OWNER = 0xc000_005a, Fatal, EPERM;
    INVALID_PRIMARY_GROUP = 0xc000_005b, Fatal, EPERM;
    BAD_IMPERSONATION_LEVEL = 0xc000_00a5, Fatal, EACCES;
    CANNOT_DELETE = 0xc000_0121, Fatal, EACCES;
    MEDIA_WRITE_PROTECTED = 0xc000_00a2, Fatal, EROFS;
    VIRUS_INFECTED = 0xc000_0906, Fatal, EACCES;
    VIRUS_DELETED = 0xc000_0907, Fatal, EACCES;
    ENCRYPTION_FAILED = 0xc000_028a, Fatal, EACCES;
    DECRYPTION_FAILED = 0xc000_028b, Fatal, EACCES;
    FILE_ENCRYPTED = 0xc000_0293, Fatal, EACCES;

    // Somebody else has it.
    SHARING_VIOLATION = 0xc000_0043, Fatal, EBUSY;
    FILE_LOCK_CONFLICT = 0xc000_0054, Fatal, EACCES;
    LOCK_NOT_GRANTED = 0xc000_0055, Fatal, EAGAIN;
    RANGE_NOT_LOCKED = 0xc000_007e, Fatal, ENOLCK;
    INVALID_LOCK_RANGE = 0xc000_01a1, Fatal, EINVAL;
    USER_MAPPED_FILE = 0xc000_0243, Fatal, EBUSY;
    OPLOCK_NOT_GRANTED = 0xc000_00e2, Fatal, EAGAIN;
    INVALID_OPLOCK_PROTOCOL = 0xc000_00e3, Fatal, EINVAL;
    CANNOT_BREAK_OPLOCK = 0xc000_0909, Fatal, EBUSY;
    POSSIBLE_DEADLOCK = 0xc000_0194, Fatal, EDEADLK;

    // Room.
    DISK_FULL = 0xc000_007f, Fatal, ENOSPC;
    QUOTA_EXCEEDED = 0xc000_0044, Fatal, EDQUOT;
    DISK_QUOTA_EXCEEDED = 0xc000_0802, Fatal, EDQUOT;
    FILE_TOO_LARGE = 0xc000_0904, Fatal, EFBIG;
    FILE_SYSTEM_LIMITATION = 0xc000_0427, Fatal, EFBIG;
    TOO_MANY_OPENED_FILES = 0xc000_011f, Fatal, ENFILE;
    TOO_MANY_OPEN_FILES = 0xc000_0304, Fatal, EMFILE;

    // The request.
    INVALID_PARAMETER = 0xc000_000d, Fatal, EINVAL;
    INVALID_PARAMETER_MIX = 0xc000_0030, Fatal, EINVAL;
    INVALID_INFO_CLASS = 0xc000_0003, Fatal, EOPNOTSUPP;
    INFO_LENGTH_MISMATCH = 0xc000_0004, Fatal, EINVAL;
    INVALID_BUFFER_SIZE = 0xc000_0206, Fatal, EINVAL;
    INVALID_USER_BUFFER = 0xc000_00e8, Fatal, EINVAL;
    INVALID_NETWORK_RESPONSE = 0xc000_00c3, Fatal, EPROTO;
    INVALID_LEVEL = 0xc000_0148, Fatal, EOPNOTSUPP;
    BUFFER_TOO_SMALL = 0xc000_0023, Fatal, ENOBUFS;
    NOT_SUPPORTED = 0xc000_00bb, Fatal, EOPNOTSUPP;
    NOT_IMPLEMENTED = 0xc000_0002, Fatal, EOPNOTSUPP;
    INVALID_DEVICE_REQUEST = 0xc000_0010, Fatal, EOPNOTSUPP;
    INVALID_DEVICE_STATE = 0xc000_0184, Fatal, EINVAL;
    ILLEGAL_FUNCTION = 0xc000_00af, Fatal, EINVAL;
    INVALID_READ_MODE = 0xc000_00b4, Fatal, EINVAL;
    REQUEST_ABORTED = 0xc000_0240, Fatal, EIO;
    CANCELLED = 0xc000_0120, Fatal, ECANCELED;
    NOT_COMMITTED = 0xc000_002d, Fatal, EIO;
    BAD_DEVICE_TYPE = 0xc000_00cb, Fatal, ENODEV;
    INVALID_COMPUTER_NAME = 0xc000_0122, Fatal, EINVAL;
    REVISION_MISMATCH = 0xc000_0059, Fatal, EOPNOTSUPP;
    SMB_NO_PREAUTH_INTEGRITY_HASH_OVERLAP = 0xc05d_0000, Fatal, EOPNOTSUPP;

    // Security descriptors and extended attributes.
    INVALID_ACL = 0xc000_0077, Fatal, EINVAL;
    INVALID_SID = 0xc000_0078, Fatal, EINVAL;
    INVALID_SECURITY_DESCR = 0xc000_0079, Fatal, EINVAL;
    NONE_MAPPED = 0xc000_0073, Fatal, EINVAL;
    NO_SECURITY_ON_OBJECT = 0xc000_00d7, Fatal, EOPNOTSUPP;
    EAS_NOT_SUPPORTED = 0xc000_004f, Fatal, EOPNOTSUPP;
    EA_TOO_LARGE = 0xc000_0050, Fatal, E2BIG;
    NONEXISTENT_EA_ENTRY = 0xc000_0051, Fatal, ENODATA;
    NO_EAS_ON_FILE = 0xc000_0052, Fatal, ENODATA;
    EA_CORRUPT_ERROR = 0xc000_0053, Fatal, EIO;
    EA_LIST_INCONSISTENT = 0x8000_0014, Fatal, EINVAL;
    INVALID_EA_NAME = 0x8000_0013, Fatal, EINVAL;
    INVALID_EA_FLAG = 0x8000_0015, Fatal, EINVAL;

    // Pipes.
    PIPE_NOT_AVAILABLE = 0xc000_00ac, Fatal, EBUSY;
    INSTANCE_NOT_AVAILABLE = 0xc000_00ab, Fatal, EBUSY;
    PIPE_BUSY = 0xc000_00ae, Fatal, EBUSY;
    PIPE_DISCONNECTED = 0xc000_00b0, Fatal, EPIPE;
    PIPE_CLOSING = 0xc000_00b1, Fatal, EPIPE;
    PIPE_EMPTY = 0xc000_00d9, Fatal, EAGAIN;
    PIPE_BROKEN = 0xc000_014b, Fatal, EPIPE;

    // The disk behind the server, and the server itself.
    UNSUCCESSFUL = 0xc000_0001, Fatal, EIO;
    INTERNAL_ERROR = 0xc000_00e5, Fatal, EIO;
    UNEXPECTED_IO_ERROR = 0xc000_00e9, Fatal, EIO;
    IO_DEVICE_ERROR = 0xc000_0185, Fatal, EIO;
    DATA_ERROR = 0xc000_003e, Fatal, EIO;
    CRC_ERROR = 0xc000_003f, Fatal, EIO;
    DISK_CORRUPT_ERROR = 0xc000_0032, Fatal, EIO;
    FILE_CORRUPT_ERROR = 0xc000_0102, Fatal, EIO;
    DISK_OPERATION_FAILED = 0xc000_016a, Fatal, EIO;
    FILE_INVALID = 0xc000_0098, Fatal, EIO;
    FILE_IS_OFFLINE = 0xc000_0267, Fatal, EIO;
    DEVICE_DATA_ERROR = 0xc000_009c, Fatal, EIO;
    LOST_WRITEBEHIND_DATA = 0xc000_0222, Fatal, EIO;
    UNRECOGNIZED_VOLUME = 0xc000_014f, Fatal, EMEDIUMTYPE;
    WRONG_VOLUME = 0xc000_0012, Fatal, ENXIO;
    NO_MEDIA_IN_DEVICE = 0xc000_0013, Fatal, ENOMEDIUM;

}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_failure_has_an_errno() {
        for &s in NtStatus::ALL {
            assert_eq!(s.errno() == 0, s.class() == Class::Ok, "{s}");
            assert!((0..134).contains(&s.errno()), "{s}");
            assert!(s.name().is_some());
        }
    }

    #[test]
    fn unknown_is_judged_by_severity() {
        assert_eq!(NtStatus(0xc0ff_ee00).class(), Class::Fatal);
        assert_eq!(NtStatus(0xc0ff_ee00).errno(), 5);
        assert_eq!(NtStatus(0x8123_4567).errno(), 5);
        assert_eq!(NtStatus(0x4123_4567).class(), Class::Ok);
        assert_eq!(NtStatus(0x4123_4567).errno(), 0);
        assert_eq!(std::format!("{}", NtStatus(0xc0ff_ee00)), "0xc0ffee00");
        assert_eq!(std::format!("{}", NtStatus::LOGON_FAILURE), "LOGON_FAILURE");
    }

    #[test]
    fn the_ones_that_decide() {
        assert_eq!(NtStatus::default(), NtStatus::SUCCESS);
        assert_eq!(NtStatus(0xc000_0257).class(), Class::PathNotCovered);
        assert_eq!(NtStatus(0xc000_00c9).class(), Class::ShareGone);
        assert_eq!(NtStatus(0xc000_0203).class(), Class::SessionGone);
        assert_eq!(NtStatus(0xc000_0016).class(), Class::More);
        assert_eq!(NtStatus(0xc000_0043).class(), Class::Fatal);
        assert!(NtStatus::PENDING.is_pending());
    }
}
