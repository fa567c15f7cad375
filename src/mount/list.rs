// SPDX-License-Identifier: GPL-2.0

//! Directory listings: a snapshot, so that a failover in the middle neither repeats nor omits.

use super::{
    links,
    ops::{
        self,
        attr,
        creation, //
    },
    session::success,
    tree::On,
    volume::Volume,
    Attr,
    Result, //
};
use crate::transport::{
    Answer,
    Request, //
};
use kernel::prelude::*;
use rsdfs_proto::{
    smb2::{
        create::{
            access,
            options,
            Create, //
        },
        query_directory::{
            entries,
            Form,
            QueryDirectory,
            EVERYTHING, //
        },
        Command,
        FileId, //
    },
    status::NtStatus,
    utf16::{
        decode_name,
        Map,
        NameError, //
    }, //
};

/// Bytes of listing asked for at once, if the server allows.
const CHUNK: usize = 256 << 10;

/// The longest name of a component in UTF-8, in bytes.
const NAME_MAX: usize = 255 * 3;

/// All names in a directory at one time, without `.` and `..`.
pub(crate) struct Listing {
    names: KVVec<u8>,
    entries: KVVec<(usize, Attr)>,
}

impl Listing {
    /// Entry `index`: its name, and what the listing says about it.
    pub(crate) fn get(&self, index: usize) -> Option<(&str, &Attr)> {
        let (end, attr) = self.entries.get(index)?;
        let start = match index.checked_sub(1) {
            Some(before) => self.entries.get(before)?.0,
            None => 0,
        };
        let name = self.names.get(start..*end)?;
        Some((core::str::from_utf8(name).ok()?, attr))
    }

    /// Adds what one answer lists; says whether there may be more.
    fn add(&mut self, answer: &Answer) -> Result<bool> {
        let message = answer.message()?;
        match message.header.status {
            NtStatus::NO_MORE_FILES | NtStatus::NO_SUCH_FILE => return Ok(false),
            status => success(status)?,
        }
        let mut name = [0; NAME_MAX];
        for entry in entries(QueryDirectory::parse(&message)?, Form::IdFull) {
            let entry = entry?;
            let name = match decode_name(entry.name, Map::Sfm, &mut name) {
                // What is no name here, or no text, cannot be looked up either.
                Err(NameError::Malformed | NameError::NoSpace) => continue,
                Ok(name) => name,
            };
            if matches!(name, b"." | b"..") || core::str::from_utf8(name).is_err() {
                continue;
            }
            self.names.extend_from_slice(name, GFP_KERNEL)?;
            let attr = Attr {
                alloc: entry.allocation,
                id: entry.file_id,
                ..attr(&entry.times, entry.size, entry.attributes)
            };
            let attr = match links::is_link(&entry) {
                true => links::attr(attr),
                false => attr,
            };
            self.entries.push((self.names.len(), attr), GFP_KERNEL)?;
        }
        Ok(true)
    }
}

impl Volume {
    /// Everything in the directory `path`.
    #[inline(never)]
    pub(crate) fn list(&self, path: &str) -> Result<Listing> {
        self.run(|tree| list(tree, path))
    }
}

fn list(tree: &On<'_>, path: &str) -> Result<Listing> {
    let name = tree.name(path)?;
    let open = Create {
        options: options::DIRECTORY_FILE,
        ..creation(
            &name,
            access::READ_DATA | access::READ_ATTRIBUTES | access::SYNCHRONIZE,
        )
    };
    let mut query = QueryDirectory {
        form: Form::IdFull,
        flags: 0,
        index: 0,
        file_id: FileId::ANY,
        pattern: EVERYTHING,
        max_output: tree.transact_max().min(CHUNK) as u32,
    };
    // The second query says of most directories that the first has told all.
    let mut request = Request::new(&tree.context(), &open)?;
    request.then(&query)?;
    request.then(&query)?;
    let [opened, first, second] = tree.conn().call_parts(&mut request, None)?;
    let message = opened.message()?;
    success(message.header.status)?;
    query.file_id = Create::parse(&message)?.file_id;
    let listing = collect(tree, &query, &first, &second);
    ops::close(tree, query.file_id);
    listing
}

fn collect(
    tree: &On<'_>,
    query: &QueryDirectory<'_>,
    first: &Answer,
    second: &Answer,
) -> Result<Listing> {
    let mut listing = Listing {
        names: KVVec::new(),
        entries: KVVec::new(),
    };
    let mut more = listing.add(first)? && listing.add(second)?;
    while more {
        let answer = tree.conn().call(&tree.context(), query, None)?;
        more = listing.add(&answer)?;
    }
    Ok(listing)
}
