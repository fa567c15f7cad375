// SPDX-License-Identifier: GPL-2.0

//! Reading an exported cache: all of it, and then into the cache, or nothing.
//!
//! Each entry becomes a referral response of version 4, which is checked as if a server had sent it.

use crate::{
    dfs::cache::{
        Blob,
        Cache, //
    },
    mount::{
        owner::Bound,
        reconnect::Cached,
        world::{
            Account,
            World, //
        }, //
    },
    sys::{
        net::Net,
        time::now_ms, //
    }, //
};
use core::fmt;
use kernel::{
    alloc::AllocError,
    prelude::*,
    sync::Arc, //
};
use rsdfs_proto::{
    codec::{
        NoSpace,
        Writer, //
    },
    dfs::{
        entry::Entry,
        export::{
            Bad,
            Import,
            Item,
            Text, //
        },
        path::{
            BadPath,
            Path,
            MAX_LEN, //
        },
        referral::{
            build,
            Flaw, //
        }, //
    },
    time::Instant, //
};

/// Why a text was not taken in, and where.
pub(super) struct Failure {
    /// Counted from 1.
    pub(super) line: usize,
    pub(super) why: Why,
}

/// Why a text was not taken in.
pub(super) enum Why {
    Text(Bad),
    Path(BadPath),
    Account,
    Response(Flaw),
    TooMany,
    Kernel(Error),
}

impl Failure {
    /// For the system call.
    pub(super) fn errno(self) -> Error {
        match self.why {
            Why::TooMany => ENOSPC,
            Why::Kernel(error) => error,
            _ => EINVAL,
        }
    }
}

impl fmt::Display for Why {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Text(bad) => bad.fmt(f),
            Self::Path(bad) => bad.fmt(f),
            Self::Account => f.write_str("account= is none of DOMAIN/user, guest, anonymous, *"),
            Self::Response(flaw) => write!(f, "no such referral can be: {flaw}"),
            Self::TooMany => f.write_str("more than the cache can hold"),
            Self::Kernel(error) => write!(f, "error {}", error.to_errno()),
        }
    }
}

impl From<Bad> for Why {
    fn from(bad: Bad) -> Self {
        Self::Text(bad)
    }
}

impl From<BadPath> for Why {
    fn from(bad: BadPath) -> Self {
        Self::Path(bad)
    }
}

impl From<NoSpace> for Why {
    fn from(_: NoSpace) -> Self {
        Self::Path(BadPath::TooLong)
    }
}

impl From<Error> for Why {
    fn from(error: Error) -> Self {
        Self::Kernel(error)
    }
}

impl From<AllocError> for Why {
    fn from(_: AllocError) -> Self {
        Self::Kernel(ENOMEM)
    }
}

/// Takes in a whole text, for the network namespace of the caller; the number of its entries.
pub(super) fn import(world: &World, text: &[u8]) -> core::result::Result<usize, Failure> {
    let mut line = 0;
    read(text, &mut line)
        .and_then(|entries| match world.cache.import(&entries) {
            Ok(()) => Ok(entries.len()),
            Err(ENOSPC) => Err(Why::TooMany),
            Err(error) => Err(error.into()),
        })
        .map_err(|why| Failure { line, why })
}

/// The entries of a text; `number` is the line it has come to.
fn read(text: &[u8], number: &mut usize) -> core::result::Result<KVVec<Cached>, Why> {
    let mut import = Import::new();
    let mut reading = Reading::new()?;
    let mut lines = text.split(|byte| *byte == b'\n').peekable();
    while let Some(line) = lines.next() {
        // A line counts when it has an end.
        if lines.peek().is_none() {
            if !line.is_empty() {
                *number = number.saturating_add(1);
                import.line(line)?;
                return Err(Bad::NoEnd.into());
            }
            break;
        }
        *number = number.saturating_add(1);
        reading.take(import.line(line)?)?;
    }
    import.finish()?;
    Ok(reading.entries)
}

/// The entry under way, and those before it.
struct Reading {
    net: Net,
    now: Instant,
    entries: KVVec<Cached>,
    /// Whom the last entry is for, and most likely the next.
    bound: Option<(KVec<u8>, Arc<Bound>)>,
    head: Option<Head>,
    /// The targets of the response, as bytes.
    body: KVec<u8>,
    count: u16,
    /// Room for a text.
    buffer: KVec<u8>,
}

/// What the line of an entry said.
struct Head {
    path: KVec<u8>,
    root: bool,
    flags: u32,
    ttl: u32,
    bound: Arc<Bound>,
}

impl Reading {
    fn new() -> core::result::Result<Self, Why> {
        Ok(Self {
            net: Net::current(),
            now: Instant(now_ms()),
            entries: KVVec::new(),
            bound: None,
            head: None,
            body: KVec::new(),
            count: 0,
            buffer: KVec::from_elem(0, MAX_LEN, GFP_KERNEL)?,
        })
    }

    fn take(&mut self, item: Item<'_>) -> core::result::Result<(), Why> {
        match item {
            Item::Nothing => Ok(()),
            Item::End => self.finish(),
            Item::Entry(entry) => {
                self.finish()?;
                let bound = self.bound(&entry.account)?;
                let path = entry.path.read(&mut self.buffer)?;
                Path::device(path)?;
                self.head = Some(Head {
                    path: bytes(path)?,
                    root: entry.root,
                    flags: entry.flags,
                    ttl: entry.ttl,
                    bound,
                });
                Ok(())
            }
            Item::Target {
                starts_set, path, ..
            } => self.target(starts_set, &path),
        }
    }

    fn target(&mut self, starts_set: bool, path: &Text<'_>) -> core::result::Result<(), Why> {
        let Some(head) = &self.head else {
            return Err(Bad::NoEntry.into());
        };
        let target = build::Target {
            path: Path::device(path.read(&mut self.buffer)?)?,
            root: head.root,
            starts_set,
            ttl: head.ttl,
        };
        let start = self.body.len();
        let end = start.saturating_add(target.len());
        self.body.resize(end, 0, GFP_KERNEL)?;
        let room = self.body.get_mut(start..).unwrap_or_default();
        target.emit(&mut Writer::new(room))?;
        self.count = self.count.saturating_add(1);
        Ok(())
    }

    /// Makes an entry of what was read last.
    fn finish(&mut self) -> core::result::Result<(), Why> {
        let Some(head) = self.head.take() else {
            return Ok(());
        };
        let path = core::str::from_utf8(&head.path).unwrap_or_default();
        let path = Path::device(path)?;
        let len = build::HEADER.saturating_add(self.body.len());
        let mut blob = KVec::from_elem(0, len, GFP_KERNEL)?;
        let mut w = Writer::new(&mut blob);
        build::header(&mut w, &path, self.count, head.flags)?;
        w.put(&self.body)?;
        self.body.clear();
        self.count = 0;
        let entry = Entry::parse(&path, Blob(blob), self.now).map_err(Why::Response)?;
        let entry = Cache::<Account>::heard(&path, entry, &head.bound)?;
        Ok(self.entries.push(entry, GFP_KERNEL)?)
    }

    fn bound(&mut self, account: &Text<'_>) -> core::result::Result<Arc<Bound>, Why> {
        let account = account.read(&mut self.buffer)?;
        if let Some((_, bound)) = self
            .bound
            .as_ref()
            .filter(|(text, _)| **text == *account.as_bytes())
        {
            return Ok(bound.clone());
        }
        let bound = Bound::new(self.net.clone(), account).map_err(|error| match error {
            EINVAL => Why::Account,
            error => error.into(),
        })?;
        let bound = Arc::new(bound, GFP_KERNEL)?;
        self.bound = Some((bytes(account)?, bound.clone()));
        Ok(bound)
    }
}

fn bytes(text: &str) -> core::result::Result<KVec<u8>, AllocError> {
    let mut bytes = KVec::with_capacity(text.len(), GFP_KERNEL)?;
    bytes.extend_from_slice(text.as_bytes(), GFP_KERNEL)?;
    Ok(bytes)
}
