// SPDX-License-Identifier: GPL-2.0

//! The file system as the kernel sees it: [`mount::Volume`](crate::mount::Volume) behind the
//! operations of [`sys::fs`](crate::sys::fs).
//!
//! No protocol words here: paths, attributes and bytes go to a volume, which keeps them going while
//! servers come and go. Failures become an errno in one place, by `mount::Error`'s conversion.
//!
//! Locks, in order: the VFS's, then `Node::state`, `Node::opens`; none is held across a call of the
//! volume.

pub(crate) mod attr;
pub(crate) mod automount;
pub(crate) mod context;
pub(crate) mod dir;
pub(crate) mod file;
pub(crate) mod inode;
pub(crate) mod io;
mod lease;
pub(crate) mod lock;
pub(crate) mod node;
#[path = "vfs/super.rs"]
pub(crate) mod super_block;

use crate::sys::fs::{
    self,
    Registration, //
};
use kernel::prelude::*;

/// The file system.
pub(crate) enum Fs {}

impl fs::Type for Fs {
    const NAME: &'static CStr = c"rsdfs";
    const INODE_CACHE: &'static CStr = c"rsdfs_inode";

    type Context = context::Setup;
    type Super = super_block::Mounted;
    type Inode = node::Node;
    type Key = node::Key;
    type File = file::Opened;
    type Dir = dir::Reading;
}

/// Makes `mount -t rsdfs` known, until the result is dropped.
pub(crate) fn register() -> Result<Pin<KBox<Registration<Fs>>>> {
    KBox::try_pin_init(Registration::new(), GFP_KERNEL)
}

type Inode = fs::inode::Inode<Fs>;
type Dentry = fs::dentry::Dentry<Fs>;
type SuperBlock = fs::super_block::SuperBlock<Fs>;
