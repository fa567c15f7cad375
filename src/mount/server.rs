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
        errno,
        net::Net,
        socket::{
            ConnectOpts,
            Connecting,
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
    dial::{
        Dial,
        Step,
        AT_ONCE, //
    },
    frame::MAX_PAYLOAD,
    handshake::{
        Negotiated,
        Negotiation,
        Offer, //
    },
    time::Instant, //
};

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

/// Connects to one of `addresses`, each tried while those before it are still under way; those that were
/// not needed are closed.
#[inline(never)]
fn connect(
    seeker: &Seeker,
    addresses: &[IpAddr],
    attempt: &Attempt,
) -> core::result::Result<(TcpSocket, SocketAddr), Trouble> {
    let options = &seeker.account.options;
    let patience = options.echo_interval_ms().saturating_add(USER_TIMEOUT_MS);
    let opts = ConnectOpts {
        net: &seeker.account.net,
        user_timeout_ms: patience as u32,
    };
    let now = || Instant(now_ms());
    let mut dial = Dial::new(addresses.len(), now());
    let mut pending: KVec<(usize, Connecting)> = KVec::with_capacity(AT_ONCE, GFP_KERNEL)?;
    let mut failure = Trouble::from(errno::EHOSTUNREACH);
    loop {
        while let Some(at) = pending.iter().position(|(_, one)| one.is_settled()) {
            let (index, settled) = pending.remove(at).map_err(|_| EINVAL)?;
            let address = settled.address();
            match settled.settle() {
                Ok(socket) => return Ok((socket, address)),
                Err(error) => {
                    failure = error.into();
                    dial.failed(index, now());
                }
            }
        }
        match dial.poll(now()) {
            Step::Begin(index) => {
                let ip = addresses.get(index).ok_or(EINVAL)?;
                match Connecting::begin(SocketAddr::new(*ip, options.port()), &opts) {
                    Ok(begun) => pending.push((index, begun), GFP_KERNEL)?,
                    Err(error) => {
                        failure = error.into();
                        dial.failed(index, now());
                    }
                }
            }
            Step::Drop(index) => {
                pending.retain(|(other, _)| *other != index);
                failure = ETIMEDOUT.into();
            }
            Step::Wait(until) => {
                let (left, cancel) = (now().until(until).0, attempt.cancelled());
                match Connecting::wait_any(&pending, |(_, one)| one, cancel, left) {
                    Ok(_) => {}
                    Err(errno::ECANCELED) => return Err(Trouble::cancelled()),
                    Err(error) => return Err(error.into()),
                }
            }
            Step::Failed => return Err(failure),
        }
    }
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
