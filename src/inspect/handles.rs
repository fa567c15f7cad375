// SPDX-License-Identifier: GPL-2.0

//! `/proc/fs/rsdfs/handles`: the open files of all mounts, where they are open and how they are.

use crate::{
    mount::{
        handle::{
            Condition,
            Look, //
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
        show(out, &volume)?;
    }
    Ok(())
}

fn show(out: &mut SeqFile, volume: &Volume) -> Result {
    let generation = volume.generation();
    for handle in volume.handles()? {
        line(out, volume, &handle.look(generation)?)?;
    }
    volume.each_left(|look| line(out, volume, look))
}

fn line(out: &mut SeqFile, volume: &Volume, look: &Look) -> Result {
    let path = core::str::from_utf8(&look.path).unwrap_or("?");
    let target = look.target.as_deref().unwrap_or(b"none");
    let access = match (look.how.read, look.how.write) {
        (true, true) => "rw",
        (_, true) => "w",
        _ => "r",
    };
    write!(
        out,
        "mount={} path={} target={} generation={} state={} access={access}",
        escaped(volume.path()),
        escaped(path),
        escaped(core::str::from_utf8(target).unwrap_or("?")),
        look.generation,
        look.condition.name(),
    )
    .map_err(|_| EINVAL)?;
    if let Some(file) = look.file {
        write!(out, " id={:x}:{:x}", file.persistent, file.volatile).map_err(|_| EINVAL)?;
    }
    if let Condition::Lost(cause) = look.condition {
        write!(out, " cause={}", cause.name()).map_err(|_| EINVAL)?;
    }
    writeln!(out).map_err(|_| EINVAL)
}
