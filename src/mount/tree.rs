// SPDX-License-Identifier: GPL-2.0

//! A share that works, and what an operation sees of it.

use super::{
    servers::Held,
    session::Session, //
};
use crate::{
    sys::{
        errno,
        socket::SocketAddr,
        time::now_ms, //
    },
    transport::{
        conn::Reason,
        Conn,
        Context,
        Error, //
    }, //
};
use core::ops::Deref;
use kernel::{
    prelude::*,
    sync::{
        atomic::{
            Atomic,
            AtomicFlag,
            Relaxed, //
        },
        Arc, //
    }, //
};
use rsdfs_proto::{
    codec::Writer,
    dfs::path::Path,
    smb2::{
        negotiate::capabilities,
        tree_disconnect::TreeDisconnect, //
    },
    status::{
        Class,
        NtStatus, //
    },
    utf16::{
        self,
        Map, //
    }, //
};

/// The longest name of a file, in bytes: `NAME_MAX`.
const MAX_COMPONENT: usize = 255;

/// How long a share that nobody uses any more takes leave, in milliseconds.
const FAREWELL: u64 = 500;

/// A share that works, seen from a directory in it. It belongs to one mount.
pub(crate) struct Tree {
    session: Held,
    id: u32,
    /// Tells the mount's requests from others on the connection.
    tag: u64,
    /// Host, share and directory, in device form.
    path: KVec<u8>,
    /// The directory within the share, with '/', no '/' at its ends.
    prefix: KVec<u8>,
    /// See [`Self::origin`].
    origin: u64,
    generation: Atomic<u64>,
    /// The server was told that it is not used any more.
    bidden: AtomicFlag,
    /// When open files should follow the mount, which is elsewhere by now, in milliseconds since boot; 0
    /// while it is here.
    leave: Atomic<u64>,
}

/// A tree for one operation, which has to end in time.
#[derive(Clone, Copy)]
pub(super) struct On<'a> {
    tree: &'a Arc<Tree>,
    deadline: Option<u64>,
}

impl<'a> On<'a> {
    /// `deadline` is in milliseconds since boot.
    pub(super) fn new(tree: &'a Arc<Tree>, deadline: Option<u64>) -> Self {
        Self { tree, deadline }
    }

    /// When it has to end, in milliseconds since boot.
    pub(super) fn deadline(&self) -> Option<u64> {
        self.deadline
    }

    /// How long it may still take, in milliseconds, if that is limited.
    pub(super) fn left(&self) -> Option<u64> {
        self.deadline.map(|at| at.saturating_sub(now_ms()))
    }

    /// Whether its time is up.
    pub(super) fn is_late(&self) -> bool {
        self.left() == Some(0)
    }

    /// The same operation on another tree.
    pub(super) fn with<'b>(&self, tree: &'b Arc<Tree>) -> On<'b> {
        On::new(tree, self.deadline)
    }

    /// On whose behalf requests are made, and until when.
    pub(super) fn context(&self) -> Context {
        Context {
            deadline: self.deadline,
            tag: self.tree.tag,
            ..self.tree.session.context(self.tree.id)
        }
    }
}

impl Deref for On<'_> {
    type Target = Arc<Tree>;

    fn deref(&self) -> &Arc<Tree> {
        self.tree
    }
}

impl Tree {
    /// The share `id` of `session`, for requests with `tag`, at the directory that `path` ends with.
    pub(super) fn new(session: &Held, id: u32, tag: u64, path: &Path<'_>) -> Result<Self> {
        let mut full = KVec::new();
        super::reconnect::copy_path(&mut full, path)?;
        let mut prefix = KVec::new();
        for (i, directory) in path.directories().enumerate() {
            if i > 0 {
                prefix.push(b'/', GFP_KERNEL)?;
            }
            prefix.extend_from_slice(directory.as_bytes(), GFP_KERNEL)?;
        }
        let guid = session.server.negotiated.server_guid;
        let origin = fnv(fnv(FNV, &guid), &full);
        Ok(Self {
            session: session.share(),
            id,
            tag,
            path: full,
            prefix,
            origin,
            generation: Atomic::new(0),
            bidden: AtomicFlag::new(false),
            leave: Atomic::new(0),
        })
    }

    /// Host, share and directory, in device form.
    pub(crate) fn path(&self) -> &[u8] {
        &self.path
    }

    /// The session it belongs to.
    pub(crate) fn session(&self) -> &Session {
        &self.session
    }

    /// The session, for who outlives the tree.
    pub(super) fn session_arc(&self) -> Arc<Session> {
        self.session.session().clone()
    }

    /// The time by the server's clock, as a FILETIME.
    pub(super) fn clock(&self) -> u64 {
        self.session.server.clock()
    }

    /// The share's name.
    pub(super) fn share(&self) -> &[u8] {
        let mut parts = self.path.split(|byte| *byte == b'/');
        parts.nth(3).unwrap_or_default()
    }

    /// Whether its server gives leases, and the mount wants any.
    pub(super) fn has_leases(&self) -> bool {
        let options = &self.session.account().options;
        options.leases() && self.session.server.negotiated.can(capabilities::LEASING)
    }

    /// Whether its leases are of the second version, with epochs.
    pub(super) fn lease_v2(&self) -> bool {
        self.session.server.negotiated.dialect.lease_v2()
    }

    /// Whether its durable opens are of the second version, with a guid.
    pub(super) fn durable_v2(&self) -> bool {
        self.session.server.negotiated.dialect.durable_v2()
    }

    /// The address of the server.
    pub(crate) fn address(&self) -> SocketAddr {
        self.session.server.address
    }

    /// The largest READ in bytes.
    pub(crate) fn read_max(&self) -> usize {
        (self.session.server.negotiated.max_read as usize).min(self.conn().payload_max())
    }

    /// The largest WRITE in bytes.
    pub(crate) fn write_max(&self) -> usize {
        (self.session.server.negotiated.max_write as usize).min(self.conn().payload_max())
    }

    /// The largest directory listing in bytes.
    pub(super) fn transact_max(&self) -> usize {
        (self.session.server.negotiated.max_transact as usize).min(self.conn().payload_max() / 2)
    }

    /// Tells it from what other servers, and other shares of one server, have.
    pub(super) fn origin(&self) -> u64 {
        self.origin
    }

    /// The generation it was published as; 0 before.
    pub(crate) fn generation(&self) -> u64 {
        self.generation.load(Relaxed)
    }

    pub(super) fn set_generation(&self, generation: u64) {
        self.generation.store(generation, Relaxed);
    }

    /// Why its connection is dead, if it is.
    pub(super) fn dead(&self) -> Option<Reason> {
        self.conn().dead()
    }

    /// Whether what is open on it has to be opened again, in a mount of this generation.
    pub(super) fn is_stale(&self, generation: u64) -> bool {
        let here = self.generation() == generation || self.leaving().is_some();
        !here || self.is_dead()
    }

    /// Whether what is open on it is not any more.
    pub(super) fn is_dead(&self) -> bool {
        self.dead().is_some() || self.session.is_over()
    }

    /// The mount goes elsewhere, though this works. Open files should follow from `at` on, in
    /// milliseconds since boot; until then they stay here.
    pub(super) fn leave(&self, at: u64) {
        self.leave.store(at.max(1), Relaxed);
    }

    /// Since the mount went elsewhere: when open files should follow.
    pub(super) fn leaving(&self) -> Option<u64> {
        Some(self.leave.load(Relaxed)).filter(|at| *at > 0)
    }

    /// It is of no use any more, for `reason`: whoever else uses the connection or the session
    /// learns of it as far as it concerns them.
    pub(super) fn lose(&self, reason: Reason) {
        match reason {
            Reason::BadFrame => self.conn().kill(reason),
            Reason::SessionEnded => self.session.end(),
            _ => {}
        }
    }

    /// Ends all requests of its mount.
    pub(super) fn abandon(&self) {
        if self.session.is_alone() {
            self.conn().kill(Reason::Closed);
        } else {
            self.conn().abandon(self.tag);
        }
    }

    /// What `status` says about session or share, if it says that they are gone from the server.
    pub(super) fn gone(&self, status: NtStatus) -> Option<Reason> {
        match status.class() {
            Class::SessionGone => Some(Reason::SessionEnded),
            Class::ShareGone => Some(Reason::Gone),
            _ => None,
        }
    }

    /// Takes leave of the server, if it answers within `timeout` milliseconds.
    pub(super) fn farewell(&self, timeout: u64) {
        leave(&self.session, self.id, timeout);
        self.bidden.store(true, Relaxed);
    }

    /// The connection below.
    pub(super) fn conn(&self) -> &Conn {
        &self.session.server.conn
    }

    /// A name within the share on the wire: UTF-16, with '\'. `path` is relative to the mount.
    pub(super) fn name(&self, path: &str) -> super::Result<KVec<u8>> {
        let most = self
            .prefix
            .len()
            .saturating_add(path.len())
            .saturating_add(1);
        let mut text = KVec::with_capacity(most, GFP_KERNEL)?;
        text.extend_from_slice(&self.prefix, GFP_KERNEL)?;
        if !self.prefix.is_empty() && !path.is_empty() {
            text.push(b'/', GFP_KERNEL)?;
        }
        text.extend_from_slice(path.as_bytes(), GFP_KERNEL)?;
        if text
            .split(|byte| *byte == b'/')
            .any(|part| part.len() > MAX_COMPONENT)
        {
            return Err(Error::Kernel(errno::ENAMETOOLONG));
        }
        let len = utf16::path_len(&text, Map::Sfm).map_err(|_| Error::Kernel(errno::EILSEQ))?;
        let mut name = KVec::from_elem(0, len, GFP_KERNEL)?;
        utf16::put_path(&mut Writer::new(&mut name), &text, Map::Sfm)?;
        Ok(name)
    }
}

/// What [`fnv`] begins with.
const FNV: u64 = 0xcbf2_9ce4_8422_2325;

/// A number that goes with some bytes, after others (FNV-1a).
fn fnv(hash: u64, bytes: &[u8]) -> u64 {
    let mix = |hash: u64, byte: &u8| (hash ^ u64::from(*byte)).wrapping_mul(0x100_0000_01b3);
    bytes.iter().fold(hash, mix)
}

impl Drop for Tree {
    /// What is open on it is closed by the server.
    fn drop(&mut self) {
        if self.bidden.load(Relaxed) || self.session.is_over() {
            return;
        }
        let (session, id) = (self.session.share(), self.id);
        let bye = move || leave(&session, id, FAREWELL);
        // Without memory it stays until the session ends.
        let _ = self.session.world().queue().run(GFP_KERNEL, bye);
    }
}

/// Disconnects from the share `id`.
fn leave(session: &Session, id: u32, timeout: u64) {
    if !session.is_over() {
        let context = session.context(id);
        let _ = (session.server.conn).call(&context, &TreeDisconnect, Some(timeout));
    }
}
