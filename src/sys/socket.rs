// SPDX-License-Identifier: GPL-2.0

//! TCP connections.
//!
//! All calls into TCP are non-blocking; waiting is done here, killably and with a time limit, so
//! that neither a signal nor a time-out can lose or cut data unnoticed. [`TcpSocket::shutdown`] may
//! be called at any time from any thread, and ends all that wait.
//!
//! C headers: [`include/linux/net.h`](srctree/include/linux/net.h),
//! [`include/linux/tcp.h`](srctree/include/linux/tcp.h)

mod connecting;

pub(crate) use connecting::Connecting;

use super::{
    bindings,
    iter::{
        Dest,
        Source, //
    },
    net::Net,
    time,
    wait::{
        self,
        Event,
        Order,
        Outcome,
        Sleep, //
    }, //
};
use core::ptr::{
    null_mut,
    NonNull, //
};
use kernel::{
    error::to_result,
    prelude::*,
    sync::atomic::{
        Atomic,
        Relaxed, //
    }, //
};

pub(crate) use core::net::SocketAddr;

/// How a connection is made.
pub(crate) struct ConnectOpts<'a> {
    /// Where the address is looked up and the socket lives; the socket keeps it.
    pub(crate) net: &'a Net,
    /// For how long data may stay unacknowledged before the connection fails with `ETIMEDOUT`, in
    /// milliseconds: `TCP_USER_TIMEOUT`. 0: as long as TCP tries.
    pub(crate) user_timeout_ms: u32,
}

/// What came in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Received {
    /// This many bytes, at least one.
    Data(usize),
    /// Nothing, in the time there was.
    TimedOut,
    /// Nothing will come any more: the peer, or [`TcpSocket::shutdown`], ended the stream.
    Closed,
}

/// Why a message was not sent as a whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Unsent {
    /// What happened. `ETIMEDOUT`: no room in the time given.
    pub(crate) error: Error,
    /// How many bytes TCP took before. Unless it is 0 the stream cannot be used any more.
    pub(crate) sent: usize,
}

/// A place in the stream of bytes that were sent.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Mark(u32);

/// A TCP connection.
///
/// Any number of threads may use it; whoever sends or receives messages that others must not cut
/// into holds a lock of their own. It never sends keep-alives and allocates with `GFP_NOFS`.
///
/// # Invariants
///
/// The pointer is a valid `struct socket` of type TCP, which this value owns.
pub(crate) struct TcpSocket {
    sock: NonNull<bindings::socket>,
    /// When data was last sent with nothing unacknowledged before it, by [`time::now_ms`].
    owed_since: Atomic<u64>,
}

// SAFETY: Sockets are made to be used by many tasks, and have a lock of their own.
unsafe impl Send for TcpSocket {}
// SAFETY: As above.
unsafe impl Sync for TcpSocket {}

/// There is something to receive, if only an error or the end of the stream.
const READABLE: u32 = bindings::RSDFS_SOCK_READABLE | BROKEN;
/// Sending will not be told to wait.
const WRITABLE: u32 = bindings::RSDFS_SOCK_WRITABLE | BROKEN;
/// The connection is no more.
const BROKEN: u32 = bindings::RSDFS_SOCK_BROKEN;

/// How long to let the system recover when TCP has room, but no memory, in milliseconds.
const NO_MEMORY_MS: u64 = 10;

impl TcpSocket {
    /// Connects to `addr`.
    ///
    /// Fails with `ETIMEDOUT` after `timeout` milliseconds, with `ECANCELED` as soon as `cancel` is set,
    /// with `EINTR` if the task is killed, or with what the network says (`ECONNREFUSED`, ...).
    pub(crate) fn connect(
        addr: SocketAddr,
        opts: &ConnectOpts<'_>,
        timeout: u64,
        cancel: &Event,
    ) -> Result<Self> {
        let pending = [Connecting::begin(addr, opts)?];
        match Connecting::wait_any(&pending, |one| one, cancel, timeout)? {
            Outcome::TimedOut => Err(ETIMEDOUT),
            Outcome::Ready => {
                let [connecting] = pending;
                connecting.settle()
            }
        }
    }

    /// Sends `parts` one after the other, and then `body`, as one message.
    ///
    /// Waits for room, at most `timeout` milliseconds each time (`None`: for ever; TCP itself gives
    /// up after [`ConnectOpts::user_timeout_ms`]). With `splice` the pages of `body` are not copied
    /// but referred to, and must not change until the peer has acknowledged them.
    pub(crate) fn send_all(
        &self,
        parts: &[&[u8]],
        body: Option<&mut Source<'_>>,
        splice: bool,
        timeout: Option<u64>,
    ) -> core::result::Result<(), Unsent> {
        let mut sent = 0;
        self.send_parts(parts, body, splice, timeout, &mut sent)
            .map_err(|error| Unsent { error, sent })
    }

    fn send_parts(
        &self,
        parts: &[&[u8]],
        body: Option<&mut Source<'_>>,
        splice: bool,
        timeout: Option<u64>,
        sent: &mut usize,
    ) -> Result {
        let body = body.filter(|body| !body.is_empty());
        let mut parts = parts;
        while let Some((part, rest)) = parts.split_first() {
            let more = body.is_some() || rest.iter().any(|part| !part.is_empty());
            self.send_buffer(part, more, timeout, sent)?;
            parts = rest;
        }
        let Some(body) = body else {
            return Ok(());
        };
        let splice = splice && body.has_pages();
        while !body.is_empty() {
            let len = body.len();
            match body.parts() {
                Err(buffer) => {
                    self.send_buffer(buffer, false, timeout, sent)?;
                    body.advance(len);
                }
                Ok(iter) => {
                    // SAFETY: The socket is valid by the type invariant; the iterator is that of a
                    // source, which is borrowed, and is moved on by what was sent.
                    let n = self.send(timeout, |sock| unsafe {
                        bindings::rsdfs_sock_send_iter(sock, iter, len, splice, false)
                    })?;
                    *sent = sent.saturating_add(n);
                }
            }
        }
        Ok(())
    }

    fn send_buffer(
        &self,
        mut data: &[u8],
        more: bool,
        timeout: Option<u64>,
        sent: &mut usize,
    ) -> Result {
        while !data.is_empty() {
            let (start, len) = (data.as_ptr(), data.len());
            // SAFETY: The socket is valid by the type invariant, and `data` may be read.
            let n = self.send(timeout, |sock| unsafe {
                bindings::rsdfs_sock_send(sock, start.cast(), len, more)
            })?;
            *sent = sent.saturating_add(n);
            data = data.get(n..).unwrap_or(&[]);
        }
        Ok(())
    }

    /// Calls `send` until it takes something.
    fn send(
        &self,
        timeout: Option<u64>,
        mut send: impl FnMut(*mut bindings::socket) -> c_int,
    ) -> Result<usize> {
        let mut starved = false;
        if self.silent_ms().is_none() {
            self.owed_since.store(time::now_ms(), Relaxed);
        }
        loop {
            match send(self.sock.as_ptr()) {
                n if n > 0 => return Ok(n as usize),
                0 => return Err(EPIPE),
                n => match Error::from_errno(n) {
                    EAGAIN => {}
                    error => return Err(error),
                },
            }
            if starved {
                // There was room, but no memory, of whose return TCP tells nobody.
                self.wait(BROKEN, Sleep::Idle, Some(NO_MEMORY_MS))?;
            }
            // Not killably: a message that is cut ends the connection for everybody.
            if self.wait(WRITABLE, Sleep::Idle, timeout)? == Outcome::TimedOut {
                return Err(ETIMEDOUT);
            }
            starved = true;
        }
    }

    /// Receives what there is, at most `buf`; waits until there is something.
    ///
    /// Waits for at most `timeout` milliseconds (`None`: for ever). Fails with `EINTR` if the task
    /// is killed, or with what broke the connection (`ECONNRESET`, `ETIMEDOUT`, ...).
    pub(crate) fn recv_some(&self, buf: &mut [u8], timeout: Option<u64>) -> Result<Received> {
        if buf.is_empty() {
            return Err(EINVAL);
        }
        // SAFETY: The socket is valid by the type invariant, and `buf` may be written.
        self.recv(timeout, |sock| unsafe {
            bindings::rsdfs_sock_recv(sock, buf.as_mut_ptr().cast(), buf.len())
        })
    }

    /// Receives what there is, at most `len` bytes, straight into `dest`; as [`Self::recv_some`].
    ///
    /// `dest` remembers what has arrived.
    pub(crate) fn recv_into(
        &self,
        dest: &mut Dest<'_>,
        len: usize,
        timeout: Option<u64>,
    ) -> Result<Received> {
        let len = len.min(dest.len());
        if len == 0 {
            return Err(EINVAL);
        }
        let received = match dest.parts() {
            Err(buffer) => self.recv_some(buffer.get_mut(..len).ok_or(EINVAL)?, timeout)?,
            // SAFETY: The socket is valid by the type invariant; the iterator is that of a
            // destination, which is borrowed, and is moved on by what was received.
            Ok(iter) => self.recv(timeout, |sock| unsafe {
                bindings::rsdfs_sock_recv_iter(sock, iter, len)
            })?,
        };
        if let Received::Data(n) = received {
            dest.advance_buffer(n);
        }
        Ok(received)
    }

    /// Calls `recv` until it says something.
    fn recv(
        &self,
        timeout: Option<u64>,
        mut recv: impl FnMut(*mut bindings::socket) -> c_int,
    ) -> Result<Received> {
        loop {
            match recv(self.sock.as_ptr()) {
                0 => return Ok(Received::Closed),
                n if n > 0 => return Ok(Received::Data(n as usize)),
                n => match Error::from_errno(n) {
                    EAGAIN => {}
                    error => return Err(error),
                },
            }
            if self.wait(READABLE, Sleep::Killable, timeout)? == Outcome::TimedOut {
                return Ok(Received::TimedOut);
            }
        }
    }

    /// Resets the connection: `tcp_abort()`. Those who send fail, those who receive get what has arrived and
    /// then [`Received::Closed`]; what the peer has not acknowledged is never sent again.
    pub(crate) fn abort(&self) {
        // SAFETY: Valid, and TCP, by the type invariant.
        unsafe { bindings::rsdfs_sock_abort(self.sock.as_ptr()) };
    }

    /// The place behind all that was given to TCP so far.
    pub(crate) fn mark(&self) -> Mark {
        // SAFETY: Valid, and TCP, by the type invariant.
        Mark(unsafe { bindings::rsdfs_sock_written(self.sock.as_ptr()) })
    }

    /// Whether the peer has all before `mark`: what was sent up to there is never sent again, to any
    /// effect. Once true it stays true, but for a connection that has moved on by 2 GiB, which may deny it.
    pub(crate) fn has_acked(&self, mark: Mark) -> bool {
        // SAFETY: Valid, and TCP, by the type invariant.
        unsafe { bindings::rsdfs_sock_acked(self.sock.as_ptr(), mark.0) }
    }

    /// The smoothed round trip time as TCP measured it, in milliseconds; 0 if unknown.
    pub(crate) fn rtt_ms(&self) -> u32 {
        // SAFETY: Valid, and TCP, by the type invariant.
        unsafe { bindings::rsdfs_sock_rtt_ms(self.sock.as_ptr()) }
    }

    /// Whether a small message could be sent now without waiting.
    pub(crate) fn has_room(&self) -> bool {
        self.poll() & WRITABLE != 0
    }

    /// For how many milliseconds the peer has owed us an ACK; 0 if it owes none.
    pub(crate) fn unacked_ms(&self) -> u64 {
        match self.silent_ms() {
            None => 0,
            Some(silent) => {
                silent.min(time::now_ms().saturating_sub(self.owed_since.load(Relaxed)))
            }
        }
    }

    /// The time since the last ACK in milliseconds, if one is owed.
    fn silent_ms(&self) -> Option<u64> {
        // SAFETY: Valid, and TCP, by the type invariant.
        u64::try_from(unsafe { bindings::rsdfs_sock_silent_ms(self.sock.as_ptr()) }).ok()
    }

    /// Makes a socket that is not connected.
    fn open(addr: &SocketAddr, opts: &ConnectOpts<'_>) -> Result<Self> {
        let mut sock = null_mut();
        // SAFETY: The namespace is valid, and `sock` may be written.
        to_result(unsafe {
            bindings::rsdfs_sock_create(
                opts.net.as_ptr(),
                addr.is_ipv6(),
                opts.user_timeout_ms,
                &mut sock,
            )
        })?;
        let sock = NonNull::new(sock).ok_or(ENOMEM)?;
        // INVARIANT: Made just now, for us, for TCP.
        Ok(TcpSocket {
            sock,
            owed_since: Atomic::new(0),
        })
    }

    /// Begins to connect, or says what came of it.
    fn start(&self, addr: &SocketAddr) -> Result {
        let (v6, ip, scope) = match addr {
            SocketAddr::V4(v4) => (false, &v4.ip().octets()[..], 0),
            SocketAddr::V6(v6) => (true, &v6.ip().octets()[..], v6.scope_id()),
        };
        let port = addr.port();
        // SAFETY: Valid by the type invariant; the address has 4 or 16 bytes, as `v6` says.
        to_result(unsafe {
            bindings::rsdfs_sock_connect(self.sock.as_ptr(), v6, ip.as_ptr(), port, scope)
        })
    }

    /// Waits until one of `bits` shows.
    fn wait(&self, bits: u32, how: Sleep, timeout: Option<u64>) -> Result<Outcome> {
        let ready = || self.poll() & bits != 0;
        // SAFETY: The queue belongs to the socket, which is borrowed.
        unsafe { wait::wait([self.queue()], how, Order::All, timeout, ready) }
    }

    /// The `RSDFS_SOCK_*` bits of the socket: `tcp_poll()`.
    fn poll(&self) -> u32 {
        // SAFETY: Valid, and TCP, by the type invariant.
        unsafe { bindings::rsdfs_sock_poll(self.sock.as_ptr()) }
    }

    fn queue(&self) -> *mut bindings::wait_queue_head {
        // SAFETY: Valid by the type invariant.
        unsafe { bindings::rsdfs_sock_queue(self.sock.as_ptr()) }
    }
}

impl Drop for TcpSocket {
    fn drop(&mut self) {
        // SAFETY: Ours by the type invariant, and nobody borrows it any more.
        unsafe { bindings::sock_release(self.sock.as_ptr()) }
    }
}
