// SPDX-License-Identifier: GPL-2.0

//! DFS links below a mount: directories that are mounted when they are walked over.
//!
//! A link is an inode of its own kind, of which nothing is known but that it is one. Behind it the
//! VFS finds a submount, another [`Volume`](crate::mount::Volume) with the options of the one
//! above. Submounts that nobody uses go after a while: a timer looks once a second while there are
//! any.
//!
//! A server of the namespace that is lost must not keep anybody from what is behind its links, so
//! whether a name on the way still holds is asked only of a server that is there.

use super::{
    attr::Before,
    context::Setup,
    node::hash_bytes,
    super_block::Mounted,
    Dentry,
    Fs,
    Inode, //
};
use crate::{
    mount::{
        links::Known,
        Attr,
        MountError,
        Volume, //
    },
    sys::{
        errno::{
            EREMOTE,
            ESTALE, //
        },
        fs::{
            automount::{
                self,
                Operations, //
            },
            dentry::Lookup,
            inode::Kind, //
        },
        global::Global,
        time,
        timer::{
            Job,
            Timer, //
        },
        work::Queue, //
    }, //
};
use kernel::{
    prelude::*,
    str::CString,
    sync::{
        atomic::{
            Atomic,
            Relaxed, //
        },
        Arc, //
    }, //
};

/// How often it is looked for submounts that nobody uses, in milliseconds.
const PERIOD: u64 = 1000;

/// How often a link that leads nowhere is complained about at most, in milliseconds.
const COMPLAIN: u64 = 5000;

/// How long a server may take to say whether a name on the way to a link still holds, in
/// milliseconds.
const PATIENCE: u64 = 1000;

/// The clock of submounts, from the module's init to its exit.
static CLOCK: Global<Clock> = Global::new();

/// When a complaint was last made, in milliseconds since boot.
static COMPLAINED: Atomic<u64> = Atomic::new(0);

/// Ends submounts that nobody uses, until it is dropped.
pub(crate) struct Expiry(Arc<Clock>);

struct Clock {
    timer: Timer,
    /// When unused ones were last looked for, in milliseconds since boot.
    looked: Atomic<u64>,
}

impl Expiry {
    /// Starts it; it does nothing before there is a submount.
    pub(crate) fn start(queue: &Queue) -> Result<Self> {
        let clock = Clock {
            timer: Timer::new(queue)?,
            looked: Atomic::new(0),
        };
        let clock = Arc::new(clock, GFP_KERNEL)?;
        CLOCK.replace(Some(clock.clone()));
        Ok(Self(clock))
    }
}

impl Drop for Expiry {
    fn drop(&mut self) {
        CLOCK.replace(None);
        // The job may have armed itself again while it was waited for.
        self.0.timer.cancel_sync();
        self.0.timer.cancel_sync();
    }
}

impl Job for Clock {
    fn run(self: Arc<Self>) {
        let now = time::now_ms();
        let age = automount::expiry().saturating_mul(1000);
        if age != 0 && now.saturating_sub(self.looked.load(Relaxed)) >= age {
            self.looked.store(now, Relaxed);
            // Marks them, and ends those that have the mark of the last time still.
            automount::expire();
        }
        if automount::any() {
            // Fails only at the module's exit.
            let _ = self.timer.arm(PERIOD, self.clone());
        }
    }
}

impl Operations for Fs {
    fn automount(dentry: &Dentry, setup: &mut Setup) -> Result<CString> {
        let mounted = dentry.super_block().data();
        let volume = mounted.volume();
        if volume.options().nodfs() {
            return Err(EREMOTE);
        }
        let path = dentry.path()?;
        let source = volume.path_of(path.as_str())?;
        let source = core::str::from_utf8(&source).map_err(|_| EINVAL)?;
        let source = CString::try_from_fmt(fmt!("{source}"))?;
        setup.on_link(volume, path);
        Ok(source)
    }

    fn automounted() {
        let Some(clock) = CLOCK.get() else {
            return;
        };
        if !clock.timer.is_armed() {
            clock.looked.store(time::now_ms(), Relaxed);
            // Fails only at the module's exit.
            let _ = clock.timer.arm(PERIOD, clock.clone());
        }
    }
}

/// Says in the kernel's log why a link could not be mounted, but not all the time.
pub(super) fn complain(above: &Volume, path: &str, error: &MountError) {
    let now = time::now_ms();
    let last = COMPLAINED.load(Relaxed);
    if error.errno == EINTR || (last != 0 && now.saturating_sub(last) < COMPLAIN) {
        return;
    }
    COMPLAINED.store(now, Relaxed);
    let message = error.message.as_ref().and_then(|text| text.to_str().ok());
    let errno = error.errno.to_errno();
    let place = above.path();
    pr_warn!(
        "link {place}/{path}: {} ({errno})\n",
        message.unwrap_or("cannot be mounted")
    );
}

/// The inode number of the link `name` in `dir`: that of its path.
pub(super) fn number(dir: &str, name: &str) -> u64 {
    let slash = if dir.is_empty() { "" } else { "/" };
    let parts = [dir, slash, name];
    hash_bytes(parts.iter().flat_map(|part| part.bytes()))
}

/// The attributes of a link that is met for the first time: with times, if it came without.
pub(super) fn dated(found: &Attr) -> Attr {
    if found.mtime != 0 {
        return *found;
    }
    let now = time::filetime_now();
    Attr {
        atime: now,
        mtime: now,
        ctime: now,
        btime: now,
        ..*found
    }
}

/// Takes over what the server said about an inode, when one of both is a link.
pub(super) fn apply(inode: &Inode, attr: &Attr, before: &Before) -> Result {
    if !attr.link || inode.kind() != Kind::Link {
        return Err(ESTALE);
    }
    inode.data().state.lock().checked = Some(before.asked);
    Ok(())
}

/// Looks at `path`: at the server, unless the cache knows it as a link, which it need not say again
/// within the time to live, and cannot if it is lost.
pub(super) fn look(mounted: &Mounted, path: &str) -> Result<Attr> {
    let volume = mounted.volume();
    let known = mounted
        .has_links()
        .then(|| volume.known_link(path))
        .flatten();
    if known == Some(Known::Fresh) {
        return Ok(Attr::LINK);
    }
    match volume.glance(path, known.map(|_| PATIENCE))? {
        Some(found) => Ok(found),
        None if known.is_some() || volume.known_link(path).is_some() => Ok(Attr::LINK),
        None => Ok(volume.stat(path)?),
    }
}

/// Whether something is mounted on a link: then it stays what it is.
pub(super) fn is_covered(inode: &Inode, dentry: &Dentry) -> bool {
    inode.kind() == Kind::Link && dentry.is_mountpoint()
}

/// Whether the cache vouches for a link.
pub(super) fn stands(inode: &Inode, dentry: &Dentry, lookup: Lookup) -> Result<bool> {
    if inode.kind() != Kind::Link || lookup.force() {
        return Ok(false);
    }
    let mounted = dentry.super_block().data();
    let known = mounted.volume().known_link(dentry.path()?.as_str());
    Ok(known == Some(Known::Fresh))
}

/// What the server says about `path`, where `inode` was. `None` if there is no server now, or among
/// links one that takes its time, and the inode is one to walk over: there it is taken to be still
/// the same.
pub(super) fn glance(mounted: &Mounted, inode: &Inode, path: &str) -> Result<Option<Attr>> {
    let volume = mounted.volume();
    match inode.kind() {
        Kind::File => Ok(Some(volume.stat(path)?)),
        Kind::Dir | Kind::Link => {
            let patience = mounted.has_links().then_some(PATIENCE);
            Ok(volume.glance(path, patience)?)
        }
    }
}

/// Why `path` cannot be made, given the server's answer: there is a link; or one of the directories
/// on the way has become a link, and the VFS is to walk again.
pub(super) fn in_the_way(volume: &Volume, path: &str, error: Error) -> Error {
    if error != EREMOTE {
        return error;
    }
    let dir = path.rsplit_once('/').map_or("", |(dir, _)| dir);
    match volume.stat(dir) {
        Ok(found) if found.link => ESTALE,
        _ => EEXIST,
    }
}

/// Links are the administrator's: they are neither removed nor renamed from here.
pub(super) fn leave_alone(inode: &Inode) -> Result {
    match inode.kind() {
        Kind::Link => Err(EBUSY),
        _ => Ok(()),
    }
}
