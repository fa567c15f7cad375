// SPDX-License-Identifier: GPL-2.0

//! `/proc/fs/rsdfs/dfscache`: what the cache did so far, the referrals, and their targets' health.
//! Writing `flush` (or `0`) empties the cache, `probe` measures it.

use crate::{
    dfs::cache::{
        Cache,
        Holder, //
    },
    mount::{
        names::Names,
        reconnect::Cached,
        world::{
            Account,
            World, //
        }, //
        Options,
    },
    sys::{
        net::Net,
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
    sync::{
        atomic::Relaxed,
        Arc, //
    }, //
};
use rsdfs_proto::{
    dfs::{
        entry::Target,
        escape::{
            escaped,
            Escaped, //
        },
        path::Path,
        referral::Kind, //
    },
    time::Instant, //
};

/// Lookups for one command at most.
const MOST_PROBES: u32 = 1_000_000;

/// The file.
pub(super) struct DfsCache {
    pub(super) world: Arc<World>,
}

/// `/proc/fs/rsdfs/dfscache_stats`: its first line alone, which costs nothing however many there are.
pub(super) fn stats(world: &World, out: &mut SeqFile) -> Result {
    summary(out, &world.cache).map_err(|_| EINVAL)
}

impl Show for DfsCache {
    fn show(&self, out: &mut SeqFile) -> Result {
        let now = Instant(now_ms());
        summary(out, &self.world.cache).map_err(|_| EINVAL)?;
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
            input => probe(&self.world, input),
        }
    }
}

/// Looks entries up that are there, so that the counters tell what that costs: `probe hot N` the one
/// used last again and again, `probe cold N` all of them in a random order.
fn probe(world: &World, input: &[u8]) -> Result {
    let words = core::str::from_utf8(input).map_err(|_| EINVAL)?;
    let (how, count) = words
        .strip_prefix("probe ")
        .and_then(|words| words.split_once(' '))
        .ok_or(EINVAL)?;
    let cold = match how {
        "hot" => false,
        "cold" => true,
        _ => return Err(EINVAL),
    };
    let count = count.parse().ok().filter(|n: &u32| *n <= MOST_PROBES);
    let count = count.ok_or(EINVAL)?;
    let all = world.cache.all()?;
    let anybody = Account {
        options: Arc::new(Options::new(0, 0), GFP_KERNEL)?,
        net: Net::current(),
        names: Arc::pin_init(Names::none(), GFP_KERNEL)?,
    };
    let mut random = 1u64;
    for _ in 0..count {
        random = random
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1);
        let place = (random >> 32).checked_rem(all.len() as u64).unwrap_or(0);
        let place = if cold { place as usize } else { 0 };
        let referral = all.get(place).ok_or(ENOENT)?;
        let owner = match &referral.holder {
            Holder::Own(account) => &**account,
            Holder::Import(_) => &anybody,
        };
        let path = Path::device(referral.text()).map_err(|_| EINVAL)?;
        world.cache.find(&path, owner, Instant(now_ms()));
    }
    Ok(())
}

/// The line about the cache as a whole.
fn summary(out: &mut SeqFile, cache: &Cache<Account>) -> core::fmt::Result {
    let size = cache.size();
    write!(
        out,
        "cache entries={} most={} bytes={} table_bytes={}",
        size.entries, size.most, size.bytes, size.table_bytes
    )?;
    let counts = &cache.counts;
    for (name, count) in [
        ("lookups", &counts.lookups),
        ("lookup_ns", &counts.lookup_ns),
        ("misses", &counts.misses),
        ("stale", &counts.stale),
        ("evicted", &counts.evicted),
        ("refused", &counts.refused),
        ("refreshed", &counts.refreshed),
        ("refresh_failed", &counts.refresh_failed),
    ] {
        write!(out, " {name}={}", count.load(Relaxed))?;
    }
    writeln!(out)
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
        "path={} kind={kind} ttl={}.{:03} state={} flags={:#x} consumed={} net={} targets={} hint={} origin={} account={}",
        escaped(referral.text()),
        left / 1000,
        left % 1000,
        if entry.is_fresh(now) { "fresh" } else { "stale" },
        entry.flags(),
        entry.depth(),
        referral.holder.net().id(),
        entry.count(),
        referral.hint(),
        if referral.is_import() { "import" } else { "server" },
        Escaped(referral.holder.label().chars()),
    )?;
    for target in entry.targets(usize::MAX) {
        let health = referral.health(target.index);
        write!(
            out,
            "  target={} set={} path={}",
            target.index,
            target.set,
            target_path(&target)
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

/// The path of a target in device form, as it stands in a field.
pub(super) fn target_path<'a>(
    target: &Target<'a>,
) -> Escaped<impl Iterator<Item = char> + Clone + 'a> {
    let bare = target.path.chars().skip_while(|c| matches!(c, '\\' | '/'));
    let slashes = bare.map(|c| if c == '\\' { '/' } else { c });
    Escaped(Iterator::chain("//".chars(), slashes))
}
