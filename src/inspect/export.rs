// SPDX-License-Identifier: GPL-2.0

//! `/proc/fs/rsdfs/dfscache_export`: the referral cache as text, to be kept over a reboot.
//!
//! Reading it gives the entries of the reader's network namespace, writing such a text takes its
//! entries in: all of them when its last line is written, or none. What they are is in
//! [`rsdfs_proto::dfs::export`]; how the module reads it in [`import`].
//!
//! Lock: `Export::last`, a leaf.

mod import;

use super::dfscache::target_path;
use crate::{
    mount::{
        reconnect::Cached,
        world::World, //
    },
    sys::{
        fmt::Plain,
        net::Net,
        proc::{
            SeqFile,
            Show, //
        }, //
    }, //
};
use core::fmt::Write;
use import::Failure;
use kernel::{
    new_mutex,
    prelude::*,
    str::CString,
    sync::{
        Arc,
        Mutex, //
    }, //
};
use rsdfs_proto::dfs::{
    escape::{
        escaped,
        Escaped, //
    },
    export::{
        self as text,
        Entry, //
    },
    referral::Kind, //
};

/// How much longer a text may be than what is made of it.
const TEXT_EACH: usize = 4;

/// How long the last line may be, so that it is found although it came in two pieces.
const END_LINE: usize = 256;

/// The file.
#[pin_data]
pub(super) struct Export {
    world: Arc<World>,
    /// What came of the last import.
    #[pin]
    last: Mutex<Option<CString>>,
}

impl Export {
    pub(super) fn new(world: &Arc<World>) -> impl PinInit<Self> {
        let world = world.clone();
        pin_init!(Self {
            world,
            last <- new_mutex!(None),
        })
    }

    /// Takes in a whole text.
    fn import(&self, bytes: &[u8]) -> Result {
        let done = import::import(&self.world, bytes);
        let said = match &done {
            Ok(count) => CString::try_from_fmt(fmt!("{count} entries")),
            Err(failure) => {
                let (line, why) = (failure.line, Plain(&failure.why));
                pr_notice!("dfscache_export: line {line}: {why}\n");
                CString::try_from_fmt(fmt!("refused, line {line}: {why}"))
            }
        };
        *self.last.lock() = said.ok();
        done.map(drop).map_err(Failure::errno)
    }
}

impl Show for Export {
    fn show(&self, out: &mut SeqFile) -> Result {
        let all = self.world.cache.all()?;
        self.write_all(out, &all).map_err(|_| EINVAL)
    }

    fn takes_text(&self) -> bool {
        true
    }

    fn append(&self, text: &mut KVVec<u8>, piece: &[u8]) -> Result {
        let most = self.world.cache.most_bytes().saturating_mul(TEXT_EACH);
        if text.len().saturating_add(piece.len()) > most {
            text.clear();
            return Err(ENOSPC);
        }
        let before = text.len();
        text.extend_from_slice(piece, GFP_KERNEL)?;
        if !has_end(text, before) {
            return Ok(());
        }
        let done = self.import(text);
        text.clear();
        done
    }

    fn closed(&self, text: &[u8]) {
        if !text.is_empty() {
            let _ = self.import(text);
        }
    }
}

impl Export {
    fn write_all(&self, out: &mut SeqFile, all: &[Cached]) -> core::fmt::Result {
        let net = Net::current();
        let mut lines = text::Export::new(out)?;
        if let Some(last) = &*self.last.lock() {
            let last = last.to_str().unwrap_or_default();
            writeln!(lines, "# last import: {last}")?;
        }
        for referral in all.iter().filter(|r| *r.holder.net() == net) {
            let entry = &referral.entry;
            lines.entry(&Entry {
                path: escaped(referral.text()),
                root: entry.kind() == Kind::Root,
                flags: flags(referral),
                ttl: (entry.ttl().0 / 1000) as u32,
                account: Escaped(referral.holder.label().chars()),
            })?;
            for target in entry.targets(usize::MAX) {
                lines.target(target.set, target_path(&target))?;
            }
        }
        lines.end()
    }
}

/// The header flags that mean something: failback only in the version that has it.
fn flags(referral: &Cached) -> u32 {
    use rsdfs_proto::dfs::referral::header_flags::TARGET_FAILBACK;
    let flags = referral.entry.flags() & text::FLAGS & !TARGET_FAILBACK;
    match referral.entry.wants_failback() {
        true => flags | TARGET_FAILBACK,
        false => flags,
    }
}

/// Whether `text`, of which the first `seen` bytes had none, has a whole last line.
fn has_end(text: &[u8], seen: usize) -> bool {
    const END: &[u8] = b"\nend ";
    let from = seen.saturating_sub(END_LINE);
    let new = text.get(from..).unwrap_or_default();
    let at = new.windows(END.len()).position(|bytes| bytes == END);
    let line = at.and_then(|at| new.get(at.saturating_add(END.len())..));
    line.is_some_and(|line| line.contains(&b'\n'))
}
