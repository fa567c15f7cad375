// SPDX-License-Identifier: GPL-2.0
//! Names to addresses and services, asked of name servers (RFC 1035, 2782, 3596): questions and
//! answers as bytes, who is asked when ([`inquiry`]), and the files that say who there is to ask
//! ([`files`]).
//!
//! Only what a stub resolver needs: one question to a message, recursion left to the server, no
//! EDNS. Answers are checked as a whole before anything in them is used, and belong to the question
//! with their number and name.

pub mod files;
pub mod inquiry;
mod name;
pub mod srv;

pub use name::Name;

use crate::codec::{Malformed, NoSpace, Reader, Writer};
use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// The port of name servers.
pub const PORT: u16 = 53;

/// The most bytes of a message over UDP, either way.
pub const DATAGRAM: usize = 512;

/// The most bytes of a question.
pub const MAX_QUESTION: usize = 12 + 255 + 4;

/// Names that stand for one another (CNAME) are followed this far.
const ALIASES: usize = 8;

/// The class of the Internet.
const IN: u16 = 1;

/// The type of a record that says what a name stands for.
const CNAME: u16 = 5;

/// What is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// IPv4 addresses.
    A,
    /// IPv6 addresses.
    Aaaa,
    /// Hosts of a service.
    Srv,
}

impl Kind {
    /// Its number on the wire.
    const fn code(self) -> u16 {
        match self {
            Self::A => 1,
            Self::Aaaa => 28,
            Self::Srv => 33,
        }
    }
}

/// A question, with the number its answer will have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Question<'a> {
    /// Not to be guessed by others.
    pub id: u16,
    /// The name, in full: with or without a dot at its end.
    pub name: &'a str,
    /// What is to be known of it.
    pub kind: Kind,
}

/// What a name server says about a question.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// There are records.
    Found,
    /// There is no such name, or it has no such records.
    Nothing,
    /// The answer does not fit into a datagram: to be asked over TCP.
    Truncated,
    /// It cannot or will not say.
    Refused,
}

impl Question<'_> {
    /// Whether `name` can be asked for: labels of 1 to 63 bytes, 253 in all.
    pub fn is_name(name: &str) -> bool {
        let name = name.strip_suffix('.').unwrap_or(name);
        name.len() <= 253
            && name
                .split(['.'])
                .all(|label| (1..=63).contains(&label.len()))
    }

    /// Writes the message that asks for it.
    pub fn emit(&self, w: &mut Writer<'_>) -> Result<(), NoSpace> {
        if !Self::is_name(self.name) {
            return Err(NoSpace);
        }
        w.put(&self.id.to_be_bytes())?;
        // A standard query, recursion desired; one question, nothing else.
        w.put(&[0x01, 0x00, 0, 1, 0, 0, 0, 0, 0, 0])?;
        for label in self.labels() {
            w.u8(u8::try_from(label.len()).map_err(|_| NoSpace)?)?;
            w.put(label)?;
        }
        w.u8(0)?;
        w.put(&self.kind.code().to_be_bytes())?;
        w.put(&IN.to_be_bytes())
    }

    fn labels(&self) -> impl Iterator<Item = &[u8]> {
        let name = self.name.strip_suffix('.').unwrap_or(self.name);
        name.split(['.']).map(str::as_bytes)
    }
}

/// An answer to one question, checked.
#[derive(Clone, Copy, Debug)]
pub struct Answer<'m> {
    message: &'m [u8],
    kind: Kind,
    verdict: Verdict,
    /// What the name of the question stands for.
    owner: Name<'m>,
    records: Records<'m>,
}

/// A host of a service (RFC 2782).
#[derive(Clone, Copy, Debug)]
pub struct Service<'m> {
    /// Hosts with the lowest are tried first.
    pub priority: u16,
    /// How often to choose it among those with the same priority.
    pub weight: u16,
    /// Where it listens.
    pub port: u16,
    /// Its name.
    pub host: Name<'m>,
}

impl<'m> Answer<'m> {
    /// Reads a message; `None` if it is not the answer to `question`.
    pub fn parse(message: &'m [u8], question: &Question<'_>) -> Result<Option<Self>, Malformed> {
        let mut r = Reader::new(message);
        let id = be16(&mut r)?;
        let flags = be16(&mut r)?;
        let (questions, answers) = (be16(&mut r)?, be16(&mut r)?);
        r.skip(4)?;
        if id != question.id || flags & 0x8000 == 0 || questions != 1 {
            return Ok(None);
        }
        let asked = Name::read(message, &mut r)?;
        let (kind, class) = (be16(&mut r)?, be16(&mut r)?);
        if !asked.is(question.labels()) || kind != question.kind.code() || class != IN {
            return Ok(None);
        }
        let truncated = flags & 0x0200 != 0;
        let records = Records {
            message,
            rest: r,
            left: answers,
        };
        let mut answer = Self {
            message,
            kind: question.kind,
            verdict: Verdict::Nothing,
            owner: asked,
            records,
        };
        answer.verdict = match flags & 0x000f {
            _ if truncated => Verdict::Truncated,
            0 | 3 => answer.follow()?,
            _ => Verdict::Refused,
        };
        if answer.verdict != Verdict::Found {
            answer.records.left = 0;
        }
        Ok(Some(answer))
    }

    /// What it comes to.
    pub fn verdict(&self) -> Verdict {
        self.verdict
    }

    /// The addresses in it, in the order of the server.
    pub fn addresses(&self) -> impl Iterator<Item = IpAddr> + 'm {
        let kind = self.kind;
        self.found().filter_map(move |record| match kind {
            Kind::A => <[u8; 4]>::try_from(record.data)
                .ok()
                .map(|ip| IpAddr::V4(Ipv4Addr::from(ip))),
            Kind::Aaaa => <[u8; 16]>::try_from(record.data)
                .ok()
                .map(|ip| IpAddr::V6(Ipv6Addr::from(ip))),
            Kind::Srv => None,
        })
    }

    /// The services in it, in the order of the server; a host called "." is none.
    pub fn services(&self) -> impl Iterator<Item = Service<'m>> + 'm {
        let (message, srv) = (self.message, self.kind == Kind::Srv);
        self.found().filter_map(move |record| {
            let service = service(message, record.data).ok()?;
            (srv && !service.host.is_root()).then_some(service)
        })
    }

    /// The records that were asked for.
    fn found(&self) -> Found<'m> {
        Found {
            records: self.records,
            owner: self.owner,
            kind: self.kind.code(),
        }
    }

    /// Checks all records, and finds out what the name stands for.
    fn follow(&mut self) -> Result<Verdict, Malformed> {
        for record in self.records {
            let record = record?;
            if record.kind == Kind::Srv.code() {
                service(self.message, record.data)?;
            }
        }
        for _ in 0..ALIASES {
            let mut own = (self.records.map_while(Result::ok)).filter(|r| r.owner == self.owner);
            if own.clone().any(|record| record.kind == self.kind.code()) {
                return Ok(Verdict::Found);
            }
            let Some(alias) = own.find(|record| record.kind == CNAME) else {
                return Ok(Verdict::Nothing);
            };
            self.owner = Name::of(self.message, alias.data)?;
        }
        Ok(Verdict::Nothing)
    }
}

/// A record of an answer.
#[derive(Clone, Copy, Debug)]
struct Record<'m> {
    owner: Name<'m>,
    kind: u16,
    data: &'m [u8],
}

/// The records of a section, one after the other; ends after the first that is malformed.
#[derive(Clone, Copy, Debug)]
struct Records<'m> {
    message: &'m [u8],
    rest: Reader<'m>,
    left: u16,
}

impl<'m> Iterator for Records<'m> {
    type Item = Result<Record<'m>, Malformed>;

    fn next(&mut self) -> Option<Self::Item> {
        self.left = self.left.checked_sub(1)?;
        let record = record(self.message, &mut self.rest);
        if record.is_err() {
            self.left = 0;
        }
        Some(record)
    }
}

/// The records with this name and type.
struct Found<'m> {
    records: Records<'m>,
    owner: Name<'m>,
    kind: u16,
}

impl<'m> Iterator for Found<'m> {
    type Item = Record<'m>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            let record = self.records.next()?.ok()?;
            if record.kind == self.kind && record.owner == self.owner {
                return Some(record);
            }
        }
    }
}

fn record<'m>(message: &'m [u8], r: &mut Reader<'m>) -> Result<Record<'m>, Malformed> {
    let owner = Name::read(message, r)?;
    let (kind, class) = (be16(r)?, be16(r)?);
    // The time to live: each connection asks anew.
    r.skip(4)?;
    let len = be16(r)?;
    let data = r.take(usize::from(len))?;
    // A class that is not ours cannot be what was asked for.
    let kind = if class == IN { kind } else { 0 };
    Ok(Record { owner, kind, data })
}

fn service<'m>(message: &'m [u8], data: &'m [u8]) -> Result<Service<'m>, Malformed> {
    let mut r = Reader::new(data);
    Ok(Service {
        priority: be16(&mut r)?,
        weight: be16(&mut r)?,
        port: be16(&mut r)?,
        host: Name::of(message, r.rest())?,
    })
}

fn be16(r: &mut Reader<'_>) -> Result<u16, Malformed> {
    r.array().map(u16::from_be_bytes)
}
