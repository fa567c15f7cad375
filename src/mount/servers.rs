// SPDX-License-Identifier: GPL-2.0

//! Connections and sessions, shared by all mounts.
//!
//! There is one connection for each address, network namespace and set of options that are seen on
//! the wire, and on it one session for each user. Who uses a session has a [`Held`]; the last one to
//! give it back has it logged off. One that is wanted by many at once is made by the first, and the
//! others wait for it.
//!
//! Locks: `Servers::state` is a leaf, and not held across the wire.

use super::{
    former::Formers,
    names,
    reconnect::{
        Attempt,
        Seeker, //
    },
    server::Server,
    session::Session,
    trouble::Trouble,
    world::{
        Account,
        World, //
    }, //
};
use crate::sys::wait::{
    Event,
    Outcome, //
};
use core::{
    net::IpAddr,
    ops::Deref, //
};
use kernel::{
    new_mutex,
    new_spinlock,
    prelude::*,
    sync::{
        Arc,
        Mutex,
        SpinLock, //
    }, //
};
use rsdfs_proto::failover::Cause;

/// How often one who waits for another's connection looks whether it was called off, in milliseconds.
const GLANCE: u64 = 50;

/// See the module.
#[pin_data]
pub(crate) struct Servers {
    #[pin]
    state: Mutex<State>,
}

struct State {
    sessions: KVec<Entry>,
    /// Those that were lost.
    formers: Formers,
    flights: KVec<Arc<Flight>>,
}

struct Entry {
    session: Arc<Session>,
    users: usize,
}

/// A session that is being made.
#[pin_data]
struct Flight {
    account: Arc<Account>,
    addresses: KVec<IpAddr>,
    #[pin]
    landed: Event,
    /// Why it came to nothing, if it was not called off.
    #[pin]
    trouble: SpinLock<Option<Trouble>>,
}

/// Ends a flight when it is dropped, however it went.
struct Pilot<'a> {
    servers: &'a Servers,
    flight: Arc<Flight>,
}

impl Drop for Pilot<'_> {
    fn drop(&mut self) {
        let flight = &self.flight;
        (self.servers.state.lock().flights).retain(|other| !Arc::ptr_eq(other, flight));
        flight.landed.set();
    }
}

/// What is to be done for a session.
enum Claim<'a> {
    /// It is there.
    Take(Held),
    /// Another makes one.
    Wait(Arc<Flight>),
    /// To be made, on this connection if there is one.
    Make(Pilot<'a>, Option<Arc<Server>>),
}

/// A session in use.
pub(crate) struct Held {
    session: Arc<Session>,
    world: Arc<World>,
}

impl Deref for Held {
    type Target = Session;

    fn deref(&self) -> &Session {
        &self.session
    }
}

impl Held {
    /// One more user of the same session.
    pub(super) fn share(&self) -> Held {
        let mut state = self.world.servers.state.lock();
        if let Some(entry) = state.entry(&self.session) {
            entry.users = entry.users.saturating_add(1);
        }
        drop(state);
        Held {
            session: self.session.clone(),
            world: self.world.clone(),
        }
    }

    /// The session, for who does not count as its user.
    pub(super) fn session(&self) -> &Arc<Session> {
        &self.session
    }

    /// All that sessions belong to.
    pub(super) fn world(&self) -> &World {
        &self.world
    }

    /// Whether nobody else uses the connection.
    pub(super) fn is_alone(&self) -> bool {
        let state = self.world.servers.state.lock();
        let users = (state.sessions.iter())
            .filter(|entry| Arc::ptr_eq(&entry.session.server, &self.session.server))
            .fold(0usize, |sum, entry| sum.saturating_add(entry.users));
        users <= 1
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        let mut state = self.world.servers.state.lock();
        let last = state.entry(&self.session).is_none_or(|entry| {
            entry.users = entry.users.saturating_sub(1);
            entry.users == 0
        });
        if !last {
            return;
        }
        let session = self.session.clone();
        (state.sessions).retain(|entry| !Arc::ptr_eq(&entry.session, &session));
        state.formers.note(&session);
        drop(state);
        // Taking leave waits, and so does the end of the connection. Without memory the server
        // learns of it by the latter.
        let _ = (self.world.queue()).run(GFP_KERNEL, move || session.log_off());
    }
}

impl State {
    fn entry(&mut self, session: &Arc<Session>) -> Option<&mut Entry> {
        (self.sessions.iter_mut()).find(|entry| Arc::ptr_eq(&entry.session, session))
    }
}

impl Servers {
    /// No connections.
    pub(super) fn new() -> impl PinInit<Self> {
        pin_init!(Self {
            state <- new_mutex!(State {
                sessions: KVec::new(),
                formers: Formers::default(),
                flights: KVec::new(),
            }),
        })
    }

    /// All sessions, each with the number of its users.
    pub(crate) fn sessions(&self) -> Result<KVec<(Arc<Session>, usize)>> {
        let state = self.state.lock();
        let mut all = KVec::with_capacity(state.sessions.len(), GFP_KERNEL)?;
        for entry in state.sessions.iter() {
            all.push((entry.session.clone(), entry.users), GFP_KERNEL)?;
        }
        Ok(all)
    }

    /// Does `work` with a session at `host`. If one that was there already turns out to be dead, once
    /// more with a new one.
    pub(super) fn with<T>(
        &self,
        seeker: &Seeker,
        host: &str,
        attempt: &Attempt,
        mut work: impl FnMut(&Held) -> core::result::Result<T, Trouble>,
    ) -> core::result::Result<T, Trouble> {
        let mut again = false;
        loop {
            let (session, fresh) = self.obtain(seeker, host, attempt)?;
            attempt.borrow(&session.server.conn);
            match work(&session) {
                Err(_)
                    if !fresh && !again && session.is_over() && !attempt.cancelled().is_set() =>
                {
                    again = true;
                }
                result => return result,
            }
        }
    }

    /// A session at `host`, and whether it was made just now.
    #[inline(never)]
    fn obtain(
        &self,
        seeker: &Seeker,
        host: &str,
        attempt: &Attempt,
    ) -> core::result::Result<(Held, bool), Trouble> {
        if let Some(held) = self.known(seeker, host) {
            attempt.step();
            return Ok((held, false));
        }
        let addresses = names::addresses(seeker, host, attempt)?;
        loop {
            match self.claim(seeker, &addresses)? {
                Claim::Take(held) => {
                    attempt.step();
                    return Ok((held, false));
                }
                Claim::Wait(flight) => {
                    while flight.landed.wait_idle(Some(GLANCE)) == Outcome::TimedOut {
                        if attempt.cancelled().is_set() {
                            return Err(Trouble::cancelled());
                        }
                    }
                    let same = flight.account.same_user(&seeker.account);
                    let trouble = flight.trouble.lock().as_ref().map(Trouble::again);
                    if let Some(trouble) = trouble.filter(|_| same) {
                        return Err(trouble);
                    }
                }
                Claim::Make(pilot, server) => {
                    let made = self
                        .make(seeker, host, &addresses, server, attempt)
                        .and_then(|session| self.enter(seeker, session));
                    if let Err(trouble) = &made {
                        if !attempt.cancelled().is_set() {
                            *pilot.flight.trouble.lock() = Some(trouble.again());
                        }
                    }
                    return made.map(|held| (held, true));
                }
            }
        }
    }

    /// A session for `seeker` at a server that was reached by this name: a name is resolved again when
    /// its connection has ended.
    fn known(&self, seeker: &Seeker, host: &str) -> Option<Held> {
        let account = &seeker.account;
        let mut state = self.state.lock();
        let entry = state.sessions.iter_mut().find(|entry| {
            let session = &entry.session;
            session.server.is_host(account, host)
                && session.account().same_user(account)
                && !session.is_over()
        })?;
        entry.users = entry.users.saturating_add(1);
        Some(Held {
            session: entry.session.clone(),
            world: seeker.world.clone(),
        })
    }

    /// Looks for a session for `seeker` at one of `addresses`.
    #[inline(never)]
    fn claim(
        &self,
        seeker: &Seeker,
        addresses: &[IpAddr],
    ) -> core::result::Result<Claim<'_>, Trouble> {
        let account = &seeker.account;
        let mut all = KVec::with_capacity(addresses.len(), GFP_KERNEL)?;
        all.extend_from_slice(addresses, GFP_KERNEL)?;
        let flight = Arc::pin_init(
            pin_init!(Flight {
                account: account.clone(),
                addresses: all,
                landed <- Event::new(),
                trouble <- new_spinlock!(None),
            }),
            GFP_KERNEL,
        )?;
        let mut state = self.state.lock();
        let mut server = None;
        for entry in state.sessions.iter_mut() {
            let session = &entry.session;
            if !session.server.suits(account, addresses) {
                continue;
            }
            if session.account().same_user(account) && !session.is_over() {
                entry.users = entry.users.saturating_add(1);
                return Ok(Claim::Take(Held {
                    session: session.clone(),
                    world: seeker.world.clone(),
                }));
            }
            server = Some(session.server.clone());
        }
        if let Some(other) = state.flights.iter().find(|other| other.leads_to(&flight)) {
            return Ok(Claim::Wait(other.clone()));
        }
        state.flights.push(flight.clone(), GFP_KERNEL)?;
        drop(state);
        let pilot = Pilot {
            servers: self,
            flight,
        };
        Ok(Claim::Make(pilot, server))
    }

    /// Enters a session that was made.
    fn enter(&self, seeker: &Seeker, session: Arc<Session>) -> core::result::Result<Held, Trouble> {
        let entry = Entry {
            session: session.clone(),
            users: 1,
        };
        self.state.lock().sessions.push(entry, GFP_KERNEL)?;
        Ok(Held {
            session,
            world: seeker.world.clone(),
        })
    }

    /// Makes a session, on `server` if that stands.
    #[inline(never)]
    fn make(
        &self,
        seeker: &Seeker,
        host: &str,
        addresses: &[IpAddr],
        server: Option<Arc<Server>>,
        attempt: &Attempt,
    ) -> core::result::Result<Arc<Session>, Trouble> {
        if let Some(server) = server {
            attempt.borrow(&server.conn);
            match self.log_on(seeker, &server, host, attempt) {
                Err(_) if server.conn.dead().is_some() && !attempt.cancelled().is_set() => {}
                result => return result,
            }
        }
        let server = Server::connect(seeker, host, addresses, attempt)?;
        let session = self.log_on(seeker, &server, host, attempt)?;
        // From now on others may use it.
        attempt.borrow(&server.conn);
        Ok(session)
    }

    /// Logs on at `server`, and has it end a session of the same user whose connection was lost.
    #[inline(never)]
    fn log_on(
        &self,
        seeker: &Seeker,
        server: &Arc<Server>,
        host: &str,
        attempt: &Attempt,
    ) -> core::result::Result<Arc<Session>, Trouble> {
        let previous = self.previous(server, &seeker.account);
        let made = Session::log_on(seeker, server, host, previous, attempt);
        // A server that cannot end the one shall not be kept from beginning another.
        let told = match &made {
            Ok(_) => true,
            Err(trouble) => trouble.fault.cause == Cause::Silent && !attempt.cancelled().is_set(),
        };
        if let Some(previous) = previous.filter(|_| told) {
            self.replaced(server, previous);
        }
        made
    }

    /// A session at `server` that was lost, and that the server may still have.
    fn previous(&self, server: &Server, account: &Account) -> Option<u64> {
        let guid = server.guid();
        let state = self.state.lock();
        let lost = state.sessions.iter().rev().find(|entry| {
            let session = &entry.session;
            session.server.guid() == guid
                && session.account().same_user(account)
                && session.may_linger()
        });
        let options = &account.options;
        lost.map(|entry| entry.session.id())
            .or_else(|| state.formers.find(&guid, options.user(), options.domain()))
    }

    /// Whether the server with this guid may still have the session `id`, whose connection was lost.
    pub(super) fn may_keep(&self, server: &[u8; 16], id: u64) -> bool {
        let state = self.state.lock();
        let listed = state.sessions.iter().any(|Entry { session, .. }| {
            session.server.guid() == *server && session.id() == id && session.may_linger()
        });
        listed || state.formers.has(server, id)
    }

    /// The session `id` at `server` needs no end any more.
    pub(super) fn replaced(&self, server: &Server, id: u64) {
        let guid = server.guid();
        let mut state = self.state.lock();
        for Entry { session, .. } in state.sessions.iter() {
            if session.server.guid() == guid && session.id() == id {
                session.was_replaced();
            }
        }
        state.formers.forget(&guid, id);
    }
}

impl Flight {
    /// Whether what this brings may be of use to `other`.
    fn leads_to(&self, other: &Flight) -> bool {
        self.account.same_wire(&other.account)
            && (other.addresses.iter()).any(|ip| self.addresses.iter().any(|own| own == ip))
    }
}
