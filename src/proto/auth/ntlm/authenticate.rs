// SPDX-License-Identifier: GPL-2.0
//! AUTHENTICATE (MS-NLMP 2.2.1.3, 3.1.5.1.2) with the NTLMv2 response (3.3.2).

use super::{av, flags, AvPair, Challenge, Error, MAX_TARGET_INFO, NEGOTIATE, VERSION, WANTED};
use crate::auth::md4::Md4;
use crate::auth::{Crypto, Secret};
use crate::codec::{NoSpace, Writer};
use crate::utf16;

/// Most UTF-16 units of a user, domain, host or workstation name.
pub const MAX_NAME: usize = 256;

/// Most bytes of an AUTHENTICATE message made from a challenge whose target information is as long
/// as [`MAX_TARGET_INFO`] and names that are as long as [`MAX_NAME`].
pub const MAX_AUTHENTICATE: usize = 88 + 3 * 2 * MAX_NAME + 24 + 44 + MAX_TARGET_INFO + 600 + 16;

/// Fixed part of an AUTHENTICATE message with version and MIC (MS-NLMP 2.2.1.3).
const AUTHENTICATE_HEAD: usize = 88;
/// Where the MIC stands in it.
const MIC_AT: usize = 72;
/// Length of the NTLMv2 client challenge up to the target information (MS-NLMP 2.2.2.7).
const TEMP_HEAD: usize = 28;

/// Who logs on. The strings are borrowed and leave no copy behind.
#[derive(Clone, Copy)]
pub enum Identity<'a> {
    /// Nobody: an empty response.
    Anonymous,
    /// A user with a password.
    User {
        /// Account name, or `name@realm` with an empty domain.
        user: &'a str,
        /// Domain or machine the account belongs to; may be empty.
        domain: &'a str,
        /// The password in clear.
        password: &'a str,
    },
}

impl core::fmt::Debug for Identity<'_> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str(match self {
            Self::Anonymous => "Anonymous",
            Self::User { .. } => "User",
        })
    }
}

/// The NT one-way function of NTLMv2 (MS-NLMP 3.3.2 `NTOWFv2`): HMAC-MD5, keyed with the MD4 of
/// the password, over the upper-cased user and the domain.
///
/// # Errors
/// [`Error::TooLong`] if user or domain exceed [`MAX_NAME`].
pub fn ntowf_v2<C: Crypto>(
    crypto: &C,
    user: &str,
    domain: &str,
    password: &str,
) -> Result<Secret<16>, Error> {
    let mut md4 = Md4::new();
    for unit in password.encode_utf16() {
        md4.update(&unit.to_le_bytes());
    }
    let hash = Secret::new(md4.finish());
    let mut names = [0; 4 * MAX_NAME];
    let mut w = Writer::new(&mut names);
    for c in user.chars() {
        put_char(&mut w, utf16::fold(c))?;
    }
    utf16::put(&mut w, domain)?;
    let used = w.written();
    let names = names.get(..used).unwrap_or(&[]);
    Ok(Secret::new(crypto.hmac_md5(hash.bytes(), &[names])))
}

fn put_char(w: &mut Writer<'_>, c: char) -> Result<(), NoSpace> {
    for unit in c.encode_utf16(&mut [0; 2]) {
        w.u16(*unit)?;
    }
    Ok(())
}

/// Bytes of `s` in UTF-16.
fn wide_len(s: &str) -> Result<usize, Error> {
    match utf16::len(s) {
        n if n > 2 * MAX_NAME => Err(Error::TooLong),
        n => Ok(n),
    }
}

/// The NTLMv2 response (MS-NLMP 3.3.2): `NTProofStr` and the session base key, from the hash of
/// the password, the server's nonce and the client's `temp` blob.
pub fn prove<C: Crypto>(
    crypto: &C,
    ntowf: &Secret<16>,
    nonce: &[u8; 8],
    temp: &[u8],
) -> ([u8; 16], Secret<16>) {
    let proof = crypto.hmac_md5(ntowf.bytes(), &[nonce, temp]);
    let base = Secret::new(crypto.hmac_md5(ntowf.bytes(), &[&proof]));
    (proof, base)
}

/// The LMv2 response (MS-NLMP 3.3.2), sent only when the server told no time.
pub fn lm_v2<C: Crypto>(
    crypto: &C,
    ntowf: &Secret<16>,
    nonce: &[u8; 8],
    client: &[u8; 8],
) -> [u8; 24] {
    let mut out = [0; 24];
    let (proof, tail) = out.split_at_mut(16);
    proof.copy_from_slice(&crypto.hmac_md5(ntowf.bytes(), &[nonce, client]));
    tail.copy_from_slice(client);
    out
}

/// An AUTHENTICATE message about to be written (MS-NLMP 2.2.1.3, 3.1.5.1.2).
pub struct Authenticate<'a> {
    challenge: Challenge<'a>,
    identity: Identity<'a>,
    host: &'a str,
    now: u64,
}

/// Random values of one AUTHENTICATE message.
pub struct Nonces {
    /// Client challenge.
    pub client: [u8; 8],
    /// Random session key, used when a key exchange is negotiated.
    pub session_key: Secret<16>,
}

impl Nonces {
    /// Draws them.
    pub fn random<C: Crypto>(crypto: &C) -> Self {
        let mut client = [0; 8];
        crypto.random(&mut client);
        let mut session_key = Secret::new([0; 16]);
        crypto.random(session_key.bytes_mut());
        Self {
            client,
            session_key,
        }
    }
}

impl<'a> Authenticate<'a> {
    /// Answers `challenge` as `identity`. `host` is the name the user gave for the server: it goes
    /// into the target name `cifs/host`, or nowhere if empty. `now` is the wall clock as a
    /// FILETIME, used when the server did not send its own.
    pub const fn new(
        challenge: Challenge<'a>,
        identity: Identity<'a>,
        host: &'a str,
        now: u64,
    ) -> Self {
        Self {
            challenge,
            identity,
            host,
            now,
        }
    }

    /// The exact number of bytes [`Authenticate::emit`] writes.
    ///
    /// # Errors
    /// [`Error::TooLong`] if a name exceeds [`MAX_NAME`].
    pub fn size(&self) -> Result<usize, Error> {
        let Identity::User { user, domain, .. } = self.identity else {
            // One byte of LM response, and a session key if one is exchanged.
            return Ok(AUTHENTICATE_HEAD
                .saturating_add(1)
                .saturating_add(self.key_len()));
        };
        Ok(AUTHENTICATE_HEAD
            .saturating_add(wide_len(domain)?)
            .saturating_add(wide_len(user)?)
            .saturating_add(24)
            .saturating_add(16)
            .saturating_add(self.temp_len()?)
            .saturating_add(self.key_len()))
    }

    /// Whether the keys allow a mechListMIC.
    pub const fn signs(&self) -> bool {
        matches!(self.identity, Identity::User { .. }) && self.challenge.flags & flags::SIGN != 0
    }

    /// Writes the message over all of `out`, which is [`Authenticate::size`] bytes long, and
    /// returns the exported session key.
    ///
    /// # Errors
    /// [`Error::TooLong`] as [`Authenticate::size`]; [`Error::NoSpace`] if `out` is shorter.
    pub fn emit<C: Crypto>(
        &self,
        crypto: &C,
        nonces: &Nonces,
        out: &mut [u8],
    ) -> Result<Secret<16>, Error> {
        let out = out.get_mut(..self.size()?).ok_or(Error::NoSpace)?;
        let key = match self.identity {
            Identity::Anonymous => self.emit_anonymous(crypto, nonces, out)?,
            Identity::User {
                user,
                domain,
                password,
            } => {
                let ntowf = ntowf_v2(crypto, user, domain, password)?;
                self.emit_user(crypto, nonces, out, &ntowf, user, domain)?
            }
        };
        if self.sends_mic() {
            let mic = crypto.hmac_md5(key.bytes(), &[&NEGOTIATE, self.challenge.message, out]);
            out.get_mut(MIC_AT..AUTHENTICATE_HEAD)
                .ok_or(Error::NoSpace)?
                .copy_from_slice(&mic);
        }
        Ok(key)
    }

    /// A MIC is sent when the server told its time (MS-NLMP 3.1.5.1.2).
    fn sends_mic(&self) -> bool {
        matches!(self.identity, Identity::User { .. }) && self.challenge.timestamp().is_some()
    }

    fn key_len(&self) -> usize {
        if self.challenge.flags & flags::KEY_EXCHANGE != 0 {
            16
        } else {
            0
        }
    }

    fn flags(&self) -> u32 {
        let common = self.challenge.flags & WANTED;
        match self.identity {
            Identity::Anonymous => common | flags::ANONYMOUS,
            Identity::User { .. } => common,
        }
    }

    fn emit_anonymous<C: Crypto>(
        &self,
        crypto: &C,
        nonces: &Nonces,
        out: &mut [u8],
    ) -> Result<Secret<16>, Error> {
        let mut w = Writer::new(out);
        self.emit_head(&mut w, [1, 0, 0, 0])?;
        w.u8(0)?;
        self.exchange(crypto, nonces, &mut w, Secret::new([0; 16]))
    }

    fn emit_user<C: Crypto>(
        &self,
        crypto: &C,
        nonces: &Nonces,
        out: &mut [u8],
        ntowf: &Secret<16>,
        user: &str,
        domain: &str,
    ) -> Result<Secret<16>, Error> {
        let temp_len = self.temp_len()?;
        let nt_len = temp_len.saturating_add(16);
        let mut w = Writer::new(out);
        self.emit_head(&mut w, [24, nt_len, wide_len(domain)?, wide_len(user)?])?;
        utf16::put(&mut w, domain)?;
        utf16::put(&mut w, user)?;
        let time = self.challenge.timestamp();
        w.put(&match time {
            Some(_) => [0; 24],
            None => lm_v2(crypto, ntowf, &self.challenge.nonce, &nonces.client),
        })?;
        let proof = w.array()?;
        let temp = w.hole(temp_len)?;
        self.emit_temp(
            &mut Writer::new(temp),
            &nonces.client,
            time.unwrap_or(self.now),
        )?;
        let (code, base) = prove(crypto, ntowf, &self.challenge.nonce, temp);
        *proof = code;
        self.exchange(crypto, nonces, &mut w, base)
    }

    /// The fixed part; lengths are those of LM response, NT response, domain and user.
    fn emit_head(
        &self,
        w: &mut Writer<'_>,
        [lm, nt, domain, user]: [usize; 4],
    ) -> Result<(), Error> {
        let user_at = AUTHENTICATE_HEAD.saturating_add(domain);
        let lm_at = user_at.saturating_add(user);
        let nt_at = lm_at.saturating_add(lm);
        let key_at = nt_at.saturating_add(nt);
        w.put(b"NTLMSSP\0")?;
        w.u32(3)?;
        put_field(w, lm, lm_at)?;
        put_field(w, nt, nt_at)?;
        put_field(w, domain, AUTHENTICATE_HEAD)?;
        put_field(w, user, user_at)?;
        // No workstation: it is ours to leave out, and a failover must not reveal more of us.
        put_field(w, 0, lm_at)?;
        put_field(w, self.key_len(), key_at)?;
        w.u32(self.flags())?;
        w.put(&VERSION)?;
        Ok(w.zeros(16)?)
    }

    /// Writes the encrypted random session key if one is exchanged; returns the exported key.
    fn exchange<C: Crypto>(
        &self,
        crypto: &C,
        nonces: &Nonces,
        w: &mut Writer<'_>,
        base: Secret<16>,
    ) -> Result<Secret<16>, Error> {
        if self.key_len() == 0 {
            return Ok(base);
        }
        let mut sealed = *nonces.session_key.bytes();
        crypto.rc4(base.bytes(), &mut sealed);
        w.put(&sealed)?;
        Ok(Secret::new(*nonces.session_key.bytes()))
    }

    /// Attributes of the challenge that are sent back as they are.
    fn echoed(&self) -> impl Iterator<Item = AvPair<'a>> {
        const OURS: [u16; 3] = [av::FLAGS, av::TARGET_NAME, av::CHANNEL_BINDINGS];
        self.challenge.info.filter(|p| !OURS.contains(&p.id))
    }

    fn target_name_len(&self) -> Result<usize, Error> {
        match self.host {
            "" => Ok(0),
            host => Ok(wide_len(host)?.saturating_add(10)),
        }
    }

    fn temp_len(&self) -> Result<usize, Error> {
        let mut len = TEMP_HEAD.saturating_add(4);
        if self.challenge.info_len == 0 {
            return Ok(len);
        }
        for p in self.echoed() {
            len = len.saturating_add(4).saturating_add(p.value.len());
        }
        if self.sends_mic() {
            // Flags, channel bindings, target name.
            len = len.saturating_add(8).saturating_add(20);
            len = len
                .saturating_add(4)
                .saturating_add(self.target_name_len()?);
        }
        Ok(len.saturating_add(4))
    }

    /// The client's part of the response (`temp`, MS-NLMP 3.3.2): time, nonce, attributes.
    fn emit_temp(&self, w: &mut Writer<'_>, client: &[u8; 8], time: u64) -> Result<(), Error> {
        w.put(&[1, 1, 0, 0, 0, 0, 0, 0])?;
        w.u64(time)?;
        w.put(client)?;
        w.u32(0)?;
        if self.challenge.info_len != 0 {
            for p in self.echoed() {
                put_pair_head(w, p.id, p.value.len())?;
                w.put(p.value)?;
            }
            if self.sends_mic() {
                put_pair_head(w, av::FLAGS, 4)?;
                w.u32(0x0000_0002)?;
                put_pair_head(w, av::CHANNEL_BINDINGS, 16)?;
                w.zeros(16)?;
                put_pair_head(w, av::TARGET_NAME, self.target_name_len()?)?;
                if !self.host.is_empty() {
                    utf16::put(w, "cifs/")?;
                    utf16::put(w, self.host)?;
                }
            }
            put_pair_head(w, av::EOL, 0)?;
        }
        Ok(w.u32(0)?)
    }
}

fn put_pair_head(w: &mut Writer<'_>, id: u16, len: usize) -> Result<(), Error> {
    w.u16(id)?;
    Ok(w.u16(u16::try_from(len).map_err(|_| Error::TooLong)?)?)
}

fn put_field(w: &mut Writer<'_>, len: usize, offset: usize) -> Result<(), Error> {
    let short = u16::try_from(len).map_err(|_| Error::TooLong)?;
    w.u16(short)?;
    w.u16(short)?;
    Ok(w.u32(u32::try_from(offset).map_err(|_| Error::TooLong)?)?)
}
