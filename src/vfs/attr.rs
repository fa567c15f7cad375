// SPDX-License-Identifier: GPL-2.0

//! Attributes: what the server says, what the inode shows, and when to ask again.
//!
//! The server's word counts for files that nobody here writes. For the others the inode knows
//! better: its size and times are ahead of the server's until everything is written back.

use super::{
    automount,
    file::Opened,
    node::{
        touched,
        Asked, //
    },
    Dentry,
    Fs,
    Inode, //
};
use crate::{
    mount::{
        options::Cache,
        Attr,
        Basic,
        Options,
        Volume, //
    },
    sys::{
        errno::{
            EREMOTE,
            ESTALE, //
        },
        fs::inode::{
            self,
            Change,
            Freshness,
            Kind,
            Stat,
            Time,
            Times, //
        },
        time, //
    }, //
};
use kernel::{
    prelude::*,
    sync::{
        atomic::Relaxed,
        Arc, //
    }, //
};

/// The granularity of the server's times, in nanoseconds.
pub(super) const TIME_GRAN: u32 = 100;

/// The server's times, in seconds since 1970: 1601 to 30828.
pub(super) const TIME_RANGE: (i64, i64) = (-EPOCH, i64::MAX / TICKS - EPOCH);

/// Seconds from 1601 to 1970.
const EPOCH: i64 = 11_644_473_600;

/// The server's units of time in a second.
const TICKS: i64 = 10_000_000;

/// The read-only attribute: `FILE_ATTRIBUTE_READONLY`.
const READONLY: u32 = 0x1;

/// No attribute at all; a set of none means "leave them": `FILE_ATTRIBUTE_NORMAL`.
const NORMAL: u32 = 0x80;

/// The attributes that may be set.
const SETTABLE: u32 = 0x1 | 0x2 | 0x4 | 0x20 | 0x2000;

/// Permission to write, for anyone.
const WRITE_BITS: u16 = 0o222;

/// A time of the server's: 100 ns since 1601.
fn time_of(filetime: u64) -> Time {
    let ticks = i64::try_from(filetime).unwrap_or(i64::MAX);
    Time {
        sec: ticks.div_euclid(TICKS) - EPOCH,
        nsec: (ticks.rem_euclid(TICKS) * 100) as u32,
    }
}

/// A time for the server; never 0, which means "leave it".
fn filetime_of(time: Time) -> u64 {
    let ticks = time
        .sec
        .saturating_add(EPOCH)
        .saturating_mul(TICKS)
        .saturating_add(i64::from(time.nsec / 100));
    ticks.max(1) as u64
}

fn times_of(attr: &Attr) -> Times {
    Times {
        atime: time_of(attr.atime),
        mtime: time_of(attr.mtime),
        ctime: time_of(attr.ctime.max(attr.mtime)),
    }
}

/// Whether a file may not be written to. The attribute means nothing on a directory.
pub(super) fn is_readonly(attr: &Attr) -> bool {
    !attr.dir && attr.attributes & READONLY != 0
}

/// Whether a file that is made with these permissions gets the read-only attribute.
pub(super) fn wants_readonly(mode: u16) -> bool {
    mode & WRITE_BITS == 0
}

/// What the inode shows.
pub(super) fn shown(options: &Options, attr: &Attr, times: bool) -> inode::Attr {
    let (uid, gid) = options.owner();
    let mode = match attr.dir {
        true => options.dir_mode(),
        false => options.file_mode(),
    };
    inode::Attr {
        mode: match is_readonly(attr) {
            true => mode & !WRITE_BITS,
            false => mode,
        },
        uid,
        gid,
        // One, for a directory, says that subdirectories are not counted.
        nlink: if attr.dir { 1 } else { attr.nlink.max(1) },
        blocks: attr.alloc.div_ceil(512),
        times: times.then(|| times_of(attr)),
    }
}

/// How an inode was, before the server was asked about it.
pub(super) struct Before {
    size: u64,
    dirty: bool,
    changes: u64,
    pub(super) asked: Asked,
}

impl Before {
    pub(super) fn new(inode: &Inode) -> Self {
        let node = inode.data();
        // The size first: a write that makes the file longer after that shows as another size, or as
        // dirty pages.
        let size = inode.size();
        Self {
            asked: Asked::now(&volume(inode)),
            changes: node.changes(),
            dirty: inode.is_dirty(),
            size,
        }
    }
}

/// The volume of an inode.
pub(super) fn volume(inode: &Inode) -> Arc<Volume> {
    inode.super_block().data().volume().clone()
}

/// Takes over what the server said about an inode; `ESTALE` if it is about another file.
pub(super) fn apply(inode: &Inode, attr: &Attr, before: &Before) -> Result {
    let node = inode.data();
    let volume = volume(inode);
    let options = volume.options();
    if attr.link || inode.kind() == Kind::Link {
        return automount::apply(inode, attr, before);
    }
    if attr.dir != (inode.kind() == Kind::Dir) {
        return Err(ESTALE);
    }
    if node.is_replaced(attr) {
        // Another file, on the target that the mount has gone to.
        return Err(ESTALE);
    }
    let moved = node.identify(attr, before.asked.generation, volume.generation())?;
    let writers = node.has_writers();
    let mut state = node.state.lock();
    if node.changes() != before.changes {
        // What was asked may be older than what was done here meanwhile.
        if moved {
            node.doubt();
        }
        return Ok(());
    }
    let busy = before.dirty || inode.is_dirty();
    let ahead = writers || busy;
    let resized = attr.size != before.size && !attr.dir;
    let mut changed = resized && !busy && inode.replace_size(before.size, attr.size);
    if !ahead {
        let own = node.modified.load(Relaxed);
        node.modified.store(false, Relaxed);
        let trusted = own && !resized && options.cache() == Cache::Loose;
        changed |= attr.mtime != state.attr.mtime && !trusted;
    }
    // What is cached is of the target before: it holds if the file is the same here to the last write.
    changed |= moved && !state.attr.is_identical(attr);
    inode.set_attr(&shown(options, attr, !ahead));
    state.attr = *attr;
    state.checked = Some(before.asked);
    drop(state);
    if changed && !attr.dir {
        inode.invalidate();
    }
    Ok(())
}

/// Brings an inode up to date by asking the server, unless it was asked just before.
pub(super) fn revalidate(
    inode: &Inode,
    force: bool,
    ask: impl FnOnce(&Volume) -> Result<Attr>,
) -> Result {
    let volume = volume(inode);
    if !force && inode.data().is_fresh(&volume) {
        return Ok(());
    }
    let before = Before::new(inode);
    let attr = match inode.data().any_open() {
        Some(open) => volume.stat_handle(open.handle())?,
        // All there is to know of a file that was given up is what was known.
        None if inode.data().is_open() => return Ok(()),
        None => ask(&volume)?,
    };
    match apply(inode, &attr, &before) {
        // An open file is what it is.
        Err(ESTALE) if inode.data().is_open() => Ok(()),
        result => result,
    }
}

/// `getattr`.
pub(super) fn getattr(dentry: &Dentry, inode: &Inode, fresh: Freshness) -> Result<Stat> {
    // All there is to know of a link is that it is one.
    let link = inode.kind() == Kind::Link;
    let ask = fresh != Freshness::DontAsk && !inode.is_unlinked() && !link;
    if ask {
        let force = fresh == Freshness::Force;
        revalidate(inode, force, |volume| {
            Ok(volume.stat(dentry.path()?.as_str())?)
        })?;
    }
    let state = inode.data().state.lock();
    Ok(Stat {
        btime: (state.attr.btime != 0).then(|| time_of(state.attr.btime)),
        block_size: match inode.kind() {
            Kind::File => Some(1 << 20),
            Kind::Dir | Kind::Link => None,
        },
    })
}

/// `setattr`. The VFS holds the inode's `i_rwsem`.
pub(super) fn setattr(dentry: &Dentry, inode: &Inode, mut change: Change<'_, Fs>) -> Result {
    change.prepare(dentry)?;
    if inode.kind() == Kind::Link {
        return Err(EREMOTE);
    }
    let node = inode.data();
    check_owner(inode, &change)?;
    let size = change.size();
    let mtime = change.mtime();
    let atime = change.atime().filter(|_| size.is_none());
    // What is written later would change the time, or the size, again.
    if size.is_some() || mtime.is_some() {
        inode.sync()?;
    }
    let known = node.state.lock().attr;
    let attributes = change.mode().and_then(|mode| attributes_for(&known, mode));
    if size.is_none() && mtime.is_none() && atime.is_none() && attributes.is_none() {
        return Ok(());
    }
    let volume = volume(inode);
    let path = dentry.path()?;
    let own: Option<Arc<Opened>> = change.file().map(|file| Arc::from(file.data()));
    if let Some(open) = &own {
        open.check()?;
    }
    let writer = (own.clone())
        .filter(|open| open.can_write())
        .or_else(|| node.writer());
    let handle = writer.as_ref().map(|open| open.handle());
    if handle.is_none() && inode.is_unlinked() {
        // Its path leads nowhere, or to another file.
        return Err(ESTALE);
    }
    if let Some(size) = size {
        // One whose lock is being taken again may not have it.
        node.locks()?.ready(&volume)?;
        if let Some(open) = &own {
            open.check()?;
        }
        volume.set_size(path.as_str(), handle, size)?;
        touched(inode);
        inode.resize(size);
        node.state.lock().attr.size = size;
    }
    let basic = Basic {
        atime: atime.map(filetime_of),
        mtime: mtime.map(filetime_of),
        ctime: None,
        attributes,
    };
    if atime.is_some() || mtime.is_some() || attributes.is_some() {
        volume.set_basic(path.as_str(), handle, &basic)?;
        adopt(inode, &volume, &basic);
    }
    Ok(())
}

/// Notes what was set.
fn adopt(inode: &Inode, volume: &Volume, basic: &Basic) {
    touched(inode);
    let mut state = inode.data().state.lock();
    let attr = &mut state.attr;
    attr.atime = basic.atime.unwrap_or(attr.atime);
    attr.mtime = basic.mtime.unwrap_or(attr.mtime);
    attr.ctime = time::filetime_now();
    attr.attributes = basic.attributes.unwrap_or(attr.attributes);
    inode.set_attr(&shown(volume.options(), attr, true));
}

/// Everything belongs to one user: to give it to that user is all that can be done.
fn check_owner(inode: &Inode, change: &Change<'_, Fs>) -> Result {
    let (uid, gid) = inode.owner();
    let (new_uid, new_gid) = change.owner();
    match new_uid.is_some_and(|id| id != uid) || new_gid.is_some_and(|id| id != gid) {
        true => Err(EPERM),
        false => Ok(()),
    }
}

/// The attributes that show as these permissions, if they are others than now. Only whether anyone
/// may write can be told to the server.
fn attributes_for(known: &Attr, mode: u16) -> Option<u32> {
    if known.dir || wants_readonly(mode) == is_readonly(known) {
        return None;
    }
    let settable = known.attributes & SETTABLE;
    Some(match (settable ^ READONLY) & SETTABLE {
        0 => NORMAL,
        attributes => attributes,
    })
}

/// The attributes of a file that is to be removed although it is read-only.
pub(super) fn without_readonly(known: &Attr) -> Option<u32> {
    attributes_for(known, WRITE_BITS)
}
