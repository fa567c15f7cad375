// SPDX-License-Identifier: GPL-2.0

//! Names to addresses, and domains to their controllers, for one account.
//!
//! Names are those of the network namespace of the mount. In the first one user space is asked, as
//! all of the kernel does; but whoever asks, the kernel has user space answer from there. So in any
//! other, and where user space has no helper for it, `/etc/hosts` and the name servers of
//! `/etc/resolv.conf` are asked from here: those that the task saw that mounted, as they were then,
//! since it, and its mount namespace, may be gone when a name is needed. Controllers (DNS SRV), which user
//! space cannot be asked for, are always found this way.
//!
//! What a name resolved to last is kept, for when nobody can say any more.
//!
//! Lock: `Names::known` is a leaf.

mod inquire;

use super::{
    reconnect::{
        Attempt,
        Seeker, //
    },
    trouble::Trouble,
    world::Account, //
};
use crate::sys::{
    crypto,
    dns,
    errno,
    file,
    net::Net,
    time::now_ms,
    wait::Event, //
};
use core::net::IpAddr;
use inquire::{
    number,
    Inquest, //
};
use kernel::{
    new_mutex,
    prelude::*,
    sync::{
        atomic::{
            Atomic,
            Relaxed, //
        },
        Mutex, //
    }, //
};
use rsdfs_proto::{
    codec::Writer,
    dial::{
        interleave,
        MOST, //
    },
    dns::{
        files::{
            Hosts,
            ResolvConf, //
        },
        srv::{
            self,
            Rank, //
        },
        Kind,
        Question, //
    }, //
};

/// How much of `/etc/resolv.conf` is looked at, in bytes.
const CONF: usize = 4 << 10;

/// How much of `/etc/hosts` is looked at, in bytes.
const HOSTS: usize = 64 << 10;

/// How long finding an address may take, in milliseconds. A race for a mount gives up after 5 s, and it is
/// better to hear what was wrong.
const PATIENCE: u64 = 3500;

/// How long user space is waited for before name servers are asked from here, too, in milliseconds.
const ALONE: u64 = 500;

/// The same as [`PATIENCE`] if there is an old answer to make do with, and for finding controllers.
const HASTE: u64 = 500;

/// How many names are kept.
const KEPT: usize = 256;

/// How long a name counts as that of no domain once name servers said so, in milliseconds; and if they
/// did not answer.
const NO_DOMAIN: (u64, u64) = (600_000, 60_000);

/// See the module.
#[pin_data]
pub(crate) struct Names {
    /// `/etc/resolv.conf`
    conf: KVVec<u8>,
    /// `/etc/hosts`
    hosts: KVVec<u8>,
    /// The index of the name server that answered last.
    good: Atomic<usize>,
    #[pin]
    known: Mutex<KVec<Known>>,
}

/// What is known about a name.
struct Known {
    host: KVec<u8>,
    /// What it resolved to last.
    addresses: KVec<IpAddr>,
    /// Until when it counts as that of no domain, in milliseconds since boot; 0 if that was not asked.
    no_domain: u64,
}

impl Names {
    /// Knows what the current task would.
    pub(crate) fn read() -> impl PinInit<Self, Error> {
        let conf = lines(c"/etc/resolv.conf", CONF);
        let hosts = lines(c"/etc/hosts", HOSTS);
        try_pin_init!(Self {
            conf,
            hosts,
            good: Atomic::new(0),
            known <- new_mutex!(KVec::new()),
        })
    }

    /// Knows nobody to ask.
    pub(crate) fn none() -> impl PinInit<Self, Error> {
        try_pin_init!(Self {
            conf: KVVec::new(),
            hosts: KVVec::new(),
            good: Atomic::new(0),
            known <- new_mutex!(KVec::new()),
        })
    }

    /// What `host` resolved to last.
    fn recall(&self, host: &str) -> Result<Option<KVec<IpAddr>>> {
        let known = self.known.lock();
        let last = known.iter().find(|known| known.is(host));
        let last = last.filter(|known| !known.addresses.is_empty());
        last.map(|known| copy(&known.addresses)).transpose()
    }

    /// Whether `host` counts as that of no domain. What was none and has addresses stays a host: a failover
    /// is not to wait for name servers twice.
    fn is_no_domain(&self, host: &str) -> bool {
        if Hosts(text(&self.hosts)).addresses(host).next().is_some() {
            return true;
        }
        let known = self.known.lock();
        let found = known.iter().find(|known| known.is(host));
        found.is_some_and(|known| {
            now_ms() < known.no_domain || (known.no_domain > 0 && !known.addresses.is_empty())
        })
    }

    /// Changes what is known about `host`; beyond the limit, the name that came first is forgotten.
    fn note(&self, host: &str, change: impl FnOnce(&mut Known)) -> Result {
        let mut fresh = Known {
            host: KVec::with_capacity(host.len(), GFP_KERNEL)?,
            addresses: KVec::new(),
            no_domain: 0,
        };
        fresh.host.extend_from_slice(host.as_bytes(), GFP_KERNEL)?;
        let mut known = self.known.lock();
        if let Some(old) = known.iter_mut().find(|known| known.is(host)) {
            change(old);
            return Ok(());
        }
        change(&mut fresh);
        if known.len() >= KEPT {
            let _ = known.remove(0);
        }
        Ok(known.push(fresh, GFP_KERNEL)?)
    }

    /// Asks name servers for the addresses of `host`, after looking into `/etc/hosts`.
    fn ask(&self, net: &Net, host: &str, patience: u64, cancel: &Event) -> Result<KVec<IpAddr>> {
        let mut found = KVec::new();
        for ip in Hosts(text(&self.hosts)).addresses(host).take(MOST) {
            found.push(ip, GFP_KERNEL)?;
        }
        if !found.is_empty() {
            return Ok(found);
        }
        let conf = ResolvConf(text(&self.conf));
        let servers = self.servers()?;
        let end = now_ms().saturating_add(patience);
        let mut outcome = Err(errno::EHOSTUNREACH);
        for (name, domain) in conf.candidates(host) {
            let mut full = KVec::new();
            full.extend_from_slice(name.as_bytes(), GFP_KERNEL)?;
            if let Some(domain) = domain {
                full.push(b'.', GFP_KERNEL)?;
                full.extend_from_slice(domain.as_bytes(), GFP_KERNEL)?;
            }
            let name = text(&full);
            if !Question::is_name(name) {
                continue;
            }
            let question = |kind| Question {
                id: number(),
                name,
                kind,
            };
            let inquest = Inquest {
                net,
                servers: &servers,
                questions: [question(Kind::A), question(Kind::Aaaa)],
                patience: end.saturating_sub(now_ms()),
                cancel,
            };
            outcome = inquest.run(&mut |server, _, answer| {
                self.answered(&servers, server);
                for ip in answer.addresses().take(MOST) {
                    found.push(ip, GFP_KERNEL)?;
                }
                Ok(())
            });
            match outcome {
                Err(errno::EHOSTUNREACH) => {}
                _ => break,
            }
        }
        outcome.map(|()| found)
    }

    /// The controllers of `domain`, in the order in which they are to be tried, by DNS SRV (MS-ADTS
    /// 6.3.2.3).
    fn ask_controllers(&self, net: &Net, domain: &str, cancel: &Event) -> Result<KVec<Controller>> {
        let mut names = [KVec::new(), KVec::new()];
        for (name, service) in names
            .iter_mut()
            .zip(["_ldap._tcp.dc._msdcs.", "_ldap._tcp."])
        {
            name.extend_from_slice(service.as_bytes(), GFP_KERNEL)?;
            name.extend_from_slice(domain.as_bytes(), GFP_KERNEL)?;
        }
        let question = |name| Question {
            id: number(),
            name,
            kind: Kind::Srv,
        };
        let [controllers, servers] = &names;
        if !Question::is_name(text(controllers)) {
            return Err(errno::EHOSTUNREACH);
        }
        let name_servers = self.servers()?;
        let inquest = Inquest {
            net,
            servers: &name_servers,
            questions: [question(text(controllers)), question(text(servers))],
            patience: HASTE,
            cancel,
        };
        let mut found = [KVec::new(), KVec::new()];
        inquest.run(&mut |server, index, answer| {
            self.answered(&name_servers, server);
            let list = found.get_mut(index).ok_or(EINVAL)?;
            for service in answer.services() {
                let mut host = KVec::from_elem(0u8, 255, GFP_KERNEL)?;
                let mut w = Writer::new(&mut host);
                if service.host.text(&mut w).is_err() {
                    continue;
                }
                let len = w.written();
                host.truncate(len);
                let rank = Rank {
                    priority: service.priority,
                    weight: service.weight,
                };
                list.push(Controller { rank, host }, GFP_KERNEL)?;
            }
            Ok(())
        })?;
        // Those that are said to be controllers, or else all that have the directory.
        let [first, second] = found;
        let mut found = if first.is_empty() { second } else { first };
        srv::order(&mut found, |one| one.rank, random);
        Ok(found)
    }

    /// The name servers, the one that answered last first.
    fn servers(&self) -> Result<KVec<IpAddr>> {
        let mut servers = KVec::new();
        let good = self.good.load(Relaxed);
        for late in [false, true] {
            for (index, ip) in ResolvConf(text(&self.conf)).servers().enumerate() {
                if late == (index < good) {
                    servers.push(ip, GFP_KERNEL)?;
                }
            }
        }
        Ok(servers)
    }

    /// The server that is at this place of the list of `servers` has answered.
    fn answered(&self, servers: &[IpAddr], place: usize) {
        for (index, ip) in ResolvConf(text(&self.conf)).servers().enumerate() {
            if servers.get(place) == Some(&ip) {
                self.good.store(index, Relaxed);
            }
        }
    }
}

impl Known {
    fn is(&self, host: &str) -> bool {
        self.host.eq_ignore_ascii_case(host.as_bytes())
    }
}

/// A controller of a domain, as its name servers tell.
struct Controller {
    rank: Rank,
    host: KVec<u8>,
}

/// The addresses of `host`, in the order in which they are to be tried: those its name resolves to, the
/// one it is, or the one that was given.
#[inline(never)]
pub(super) fn addresses(
    seeker: &Seeker,
    host: &str,
    attempt: &Attempt,
) -> core::result::Result<KVec<IpAddr>, Trouble> {
    let given = seeker.account.options.address(host);
    if let Some(ip) = given.or_else(|| dns::literal(host)) {
        let mut only = KVec::with_capacity(1, GFP_KERNEL)?;
        only.push(ip, GFP_KERNEL)?;
        return Ok(only);
    }
    let names = &seeker.account.names;
    let last = names.recall(host)?;
    let patience = if last.is_some() { HASTE } else { PATIENCE };
    match (look_up(seeker, host, patience, attempt.cancelled()), last) {
        (Ok(mut found), _) => {
            interleave(&mut found);
            let kept = copy(&found)?;
            names.note(host, |known| known.addresses = kept)?;
            Ok(found)
        }
        (Err(errno::ECANCELED), _) => Err(Trouble::cancelled()),
        (Err(error @ (EINTR | ENOMEM)), _) => Err(error.into()),
        (Err(errno::EHOSTUNREACH), _) => {
            names.note(host, |known| known.addresses = KVec::new())?;
            let what = "unknown host: its name does not resolve";
            Err(Trouble::new(errno::EHOSTUNREACH, what))
        }
        (Err(_), Some(last)) => Ok(last),
        (Err(_), None) => {
            let what = "unknown host: nobody could say what its name resolves to";
            Err(Trouble::new(errno::EHOSTUNREACH, what))
        }
    }
}

#[inline(never)]
fn look_up(seeker: &Seeker, host: &str, patience: u64, cancel: &Event) -> Result<KVec<IpAddr>> {
    let Account { net, names, .. } = &*seeker.account;
    if !net.is_first() {
        return names.ask(net, host, patience, cancel);
    }
    let lookup = dns::Lookup::begin(seeker.world.queue(), net, host)?;
    let left = patience.saturating_sub(ALONE);
    match lookup.wait(patience.min(ALONE), cancel) {
        // There is no helper, or it has no answer, and does not tell whether anybody has.
        Err(
            errno::EHOSTUNREACH | errno::ENOKEY | errno::EKEYREJECTED | errno::EKEYEXPIRED | ENOENT,
        ) => names.ask(net, host, patience, cancel),
        // It may be waiting for the first of several name servers. What it says counts, if it does.
        Err(ETIMEDOUT) if left > 0 => match names.ask(net, host, left, cancel) {
            Err(errno::EHOSTUNREACH | ETIMEDOUT) => lookup.wait(left, cancel),
            outcome => outcome,
        },
        outcome => outcome,
    }
}

/// The controllers of `domain` that name servers tell of, in the order in which they are to be tried;
/// none if it is no domain, or nobody says so soon.
#[inline(never)]
pub(super) fn controllers(
    seeker: &Seeker,
    domain: &str,
    attempt: &Attempt,
    mut each: impl FnMut(&str) -> Result,
) -> Result {
    let account = &seeker.account;
    // Names without a dot are not those of domains in DNS.
    let given = account.options.address(domain).is_some() || dns::literal(domain).is_some();
    if given || !domain.contains('.') || account.names.is_no_domain(domain) {
        return Ok(());
    }
    let (told, silent) = NO_DOMAIN;
    let quiet = match (account.names).ask_controllers(&account.net, domain, attempt.cancelled()) {
        Ok(found) if !found.is_empty() => {
            return found.iter().try_for_each(|one| each(text(&one.host)));
        }
        Ok(_) | Err(errno::EHOSTUNREACH) => told,
        Err(error @ (errno::ECANCELED | EINTR | ENOMEM)) => return Err(error),
        Err(_) => silent,
    };
    let until = now_ms().saturating_add(quiet);
    account.names.note(domain, |known| known.no_domain = until)
}

/// The first `most` bytes of a file, whole lines of them, without what is not ASCII: names are.
fn lines(path: &CStr, most: usize) -> KVVec<u8> {
    let mut text = file::read(path, most).unwrap_or_default();
    if text.len() == most {
        let end = text.iter().rposition(|byte| *byte == b'\n');
        text.truncate(end.unwrap_or(0));
    }
    for byte in text.iter_mut().filter(|byte| !byte.is_ascii()) {
        *byte = b'?';
    }
    text
}

fn text(bytes: &[u8]) -> &str {
    core::str::from_utf8(bytes).unwrap_or_default()
}

fn copy(list: &[IpAddr]) -> Result<KVec<IpAddr>> {
    let mut copy = KVec::with_capacity(list.len(), GFP_KERNEL)?;
    copy.extend_from_slice(list, GFP_KERNEL)?;
    Ok(copy)
}

fn random() -> u32 {
    let mut bytes = [0; 4];
    crypto::random(&mut bytes);
    u32::from_ne_bytes(bytes)
}
