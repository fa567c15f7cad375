// SPDX-License-Identifier: GPL-2.0

//! Reads and writes of file data: begun here, ended by the receiving thread, and kept over
//! failovers.
//!
//! A transfer belongs to the mount. When its connection is lost it is parked, and sent again, in the
//! order the transfers came, when there is a new tree.

use super::{
    handle::{
        Handle,
        Seat, //
    },
    locks::{
        Locks,
        Range,
        Route, //
    },
    tree::{
        On,
        Tree, //
    },
    volume::Volume,
    Error,
    Result, //
};
use crate::{
    sys::{
        iter::{
            Dest,
            Source, //
        },
        thread::NoFs, //
    },
    transport::{
        conn::Reason,
        Answer,
        Request,
        Sink, //
    }, //
};
use kernel::{
    prelude::*,
    sync::Arc, //
};
use rsdfs_proto::{
    smb2::{
        read::Read,
        write::Write,
        Command, //
    },
    status::{
        Class,
        NtStatus, //
    }, //
};

/// A read into pages. [`ReadIo::done`] is called exactly once.
pub(crate) trait ReadIo: Send {
    /// Where in the file, in bytes.
    fn pos(&self) -> u64;
    /// How much, in bytes: at most [`Volume::read_max`] at the time it was made.
    fn len(&self) -> usize;
    /// Where to, from the first byte on, afresh at each call.
    fn iter(&mut self) -> Dest<'_>;
    /// The number of bytes read, less than asked for only at the end of the file; or why not.
    fn done(self: KBox<Self>, result: Result<usize>);
}

/// A write from pages. [`WriteIo::done`] is called exactly once.
pub(crate) trait WriteIo: Send {
    /// Where in the file, in bytes.
    fn pos(&self) -> u64;
    /// How much, in bytes: at most [`Volume::write_max`] at the time it was made.
    fn len(&self) -> usize;
    /// Where from, from the first byte on, afresh at each call.
    fn iter(&mut self) -> Source<'_>;
    /// The number of bytes written, or why not.
    fn done(self: KBox<Self>, result: Result<usize>);
}

/// What is transferred.
enum Transfer {
    Read(KBox<dyn ReadIo>),
    Write(KBox<dyn WriteIo>),
}

/// A transfer and what it needs to begin again.
pub(super) struct Io {
    id: u64,
    volume: Arc<Volume>,
    handle: Arc<Handle>,
    locks: Arc<Locks>,
    /// Where it was sent last, and the handle that stands for it.
    sent: Option<Sent>,
    transfer: Transfer,
    deadline: Option<u64>,
    /// The next in the list of parked transfers.
    next: Option<KBox<Io>>,
    /// The server closed the file under it before.
    reopened: bool,
    /// The answer was malformed before.
    malformed: bool,
    /// How often a lock was in its way.
    conflicts: usize,
    /// It was lost with its connection, and not sent again since.
    lost: bool,
    /// How much of it was sent, in bytes: a server may take less at once than the one before.
    len: usize,
}

/// Where a transfer was sent.
struct Sent {
    seat: Seat,
    /// The handle it was sent with.
    by: Arc<Handle>,
}

/// How often a transfer is sent again that a lock was in the way of: before it is known that it has to go
/// through the anchor, and before a lock of ours makes way.
const CONFLICTS: usize = 3;

impl Volume {
    /// Reads from an open file, which has these locks.
    pub(crate) fn read(
        self: &Arc<Self>,
        handle: &Arc<Handle>,
        locks: &Arc<Locks>,
        io: KBox<dyn ReadIo>,
    ) {
        self.begin(handle, locks, Transfer::Read(io));
    }

    /// Writes to an open file, which has these locks.
    pub(crate) fn write(
        self: &Arc<Self>,
        handle: &Arc<Handle>,
        locks: &Arc<Locks>,
        io: KBox<dyn WriteIo>,
    ) {
        self.begin(handle, locks, Transfer::Write(io));
    }

    fn begin(self: &Arc<Self>, handle: &Arc<Handle>, locks: &Arc<Locks>, transfer: Transfer) {
        let _scope = NoFs::enter();
        let Ok(room) = KBox::<Io>::new_uninit(GFP_KERNEL) else {
            transfer.done(Err(Error::Kernel(ENOMEM)));
            return;
        };
        Io::start(KBox::write(
            room,
            Io {
                id: self.number(),
                volume: self.clone(),
                handle: handle.clone(),
                locks: locks.clone(),
                sent: None,
                transfer,
                deadline: self.deadline(),
                next: None,
                reopened: false,
                malformed: false,
                conflicts: 0,
                lost: false,
                len: 0,
            },
        ));
    }
}

impl Transfer {
    fn done(self, result: Result<usize>) {
        match self {
            Transfer::Read(io) => io.done(result),
            Transfer::Write(io) => io.done(result),
        }
    }
}

impl Io {
    /// Whether its time is up.
    pub(super) fn is_late(&self, now: u64) -> bool {
        self.deadline.is_some_and(|deadline| deadline <= now)
    }

    /// Ends it without success.
    pub(super) fn fail(self: KBox<Self>, error: Error) {
        KBox::into_inner(self).transfer.done(Err(error));
    }

    /// Sends it on the present tree; parks it if there is none.
    pub(super) fn start(mut self: KBox<Self>) {
        let _scope = NoFs::enter();
        let view = self.volume.view();
        let Some(present) = view.tree.filter(|_| view.up) else {
            return self.park();
        };
        let on = On::new(&present, self.deadline);
        let write = matches!(self.transfer, Transfer::Write(_));
        let (by, seat) = match self.locks.route(&present, &self.handle, write) {
            Route::Own => (self.handle.clone(), self.volume.seat(&on, &self.handle)),
            Route::Anchor(anchor, seat) => (anchor, Ok(seat)),
            Route::Lost => return self.fail(Error::Kernel(EIO)),
            Route::Wait => {
                let (volume, locks) = (self.volume.clone(), self.locks.clone());
                return locks.park(&volume, self);
            }
        };
        let (tree, file) = match seat {
            Ok(seat) => seat,
            Err(error) => return self.ended(&present, Err(error)),
        };
        let on = on.with(&tree);
        self.len = match &self.transfer {
            Transfer::Read(io) => io.len().min(tree.read_max()),
            Transfer::Write(io) => io.len().min(tree.write_max()),
        };
        let request = match &self.transfer {
            Transfer::Read(io) => Request::new(
                &on.context(),
                &Read {
                    flags: 0,
                    len: self.len as u32,
                    offset: io.pos(),
                    file_id: file,
                    minimum: 0,
                },
            ),
            Transfer::Write(io) => Request::new(
                &on.context(),
                &Write {
                    data_len: self.len as u32,
                    offset: io.pos(),
                    file_id: file,
                    flags: 0,
                },
            ),
        };
        self.sent = Some(Sent {
            seat: (tree.clone(), file),
            by,
        });
        if core::mem::take(&mut self.lost) {
            let counters = &self.volume.seeker.counters;
            match &self.transfer {
                Transfer::Read(_) => counters.reads_resent.add(),
                Transfer::Write(_) => counters.writes_resent.add(),
            }
        }
        tree.conn().submit(request, self);
    }

    fn park(self: KBox<Self>) {
        let volume = self.volume.clone();
        volume.park(self);
    }

    /// Ends it, or lets it begin again, with what has come of it on `tree`.
    fn ended(mut self: KBox<Self>, tree: &Arc<Tree>, result: Result<usize>) {
        let gone = match result {
            Err(Error::Status(status)) => tree.gone(status),
            _ => None,
        };
        let reason = match result {
            _ if gone.is_some() => gone.unwrap_or(Reason::Gone),
            Err(Error::Lost) => Reason::Gone,
            // Whoever began it is being killed, or the server has taken credits back: the keeper
            // sends it again, as much of it as there are credits for.
            Err(Error::Interrupted | Error::Kernel(E2BIG)) => return self.park(),
            Err(Error::Malformed) if !self.malformed => {
                self.malformed = true;
                Reason::BadFrame
            }
            Err(Error::Status(status)) if self.may_reopen(status) => {
                self.reopened = true;
                return self.park();
            }
            Err(Error::Status(NtStatus::FILE_LOCK_CONFLICT)) if self.may_pass() => {
                let (volume, locks) = (self.volume.clone(), self.locks.clone());
                return locks.park(&volume, self);
            }
            result => {
                KBox::into_inner(self).transfer.done(result);
                return;
            }
        };
        self.lost = self.sent.is_some();
        if let Some(sent) = &self.sent {
            self.volume.forget(&sent.by, &sent.seat);
        }
        self.volume.lost(tree, reason);
        self.park();
    }

    /// The server closed the file: once that may be mended by opening it again.
    fn may_reopen(&self, status: NtStatus) -> bool {
        if self.reopened || status.class() != Class::HandleGone {
            return false;
        }
        if let Some(sent) = &self.sent {
            self.volume.forget(&sent.by, &sent.seat);
        }
        true
    }

    /// A lock was in the way: it may be one of ours, and then there is a way.
    fn may_pass(&mut self) -> bool {
        self.conflicts = self.conflicts.saturating_add(1);
        let Some(sent) = self.sent.as_ref().filter(|_| self.conflicts <= CONFLICTS) else {
            return false;
        };
        let elsewhere = self.locks.is_elsewhere(&sent.by);
        match &self.transfer {
            Transfer::Read(_) => elsewhere,
            Transfer::Write(io) => {
                let end = io.pos().saturating_add(io.len() as u64);
                let range = Range::new(io.pos(), end);
                elsewhere || range.is_some_and(|range| self.locks.is_in_the_way(range))
            }
        }
    }

    /// How many bytes the answer is about.
    fn outcome(&mut self, answer: &Answer) -> Result<usize> {
        let message = answer.message()?;
        match (&mut self.transfer, message.header.status) {
            (Transfer::Read(_), NtStatus::END_OF_FILE) => Ok(0),
            (Transfer::Read(_), NtStatus::SUCCESS) if answer.placed > 0 => Ok(answer.placed),
            (Transfer::Read(io), NtStatus::SUCCESS) => {
                let data = Read::parse(&message)?;
                match io.iter().write(data) {
                    n if n == data.len() => Ok(n),
                    _ => Err(Error::Malformed),
                }
            }
            (Transfer::Write(io), NtStatus::SUCCESS) => match Write::parse(&message)? as usize {
                n if n > 0 && n <= self.len => {
                    let end = io.pos().saturating_add(n as u64);
                    self.handle.wrote(end);
                    if let Some(sent) = &self.sent {
                        sent.by.wrote(end);
                    }
                    Ok(n)
                }
                _ => Err(Error::Malformed),
            },
            (_, status) => Err(Error::Status(status)),
        }
    }
}

/// Parked transfers, in the order they came. Nothing needs to be allocated to park one.
#[derive(Default)]
pub(super) struct Parked(Option<KBox<Io>>);

impl Parked {
    /// How many there are.
    pub(super) fn len(&self) -> usize {
        let mut len = 0usize;
        let mut at = &self.0;
        while let Some(io) = at {
            len = len.saturating_add(1);
            at = &io.next;
        }
        len
    }

    /// Whether there is none.
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_none()
    }

    /// Adds one at its place.
    pub(super) fn insert(&mut self, mut io: KBox<Io>) {
        let mut place = &mut self.0;
        while place.as_ref().is_some_and(|other| other.id < io.id) {
            // Just seen to be there.
            let Some(other) = place else { return };
            place = &mut other.next;
        }
        io.next = place.take();
        *place = Some(io);
    }

    /// Takes out the first.
    pub(super) fn pop(&mut self) -> Option<KBox<Io>> {
        let mut first = self.0.take()?;
        self.0 = first.next.take();
        Some(first)
    }

    /// Takes out all that are `wanted`.
    pub(super) fn take(&mut self, wanted: impl Fn(&Io) -> bool) -> Parked {
        let mut all = core::mem::take(self);
        let (mut rest, mut taken) = (&mut self.0, Parked(None));
        let mut tail = &mut taken.0;
        while let Some(io) = all.pop() {
            if wanted(&io) {
                tail = &mut tail.insert(io).next;
            } else {
                rest = &mut rest.insert(io).next;
            }
        }
        taken
    }
}

impl Sink for Io {
    fn payload(&mut self) -> Option<Dest<'_>> {
        match &mut self.transfer {
            Transfer::Read(io) => Some(io.iter()),
            Transfer::Write(_) => None,
        }
    }

    fn data(&mut self) -> Option<Source<'_>> {
        match &mut self.transfer {
            Transfer::Read(_) => None,
            Transfer::Write(io) => {
                let mut data = io.iter();
                data.truncate(self.len);
                Some(data)
            }
        }
    }

    fn done(mut self: KBox<Self>, answer: Result<Answer>) {
        let result = answer.and_then(|answer| self.outcome(&answer));
        match self.sent.as_ref().map(|sent| sent.seat.0.clone()) {
            Some(tree) => self.ended(&tree, result),
            None => self.fail(Error::Lost),
        }
    }
}
