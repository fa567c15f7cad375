// SPDX-License-Identifier: GPL-2.0

//! Kernel threads, and the allocation scopes of tasks that serve a file system.
//!
//! A thread never outlives the module, though it may outlive whoever it worked for: its [`Thread`] is
//! joined, or dropped by the thread itself, which may take a while from there to its end. [`Threads`]
//! waits for all of them, last of all in the module's exit. A reference to the module would not do:
//! that is too late once the exit has begun, and from the start it would keep the module from being
//! removed for as long as a connection takes to end after its last mount.
//!
//! C headers: [`include/linux/kthread.h`](srctree/include/linux/kthread.h),
//! [`include/linux/sched/mm.h`](srctree/include/linux/sched/mm.h)

use super::bindings;
use core::{mem::ManuallyDrop, ptr::NonNull};
use kernel::{
    prelude::*,
    sync::atomic::{
        Acquire,
        Atomic,
        AtomicFlag,
        Full,
        Relaxed,
        Release, //
    },
    types::{
        NotThreadSafe,
        Opaque, //
    },
};

/// How many threads were started whose end was not taken off [`ended`] yet.
///
/// Invariant: counts each thread from before it runs until after it has completed [`ended`], which is
/// the last it does in the module.
static COUNT: Atomic<u32> = Atomic::new(0);

/// What each thread completes, once, when it ends.
fn ended() -> *mut bindings::completion {
    &raw mut bindings::rsdfs_threads_ended
}

/// Waits, on drop, until no thread is in the module any more.
///
/// It belongs where nothing can start threads any more, but threads themselves.
pub(crate) struct Threads(());

impl Threads {
    /// For the module's init, before anything that starts threads.
    pub(crate) fn new() -> Self {
        Threads(())
    }

    /// Takes those off that have ended, so that they are not counted on and on.
    fn reap() {
        // SAFETY: A static completion, initialised.
        while unsafe { bindings::try_wait_for_completion(ended()) } {
            COUNT.fetch_sub(1, Full);
        }
    }
}

impl Drop for Threads {
    fn drop(&mut self) {
        // Only a thread could take off what is waited for here, and that is one more to wait for.
        while COUNT.load(Acquire) > 0 {
            // SAFETY: A static completion, initialised.
            unsafe { bindings::wait_for_completion(ended()) };
            COUNT.fetch_sub(1, Full);
        }
    }
}

/// Tells a thread that it is wanted no more.
pub(crate) struct Stop(AtomicFlag);

impl Stop {
    /// Whether [`Thread::stop`] was called.
    pub(crate) fn is_set(&self) -> bool {
        self.0.load(Acquire)
    }
}

/// What a thread and its handle share.
#[pin_data]
struct Shared {
    stop: Stop,
    /// The handle is gone without a join; only the thread itself writes and reads this.
    detached: AtomicFlag,
    #[pin]
    done: Opaque<bindings::completion>,
}

/// What a thread is started with.
struct Start<F> {
    shared: NonNull<Shared>,
    body: F,
}

/// A running kernel thread. Dropping it tells the thread to stop and waits for its end.
///
/// Waking the thread up from whatever it waits for is up to the owner: call [`Self::stop`], wake,
/// then drop. A thread may drop its own handle; nobody waits then.
///
/// # Invariants
///
/// - `shared` came from `KBox::into_raw` and is freed by whoever comes last: by the handle after
///   `done` was completed, or by the thread if `detached` is set.
/// - `task` is only compared with the current task, never read through.
pub(crate) struct Thread {
    shared: NonNull<Shared>,
    task: *mut bindings::task_struct,
}

// SAFETY: `stop` and `done` may be used by any task, and `detached` is only touched by the thread.
unsafe impl Send for Thread {}
// SAFETY: As above.
unsafe impl Sync for Thread {}

impl Thread {
    /// Starts a thread that runs `body` once: `kthread_run()`.
    ///
    /// It has no signals, the kernel's credentials, and the initial namespaces. Only the first 15
    /// bytes of `name` show in `ps`. Fails with `ENOMEM`, or `EINTR` if the caller is killed.
    pub(crate) fn spawn<F>(name: &CStr, body: F) -> Result<Self>
    where
        F: FnOnce(&Stop) + Send + 'static,
    {
        let shared = KBox::pin_init(
            pin_init!(Shared {
                stop: Stop(AtomicFlag::new(false)),
                detached: AtomicFlag::new(false),
                done <- Opaque::ffi_init(|done| {
                    // SAFETY: `done` is valid for writing, and pinned from here on.
                    unsafe { bindings::init_completion(done) }
                }),
            }),
            GFP_KERNEL,
        )?;
        // SAFETY: Pinned contents are not moved by turning the box into a pointer.
        let shared = unsafe { Pin::into_inner_unchecked(shared) };
        let start = KBox::new(
            Start {
                shared: NonNull::from(&*shared),
                body,
            },
            GFP_KERNEL,
        )?;
        let start = KBox::into_raw(start);
        // SAFETY: `entry::<F>` takes the `Start<F>` it is given; the name is copied.
        let task = unsafe {
            bindings::rsdfs_kthread_create(Some(entry::<F>), start.cast(), name.as_char_ptr())
        };
        let task = match kernel::error::from_err_ptr(task) {
            Ok(task) => task,
            Err(error) => {
                // SAFETY: No thread was made, so the box is still ours.
                drop(unsafe { KBox::from_raw(start) });
                return Err(error);
            }
        };
        Threads::reap();
        COUNT.fetch_add(1, Full);
        // SAFETY: `KBox::into_raw` is never null.
        let shared = unsafe { NonNull::new_unchecked(KBox::into_raw(shared)) };
        // SAFETY: A new thread sleeps until it is woken, and cannot have exited.
        unsafe { bindings::rsdfs_kthread_start(task) };
        // INVARIANT: `shared` came from a box just now, and no one else frees it.
        Ok(Thread { shared, task })
    }

    /// Sets the thread's [`Stop`]. Does not wake it up.
    pub(crate) fn stop(&self) {
        self.shared().stop.0.store(true, Release);
    }

    /// Waits, not killably, until the thread has ended.
    pub(crate) fn join(self) {
        let thread = ManuallyDrop::new(self);
        thread.end();
    }

    /// Whether the current task is this thread.
    pub(crate) fn is_current(&self) -> bool {
        self.task == kernel::task::Task::current_raw()
    }

    fn shared(&self) -> &Shared {
        // SAFETY: Valid while the handle exists, by the type invariants.
        unsafe { self.shared.as_ref() }
    }

    /// Gives up the handle: must be the last use of it.
    fn end(&self) {
        // The task may have ended, and its memory be that of the current one.
        // SAFETY: The completion is initialised.
        let ended = unsafe { bindings::completion_done(self.shared().done.get()) };
        if !ended && self.is_current() {
            self.shared().detached.store(true, Relaxed);
            return;
        }
        // SAFETY: The completion is initialised, and completed by the end of the thread.
        unsafe { bindings::wait_for_completion(self.shared().done.get()) };
        // SAFETY: The thread has completed `done`, its last use of `shared`, and was not detached,
        // because only it could have done that.
        drop(unsafe { KBox::from_raw(self.shared.as_ptr()) });
    }
}

impl Drop for Thread {
    fn drop(&mut self) {
        self.stop();
        self.end();
    }
}

/// The thread's function.
unsafe extern "C" fn entry<F: FnOnce(&Stop)>(data: *mut c_void) -> c_int {
    // SAFETY: `spawn` passed a `KBox<Start<F>>` and forgot it.
    let start = unsafe { KBox::from_raw(data.cast::<Start<F>>()) };
    let Start { shared, body } = KBox::into_inner(start);
    // SAFETY: `shared` is freed only after `done` is completed or by this thread, both below.
    let this = unsafe { shared.as_ref() };
    body(&this.stop);
    if this.detached.load(Relaxed) {
        // SAFETY: The handle is gone and left `shared` to us.
        drop(unsafe { KBox::from_raw(shared.as_ptr()) });
    } else {
        // SAFETY: The completion is initialised. After it `shared` is the handle's, and may be gone.
        unsafe { bindings::complete(this.done.get()) };
    }
    // SAFETY: A static completion, initialised. After it the module may go, and with it this function's
    // text, which the call does not return to.
    unsafe { bindings::kthread_complete_and_exit(ended(), 0) }
}

/// While it exists, allocations of this task do not enter file systems:
/// `memalloc_nofs_save()`. Drop nested scopes in the reverse order.
pub(crate) struct NoFs {
    flags: c_uint,
    _task: NotThreadSafe,
}

impl NoFs {
    /// Enters the scope.
    pub(crate) fn enter() -> Self {
        // SAFETY: Changes a flag of the current task, which `drop` puts back.
        let flags = unsafe { bindings::rsdfs_memalloc_nofs_save() };
        Self {
            flags,
            _task: NotThreadSafe,
        }
    }
}

impl Drop for NoFs {
    fn drop(&mut self) {
        // SAFETY: In the task that saved the flags, as the type is not `Send`.
        unsafe { bindings::rsdfs_memalloc_nofs_restore(self.flags) }
    }
}
