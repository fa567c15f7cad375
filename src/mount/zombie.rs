// SPDX-License-Identifier: GPL-2.0

//! Servers that were given up because they were silent, and that may come back to life with requests of
//! ours in their queue, and with files of ours open.
//!
//! When a mount has gone from such a server to another, it is tried for a while to end the session that
//! was left behind there: by a new one that names it (PreviousSessionId), and is logged off at once. What
//! the server finds in its queue then is of a session that is gone. This is best effort: what a server
//! does before it can be talked to cannot be prevented from here (see Documentation/failover.md).

use super::{
    reconnect::{
        Attempt,
        Seeker, //
    },
    server::Server,
    session::Session,
    trouble::Trouble,
    volume::Volume, //
};
use crate::sys::{
    thread::NoFs,
    time::now_ms, //
};
use core::mem;
use kernel::{
    new_spinlock,
    prelude::*,
    sync::{
        Arc,
        SpinLock, //
    }, //
};

/// For how long it is tried, in milliseconds.
const LONGEST: u64 = 60_000;

/// How long after an attempt that failed the next begins, in milliseconds.
const PAUSE: u64 = 2000;

/// What a mount does about the server it has left last.
#[pin_data]
pub(super) struct Zombie {
    #[pin]
    state: SpinLock<State>,
}

#[derive(Default)]
struct State {
    /// The session at the server that was lost last, until the mount is elsewhere.
    left: Option<Arc<Session>>,
    /// The attempt to end one.
    attempt: Option<Arc<Attempt>>,
    ended: bool,
}

impl Zombie {
    /// Nothing was lost yet.
    pub(super) fn new() -> impl PinInit<Self> {
        pin_init!(Self { state <- new_spinlock!(State::default()) })
    }

    /// The server of `session` was given up, and does not know it.
    pub(super) fn left(&self, session: Arc<Session>) {
        let old = self.state.lock().left.replace(session);
        drop(old);
    }

    /// Ends it: the mount is ended.
    pub(super) fn end(&self) {
        let mut state = self.state.lock();
        state.ended = true;
        let State { left, attempt, .. } = mem::take(&mut *state);
        state.ended = true;
        drop(state);
        if let Some(attempt) = &attempt {
            attempt.cancel();
        }
        drop(left);
    }

    /// What is to be ended, now that the mount is at `present`; an attempt for another one is called
    /// off.
    fn begin(&self, present: &Session) -> Option<(Arc<Session>, Arc<Attempt>)> {
        let attempt = Attempt::new().ok()?;
        let mut state = self.state.lock();
        let left = state.left.take()?;
        if state.ended || left.server().guid() == present.server().guid() {
            // Logging on there again has ended it.
            drop(state);
            drop(left);
            return None;
        }
        let old = state.attempt.replace(attempt.clone());
        drop(state);
        if let Some(old) = old {
            old.cancel();
        }
        Some((left, attempt))
    }
}

impl Volume {
    /// The mount is at `present`: sees to what it has left behind elsewhere. Does not wait.
    pub(super) fn lay_to_rest(&self, present: &Session) {
        let Some((session, attempt)) = self.zombie.begin(present) else {
            return;
        };
        let seeker = self.seeker.clone();
        let work = move || chase(&seeker, &session, &attempt);
        // Without memory the server finds out by itself.
        let _ = self.seeker.world.queue().run(GFP_KERNEL, work);
    }
}

/// Tries to end `session` until its server has answered, or for as long as it takes to say it will not.
fn chase(seeker: &Seeker, session: &Session, attempt: &Attempt) {
    let _scope = NoFs::enter();
    let until = now_ms().saturating_add(LONGEST);
    while now_ms() < until && !attempt.cancelled().is_set() && session.may_linger() {
        if rest(seeker, session, attempt).is_ok() {
            seeker.counters.sessions_ended.add();
            return;
        }
        attempt.cancelled().wait_idle(Some(PAUSE));
    }
}

/// Ends `session` at its server on a connection of its own.
#[inline(never)]
fn rest(
    seeker: &Seeker,
    session: &Session,
    attempt: &Attempt,
) -> core::result::Result<(), Trouble> {
    let old = session.server();
    let server = Server::connect(seeker, old.host(), &[old.address.ip()], attempt)?;
    let ended = match server.guid() == old.guid() {
        true => {
            let previous = Some(session.id());
            Session::log_on(seeker, &server, old.host(), previous, attempt).map(|new| {
                session.was_replaced();
                seeker.world.servers.replaced(&server, session.id());
                new.log_off();
            })
        }
        // Another machine has its address.
        false => Ok(()),
    };
    attempt.release();
    ended
}
