// SPDX-License-Identifier: GPL-2.0
//! NEGOTIATE (MS-SMB2 2.2.3, 2.2.4) and its contexts: which dialect, limits and algorithms.

use crate::codec::{size, Malformed, NoSpace, Reader, Writer};
use crate::dialect::{Dialect, Versions, SMB311};
use crate::smb2::{align8, len16, Code, Command, Message, HEADER_LEN};

/// Security mode: messages may be signed.
pub const SIGNING_ENABLED: u16 = 0x0001;
/// Security mode: messages must be signed.
pub const SIGNING_REQUIRED: u16 = 0x0002;

/// Global capabilities (MS-SMB2 2.2.3 Capabilities).
pub mod capabilities {
    /// The server can refer to other servers.
    pub const DFS: u32 = 0x01;
    /// Leases.
    pub const LEASING: u32 = 0x02;
    /// Requests that cost more than one credit.
    pub const LARGE_MTU: u32 = 0x04;
    /// More than one connection per session.
    pub const MULTI_CHANNEL: u32 = 0x08;
    /// Handles that survive a server's restart.
    pub const PERSISTENT_HANDLES: u32 = 0x10;
    /// Leases on directories.
    pub const DIRECTORY_LEASING: u32 = 0x20;
    /// Sealing, in 3.0 and 3.0.2; 3.1.1 says it with a context.
    pub const ENCRYPTION: u32 = 0x40;
    /// Notifications from the server to the client.
    pub const NOTIFICATIONS: u32 = 0x80;
}

/// Hash algorithm of preauth integrity (MS-SMB2 2.2.3.1.1): the only one there is.
pub const SHA512: u16 = 0x0001;

/// Ciphers (MS-SMB2 2.2.3.1.2).
#[allow(missing_docs)]
pub mod cipher {
    pub const AES128_CCM: u16 = 0x0001;
    pub const AES128_GCM: u16 = 0x0002;
    pub const AES256_CCM: u16 = 0x0003;
    pub const AES256_GCM: u16 = 0x0004;
}

/// Signing algorithms (MS-SMB2 2.2.3.1.7).
#[allow(missing_docs)]
pub mod signing {
    pub const HMAC_SHA256: u16 = 0x0000;
    pub const AES_CMAC: u16 = 0x0001;
    pub const AES_GMAC: u16 = 0x0002;
}

/// Context types (MS-SMB2 2.2.3.1).
mod context {
    pub(super) const PREAUTH_INTEGRITY: u16 = 0x0001;
    pub(super) const ENCRYPTION: u16 = 0x0002;
    pub(super) const NETNAME: u16 = 0x0005;
    pub(super) const SIGNING: u16 = 0x0008;
}

const FIXED: usize = 36;
const REPLY_FIXED: usize = 64;

/// What the client offers.
///
/// The contexts are sent only when 3.1.1 is among the versions; the ones whose list or name is
/// empty are left out.
#[derive(Clone, Copy, Debug)]
pub struct Negotiate<'a> {
    /// The dialects offered.
    pub versions: Versions,
    /// [`SIGNING_ENABLED`], [`SIGNING_REQUIRED`].
    pub security_mode: u16,
    /// See [`capabilities`]; ignored by servers unless a 3.x dialect is offered.
    pub capabilities: u32,
    /// Names this client for as long as it holds leases.
    pub client_guid: [u8; 16],
    /// Random bytes that make the preauth hash unique.
    pub salt: [u8; 32],
    /// See [`cipher`], best first.
    pub ciphers: &'a [u16],
    /// See [`signing`], best first.
    pub signing: &'a [u16],
    /// The server's name as the user gave it, in UTF-16LE.
    pub netname: &'a [u8],
}

/// What the server chose.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reply<'a> {
    /// [`SIGNING_ENABLED`], [`SIGNING_REQUIRED`].
    pub security_mode: u16,
    /// The chosen dialect, or 0x02ff when an SMB1 negotiate asked for "2.???".
    pub dialect: u16,
    /// Names the server.
    pub server_guid: [u8; 16],
    /// See [`capabilities`].
    pub capabilities: u32,
    /// The largest transact payload in bytes.
    pub max_transact: u32,
    /// The largest read in bytes.
    pub max_read: u32,
    /// The largest write in bytes.
    pub max_write: u32,
    /// The server's clock, as a FILETIME (100 ns since 1601).
    pub system_time: u64,
    /// The SPNEGO token with the mechanisms offered; may be empty.
    pub token: &'a [u8],
    /// The chosen cipher, when the server answered the encryption context; 0 means none in common.
    pub cipher: Option<u16>,
    /// The chosen signing algorithm, when the server answered the signing context.
    pub signing: Option<u16>,
}

impl Negotiate<'_> {
    fn has_contexts(&self) -> bool {
        self.versions.contains(SMB311.number())
    }

    /// Where the contexts start, from the start of the body; aligned from the header.
    fn contexts_at(&self) -> usize {
        align8(FIXED.saturating_add(self.versions.len().saturating_mul(2)))
    }

    fn list_len(list: &[u16], fixed: usize) -> usize {
        list.len().saturating_mul(2).saturating_add(fixed)
    }

    fn context_count(&self) -> u16 {
        self.context_lens()
            .iter()
            .flatten()
            .fold(0, |n: u16, _| n.saturating_add(1))
    }

    /// The data lengths of the contexts to send.
    fn context_lens(&self) -> [Option<usize>; 4] {
        [
            Some(6_usize.saturating_add(self.salt.len())),
            (!self.ciphers.is_empty()).then(|| Self::list_len(self.ciphers, 2)),
            (!self.netname.is_empty()).then_some(self.netname.len()),
            (!self.signing.is_empty()).then(|| Self::list_len(self.signing, 2)),
        ]
    }
}

fn put_list(w: &mut Writer<'_>, list: &[u16]) -> Result<(), NoSpace> {
    w.u16(len16(list.len())?)?;
    list.iter().try_for_each(|n| w.u16(*n))
}

fn put_context(w: &mut Writer<'_>, kind: u16, len: usize) -> Result<(), NoSpace> {
    w.u16(kind)?;
    w.u16(len16(len)?)?;
    w.u32(0)
}

impl Command for Negotiate<'_> {
    const CODE: Code = Code::Negotiate;
    type Reply<'a> = Reply<'a>;

    fn len(&self) -> usize {
        if !self.has_contexts() {
            return FIXED.saturating_add(self.versions.len().saturating_mul(2));
        }
        // Each context starts aligned; the last is not padded.
        self.context_lens()
            .iter()
            .flatten()
            .fold(self.contexts_at(), |at, len| {
                align8(at).saturating_add(8).saturating_add(*len)
            })
    }

    fn emit(&self, w: &mut Writer<'_>) -> Result<(), NoSpace> {
        let start = w.written();
        w.u16(36)?;
        w.u16(len16(self.versions.len())?)?;
        w.u16(self.security_mode)?;
        w.u16(0)?;
        w.u32(self.capabilities)?;
        w.put(&self.client_guid)?;
        if self.has_contexts() {
            w.u32(crate::smb2::len32(
                HEADER_LEN.saturating_add(self.contexts_at()),
            )?)?;
            w.u16(self.context_count())?;
            w.u16(0)?;
        } else {
            w.u64(0)?;
        }
        self.versions.iter().try_for_each(|d| w.u16(d.number()))?;
        if !self.has_contexts() {
            return Ok(());
        }
        let pad = |w: &mut Writer<'_>| {
            let done = w.written().saturating_sub(start);
            w.zeros(align8(done).saturating_sub(done))
        };
        let [preauth, ciphers, netname, signing] = self.context_lens();
        if let Some(len) = preauth {
            pad(w)?;
            put_context(w, context::PREAUTH_INTEGRITY, len)?;
            w.u16(1)?;
            w.u16(len16(self.salt.len())?)?;
            w.u16(SHA512)?;
            w.put(&self.salt)?;
        }
        if let Some(len) = ciphers {
            pad(w)?;
            put_context(w, context::ENCRYPTION, len)?;
            put_list(w, self.ciphers)?;
        }
        if let Some(len) = netname {
            pad(w)?;
            put_context(w, context::NETNAME, len)?;
            w.put(self.netname)?;
        }
        if let Some(len) = signing {
            pad(w)?;
            put_context(w, context::SIGNING, len)?;
            put_list(w, self.signing)?;
        }
        Ok(())
    }

    fn parse<'a>(message: &Message<'a>) -> Result<Reply<'a>, Malformed> {
        let mut r = message.fixed(65)?;
        let security_mode = r.u16()?;
        let dialect = r.u16()?;
        let context_count = r.u16()?;
        let server_guid = r.array()?;
        let capabilities = r.u32()?;
        let max_transact = r.u32()?;
        let max_read = r.u32()?;
        let max_write = r.u32()?;
        let system_time = r.u64()?;
        r.skip(8)?;
        let token_at = r.u16()?;
        let token_len = r.u16()?;
        let contexts_at = r.u32()?;
        let token = message.variable(REPLY_FIXED, u32::from(token_at), u32::from(token_len))?;
        let chosen = if dialect == SMB311.number() {
            let at = size(contexts_at);
            if at < HEADER_LEN.saturating_add(REPLY_FIXED) || at != align8(at) {
                return Err(Malformed);
            }
            Chosen::parse(message.bytes.get(at..).ok_or(Malformed)?, context_count)?
        } else {
            Chosen::default()
        };
        Ok(Reply {
            security_mode,
            dialect,
            server_guid,
            capabilities,
            max_transact,
            max_read,
            max_write,
            system_time,
            token,
            cipher: chosen.cipher,
            signing: chosen.signing,
        })
    }
}

/// What the contexts of a reply say, each at most once (MS-SMB2 3.2.5.2).
#[derive(Default)]
struct Chosen {
    hash: Option<u16>,
    cipher: Option<u16>,
    signing: Option<u16>,
}

impl Chosen {
    /// Without exactly one preauth context that names SHA-512 there is no 3.1.1 connection.
    fn parse(bytes: &[u8], count: u16) -> Result<Self, Malformed> {
        let mut chosen = Self::default();
        let mut r = Reader::new(bytes);
        for i in 0..count {
            if i > 0 {
                let done = bytes.len().saturating_sub(r.len());
                r.skip(align8(done).saturating_sub(done))?;
            }
            let kind = r.u16()?;
            let len = r.u16()?;
            r.skip(4)?;
            let mut data = r.sub(usize::from(len))?;
            let (field, value) = match kind {
                context::PREAUTH_INTEGRITY => {
                    let count = data.u16()?;
                    let salt = data.u16()?;
                    let hash = data.u16()?;
                    data.skip(usize::from(salt))?;
                    if count != 1 || hash != SHA512 {
                        return Err(Malformed);
                    }
                    (&mut chosen.hash, hash)
                }
                context::ENCRYPTION => (&mut chosen.cipher, only(&mut data)?),
                context::SIGNING => (&mut chosen.signing, only(&mut data)?),
                _ => continue,
            };
            if field.replace(value).is_some() {
                return Err(Malformed);
            }
        }
        chosen.hash.map(|_| chosen).ok_or(Malformed)
    }
}

/// The only element of a list that says its own length.
fn only(r: &mut Reader<'_>) -> Result<u16, Malformed> {
    match r.u16()? {
        1 => r.u16(),
        _ => Err(Malformed),
    }
}
