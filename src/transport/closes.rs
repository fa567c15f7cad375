// SPDX-License-Identifier: GPL-2.0

//! Files that are to be closed at the server, and whose closing nobody waits for.
//!
//! A lone CLOSE goes out at once. In a burst of them, as when many small files are made, they are
//! collected and go out as one compound: when there are enough, when the last is a little while old,
//! or before the next request that must not overtake them. Nothing here waits, so that the receiving
//! thread may close files too.

use super::{
    pending::{
        Answer,
        Ignore,
        Sink, //
    },
    request::{
        Context,
        Request,
        MAX_PARTS, //
    },
    wire::Wire,
    Result, //
};
use crate::sys::time::now_ms;
use core::mem;
use kernel::{
    alloc::AllocError,
    prelude::*, //
};
use rsdfs_proto::{
    smb2::{
        close::Close,
        create::Create,
        Code,
        Command as _,
        FileId, //
    },
    status::NtStatus, //
};

/// Two closes with less than this between them are a burst, in milliseconds; also the time for which
/// one is kept back.
const BURST: u64 = 20;

/// The most that wait, over all compounds.
const MOST: usize = 64;

/// Files to be closed on behalf of one session and tree, in the order in which they came.
pub(super) struct Closes {
    context: Context,
    files: [FileId; MOST],
    count: usize,
    /// When the last one came, in milliseconds since boot.
    last: u64,
}

impl Default for Closes {
    fn default() -> Self {
        Self {
            context: Context::default(),
            files: [FileId::ANY; MOST],
            count: 0,
            last: 0,
        }
    }
}

impl Closes {
    /// Adds one; fails if there is no room for it.
    fn push(&mut self, context: &Context, file: FileId) -> bool {
        let other = self.context.session != context.session || self.context.tree != context.tree;
        if other && self.count > 0 {
            return false;
        }
        let Some(slot) = self.files.get_mut(self.count) else {
            return false;
        };
        *slot = file;
        self.count = self.count.saturating_add(1);
        if other {
            self.context = Context {
                deadline: None,
                ..context.clone()
            };
        }
        true
    }

    /// The first ones, as many as fit into a compound.
    fn first(&self) -> &[FileId] {
        let waiting = self.files.get(..self.count).unwrap_or_default();
        waiting.get(..MAX_PARTS).unwrap_or(waiting)
    }

    /// Takes the first `count` away.
    fn drop_first(&mut self, count: usize) {
        let count = count.min(self.count);
        self.files.copy_within(count.., 0);
        self.count = self.count.saturating_sub(count);
    }
}

impl Wire {
    /// Closes what a CREATE has opened for somebody who does not wait any more.
    pub(super) fn close_opened(&self, context: &Context, answer: &Answer) {
        let opened = answer.message().ok().filter(|message| {
            message.header.command == Code::Create.number()
                && message.header.status == NtStatus::SUCCESS
        });
        if let Some(Ok(reply)) = opened.map(|message| Create::parse(&message)) {
            self.close(context, reply.file_id);
        }
    }

    /// Has a file closed, now or soon. Does not wait.
    pub(super) fn close(&self, context: &Context, file: FileId) {
        let now = now_ms();
        let mut closes = self.closes.lock();
        if !closes.push(context, file) {
            drop(closes);
            while self.send_closes(None) {}
            closes = self.closes.lock();
            if !closes.push(context, file) {
                // It stays open until the session ends; nothing can be sent anyway.
                return;
            }
        }
        let burst = now.saturating_sub(mem::replace(&mut closes.last, now)) < BURST;
        let enough = closes.count >= MAX_PARTS;
        drop(closes);
        if !burst || enough {
            self.send_closes(None);
        }
    }

    /// Closes what has waited long enough; says for how many milliseconds the receiver may sleep if
    /// there is more to come.
    pub(super) fn tend_closes(&self) -> Option<u64> {
        let closes = self.closes.lock();
        let (age, count) = (now_ms().saturating_sub(closes.last), closes.count);
        drop(closes);
        if age >= BURST && count > 0 {
            self.send_closes(None);
        }
        (age < BURST || count > 0).then_some(BURST)
    }

    /// Sends the closes that `request` must not overtake, waiting at most `timeout` milliseconds for
    /// the right to. Why that fails, the request itself will find out.
    pub(super) fn closes_before(&self, request: &Request, timeout: Option<u64>) {
        while !request.may_overtake() && self.closes.lock().count > 0 {
            if !self.send_closes(Some(timeout)) {
                return;
            }
        }
    }

    /// Sends a compound of closes; says whether it has. With `wait` it waits for credits and the
    /// right to send for so long.
    fn send_closes(&self, wait: Option<Option<u64>>) -> bool {
        let mut files = [FileId::ANY; MAX_PARTS];
        let mut closes = self.closes.lock();
        let count = closes.first().len();
        for (file, waiting) in files.iter_mut().zip(closes.first()) {
            *file = *waiting;
        }
        closes.drop_first(count);
        let context = closes.context.clone();
        drop(closes);
        let files = files.get(..count).unwrap_or_default();
        if files.is_empty() {
            return false;
        }
        let sent = request(&context, files)
            .and_then(|mut request| self.transmit_closes(&mut request, ignore()?, wait));
        if sent.is_err() {
            let mut closes = self.closes.lock();
            for file in files {
                closes.push(&context, *file);
            }
        }
        sent.is_ok()
    }
}

/// A compound of closes that have nothing to do with each other.
fn request(context: &Context, files: &[FileId]) -> Result<Request> {
    let close = |file: &FileId| Close {
        file_id: *file,
        query: false,
    };
    let (first, rest) = files.split_first().ok_or(EINVAL)?;
    let mut request = Request::new(context, &close(first))?;
    for file in rest {
        request = request.and(&close(file))?;
    }
    Ok(request)
}

/// Sinks for answers that nobody wants.
fn ignore() -> core::result::Result<[Option<KBox<dyn Sink>>; MAX_PARTS], AllocError> {
    let mut sinks = [const { None }; MAX_PARTS];
    for sink in &mut sinks {
        let ignore: KBox<dyn Sink> = KBox::new(Ignore, GFP_KERNEL)?;
        *sink = Some(ignore);
    }
    Ok(sinks)
}
