// SPDX-License-Identifier: GPL-2.0

//! What stands between the file system and the servers: mounts that outlive their servers.
//!
//! A [`Volume`] is what is mounted. It has at most one [`tree::Tree`] at a time, a share on a
//! server that has been reached through the whole stack, and a generation that counts them. Every
//! operation goes through `Volume::run`, which waits for a tree, and starts over on the next one
//! when a tree is lost.
//!
//! Ownership points down only: Volume -> Tree -> Session -> Server -> Conn; sessions and what is
//! below them are shared between mounts ([`servers`]). Locks, in order:
//! `Registry::list`, `Locks::state`, `Volume::handles`, `Handle::state`, `Volume::state`,
//! `Volume::parked`; none is held across the wire.

pub(crate) mod attempt;
mod chores;
mod control;
pub(crate) mod counters;
mod durable;
mod files;
mod former;
pub(crate) mod handle;
pub(crate) mod io;
pub(crate) mod keeper;
pub(crate) mod lease;
mod left;
pub(crate) mod links;
pub(crate) mod list;
pub(crate) mod locks;
mod nameless;
pub(crate) mod names;
mod once;
pub(crate) mod ops;
pub(crate) mod options;
pub(crate) mod outlook;
pub(crate) mod owner;
pub(crate) mod race;
pub(crate) mod reconnect;
pub(crate) mod referral;
pub(crate) mod refresh;
mod reopen;
pub(crate) mod server;
pub(crate) mod servers;
pub(crate) mod session;
mod space;
pub(crate) mod tree;
pub(crate) mod trouble;
pub(crate) mod upkeep;
pub(crate) mod volume;
pub(crate) mod world;
mod zombie;

pub(crate) use crate::transport::Error;
pub(crate) use handle::Handle;
pub(crate) use io::{
    ReadIo,
    WriteIo, //
};
pub(crate) use list::Listing;
pub(crate) use locks::Locks;
pub(crate) use options::Options;
pub(crate) use volume::Volume;

use kernel::str::CString;
use rsdfs_proto::{
    identity::Face,
    outcome::Thing, //
};

/// What an operation comes to.
pub(crate) type Result<T = ()> = core::result::Result<T, Error>;

/// Why a mount failed.
pub(crate) struct MountError {
    /// For the system call.
    pub(crate) errno: kernel::error::Error,
    /// For the mount log; holds no secrets.
    pub(crate) message: Option<CString>,
}

/// What a server knows about a file or directory.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Attr {
    /// A directory.
    pub(crate) dir: bool,
    /// A DFS link: a directory that is elsewhere. Little else is known of it then.
    pub(crate) link: bool,
    /// A reparse point: a link of some kind.
    pub(crate) reparse: bool,
    /// End of file, in bytes.
    pub(crate) size: u64,
    /// Allocated, in bytes.
    pub(crate) alloc: u64,
    /// Last access, in 100 ns since 1601.
    pub(crate) atime: u64,
    /// Last write, in 100 ns since 1601.
    pub(crate) mtime: u64,
    /// Last change of anything, in 100 ns since 1601.
    pub(crate) ctime: u64,
    /// Creation, in 100 ns since 1601.
    pub(crate) btime: u64,
    /// `FILE_ATTRIBUTE_*` (MS-FSCC 2.6).
    pub(crate) attributes: u32,
    /// The server's number for the file; 0 if it has none.
    pub(crate) id: u64,
    /// Hard links; at least 1.
    pub(crate) nlink: u32,
}

impl Attr {
    /// What tells it from others, for an operation on its name.
    fn thing(&self) -> Thing {
        Thing {
            id: self.id,
            created: self.btime,
            written: self.mtime,
            size: self.size,
        }
    }

    /// What tells it from others.
    pub(crate) fn face(&self) -> Face {
        Face {
            id: self.id,
            birth: self.btime,
            size: self.size,
            write: self.mtime,
            oldest: self.atime.min(self.mtime).min(self.ctime),
            dir: self.dir,
        }
    }

    /// Whether both tell of one file, or of replicas of it, and of the same content.
    pub(crate) fn is_identical(&self, other: &Self) -> bool {
        let same_content = (self.size, self.mtime) == (other.size, other.mtime);
        same_content && (self.btime == other.btime || self.id != 0 && self.id == other.id)
    }
}

/// What to do about the existence of a file that is opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Create {
    /// It must exist.
    Open,
    /// It must not exist; whoever makes one looks for what is there if it does.
    New,
    /// It must not exist, and who made it must be known.
    Exclusive,
}

/// How a file is opened.
#[derive(Clone, Copy, Debug)]
pub(crate) struct How {
    /// For reading.
    pub(crate) read: bool,
    /// For writing.
    pub(crate) write: bool,
    /// See [`Create`].
    pub(crate) create: Create,
    /// A file that is created gets the read-only attribute.
    pub(crate) readonly_attr: bool,
    /// The server is asked to keep it when the connection is lost.
    pub(crate) durable: bool,
}

/// Times and attributes to set; `None` leaves them.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Basic {
    /// Last access, in 100 ns since 1601.
    pub(crate) atime: Option<u64>,
    /// Last write, in 100 ns since 1601.
    pub(crate) mtime: Option<u64>,
    /// Last change, in 100 ns since 1601.
    pub(crate) ctime: Option<u64>,
    /// `FILE_ATTRIBUTE_*` (MS-FSCC 2.6).
    pub(crate) attributes: Option<u32>,
}

/// Space on the share.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct StatFs {
    /// In bytes.
    pub(crate) block_size: u32,
    /// In blocks.
    pub(crate) blocks: u64,
    /// In blocks.
    pub(crate) free: u64,
    /// For the caller, in blocks.
    pub(crate) avail: u64,
}
