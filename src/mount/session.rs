// SPDX-License-Identifier: GPL-2.0

//! The stack on one server, from the bottom up: connection, session, share, directory.

use super::{
    ops,
    options::Options,
    reconnect::{
        Attempt,
        Cached,
        Seeker, //
    },
    referral,
    trouble::Trouble, //
};
use crate::{
    sys::{
        crypto::KernelCrypto,
        dns,
        errno,
        fmt::Plain,
        socket::{
            ConnectOpts,
            SocketAddr,
            TcpSocket, //
        },
        time, //
    },
    transport::{
        conn::Reason,
        Answer,
        Conn,
        Context,
        Error,
        Limits,
        Request,
        Tuning, //
    }, //
};
use core::net::IpAddr;
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
use rsdfs_proto::{
    codec::Writer,
    crypt::SigningKey,
    dfs::path::Path,
    frame::MAX_PAYLOAD,
    handshake::{
        Logon,
        Negotiated,
        Negotiation,
        Offer,
        Refused,
        SessionSetup,
        Step,
        MAX_BLOB, //
    },
    smb2::{
        ioctl::Ioctl,
        logoff::Logoff,
        negotiate::capabilities,
        tree_connect::{
            self,
            share_caps,
            share_flags,
            TreeConnect, //
        },
        tree_disconnect::TreeDisconnect,
        Command, //
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

/// A connection attempt to one address may take this long, in milliseconds, while others wait.
const CONNECT_MS: u64 = 1500;

/// TCP gives a connection up so much later than the receiver does, who tells a silent network from a
/// server that takes no more data, in milliseconds.
const USER_TIMEOUT_MS: u64 = 5000;

/// The longest name of a file, in bytes: `NAME_MAX`.
const MAX_COMPONENT: usize = 255;

/// The most bytes of a frame besides its payload.
const OVERHEAD: usize = 64 << 10;

/// A user's session on a server.
pub(crate) struct Session {
    pub(super) conn: Arc<Conn>,
    pub(super) negotiated: Negotiated,
    id: u64,
    key: Option<Arc<SigningKey>>,
    sign_all: bool,
    /// The address it is connected to.
    pub(crate) address: SocketAddr,
}

/// A share that works, seen from a directory in it.
pub(crate) struct Tree {
    session: Session,
    id: u32,
    /// Host, share and directory, in device form.
    path: KVec<u8>,
    /// The directory within the share, with '/', no '/' at its ends.
    prefix: KVec<u8>,
    generation: Atomic<u64>,
}

/// Where a path turned out to be.
pub(crate) enum Place {
    /// On this server.
    Here(Arc<Tree>),
    /// Where this referral says.
    Elsewhere(Cached),
}

/// Brings up everything that `path` needs on its own host.
pub(crate) fn stand_up(
    seeker: &Seeker,
    path: &Path<'_>,
    attempt: &Attempt,
) -> core::result::Result<Place, Trouble> {
    let session = Session::log_on(seeker, path.host(), attempt).map_err(|trouble| {
        attempt.release();
        trouble.at(path.host())
    })?;
    let place = session.find(seeker, path);
    attempt.release();
    place.map_err(|trouble| trouble.at(path.host()))
}

impl Session {
    /// Connects to `host` and logs on there.
    pub(super) fn log_on(
        seeker: &Seeker,
        host: &str,
        attempt: &Attempt,
    ) -> core::result::Result<Self, Trouble> {
        let options = &seeker.account.options;
        let (socket, address) = connect(seeker, host, attempt)?;
        attempt.step();
        let tuning = Tuning {
            echo_interval: options.echo_interval_ms(),
        };
        let conn = Conn::new(socket, tuning)?;
        attempt.hold(&conn);
        let negotiated = negotiate(seeker, &conn, host)?;
        attempt.step();
        conn.negotiated(Limits {
            frame: OVERHEAD + MAX_PAYLOAD as usize,
            multi_credit: negotiated.multi_credit(),
            call: None,
        });
        let established = set_up(&conn, &negotiated, options, host)?;
        attempt.step();
        let key = match established.key {
            Some(key) => Some(Arc::new(key, GFP_KERNEL)?),
            None => None,
        };
        Ok(Self {
            conn,
            negotiated,
            id: established.session_id,
            key,
            sign_all: established.sign_all,
            address,
        })
    }

    /// Finds out whether `path` is here, and if so goes there.
    fn find(self, seeker: &Seeker, path: &Path<'_>) -> core::result::Result<Place, Trouble> {
        let dfs = !seeker.account.options.nodfs() && self.negotiated.can(capabilities::DFS);
        let (id, reply) = match self.connect_share(path.host(), path.share()) {
            Ok(connected) => connected,
            Err(Error::Status(status)) if dfs && status.class() == Class::ShareGone => {
                // A namespace need not be a share.
                return match referral::fetch(seeker, &self, path) {
                    Ok(referral) if !is_here(&referral, path) => Ok(self.elsewhere(referral)),
                    _ => Err(missing(status, path)),
                };
            }
            Err(error) => return Err(error.into()),
        };
        self.validate(id)?;
        let flagged = reply.share_flags & (share_flags::DFS | share_flags::DFS_ROOT) != 0
            || reply.capabilities & share_caps::DFS != 0;
        if dfs && flagged {
            match referral::fetch(seeker, &self, path) {
                Ok(referral) if !is_here(&referral, path) => return Ok(self.elsewhere(referral)),
                Ok(_) | Err(Error::Status(_)) => {}
                Err(error) => return Err(error.into()),
            }
        }
        let mut full = KVec::new();
        super::reconnect::copy_path(&mut full, path)?;
        let mut prefix = KVec::new();
        for (i, directory) in path.directories().enumerate() {
            if i > 0 {
                prefix.push(b'/', GFP_KERNEL)?;
            }
            prefix.extend_from_slice(directory.as_bytes(), GFP_KERNEL)?;
        }
        let tree = Tree {
            session: self,
            id,
            path: full,
            prefix,
            generation: Atomic::new(0),
        };
        match ops::check_directory(&tree) {
            Ok(()) => {
                tree.conn().in_use(seeker.account.options.soft_ms());
                Ok(Place::Here(Arc::new(tree, GFP_KERNEL)?))
            }
            Err(Error::Status(status)) if dfs && status.class() == Class::PathNotCovered => {
                let referral = referral::fetch(seeker, &tree.session, path)?;
                Ok(tree.session.elsewhere(referral))
            }
            Err(Error::Status(status)) => Err(missing(status, path)),
            Err(error) => Err(error.into()),
        }
    }

    /// Takes leave: what is wanted is on another server.
    fn elsewhere(self, referral: Cached) -> Place {
        self.log_off(500);
        Place::Elsewhere(referral)
    }

    /// Ends the session on the server, if it answers within `timeout` milliseconds.
    pub(super) fn log_off(&self, timeout: u64) {
        let _ = self.call(0, &Logoff, Some(timeout));
        self.conn.kill(Reason::Closed);
    }

    /// Connects to a share (MS-SMB2 3.2.4.2.4).
    pub(super) fn connect_share(
        &self,
        host: &str,
        share: &str,
    ) -> super::Result<(u32, tree_connect::Reply)> {
        let mut name = KVec::new();
        wide(&mut name, "\\\\")?;
        wide(&mut name, host)?;
        wide(&mut name, "\\")?;
        wide(&mut name, share)?;
        let command = TreeConnect { path: &name };
        // 3.1.1 wants it signed even where nothing else is (MS-SMB2 3.2.4.1.1).
        let context = Context {
            session: self.id,
            tree: 0,
            key: self
                .key
                .clone()
                .filter(|_| self.sign_all || self.negotiated.dialect.preauth()),
        };
        let answer = self.conn.call(&context, &command, None)?;
        let message = answer.message()?;
        success(message.header.status)?;
        Ok((message.header.tree_id, TreeConnect::parse(&message)?))
    }

    /// Checks that nobody tampered with the negotiation (MS-SMB2 3.2.5.5).
    fn validate(&self, tree: u32) -> core::result::Result<(), Trouble> {
        let (Some(check), Some(key)) = (&self.negotiated.validate, &self.key) else {
            return Ok(());
        };
        let mut input = [0; rsdfs_proto::handshake::ValidateNegotiate::MAX_LEN];
        let len = check.emit(&mut input).map_err(Refused::from)?;
        let context = Context {
            session: self.id,
            tree,
            key: Some(key.clone()),
        };
        let command = Ioctl::validate_negotiate(input.get(..len).ok_or(Error::Malformed)?);
        let answer = self.conn.call(&context, &command, None)?;
        let message = answer.message().map_err(Error::from)?;
        match message.header.status {
            NtStatus::SUCCESS => {
                let reply = Ioctl::parse(&message).map_err(Error::from)?;
                check.check(reply.output)?;
            }
            status => check.check_failure(status)?,
        }
        Ok(())
    }

    /// Sends one command on `tree`; the answer may have any status.
    pub(super) fn call<C: Command>(
        &self,
        tree: u32,
        command: &C,
        timeout: Option<u64>,
    ) -> super::Result<Answer> {
        self.conn.call(&self.context(tree), command, timeout)
    }

    /// On whose behalf requests on `tree` are made.
    fn context(&self, tree: u32) -> Context {
        Context {
            session: self.id,
            tree,
            key: self.key.clone().filter(|_| self.sign_all),
        }
    }
}

impl Tree {
    /// Host, share and directory, in device form.
    pub(crate) fn path(&self) -> &[u8] {
        &self.path
    }

    /// The address of the server.
    pub(crate) fn address(&self) -> SocketAddr {
        self.session.address
    }

    /// The name of the dialect spoken.
    pub(crate) fn dialect(&self) -> &'static str {
        self.session.negotiated.dialect.name()
    }

    /// Whether all messages are signed.
    pub(crate) fn signed(&self) -> bool {
        self.session.sign_all
    }

    /// The largest READ in bytes.
    pub(crate) fn read_max(&self) -> usize {
        (self.session.negotiated.max_read as usize).min(self.session.conn.payload_max())
    }

    /// The largest WRITE in bytes.
    pub(crate) fn write_max(&self) -> usize {
        (self.session.negotiated.max_write as usize).min(self.session.conn.payload_max())
    }

    /// The largest directory listing in bytes.
    pub(super) fn transact_max(&self) -> usize {
        (self.session.negotiated.max_transact as usize).min(self.session.conn.payload_max() / 2)
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
        self.session.conn.dead()
    }

    /// Ends its connection.
    pub(super) fn kill(&self, reason: Reason) {
        self.session.conn.kill(reason);
    }

    /// Whether `status` says that session or share are gone from the server.
    pub(super) fn is_gone(&self, status: NtStatus) -> bool {
        matches!(status.class(), Class::SessionGone | Class::ShareGone)
    }

    /// Takes leave of the server, if it answers each of two requests within `timeout` milliseconds.
    pub(super) fn farewell(&self, timeout: u64) {
        if self.dead().is_none() {
            let _ = self.session.call(self.id, &TreeDisconnect, Some(timeout));
            self.session.log_off(timeout);
        }
    }

    /// The connection below.
    pub(super) fn conn(&self) -> &Conn {
        &self.session.conn
    }

    /// On whose behalf requests are made.
    pub(super) fn context(&self) -> Context {
        self.session.context(self.id)
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

/// Connects to the first address of `host` that answers.
fn connect(
    seeker: &Seeker,
    host: &str,
    attempt: &Attempt,
) -> core::result::Result<(TcpSocket, SocketAddr), Trouble> {
    let options = &seeker.account.options;
    let addresses = match options.address(host) {
        Some(ip) => {
            let mut only = KVec::with_capacity(1, GFP_KERNEL)?;
            only.push(ip, GFP_KERNEL)?;
            only
        }
        None => resolve(seeker, host)?,
    };
    let mut failure = Trouble::from(errno::EHOSTUNREACH);
    let patience = options.echo_interval_ms().saturating_add(USER_TIMEOUT_MS);
    for (i, ip) in addresses.iter().enumerate() {
        let address = SocketAddr::new(*ip, options.port());
        // The last one may take as long as the race lets it.
        let last = i + 1 == addresses.len();
        let opts = ConnectOpts {
            net: &seeker.account.net,
            timeout_ms: if last { 10 * CONNECT_MS } else { CONNECT_MS },
            user_timeout_ms: patience as u32,
        };
        match TcpSocket::connect(&address, &opts, Some(attempt.cancelled())) {
            Ok(socket) => return Ok((socket, address)),
            Err(errno::ECANCELED) => return Err(Trouble::cancelled()),
            Err(error) => failure = error.into(),
        }
    }
    Err(failure)
}

fn resolve(seeker: &Seeker, host: &str) -> core::result::Result<KVec<IpAddr>, Trouble> {
    dns::resolve(seeker.world.queue(), &seeker.account.net, host, false).map_err(
        |error| match error {
            errno::ENOKEY | errno::EKEYREJECTED | errno::EKEYEXPIRED | ENOENT => Trouble::new(
                errno::EHOSTUNREACH,
                "unknown host: its name does not resolve",
            ),
            error => error.into(),
        },
    )
}

fn negotiate(
    seeker: &Seeker,
    conn: &Conn,
    host: &str,
) -> core::result::Result<Negotiated, Trouble> {
    let options = &seeker.account.options;
    let offer = Offer {
        versions: options.versions(),
        guid: seeker.world.client_guid,
        signing: options.signing(),
        host,
    };
    let mut negotiation = Negotiation::new(&KernelCrypto, offer);
    let mut request = Request::new(&Context::default(), &negotiation.command())?;
    let [answer] = conn.call_parts(&mut request, None)?;
    negotiation.sent(&KernelCrypto, request.message());
    let message = answer.message().map_err(Error::from)?;
    Ok(negotiation.reply(&KernelCrypto, &message)?)
}

fn set_up(
    conn: &Conn,
    negotiated: &Negotiated,
    options: &Options,
    host: &str,
) -> core::result::Result<rsdfs_proto::handshake::Established, Trouble> {
    let mut blob = KVec::from_elem(0, MAX_BLOB, GFP_KERNEL)?;
    let logon = Logon {
        credentials: options.credentials(),
        host,
        previous: 0,
        now: time::filetime_now(),
    };
    let (mut setup, mut len) = SessionSetup::start(negotiated, logon, &mut blob)?;
    loop {
        let context = Context {
            session: setup.session_id(),
            ..Context::default()
        };
        let token = blob.get(..len).ok_or(Error::Malformed)?;
        let mut request = Request::new(&context, &setup.command(token))?;
        let [answer] = conn.call_parts(&mut request, None)?;
        setup.sent(&KernelCrypto, request.message());
        let message = answer.message().map_err(Error::from)?;
        match setup.reply(&KernelCrypto, &message, &mut blob)? {
            Step::Send(next, n) => (setup, len) = (next, n),
            Step::Done(established) => return Ok(established),
        }
    }
}

/// Whether the referral says that `path` is where it was asked for.
fn is_here(referral: &Cached, path: &Path<'_>) -> bool {
    referral.entry.targets(0).any(|target| {
        let same = |text: &str| {
            Path::parse(text).is_ok_and(|target| {
                path.prefix(referral.entry.depth())
                    .is_some_and(|own| own == target)
            })
        };
        let mut buffer = [0; 512];
        target.path.utf8(&mut buffer).is_ok_and(same)
    })
}

/// A failure that names the share or directory that is not there.
fn missing(status: NtStatus, path: &Path<'_>) -> Trouble {
    let trouble = Trouble::status(status);
    let what = match status.class() {
        Class::ShareGone => "no such share",
        _ if trouble.errno == ENOTDIR => "not a directory",
        _ if trouble.errno == ENOENT => "no such directory in the share",
        _ => return trouble,
    };
    let errno = match status.class() {
        Class::ShareGone => ENOENT,
        _ => trouble.errno,
    };
    let message =
        kernel::str::CString::try_from_fmt(fmt!("{what}: {} ({})", Plain(path), Plain(status)));
    Trouble {
        errno,
        message: message.ok(),
        ..trouble
    }
}

/// `Err` for every status but success.
pub(super) fn success(status: NtStatus) -> super::Result {
    match status {
        NtStatus::SUCCESS => Ok(()),
        status => Err(Error::Status(status)),
    }
}

/// Appends `text` in UTF-16.
pub(super) fn wide(out: &mut KVec<u8>, text: &str) -> super::Result {
    let start = out.len();
    out.resize(start.saturating_add(utf16::len(text)), 0, GFP_KERNEL)?;
    let room = out.get_mut(start..).unwrap_or_default();
    Ok(utf16::put(&mut Writer::new(room), text)?)
}
