// SPDX-License-Identifier: GPL-2.0

//! The operations of a volume that wait for their answer.
//!
//! Where a file is only touched, opening, doing and closing travel together (MS-SMB2 3.2.4.1.4).

use super::{
    durable::{
        self,
        Asked,
        Grant,
        Wish, //
    },
    handle::{
        text,
        Handle, //
    },
    lease::Lease,
    links,
    session::success,
    tree::On,
    volume::Volume,
    Attr,
    Basic,
    Create as Wanted,
    Error,
    How,
    Result, //
};
use crate::transport::{
    Answer,
    Request, //
};
use kernel::{
    prelude::*,
    sync::Arc, //
};
use rsdfs_proto::{
    smb2::{
        close::Close,
        context::{
            self,
            Ask, //
        },
        create::{
            self,
            access,
            oplock,
            options,
            share,
            Create,
            Disposition, //
        },
        flush::Flush,
        info::{
            self,
            attributes,
            Queried, //
        },
        query_info::QueryInfo,
        set_info::{
            Set,
            SetInfo, //
        },
        Command,
        FileId, //
    },
    status::NtStatus, //
};

/// What is needed to look at something.
pub(super) const LOOK: u32 = access::READ_ATTRIBUTES | access::SYNCHRONIZE;

/// How long an open is waited for before it is taken back and asked for anew, in milliseconds.
const OPEN_PATIENCE: u64 = 10_000;

/// The same if the server has put it off. smbd 4.22 does so until a lease is given back, and sometimes for ever, if the
/// file is renamed meanwhile.
const PUT_OFF_PATIENCE: u64 = 1000;

/// Asks for the server's number of the file.
const NUMBERED: &[Ask<'_>] = &[Ask::FileId];

impl Volume {
    /// What the server knows about `path`.
    pub(crate) fn stat(&self, path: &str) -> Result<Attr> {
        links::covered(path, self.run(|tree| stat(tree, path)))
    }

    /// Opens a file, with the lease of those who have it open.
    pub(crate) fn open(
        self: &Arc<Self>,
        path: &str,
        how: How,
        lease: Option<Arc<Lease>>,
    ) -> Result<(Arc<Handle>, Attr)> {
        // Two leases of one file would be in each other's way.
        let lease = match lease.or_else(|| self.lease_at(path)) {
            Some(lease) => match self.open_with(path, how, &lease) {
                // Another file has the name by now (MS-SMB2 3.3.5.9.8).
                Err(Error::Status(NtStatus::INVALID_PARAMETER)) => Lease::new(&self.seeker)?,
                opened => return opened,
            },
            None => Lease::new(&self.seeker)?,
        };
        self.open_with(path, how, &lease)
    }

    fn open_with(
        self: &Arc<Self>,
        path: &str,
        how: How,
        lease: &Arc<Lease>,
    ) -> Result<(Arc<Handle>, Attr)> {
        let enter = |tree: &On<'_>, (file, attr, grant): Opened| {
            let seat = (Arc::clone(tree), file);
            let handle = Handle::new(self.number(), path, how, lease, seat, (&attr, grant));
            let entered = handle.and_then(|handle| {
                self.enlist(&handle)?;
                Ok(handle)
            });
            match entered {
                Ok(handle) => Ok((handle, attr)),
                Err(error) => {
                    close(tree, file);
                    Err(error)
                }
            }
        };
        let asked = Asked::default();
        match how.create {
            Wanted::Exclusive => self.make_file(path, how, (lease, &asked), enter),
            Wanted::Open | Wanted::New => {
                self.run(|tree| enter(tree, open(tree, path, how, (lease, &asked), None)?))
            }
        }
    }

    /// Opens the file of a handle once more, to take locks with.
    pub(super) fn open_anchor(&self, tree: &On<'_>, own: &Handle, how: How) -> Result<Arc<Handle>> {
        let path = own.path()?;
        let wanted = (own.lease(), &Asked::default());
        let (file, attr, grant) = open(tree, text(&path), how, wanted, None)?;
        let (lease, seat) = (own.lease(), (Arc::clone(tree), file));
        let handle = Handle::new(self.number(), text(&path), how, lease, seat, (&attr, grant));
        let entered = handle.and_then(|handle| {
            if own.is_nameless() {
                handle.unname(text(&path));
            }
            self.enlist(&handle)?;
            Ok(handle)
        });
        entered.inspect_err(|_| close(tree, file))
    }

    /// What the server knows about an open file.
    pub(crate) fn stat_handle(&self, handle: &Arc<Handle>) -> Result<Attr> {
        self.with(handle, |tree, file| {
            let command = QueryInfo::of::<info::All>(file);
            let mark = handle.mark();
            let answer = call(tree, &command)?;
            let attr = attr_of_all(&parse_info(&answer)?);
            handle.learn(&attr, tree, mark);
            // Numbers of a server that was left are not those of the present one.
            let id = if tree.leaving().is_some() { 0 } else { attr.id };
            Ok(Attr { id, ..attr })
        })
    }

    /// Closes a file. What the server says to it changes nothing, so nobody waits for that.
    pub(crate) fn close(&self, handle: &Arc<Handle>) {
        let condemned = !self.leave(handle);
        drop(handle.take_grant());
        if let Some(seat) = handle.close(condemned) {
            self.release(handle, seat);
        }
        if condemned {
            self.condemn();
        }
    }

    /// Has the server put what it was given on stable storage.
    pub(crate) fn flush(&self, handle: &Arc<Handle>) -> Result {
        self.with(handle, |tree, file| {
            call(tree, &Flush { file_id: file }).map(|_| ())
        })
    }

    /// Sets the length of a file, in bytes.
    pub(crate) fn set_size(&self, path: &str, handle: Option<&Arc<Handle>>, size: u64) -> Result {
        self.set(path, handle, access::WRITE_DATA, Set::EndOfFile(size))?;
        if let Some(handle) = handle {
            handle.resized(size);
        }
        Ok(())
    }

    /// Sets times and attributes.
    pub(crate) fn set_basic(
        &self,
        path: &str,
        handle: Option<&Arc<Handle>>,
        basic: &Basic,
    ) -> Result {
        let set = Set::Basic(info::Basic {
            times: info::Times {
                creation: 0,
                access: basic.atime.unwrap_or(0),
                write: basic.mtime.unwrap_or(0),
                change: basic.ctime.unwrap_or(0),
            },
            attributes: basic.attributes.unwrap_or(0),
        });
        self.set(path, handle, access::WRITE_ATTRIBUTES, set)
    }

    fn set(&self, path: &str, handle: Option<&Arc<Handle>>, needed: u32, set: Set<'_>) -> Result {
        match handle {
            Some(handle) => self.with(handle, |tree, file| {
                call(tree, &SetInfo { file_id: file, set }).map(|_| ())
            }),
            None => {
                let lease = self.lease_at(path);
                self.run(|tree| change(tree, path, (needed, 0), &[set], lease.as_deref()))
            }
        }
    }
}

/// The id of a file that was opened, what is known of it, and what was granted with it.
pub(super) type Opened = (FileId, Attr, Grant);

/// Opens a file on `tree`. One that is made gets `mark`, if the server lets us.
pub(super) fn open(
    tree: &On<'_>,
    path: &str,
    how: How,
    (lease, asked): (&Arc<Lease>, &Asked),
    mark: Option<u64>,
) -> Result<Opened> {
    let name = tree.name(path)?;
    let disposition = match how.create {
        Wanted::Open => Disposition::Open,
        Wanted::New | Wanted::Exclusive => Disposition::Create,
    };
    // To ask for what exists a second time does no harm.
    let patience = matches!(how.create, Wanted::Open).then_some(OPEN_PATIENCE);
    let attempt = |access, mark| loop {
        let wish = Wish::new(tree, lease, how, asked)?;
        let replay = wish.is_replay();
        let mut asks = durable::room();
        let command = Create {
            disposition,
            options: options::NON_DIRECTORY_FILE,
            attributes: if how.readonly_attr {
                attributes::READONLY
            } else {
                attributes::NORMAL
            },
            ..creation(&name, LOOK | access)
        };
        let result = carry_out(tree, &wish.put(command, &mut asks), (mark, patience), wish);
        // What is answered too late, the connection closes.
        if matches!(result, Ok(_) | Err(Error::Status(_) | Error::Timeout)) {
            asked.answered();
        }
        match result {
            Err(Error::Timeout) if patience.is_some() && !tree.is_late() => {}
            // What servers make of a replay differs.
            Err(Error::Status(_)) if replay => {}
            result => break result,
        }
    };
    let first = match (how.write, mark) {
        // Whoever writes parts of pages has to read them first.
        (true, _) => attempt(READ | WRITE, mark),
        (false, Some(_)) => attempt(READ | access::WRITE_ATTRIBUTES, mark),
        (false, None) => attempt(READ, None),
    };
    match first {
        Err(Error::Status(NtStatus::ACCESS_DENIED)) if how.write && !how.read => {
            attempt(WRITE, mark)
        }
        Err(Error::Status(NtStatus::ACCESS_DENIED)) if !how.write && mark.is_some() => {
            attempt(READ, None)
        }
        opened => opened,
    }
}

/// What is needed to read.
const READ: u32 = access::READ_DATA | access::READ_EA | access::READ_CONTROL;

/// What is needed to write.
const WRITE: u32 =
    access::WRITE_DATA | access::APPEND_DATA | access::WRITE_ATTRIBUTES | access::WRITE_EA;

/// For what a file is opened at best.
pub(super) fn access_of(how: How) -> u32 {
    match how.write {
        true => READ | WRITE,
        false => READ,
    }
}

/// Opens what `command` says, which asks for `wish`; marks it if it is made. Waits for `patience` milliseconds.
#[inline(never)]
fn carry_out(
    tree: &On<'_>,
    command: &Create<'_>,
    (mark, patience): (Option<u64>, Option<u64>),
    wish: Wish,
) -> Result<Opened> {
    let patience = patience.map(|most| tree.left().map_or(most, |left| left.min(most)));
    let mut request = Request::new(&tree.context(), command)?;
    if patience.is_some() {
        request.hurry(PUT_OFF_PATIENCE);
    }
    if wish.is_replay() {
        request.replay();
    }
    let Some(mark) = mark else {
        let [created] = tree.conn().call_parts(&mut request, patience)?;
        return opened(tree, &created, wish);
    };
    request.then(&marking(mark))?;
    let [created, marked] = tree.conn().call_parts(&mut request, None)?;
    let (file, attr, grant) = opened(tree, &created, wish)?;
    Ok((file, bearing(mark, attr, &marked)?, grant))
}

/// What came of a CREATE that has asked for `wish`.
fn opened(tree: &On<'_>, created: &Answer, wish: Wish) -> Result<Opened> {
    let (file, attr) = attr_of_create(created)?;
    let again = wish.is_replay();
    let grant = wish.granted(tree, &Create::parse(&created.message()?)?);
    let attr = match attr.id {
        // Of what was left behind a server need not tell the number.
        0 if again => described(tree, file).inspect_err(|_| close(tree, file))?,
        _ => attr,
    };
    Ok((file, attr, grant))
}

/// What the server knows about an open file.
fn described(tree: &On<'_>, file: FileId) -> Result<Attr> {
    let answer = call(tree, &QueryInfo::of::<info::All>(file))?;
    Ok(attr_of_all(&parse_info(&answer)?))
}

/// Makes a directory, and marks it if the server lets us.
pub(super) fn make_directory(tree: &On<'_>, path: &str, mark: u64) -> Result<Attr> {
    let name = tree.name(path)?;
    let attempt = |access| {
        let command = Create {
            disposition: Disposition::Create,
            options: options::DIRECTORY_FILE,
            attributes: attributes::DIRECTORY,
            contexts: NUMBERED,
            ..creation(&name, access)
        };
        let mut request = Request::new(&tree.context(), &command)?;
        request.then(&marking(mark))?;
        request.then(&close_it())?;
        let [created, marked, _closed] = tree.conn().call_parts(&mut request, None)?;
        bearing(mark, attr_of_create(&created)?.1, &marked)
    };
    match attempt(LOOK | access::WRITE_ATTRIBUTES) {
        Err(Error::Status(NtStatus::ACCESS_DENIED)) => attempt(LOOK),
        made => made,
    }
}

/// Gives what the compound makes its time of creation.
fn marking(mark: u64) -> SetInfo<'static> {
    SetInfo {
        file_id: FileId::ANY,
        set: Set::Basic(info::Basic {
            times: info::Times {
                creation: mark,
                access: 0,
                write: 0,
                change: 0,
            },
            attributes: 0,
        }),
    }
}

/// What was made, with its mark if the server took that.
fn bearing(mark: u64, attr: Attr, marked: &Answer) -> Result<Attr> {
    let btime = match marked.message()?.header.status {
        NtStatus::SUCCESS => mark,
        _ => attr.btime,
    };
    Ok(Attr { btime, ..attr })
}

/// Closes a file without waiting.
pub(super) fn close(tree: &On<'_>, file: FileId) {
    tree.conn().close(&tree.context(), file);
}

/// What `tree` knows about `path`.
pub(super) fn stat(tree: &On<'_>, path: &str) -> Result<Attr> {
    let name = tree.name(path)?;
    let command = Create {
        contexts: NUMBERED,
        ..creation(&name, LOOK)
    };
    let mut request = Request::new(&tree.context(), &command)?;
    request.then(&close_it())?;
    let [created, _closed] = tree.conn().call_parts(&mut request, None)?;
    Ok(attr_of_create(&created)?.1)
}

/// Whether the directory that `tree` starts at is there.
pub(super) fn check_directory(tree: &On<'_>) -> Result {
    match stat(tree, "")?.dir {
        true => Ok(()),
        false => Err(Error::Status(NtStatus::NOT_A_DIRECTORY)),
    }
}

/// Opens `path`, changes one thing or two, and closes it. Who has it open here goes by `lease`, which is
/// not to be taken back for that.
pub(super) fn change(
    tree: &On<'_>,
    path: &str,
    (needed, kind): (u32, u32),
    sets: &[Set<'_>],
    lease: Option<&Lease>,
) -> Result {
    let name = tree.name(path)?;
    let lease = lease.filter(|_| tree.has_leases());
    let named = lease.map(|lease| [Ask::Lease(lease.named(tree))]);
    let command = Create {
        oplock: if named.is_some() {
            oplock::LEASE
        } else {
            oplock::NONE
        },
        contexts: named.as_ref().map_or(&[], |asks| asks),
        options: kind | options::OPEN_REPARSE_POINT,
        ..creation(&name, needed | access::SYNCHRONIZE)
    };
    let mut request = Request::new(&tree.context(), &command)?;
    for set in sets {
        let file_id = FileId::ANY;
        request.then(&SetInfo { file_id, set: *set })?;
    }
    request.then(&close_it())?;
    let changed = match sets.len() {
        1 => all::<3>(tree, &mut request),
        2 => all::<4>(tree, &mut request),
        _ => Err(Error::Kernel(EINVAL)),
    };
    match changed {
        // The lease is another file's (MS-SMB2 3.3.5.9.8): it has lost the name.
        Err(Error::Status(NtStatus::INVALID_PARAMETER)) if lease.is_some() => {
            Err(Error::Status(NtStatus::FILE_RENAMED))
        }
        changed => changed,
    }
}

/// Sends a request of `N` parts, of which all but the last have to succeed.
#[inline(never)]
fn all<const N: usize>(tree: &On<'_>, request: &mut Request) -> Result {
    let answers: [Answer; N] = tree.conn().call_parts(request, None)?;
    let needed = answers.iter().take(N.saturating_sub(1));
    for answer in needed {
        success(answer.message()?.header.status)?;
    }
    Ok(())
}

/// A CREATE that opens `name` as it is.
pub(super) fn creation(name: &[u8], access: u32) -> Create<'_> {
    Create {
        oplock: oplock::NONE,
        access,
        attributes: 0,
        share: share::ALL,
        disposition: Disposition::Open,
        options: 0,
        name,
        contexts: &[],
    }
}

/// A CLOSE of the file that the compound opened.
pub(super) fn close_it() -> Close {
    Close {
        file_id: FileId::ANY,
        query: false,
    }
}

/// Sends one command and expects success, or the fixed part of an answer that was too long.
pub(super) fn call<C: Command>(tree: &On<'_>, command: &C) -> Result<Answer> {
    let answer = tree.conn().call(&tree.context(), command, None)?;
    match answer.message()?.header.status {
        NtStatus::BUFFER_OVERFLOW => {}
        status => success(status)?,
    }
    Ok(answer)
}

pub(super) fn parse_info<I: Queried>(answer: &Answer) -> Result<I> {
    let message = answer.message()?;
    match message.header.status {
        NtStatus::BUFFER_OVERFLOW => {}
        status => success(status)?,
    }
    Ok(I::parse(QueryInfo::parse(&message)?)?)
}

/// File id and attributes out of the answer to a CREATE.
fn attr_of_create(answer: &Answer) -> Result<(FileId, Attr)> {
    let message = answer.message()?;
    success(message.header.status)?;
    let reply: create::Reply<'_> = Create::parse(&message)?;
    let mut id = 0;
    for context in reply.contexts {
        if let context::Answer::FileId { file, .. } = context? {
            id = file;
        }
    }
    let attr = Attr {
        alloc: reply.allocation,
        id,
        ..attr(&reply.times, reply.size, reply.attributes)
    };
    Ok((reply.file_id, attr))
}

pub(super) fn attr_of_all(all: &info::All) -> Attr {
    Attr {
        alloc: all.standard.allocation,
        id: all.file_id,
        nlink: all.standard.links.max(1),
        ..attr(&all.basic.times, all.standard.size, all.basic.attributes)
    }
}

/// Attributes as far as all answers have them.
pub(super) fn attr(times: &info::Times, size: u64, bits: u32) -> Attr {
    Attr {
        dir: bits & attributes::DIRECTORY != 0,
        link: false,
        reparse: bits & attributes::REPARSE_POINT != 0,
        size,
        alloc: size,
        atime: times.access,
        mtime: times.write,
        ctime: times.change,
        btime: times.creation,
        attributes: bits,
        id: 0,
        nlink: 1,
    }
}
