// SPDX-License-Identifier: GPL-2.0

//! Leases (MS-SMB2 2.2.13.2.10): what a server promises about files that are open here, until somebody
//! else wants them.
//!
//! There is a [`Lease`] for each file that is open, shared by all who have it open; its key names it to
//! every server. What is held of it is kept for each tree that it is open on, in the one table of the
//! world, where notifications find it. With the tree it is gone.
//!
//! A notification is heard on the receiving thread, which must not wait, and seen to on the work queue:
//! what was written here is written back, what was read is forgotten, and the server is told. It is told
//! after a while also if the one or the other takes longer: nobody is kept waiting at the server for what
//! is slow here.
//!
//! Locks: `Leases::table` and `Lease::holder` are leaves. Neither is held across the wire.

use super::{
    counters::Counters,
    reconnect::Seeker,
    tree::{
        On,
        Tree, //
    },
    world::World, //
};
use crate::{
    sys::{
        crypto,
        thread::NoFs,
        wait::Event, //
    },
    transport::Listener, //
};
use kernel::{
    new_mutex,
    new_spinlock,
    prelude::*,
    rbtree::{
        RBTree,
        RBTreeNode, //
    },
    sync::{
        Arc,
        Mutex,
        SpinLock, //
    }, //
};
use rsdfs_proto::{
    lease::{
        self,
        Holding,
        Loss, //
    },
    smb2::{
        context::{
            self,
            LeaseV2, //
        },
        oplock_break::{
            Break,
            LeaseAck,
            ACK_REQUIRED, //
        }, //
    }, //
};

/// How long a server is kept waiting for what it takes away, in milliseconds.
const PATIENCE: u64 = 700;

/// How long its answer to that is waited for, in milliseconds.
const ACK_PATIENCE: u64 = 5000;

/// Who keeps what a lease is about. Called on the work queue; may wait.
pub(crate) trait Holder: Send + Sync {
    /// Others are to see what was written here: writes it back, and waits for that.
    fn write_back(&self);

    /// Others may have written: what was read counts no more.
    fn forget(&self);
}

/// See the module.
#[pin_data]
pub(crate) struct Lease {
    key: Key,
    seeker: Arc<Seeker>,
    #[pin]
    holder: SpinLock<Option<Arc<dyn Holder>>>,
}

type Key = [u8; 16];

/// What is held of all leases.
#[pin_data]
pub(crate) struct Leases {
    #[pin]
    table: Mutex<RBTree<Key, Entry>>,
}

struct Entry {
    lease: Arc<Lease>,
    /// Seldom more than one.
    seats: KVec<Seat>,
}

/// What is held of a lease on one tree.
struct Seat {
    tree: Arc<Tree>,
    /// Open files that go by it.
    users: usize,
    holding: Holding,
}

/// The part that an open file has in a lease on a tree.
pub(super) struct Hold {
    lease: Arc<Lease>,
    tree: Arc<Tree>,
}

/// What a server has said about a lease.
struct Notice {
    /// On which connection it came.
    serial: u64,
    key: Key,
    epoch: u16,
    current: u32,
    new: u32,
    /// It waits for an answer.
    ack: bool,
}

impl Lease {
    /// For a file of the mount of `seeker` that is about to be opened.
    pub(super) fn new(seeker: &Arc<Seeker>) -> Result<Arc<Self>> {
        let mut key = [0; 16];
        crypto::random(&mut key);
        Arc::pin_init(
            pin_init!(Self {
                key,
                seeker: seeker.clone(),
                holder <- new_spinlock!(None),
            }),
            GFP_KERNEL,
        )
    }

    /// Names the holder, unless there is one. Something may have been taken before: it learns of that.
    pub(crate) fn guard(&self, holder: Arc<dyn Holder>) {
        let mut place = self.holder.lock();
        if place.is_some() {
            return;
        }
        *place = Some(holder.clone());
        drop(place);
        if self.seeker.world.leases.was_read_taken(&self.key) {
            holder.forget();
        }
    }

    /// What is counted of the mount it is of.
    pub(super) fn counters(&self) -> &Counters {
        &self.seeker.counters
    }

    /// Whether it has one.
    pub(crate) fn is_guarded(&self) -> bool {
        self.holder.lock().is_some()
    }

    /// Names the lease in a request on `tree` that wants nothing more than not to be in its own way.
    pub(super) fn named(&self, tree: &Tree) -> context::Lease {
        self.request(tree, context::lease_state::NONE)
    }

    fn request(&self, tree: &Tree, state: u32) -> context::Lease {
        context::Lease {
            key: self.key,
            state,
            flags: 0,
            v2: tree.lease_v2().then_some(LeaseV2 {
                parent: [0; 16],
                epoch: 0,
            }),
        }
    }
}

impl Hold {
    /// Takes part in `lease` on `tree`. To be done before it is asked for: the server may take it away
    /// before its answer is read.
    pub(super) fn new(lease: &Arc<Lease>, tree: &Arc<Tree>) -> Result<Self> {
        lease.seeker.world.leases.join(lease, tree)?;
        Ok(Self {
            lease: lease.clone(),
            tree: tree.clone(),
        })
    }

    /// What to ask for.
    pub(super) fn wanted(&self, write: bool) -> context::Lease {
        let wanted = lease::wanted(write && self.tree.lease_v2());
        self.lease.request(&self.tree, wanted)
    }

    /// The server has given this.
    pub(super) fn granted(&self, granted: &context::Lease) {
        if granted.key == self.lease.key {
            self.with(|seat| seat.holding.granted(granted));
        }
    }

    /// What is held; see [`lease_state`](context::lease_state).
    pub(super) fn state(&self) -> u32 {
        self.with(|seat| seat.holding.state()).unwrap_or(0)
    }

    fn with<T>(&self, f: impl FnOnce(&mut Seat) -> T) -> Option<T> {
        let mut table = self.lease.seeker.world.leases.table.lock();
        let entry = table.get_mut(&self.lease.key)?;
        entry.seat(&self.tree).map(f)
    }
}

impl Drop for Hold {
    fn drop(&mut self) {
        let gone = self.lease.seeker.world.leases.part(&self.lease, &self.tree);
        drop(gone);
    }
}

impl Entry {
    fn seat(&mut self, tree: &Arc<Tree>) -> Option<&mut Seat> {
        (self.seats.iter_mut()).find(|seat| Arc::ptr_eq(&seat.tree, tree))
    }
}

impl Leases {
    /// None.
    pub(super) fn new() -> impl PinInit<Self> {
        pin_init!(Self { table <- new_mutex!(RBTree::new()) })
    }

    /// One more open file goes by `lease` on `tree`.
    fn join(&self, lease: &Arc<Lease>, tree: &Arc<Tree>) -> Result {
        let entry = Entry {
            lease: lease.clone(),
            seats: KVec::with_capacity(1, GFP_KERNEL)?,
        };
        let node = RBTreeNode::new(lease.key, entry, GFP_KERNEL)?;
        let mut table = self.table.lock();
        if table.get(&lease.key).is_none() {
            table.insert(node);
        }
        let Some(entry) = table.get_mut(&lease.key) else {
            return Err(EINVAL);
        };
        if let Some(seat) = entry.seat(tree) {
            seat.users = seat.users.saturating_add(1);
            return Ok(());
        }
        let seat = Seat {
            tree: tree.clone(),
            users: 1,
            holding: Holding::new(tree.lease_v2()),
        };
        Ok(entry.seats.push(seat, GFP_KERNEL)?)
    }

    /// One less. What is returned is to be dropped without a lock held.
    fn part(&self, lease: &Arc<Lease>, tree: &Arc<Tree>) -> impl Sized {
        let mut table = self.table.lock();
        let entry = table.get_mut(&lease.key)?;
        let at = (entry.seats.iter()).position(|seat| Arc::ptr_eq(&seat.tree, tree))?;
        let seat = entry.seats.get_mut(at)?;
        seat.users = seat.users.saturating_sub(1);
        if seat.users > 0 {
            return None;
        }
        let gone = entry.seats.remove(at).ok();
        let empty = entry.seats.is_empty();
        let entry = empty.then(|| table.remove(&lease.key));
        Some((gone, entry))
    }

    /// Whether a server has taken away the right to keep what was read, on any tree.
    fn was_read_taken(&self, key: &Key) -> bool {
        let table = self.table.lock();
        (table.get(key))
            .is_some_and(|entry| (entry.seats.iter()).any(|seat| seat.holding.was_read_taken()))
    }

    /// What a notice is about, and what it takes. It may come on any connection to the server: clients are
    /// told apart by their guid only, which all mounts of this machine share.
    fn take(&self, notice: &Notice) -> Option<(Arc<Lease>, Arc<Tree>, Loss)> {
        let mut table = self.table.lock();
        let entry = table.get_mut(&notice.key)?;
        let here = |seat: &Seat| seat.tree.session().server().serial() == notice.serial;
        let at = entry.seats.iter().position(here);
        let at = at.unwrap_or(entry.seats.len().saturating_sub(1));
        let seat = entry.seats.get_mut(at)?;
        let loss = (seat.holding).broken(notice.current, notice.new, notice.epoch);
        let tree = seat.tree.clone();
        Some((entry.lease.clone(), tree, loss))
    }
}

/// Hears what a server says unasked on the connection with this number.
pub(super) struct Ear {
    pub(super) serial: u64,
}

impl Listener for Ear {
    fn broken(&self, what: &Break) {
        let Break::Lease {
            epoch,
            flags,
            key,
            current,
            new,
        } = *what
        else {
            // Oplocks are not asked for.
            return;
        };
        let Some(world) = World::get() else {
            return;
        };
        let notice = Notice {
            serial: self.serial,
            key,
            epoch,
            current,
            new,
            ack: flags & ACK_REQUIRED != 0,
        };
        let queue = world.queue().clone();
        // Without memory the server waits in vain, and closes the file.
        let _ = queue.run(GFP_KERNEL, move || see_to(&world, &notice));
    }
}

/// Does what a notice asks for.
fn see_to(world: &Arc<World>, notice: &Notice) {
    let _scope = NoFs::enter();
    // Of a file that was closed meanwhile the server wants to know nothing more.
    let Some((lease, tree, loss)) = world.leases.take(notice) else {
        return;
    };
    lease.seeker.counters.leases_broken.add();
    let holder = lease.holder.lock().clone();
    if let Some(holder) = holder.filter(|_| loss != Loss::default()) {
        within(world, PATIENCE, move || {
            if loss.write {
                holder.write_back();
            }
            if loss.read {
                holder.forget();
            }
        });
    }
    if notice.ack {
        let ack = LeaseAck {
            key: notice.key,
            state: notice.new,
        };
        let context = On::new(&tree, None).context();
        let _ = tree.conn().call(&context, &ack, Some(ACK_PATIENCE));
    }
}

/// Has `work` done, and waits for that at most so many milliseconds.
fn within(world: &World, patience: u64, work: impl FnOnce() + Send + 'static) {
    let Ok(done) = Arc::pin_init(Done::new(), GFP_KERNEL) else {
        return work();
    };
    let told = done.clone();
    let body = move || {
        let _scope = NoFs::enter();
        work();
        told.event.set();
    };
    if world.queue().run(GFP_KERNEL, body).is_ok() {
        done.event.wait_idle(Some(patience));
    }
}

/// That something is done.
#[pin_data]
struct Done {
    #[pin]
    event: Event,
}

impl Done {
    fn new() -> impl PinInit<Self> {
        pin_init!(Self { event <- Event::new() })
    }
}
