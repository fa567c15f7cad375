// SPDX-License-Identifier: GPL-2.0

//! Waiting for a condition, and a one-shot event.
//!
//! Built like `wait_woken()`: the condition is evaluated while the task is runnable, so it may
//! sleep or take a mutex, and a wake-up that arrives meanwhile is remembered. Whoever makes a
//! condition true must do so before waking. Nothing here polls.
//!
//! C header: [`include/linux/wait.h`](srctree/include/linux/wait.h)

use super::{bindings, time};
use core::mem::MaybeUninit;
use kernel::{
    prelude::*,
    sync::atomic::{
        Acquire,
        AtomicFlag,
        Release, //
    },
    types::Opaque, //
};

/// What ended a wait.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// The condition holds.
    Ready,
    /// Time is up, and the condition did not hold when it was looked at last.
    TimedOut,
}

/// How a task sleeps.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Sleep {
    /// Ends with `EINTR` when the task is killed; as [`Idle`](Sleep::Idle) in a kernel thread, which is
    /// never killed.
    Killable,
    /// Ignores signals; counts neither as load nor as a hung task.
    Idle,
}

/// Who wakes up when one is woken.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Order {
    /// One waiter, the first that came: `WQ_FLAG_EXCLUSIVE`.
    One,
    /// All of them, as in the queue of a socket, where they wait for different things.
    All,
}

/// Where tasks wait for a condition of their own: `wait_queue_head_t`.
///
/// # Invariants
///
/// `head` is an initialised `wait_queue_head`, and pinned.
#[pin_data]
pub(crate) struct WaitQueue {
    #[pin]
    head: Opaque<bindings::wait_queue_head>,
}

// SAFETY: A wait queue is made to be used by many tasks; it has a lock of its own.
unsafe impl Send for WaitQueue {}
// SAFETY: As above.
unsafe impl Sync for WaitQueue {}

impl WaitQueue {
    /// A queue with nobody in it.
    pub(crate) fn new() -> impl PinInit<Self> {
        pin_init!(Self {
            head <- Opaque::ffi_init(|head| {
                // SAFETY: `head` is valid for writing, and pinned from here on.
                unsafe { bindings::rsdfs_waitqueue_init(head) }
            }),
        })
    }

    /// Waits until `condition` holds, for at most `timeout` milliseconds (`None`: for ever).
    ///
    /// Fails with `EINTR` if the task is being killed and the condition does not hold.
    pub(crate) fn wait_killable(
        &self,
        timeout: Option<u64>,
        condition: impl FnMut() -> bool,
    ) -> Result<Outcome> {
        // SAFETY: The head is initialised, and lives as long as `self`.
        unsafe {
            wait(
                [self.raw()],
                Sleep::Killable,
                Order::One,
                timeout,
                condition,
            )
        }
    }

    /// Like [`Self::wait_killable`] for tasks that must not stop half-way: ignores signals.
    pub(crate) fn wait_idle(
        &self,
        timeout: Option<u64>,
        condition: impl FnMut() -> bool,
    ) -> Outcome {
        // SAFETY: The head is initialised, and lives as long as `self`.
        unsafe { wait([self.raw()], Sleep::Idle, Order::One, timeout, condition) }
            .unwrap_or(Outcome::TimedOut)
    }

    /// Makes all waiters look at their condition again.
    pub(crate) fn wake_all(&self) {
        // SAFETY: The head is initialised.
        unsafe { bindings::rsdfs_wake(self.raw(), 0) }
    }

    /// Makes one waiter look at its condition again, the one that has waited longest.
    ///
    /// Only for queues in which all wait for the same thing: the others sleep on. A waiter that is
    /// killed or runs out of time passes the wake-up on.
    pub(crate) fn wake_one(&self) {
        // SAFETY: The head is initialised.
        unsafe { bindings::rsdfs_wake(self.raw(), 1) }
    }

    /// For waits in several queues.
    pub(super) fn raw(&self) -> *mut bindings::wait_queue_head {
        self.head.get()
    }
}

/// The current task's entries in `N` queues, on its stack.
///
/// # Invariants
///
/// Each entry is initialised and in the queue of the same index; borrowed, it stays where it is.
struct Waiters<'a, const N: usize> {
    entries: &'a mut [MaybeUninit<bindings::wait_queue_entry>; N],
    heads: [*mut bindings::wait_queue_head; N],
}

impl<'a, const N: usize> Waiters<'a, N> {
    /// # Safety
    ///
    /// The heads are initialised and outlive `'a`.
    unsafe fn enter(
        entries: &'a mut [MaybeUninit<bindings::wait_queue_entry>; N],
        heads: [*mut bindings::wait_queue_head; N],
        order: Order,
    ) -> Self {
        for (entry, head) in entries.iter_mut().zip(heads) {
            // SAFETY: The entry is valid for writing, and borrowed until `drop` takes it out. The
            // head is initialised by the contract.
            unsafe {
                bindings::rsdfs_waiter_init(entry.as_mut_ptr());
                match order {
                    Order::One => bindings::add_wait_queue_exclusive(head, entry.as_mut_ptr()),
                    Order::All => bindings::add_wait_queue(head, entry.as_mut_ptr()),
                }
            }
        }
        // INVARIANT: Initialised and queued just now.
        Waiters { entries, heads }
    }

    /// Sleeps until woken in any queue, or for `jiffies`; says what is left of them.
    fn sleep(&mut self, how: Sleep, jiffies: c_long) -> c_long {
        let state = match how {
            Sleep::Killable => bindings::RSDFS_WAIT_KILLABLE,
            Sleep::Idle => bindings::RSDFS_WAIT_IDLE,
        };
        // SAFETY: By the type invariants these are `N` initialised entries of this task.
        unsafe {
            bindings::rsdfs_waiter_sleep(
                self.entries.as_mut_ptr().cast(),
                N as c_uint,
                state as c_int,
                jiffies,
            )
        }
    }
}

impl<const N: usize> Drop for Waiters<'_, N> {
    fn drop(&mut self) {
        for (entry, head) in self.entries.iter_mut().zip(self.heads) {
            // SAFETY: By the type invariants the entry is in this queue.
            unsafe { bindings::remove_wait_queue(head, entry.as_mut_ptr()) }
        }
    }
}

/// Waits in all of `heads` until `condition` holds.
///
/// # Safety
///
/// The heads are initialised and stay so during the call.
pub(super) unsafe fn wait<const N: usize>(
    heads: [*mut bindings::wait_queue_head; N],
    how: Sleep,
    order: Order,
    timeout: Option<u64>,
    mut condition: impl FnMut() -> bool,
) -> Result<Outcome> {
    if condition() {
        return Ok(Outcome::Ready);
    }
    let deadline = timeout.map(|ms| time::now_ms().saturating_add(ms));
    let mut entries = [const { MaybeUninit::uninit() }; N];
    // SAFETY: The caller's promise.
    let mut waiters = unsafe { Waiters::enter(&mut entries, heads, order) };
    let outcome = loop {
        if condition() {
            return Ok(Outcome::Ready);
        }
        // SAFETY: Looks at the current task.
        if how == Sleep::Killable && unsafe { bindings::rsdfs_fatal_signal() } {
            break Err(EINTR);
        }
        let left = deadline.map(|at| at.saturating_sub(time::now_ms()));
        if left == Some(0) {
            break Ok(Outcome::TimedOut);
        }
        waiters.sleep(how, left.map_or(c_long::MAX, jiffies));
    };
    drop(waiters);
    if order == Order::One {
        for head in heads {
            // A wake-up for one may have come to us, who leave without using it.
            // SAFETY: The caller's promise.
            unsafe { bindings::rsdfs_wake(head, 1) };
        }
    }
    outcome
}

/// Sleeps for `ms` milliseconds. Fails with `ERESTARTSYS` when a signal comes, of any kind.
pub(crate) fn nap(ms: u32) -> Result {
    // SAFETY: Puts the current task to sleep, which may.
    match unsafe { bindings::rsdfs_nap(ms) } {
        true => Ok(()),
        false => Err(ERESTARTSYS),
    }
}

/// Milliseconds as jiffies, rounded up, for `schedule_timeout()`.
fn jiffies(ms: u64) -> c_long {
    let ms = c_uint::try_from(ms).unwrap_or(c_uint::MAX >> 1);
    c_long::try_from(kernel::time::msecs_to_jiffies(ms)).unwrap_or(c_long::MAX - 1)
}

/// Something that happens at most once, and whose happening can be waited for.
#[pin_data]
pub(crate) struct Event {
    happened: AtomicFlag,
    #[pin]
    queue: WaitQueue,
}

impl Event {
    /// An event that has not happened yet.
    pub(crate) fn new() -> impl PinInit<Self> {
        pin_init!(Self {
            happened: AtomicFlag::new(false),
            queue <- WaitQueue::new(),
        })
    }

    /// It happens: what was written before is seen by all who wait. Again changes nothing.
    pub(crate) fn set(&self) {
        self.happened.store(true, Release);
        self.queue.wake_all();
    }

    /// Whether it has happened.
    pub(crate) fn is_set(&self) -> bool {
        self.happened.load(Acquire)
    }

    /// Waits for it, as [`WaitQueue::wait_killable`] does.
    pub(crate) fn wait_killable(&self, timeout: Option<u64>) -> Result<Outcome> {
        self.queue.wait_killable(timeout, || self.is_set())
    }

    /// Waits for it, as [`WaitQueue::wait_idle`] does.
    pub(crate) fn wait_idle(&self, timeout: Option<u64>) -> Outcome {
        self.queue.wait_idle(timeout, || self.is_set())
    }

    /// For waits in several queues.
    pub(super) fn raw(&self) -> *mut bindings::wait_queue_head {
        self.queue.raw()
    }
}
