// SPDX-License-Identifier: GPL-2.0

//! A user's session on a server, and the way from there to a share.

use super::{
    ops,
    reconnect::{
        Attempt,
        Cached,
        Controllers,
        Seeker, //
    },
    referral,
    server::Server,
    servers::Held,
    tree::{
        On,
        Tree, //
    },
    trouble::Trouble,
    world::Account, //
};
use crate::{
    sys::{
        crypto::KernelCrypto,
        fmt::Plain,
        time, //
    },
    transport::{
        Answer,
        Context,
        Error,
        Request, //
    }, //
};
use kernel::{
    new_spinlock,
    prelude::*,
    sync::{
        atomic::{
            AtomicFlag,
            Relaxed, //
        },
        Arc,
        SpinLock, //
    }, //
};
use rsdfs_proto::{
    codec::Writer,
    crypt::SigningKey,
    dfs::path::Path,
    handshake::{
        Established,
        Logon,
        Refused,
        SessionSetup,
        Step,
        ValidateNegotiate,
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
        Command, //
    },
    status::{
        Class,
        NtStatus, //
    },
    utf16, //
};

/// How long a session that nobody uses any more takes leave, in milliseconds.
const FAREWELL: u64 = 500;

/// A user's session on a server.
#[pin_data]
pub(crate) struct Session {
    pub(super) server: Arc<Server>,
    id: u64,
    key: Option<Arc<SigningKey>>,
    sign_all: bool,
    /// For whom it was set up.
    account: Arc<Account>,
    /// The server has ended it.
    gone: AtomicFlag,
    /// The server was told to end it, when another one was set up.
    replaced: AtomicFlag,
    /// The negotiation was checked (MS-SMB2 3.2.5.5).
    validated: AtomicFlag,
    /// The share that referrals are asked for on, once it is connected.
    #[pin]
    ipc: SpinLock<Option<u32>>,
}

/// Where a path turned out to be.
pub(crate) enum Place {
    /// On this server.
    Here(Arc<Tree>),
    /// Where this referral says.
    Elsewhere(Cached),
    /// In this domain: its controllers know more.
    Domain(Arc<Controllers>),
    /// In the domain with this name; the path has a short one.
    Alias(KVec<u8>),
}

/// Brings up everything that `path` needs on `host`: its own, or a controller of the domain that it
/// names.
pub(crate) fn stand_up(
    seeker: &Seeker,
    host: &str,
    path: &Path<'_>,
    attempt: &Attempt,
) -> core::result::Result<Place, Trouble> {
    let place = seeker.world.servers.with(seeker, host, attempt, |session| {
        find(session, seeker, host, path, attempt)
    });
    attempt.release();
    place.map_err(|trouble| trouble.at(host))
}

/// Finds out whether `path` is on the server of `session`, and if so goes there.
#[inline(never)]
fn find(
    session: &Held,
    seeker: &Seeker,
    host: &str,
    path: &Path<'_>,
    attempt: &Attempt,
) -> core::result::Result<Place, Trouble> {
    let dfs = !seeker.account.options.nodfs() && session.can(capabilities::DFS);
    let connected = session.connect_share(host, path.share(), attempt);
    let namespace = match &connected {
        Ok((id, reply)) => {
            session.validate(*id, attempt)?;
            reply.share_flags & (share_flags::DFS | share_flags::DFS_ROOT) != 0
                || reply.capabilities & share_caps::DFS != 0
                || is_of_domain(path.share())
        }
        // A namespace need not be a share.
        Err(Error::Status(status)) => status.class() == Class::ShareGone,
        Err(_) => false,
    };
    if dfs && namespace {
        if let Some(place) = referral::domain(seeker, session, host, path, attempt)? {
            return Ok(place);
        }
        let mut told = referral::fetch(seeker, session, path, attempt);
        let refused = |trouble: &Trouble| trouble.fault.status.is_some();
        if let (true, Some(root)) = (told.as_ref().is_err_and(refused), path.prefix(2)) {
            // What is no link is below a root, and some servers know only of that.
            told = referral::fetch(seeker, session, &root, attempt);
        }
        match told {
            Ok(referral) if !is_here(&referral, path) => return Ok(Place::Elsewhere(referral)),
            Err(trouble) if !refused(&trouble) => return Err(trouble),
            Ok(_) | Err(_) => {}
        }
    }
    let (id, _) = connected.map_err(|error| match error {
        Error::Status(status) => missing(status, path),
        error => error.into(),
    })?;
    let tree = Arc::new(Tree::new(session, id, attempt.tag(), path)?, GFP_KERNEL)?;
    match ops::check_directory(&On::new(&tree, attempt.patience())) {
        Ok(()) => Ok(Place::Here(tree)),
        Err(Error::Status(status)) if dfs && status.class() == Class::PathNotCovered => {
            let referral = referral::fetch(seeker, session, path, attempt)?;
            Ok(Place::Elsewhere(referral))
        }
        Err(Error::Status(status)) => Err(missing(status, path)),
        Err(error) => Err(error.into()),
    }
}

/// Whether every controller of a domain has this share (MS-DFSC 3.1.4.1 step 5).
fn is_of_domain(share: &str) -> bool {
    share.eq_ignore_ascii_case("SYSVOL") || share.eq_ignore_ascii_case("NETLOGON")
}

impl Session {
    /// Logs on at `server`, which is asked for as `host`, and shall end the session `previous`.
    #[inline(never)]
    pub(super) fn log_on(
        seeker: &Seeker,
        server: &Arc<Server>,
        host: &str,
        previous: Option<u64>,
        attempt: &Attempt,
    ) -> core::result::Result<Arc<Self>, Trouble> {
        let established = set_up(seeker, server, host, previous.unwrap_or(0), attempt)?;
        attempt.step();
        let key = match established.key {
            Some(key) => Some(Arc::new(key, GFP_KERNEL)?),
            None => None,
        };
        Ok(Arc::pin_init(
            pin_init!(Self {
                server: server.clone(),
                id: established.session_id,
                key,
                sign_all: established.sign_all,
                account: seeker.account.clone(),
                gone: AtomicFlag::new(false),
                replaced: AtomicFlag::new(false),
                validated: AtomicFlag::new(false),
                ipc <- new_spinlock!(None),
            }),
            GFP_KERNEL,
        )?)
    }

    /// The server it is on.
    pub(crate) fn server(&self) -> &Server {
        &self.server
    }

    /// For whom it was set up.
    pub(super) fn account(&self) -> &Account {
        &self.account
    }

    /// Whose session it is, for the views.
    pub(crate) fn user(&self) -> &str {
        self.account.options.user()
    }

    /// Whether all messages are signed.
    pub(crate) fn signed(&self) -> bool {
        self.sign_all
    }

    /// Whether it is of no use any more.
    pub(crate) fn is_over(&self) -> bool {
        self.gone.load(Relaxed) || self.server.conn.dead().is_some()
    }

    /// The server says that it has ended it.
    pub(super) fn end(&self) {
        self.gone.store(true, Relaxed);
    }

    /// Its number at the server.
    pub(super) fn id(&self) -> u64 {
        self.id
    }

    /// The user and the domain it belongs to.
    pub(super) fn whose(&self) -> (&str, &str) {
        let options = &self.account.options;
        (options.user(), options.domain())
    }

    /// Whether the server may still have it, though its connection is lost: with files open in it that
    /// are in the way of others. Of guests and the anonymous nobody can tell whose they are.
    pub(super) fn may_linger(&self) -> bool {
        let lost = self.server.conn.dead().is_some();
        lost && self.key.is_some() && !self.gone.load(Relaxed) && !self.replaced.load(Relaxed)
    }

    /// Another one was set up in its place.
    pub(super) fn was_replaced(&self) {
        self.replaced.store(true, Relaxed);
    }

    /// Whether the server supports all of these [`capabilities`].
    fn can(&self, wanted: u32) -> bool {
        self.server.negotiated.can(wanted)
    }

    /// Ends it on the server, which shall answer soon.
    pub(super) fn log_off(&self) {
        if !self.is_over() {
            let _ = self
                .server
                .conn
                .call(&self.context(0), &Logoff, Some(FAREWELL));
        }
    }

    /// Connects to a share (MS-SMB2 3.2.4.2.4).
    #[inline(never)]
    pub(super) fn connect_share(
        &self,
        host: &str,
        share: &str,
        attempt: &Attempt,
    ) -> super::Result<(u32, tree_connect::Reply)> {
        let mut name = KVec::new();
        wide(&mut name, "\\\\")?;
        wide(&mut name, host)?;
        wide(&mut name, "\\")?;
        wide(&mut name, share)?;
        let command = TreeConnect { path: &name };
        // 3.1.1 wants it signed even where nothing else is (MS-SMB2 3.2.4.1.1).
        let preauth = self.server.negotiated.dialect.preauth();
        let context = Context {
            key: self.key.clone().filter(|_| self.sign_all || preauth),
            ..self.during(0, attempt)
        };
        let answer = self.server.conn.call(&context, &command, None)?;
        let message = answer.message()?;
        success(message.header.status)?;
        Ok((message.header.tree_id, TreeConnect::parse(&message)?))
    }

    /// The share that referrals are asked for on.
    #[inline(never)]
    pub(super) fn ipc(&self, attempt: &Attempt) -> super::Result<u32> {
        if let Some(tree) = *self.ipc.lock() {
            return Ok(tree);
        }
        let (tree, _) = self.connect_share(self.server.host(), "IPC$", attempt)?;
        // Of two at the same time both stay until the session ends.
        *self.ipc.lock() = Some(tree);
        Ok(tree)
    }

    /// Checks that nobody tampered with the negotiation (MS-SMB2 3.2.5.5).
    #[inline(never)]
    fn validate(&self, tree: u32, attempt: &Attempt) -> core::result::Result<(), Trouble> {
        let (Some(check), Some(key)) = (&self.server.negotiated.validate, &self.key) else {
            return Ok(());
        };
        if self.validated.load(Relaxed) {
            return Ok(());
        }
        let mut input = [0; ValidateNegotiate::MAX_LEN];
        let len = check.emit(&mut input).map_err(Refused::from)?;
        let context = Context {
            key: Some(key.clone()),
            ..self.during(tree, attempt)
        };
        let command = Ioctl::validate_negotiate(input.get(..len).ok_or(Error::Malformed)?);
        let answer = self.server.conn.call(&context, &command, None)?;
        let message = answer.message().map_err(Error::from)?;
        match message.header.status {
            NtStatus::SUCCESS => {
                let reply = Ioctl::parse(&message).map_err(Error::from)?;
                check.check(reply.output)?;
            }
            status => check.check_failure(status)?,
        }
        self.validated.store(true, Relaxed);
        Ok(())
    }

    /// Sends one command on `tree`; the answer may have any status.
    pub(super) fn call<C: Command>(
        &self,
        tree: u32,
        command: &C,
        attempt: &Attempt,
    ) -> super::Result<Answer> {
        let context = self.during(tree, attempt);
        self.server.conn.call(&context, command, None)
    }

    /// On whose behalf requests on `tree` are made.
    pub(super) fn context(&self, tree: u32) -> Context {
        Context {
            session: self.id,
            tree,
            key: self.key.clone().filter(|_| self.sign_all),
            ..Context::default()
        }
    }

    /// The same while `attempt` is under way.
    fn during(&self, tree: u32, attempt: &Attempt) -> Context {
        Context {
            deadline: attempt.patience(),
            tag: attempt.tag(),
            ..self.context(tree)
        }
    }
}

#[inline(never)]
fn set_up(
    seeker: &Seeker,
    server: &Server,
    host: &str,
    previous: u64,
    attempt: &Attempt,
) -> core::result::Result<Established, Trouble> {
    let mut blob = KVec::from_elem(0, MAX_BLOB, GFP_KERNEL)?;
    let logon = Logon {
        credentials: seeker.account.options.credentials(),
        host,
        previous,
        now: time::filetime_now(),
    };
    let (mut setup, mut len) = SessionSetup::start(&server.negotiated, logon, &mut blob)?;
    loop {
        let context = Context {
            session: setup.session_id(),
            deadline: attempt.patience(),
            tag: attempt.tag(),
            ..Context::default()
        };
        let token = blob.get(..len).ok_or(Error::Malformed)?;
        let mut request = Request::new(&context, &setup.command(token))?;
        let [answer] = server.conn.call_parts(&mut request, None)?;
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
