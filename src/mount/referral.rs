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
        Session, //
    },
    trouble::Trouble,
    Result, //
};
use crate::{
    dfs::cache::Blob,
    sys::time::now_ms,
    transport::Error, //
};
use kernel::prelude::*;
use rsdfs_proto::{
    codec::Writer,
    dfs::{
        entry::Entry,
        path::Path,
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
    let tree = session.ipc(path.host(), attempt)?;
    let request = Request::new(Subject::Path(*path));
    let mut input = KVec::from_elem(0, request.len(), GFP_KERNEL)?;
    request.emit(&mut Writer::new(&mut input))?;
    let blob = match ask(session, tree, &input, SMALL, attempt) {
        Err(Error::Status(NtStatus::BUFFER_OVERFLOW | NtStatus::BUFFER_TOO_SMALL)) => {
            ask(session, tree, &input, LARGE, attempt)
        }
        answer => answer,
    }?;
    let now = Instant(now_ms());
    let entry = Entry::parse(path, blob, now)?;
    let cache = &seeker.world.cache;
    Ok(cache.put(path, entry, &seeker.account, now)?)
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

/// Fetches a cached referral again, from the host it names.
pub(super) fn refresh(
    seeker: &Seeker,
    referral: &Cached,
    attempt: &Attempt,
) -> core::result::Result<(), Trouble> {
    let path = Path::parse(referral.text()).map_err(|_| EINVAL)?;
    let servers = &seeker.world.servers;
    let fetched = servers.with(seeker, path.host(), attempt, |session| {
        Ok(fetch(seeker, session, &path, attempt)?)
    });
    attempt.release();
    fetched.map(|_| ())
}
