// SPDX-License-Identifier: GPL-2.0

//! A server that has been connected to, and negotiated with.

use super::{
    lease::Ear,
    reconnect::{
        Attempt,
        Seeker, //
    },
    trouble::Trouble,
    world::Account, //
};
use crate::{
    sys::{
        crypto::KernelCrypto,
        dns,
        errno,
        net::Net,
        socket::{
            ConnectOpts,
            SocketAddr,
            TcpSocket, //
        },
        time::now_ms, //
    },
    transport::{
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
    frame::MAX_PAYLOAD,
    handshake::{
        Negotiated,
        Negotiation,
        Offer, //
    }, //
};

/// A connection attempt to one address may take this long, in milliseconds, while others wait.
const CONNECT_MS: u64 = 1500;

/// TCP gives a connection up so much later than the receiver does, who tells a silent network from a
/// server that takes no more data, in milliseconds.
const USER_TIMEOUT_MS: u64 = 5000;

/// The most bytes of a frame besides its payload.
const OVERHEAD: usize = 64 << 10;

/// The last [`Server::serial`].
static SERIAL: Atomic<u64> = Atomic::new(0);

/// A connection that sessions can be set up on, shared by all that agree with its
/// [`Account`] in what is seen on the wire.
pub(crate) struct Server {
    pub(super) conn: Arc<Conn>,
    pub(super) negotiated: Negotiated,
    /// When it was negotiated with, in milliseconds since boot.
    since: u64,
    /// The address it is connected to.
    pub(crate) address: SocketAddr,
    /// Tells the connection from all others.
    serial: u64,
    /// By what name, as it was asked for first.
    host: KVec<u8>,
    /// For whom it was made.
    account: Arc<Account>,
}

impl Server {
    /// Connects to one of `addresses` of `host`, and negotiates.
    #[inline(never)] // What it has on the stack shall be gone when the log-on begins.
    pub(super) fn connect(
        seeker: &Seeker,
        host: &str,
        addresses: &[IpAddr],
        attempt: &Attempt,
    ) -> core::result::Result<Arc<Self>, Trouble> {
        let (socket, address) = connect(seeker, addresses, attempt)?;
        attempt.step();
        let tuning = Tuning {
            echo_interval: seeker.account.options.echo_interval_ms(),
        };
        let serial = SERIAL.fetch_add(1, Relaxed).saturating_add(1);
        let ear = KBox::new(Ear { serial }, GFP_KERNEL)?;
        let conn = Conn::new(socket, tuning, ear)?;
        attempt.hold(&conn);
        let negotiated = negotiate(seeker, &conn, host, attempt)?;
        attempt.step();
        conn.negotiated(Limits {
            frame: OVERHEAD.saturating_add(MAX_PAYLOAD as usize),
            multi_credit: negotiated.multi_credit(),
        });
        let mut name = KVec::with_capacity(host.len(), GFP_KERNEL)?;
        name.extend_from_slice(host.as_bytes(), GFP_KERNEL)?;
        let server = Self {
            conn,
            negotiated,
            since: now_ms(),
            address,
            serial,
            host: name,
            account: seeker.account.clone(),
        };
        Ok(Arc::new(server, GFP_KERNEL)?)
    }

    /// The time by its clock, as a FILETIME, as far as it can be told without asking.
    pub(super) fn clock(&self) -> u64 {
        let passed = now_ms().saturating_sub(self.since);
        (self.negotiated.system_time).saturating_add(passed.saturating_mul(10_000))
    }

    /// Whether this connection serves `account` at one of `addresses`.
    pub(super) fn suits(&self, account: &Account, addresses: &[IpAddr]) -> bool {
        self.conn.dead().is_none()
            && self.account.same_wire(account)
            && self.address.port() == account.options.port()
            && addresses.iter().any(|ip| *ip == self.address.ip())
    }

    /// Whether this connection serves `account` as the server with this name.
    pub(super) fn is_host(&self, account: &Account, host: &str) -> bool {
        let given = account.options.address(host);
        self.account.same_wire(account)
            && self.address.port() == account.options.port()
            && given.is_none_or(|ip| ip == self.address.ip())
            && self.host().eq_ignore_ascii_case(host)
    }

    /// By what name it was asked for first.
    pub(crate) fn host(&self) -> &str {
        core::str::from_utf8(&self.host).unwrap_or_default()
    }

    /// What it calls itself (MS-SMB2 2.2.4, ServerGuid), whatever its name and address.
    pub(super) fn guid(&self) -> [u8; 16] {
        self.negotiated.server_guid
    }

    /// Tells the connection from all others.
    pub(super) fn serial(&self) -> u64 {
        self.serial
    }

    /// The network namespace it is connected from.
    pub(crate) fn net(&self) -> &Net {
        &self.account.net
    }

    /// The connection.
    pub(crate) fn conn(&self) -> &Conn {
        &self.conn
    }

    /// The name of the dialect spoken.
    pub(crate) fn dialect(&self) -> &'static str {
        self.negotiated.dialect.name()
    }
}

/// The addresses of `host`: those its name resolves to, or the one that was given.
pub(super) fn addresses(
    seeker: &Seeker,
    host: &str,
) -> core::result::Result<KVec<IpAddr>, Trouble> {
    let Some(ip) = seeker.account.options.address(host) else {
        return resolve(seeker, host);
    };
    let mut only = KVec::with_capacity(1, GFP_KERNEL)?;
    only.push(ip, GFP_KERNEL)?;
    Ok(only)
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

/// Connects to the first of `addresses` that answers.
#[inline(never)]
fn connect(
    seeker: &Seeker,
    addresses: &[IpAddr],
    attempt: &Attempt,
) -> core::result::Result<(TcpSocket, SocketAddr), Trouble> {
    let options = &seeker.account.options;
    let mut failure = Trouble::from(errno::EHOSTUNREACH);
    let patience = options.echo_interval_ms().saturating_add(USER_TIMEOUT_MS);
    for (i, ip) in addresses.iter().enumerate() {
        let address = SocketAddr::new(*ip, options.port());
        // The last one may take as long as the race lets it.
        let last = i.saturating_add(1) == addresses.len();
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

#[inline(never)]
fn negotiate(
    seeker: &Seeker,
    conn: &Conn,
    host: &str,
    attempt: &Attempt,
) -> core::result::Result<Negotiated, Trouble> {
    let options = &seeker.account.options;
    let offer = Offer {
        versions: options.versions(),
        guid: seeker.world.client_guid,
        signing: options.signing(),
        host,
    };
    let mut negotiation = Negotiation::new(&KernelCrypto, offer);
    let context = Context {
        deadline: attempt.patience(),
        tag: attempt.tag(),
        ..Context::default()
    };
    let mut request = Request::new(&context, &negotiation.command())?;
    let [answer] = conn.call_parts(&mut request, None)?;
    negotiation.sent(&KernelCrypto, request.message());
    let message = answer.message().map_err(Error::from)?;
    Ok(negotiation.reply(&KernelCrypto, &message)?)
}
