// SPDX-License-Identifier: GPL-2.0

//! What administrators see and change: `/proc/fs/rsdfs` and `/sys/fs/rsdfs`.
//!
//! One record a line, `key=value` separated by blanks, indented lines belong to the record before.
//! Documentation/inspect.md describes the fields. No secrets.

mod connections;
pub(crate) mod control;
mod dfscache;
mod domains;
mod export;
mod handles;
mod locks;
mod mounts;

use crate::{
    mount::world::World,
    sys::proc::{
        Dir,
        File, //
    }, //
};
use connections::Connections;
use control::Controls;
use dfscache::{
    DfsCache,
    Stats, //
};
use domains::Domains;
use export::Export;
use handles::Handles;
use kernel::{
    prelude::*,
    sync::Arc, //
};
use locks::Locked;
use mounts::Mounts;

/// The files; they go when it is dropped.
pub(crate) struct Inspect {
    _controls: Controls,
    _connections: File,
    _dfscache: File,
    _domains: File,
    _export: File,
    _handles: File,
    _locks: File,
    _stats: File,
    _mounts: File,
}

impl Inspect {
    /// Makes the files.
    pub(crate) fn new(world: &Arc<World>) -> Result<Self> {
        let dir = Dir::new(c"fs/rsdfs")?;
        let cache = Arc::new(
            DfsCache {
                world: world.clone(),
            },
            GFP_KERNEL,
        )?;
        let domains = Arc::new(
            Domains {
                world: world.clone(),
            },
            GFP_KERNEL,
        )?;
        let export = Arc::pin_init(Export::new(world), GFP_KERNEL)?;
        let stats = Arc::new(
            Stats {
                world: world.clone(),
            },
            GFP_KERNEL,
        )?;
        let handles = Arc::new(
            Handles {
                world: world.clone(),
            },
            GFP_KERNEL,
        )?;
        let mounts = Arc::new(
            Mounts {
                world: world.clone(),
            },
            GFP_KERNEL,
        )?;
        let locks = Arc::new(
            Locked {
                world: world.clone(),
            },
            GFP_KERNEL,
        )?;
        let connections = Arc::new(
            Connections {
                world: world.clone(),
            },
            GFP_KERNEL,
        )?;
        Ok(Self {
            _controls: Controls::new()?,
            _connections: dir.file(c"connections", 0o444, connections)?,
            _dfscache: dir.file(c"dfscache", 0o644, cache)?,
            _domains: dir.file(c"domains", 0o444, domains)?,
            _export: dir.file(c"dfscache_export", 0o600, export)?,
            _handles: dir.file(c"handles", 0o400, handles)?,
            _locks: dir.file(c"locks", 0o400, locks)?,
            _stats: dir.file(c"dfscache_stats", 0o444, stats)?,
            _mounts: dir.file(c"mounts", 0o444, mounts)?,
        })
    }
}
