// SPDX-License-Identifier: GPL-2.0

//! Reading and writing the content of files, for netfslib.

use super::{
    attr,
    file::Opened,
    Fs,
    Inode, //
};
use crate::{
    mount::{
        self,
        ReadIo,
        WriteIo, //
    },
    sys::{
        fs::{
            file::File,
            netfs::{
                Operations,
                Read,
                Subreq,
                Write, //
            }, //
        },
        iter::{
            Dest,
            Source, //
        },
        thread::NoFs, //
    }, //
};
use kernel::{
    prelude::*,
    sync::{
        atomic::Relaxed,
        Arc, //
    }, //
};

/// A read for the page cache or for a caller's buffer.
struct Reading(Subreq<Fs, Read>);

impl ReadIo for Reading {
    fn pos(&self) -> u64 {
        self.0.pos()
    }

    fn len(&self) -> usize {
        self.0.len()
    }

    fn iter(&mut self) -> Dest<'_> {
        // It was one when the read was begun.
        self.0.dest().unwrap_or_else(|_| Dest::buffer(&mut []))
    }

    fn done(self: KBox<Self>, result: mount::Result<usize>) {
        KBox::into_inner(self).0.done(result.map_err(Error::from));
    }
}

/// A write from the page cache or from a caller's buffer.
struct Writing(Subreq<Fs, Write>);

impl WriteIo for Writing {
    fn pos(&self) -> u64 {
        self.0.pos()
    }

    fn len(&self) -> usize {
        self.0.len()
    }

    fn iter(&mut self) -> Source<'_> {
        // It was one when the write was begun.
        self.0.source().unwrap_or_else(|_| Source::buffer(&[]))
    }

    fn done(self: KBox<Self>, result: mount::Result<usize>) {
        let subreq = KBox::into_inner(self).0;
        let kept = (subreq.file())
            .is_some_and(|open| open.handle().is_lost() && !open.locks().is_poisoned());
        if result.is_err() && kept {
            subreq.keep_dirty();
        }
        subreq.done(result.map_err(Error::from));
    }
}

impl Operations for Fs {
    fn init_request(inode: &Inode, file: Option<&File<Self>>, write: bool) -> Result<Arc<Opened>> {
        let fits = |open: &Opened| match write {
            true => open.can_write(),
            false => open.can_read(),
        };
        let own: Option<Arc<Opened>> = file.map(|file| Arc::from(file.data()));
        if let Some(open) = own.as_ref().filter(|open| fits(open)) {
            return Ok(open.clone());
        }
        let other = match write {
            true => inode.data().writer(),
            false => inode.data().reader(),
        };
        other.or(own).ok_or(EIO)
    }

    fn begin_writeback(inode: &Inode) -> Option<Arc<Opened>> {
        if inode.data().is_poisoned() {
            // What was written under a lock that was lost does not land.
            return None;
        }
        let writer = inode.data().writer();
        if writer.is_none() {
            pr_warn!("file {}: nothing to write it back with\n", inode.ino());
        }
        writer
    }

    fn read_max(inode: &Inode) -> usize {
        attr::volume(inode).read_max()
    }

    fn write_max(inode: &Inode) -> usize {
        attr::volume(inode).write_max()
    }

    fn issue_read(subreq: Subreq<Self, Read>) {
        let Some(open) = subreq.file().map(Arc::from) else {
            return subreq.done(Err(EIO));
        };
        if let Err(error) = subreq.dest() {
            return subreq.done(Err(error));
        }
        match KBox::<Reading>::new_uninit(GFP_KERNEL) {
            Ok(room) => {
                let io = KBox::write(room, Reading(subreq));
                begin_read(&open, io);
            }
            Err(_) => subreq.done(Err(ENOMEM)),
        }
    }

    fn issue_write(subreq: Subreq<Self, Write>) {
        // The pages are under writeback: to make room by writing others back could wait for them.
        let _scope = NoFs::enter();
        let Some(open) = subreq.file().map(Arc::from) else {
            return subreq.done(Err(EIO));
        };
        if let Err(error) = subreq.source() {
            return subreq.done(Err(error));
        }
        match KBox::<Writing>::new_uninit(GFP_KERNEL) {
            Ok(room) => {
                let io = KBox::write(room, Writing(subreq));
                begin_write(&open, io);
            }
            Err(_) => subreq.done(Err(ENOMEM)),
        }
    }

    fn before_writeback(inode: &Inode) -> Result {
        let node = inode.data();
        if let Some(open) = node.writer() {
            open.volume().settle(open.handle());
        }
        match node.writer() {
            None if node.has_writers() && !node.is_poisoned() => Err(EIO),
            _ => Ok(()),
        }
    }

    fn post_modify(inode: &Inode) {
        inode.data().touch_writers();
        inode.data().modified.store(true, Relaxed);
    }
}

fn begin_read(open: &Opened, io: KBox<dyn ReadIo>) {
    open.volume().read(open.handle(), open.locks(), io);
}

fn begin_write(open: &Opened, io: KBox<dyn WriteIo>) {
    open.volume().write(open.handle(), open.locks(), io);
}
