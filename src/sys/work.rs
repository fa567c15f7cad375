// SPDX-License-Identifier: GPL-2.0

//! Work queues of our own, and closures run on them. For what is to run later see [`super::timer`].
//!
//! The kernel crate cannot create queues. Here a [`Queue`] has one owner, whose `Drop` waits for
//! everything that was given to it.
//!
//! C header: [`include/linux/workqueue.h`](srctree/include/linux/workqueue.h)

use super::{bindings, errno, wait::WaitQueue};
use core::ptr::NonNull;
use kernel::{
    alloc::Flags,
    prelude::*,
    sync::{
        atomic::{
            Acquire,
            Atomic,
            AtomicFlag,
            Full, //
        },
        Arc, //
    }, //
};

/// How a queue's work is run.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Options {
    /// Makes progress even when no memory is left for new workers: `WQ_MEM_RECLAIM`.
    pub(crate) reclaim: bool,
    /// Not bound to the processor it was queued on; for work that is long or waits: `WQ_UNBOUND`.
    pub(crate) unbound: bool,
    /// How much of it runs at once; 0 is the kernel's default.
    pub(crate) max_active: i32,
}

/// The part of a queue that work and timers refer to.
///
/// # Invariants
///
/// `queue` is a valid work queue until `closed` is set and `users` has come down to zero.
#[pin_data]
struct Inner {
    queue: NonNull<bindings::workqueue_struct>,
    closed: AtomicFlag,
    /// Calls in progress, and timers that wait.
    users: Atomic<i32>,
    #[pin]
    idle: WaitQueue,
}

// SAFETY: Work queues are used by any task.
unsafe impl Send for Inner {}
// SAFETY: As above.
unsafe impl Sync for Inner {}

/// A work queue, owned: dropping it refuses new work, waits for armed timers and queued work, and
/// destroys it. Cancel timers first, or it takes as long as they do. Not from its own work.
pub(crate) struct Queue(Handle);

/// Leave to give work to a [`Queue`], which it does not keep alive.
#[derive(Clone)]
pub(crate) struct Handle(Arc<Inner>);

/// Leave to use the queue now: while it exists the queue is not destroyed.
///
/// # Invariants
///
/// Accounts for one of `Inner::users`.
pub(super) struct User(Arc<Inner>);

impl Queue {
    /// Makes a queue: `alloc_workqueue()`.
    pub(crate) fn new(name: &CStr, options: Options) -> Result<Self> {
        let mut flags = 0;
        if options.reclaim {
            flags |= bindings::RSDFS_WQ_MEM_RECLAIM;
        }
        if options.unbound {
            flags |= bindings::RSDFS_WQ_UNBOUND;
        }
        // SAFETY: The name is copied.
        let queue =
            unsafe { bindings::rsdfs_workqueue(name.as_char_ptr(), flags, options.max_active) };
        let queue = NonNull::new(queue).ok_or(ENOMEM)?;
        let init = pin_init!(Inner {
            queue,
            closed: AtomicFlag::new(false),
            users: Atomic::new(0),
            idle <- WaitQueue::new(),
        });
        // INVARIANT: The queue was made just now and is not closed.
        match Arc::pin_init(init, GFP_KERNEL) {
            Ok(inner) => Ok(Queue(Handle(inner))),
            Err(error) => {
                // SAFETY: Nobody else knows the queue.
                unsafe { bindings::destroy_workqueue(queue.as_ptr()) };
                Err(error)
            }
        }
    }

    /// Leave to give work to this queue.
    pub(crate) fn handle(&self) -> Handle {
        self.0.clone()
    }
}

impl Drop for Queue {
    fn drop(&mut self) {
        let inner = &*self.0 .0;
        inner.closed.xchg(true, Full);
        inner
            .idle
            .wait_idle(None, || inner.users.load(Acquire) == 0);
        // SAFETY: Valid by the type invariant until now; no user is left, and no new one comes.
        // Work that is queued or running is waited for.
        unsafe { bindings::destroy_workqueue(inner.queue.as_ptr()) }
    }
}

impl core::ops::Deref for Queue {
    type Target = Handle;

    fn deref(&self) -> &Handle {
        &self.0
    }
}

impl Handle {
    /// Runs `body` once, soon, on the queue.
    ///
    /// Fails with `ENOMEM` or, on a queue that is closed, `ESHUTDOWN`.
    pub(crate) fn run<F>(&self, flags: Flags, body: F) -> Result
    where
        F: FnOnce() + Send + 'static,
    {
        let user = self.enter()?;
        // SAFETY: The queue is valid as long as `user` exists, by the type invariant of `Inner`.
        let queue = unsafe { kernel::workqueue::Queue::from_raw(user.queue()) };
        queue.try_spawn(flags, body)?;
        Ok(())
    }

    /// Keeps the queue from being destroyed, unless that has begun.
    pub(super) fn enter(&self) -> Result<User> {
        let inner = self.0.clone();
        // Fully ordered, as is closing: either we see `closed`, or the owner sees this user.
        inner.users.fetch_add(1, Full);
        // INVARIANT: Counted just now.
        let user = User(inner);
        if user.0.closed.load(Acquire) {
            return Err(errno::ESHUTDOWN);
        }
        Ok(user)
    }
}

impl User {
    /// The queue.
    pub(super) fn queue(&self) -> *mut bindings::workqueue_struct {
        self.0.queue.as_ptr()
    }
}

impl Drop for User {
    fn drop(&mut self) {
        if self.0.users.fetch_sub(1, Full) == 1 && self.0.closed.load(Acquire) {
            self.0.idle.wake_all();
        }
    }
}
