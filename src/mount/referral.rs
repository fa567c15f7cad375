// SPDX-License-Identifier: GPL-2.0

//! Asking servers for referrals, and putting what they say into the cache.

use super::{
    names,
    reconnect::{
        copy_path,
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
        fmt::Plain,
        time::{
            now_ms,
            now_us, //
        },
        trace::{
            self,
            Event as _, //
        }, //
    },
    transport::Error, //
};
use core::net::Ipv4Addr;
use kernel::{
    prelude::*,
    str::CString, //
};
use rsdfs_proto::{
    codec::Writer,
    dfs::{
        entry::{
            bare,
            Entry,
            NameList, //
        },
        escape::escaped,
        path::{
            Path,
            MAX_LEN, //
        },
        referral::{
            Flaw,
            Kind,
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
#[inline(never)]
pub(super) fn fetch(
    seeker: &Seeker,
    session: &Session,
    path: &Path<'_>,
    attempt: &Attempt,
) -> core::result::Result<Cached, Trouble> {
    let asked = Asked::now(seeker, session, Subject::Path(*path));
    let entry = match blob(seeker, session, asked.subject, attempt) {
        Ok(blob) => Entry::parse(path, blob, Instant(now_ms())),
        Err(error) => {
            asked.answered(Err(error));
            return Err(match error {
                Error::Status(NtStatus::BUFFER_OVERFLOW | NtStatus::BUFFER_TOO_SMALL) => {
                    refuse(seeker, session, Flaw::Long)
                }
                error => error.into(),
            });
        }
    };
    asked.answered(match &entry {
        Ok(entry) => Ok(Told {
            kind: match entry.kind() {
                Kind::Root => "root",
                Kind::Link => "link",
                Kind::Names => "names",
            },
            ttl: entry.ttl().0,
            targets: entry.count(),
        }),
        Err(_) => Err(Error::Malformed),
    });
    let entry = entry.map_err(|flaw| refuse(seeker, session, flaw))?;
    Ok(seeker.world.cache.put(path, entry, &seeker.account)?)
}

/// Counts a malformed response, says so in the log once in a while, and makes an error of it.
fn refuse(seeker: &Seeker, session: &Session, flaw: Flaw) -> Trouble {
    let server = session.server().host();
    let now = Instant(now_ms());
    if seeker.world.cache.refused(server, flaw.text(), now) {
        pr_warn!(
            "{} sent a bad referral: {}\n",
            Plain(escaped(server)),
            Plain(flaw)
        );
    }
    let message = CString::try_from_fmt(fmt!("bad referral: {}", Plain(flaw)));
    Trouble {
        message: message.ok(),
        ..Trouble::from(errno::EPROTO)
    }
}

/// Finds out whether the host of `path` is a domain, by asking the server of `session`, which was
/// reached as `host` (MS-DFSC 3.1.4.1 step 5, 3.1.4.2).
///
/// A controller is asked again when what is known of its domain is old; that leads nowhere else.
#[inline(never)]
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
    let Some(list) = names(seeker, session, Subject::Domain(name), attempt)? else {
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
    // It may tell only of itself, or of those of its site.
    names::controllers(seeker, name, attempt, |host| domain.add(host))?;
    if asked && !name.contains('.') {
        if let Some(long) = long_name(seeker, session, name, attempt)? {
            return Ok(Some(Place::Alias(long)));
        }
    }
    let domain = seeker.world.domains.put(domain)?;
    Ok(asked.then_some(Place::Domain(domain)))
}

/// The domain that has `short` as its first label, among those the server knows: some servers
/// answer only for the long name.
#[inline(never)]
fn long_name(
    seeker: &Seeker,
    session: &Session,
    short: &str,
    attempt: &Attempt,
) -> Result<Option<KVec<u8>>> {
    let Some(list) = names(seeker, session, Subject::Domains, attempt)? else {
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
#[inline(never)]
fn names(
    seeker: &Seeker,
    session: &Session,
    subject: Subject<'_>,
    attempt: &Attempt,
) -> Result<Option<NameList<Blob>>> {
    let asked = Asked::now(seeker, session, subject);
    let now = Instant(now_ms());
    let list = match blob(seeker, session, subject, attempt) {
        Ok(blob) => NameList::parse(blob, now).map_err(|flaw| drop(refuse(seeker, session, flaw))),
        Err(error) => {
            asked.answered(Err(error));
            return match error {
                Error::Status(_) | Error::Malformed => Ok(None),
                error => Err(error),
            };
        }
    };
    asked.answered(match &list {
        Ok(list) => Ok(Told {
            kind: "names",
            ttl: now.until(list.expires()).0,
            targets: list.domains().count(),
        }),
        Err(()) => Err(Error::Malformed),
    });
    Ok(list.ok())
}

/// A question to a server, to be counted and traced.
struct Asked<'a> {
    session: &'a Session,
    subject: Subject<'a>,
    /// In microseconds since boot.
    began: u64,
}

/// What there is in an answer.
struct Told {
    kind: &'static str,
    /// In milliseconds.
    ttl: u64,
    targets: usize,
}

impl<'a> Asked<'a> {
    /// The server of `session` is asked about `subject` now.
    fn now(seeker: &Seeker, session: &'a Session, subject: Subject<'a>) -> Self {
        seeker.counters.referrals.add();
        Self {
            session,
            subject,
            began: now_us(),
        }
    }

    /// It has answered, or failed to.
    fn answered(self, outcome: Result<Told>) {
        let us = now_us().saturating_sub(self.began);
        if !trace::Referral::is_on() {
            return;
        }
        let mut path = KVec::new();
        let copied = match &self.subject {
            Subject::Path(path_asked) => copy_path(&mut path, path_asked),
            Subject::Domain(name) => path
                .extend_from_slice(name.as_bytes(), GFP_KERNEL)
                .map_err(Into::into),
            Subject::Domains => Ok(()),
        };
        if copied.is_err() {
            return;
        }
        let (status, error) = match &outcome {
            Ok(_) => (0, 0),
            Err(Error::Status(status)) => (status.0, status.errno().saturating_neg()),
            Err(Error::Lost) => (0, errno::ECONNRESET.to_errno()),
            Err(Error::Malformed) => (0, errno::EPROTO.to_errno()),
            Err(error) => (0, kernel::error::Error::from(*error).to_errno()),
        };
        let (kind, ttl, targets) = match outcome {
            Ok(told) => (told.kind, told.ttl / 1000, told.targets),
            Err(_) => ("none", 0, 0),
        };
        trace::Referral {
            path: &path,
            host: self.session.server().host(),
            kind,
            ttl: u32::try_from(ttl).unwrap_or(u32::MAX),
            targets: u32::try_from(targets).unwrap_or(u32::MAX),
            status,
            error,
            us,
        }
        .put();
    }
}

/// What the server of `session` says about `subject`; to an account with a site in the order that is
/// best for it, if the server can.
fn blob(
    seeker: &Seeker,
    session: &Session,
    subject: Subject<'_>,
    attempt: &Attempt,
) -> Result<Blob> {
    let request = Request::new(subject);
    let site = seeker.account.options.site();
    if let (Some(_), Subject::Path(_)) = (site, subject) {
        match put_question(session, &Request { site, ..request }, attempt) {
            Err(Error::Status(status)) if is_unknown(status) => {}
            answer => return answer,
        }
    }
    put_question(session, &request, attempt)
}

/// Whether a server says so that does not know a control code.
fn is_unknown(status: NtStatus) -> bool {
    matches!(
        status,
        NtStatus::NOT_SUPPORTED
            | NtStatus::NOT_IMPLEMENTED
            | NtStatus::INVALID_DEVICE_REQUEST
            | NtStatus::INVALID_PARAMETER
            | NtStatus::FS_DRIVER_REQUIRED
    )
}

fn put_question(session: &Session, request: &Request<'_>, attempt: &Attempt) -> Result<Blob> {
    let mut input = KVec::from_elem(0, request.len(), GFP_KERNEL)?;
    request.emit(&mut Writer::new(&mut input))?;
    let question = |room| Ioctl {
        code: request.fsctl(),
        ..Ioctl::referral(&input, room)
    };
    let tree = session.ipc(attempt)?;
    match ask(session, tree, &question(SMALL), attempt) {
        Err(Error::Status(NtStatus::BUFFER_OVERFLOW | NtStatus::BUFFER_TOO_SMALL)) => {
            ask(session, tree, &question(LARGE), attempt)
        }
        answer => answer,
    }
}

#[inline(never)]
fn ask(session: &Session, tree: u32, question: &Ioctl<'_>, attempt: &Attempt) -> Result<Blob> {
    let answer = session.call(tree, question, attempt)?;
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
