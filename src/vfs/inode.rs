// SPDX-License-Identifier: GPL-2.0

//! Files and directories by name: looking up, making, removing, renaming.

use super::{
    attr::{
        self,
        Before, //
    },
    automount,
    dir::Snapshot,
    file::Opened,
    Dentry,
    Fs,
    Inode,
    SuperBlock, //
};
use crate::{
    mount::{
        options::Cache,
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
                Found,
                Freshness,
                Kind,
                Operations,
                RenameFlags,
                Stat, //
            }, //
        },
        time, //
    }, //
};
use kernel::{
    new_mutex,
    prelude::*,
    str::CString,
    sync::{
        aref::ARef,
        atomic::{
            Atomic,
            Relaxed, //
        },
        Arc,
        Mutex, //
    }, //
};

/// What an inode holds.
#[pin_data]
pub(crate) struct Node {
    /// The server's number for the file, of `generation`; 0 if there is none.
    id: Atomic<u64>,
    /// The generation of the volume that `id` is of; 0 if that is not known.
    generation: Atomic<u64>,
    /// A directory.
    dir: Atomic<bool>,
    /// Counts what was done to the file here, other than to write to it.
    changes: Atomic<u64>,
    /// Content was changed here since the server's attributes were last taken over.
    pub(super) modified: Atomic<bool>,
    #[pin]
    pub(super) state: Mutex<State>,
    #[pin]
    opens: Mutex<KVec<Arc<Opened>>>,
    /// Of a directory: what was in it when it was read last.
    #[pin]
    snapshot: Mutex<Option<Arc<Snapshot>>>,
}

/// What is known about a file.
pub(super) struct State {
    /// What the server said last.
    pub(super) attr: Attr,
    /// When it did; `None` if something was done since.
    pub(super) checked: Option<Asked>,
}

/// When the server was asked.
#[derive(Clone, Copy)]
pub(super) struct Asked {
    /// In milliseconds since boot.
    pub(super) at: u64,
    /// The generation of the volume.
    pub(super) generation: u64,
}

impl Asked {
    /// Just before it is.
    pub(super) fn now(volume: &Volume) -> Self {
        Self {
            at: time::now_ms(),
            generation: volume.generation(),
        }
    }

    /// Whether that was short ago, and of the same server.
    pub(super) fn is_recent(self, volume: &Volume) -> bool {
        let age = time::now_ms().saturating_sub(self.at);
        age < volume.options().attr_ms() && self.generation == volume.generation()
    }
}

/// What an inode is looked up by.
#[derive(Clone, Copy)]
pub(crate) struct Key {
    id: u64,
    generation: u64,
    kind: Kind,
}

impl Node {
    fn new() -> impl PinInit<Self> {
        pin_init!(Self {
            id: Atomic::new(0),
            generation: Atomic::new(0),
            dir: Atomic::new(false),
            changes: Atomic::new(0),
            modified: Atomic::new(false),
            state <- new_mutex!(State {
                attr: Attr::default(),
                checked: None,
            }),
            opens <- new_mutex!(KVec::new()),
            snapshot <- new_mutex!(None),
        })
    }

    /// How often something was done to the file here.
    pub(super) fn changes(&self) -> u64 {
        self.changes.load(Relaxed)
    }

    fn changed(&self) {
        self.changes.fetch_add(1, Relaxed);
        let gone = self.snapshot.lock().take();
        drop(gone);
        self.expire();
    }

    /// Keeps a snapshot of the directory, unless something was done to it since.
    pub(super) fn keep(&self, snapshot: &Arc<Snapshot>, changes: u64) {
        let mut kept = self.snapshot.lock();
        if self.changes() == changes {
            *kept = Some(snapshot.clone());
        }
    }

    /// The snapshot of the directory.
    fn snapshot(&self) -> Option<Arc<Snapshot>> {
        self.snapshot.lock().clone()
    }

    /// Whether the server was asked just before.
    pub(super) fn is_fresh(&self, volume: &Volume) -> bool {
        self.state
            .lock()
            .checked
            .is_some_and(|asked| asked.is_recent(volume))
    }

    /// The server is to be asked again.
    fn expire(&self) {
        self.state.lock().checked = None;
    }

    /// Compares the server's number for a file with the one known; `ESTALE` if it is another file.
    /// After a failover the numbers are others: then it is taken over.
    pub(super) fn identify(&self, id: u64, before: u64, after: u64) -> Result {
        let known = (self.id.load(Relaxed), self.generation.load(Relaxed));
        if known.0 != 0 && id != 0 && known.0 != id && known.1 == before && before == after {
            return Err(ESTALE);
        }
        self.id.store(id, Relaxed);
        // The answer may be of either, if there was a failover meanwhile.
        self.generation
            .store(if before == after { before } else { 0 }, Relaxed);
        Ok(())
    }

    /// The server's number for it, 0 if unknown.
    pub(super) fn id(&self) -> u64 {
        self.id.load(Relaxed)
    }

    /// Enters an open file.
    pub(super) fn enter(&self, open: &Arc<Opened>) -> Result {
        Ok(self.opens.lock().push(open.clone(), GFP_KERNEL)?)
    }

    /// Forgets an open file.
    pub(super) fn leave(&self, open: &Arc<Opened>) {
        let mut opens = self.opens.lock();
        let found = opens.iter().position(|other| Arc::ptr_eq(other, open));
        let gone = found.and_then(|at| opens.remove(at).ok());
        drop(opens);
        drop(gone);
    }

    /// Forgets those that were kept only until everything was written back.
    pub(super) fn leave_kept(&self) {
        loop {
            let mut opens = self.opens.lock();
            let found = opens.iter().position(|open| open.is_kept());
            let gone = found.and_then(|at| opens.remove(at).ok());
            drop(opens);
            if gone.is_none() {
                return;
            }
        }
    }

    /// An open file that can be written to.
    pub(super) fn writer(&self) -> Option<Arc<Opened>> {
        self.find(|open| open.can_write())
    }

    /// An open file that can be read from.
    pub(super) fn reader(&self) -> Option<Arc<Opened>> {
        self.find(|open| open.can_read())
    }

    /// Any open file.
    pub(super) fn any_open(&self) -> Option<Arc<Opened>> {
        self.find(|_| true)
    }

    /// Whether the file is open for writing.
    pub(super) fn has_writers(&self) -> bool {
        self.opens.lock().iter().any(|open| open.can_write())
    }

    fn find(&self, wanted: impl Fn(&Opened) -> bool) -> Option<Arc<Opened>> {
        let opens = self.opens.lock();
        opens.iter().find(|open| wanted(open)).cloned()
    }
}

/// A number that goes with a text.
pub(super) fn hash(path: &str) -> u64 {
    hash_bytes(path.bytes())
}

/// As [`hash`], of a text in parts.
pub(super) fn hash_bytes(bytes: impl Iterator<Item = u8>) -> u64 {
    let mix = |hash: u64, byte: u8| (hash ^ u64::from(byte)).wrapping_mul(0x100_0000_01b3);
    bytes.fold(0xcbf2_9ce4_8422_2325, mix) | 1 << 63
}

/// The inode of a file that the server has told about when it was asked.
pub(super) fn obtain(
    sb: &SuperBlock,
    path: &str,
    found: &Attr,
    asked: Asked,
) -> Result<ARef<Inode>> {
    let mounted = sb.data();
    let volume = mounted.volume();
    let generation = asked.generation;
    // If there was a failover meanwhile, nobody knows whose number it is: it names nothing.
    let id = match volume.generation() == generation {
        true => found.id,
        false => 0,
    };
    let key = Key {
        id,
        generation,
        kind: kind_of(found),
    };
    let ino = if found.id != 0 { found.id } else { hash(path) };
    match sb.iget(ino, key)? {
        Found::Cached(inode) => {
            let mut before = Before::new(&inode);
            before.asked = asked;
            attr::apply(&inode, found, &before)?;
            Ok(inode)
        }
        Found::New(new) => {
            let found = &match key.kind {
                Kind::Link => {
                    mounted.met_link();
                    automount::dated(found)
                }
                _ => *found,
            };
            let node = new.inode().data();
            let mut state = node.state.lock();
            state.attr = *found;
            state.checked = Some(asked);
            drop(state);
            let options = volume.options();
            let unbuffered = options.cache() == Cache::None;
            let size = if found.dir { 0 } else { found.size };
            let shown = attr::shown(options, found, true);
            Ok(new.init(key.kind, size, &shown, unbuffered))
        }
    }
}

/// What a server's attributes are about.
pub(super) fn kind_of(found: &Attr) -> Kind {
    match found {
        Attr { link: true, .. } => Kind::Link,
        Attr { dir: true, .. } => Kind::Dir,
        _ => Kind::File,
    }
}

/// The most UTF-16 units in a name.
const NAME_UNITS: usize = 255;

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

/// Notes when a name was looked up.
fn stamp(dentry: &Dentry, asked: Asked) {
    dentry.set_stamp(Stamp {
        time: asked.at,
        version: asked.generation,
    });
}

/// Something was done to a file or directory here: what the server says later counts.
pub(super) fn touched(inode: &Inode) {
    inode.data().changed();
    inode.super_block().data().changed();
}

/// Makes a file that does not exist, and opens it.
fn make(
    dentry: &Dentry,
    dir: &Inode,
    read: bool,
    write: bool,
    mode: u16,
) -> Result<(ARef<Inode>, Arc<Opened>)> {
    let sb = dentry.super_block();
    let mounted = sb.data();
    let volume = mounted.volume();
    let asked = Asked::now(volume);
    let path = path_of(dentry)?;
    let how = How {
        read,
        write,
        create: Create::New,
        readonly_attr: attr::wants_readonly(mode),
    };
    let (handle, found) = volume
        .open(path.as_str(), how)
        .map_err(|error| automount::in_the_way(volume, path.as_str(), error.into()))?;
    let open = Opened::new(volume, handle, read, write)?;
    let inode = obtain(sb, path.as_str(), &found, asked)?;
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
    };
    let (handle, found) = match volume.open(path.as_str(), how).map_err(Error::from) {
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
    let file = Opened::new(volume, handle, how.read, how.write)?;
    let inode = obtain(sb, path.as_str(), &found, asked)?;
    stamp(dentry, asked);
    if inode.kind() == Kind::Dir {
        return Ok(inode::Opened::Looked(Some(inode)));
    }
    inode.data().enter(&file)?;
    Ok(inode::Opened::Open {
        inode,
        file,
        created: false,
    })
}

/// Removes a file, also if it is read-only.
fn remove(volume: &Volume, path: &str, known: &Attr) -> Result {
    let first = volume.unlink(path).map_err(Error::from);
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
    volume.unlink(path).map_err(|error| {
        let _ = volume.set_basic(path, None, &set(known.attributes));
        error.into()
    })
}

/// Whether a file is open here.
fn is_open(inode: Option<&Inode>) -> bool {
    inode.is_some_and(|inode| inode.kind() == Kind::File && inode.data().any_open().is_some())
}

/// Renames over a file that is open, which servers refuse: that file gets another name first, and
/// is gone when it is closed.
fn rename_over_open(volume: &Volume, from: &str, to: &str, id: u64) -> Result {
    let (dir, name) = to
        .rsplit_once('/')
        .map_or(("", to), |(dir, name)| (dir, name));
    let slash = if dir.is_empty() { "" } else { "/" };
    let tag = hash(name) ^ time::now_ms().wrapping_mul(0x9e37_79b9_7f4a_7c15);
    let aside = CString::try_from_fmt(fmt!("{dir}{slash}.rsdfs-{tag:016x}"))?;
    let aside = aside.to_str().map_err(|_| EINVAL)?;
    volume.rename(to, aside, false, 0)?;
    if let Err(error) = volume.rename(from, to, false, id) {
        let _ = volume.rename(aside, to, false, 0);
        return Err(error.into());
    }
    // What cannot be removed stays under a name that says where it is from.
    let _ = volume.unlink(aside);
    Ok(())
}

impl Operations for Fs {
    fn alloc_inode() -> impl PinInit<Node> {
        Node::new()
    }

    fn test(inode: &Inode, key: &Key) -> bool {
        let node = inode.data();
        key.id != 0
            && node.id.load(Relaxed) == key.id
            && node.generation.load(Relaxed) == key.generation
            && node.dir.load(Relaxed) == (key.kind == Kind::Dir)
    }

    fn set(inode: &Inode, key: &Key) {
        let node = inode.data();
        node.id.store(key.id, Relaxed);
        node.generation.store(key.generation, Relaxed);
        node.dir.store(key.kind == Kind::Dir, Relaxed);
    }

    fn evict(inode: &Inode) {
        let opens = core::mem::take(&mut *inode.data().opens.lock());
        drop(opens);
    }

    fn lookup(dir: &Inode, dentry: &Dentry) -> Result<Option<ARef<Inode>>> {
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
        match make(dentry, dir, flags.read(), flags.write(), mode) {
            Ok((inode, file)) => {
                inode.data().enter(&file)?;
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
        let (inode, _closed) = make(dentry, dir, false, true, mode)?;
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
        let known = inode.data().state.lock().attr;
        remove(&attr::volume(dir), dentry.path()?.as_str(), &known)?;
        inode.drop_link(false);
        touched(&inode);
        touched(dir);
        Ok(())
    }

    fn rmdir(dir: &Inode, dentry: &Dentry) -> Result {
        let inode = dentry.inode().ok_or(ENOENT)?;
        automount::leave_alone(&inode)?;
        attr::volume(dir).rmdir(dentry.path()?.as_str())?;
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
        // A server replaces files only.
        if target.as_ref().is_some_and(|t| t.kind() == Kind::Dir) {
            volume.rmdir(new.as_str())?;
        }
        let replace = !flags.no_replace();
        let id = from.inode().map_or(0, |moved| moved.data().id());
        match volume
            .rename(old.as_str(), new.as_str(), replace, id)
            .map_err(Error::from)
        {
            Err(EACCES | EBUSY) if replace && is_open(target.as_deref()) => {
                rename_over_open(&volume, old.as_str(), new.as_str(), id)?;
            }
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
