// SPDX-License-Identifier: GPL-2.0

//! Where a mount could be, by the referrals in the cache.

use super::{
    reconnect::{
        course,
        rebase,
        Cached,
        Course,
        Seeker,
        MAX_DEPTH, //
    },
    trouble::Trouble, //
};
use kernel::prelude::*;
use rsdfs_proto::dfs::path::{
    Path,
    MAX_LEN, //
};

/// Targets of nested links that are looked at in [`outlook`] at most.
const MAX_OUTLOOK: usize = 256;

/// Where a mount could be, by the referrals in the cache.
#[derive(Default)]
pub(crate) struct Outlook {
    /// There is a referral for it.
    pub(crate) known: bool,
    /// Its present place is among the targets.
    pub(crate) listed: bool,
    /// Its present place is the first one.
    pub(crate) first: bool,
    /// A referral asks for returning to the first target (MS-DFSC 2.2.4, TargetFailback).
    pub(crate) failback: bool,
    /// How many targets were looked at.
    seen: usize,
    /// The referrals that lead to its present place, the last one first, and by which target.
    trail: KVec<(Cached, usize)>,
}

impl Outlook {
    /// The target of the first referral that leads to its present place.
    pub(crate) fn index(&self) -> Option<usize> {
        self.trail.last().map(|(_, index)| *index)
    }

    /// Makes its present place the one to begin with the next time.
    pub(crate) fn prefer(&self) {
        for (referral, index) in self.trail.iter() {
            referral.set_hint(*index);
        }
    }
}

/// Compares `present`, where `path` is served from, with what the referrals say. Does no I/O.
pub(crate) fn outlook(seeker: &Seeker, path: &Path<'_>, present: &Path<'_>) -> Outlook {
    let mut outlook = Outlook::default();
    match expand(seeker, path, present, (0, true), &mut outlook) {
        Ok(()) => outlook,
        // Without memory nothing can be said.
        Err(_) => Outlook::default(),
    }
}

/// Adds all places that `path`, `at.0` links deep, leads to; `at.1`: it came by first targets only.
#[inline(never)]
fn expand(
    seeker: &Seeker,
    path: &Path<'_>,
    present: &Path<'_>,
    at: (u32, bool),
    outlook: &mut Outlook,
) -> core::result::Result<(), Trouble> {
    let (depth, first) = at;
    let place = |path: &Path<'_>, outlook: &mut Outlook| {
        if path == present {
            outlook.listed = true;
            outlook.first |= first;
        }
    };
    let Course::Targets(referral) = course(seeker, path) else {
        place(path, outlook);
        return Ok(());
    };
    outlook.known |= depth == 0;
    outlook.failback |= referral.entry.wants_failback();
    let mut buffer = KBox::new([0; MAX_LEN], GFP_KERNEL)?;
    for (rank, target) in referral.entry.targets(usize::MAX).enumerate() {
        outlook.seen = outlook.seen.saturating_add(1);
        if outlook.seen > MAX_OUTLOOK || depth > MAX_DEPTH {
            return Ok(());
        }
        let listed = outlook.listed;
        match rebase(&referral, target.index, path, &mut buffer) {
            Ok(Some(target)) => {
                let at = (depth.saturating_add(1), first && rank == 0);
                expand(seeker, &target, present, at, outlook)?;
            }
            Ok(None) => place(path, outlook),
            Err(_) => {}
        }
        if outlook.listed && !listed {
            (outlook.trail).push((referral.clone(), target.index), GFP_KERNEL)?;
        }
    }
    Ok(())
}
