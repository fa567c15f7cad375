// SPDX-License-Identifier: GPL-2.0

//! `/proc/fs/rsdfs/mounts`: what is mounted, where it is served from, and its failovers.

use crate::{
    mount::{
        volume::Volume,
        world::World, //
    },
    sys::proc::SeqFile, //
};
use core::fmt::Write;
use kernel::prelude::*;

/// All of them.
pub(super) fn show_all(world: &World, out: &mut SeqFile) -> Result {
    for volume in world.volumes()? {
        show(out, &volume).map_err(|_| EINVAL)?;
    }
    Ok(())
}

fn show(out: &mut SeqFile, volume: &Volume) -> core::fmt::Result {
    let view = volume.view();
    write!(out, "path={} state=", volume.path())?;
    out.write_str(if view.up { "up" } else { "down" })?;
    match &view.tree {
        Some(tree) => {
            let path = core::str::from_utf8(tree.path()).unwrap_or("?");
            let session = tree.session();
            let signed = if session.signed() { "yes" } else { "no" };
            write!(
                out,
                " target={path} address={} dialect={} signed={signed}",
                tree.address(),
                session.server().dialect(),
            )?;
        }
        None => out.write_str(" target=none")?,
    }
    let stats = view.stats;
    let reason = stats.reason.map_or("none", |reason| reason.name());
    writeln!(
        out,
        " generation={} failovers={} reason={reason} duration_ms={} moves={}",
        view.generation, stats.failovers, stats.duration, stats.moves,
    )
}
