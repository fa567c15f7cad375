// SPDX-License-Identifier: GPL-2.0

//! `/proc/fs/rsdfs/dfscache`: the referrals, and their targets' health. Writing `flush` (or `0`)
//! empties the cache.

use crate::{
    mount::{
        reconnect::Cached,
        world::World, //
    },
    sys::{
        proc::{
            SeqFile,
            Show, //
        },
        time::now_ms, //
    }, //
};
use core::fmt::Write;
use kernel::{
    prelude::*,
    sync::Arc, //
};
use rsdfs_proto::{
    dfs::referral::Kind,
    time::Instant, //
};

/// The file.
pub(super) struct DfsCache {
    pub(super) world: Arc<World>,
}

impl Show for DfsCache {
    fn show(&self, out: &mut SeqFile) -> Result {
        let now = Instant(now_ms());
        for referral in self.world.cache.all()? {
            show(out, &referral, now).map_err(|_| EINVAL)?;
        }
        Ok(())
    }

    fn write(&self, input: &[u8]) -> Result {
        match input.trim_ascii() {
            b"flush" | b"0" => {
                self.world.cache.flush();
                self.world.domains.flush();
                Ok(())
            }
            _ => Err(EINVAL),
        }
    }
}

fn show(out: &mut SeqFile, referral: &Cached, now: Instant) -> core::fmt::Result {
    let entry = &referral.entry;
    let kind = match entry.kind() {
        Kind::Root => "root",
        Kind::Link => "link",
        Kind::Names => "names",
    };
    let left = now.until(entry.expires()).0;
    writeln!(
        out,
        "path={} kind={kind} ttl={}.{:03} state={} flags={:#x} consumed={} net={} targets={} hint={}",
        referral.text(),
        left / 1000,
        left % 1000,
        if entry.is_fresh(now) { "fresh" } else { "stale" },
        entry.flags(),
        entry.depth(),
        referral.owner.net.id(),
        entry.count(),
        referral.hint(),
    )?;
    for target in entry.targets(usize::MAX) {
        let health = referral.health(target.index);
        write!(
            out,
            "  target={} set={} path={}",
            target.index,
            target.set,
            Wide(target.path)
        )?;
        let state = match (health.is_up(), health.fault()) {
            (true, _) => "up",
            (false, Some(_)) => "failed",
            (false, None) => "unused",
        };
        write!(out, " state={state} fails={}", health.fails())?;
        match health.fault() {
            None => writeln!(out, " error=none")?,
            Some(fault) => match fault.status {
                None => writeln!(out, " error={:?}", fault.cause)?,
                Some(status) => writeln!(out, " error={:?}:{status}", fault.cause)?,
            },
        }
    }
    Ok(())
}

/// Shows text of the wire.
struct Wide<'a>(rsdfs_proto::dfs::referral::Wide<'a>);

impl core::fmt::Display for Wide<'_> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        self.0.chars().try_for_each(|c| f.write_char(c))
    }
}
