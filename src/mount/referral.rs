// SPDX-License-Identifier: GPL-2.0

//! Asking servers for referrals, and putting what they say into the cache.

use super::{
    reconnect::{
        Attempt,
        Cached,
        Seeker, //
    },
    session::{
        success,
        Place,
        Session, //
    },
    trouble::Trouble,
    Result, //
};
use crate::{
    dfs::{
        cache::Blob,
        domains::Domain, //
    },
    sys::{
        errno,
        time::now_ms, //
    },
    transport::Error, //
};
use core::net::Ipv4Addr;
use kernel::prelude::*;
use rsdfs_proto::{
    codec::Writer,
    dfs::{
        entry::{
            bare,
            Entry,
            NameList, //
        },
        path::{
            Path,
            MAX_LEN, //
        },
        referral::{
            Request,
            Subject, //
        }, //
    },
    smb2::{
        ioctl::Ioctl,
        Command, //
    },
    status::NtStatus,
    time::Instant, //
};

/// Room for the answer, in bytes; if it is not enough, [`LARGE`].
const SMALL: u32 = 16 << 10;

/// The most a referral may have, in bytes.
const LARGE: u32 = 64 << 10;

/// Asks the server of `session` where `path` is (MS-DFSC 3.1.4.2, MS-SMB2 3.2.4.20.3), and puts the
/// answer into the cache.
///
/// Fails with the server's status if it knows of no such thing.
pub(super) fn fetch(
    seeker: &Seeker,
    session: &Session,
    path: &Path<'_>,
    attempt: &Attempt,
) -> Result<Cached> {
    let blob = blob(session, Subject::Path(*path), attempt)?;
    let now = Instant(now_ms());
    let entry = Entry::parse(path, blob, now)?;
    let cache = &seeker.world.cache;
    Ok(cache.put(path, entry, &seeker.account, now)?)
}

/// Finds out whether the host of `path` is a domain, by asking the server of `session`, which was
/// reached as `host` (MS-DFSC 3.1.4.1 step 5, 3.1.4.2).
///
/// A controller is asked again when what is known of its domain is old; that leads nowhere else.
pub(super) fn domain(
    seeker: &Seeker,
    session: &Session,
    host: &str,
    path: &Path<'_>,
    attempt: &Attempt,
) -> Result<Option<Place>> {
    let name = path.host();
    if path.ipv6().is_some() || name.parse::<Ipv4Addr>().is_ok() {
        return Ok(None);
    }
    let asked = host.eq_ignore_ascii_case(name);
    let now = Instant(now_ms());
    let known = seeker.world.domains.find(name, &seeker.account);
    if !asked && known.is_some_and(|known| now < known.expires()) {
        return Ok(None);
    }
    let Some(list) = names(session, Subject::Domain(name), attempt)? else {
        return Ok(None);
    };
    let mut domain = Domain::new(name, &seeker.account, list.expires())?;
    let mut text = KVec::from_elem(0u8, MAX_LEN, GFP_KERNEL)?;
    for (_, controllers) in list.domains() {
        for controller in controllers {
            let host = controller.utf8(&mut text).map(bare).unwrap_or_default();
            if !host.is_empty() && !host.contains(['\\', '/', '@', ':']) {
                domain.add(host)?;
            }
        }
    }
    if domain.controllers().next().is_none() {
        return Ok(None);
    }
    if asked && !name.contains('.') {
        if let Some(long) = long_name(session, name, attempt)? {
            return Ok(Some(Place::Alias(long)));
        }
    }
    let domain = seeker.world.domains.put(domain)?;
    Ok(asked.then_some(Place::Domain(domain)))
}

/// The domain that has `short` as its first label, among those the server knows: some servers
/// answer only for the long name.
fn long_name(session: &Session, short: &str, attempt: &Attempt) -> Result<Option<KVec<u8>>> {
    let Some(list) = names(session, Subject::Domains, attempt)? else {
        return Ok(None);
    };
    let mut text = KVec::from_elem(0u8, MAX_LEN, GFP_KERNEL)?;
    for (special, _) in list.domains() {
        let name = special.utf8(&mut text).map(bare).unwrap_or_default();
        let first = name.split_once('.').map(|(first, _)| first);
        if first.is_some_and(|first| first.eq_ignore_ascii_case(short)) {
            let mut long = KVec::with_capacity(name.len(), GFP_KERNEL)?;
            long.extend_from_slice(name.as_bytes(), GFP_KERNEL)?;
            return Ok(Some(long));
        }
    }
    Ok(None)
}

/// A list of names; `None` if the server has none to give.
fn names(
    session: &Session,
    subject: Subject<'_>,
    attempt: &Attempt,
) -> Result<Option<NameList<Blob>>> {
    match blob(session, subject, attempt) {
        Ok(blob) => Ok(NameList::parse(blob, Instant(now_ms())).ok()),
        Err(Error::Status(_) | Error::Malformed) => Ok(None),
        Err(error) => Err(error),
    }
}

/// What the server of `session` says about `subject`.
fn blob(session: &Session, subject: Subject<'_>, attempt: &Attempt) -> Result<Blob> {
    let tree = session.ipc(attempt)?;
    let request = Request::new(subject);
    let mut input = KVec::from_elem(0, request.len(), GFP_KERNEL)?;
    request.emit(&mut Writer::new(&mut input))?;
    match ask(session, tree, &input, SMALL, attempt) {
        Err(Error::Status(NtStatus::BUFFER_OVERFLOW | NtStatus::BUFFER_TOO_SMALL)) => {
            ask(session, tree, &input, LARGE, attempt)
        }
        answer => answer,
    }
}

fn ask(session: &Session, tree: u32, input: &[u8], room: u32, attempt: &Attempt) -> Result<Blob> {
    let answer = session.call(tree, &Ioctl::referral(input, room), attempt)?;
    let message = answer.message()?;
    success(message.header.status)?;
    let output = Ioctl::parse(&message)?.output;
    let mut blob = KVec::with_capacity(output.len(), GFP_KERNEL)?;
    blob.extend_from_slice(output, GFP_KERNEL)?;
    Ok(Blob(blob))
}

/// Fetches a cached referral again: from a controller of its domain, or else from the host it names.
pub(super) fn refresh(
    seeker: &Seeker,
    referral: &Cached,
    attempt: &Attempt,
) -> core::result::Result<(), Trouble> {
    let path = Path::parse(referral.text()).map_err(|_| EINVAL)?;
    let servers = &seeker.world.servers;
    let from = |host: &str| {
        servers.with(seeker, host, attempt, |session| {
            fetch(seeker, session, &path, attempt)?;
            Ok(())
        })
    };
    let mut fetched = Err(Trouble::from(errno::EHOSTUNREACH));
    if let Some(domain) = seeker.world.domains.find(path.host(), &seeker.account) {
        // The one in use first.
        let from_hint = domain.controllers().cycle().skip(domain.hint());
        for host in from_hint.take(domain.controllers().count()) {
            if fetched.is_ok() || attempt.cancelled().is_set() {
                break;
            }
            fetched = from(host);
        }
    }
    if fetched.is_err() && !attempt.cancelled().is_set() {
        fetched = from(path.host());
    }
    attempt.release();
    fetched
}
