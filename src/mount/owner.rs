// SPDX-License-Identifier: GPL-2.0

//! Who may use which cached referral.
//!
//! A referral that was fetched is for the accounts with the same credentials and options, in the
//! same network namespace. One that was imported names an account without its password: it is for
//! every account of that name in the network namespace of who imported it, until it is confirmed.

use super::world::Account;
use crate::{
    dfs::cache::{
        Holder,
        Owner, //
    },
    sys::net::Net, //
};
use kernel::prelude::*;
use rsdfs_proto::{
    handshake::Credentials,
    time::Span, //
};

/// Whom an imported referral is for.
#[derive(PartialEq)]
pub(crate) struct Bound {
    net: Net,
    /// As [`Label`] shows it, or `*` for all.
    account: KVec<u8>,
}

impl Bound {
    /// Accounts of this name in `net`; `EINVAL` if none can have it.
    pub(crate) fn new(net: Net, account: &str) -> Result<Self> {
        let user = account
            .rsplit_once('/')
            .is_some_and(|(_, user)| !user.is_empty() && !user.contains('\\'));
        if !user && !matches!(account, "*" | "guest" | "anonymous") {
            return Err(EINVAL);
        }
        let mut bytes = KVec::with_capacity(account.len(), GFP_KERNEL)?;
        bytes.extend_from_slice(account.as_bytes(), GFP_KERNEL)?;
        Ok(Self {
            net,
            account: bytes,
        })
    }

    fn text(&self) -> &str {
        core::str::from_utf8(&self.account).unwrap_or_default()
    }
}

impl Owner for Account {
    type Bound = Bound;

    fn same(&self, other: &Self) -> bool {
        self.net == other.net && self.options.same_identity(&other.options)
    }

    fn within(&self, bound: &Bound) -> bool {
        if self.net != bound.net {
            return false;
        }
        match (self.options.credentials(), bound.text()) {
            (_, "*") | (Credentials::Guest, "guest") => true,
            (Credentials::Anonymous, "anonymous") => true,
            (Credentials::User { user, domain, .. }, text) => text
                .rsplit_once('/')
                .is_some_and(|(d, u)| u == user && d.eq_ignore_ascii_case(domain)),
            _ => false,
        }
    }

    fn stale(&self) -> Span {
        Span::secs(self.options.stale_ttl())
    }
}

impl Holder<Account> {
    /// The network namespace it is kept for.
    pub(crate) fn net(&self) -> &Net {
        match self {
            Self::Own(account) => &account.net,
            Self::Import(bound) => &bound.net,
        }
    }

    /// The name of the account it is kept for.
    pub(crate) fn label(&self) -> Label<'_> {
        Label(self)
    }
}

/// Shows an account: `DOMAIN/user` with a domain that may be empty, `guest`, `anonymous`, or `*`.
#[derive(Clone, Copy)]
pub(crate) struct Label<'a>(&'a Holder<Account>);

impl<'a> Label<'a> {
    /// Its characters.
    pub(crate) fn chars(self) -> impl Iterator<Item = char> + Clone + 'a {
        let (domain, slash, name) = match self.0 {
            Holder::Import(bound) => ("", "", bound.text()),
            Holder::Own(account) => match account.options.credentials() {
                Credentials::User { user, domain, .. } => (domain, "/", user),
                Credentials::Guest => ("", "", "guest"),
                Credentials::Anonymous => ("", "", "anonymous"),
            },
        };
        [domain, slash, name].into_iter().flat_map(str::chars)
    }
}
