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
        File,
        SeqFile,
        Show, //
    }, //
};
use control::Controls;
use dfscache::DfsCache;
use export::Export;
use kernel::{
    prelude::*,
    sync::Arc, //
};

/// A file that takes no commands: what `show` says of the world.
struct View {
    world: Arc<World>,
    show: fn(&World, &mut SeqFile) -> Result,
}

impl Show for View {
    fn show(&self, out: &mut SeqFile) -> Result {
        (self.show)(&self.world, out)
    }
}

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
        let export = Arc::pin_init(Export::new(world), GFP_KERNEL)?;
        let view = |name, mode, show| {
            let world = world.clone();
            dir.file(name, mode, Arc::new(View { world, show }, GFP_KERNEL)?)
        };
        Ok(Self {
            _controls: Controls::new()?,
            _connections: view(c"connections", 0o444, connections::show_all)?,
            _dfscache: dir.file(c"dfscache", 0o644, cache)?,
            _domains: view(c"domains", 0o444, domains::show_all)?,
            _export: dir.file(c"dfscache_export", 0o600, export)?,
            _handles: view(c"handles", 0o400, handles::show_all)?,
            _locks: view(c"locks", 0o400, locks::show_all)?,
            _stats: view(c"dfscache_stats", 0o444, dfscache::stats)?,
            _mounts: view(c"mounts", 0o444, mounts::show_all)?,
        })
    }
}
