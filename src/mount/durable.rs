// SPDX-License-Identifier: GPL-2.0

//! Open files that their server keeps when the connection is lost (MS-SMB2 3.2.4.4).
//!
//! A file is opened with a lease and as a durable one, which costs no request of its own: in 3.x of the second
//! version (2.2.13.2.11), in 2.1 of the first (2.2.13.2.3). Back at the same server it is claimed again with what
//! it was granted, before anybody looks for it by its path: what others may not do to it meanwhile, its locks, and
//! that it lives on without a name, are kept.

use super::{
    handle::{
        text,
        Handle, //
    },
    lease::{
        Hold,
        Lease, //
    },
    ops,
    tree::{
        On,
        Tree, //
    },
    Error,
    How,
    Result, //
};
use crate::sys::crypto;
use core::cell::Cell;
use kernel::{
    prelude::*,
    sync::Arc, //
};
use rsdfs_proto::smb2::{
    context::{
        Answer,
        Ask, //
    },
    create::{
        self,
        oplock,
        options,
        Create, //
    },
    Command, //
    FileId,
};

/// What is asked for along with a file.
pub(super) struct Wish {
    hold: Option<Hold>,
    durable: Option<Kind>,
    replay: bool,
    write: bool,
}

/// The durable open that a CREATE has asked for and got no answer to, in all attempts to open one file. The server
/// may have left it behind: then it gives that one when it is asked for it again.
#[derive(Default)]
pub(super) struct Asked(Cell<Option<Name>>);

/// The guid of a server, and the one of a durable open.
type Name = ([u8; 16], [u8; 16]);

/// By what name, besides the server's id for it, a durable open goes.
#[derive(Clone, Copy)]
enum Kind {
    /// By none: the first version.
    Plain,
    /// By one that we give it: the second.
    Guid([u8; 16]),
}

/// What was granted along with a file.
#[derive(Default)]
pub(super) struct Grant {
    hold: Option<Hold>,
    durable: Option<Durable>,
}

/// By what a file is claimed again.
struct Durable {
    /// The guid of the server, and the share.
    server: [u8; 16],
    share: KVec<u8>,
    kind: Kind,
    file: FileId,
}

/// How long a server shall keep a file open, in milliseconds. smbd gives it up if another client wants it; on ksmbd
/// it cannot be deleted until then if nobody claims it. (Of the first version the server decides.)
const KEPT: u32 = 30_000;

/// What is asked for at most: that, and the server's number of the file.
const MOST: usize = 3;

impl Wish {
    /// For a file that is to be opened on `tree`.
    pub(super) fn new(tree: &On<'_>, lease: &Arc<Lease>, how: How, asked: &Asked) -> Result<Self> {
        let mut wish = Self {
            hold: None,
            durable: None,
            replay: false,
            write: how.write,
        };
        if tree.has_leases() {
            wish.hold = Some(Hold::new(lease, tree)?);
        }
        // None is granted without a lease.
        if wish.hold.is_some() && how.durable {
            let (kind, replay) = asked.ask(tree);
            wish.durable = Some(kind);
            wish.replay = replay;
        }
        Ok(wish)
    }

    /// Whether it was asked for before, and nobody knows what has come of that.
    pub(super) fn is_replay(&self) -> bool {
        self.replay
    }

    /// What a CREATE says of it. `asks` is room for it.
    pub(super) fn put<'a>(&self, create: Create<'a>, asks: &'a mut [Ask<'a>; MOST]) -> Create<'a> {
        let mut count = 1;
        let mut ask = |what| {
            if let Some(slot) = asks.get_mut(count) {
                *slot = what;
                count = count.saturating_add(1);
            }
        };
        if let Some(hold) = &self.hold {
            ask(Ask::Lease(hold.wanted(self.write)));
        }
        if let Some(kind) = self.durable {
            ask(kind.request());
        }
        Create {
            oplock: match self.hold {
                Some(_) => oplock::LEASE,
                None => oplock::NONE,
            },
            contexts: asks.get(..count).unwrap_or_default(),
            ..create
        }
    }

    /// What of it was granted.
    pub(super) fn granted(self, tree: &Tree, reply: &create::Reply<'_>) -> Grant {
        let mut grant = Grant {
            hold: self.hold,
            durable: None,
        };
        for context in reply.contexts {
            match (context, &grant.hold, self.durable) {
                (Ok(Answer::Lease(lease)), Some(hold), _) => hold.granted(&lease),
                (Ok(Answer::Durable | Answer::Durable2 { .. }), _, Some(kind)) => {
                    // Without memory it is not.
                    grant.durable = Durable::new(tree, kind, reply.file_id).ok();
                }
                _ => {}
            }
        }
        grant
    }
}

/// Room for [`Wish::put`].
pub(super) const fn room<'a>() -> [Ask<'a>; MOST] {
    [const { Ask::FileId }; MOST]
}

impl Grant {
    /// Whether its server keeps it when the connection is lost.
    pub(super) fn is_durable(&self) -> bool {
        self.durable.is_some()
    }

    /// What is held of its lease; see [`lease_state`](rsdfs_proto::smb2::context::lease_state).
    pub(super) fn lease(&self) -> u32 {
        self.hold.as_ref().map_or(0, Hold::state)
    }
}

impl Asked {
    /// What to ask for on `tree`, and whether that was done before.
    fn ask(&self, tree: &Tree) -> (Kind, bool) {
        if !tree.durable_v2() {
            return (Kind::Plain, false);
        }
        let server = tree.session().server().guid();
        let before = self.0.get().filter(|(asked, _)| *asked == server);
        let (_, guid) = before.unwrap_or_else(|| {
            let mut guid = [0; 16];
            crypto::random(&mut guid);
            (server, guid)
        });
        self.0.set(Some((server, guid)));
        (Kind::Guid(guid), before.is_some())
    }

    /// It was answered.
    pub(super) fn answered(&self) {
        self.0.set(None);
    }
}

impl Kind {
    /// Asks for one.
    fn request(self) -> Ask<'static> {
        match self {
            Kind::Plain => Ask::Durable,
            Kind::Guid(guid) => Ask::Durable2 {
                timeout: KEPT,
                flags: 0,
                guid,
            },
        }
    }

    /// Asks for one again.
    fn claim(self, file_id: FileId) -> Ask<'static> {
        match self {
            Kind::Plain => Ask::DurableReconnect(file_id),
            Kind::Guid(guid) => Ask::Durable2Reconnect {
                file_id,
                guid,
                flags: 0,
            },
        }
    }
}

impl Durable {
    fn new(tree: &Tree, kind: Kind, file: FileId) -> Result<Self> {
        let mut share = KVec::new();
        share.extend_from_slice(tree.share(), GFP_KERNEL)?;
        Ok(Self {
            server: tree.session().server().guid(),
            share,
            kind,
            file,
        })
    }

    /// Whether it is to be had on `tree`. A server that does not know what is claimed would open the file by its path.
    fn is_of(&self, tree: &Tree) -> bool {
        tree.has_leases()
            && tree.durable_v2() == matches!(self.kind, Kind::Guid(_))
            && tree.session().server().guid() == self.server
            && tree.share().eq_ignore_ascii_case(&self.share)
    }
}

/// Claims an open file again on `tree`, if that is of the server that kept it and it did; `None` if not.
/// There is one that does this at a time.
#[inline(never)]
pub(super) fn resume(tree: &On<'_>, handle: &Handle) -> Result<Option<(FileId, Grant)>> {
    let Some(before) = handle.take_grant() else {
        return Ok(None);
    };
    let Some(durable) = before.durable.as_ref().filter(|it| it.is_of(tree)) else {
        return Ok(None);
    };
    match claim(tree, handle, durable) {
        Ok(claimed) => {
            handle.lease().counters().durable_resumed.add();
            Ok(Some(claimed))
        }
        Err(Error::Status(_)) => Ok(None),
        Err(error) => {
            // Who knows what has become of it: it is tried again.
            handle.put_grant(before);
            Err(error)
        }
    }
}

/// Asks the server for it.
fn claim(tree: &On<'_>, handle: &Handle, durable: &Durable) -> Result<(FileId, Grant)> {
    let path = handle.path()?;
    let name = tree.name(text(&path))?;
    let hold = Hold::new(handle.lease(), tree)?;
    let contexts = [
        durable.kind.claim(durable.file),
        Ask::Lease(hold.wanted(handle.how.write)),
    ];
    let command = Create {
        oplock: oplock::LEASE,
        options: options::NON_DIRECTORY_FILE,
        contexts: &contexts,
        ..ops::creation(&name, ops::access_of(handle.how))
    };
    let answer = ops::call(tree, &command)?;
    let reply = Create::parse(&answer.message()?)?;
    for context in reply.contexts {
        if let Answer::Lease(lease) = context? {
            hold.granted(&lease);
        }
    }
    let grant = Grant {
        hold: Some(hold),
        durable: Some(Durable::new(tree, durable.kind, reply.file_id)?),
    };
    Ok((reply.file_id, grant))
}
