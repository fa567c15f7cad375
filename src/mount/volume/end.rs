// SPDX-License-Identifier: GPL-2.0

//! The end of a mount, which waits for no server for long.

use super::{
    Phase,
    Volume, //
};
use crate::{
    mount::reconnect::Attempt,
    sys::{
        fs::file::task_killed,
        thread::NoFs,
        time::now_ms, //
    }, //
};
use kernel::prelude::*;

/// How long an unmount waits for a lost server to be replaced, in milliseconds.
const GRACE: u64 = 500;

/// How long an unmount waits for each answer to its farewells, in milliseconds.
const FAREWELL: u64 = 200;

impl Volume {
    /// Sees to time limits while there is no tree, and to the end of the task that looks for one.
    pub(super) fn tick(&self, attempt: &Attempt) {
        if task_killed() {
            attempt.cancel();
        }
        let state = self.state.lock();
        let late = match (state.closing, state.phase) {
            (Some(closing), Phase::Down(since, _)) => {
                now_ms() > closing.max(since).saturating_add(GRACE)
            }
            _ => false,
        };
        drop(state);
        if late {
            self.abort();
        } else {
            self.expire();
        }
    }

    /// An unmount begins: from now on a server that is lost must be replaced soon.
    pub(crate) fn closing(&self) {
        self.state.lock().closing = Some(now_ms());
        self.upkeep.end();
        self.changed.wake_all();
    }

    /// `umount -f`: from now on everything fails at once.
    pub(crate) fn abort(&self) {
        let mut state = self.state.lock();
        state.phase = Phase::Aborted;
        let attempt = state.attempt.take();
        let tree = state.tree.take();
        drop(state);
        if let Some(attempt) = attempt {
            attempt.cancel();
        }
        if let Some(tree) = tree {
            tree.abandon();
        }
        self.abandon_left();
        self.changed.wake_all();
        self.todo.wake_all();
        self.locks.wake();
        self.expire();
    }

    /// Ends the requests that are under way on trees the mount has left, where files are open still.
    fn abandon_left(&self) {
        let _scope = NoFs::enter();
        let mut left = KVec::new();
        // Without memory those that were found so far have to do; the others end when they are answered.
        let _ = self.copy_handles(&mut left, |handle| handle.is_left());
        for tree in left.iter().filter_map(|handle| handle.tree()) {
            tree.abandon();
        }
    }

    /// Ends the mount: takes leave of the server, if that goes quickly.
    pub(crate) fn unmount(&self) {
        self.upkeep.end();
        self.zombie.end();
        let keeper = self.keeper.lock().take();
        if let Some(keeper) = &keeper {
            keeper.stop();
        }
        self.bury(FAREWELL);
        let tree = self.state.lock().tree.take();
        if let Some(tree) = tree {
            tree.farewell(FAREWELL);
        }
        self.abort();
        drop(keeper);
        self.expire();
        self.seeker.world.discharge(self);
    }
}
