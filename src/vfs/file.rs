// SPDX-License-Identifier: GPL-2.0

//! Open files. What is read when a file is opened is what the server has then, and what was written
//! is there when it is closed.

use super::{
    attr::{
        self,
        Before, //
    },
    lease,
    node::touched,
    Dentry,
    Fs,
    Inode, //
};
use crate::{
    mount::{
        options::Cache,
        Create,
        Handle,
        How,
        Locks,
        Volume, //
    },
    sys::{
        errno::{
            EREMOTE,
            ESTALE, //
        },
        fs::file::{
            self,
            File,
            Flags,
            Operations, //
        }, //
    }, //
};
use kernel::{
    prelude::*,
    sync::{
        atomic::{
            Atomic,
            Relaxed, //
        },
        Arc, //
    }, //
};

/// An open file: closed at the server when the last request that uses it is done.
pub(crate) struct Opened {
    volume: Arc<Volume>,
    handle: Arc<Handle>,
    locks: Arc<Locks>,
    read: bool,
    write: bool,
    /// Closed here, and kept only to write back what is left.
    kept: Atomic<bool>,
}

impl Opened {
    pub(super) fn new(
        inode: &Inode,
        volume: &Arc<Volume>,
        handle: Arc<Handle>,
        read: bool,
        write: bool,
    ) -> Result<Arc<Self>> {
        let locks = inode
            .data()
            .locks()
            .inspect_err(|_| volume.close(&handle))?;
        locks.enter();
        let open = Self {
            volume: volume.clone(),
            handle,
            locks,
            read,
            write,
            kept: Atomic::new(false),
        };
        Ok(Arc::new(open, GFP_KERNEL)?)
    }

    pub(super) fn locks(&self) -> &Arc<Locks> {
        &self.locks
    }

    /// Whether it can still be used: not after it was given up.
    pub(super) fn check(&self) -> Result {
        match self.handle.is_lost() {
            true => Err(EIO),
            false => Ok(()),
        }
    }

    pub(super) fn volume(&self) -> &Arc<Volume> {
        &self.volume
    }

    pub(super) fn handle(&self) -> &Arc<Handle> {
        &self.handle
    }

    pub(super) fn can_read(&self) -> bool {
        self.read
    }

    pub(super) fn can_write(&self) -> bool {
        self.write
    }

    pub(super) fn is_kept(&self) -> bool {
        self.kept.load(Relaxed)
    }
}

impl Drop for Opened {
    fn drop(&mut self) {
        self.volume.close(&self.handle);
        self.locks.leave(&self.volume, &self.handle);
    }
}

/// Opens a file that exists.
fn open(dentry: &Dentry, inode: &Inode, flags: Flags) -> Result<Arc<Opened>> {
    let volume = attr::volume(inode);
    let node = inode.data();
    let write = flags.write();
    // Open for nothing, as some ioctls have it, still needs something to be opened for.
    let read = flags.read() || !write;
    let how = How {
        read,
        write,
        create: Create::Open,
        readonly_attr: false,
        durable: true,
    };
    let before = Before::new(inode);
    let (handle, found) = volume
        .open(dentry.path()?.as_str(), how, node.lease())
        .map_err(|error| match Error::from(error) {
            // A link has come into the way: the VFS is to walk again.
            EREMOTE => ESTALE,
            error => error,
        })?;
    let open = Opened::new(inode, &volume, handle, read, write)?;
    attr::apply(inode, &found, &before)?;
    lease::enter(inode, &open)?;
    Ok(open)
}

impl Operations for Fs {
    fn open(dentry: &Dentry, inode: &Inode, flags: Flags) -> Result<Arc<Opened>> {
        open(dentry, inode, flags)
    }

    fn flush(file: &File<Self>) -> Result {
        if !file.data().write {
            return Ok(());
        }
        if file::task_killed() {
            file.inode().start_writeback();
            return Ok(());
        }
        file.inode().sync()?;
        file.take_error()?;
        let handle = &file.data().handle;
        match handle.is_lost() && handle.is_staked() {
            true => Err(EIO),
            false => Ok(()),
        }
    }

    fn release(inode: &Inode, file: Arc<Opened>) {
        let node = inode.data();
        if file.write {
            if file::task_killed() {
                inode.start_writeback();
            } else {
                // Errors are told by flush, or to the next one that asks.
                let _ = inode.sync();
            }
            if node.is_poisoned() {
                // What did not land is not to be read.
                inode.invalidate();
            }
            touched(inode);
            if inode.is_dirty() {
                // The data is not lost: this file writes it back when it can, and is closed when
                // the inode goes, or when a later close finds everything written.
                file.kept.store(true, Relaxed);
                return;
            }
            node.leave_kept();
        }
        node.leave(&file);
    }

    fn fsync(file: &File<Self>, start: i64, end: i64) -> Result {
        let inode = file.inode();
        let mark = file.data().handle.written();
        inode.sync_range(start, end)?;
        file.take_error()?;
        let own = Arc::from(file.data());
        let writer = Some(own)
            .filter(|open| open.write)
            .or_else(|| inode.data().writer());
        match writer {
            Some(open) => open.volume.flush(&open.handle)?,
            None => return Ok(()),
        }
        if start == 0 && end == i64::MAX {
            file.data().handle.synced(mark);
        }
        Ok(())
    }

    fn before_use(file: &File<Self>, _at_end: bool) -> Result {
        let inode = file.inode();
        let open = file.data();
        if open.handle.is_lost() {
            return Err(EIO);
        }
        if inode.is_unlinked() {
            return Ok(());
        }
        attr::revalidate(inode, false, |volume| Ok(volume.stat_handle(&open.handle)?)).or_else(
            |error| match error {
                ESTALE => Ok(()),
                error => Err(error),
            },
        )
    }

    fn before_write(file: &File<Self>) -> Result {
        let handle = &file.data().handle;
        if handle.is_lost() {
            return Err(EIO);
        }
        handle.touch();
        Ok(())
    }

    fn unbuffered(inode: &Inode) -> bool {
        attr::volume(inode).options().cache() == Cache::None
    }
}
