// SPDX-License-Identifier: GPL-2.0
//! SPNEGO (RFC 4178, MS-SPNG), as much of it as carries NTLMSSP.
//!
//! DER is read with definite lengths only and without recursion; every nested length bounds a
//! reader of its own. Unknown mechanisms, hints and flags are passed over.

use crate::codec::{Malformed, NoSpace, Reader, Writer};

/// The signature in front of every NTLMSSP message: some servers send them bare.
pub const NTLMSSP: &[u8] = b"NTLMSSP\0";

/// 1.3.6.1.5.5.2, SPNEGO itself.
const OID_SPNEGO: &[u8] = &[0x2b, 6, 1, 5, 5, 2];
/// 1.3.6.1.4.1.311.2.2.10, NTLMSSP.
const OID_NTLMSSP: &[u8] = &[0x2b, 6, 1, 4, 1, 0x82, 0x37, 2, 2, 0x0a];
/// 1.2.840.113554.1.2.2, Kerberos 5.
const OID_KRB5: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x12, 1, 2, 2];
/// 1.2.840.48018.1.2.2, Kerberos 5 as misspelt by Windows 2000.
const OID_MS_KRB5: &[u8] = &[0x2a, 0x86, 0x48, 0x82, 0xf7, 0x12, 1, 2, 2];

/// The mechanism list we send, as DER: what the mechListMIC is computed over (RFC 4178 4.2.2).
pub const MECH_LIST: &[u8] = &[
    0x30, 0x0c, 6, 0x0a, 0x2b, 6, 1, 4, 1, 0x82, 0x37, 2, 2, 0x0a,
];

mod tag {
    //! DER identifier octets.
    pub(super) const OCTETS: u8 = 0x04;
    pub(super) const OID: u8 = 0x06;
    pub(super) const ENUMERATED: u8 = 0x0a;
    pub(super) const SEQUENCE: u8 = 0x30;
    /// [APPLICATION 0], the GSS-API frame of RFC 2743 3.1.
    pub(super) const FRAME: u8 = 0x60;
    /// Context tags [0] to [3], constructed.
    pub(super) const C0: u8 = 0xa0;
    pub(super) const C1: u8 = 0xa1;
    pub(super) const C2: u8 = 0xa2;
    pub(super) const C3: u8 = 0xa3;
}

/// What the server's first token offers (NegTokenInit2, MS-SPNG 2.2.1).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Offer {
    /// NTLMSSP is in the mechanism list.
    pub ntlmssp: bool,
    /// Kerberos 5 is, under either of its identifiers.
    pub kerberos: bool,
}

impl Offer {
    /// Parses the security buffer of a negotiate reply.
    ///
    /// An empty buffer leaves the choice to the client (MS-SMB2 2.2.4), so it offers NTLMSSP.
    ///
    /// # Errors
    /// [`Malformed`] if it is not a NegTokenInit of RFC 4178 with a mechanism list.
    pub fn parse(blob: &[u8]) -> Result<Self, Malformed> {
        if blob.is_empty() {
            return Ok(Self {
                ntlmssp: true,
                kerberos: false,
            });
        }
        let mut frame = expect(&mut Reader::new(blob), tag::FRAME)?;
        if expect(&mut frame, tag::OID)?.rest() != OID_SPNEGO {
            return Err(Malformed);
        }
        let mut init = expect(&mut expect(&mut frame, tag::C0)?, tag::SEQUENCE)?;
        let mut list = expect(&mut expect(&mut init, tag::C0)?, tag::SEQUENCE)?;
        let mut offer = Self::default();
        while !list.is_empty() {
            match expect(&mut list, tag::OID)?.rest() {
                OID_NTLMSSP => offer.ntlmssp = true,
                OID_KRB5 | OID_MS_KRB5 => offer.kerberos = true,
                _ => {}
            }
        }
        Ok(offer)
    }
}

/// The `negState` of a NegTokenResp (RFC 4178 4.2.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// accept-completed (0).
    Completed,
    /// accept-incomplete (1).
    Incomplete,
    /// reject (2).
    Reject,
    /// request-mic (3).
    RequestMic,
}

/// A token of the server inside a session setup reply.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Response<'a> {
    /// `negState`, if sent.
    pub state: Option<State>,
    /// The mechanism token, if sent.
    pub token: Option<&'a [u8]>,
    /// `mechListMIC`, if sent.
    pub mic: Option<&'a [u8]>,
    /// The server answered a bare NTLMSSP message without SPNEGO around it.
    pub raw: bool,
}

impl<'a> Response<'a> {
    /// Parses the security buffer of a session setup reply: a NegTokenResp, a bare NTLMSSP
    /// message, or nothing.
    ///
    /// # Errors
    /// [`Malformed`] if it is none of these, or if it selects another mechanism than NTLMSSP.
    pub fn parse(blob: &'a [u8]) -> Result<Self, Malformed> {
        let mut out = Self::default();
        if blob.is_empty() {
            return Ok(out);
        }
        if blob.starts_with(NTLMSSP) {
            out.token = Some(blob);
            out.raw = true;
            return Ok(out);
        }
        let mut body = expect(&mut expect(&mut Reader::new(blob), tag::C1)?, tag::SEQUENCE)?;
        while !body.is_empty() {
            let (field, mut value) = element(&mut body)?;
            match field {
                tag::C0 => out.state = Some(state(expect(&mut value, tag::ENUMERATED)?)?),
                tag::C1 => {
                    if expect(&mut value, tag::OID)?.rest() != OID_NTLMSSP {
                        return Err(Malformed);
                    }
                }
                tag::C2 => out.token = Some(expect(&mut value, tag::OCTETS)?.rest()),
                tag::C3 => out.mic = Some(expect(&mut value, tag::OCTETS)?.rest()),
                _ => return Err(Malformed),
            }
        }
        Ok(out)
    }
}

fn state(mut value: Reader<'_>) -> Result<State, Malformed> {
    let state = match value.u8()? {
        0 => State::Completed,
        1 => State::Incomplete,
        2 => State::Reject,
        3 => State::RequestMic,
        _ => return Err(Malformed),
    };
    if value.is_empty() {
        Ok(state)
    } else {
        Err(Malformed)
    }
}

/// The next element: its identifier octet and a reader over its contents.
fn element<'a>(r: &mut Reader<'a>) -> Result<(u8, Reader<'a>), Malformed> {
    let tag = r.u8()?;
    let first = r.u8()?;
    let len = match first {
        0..=0x7f => usize::from(first),
        0x81 => usize::from(r.u8()?),
        0x82 => usize::from(u16::from_be_bytes(r.array()?)),
        // Indefinite lengths are not DER, and a security buffer is shorter than 64 KiB.
        _ => return Err(Malformed),
    };
    Ok((tag, r.sub(len)?))
}

/// The contents of the next element, which must be a `tag`.
fn expect<'a>(r: &mut Reader<'a>, tag: u8) -> Result<Reader<'a>, Malformed> {
    match element(r)? {
        (found, contents) if found == tag => Ok(contents),
        _ => Err(Malformed),
    }
}

/// Length of an element with `contents` bytes inside.
const fn wrapped(contents: usize) -> usize {
    let head: usize = match contents {
        0..=0x7f => 2,
        0x80..=0xff => 3,
        _ => 4,
    };
    head.saturating_add(contents)
}

/// Writes the identifier and length of an element.
fn open(w: &mut Writer<'_>, tag: u8, contents: usize) -> Result<(), NoSpace> {
    w.u8(tag)?;
    if let Ok(len) = u8::try_from(contents) {
        if len > 0x7f {
            w.u8(0x81)?;
        }
        return w.u8(len);
    }
    w.u8(0x82)?;
    w.put(&u16::try_from(contents).map_err(|_| NoSpace)?.to_be_bytes())
}

/// Writes a NegTokenInit that offers NTLMSSP alone, with its first message in `token`.
///
/// # Errors
/// [`NoSpace`] if `w` is too small or the token exceeds 64 KiB.
pub fn emit_init(w: &mut Writer<'_>, token: &[u8]) -> Result<(), NoSpace> {
    let octets = wrapped(token.len());
    let fields = wrapped(MECH_LIST.len()).saturating_add(wrapped(octets));
    let sequence = wrapped(fields);
    open(
        w,
        tag::FRAME,
        wrapped(OID_SPNEGO.len()).saturating_add(wrapped(sequence)),
    )?;
    open(w, tag::OID, OID_SPNEGO.len())?;
    w.put(OID_SPNEGO)?;
    open(w, tag::C0, sequence)?;
    open(w, tag::SEQUENCE, fields)?;
    open(w, tag::C0, MECH_LIST.len())?;
    w.put(MECH_LIST)?;
    open(w, tag::C2, octets)?;
    open(w, tag::OCTETS, token.len())?;
    w.put(token)
}

/// Writes a NegTokenResp up to its response token, and hands out the hole of `token_len` bytes to
/// be filled by the caller; with `with_mic` the last 16 bytes, the mechListMIC, are a second hole.
///
/// # Errors
/// [`NoSpace`] if `w` is too small or the token exceeds 64 KiB.
pub fn emit_response<'a>(
    w: &mut Writer<'a>,
    token_len: usize,
    with_mic: bool,
) -> Result<(&'a mut [u8], Option<&'a mut [u8; 16]>), NoSpace> {
    let octets = wrapped(token_len);
    let mut fields = wrapped(octets);
    if with_mic {
        fields = fields.saturating_add(wrapped(wrapped(16)));
    }
    open(w, tag::C1, wrapped(fields))?;
    open(w, tag::SEQUENCE, fields)?;
    open(w, tag::C2, octets)?;
    open(w, tag::OCTETS, token_len)?;
    let token = w.hole(token_len)?;
    if !with_mic {
        return Ok((token, None));
    }
    open(w, tag::C3, wrapped(16))?;
    open(w, tag::OCTETS, 16)?;
    Ok((token, Some(w.array()?)))
}
