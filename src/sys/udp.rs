// SPDX-License-Identifier: GPL-2.0

//! UDP, as a client: a socket for each peer, so that nobody else's datagrams are received and that
//! the peer's refusal is heard.
//!
//! C header: [`include/linux/net.h`](srctree/include/linux/net.h)

use super::{
    bindings,
    errno,
    net::Net,
    socket::SocketAddr,
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
    prelude::*, //
};

/// How many sockets can be waited for at once.
const MOST: usize = 3;

/// A UDP socket with one peer.
///
/// # Invariants
///
/// The pointer is a valid `struct socket` of type UDP, which this value owns.
pub(crate) struct UdpSocket(NonNull<bindings::socket>);

// SAFETY: Sockets are made to be used by many tasks, and have a lock of their own.
unsafe impl Send for UdpSocket {}
// SAFETY: As above.
unsafe impl Sync for UdpSocket {}

impl UdpSocket {
    /// A socket in `net`, at a port of the kernel's choice, for datagrams to and from `peer`.
    pub(crate) fn new(net: &Net, peer: &SocketAddr) -> Result<Self> {
        let mut sock = null_mut();
        // SAFETY: The namespace is valid, and `sock` may be written.
        to_result(unsafe { bindings::rsdfs_udp_create(net.as_ptr(), peer.is_ipv6(), &mut sock) })?;
        // INVARIANT: Made just now, for us, for UDP.
        let socket = Self(NonNull::new(sock).ok_or(ENOMEM)?);
        let (v6, ip) = match peer {
            SocketAddr::V4(v4) => (false, &v4.ip().octets()[..]),
            SocketAddr::V6(v6) => (true, &v6.ip().octets()[..]),
        };
        // SAFETY: Valid by the type invariant; the address has 4 or 16 bytes, as `v6` says.
        to_result(unsafe {
            bindings::rsdfs_sock_connect(socket.0.as_ptr(), v6, ip.as_ptr(), peer.port(), 0)
        })?;
        Ok(socket)
    }

    /// Sends a datagram. Fails, without having sent it, with what the network said last, such as
    /// `ECONNREFUSED`.
    pub(crate) fn send(&self, data: &[u8]) -> Result {
        // SAFETY: Valid by the type invariant, and `data` may be read.
        let sent = unsafe {
            bindings::rsdfs_sock_send(self.0.as_ptr(), data.as_ptr().cast(), data.len(), false)
        };
        to_result(sent)
    }

    /// The number of bytes of a datagram, which is put into `buf` as far as it fits; `None` if none
    /// has come. Does not wait.
    pub(crate) fn receive(&self, buf: &mut [u8]) -> Result<Option<usize>> {
        // SAFETY: Valid by the type invariant, and `buf` may be written.
        let received = unsafe {
            bindings::rsdfs_sock_recv(self.0.as_ptr(), buf.as_mut_ptr().cast(), buf.len())
        };
        match usize::try_from(received) {
            Ok(len) => Ok(Some(len)),
            Err(_) => match Error::from_errno(received) {
                EAGAIN => Ok(None),
                error => Err(error),
            },
        }
    }

    /// Waits until `ready`, which is looked at when something has come for one of `sockets`, of which
    /// there are three at most; for at most `timeout` milliseconds.
    ///
    /// Fails with `ECANCELED` as soon as `cancel` is set, or with `EINTR` if the task is killed.
    pub(crate) fn wait_any(
        sockets: &[Option<Self>; MOST],
        cancel: &Event,
        timeout: u64,
        mut ready: impl FnMut() -> bool,
    ) -> Result<Outcome> {
        // A place that is not needed waits for the cancellation once more.
        let mut queues = [cancel.raw(); MOST + 1];
        for (queue, socket) in queues.iter_mut().zip(sockets.iter().flatten()) {
            // SAFETY: Valid by the type invariant.
            *queue = unsafe { bindings::rsdfs_sock_queue(socket.0.as_ptr()) };
        }
        let ready = || cancel.is_set() || ready();
        let (how, limit) = (Sleep::Killable, Some(timeout));
        // SAFETY: They belong to the sockets and to the event, which are all borrowed.
        let outcome = unsafe { wait::wait(queues, how, Order::All, limit, ready) }?;
        match cancel.is_set() {
            true => Err(errno::ECANCELED),
            false => Ok(outcome),
        }
    }
}

impl Drop for UdpSocket {
    fn drop(&mut self) {
        // SAFETY: Ours by the type invariant, and nobody borrows it any more.
        unsafe { bindings::sock_release(self.0.as_ptr()) }
    }
}
