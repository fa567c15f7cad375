// SPDX-License-Identifier: GPL-2.0

//! Jobs that run on a work queue after a while, and can be cancelled.
//!
//! A [`Timer`] keeps its [`Job`] alive while it is armed and gives it back when it is cancelled. The
//! job is an argument of [`Timer::arm`], so a struct may own a timer and be its job at once: the
//! cycle exists only while the timer is armed.
//!
//! Locks: `Node::state` is a leaf; neither runs nor drops a job under it.
//!
//! C header: [`include/linux/workqueue.h`](srctree/include/linux/workqueue.h)

use super::{
    bindings,
    work::{
        Handle,
        User, //
    }, //
};
use kernel::{
    container_of,
    new_spinlock,
    prelude::*,
    sync::{
        Arc,
        SpinLock, //
    },
    types::Opaque, //
};

/// What a [`Timer`] does.
pub(crate) trait Job: Send + Sync {
    /// The time has come. The timer may be armed again from here.
    fn run(self: Arc<Self>);
}

/// Runs a [`Job`] on a [`Queue`](super::work::Queue) after a while: `struct delayed_work`.
///
/// Dropping it cancels it, but does not wait for a job that is running.
pub(crate) struct Timer(Arc<Node>);

/// The part of a timer that pending work refers to.
///
/// # Invariants
///
/// `work` is initialised with [`fire`] and changed only under the lock of `state`. For each time
/// that it is queued, or on its way into `fire`, there is one reference to the node, and a [`User`]
/// of the queue in `state`, so that neither goes away.
#[pin_data]
struct Node {
    queue: Handle,
    #[pin]
    state: SpinLock<State>,
    #[pin]
    work: Opaque<bindings::delayed_work>,
}

// SAFETY: `work` is changed under the lock of `state`; the other fields are `Send` and `Sync`.
unsafe impl Send for Node {}
// SAFETY: As above.
unsafe impl Sync for Node {}

/// Whether and what a timer waits for.
#[derive(Default)]
struct State {
    job: Option<Arc<dyn Job>>,
    /// For the work that was queued last, until it gets into `fire` or is cancelled.
    queued: Option<User>,
    /// For the work queued before that, which is on its way into `fire` and too late to stop.
    late: Option<User>,
}

impl Timer {
    /// A timer that is not armed.
    pub(crate) fn new(queue: &Handle) -> Result<Self> {
        let queue = queue.clone();
        let init = pin_init!(Node {
            queue,
            state <- new_spinlock!(State::default()),
            work <- Opaque::ffi_init(|work| {
                // SAFETY: `work` is valid for writing, and pinned from here on.
                unsafe { bindings::rsdfs_delayed_work_init(work, Some(fire)) }
            }),
        });
        Ok(Timer(Arc::pin_init(init, GFP_KERNEL)?))
    }

    /// Has `job` run in `delay` milliseconds; replaces what the timer was armed with.
    ///
    /// Fails with `ESHUTDOWN` on a queue that is closed.
    pub(crate) fn arm(&self, delay: u64, job: Arc<dyn Job>) -> Result {
        let user = self.0.queue.enter()?;
        let delay = u32::try_from(delay).unwrap_or(u32::MAX >> 1);
        let jiffies = kernel::time::msecs_to_jiffies(delay);
        let mut state = self.0.state.lock();
        let before = state.job.replace(job);
        let (queue, work) = (user.queue(), self.0.raw());
        // SAFETY: The queue is valid while `user` exists; `work` is initialised, and its node kept
        // by `self` until the reference that pending work needs is given to it below, before `fire`
        // can get the lock.
        let was_queued = unsafe { bindings::mod_delayed_work_on(UNBOUND, queue, work, jiffies) };
        let rest = if was_queued {
            Some(user)
        } else {
            // INVARIANT: Queued anew: a reference and a user for it.
            let _ = Arc::into_raw(self.0.clone());
            if let Some(late) = state.queued.replace(user) {
                // There is no other: work does not run twice at once.
                state.late = Some(late);
            }
            None
        };
        drop(state);
        drop((before, rest));
        Ok(())
    }

    /// Whether the job is still to run.
    pub(crate) fn is_armed(&self) -> bool {
        self.0.state.lock().job.is_some()
    }

    /// Disarms the timer and gives the job back; a job that has begun to run goes on.
    pub(crate) fn cancel(&self) -> Option<Arc<dyn Job>> {
        let mut state = self.0.state.lock();
        let job = state.job.take();
        // SAFETY: `work` is initialised.
        let user = if unsafe { bindings::cancel_delayed_work(self.0.raw()) } {
            // SAFETY: The work was pending, so a reference is left to us, by the type invariant.
            drop(unsafe { Arc::from_raw(Arc::as_ptr(&self.0)) });
            state.queued.take()
        } else {
            None
        };
        drop(state);
        drop(user);
        job
    }

    /// Like [`Self::cancel`], and then waits until no job of this timer is running: `flush_work()`.
    ///
    /// From within such a job it does not wait.
    pub(crate) fn cancel_sync(&self) -> Option<Arc<dyn Job>> {
        let job = self.cancel();
        let work = self.0.raw();
        // SAFETY: `work` is initialised, and kept by `self` until the call returns.
        unsafe {
            let work = &raw mut (*work).work;
            if bindings::current_work() != work {
                bindings::flush_work(work);
            }
        }
        job
    }
}

impl Drop for Timer {
    fn drop(&mut self) {
        self.cancel();
    }
}

impl Node {
    fn raw(&self) -> *mut bindings::delayed_work {
        self.work.get()
    }
}

/// `WORK_CPU_UNBOUND`: any processor, the local one at best.
const UNBOUND: c_int = bindings::wq_misc_consts_WORK_CPU_UNBOUND as c_int;

/// The work function.
unsafe extern "C" fn fire(work: *mut bindings::work_struct) {
    // SAFETY: Called for the `work` of a `delayed_work` that is the `work` of a node, with the
    // reference that belonged to it while it was pending.
    let node = unsafe {
        let delayed = container_of!(work, bindings::delayed_work, work);
        Arc::from_raw(container_of!(Opaque::cast_from(delayed), Node, work))
    };
    let mut state = node.state.lock();
    let (user, job) = match state.late.take() {
        // Armed again just now: that is what the job waits for.
        Some(user) => (Some(user), None),
        None => (state.queued.take(), state.job.take()),
    };
    drop(state);
    if let Some(job) = job {
        job.run();
    }
    drop(node);
    drop(user);
}
