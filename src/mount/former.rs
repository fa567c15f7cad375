// SPDX-License-Identifier: GPL-2.0

//! Sessions whose connection was lost, and which their servers may still keep, with all that is open in
//! them. Whoever logs on there next, as the same user, has the server end one of them
//! (PreviousSessionId, MS-SMB2 3.2.4.2.3.1).
//!
//! Only numbers and names are kept: nothing that would hold on to a connection, a network namespace or a
//! password.

use super::session::Session;
use crate::sys::time::now_ms;
use kernel::prelude::*;

/// The most that are remembered; the oldest gives way.
const MOST: usize = 32;

/// For how long, in milliseconds: no server keeps one longer of which it hears nothing.
const LONGEST: u64 = 15 * 60 * 1000;

/// See the module.
#[derive(Default)]
pub(super) struct Formers(KVec<Former>);

/// A session that was lost.
struct Former {
    /// The guid of its server: addresses and names change.
    server: [u8; 16],
    /// Its number there.
    session: u64,
    /// Of whom.
    user: KVec<u8>,
    domain: KVec<u8>,
    /// When it was lost, in milliseconds since boot.
    at: u64,
}

impl Formers {
    /// Remembers a session that nobody uses any more, if its server may still have it. Without memory
    /// it is forgotten.
    pub(super) fn note(&mut self, session: &Session) {
        if !session.may_linger() {
            return;
        }
        let now = now_ms();
        self.0
            .retain(|former| now.saturating_sub(former.at) < LONGEST);
        if self.0.len() >= MOST {
            let _ = self.0.remove(0);
        }
        if let Ok(former) = Former::new(session, now) {
            let _ = self.0.push(former, GFP_KERNEL);
        }
    }

    /// The last one at this server of this user.
    pub(super) fn find(&self, server: &[u8; 16], user: &str, domain: &str) -> Option<u64> {
        let theirs = |former: &&Former| {
            former.server == *server
                && former.user[..] == *user.as_bytes()
                && former.domain.eq_ignore_ascii_case(domain.as_bytes())
        };
        self.0
            .iter()
            .rev()
            .find(theirs)
            .map(|former| former.session)
    }

    /// Whether this is one.
    pub(super) fn has(&self, server: &[u8; 16], id: u64) -> bool {
        let fresh = |former: &Former| now_ms().saturating_sub(former.at) < LONGEST;
        (self.0.iter())
            .any(|former| former.server == *server && former.session == id && fresh(former))
    }

    /// The server has been told about it.
    pub(super) fn forget(&mut self, server: &[u8; 16], id: u64) {
        self.0
            .retain(|former| former.server != *server || former.session != id);
    }
}

impl Former {
    fn new(session: &Session, at: u64) -> Result<Self> {
        let (user, domain) = session.whose();
        Ok(Self {
            server: session.server().guid(),
            session: session.id(),
            user: copy(user)?,
            domain: copy(domain)?,
            at,
        })
    }
}

fn copy(text: &str) -> Result<KVec<u8>> {
    let mut bytes = KVec::with_capacity(text.len(), GFP_KERNEL)?;
    bytes.extend_from_slice(text.as_bytes(), GFP_KERNEL)?;
    Ok(bytes)
}
