// SPDX-License-Identifier: GPL-2.0

//! `/proc/fs/rsdfs/locks`: the byte ranges that processes of this machine have locked.

use crate::{
    mount::{
        locks::{
            Kind,
            Shown, //
        },
        volume::Volume,
        world::World, //
    },
    sys::proc::SeqFile, //
};
use core::fmt::Write as _;
use kernel::prelude::*;
use rsdfs_proto::dfs::escape::escaped;

/// All of them.
pub(super) fn show_all(world: &World, out: &mut SeqFile) -> Result {
    for volume in world.volumes()? {
        let mut result = Ok(());
        volume.locks.each(|locks| {
            let shown = locks.each(|lock| {
                // A failure is that there is no room: then all is shown again.
                let _ = show(out, &volume, &lock);
            });
            result = result.and(shown);
        });
        result?;
    }
    Ok(())
}

fn show(out: &mut SeqFile, volume: &Volume, lock: &Shown) -> core::fmt::Result {
    let kind = match lock.kind {
        Kind::Shared => "shared",
        Kind::Exclusive => "exclusive",
    };
    let by = if lock.flock { "flock" } else { "fcntl" };
    let (start, len) = (lock.range.start(), lock.range.len());
    writeln!(
        out,
        "mount={} path={} start={start} len={len} kind={kind} by={by} state={}",
        escaped(volume.path()),
        escaped(core::str::from_utf8(&lock.path).unwrap_or("?")),
        lock.state
    )
}
