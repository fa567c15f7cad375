// SPDX-License-Identifier: GPL-2.0

//! What is kept of a file or directory in its inode, and how it is found again.
//!
//! Locks: `Node::state`, then `Node::opens`; `Node::snapshot` and `Node::locks` are leaves. None is held across a call
//! of the volume.

use super::{
    attr::{
        self,
        Before, //
    },
    automount,
    dir::Snapshot,
    file::Opened,
    Inode,
    SuperBlock, //
};
use crate::{
    mount::{
        lease::Lease,
        options::Cache,
        Attr,
        Locks,
        Volume, //
    },
    sys::{
        errno::ESTALE,
        fs::inode::{
            Found,
            Kind, //
        },
        time, //
    }, //
};
use kernel::{
    new_mutex,
    prelude::*,
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
    /// When the file was made, as the server says.
    birth: Atomic<u64>,
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
    /// Of a file that was opened: its locks.
    #[pin]
    locks: Mutex<Option<Arc<Locks>>>,
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
    birth: u64,
    kind: Kind,
}

impl Node {
    pub(super) fn new() -> impl PinInit<Self> {
        pin_init!(Self {
            id: Atomic::new(0),
            generation: Atomic::new(0),
            birth: Atomic::new(0),
            dir: Atomic::new(false),
            changes: Atomic::new(0),
            modified: Atomic::new(false),
            state <- new_mutex!(State {
                attr: Attr::default(),
                checked: None,
            }),
            opens <- new_mutex!(KVec::new()),
            locks <- new_mutex!(None),
            snapshot <- new_mutex!(None),
        })
    }

    /// Whether it is what `key` means: on servers of one storage, also after a failover.
    pub(super) fn is(&self, key: &Key) -> bool {
        let one_server = self.generation.load(Relaxed) == key.generation;
        let one_storage = || key.birth != 0 && self.birth.load(Relaxed) == key.birth;
        key.id != 0
            && self.id.load(Relaxed) == key.id
            && (one_server || one_storage())
            && self.dir.load(Relaxed) == (key.kind == Kind::Dir)
    }

    /// Makes it what `key` means.
    pub(super) fn set(&self, key: &Key) {
        self.id.store(key.id, Relaxed);
        self.generation.store(key.generation, Relaxed);
        self.birth.store(key.birth, Relaxed);
        self.dir.store(key.kind == Kind::Dir, Relaxed);
    }

    /// Forgets all open files.
    pub(super) fn close_all(&self) {
        let opens = core::mem::take(&mut *self.opens.lock());
        drop(opens);
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
    pub(super) fn snapshot(&self) -> Option<Arc<Snapshot>> {
        self.snapshot.lock().clone()
    }

    /// Whether the server was asked just before, and is not known to be lost since.
    pub(super) fn is_fresh(&self, volume: &Volume) -> bool {
        let checked = self.state.lock().checked;
        checked.is_some_and(|asked| asked.is_recent(volume)) && volume.stands()
    }

    /// The server is to be asked again.
    pub(super) fn expire(&self) {
        self.state.lock().checked = None;
    }

    /// Compares the server's number for a file with the one known; `ESTALE` if it is another file.
    /// After a failover the numbers are others: then it is taken over, and this is true.
    pub(super) fn identify(&self, found: &Attr, before: u64, after: u64) -> Result<bool> {
        let id = found.id;
        let known = (self.id.load(Relaxed), self.generation.load(Relaxed));
        if known.0 != 0 && id != 0 && known.0 != id && known.1 == before && before == after {
            return Err(ESTALE);
        }
        self.id.store(id, Relaxed);
        self.birth.store(found.btime, Relaxed);
        // The answer may be of either, if there was a failover meanwhile.
        self.generation
            .store(if before == after { before } else { 0 }, Relaxed);
        Ok(known.1 != before)
    }

    /// What was said of it on a new target was not taken over: it still has to be compared.
    pub(super) fn doubt(&self) {
        self.generation.store(0, Relaxed);
    }

    /// The locks of the file.
    pub(super) fn locks(&self) -> Result<Arc<Locks>> {
        let mut locks = self.locks.lock();
        match &*locks {
            Some(locks) => Ok(locks.clone()),
            None => Ok(locks.insert(Locks::new()?).clone()),
        }
    }

    /// Whether a lock of the file was lost, so that what is dirty must not land.
    pub(super) fn is_poisoned(&self) -> bool {
        let locks = self.locks.lock();
        locks.as_ref().is_some_and(|locks| locks.is_poisoned())
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

    /// An open file that can be written to, and was not given up.
    pub(super) fn writer(&self) -> Option<Arc<Opened>> {
        self.find(|open| open.can_write())
    }

    /// An open file that can be read from, and was not given up.
    pub(super) fn reader(&self) -> Option<Arc<Opened>> {
        self.find(|open| open.can_read())
    }

    /// The lease that all who have it open share.
    pub(super) fn lease(&self) -> Option<Arc<Lease>> {
        self.any_open().map(|open| open.handle().lease().clone())
    }

    /// Any open file that was not given up.
    pub(super) fn any_open(&self) -> Option<Arc<Opened>> {
        self.find(|_| true)
    }

    /// Whether it is open, also if that was given up.
    pub(super) fn is_open(&self) -> bool {
        !self.opens.lock().is_empty()
    }

    /// Whether it is open, and what a server says now of its name is about another file.
    pub(super) fn is_replaced(&self, found: &Attr) -> bool {
        let opens = self.opens.lock();
        let another = |open: &Arc<Opened>| open.volume().is_another(open.handle(), found);
        opens.iter().any(another)
    }

    /// It is being written to.
    pub(super) fn touch_writers(&self) {
        let opens = self.opens.lock();
        for open in opens.iter().filter(|open| open.can_write()) {
            open.handle().touch();
        }
    }

    /// Whether the file is open for writing.
    pub(super) fn has_writers(&self) -> bool {
        self.opens.lock().iter().any(|open| open.can_write())
    }

    fn find(&self, wanted: impl Fn(&Opened) -> bool) -> Option<Arc<Opened>> {
        let opens = self.opens.lock();
        let wanted = |open: &&Arc<Opened>| wanted(open) && !open.handle().is_lost();
        opens.iter().find(wanted).cloned()
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
        birth: found.btime,
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

/// Something was done to a file or directory here: what the server says later counts.
pub(super) fn touched(inode: &Inode) {
    inode.data().changed();
    inode.super_block().data().changed();
}
