// SPDX-License-Identifier: GPL-2.0
//! Negotiate (MS-SMB2 3.2.4.2.2.2, 3.2.5.2): which dialect, which sizes, who signs.

use super::{PreauthHash, Refused, ValidateNegotiate};
use crate::auth::ntlm::MAX_NAME;
use crate::auth::{spnego, Crypto, MacAlgorithm};
use crate::codec::Writer;
use crate::dialect::{from_number, Dialect, Versions};
use crate::frame::MAX_PAYLOAD;
use crate::smb2::ioctl;
use crate::smb2::negotiate::{capabilities, signing, Negotiate, Reply, SIGNING_REQUIRED};
use crate::smb2::{Code, Command, Message};
use crate::status::NtStatus;
use crate::utf16;

/// The smallest read, write or transact size worth having, in bytes: the least a server of any
/// dialect can be configured to (MS-SMB2 3.3.5.4 allows 64 KiB, Samba 8 KiB).
const MIN_SIZE: u32 = 8 << 10;

/// The largest payload of a request that costs one credit (MS-SMB2 3.1.5.2).
const ONE_CREDIT: u32 = 64 << 10;

/// Whether messages are to be signed (`sign`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Signing {
    /// When the server requires it.
    #[default]
    IfRequired,
    /// Always.
    Required,
}

impl Signing {
    /// The security mode we announce (MS-SMB2 2.2.3): enabled (1), and required (2) if so. Required
    /// alone is not what servers expect.
    pub const fn mode(self) -> u8 {
        match self {
            Self::IfRequired => 1,
            Self::Required => 3,
        }
    }
}

/// What the client offers.
#[derive(Clone, Copy, Debug)]
pub struct Offer<'a> {
    /// The dialects of `vers=`.
    pub versions: Versions,
    /// The client's guid, the same on all its connections (MS-SMB2 3.2.1.1).
    pub guid: [u8; 16],
    /// Whether signing is required.
    pub signing: Signing,
    /// The server's name as the user gave it, for SMB2_NETNAME_NEGOTIATE_CONTEXT_ID.
    pub host: &'a str,
}

/// What client and server agreed on; it lives as long as the connection.
#[derive(Debug)]
pub struct Negotiated {
    /// The dialect spoken.
    pub dialect: &'static dyn Dialect,
    /// The largest READ in bytes.
    pub max_read: u32,
    /// The largest WRITE in bytes.
    pub max_write: u32,
    /// The largest directory listing, information block or IOCTL buffer in bytes.
    pub max_transact: u32,
    /// Capabilities as the server sent them.
    pub capabilities: u32,
    /// Security mode as the server sent it.
    pub security_mode: u16,
    /// The server's guid.
    pub server_guid: [u8; 16],
    /// The server's clock as a FILETIME.
    pub system_time: u64,
    /// What signs messages.
    pub mac: MacAlgorithm,
    /// What we asked for.
    pub signing: Signing,
    /// The hash over both messages; a session goes on from here.
    pub preauth: PreauthHash,
    /// The mechanisms the server offers.
    pub mechanisms: spnego::Offer,
    /// To be sent after the first tree connect of a session with a key: `None` if the dialect does
    /// not need it or could not have been lowered.
    pub validate: Option<ValidateNegotiate>,
}

impl Negotiated {
    /// Whether every message of a session with a key is signed: we or the server want it.
    pub fn sign_all(&self) -> bool {
        self.signing == Signing::Required || self.security_mode & SIGNING_REQUIRED != 0
    }

    /// Whether the server supports all of these [`capabilities`].
    pub const fn can(&self, wanted: u32) -> bool {
        self.capabilities & wanted == wanted
    }

    /// Refuses useless sizes and cuts the others to what one frame, or one credit, can carry.
    fn limit_sizes(&mut self) -> Result<(), Refused> {
        let most = match self.multi_credit() {
            true => MAX_PAYLOAD,
            false => ONE_CREDIT,
        };
        for size in [
            &mut self.max_read,
            &mut self.max_write,
            &mut self.max_transact,
        ] {
            if *size < MIN_SIZE {
                return Err(Refused::Sizes);
            }
            *size = most.min(*size);
        }
        Ok(())
    }

    /// Whether requests may cost more than one credit.
    pub fn multi_credit(&self) -> bool {
        self.dialect.multi_credit() && self.can(capabilities::LARGE_MTU)
    }
}

/// A negotiation whose reply is awaited.
#[derive(Debug)]
pub struct Negotiation<'a> {
    offer: Offer<'a>,
    salt: [u8; 32],
    hash: PreauthHash,
    /// The host in UTF-16LE; nothing if it is too long for a name.
    netname: ([u8; 2 * MAX_NAME], usize),
}

/// What we can sign with in 3.1.1, best first.
const SIGNING: &[u16] = &[signing::AES_CMAC];

impl<'a> Negotiation<'a> {
    /// Starts with a random salt.
    pub fn new<C: Crypto>(crypto: &C, offer: Offer<'a>) -> Self {
        let mut salt = [0; 32];
        crypto.random(&mut salt);
        let mut netname = [0; 2 * MAX_NAME];
        let mut w = Writer::new(&mut netname);
        let len = match utf16::put(&mut w, offer.host) {
            Ok(()) => w.written(),
            Err(_) => 0,
        };
        Self {
            offer,
            salt,
            hash: PreauthHash::new(),
            netname: (netname, len),
        }
    }

    /// The request.
    pub fn command(&self) -> Negotiate<'_> {
        Negotiate {
            versions: self.offer.versions,
            security_mode: self.offer.signing.mode().into(),
            capabilities: self.capabilities(),
            client_guid: self.offer.guid,
            salt: self.salt,
            ciphers: &[],
            signing: SIGNING,
            netname: self.netname.0.get(..self.netname.1).unwrap_or(&[]),
        }
    }

    /// Takes note of the request as sent, from its SMB2 header to its end.
    pub fn sent<C: Crypto>(&mut self, crypto: &C, message: &[u8]) {
        self.hash.update(crypto, message);
    }

    /// Takes the reply.
    ///
    /// # Errors
    /// Every variant that concerns a negotiation; the connection is of no use then.
    pub fn reply<C: Crypto>(
        mut self,
        crypto: &C,
        message: &Message<'_>,
    ) -> Result<Negotiated, Refused> {
        if !message.header.answers(Code::Negotiate) {
            return Err(Refused::Malformed);
        }
        match message.header.status {
            NtStatus::SUCCESS => {}
            NtStatus::NOT_SUPPORTED => return Err(Refused::NoDialect),
            status => return Err(Refused::Status(status)),
        }
        let reply = Negotiate::parse(message)?;
        let dialect = from_number(reply.dialect)
            .filter(|d| self.offer.versions.contains(d.number()))
            .ok_or(Refused::Dialect(reply.dialect))?;
        let mac = mac(dialect, &reply)?;
        self.hash.update(crypto, message.bytes);
        let mechanisms = spnego::Offer::parse(reply.token)?;
        if !mechanisms.ntlmssp {
            return Err(Refused::NoMechanism);
        }
        let mut negotiated = Negotiated {
            dialect,
            max_read: reply.max_read,
            max_write: reply.max_write,
            max_transact: reply.max_transact,
            capabilities: reply.capabilities,
            security_mode: reply.security_mode,
            server_guid: reply.server_guid,
            system_time: reply.system_time,
            mac,
            signing: self.offer.signing,
            preauth: self.hash.clone(),
            mechanisms,
            validate: None,
        };
        negotiated.limit_sizes()?;
        negotiated.validate = self.validate(&negotiated);
        Ok(negotiated)
    }

    /// Capabilities announced: none where only 2.1 is offered (MS-SMB2 2.2.3).
    fn capabilities(&self) -> u32 {
        match self.offers_smb3() {
            true => capabilities::DFS | capabilities::LEASING | capabilities::LARGE_MTU,
            false => 0,
        }
    }

    fn offers_smb3(&self) -> bool {
        self.offer.versions.iter().any(|d| d.derives_keys())
    }

    /// The check afterwards, where a better dialect than the one spoken may have been cut out.
    fn validate(&self, negotiated: &Negotiated) -> Option<ValidateNegotiate> {
        if !negotiated.dialect.validates_negotiate() || !self.offers_smb3() {
            return None;
        }
        Some(ValidateNegotiate {
            request: ioctl::ValidateNegotiate {
                capabilities: self.capabilities(),
                client_guid: self.offer.guid,
                security_mode: self.offer.signing.mode().into(),
                versions: self.offer.versions,
            },
            expected: ioctl::NegotiateInfo {
                capabilities: negotiated.capabilities,
                server_guid: negotiated.server_guid,
                security_mode: negotiated.security_mode,
                dialect: negotiated.dialect.number(),
            },
        })
    }
}

/// What signs messages. The contexts of 3.1.1 may choose only from what we offered, and no cipher
/// was (MS-SMB2 3.2.5.2).
fn mac(dialect: &dyn Dialect, reply: &Reply<'_>) -> Result<MacAlgorithm, Refused> {
    if reply.cipher.is_some() {
        return Err(Refused::Contexts);
    }
    match reply.signing {
        None => Ok(dialect.mac()),
        Some(signing::AES_CMAC) => Ok(MacAlgorithm::AesCmac),
        Some(_) => Err(Refused::Contexts),
    }
}
