// SPDX-License-Identifier: GPL-2.0

//! One step at a server: a LOCK request, and what is known after it.

use super::{
    turn::Turn,
    Kind,
    Lock,
    Range, //
};
use crate::{
    mount::{
        self,
        ops,
        session::success,
        tree::On,
        Error, //
    },
    transport::Request, //
};
use kernel::prelude::*;
use rsdfs_proto::{
    locks::{
        next_step,
        place_last,
        unlocked,
        Step, //
    },
    smb2::{
        lock::{
            self,
            Lock as Command, //
        },
        FileId, //
    },
    status::NtStatus, //
};

/// How often a range is unlocked of which nobody knows whether it is locked.
const TRIES: usize = 4;

impl Turn<'_> {
    /// Notes that a range is locked.
    pub(super) fn note(&mut self, lock: Lock) -> mount::Result {
        self.held.push(lock, GFP_KERNEL)?;
        place_last(&mut self.held, |lock| *lock);
        Ok(())
    }

    /// Unlocks a range, and in the same frame locks what comes next. Says what has come of that.
    pub(super) fn unlock(
        &mut self,
        on: &On<'_>,
        file: FileId,
        range: Range,
        wanted: &[Lock],
    ) -> mount::Result<Option<(Lock, bool)>> {
        if let Some(at) = unlocked(&self.held, range) {
            let _ = self.held.remove(at);
        }
        let stacks = self.locks.state.lock().stacks;
        let Some(Step::Lock(lock)) = next_step(&self.held, wanted, stacks) else {
            let result = ops::call(on, &command(file, &[unlock(range)]));
            self.known(result.map(|_| ()), [Some(range), None])?;
            return Ok(None);
        };
        self.held.reserve(1, GFP_KERNEL)?;
        let mut request = Request::new(&on.context(), &command(file, &[unlock(range)]))?;
        request.then(&command(file, &[ask(lock)]))?;
        let answers = on.conn().call_parts::<2>(&mut request, None);
        let unknown = [Some(range), Some(lock.range)];
        let answers = match answers {
            Ok(answers) => answers,
            Err(error) => {
                self.known(Err(error), unknown)?;
                return Ok(None);
            }
        };
        let [first, second] = answers;
        let first = success(first.message()?.header.status);
        self.known(first, unknown)?;
        let second = success(second.message()?.header.status);
        Ok(Some((lock, self.granted(second, lock.range)?)))
    }

    /// Locks a range; says whether it is granted.
    pub(super) fn lock(&mut self, on: &On<'_>, file: FileId, lock: Lock) -> mount::Result<bool> {
        let result = ops::call(on, &command(file, &[ask(lock)]));
        self.granted(result.map(|_| ()), lock.range)
    }

    fn granted(&mut self, result: mount::Result, range: Range) -> mount::Result<bool> {
        match result {
            Err(Error::Status(NtStatus::LOCK_NOT_GRANTED | NtStatus::FILE_LOCK_CONFLICT)) => {
                Ok(false)
            }
            result => {
                self.known(result, [Some(range), None])?;
                Ok(true)
            }
        }
    }

    /// Notes the ranges if it is not known what has come of them. That a range was not locked is all right.
    fn known(&mut self, result: mount::Result, ranges: [Option<Range>; 2]) -> mount::Result {
        match result {
            Err(Error::Status(NtStatus::RANGE_NOT_LOCKED)) => Ok(()),
            Err(error @ (Error::Interrupted | Error::Timeout)) => {
                self.locks.state.lock().unknown = ranges;
                Err(error)
            }
            result => result,
        }
    }

    /// Sees to it that it is known what is locked.
    pub(super) fn make_known(&mut self, on: &On<'_>, file: FileId) -> mount::Result {
        let ranges = self.locks.state.lock().unknown;
        for range in ranges.into_iter().flatten() {
            self.unlock_all(on, file, range)?;
            self.held.retain(|lock| lock.range != range);
        }
        self.locks.state.lock().unknown = [None; 2];
        Ok(())
    }

    /// Unlocks a range, however often it is locked, if it is.
    pub(super) fn unlock_all(&self, on: &On<'_>, file: FileId, range: Range) -> mount::Result {
        for _ in 0..TRIES {
            match ops::call(on, &command(file, &[unlock(range)])) {
                Ok(_) => {}
                Err(Error::Status(NtStatus::RANGE_NOT_LOCKED)) => break,
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }
}

/// A LOCK with the anchor. It has no sequence number: none is sent again with a handle that outlived its connection
/// (Documentation/decisions.md).
fn command(file_id: FileId, ranges: &[lock::Range]) -> Command<'_> {
    Command {
        sequence: 0,
        file_id,
        ranges,
    }
}

fn ask(lock: Lock) -> lock::Range {
    let kind = match lock.kind {
        Kind::Shared => lock::SHARED,
        Kind::Exclusive => lock::EXCLUSIVE,
    };
    lock::Range {
        offset: lock.range.start(),
        len: lock.range.len(),
        flags: kind | lock::FAIL_IMMEDIATELY,
    }
}

fn unlock(range: Range) -> lock::Range {
    lock::Range {
        offset: range.start(),
        len: range.len(),
        flags: lock::UNLOCK,
    }
}
