// SPDX-License-Identifier: GPL-2.0

//! rsdfs: an SMB client whose subject is the namespace, not the server.

#![deny(unsafe_code)]

mod dfs;
mod inspect;
mod mount;
#[allow(unsafe_code)]
mod sys;
mod transport;
mod vfs;

use inspect::Inspect;
use kernel::{
    prelude::*,
    sync::Arc, //
};
use mount::{
    refresh::Refresh,
    upkeep::Rounds,
    world::World, //
};
use sys::{
    fs::Registration,
    thread::Threads,
    work::Queue, //
};
use vfs::automount::Expiry;

/// The module; what it is made of ends in the order of the fields.
struct Rsdfs {
    _fs: Pin<KBox<Registration<vfs::Fs>>>,
    _inspect: Inspect,
    _expiry: Expiry,
    _running: Running,
    /// Waits for everything that was left to end by itself.
    _queue: Queue,
    /// Waits for the last thread.
    _threads: Threads,
}

/// What the mounts share, and the work that looks after it.
struct Running {
    refresh: Option<Arc<Refresh>>,
    rounds: Option<Arc<Rounds>>,
}

impl Running {
    fn start(world: &Arc<World>) -> Result<Self> {
        let mut running = Self {
            refresh: None,
            rounds: None,
        };
        running.refresh = Some(Refresh::start(world)?);
        running.rounds = Some(Rounds::start(world)?);
        Ok(running)
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if let Some(rounds) = &self.rounds {
            rounds.stop();
        }
        if let Some(refresh) = &self.refresh {
            refresh.stop();
        }
        World::end();
    }
}

impl kernel::Module for Rsdfs {
    fn init(_module: &'static ThisModule) -> Result<Self> {
        sys::layout_check()?;
        let threads = Threads::new();
        let queue = World::queue_for()?;
        let world = World::create(&queue)?;
        let running = Running::start(&world)?;
        Ok(Rsdfs {
            _inspect: Inspect::new(&world)?,
            _expiry: Expiry::start(&queue)?,
            _fs: vfs::register()?,
            _running: running,
            _queue: queue,
            _threads: threads,
        })
    }
}

module! {
    type: Rsdfs,
    name: "rsdfs",
    authors: ["the rsdfs developers"],
    description: "SMB client with DFS namespaces",
    license: "GPL",
    alias: ["fs-rsdfs"],
}
