// SPDX-License-Identifier: GPL-2.0

//! `/proc/fs/rsdfs/connections`: the sessions on servers, and who shares them.

use crate::{
    mount::{
        session::Session,
        world::World, //
    },
    sys::proc::SeqFile, //
};
use core::fmt::Write as _;
use kernel::prelude::*;

/// All of them.
pub(super) fn show_all(world: &World, out: &mut SeqFile) -> Result {
    for (session, users) in world.servers.sessions()? {
        show(out, &session, users).map_err(|_| EINVAL)?;
    }
    Ok(())
}

fn show(out: &mut SeqFile, session: &Session, users: usize) -> core::fmt::Result {
    let server = session.server();
    let state = match server.conn().dead() {
        Some(reason) => reason.name(),
        None if session.is_over() => "session-ended",
        None => "up",
    };
    writeln!(
        out,
        "address={} host={} net={} user={} state={state} dialect={} signed={} users={users} requests={}",
        server.address,
        server.host(),
        server.net().id(),
        session.user(),
        server.dialect(),
        if session.signed() { "yes" } else { "no" },
        server.conn().in_flight(),
    )
}
