// SPDX-License-Identifier: GPL-2.0

//! `/proc/fs/rsdfs/domains`: domains and their controllers.

use crate::{
    mount::world::World,
    sys::{
        proc::SeqFile,
        time::now_ms, //
    }, //
};
use core::fmt::Write as _;
use kernel::prelude::*;
use rsdfs_proto::time::Instant;

/// All of them.
pub(super) fn show_all(world: &World, out: &mut SeqFile) -> Result {
    let now = Instant(now_ms());
    for domain in world.domains.all()? {
        let left = now.until(domain.expires()).0 / 1000;
        let (name, net, hint) = (domain.name(), domain.owner().net.id(), domain.hint());
        writeln!(out, "domain={name} ttl={left} net={net} hint={hint}").map_err(|_| EINVAL)?;
        for (i, host) in domain.controllers().enumerate() {
            writeln!(out, "  controller={i} host={host}").map_err(|_| EINVAL)?;
        }
    }
    Ok(())
}
