// SPDX-License-Identifier: GPL-2.0

//! What all mounts share: the referral cache, the list of mounts, and a work queue.

use super::{
    lease::Leases,
    names::Names,
    options::Options,
    servers::Servers,
    volume::Volume, //
};
use crate::{
    dfs::{
        cache::Cache,
        domains::Domains, //
    },
    sys::{
        crypto,
        global::Global,
        net::Net,
        param,
        thread::Thread,
        work::{
            self,
            Queue, //
        }, //
    }, //
};
use kernel::{
    new_mutex,
    prelude::*,
    sync::{
        Arc,
        Mutex, //
    }, //
};

/// The one world, from the module's init to its exit.
static WORLD: Global<World> = Global::new();

/// On whose behalf, from where and how servers are talked to. Shared by a mount, its connections
/// and the referrals it has fetched.
pub(crate) struct Account {
    pub(crate) options: Arc<Options>,
    pub(crate) net: Net,
    pub(crate) names: Arc<Names>,
}

impl Account {
    /// Whether both may use one connection.
    pub(super) fn same_wire(&self, other: &Self) -> bool {
        self.net == other.net && self.options.same_wire(&other.options)
    }

    /// Whether both may use one session of a connection.
    pub(super) fn same_user(&self, other: &Self) -> bool {
        self.options.same_user(&other.options)
    }
}

/// See the module.
#[pin_data]
pub(crate) struct World {
    pub(crate) cache: Arc<Cache<Account>>,
    #[pin]
    pub(crate) domains: Domains<Account>,
    /// Names this machine to servers (MS-SMB2 3.2.1.4); the same on all connections.
    pub(crate) client_guid: [u8; 16],
    /// For what takes long and nobody waits for: names, farewells, the end of threads. Owned by the
    /// module, which at its exit waits until all of it is done.
    queue: work::Handle,
    /// What servers promise about open files.
    #[pin]
    pub(super) leases: Leases,
    /// Connections and sessions.
    #[pin]
    pub(crate) servers: Servers,
    #[pin]
    volumes: Mutex<KVec<Arc<Volume>>>,
}

impl World {
    /// Makes the world, at the module's init.
    pub(crate) fn create(queue: &Queue) -> Result<Arc<Self>> {
        let mut seed = [0; 8];
        crypto::random(&mut seed);
        let mut client_guid = [0; 16];
        crypto::random(&mut client_guid);
        let world = Arc::pin_init(
            try_pin_init!(Self {
                cache: Cache::new(u64::from_le_bytes(seed), param::cache_max())?,
                domains <- Domains::new(),
                client_guid,
                queue: queue.handle(),
                leases <- Leases::new(),
                servers <- Servers::new(),
                volumes <- new_mutex!(KVec::new()),
            }),
            GFP_KERNEL,
        )?;
        WORLD.replace(Some(world.clone()));
        Ok(world)
    }

    /// The queue of a world; to be dropped after everything else.
    pub(crate) fn queue_for() -> Result<Queue> {
        let options = work::Options {
            reclaim: true,
            unbound: true,
            max_active: 0,
        };
        Queue::new(c"rsdfs", options)
    }

    /// Ends the world, at the module's exit: nothing is mounted any more.
    pub(crate) fn end() {
        WORLD.replace(None);
    }

    /// The world, if there is one.
    pub(crate) fn get() -> Option<Arc<Self>> {
        WORLD.get()
    }

    /// The queue for what takes long.
    pub(crate) fn queue(&self) -> &work::Handle {
        &self.queue
    }

    /// Waits for the end of `thread` elsewhere.
    pub(crate) fn bury(&self, thread: Thread) {
        thread.stop();
        // Without memory the closure is dropped here, and with it the thread is waited for.
        let _ = self.queue.run(GFP_KERNEL, move || drop(thread));
    }

    /// Enters a mount into the list.
    pub(super) fn enlist(&self, volume: &Arc<Volume>) -> Result {
        Ok(self.volumes.lock().push(volume.clone(), GFP_KERNEL)?)
    }

    /// Takes a mount off the list.
    pub(super) fn discharge(&self, volume: &Volume) {
        self.volumes
            .lock()
            .retain(|other| !core::ptr::eq(&**other, volume));
    }

    /// All mounts.
    pub(crate) fn volumes(&self) -> Result<KVec<Arc<Volume>>> {
        let volumes = self.volumes.lock();
        let mut all = KVec::with_capacity(volumes.len(), GFP_KERNEL)?;
        for volume in volumes.iter() {
            all.push(volume.clone(), GFP_KERNEL)?;
        }
        Ok(all)
    }
}
