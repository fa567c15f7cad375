// SPDX-License-Identifier: GPL-2.0

//! Locks on files. To have one means to see what others have written, and to give it up, that they see
//! what was written here: pages are written back before, and dropped after.

use super::{
    attr,
    file::Opened,
    Fs,
    Inode, //
};
use crate::{
    mount::{
        locks::{
            self,
            Outcome,
            Owner,
            Range,
            Way,
            Wish, //
        },
        options::Cache, //
    },
    sys::{
        fs::{
            file::{
                self,
                File, //
            },
            lock::{
                Kind,
                Operations,
                Request,
                What, //
            }, //
        },
        wait::nap, //
    }, //
};
use kernel::{
    prelude::*,
    sync::Arc, //
};
use rsdfs_proto::locks::Lock;

/// How soon to ask again for a lock that somebody elsewhere has, in milliseconds: at first, and in the end.
const PAUSE: (u32, u32) = (5, 250);

impl Operations for Fs {
    fn set_lock(file: &File<Self>, request: &Request) -> Result {
        let inode = file.inode();
        let volume = attr::volume(inode);
        if volume.options().nobrl() {
            return request.apply();
        }
        let open: Arc<Opened> = Arc::from(file.data());
        let what = request.what();
        let wish = Wish {
            owner: Owner {
                flock: what.flock,
                id: what.owner,
            },
            range: range(&what)?,
            kind: what.kind.map(told),
            handle: open.handle(),
        };
        let commit = || request.commit();
        if wish.kind.is_none() {
            if !file::task_killed() && inode.is_dirty() {
                // Errors are told by fsync and close.
                let _ = inode.sync();
            }
            let result = open.locks().release(&volume, &wish, &commit);
            choose_way(inode, &open, Way::Look);
            return result;
        }
        open.check()?;
        let (begin, end) = match wish.range {
            Range::ALL => (Way::Look, Way::Look),
            _ => (Way::Begin, Way::End),
        };
        choose_way(inode, &open, begin);
        let result = lock(inode, &open, request, &wish);
        choose_way(inode, &open, end);
        result
    }

    fn test_lock(file: &File<Self>, request: &mut Request) -> Result {
        let volume = attr::volume(file.inode());
        let open: Arc<Opened> = Arc::from(file.data());
        open.check()?;
        let what = request.what();
        if request.test() {
            return Ok(());
        }
        let found = match what.kind {
            Some(kind) if !volume.options().nobrl() => {
                let wanted = Lock {
                    range: range(&what)?,
                    kind: told(kind),
                };
                open.locks().test(&volume, open.handle(), wanted)?
            }
            _ => None,
        };
        request.answer(found.map(|kind| match kind {
            locks::Kind::Shared => Kind::Shared,
            locks::Kind::Exclusive => Kind::Exclusive,
        }));
        Ok(())
    }
}

/// Which bytes; the kernel has seen to it that there are some.
fn range(what: &What) -> Result<Range> {
    if what.flock {
        return Ok(Range::ALL);
    }
    Range::new(what.start, what.last.saturating_add(1)).ok_or(EINVAL)
}

fn told(kind: Kind) -> locks::Kind {
    match kind {
        Kind::Shared => locks::Kind::Shared,
        Kind::Exclusive => locks::Kind::Exclusive,
    }
}

/// Others may have written to the file, as long as they had it locked.
fn refresh(inode: &Inode, open: &Opened) {
    // What cannot be asked for now, the next use asks for.
    let _ = attr::revalidate(inode, true, |volume| Ok(volume.stat_handle(open.handle())?));
    inode.invalidate();
}

/// Locks a range of a file; waits if that is wanted.
fn lock(inode: &Inode, open: &Opened, request: &Request, wish: &Wish<'_>) -> Result {
    if inode.is_dirty() {
        inode.sync()?;
    }
    let wait = request.what().wait;
    let (probe, commit) = (|| request.probe(), || request.commit());
    let mut pause = PAUSE.0;
    loop {
        if wait {
            request.wait()?;
        }
        match (open.locks()).acquire(open.volume(), wish, &probe, &commit)? {
            Outcome::Granted { fresh } => {
                if fresh {
                    refresh(inode, open);
                }
                return Ok(());
            }
            Outcome::Conflict if !wait && open.locks().may_be_ours(open.volume()) => {
                open.locks().pause()?;
            }
            _ if !wait => return Err(EAGAIN),
            Outcome::Busy => {}
            Outcome::Conflict => {
                nap(pause)?;
                pause = pause.saturating_mul(2).min(PAUSE.1);
            }
        }
    }
}

/// Pages may be used as long as nobody else can lock, and change, a part of one: else what is read and
/// written goes around them.
fn choose_way(inode: &Inode, open: &Opened, way: Way) {
    let cached = open.volume().options().cache() != Cache::None;
    open.locks().choose_way(way, |part| {
        if cached {
            inode.go_around_cache(part);
        }
    });
}
