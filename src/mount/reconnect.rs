// SPDX-License-Identifier: GPL-2.0

//! From a path to a share that works: by the cache, the domain, or the path's own host, link after
//! link.

pub(crate) use super::{
    attempt::Attempt,
    outlook::outlook,
    race::{
        Loss,
        Race, //
    }, //
};
use super::{
    counters::Counters,
    names,
    session,
    tree::Tree,
    trouble::Trouble,
    world::{
        Account,
        World, //
    }, //
};
use crate::{
    dfs::{
        cache::{
            Answer,
            Referral, //
        },
        domains::Domain, //
    },
    sys::{
        errno,
        time::{
            now_ms,
            now_us, //
        },
        trace::{
            Event as _,
            TargetProbe, //
        }, //
    }, //
};
use kernel::{
    prelude::*,
    sync::Arc, //
};
use rsdfs_proto::{
    dfs::path::{
        Path,
        MAX_LEN, //
    },
    failover::Policy,
    time::Instant, //
};

/// Links that are followed one after the other at most; more is a loop.
pub(super) const MAX_DEPTH: u32 = 8;

/// A cached referral of this module's accounts.
pub(crate) type Cached = Arc<Referral<Account>>;

/// A domain known to this module's accounts.
pub(crate) type Controllers = Domain<Account>;

/// Who looks for a share, and with what.
pub(crate) struct Seeker {
    pub(crate) world: Arc<World>,
    pub(crate) account: Arc<Account>,
    /// What it comes to is counted here.
    pub(crate) counters: Counters,
}

/// What a race is between.
#[derive(Clone)]
pub(crate) enum Course {
    /// The targets of a referral.
    Targets(Cached),
    /// The controllers of the domain that the path is in.
    Domain(Arc<Controllers>),
    /// The path's own host only.
    Itself,
}

/// Finds a way to `path`: the longest cached referral, fresh or stale, or its own host.
pub(crate) fn course(seeker: &Seeker, path: &Path<'_>) -> Course {
    if seeker.account.options.nodfs() {
        return Course::Itself;
    }
    let cache = &seeker.world.cache;
    match cache.find(path, &seeker.account, Instant(now_ms())) {
        Answer::Fresh(found) | Answer::Stale(found) => Course::Targets(found),
        Answer::Miss => Course::Itself,
    }
}

/// Reaches `path` by whatever target stands first.
#[inline(never)]
pub(crate) fn race(
    seeker: &Arc<Seeker>,
    path: &Path<'_>,
    policy: Policy,
    attempt: &Arc<Attempt>,
) -> core::result::Result<Arc<Tree>, Trouble> {
    let course = course(seeker, path);
    Race::new(seeker, path, 0, course, attempt)?.run(policy, None, &mut || {})
}

/// Reaches `path` by the first target of each referral on the way and no other, but for the first
/// referral by target `pick` if there is one. They are not preferred for that until the mount has moved.
#[inline(never)]
pub(crate) fn follow(
    seeker: &Arc<Seeker>,
    path: &Path<'_>,
    depth: u32,
    pick: Option<usize>,
    attempt: &Arc<Attempt>,
) -> core::result::Result<Arc<Tree>, Trouble> {
    if depth > MAX_DEPTH {
        return Err(circle());
    }
    let referral = match course(seeker, path) {
        Course::Targets(referral) => referral,
        _ => match session::stand_up(seeker, path.host(), path, attempt)? {
            session::Place::Here(tree) => return Ok(tree),
            session::Place::Elsewhere(referral) => referral,
            _ => return direct(seeker, path, depth, attempt),
        },
    };
    let first = || referral.entry.targets(usize::MAX).next().map(|t| t.index);
    let index = pick.or_else(first).unwrap_or(0);
    let mut buffer = KBox::new([0; MAX_LEN], GFP_KERNEL)?;
    let target = rebase(&referral, index, path, &mut buffer)?;
    let mut text = KVec::new();
    copy_path(&mut text, target.as_ref().unwrap_or(path))?;
    probed(seeker, &text, || match &target {
        None => direct(seeker, path, depth, attempt),
        Some(target) => follow(seeker, target, depth.saturating_add(1), None, attempt),
    })
}

/// Tries the target `path` with its whole stack; counts it and says what came of it.
pub(super) fn probed(
    seeker: &Seeker,
    path: &[u8],
    work: impl FnOnce() -> core::result::Result<Arc<Tree>, Trouble>,
) -> core::result::Result<Arc<Tree>, Trouble> {
    let began = now_us();
    let outcome = work();
    let error = outcome.as_ref().err().map(|trouble| trouble.errno);
    seeker.counters.probes.add();
    if error.is_some_and(|error| error != errno::ECANCELED) {
        seeker.counters.probes_failed.add();
    }
    TargetProbe::emit(|| {
        Some(TargetProbe {
            target: path,
            error: error.map_or(0, |error| error.to_errno()),
            us: now_us().saturating_sub(began),
        })
    });
    outcome
}

/// The path that target `index` of `referral` makes of `path`; `None` if it is the same.
#[inline(never)]
pub(super) fn rebase<'b>(
    referral: &Cached,
    index: usize,
    path: &Path<'_>,
    buffer: &'b mut [u8; MAX_LEN],
) -> core::result::Result<Option<Path<'b>>, Trouble> {
    let bad = || Trouble::new(EINVAL, "the referral names a target that is not a path");
    let target = referral.entry.target(index).ok_or_else(bad)?;
    let mut text = KVec::from_elem(0u8, MAX_LEN, GFP_KERNEL)?;
    let text = target.path.utf8(&mut text).map_err(|_| bad())?;
    let target = Path::parse(text).map_err(|_| bad())?;
    let path = path
        .rebase(referral.entry.depth(), &target, buffer)
        .map(|rebased| Some(rebased).filter(|rebased| rebased != path));
    path.map_err(|_| bad())
}

/// Reaches `path`, which came from `depth` links before.
pub(super) fn reach(
    seeker: &Arc<Seeker>,
    path: &Path<'_>,
    depth: u32,
    attempt: &Arc<Attempt>,
) -> core::result::Result<Arc<Tree>, Trouble> {
    match course(seeker, path) {
        Course::Itself => direct(seeker, path, depth, attempt),
        _ if depth > MAX_DEPTH => Err(circle()),
        course => {
            Race::new(seeker, path, depth, course, attempt)?.run(Policy::MOUNT, None, &mut || {})
        }
    }
}

/// Reaches `path` on its own host or a controller of its domain, unless that says it is elsewhere.
#[inline(never)]
pub(super) fn direct(
    seeker: &Arc<Seeker>,
    path: &Path<'_>,
    depth: u32,
    attempt: &Arc<Attempt>,
) -> core::result::Result<Arc<Tree>, Trouble> {
    let mut domain = None;
    let mut guessed = false;
    if !seeker.account.options.nodfs() {
        domain = seeker.world.domains.find(path.host(), &seeker.account);
        guessed = domain.is_none();
        if guessed {
            domain = discover(seeker, path.host(), attempt)?;
        }
    }
    if let Some(domain) = domain {
        let race = Race::new(seeker, path, depth, Course::Domain(domain), attempt)?;
        match race.run(Policy::MOUNT, None, &mut || {}) {
            Err(trouble) if attempt.cancelled().is_set() => return Err(trouble),
            // Its controllers may have other names by now.
            Err(trouble) if trouble.is_silence() => {}
            // A domain's name may be that of a server, too.
            Err(trouble) if guessed && trouble.errno == ENOENT => {}
            result => return result,
        }
    }
    at(seeker, path.host(), path, depth, attempt)
}

/// The domain that `host` is, if name servers tell of controllers. What those say themselves is still to be
/// asked.
#[inline(never)]
fn discover(
    seeker: &Seeker,
    host: &str,
    attempt: &Attempt,
) -> core::result::Result<Option<Arc<Controllers>>, Trouble> {
    let mut domain = Domain::new(host, &seeker.account, Instant(now_ms()))?;
    names::controllers(seeker, host, attempt, |controller| domain.add(controller))?;
    if domain.controllers().next().is_none() {
        return Ok(None);
    }
    Ok(Some(seeker.world.domains.put(domain)?))
}

/// Reaches `path` on `host`, unless that says it is elsewhere.
#[inline(never)]
pub(super) fn at(
    seeker: &Arc<Seeker>,
    host: &str,
    path: &Path<'_>,
    depth: u32,
    attempt: &Arc<Attempt>,
) -> core::result::Result<Arc<Tree>, Trouble> {
    if depth > MAX_DEPTH {
        return Err(circle());
    }
    let course = match session::stand_up(seeker, host, path, attempt)? {
        session::Place::Here(tree) => return Ok(tree),
        session::Place::Elsewhere(referral) => Course::Targets(referral),
        session::Place::Domain(domain) => Course::Domain(domain),
        session::Place::Alias(host) => {
            let text = moved(core::str::from_utf8(&host).unwrap_or_default(), path)?;
            let text = core::str::from_utf8(&text).unwrap_or_default();
            let path = Path::parse(text).map_err(|_| Trouble::from(EINVAL))?;
            return reach(seeker, &path, depth.saturating_add(1), attempt);
        }
    };
    Race::new(seeker, path, depth, course, attempt)?.run(Policy::MOUNT, None, &mut || {})
}

/// Too many links.
fn circle() -> Trouble {
    Trouble::new(errno::ELOOP, "the DFS links run in a circle")
}

/// The device form of `path`, but on `host`.
pub(super) fn moved(host: &str, path: &Path<'_>) -> Result<KVec<u8>> {
    let mut text = KVec::new();
    text.extend_from_slice(b"//", GFP_KERNEL)?;
    text.extend_from_slice(host.as_bytes(), GFP_KERNEL)?;
    for component in path.below(1) {
        text.push(b'/', GFP_KERNEL)?;
        text.extend_from_slice(component.as_bytes(), GFP_KERNEL)?;
    }
    Ok(text)
}

/// Appends the device form of `path`.
pub(crate) fn copy_path(out: &mut KVec<u8>, path: &Path<'_>) -> Result {
    out.push(b'/', GFP_KERNEL)?;
    for component in path.components() {
        out.push(b'/', GFP_KERNEL)?;
        out.extend_from_slice(component.as_bytes(), GFP_KERNEL)?;
    }
    Ok(())
}
