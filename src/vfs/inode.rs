// SPDX-License-Identifier: GPL-2.0

//! Files and directories by name: looking up, making, removing, renaming.

use super::{
    attr::{
        self,
        Before, //
    },
    automount,
    file::Opened,
    lease,
    node::{
        obtain,
        touched,
        Asked,
        Key,
        Node, //
    },
    Dentry,
    Fs,
    Inode, //
};
use crate::{
    mount::{
        Attr,
        Basic,
        Create,
        How,
        Volume, //
    },
    sys::{
        errno::{
            ENAMETOOLONG,
            EREMOTE,
            ESTALE, //
        },
        fs::{
            dentry::{
                self,
                Lookup,
                Path,
                Stamp, //
            },
            file::Flags,
            inode::{
                self,
                Change,
                Freshness,
                Kind,
                Operations,
                RenameFlags,
                Stat, //
            }, //
        }, //
    }, //
};
use kernel::{
    prelude::*,
    sync::{
        aref::ARef,
        Arc, //
    }, //
};

/// The most UTF-16 units in a name.
const NAME_UNITS: usize = 255;

/// How often a rename is tried again that something open here was in the way of: others open things meanwhile.
const ATTEMPTS: usize = 4;

/// The path of a name, which is not too long for a server.
fn path_of(dentry: &Dentry) -> Result<Path> {
    let path = dentry.path()?;
    let name = name_of(&path);
    match name.len() > NAME_UNITS && name.encode_utf16().count() > NAME_UNITS {
        true => Err(ENAMETOOLONG),
        false => Ok(path),
    }
}

/// The last part of a path.
fn name_of(path: &Path) -> &str {
    path.as_str().rsplit('/').next().unwrap_or_default()
}

/// Looks a name up, at the server unless its directory was read just before.
fn look_up(dir: &Inode, dentry: &Dentry) -> Result<Option<ARef<Inode>>> {
    let sb = dentry.super_block();
    let mounted = sb.data();
    let volume = mounted.volume();
    let path = path_of(dentry)?;
    if let Some(snapshot) = dir.data().snapshot() {
        if let Some((found, asked)) = snapshot.find(&mounted, name_of(&path)) {
            let inode = obtain(sb, path.as_str(), found, asked)?;
            stamp(dentry, asked);
            return Ok(Some(inode));
        }
    }
    let asked = Asked::now(volume);
    let inode = match automount::look(&mounted, path.as_str()) {
        Ok(found) => Some(obtain(sb, path.as_str(), &found, asked)?),
        Err(ENOENT) => None,
        Err(error) => return Err(error),
    };
    stamp(dentry, asked);
    Ok(inode)
}

/// Whether a name was there when its directory was read just before.
fn is_listed(dir: &Inode, dentry: &Dentry) -> Result<bool> {
    let path = path_of(dentry)?;
    let mounted = dentry.super_block().data();
    let kept = dir.data().snapshot();
    Ok(kept.is_some_and(|kept| kept.find(&mounted, name_of(&path)).is_some()))
}

/// Notes when a name was looked up.
fn stamp(dentry: &Dentry, asked: Asked) {
    dentry.set_stamp(Stamp {
        time: asked.at,
        version: asked.generation,
    });
}

/// Makes a file that does not exist, and opens it.
fn make(dentry: &Dentry, dir: &Inode, how: How) -> Result<(ARef<Inode>, Arc<Opened>)> {
    let sb = dentry.super_block();
    let mounted = sb.data();
    let volume = mounted.volume();
    let asked = Asked::now(volume);
    let path = path_of(dentry)?;
    let (handle, found) = volume
        .open(path.as_str(), how, None)
        .map_err(|error| automount::in_the_way(volume, path.as_str(), error.into()))?;
    let inode = obtain(sb, path.as_str(), &found, asked).inspect_err(|_| volume.close(&handle))?;
    let open = Opened::new(&inode, volume, handle, how.read, how.write)?;
    stamp(dentry, asked);
    touched(dir);
    Ok((inode, open))
}

/// Opens a file that may exist without looking it up first.
fn open_existing(dir: &Inode, dentry: &Dentry, flags: Flags) -> Result<inode::Opened<Fs>> {
    if flags.directory() {
        return Ok(inode::Opened::Looked(look_up(dir, dentry)?));
    }
    let sb = dentry.super_block();
    let mounted = sb.data();
    let volume = mounted.volume();
    let asked = Asked::now(volume);
    let path = path_of(dentry)?;
    let how = How {
        read: flags.read() || !flags.write(),
        write: flags.write(),
        create: Create::Open,
        readonly_attr: false,
        durable: true,
    };
    let (handle, found) = match volume.open(path.as_str(), how, None).map_err(Error::from) {
        Ok(opened) => opened,
        // A directory, a link, or what may be one, or what may not be opened but looked at.
        Err(EISDIR | EACCES | EPERM | EREMOTE) => {
            return Ok(inode::Opened::Looked(look_up(dir, dentry)?))
        }
        Err(ENOENT) => {
            stamp(dentry, asked);
            return Ok(inode::Opened::Looked(None));
        }
        Err(error) => return Err(error),
    };
    let inode = obtain(sb, path.as_str(), &found, asked).inspect_err(|_| volume.close(&handle))?;
    stamp(dentry, asked);
    if inode.kind() == Kind::Dir {
        volume.close(&handle);
        return Ok(inode::Opened::Looked(Some(inode)));
    }
    let file = Opened::new(&inode, volume, handle, how.read, how.write)?;
    lease::enter(&inode, &file)?;
    Ok(inode::Opened::Open {
        inode,
        file,
        created: false,
    })
}

/// Removes a file, also if it is read-only.
fn remove(volume: &Volume, path: &str, known: &Attr) -> Result {
    let first = volume.unlink(path, known).map_err(Error::from);
    let Some(attributes) = attr::without_readonly(known) else {
        return first;
    };
    if !matches!(first, Err(EACCES | EPERM | EROFS)) {
        return first;
    }
    let set = |attributes| Basic {
        attributes: Some(attributes),
        ..Basic::default()
    };
    volume.set_basic(path, None, &set(attributes))?;
    volume.unlink(path, known).map_err(|error| {
        let _ = volume.set_basic(path, None, &set(known.attributes));
        error.into()
    })
}

/// What the server said about it last.
fn known(inode: &Inode) -> Attr {
    inode.data().state.lock().attr
}

/// Whether a file is open here.
fn is_open(inode: &Inode) -> bool {
    inode.data().any_open().is_some()
}

impl Operations for Fs {
    fn alloc_inode() -> impl PinInit<Node> {
        Node::new()
    }

    fn test(inode: &Inode, key: &Key) -> bool {
        inode.data().is(key)
    }

    fn set(inode: &Inode, key: &Key) {
        inode.data().set(key);
    }

    fn evict(inode: &Inode) {
        inode.data().close_all();
    }

    fn lookup(dir: &Inode, dentry: &Dentry, lookup: Lookup) -> Result<Option<ARef<Inode>>> {
        // What is to be renamed to mostly does not exist: rename() will find out. The dentry gets no
        // stamp, so that nobody else trusts it.
        if lookup.rename_target() && !lookup.force() && !is_listed(dir, dentry)? {
            return Ok(None);
        }
        look_up(dir, dentry)
    }

    fn atomic_open(
        dir: &Inode,
        dentry: &Dentry,
        flags: Flags,
        mode: u16,
    ) -> Result<inode::Opened<Self>> {
        if !flags.create() {
            return open_existing(dir, dentry, flags);
        }
        let how = How {
            read: flags.read(),
            write: flags.write(),
            create: match flags.exclusive() {
                true => Create::Exclusive,
                false => Create::New,
            },
            readonly_attr: attr::wants_readonly(mode),
            durable: true,
        };
        match make(dentry, dir, how) {
            Ok((inode, file)) => {
                lease::enter(&inode, &file)?;
                Ok(inode::Opened::Open {
                    inode,
                    file,
                    created: true,
                })
            }
            Err(EEXIST) if !flags.exclusive() => Ok(inode::Opened::Looked(look_up(dir, dentry)?)),
            Err(error) => Err(error),
        }
    }

    fn create(dir: &Inode, dentry: &Dentry, mode: u16) -> Result<ARef<Inode>> {
        let how = How {
            read: false,
            write: true,
            create: Create::Exclusive,
            readonly_attr: attr::wants_readonly(mode),
            durable: true,
        };
        let (inode, _closed) = make(dentry, dir, how)?;
        Ok(inode)
    }

    fn mkdir(dir: &Inode, dentry: &Dentry, _mode: u16) -> Result<ARef<Inode>> {
        let sb = dentry.super_block();
        let mounted = sb.data();
        let volume = mounted.volume();
        let asked = Asked::now(volume);
        let path = path_of(dentry)?;
        let found = volume
            .mkdir(path.as_str())
            .map_err(|error| automount::in_the_way(volume, path.as_str(), error.into()))?;
        let inode = obtain(sb, path.as_str(), &found, asked)?;
        stamp(dentry, asked);
        touched(dir);
        Ok(inode)
    }

    fn unlink(dir: &Inode, dentry: &Dentry) -> Result {
        let inode = dentry.inode().ok_or(ENOENT)?;
        remove(&attr::volume(dir), dentry.path()?.as_str(), &known(&inode))?;
        inode.drop_link(false);
        touched(&inode);
        touched(dir);
        Ok(())
    }

    fn rmdir(dir: &Inode, dentry: &Dentry) -> Result {
        let inode = dentry.inode().ok_or(ENOENT)?;
        automount::leave_alone(&inode)?;
        attr::volume(dir).rmdir(dentry.path()?.as_str(), &known(&inode))?;
        inode.drop_link(true);
        touched(dir);
        Ok(())
    }

    fn rename(
        from_dir: &Inode,
        from: &Dentry,
        to_dir: &Inode,
        to: &Dentry,
        flags: RenameFlags,
    ) -> Result {
        if flags.others() {
            return Err(EINVAL);
        }
        let volume = attr::volume(from_dir);
        let (old, new) = (from.path()?, to.path()?);
        let target = to.inode();
        for inode in [from.inode().as_deref(), target.as_deref()]
            .into_iter()
            .flatten()
        {
            automount::leave_alone(inode)?;
        }
        let replaced = (target.as_deref()).map_or_else(Attr::default, known);
        // A server replaces files only.
        if target.as_ref().is_some_and(|t| t.kind() == Kind::Dir) {
            volume.rmdir(new.as_str(), &replaced)?;
        }
        // Its target was not looked up: it must not be replaced unseen.
        let unseen = target.is_none() && to.stamp().version == 0;
        let replace = !flags.no_replace() && !unseen;
        let moved = from
            .inode()
            .map_or_else(Attr::default, |inode| known(&inode));
        let file = target
            .as_ref()
            .filter(|t| replace && t.kind() == Kind::File);
        let (from_name, to_name) = ((old.as_str(), &moved), (new.as_str(), &replaced));
        // What is open is put aside, also if it is not open on the server just now.
        let open = file.is_some_and(|file| is_open(file) || volume.is_open(new.as_str()));
        let mut renamed = match open {
            true => volume.rename_over(from_name, to_name),
            false => volume.rename(old.as_str(), new.as_str(), replace, &moved),
        }
        .map_err(Error::from);
        for _ in 0..ATTEMPTS {
            renamed = match renamed {
                // Servers do not rename a directory while files below it are open.
                Err(EACCES) if moved.dir && volume.set_aside_below(old.as_str())? => {
                    volume.rename(old.as_str(), new.as_str(), replace, &moved)
                }
                // Nor over a file that was opened just now, or is read-only.
                Err(EACCES) if file.is_some() && !open => volume.rename_over(from_name, to_name),
                _ => break,
            }
            .map_err(Error::from);
        }
        match renamed {
            // There is something of that name: have it looked up, and the rename tried again.
            Err(EEXIST | EACCES | EREMOTE) if unseen => return Err(ESTALE),
            result => result?,
        }
        if let Some(target) = target {
            target.drop_link(target.kind() == Kind::Dir);
            touched(&target);
        }
        if let Some(moved) = from.inode() {
            touched(&moved);
        }
        touched(from_dir);
        touched(to_dir);
        Ok(())
    }

    fn setattr(dentry: &Dentry, inode: &Inode, change: Change<'_, Self>) -> Result {
        attr::setattr(dentry, inode, change)
    }

    fn getattr(dentry: &Dentry, inode: &Inode, fresh: Freshness) -> Result<Stat> {
        attr::getattr(dentry, inode, fresh)
    }
}

impl dentry::Operations for Fs {
    fn d_revalidate(dir: &Inode, dentry: &Dentry, lookup: Lookup) -> Result<bool> {
        let mounted = dentry.super_block().data();
        let volume = mounted.volume();
        let inode = dentry.inode();
        // What is about to be made might have been made by others; the server decides.
        if inode.is_none() && lookup.to_create() {
            return Ok(false);
        }
        // It was another file when it was to be opened: now it is opened first, and what it is comes with the answer.
        let file = |inode: &ARef<Inode>| inode.kind() == Kind::File;
        if lookup.force() && lookup.to_open() && inode.as_ref().is_some_and(file) {
            return Ok(false);
        }
        let known = dentry.stamp();
        let known = Asked {
            at: known.time,
            generation: known.version,
        };
        if inode
            .as_deref()
            .is_some_and(|inode| automount::is_covered(inode, dentry))
        {
            return Ok(true);
        }
        if !lookup.force() && known.is_recent(volume) {
            return Ok(true);
        }
        let Some(inode) = inode else {
            return Ok(false);
        };
        if automount::stands(&inode, dentry, lookup)? {
            return Ok(true);
        }
        let mut before = Before::new(&inode);
        let path = dentry.path()?;
        let kept = dir.data().snapshot().filter(|_| !lookup.force());
        let listed = kept
            .as_ref()
            .and_then(|kept| kept.find(&mounted, name_of(&path)));
        let found = match listed {
            Some((found, asked)) => {
                before.asked = asked;
                *found
            }
            None => match automount::glance(&mounted, &inode, path.as_str()) {
                Ok(Some(found)) => found,
                // What is on the way to somewhere else is not held up by a server that is lost.
                Ok(None) => return Ok(true),
                Err(ENOENT | ESTALE) => return Ok(false),
                Err(error) => return Err(error),
            },
        };
        match attr::apply(&inode, &found, &before) {
            Ok(()) => {
                stamp(dentry, before.asked);
                Ok(true)
            }
            Err(ESTALE) => Ok(false),
            Err(error) => Err(error),
        }
    }
}
