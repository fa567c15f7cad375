// SPDX-License-Identifier: GPL-2.0

//! Names of hosts to addresses, with the help of user space (`request-key`, `key.dns_resolver`).
//!
//! The kernel keeps answers for as long as user space says; see
//! [`Documentation/networking/dns_resolver.rst`](srctree/Documentation/networking/dns_resolver.rst).
//!
//! C header: [`include/linux/dns_resolver.h`](srctree/include/linux/dns_resolver.h)

use super::{
    bindings,
    errno,
    net::Net,
    wait::{
        self,
        Event,
        Order,
        Sleep, //
    },
    work::Handle, //
};
use core::{
    net::IpAddr,
    ptr::null_mut,
    slice, //
};
use kernel::{
    new_mutex,
    prelude::*,
    sync::{
        Arc,
        Mutex, //
    }, //
};

/// At most so many addresses of a host are used.
const MOST: usize = 16;

/// The shortest name that `dns_query()` takes, in bytes.
const SHORTEST: usize = 3;

/// What is asked for. The helper gives addresses of both families for it, as it does without a type,
/// but the kernel keeps the answer under another name: `cifs.ko` and others ask without a type for
/// one address, and cannot read the list of them that is asked for here.
const TYPE: &CStr = c"a";

/// A question to user space, shared with the work that asks it.
#[pin_data]
pub(crate) struct Lookup {
    #[pin]
    answer: Mutex<Option<Result<KVec<IpAddr>>>>,
    #[pin]
    done: Event,
}

impl Lookup {
    /// Begins to look for the addresses of the host `name`, on `queue`: user space may take its time,
    /// and cannot be interrupted.
    pub(crate) fn begin(queue: &Handle, net: &Net, name: &str) -> Result<Arc<Self>> {
        if name.is_empty() || name.contains('\0') {
            return Err(EINVAL);
        }
        let mut host = KVec::with_capacity(name.len().max(SHORTEST), GFP_KERNEL)?;
        host.extend_from_slice(name.as_bytes(), GFP_KERNEL)?;
        // The name is taken up to its first NUL, but must not be shorter with all of them.
        host.resize(name.len().max(SHORTEST), 0, GFP_KERNEL)?;
        let init = pin_init!(Lookup {
            answer <- new_mutex!(None),
            done <- Event::new(),
        });
        let lookup = Arc::pin_init(init, GFP_KERNEL)?;
        let (theirs, net) = (lookup.clone(), net.clone());
        queue.run(GFP_KERNEL, move || {
            let answer = query(&net, &host);
            *theirs.answer.lock() = Some(answer);
            theirs.done.set();
        })?;
        Ok(lookup)
    }

    /// What was found, in the order user space prefers; waits for at most `timeout` milliseconds
    /// (then: `ETIMEDOUT`), and may be called again after that.
    ///
    /// Fails with `EHOSTUNREACH` if the name has no address, with `ENOKEY` and its like if user space
    /// has no helper, or that has no answer, or with what it says (`EAGAIN`, `ECONNREFUSED`); with
    /// `ECANCELED` as soon as `cancel` is set, and with `EINTR` if the task is killed.
    pub(crate) fn wait(&self, timeout: u64, cancel: &Event) -> Result<KVec<IpAddr>> {
        let ready = || self.done.is_set() || cancel.is_set();
        let queues = [self.done.raw(), cancel.raw()];
        // SAFETY: They belong to events, which are both borrowed.
        unsafe { wait::wait(queues, Sleep::Killable, Order::All, Some(timeout), ready) }?;
        let answer = self.answer.lock().take();
        answer.unwrap_or(match cancel.is_set() {
            true => Err(errno::ECANCELED),
            false => Err(ETIMEDOUT),
        })
    }
}

/// The address that `name` is itself, if it is one.
pub(crate) fn literal(name: &str) -> Option<IpAddr> {
    match name
        .strip_prefix('[')
        .and_then(|name| name.strip_suffix(']'))
    {
        Some(inner) => inner.parse().ok().filter(IpAddr::is_ipv6),
        None => name.parse().ok(),
    }
}

/// Asks user space: `dns_query()`.
fn query(net: &Net, host: &[u8]) -> Result<KVec<IpAddr>> {
    let mut text = null_mut();
    // SAFETY: The namespace and the name are valid, type and options NUL-terminated; `text` may be
    // written and is a string of our own if the call succeeds. It tolerates all other nulls.
    let len = unsafe {
        bindings::dns_query(
            net.as_ptr(),
            TYPE.as_char_ptr(),
            host.as_ptr().cast(),
            host.len(),
            c"list".as_char_ptr(),
            &mut text,
            null_mut(),
            false,
        )
    };
    let len = usize::try_from(len).map_err(|_| failure(len))?;
    // SAFETY: `dns_query` allocated `len` bytes and a NUL.
    let list = parse(unsafe { slice::from_raw_parts(text.cast::<u8>(), len) });
    // SAFETY: Ours to free, and not used any more.
    unsafe { bindings::kfree(text.cast()) };
    list
}

/// Why there is no answer: an errno, or what `h_errno` is in user space (which helper says which
/// depends on its age), with the sign changed. No signal reaches the task that asks.
fn failure(code: c_int) -> Error {
    match code.saturating_neg() {
        // HOST_NOT_FOUND, NO_DATA.
        1 | 4 => errno::EHOSTUNREACH,
        // TRY_AGAIN, NO_RECOVERY.
        2 | 3 => EAGAIN,
        _ => Error::from_errno(code),
    }
}

/// Reads the answer of user space: addresses separated by commas.
fn parse(text: &[u8]) -> Result<KVec<IpAddr>> {
    let mut list = KVec::new();
    let text = core::str::from_utf8(text).map_err(|_| errno::EBADMSG)?;
    for word in text.split([',', '\n', '\0']).take(MOST) {
        if let Some(ip) = literal(word.trim()) {
            list.push(ip, GFP_KERNEL)?;
        }
    }
    if list.is_empty() {
        return Err(errno::EHOSTUNREACH);
    }
    Ok(list)
}
