// SPDX-License-Identifier: GPL-2.0
//! CHALLENGE (MS-NLMP 2.2.1.2): what the server says of itself.

use super::{flags, Error};
use crate::codec::{size, window, Malformed, Reader};

/// Without these a challenge is refused as too weak.
const REQUIRED: u32 = flags::UNICODE | flags::EXTENDED_SESSION_SECURITY | flags::KEY_128;

/// AV pair identifiers (MS-NLMP 2.2.2.1).
pub mod av {
    /// Ends the list.
    pub const EOL: u16 = 0;
    /// NetBIOS name of the server.
    pub const NB_COMPUTER: u16 = 1;
    /// NetBIOS name of its domain.
    pub const NB_DOMAIN: u16 = 2;
    /// DNS name of the server.
    pub const DNS_COMPUTER: u16 = 3;
    /// DNS name of its domain.
    pub const DNS_DOMAIN: u16 = 4;
    /// A 32-bit word; bit 1 says that the AUTHENTICATE message carries a MIC.
    pub const FLAGS: u16 = 6;
    /// The server's time as a FILETIME.
    pub const TIMESTAMP: u16 = 7;
    /// Target name the client meant, `cifs/host`.
    pub const TARGET_NAME: u16 = 9;
    /// MD5 of the channel bindings, or zeros.
    pub const CHANNEL_BINDINGS: u16 = 10;
}

/// Most bytes of target information accepted in a challenge.
pub const MAX_TARGET_INFO: usize = 4096;

/// One attribute of the target information.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AvPair<'a> {
    /// See [`av`]; unknown numbers are kept.
    pub id: u16,
    /// The value's bytes.
    pub value: &'a [u8],
}

/// The target information of a challenge: a checked list of [`AvPair`]s.
#[derive(Clone, Copy, Debug)]
pub struct AvPairs<'a> {
    rest: Reader<'a>,
}

impl<'a> AvPairs<'a> {
    /// Checks the whole list, which must end in [`av::EOL`] or be empty; bytes after the end are
    /// ignored, as the specification leaves them open.
    ///
    /// # Errors
    /// [`Malformed`] if a pair reaches over the end or the list does not end.
    pub fn parse(bytes: &'a [u8]) -> Result<Self, Malformed> {
        let pairs = Self {
            rest: Reader::new(bytes),
        };
        if !bytes.is_empty() {
            let mut walk = pairs.rest;
            while pair(&mut walk)?.id != av::EOL {}
        }
        Ok(pairs)
    }

    /// The value of the first pair called `id`.
    pub fn find(&self, id: u16) -> Option<&'a [u8]> {
        let mut walk = *self;
        walk.find_map(|p| (p.id == id).then_some(p.value))
    }
}

fn pair<'a>(r: &mut Reader<'a>) -> Result<AvPair<'a>, Malformed> {
    let id = r.u16()?;
    let len = r.u16()?;
    let value = r.take(usize::from(len))?;
    Ok(AvPair { id, value })
}

impl<'a> Iterator for AvPairs<'a> {
    type Item = AvPair<'a>;

    fn next(&mut self) -> Option<AvPair<'a>> {
        match pair(&mut self.rest) {
            Ok(p) if p.id != av::EOL => Some(p),
            _ => {
                self.rest = Reader::new(&[]);
                None
            }
        }
    }
}

/// A parsed CHALLENGE message (MS-NLMP 2.2.1.2).
#[derive(Clone, Copy, Debug)]
pub struct Challenge<'a> {
    /// Negotiated [`flags`].
    pub flags: u32,
    /// The server's random number.
    pub nonce: [u8; 8],
    /// Name of the server or of its domain, UTF-16LE.
    pub target_name: &'a [u8],
    /// Attributes of the server.
    pub info: AvPairs<'a>,
    pub(super) info_len: usize,
    pub(super) message: &'a [u8],
}

impl<'a> Challenge<'a> {
    /// Parses `message`, from the `NTLMSSP` signature to its end.
    ///
    /// # Errors
    /// [`Error::Malformed`]; [`Error::Weak`] if the flags miss what we require;
    /// [`Error::TooLong`] for more target information than [`MAX_TARGET_INFO`].
    pub fn parse(message: &'a [u8]) -> Result<Self, Error> {
        let mut r = Reader::new(message);
        if r.array()? != *b"NTLMSSP\0" || r.u32()? != 2 {
            return Err(Error::Malformed);
        }
        let target_name = field(&mut r, message)?;
        let negotiated = r.u32()?;
        let nonce = r.array()?;
        r.skip(8)?;
        let info = if negotiated & flags::TARGET_INFO != 0 {
            field(&mut r, message)?
        } else {
            &[]
        };
        if negotiated & REQUIRED != REQUIRED {
            return Err(Error::Weak);
        }
        if info.len() > MAX_TARGET_INFO {
            return Err(Error::TooLong);
        }
        Ok(Self {
            flags: negotiated,
            nonce,
            target_name,
            info: AvPairs::parse(info)?,
            info_len: info.len(),
            message,
        })
    }

    /// The server's time as a FILETIME, if it sent one.
    pub fn timestamp(&self) -> Option<u64> {
        let bytes = self.info.find(av::TIMESTAMP)?;
        Some(u64::from_le_bytes(*bytes.first_chunk()?))
    }
}

/// A length, maximum and offset triple, resolved from the start of the message (MS-NLMP 2.2.1).
fn field<'a>(r: &mut Reader<'a>, message: &'a [u8]) -> Result<&'a [u8], Malformed> {
    let len = r.u16()?;
    r.skip(2)?;
    let offset = r.u32()?;
    if len == 0 {
        return Ok(&[]);
    }
    window(message, size(offset), usize::from(len))
}
