// SPDX-License-Identifier: GPL-2.0
//! Session setup (MS-SMB2 3.2.4.2.3, 3.2.5.3): two legs of NTLMSSP inside SPNEGO, and the keys.

use super::{Negotiated, PreauthHash, Refused, Signing};
use crate::auth::kdf::{self, Purpose};
use crate::auth::ntlm::{self, Authenticate, Challenge, Identity, Nonces, Side};
use crate::auth::spnego::{self, Response, State};
use crate::auth::{same, Crypto, Secret};
use crate::codec::Writer;
use crate::crypt::SigningKey;
use crate::smb2::negotiate::capabilities;
use crate::smb2::session_setup::{SessionSetup as Request, ENCRYPT_DATA, IS_GUEST, IS_NULL};
use crate::smb2::{Code, Command, Message};
use crate::status::NtStatus;

/// Enough room for the security buffer of any leg, in bytes.
pub const MAX_BLOB: usize = ntlm::MAX_AUTHENTICATE + 64;

/// Who logs on. The strings are borrowed and leave no copy behind.
#[derive(Clone, Copy)]
pub enum Credentials<'a> {
    /// A user: let in as a guest only if the server says so openly and signing is not required.
    User {
        /// Account name, or `name@realm` with an empty domain.
        user: &'a str,
        /// Domain or machine the account belongs to; may be empty.
        domain: &'a str,
        /// The password in clear.
        password: &'a str,
    },
    /// The account `Guest` without a password, or whatever the server maps an unknown user to.
    Guest,
    /// Nobody.
    Anonymous,
}

impl<'a> Credentials<'a> {
    const fn identity(self) -> Identity<'a> {
        match self {
            Self::User {
                user,
                domain,
                password,
            } => Identity::User {
                user,
                domain,
                password,
            },
            Self::Guest => Identity::User {
                user: "Guest",
                domain: "",
                password: "",
            },
            Self::Anonymous => Identity::Anonymous,
        }
    }
}

impl core::fmt::Debug for Credentials<'_> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str(match self {
            Self::User { .. } => "User",
            Self::Guest => "Guest",
            Self::Anonymous => "Anonymous",
        })
    }
}

/// What a session setup starts from.
#[derive(Clone, Copy, Debug)]
pub struct Logon<'a> {
    /// Who.
    pub credentials: Credentials<'a>,
    /// The server's name as the user gave it; bound into the NTLM response.
    pub host: &'a str,
    /// The session this one replaces after a reconnect (`PreviousSessionId`), or 0.
    pub previous: u64,
    /// The wall clock as a FILETIME (100 ns since 1601), for servers that do not tell theirs.
    pub now: u64,
}

/// A session that stands.
#[derive(Debug)]
pub struct Established {
    /// The session id for the header.
    pub session_id: u64,
    /// Signs messages; `None` for a guest or anonymous session, which cannot.
    pub key: Option<SigningKey>,
    /// Every message is to be signed, and every reply checked: we or the server want it. Otherwise
    /// the key is used for what asks for it: the tree connect of 3.1.1 (MS-SMB2 3.2.4.1.1) and
    /// VALIDATE_NEGOTIATE_INFO.
    pub sign_all: bool,
    /// The server took us for a guest.
    pub guest: bool,
    /// The session is anonymous.
    pub anonymous: bool,
}

/// What comes after a reply.
#[derive(Debug)]
pub enum Step<'a> {
    /// Send another leg, whose security buffer is this many bytes of the caller's buffer.
    Send(SessionSetup<'a>, usize),
    /// The session stands.
    Done(Established),
}

/// What the next reply is to bring.
#[derive(Debug)]
enum Await {
    Challenge,
    Verdict {
        key: Secret<16>,
        flags: u32,
        signs: bool,
    },
}

/// A session setup in progress.
#[derive(Debug)]
pub struct SessionSetup<'a> {
    negotiated: &'a Negotiated,
    logon: Logon<'a>,
    hash: PreauthHash,
    session_id: u64,
    awaits: Await,
}

impl<'a> SessionSetup<'a> {
    /// Starts on a negotiated connection: writes the first leg's security buffer into `blob` and
    /// returns its length.
    ///
    /// # Errors
    /// [`Refused::SigningImpossible`] if guest or nobody is to be signed; [`Refused::NoSpace`] if
    /// `blob` is shorter than [`MAX_BLOB`].
    pub fn start(
        negotiated: &'a Negotiated,
        logon: Logon<'a>,
        blob: &mut [u8],
    ) -> Result<(Self, usize), Refused> {
        let keyless = !matches!(logon.credentials, Credentials::User { .. });
        if keyless && negotiated.signing == Signing::Required {
            return Err(Refused::SigningImpossible);
        }
        let mut w = Writer::new(blob);
        spnego::emit_init(&mut w, &ntlm::NEGOTIATE)?;
        let setup = Self {
            negotiated,
            logon,
            hash: negotiated.preauth.clone(),
            session_id: 0,
            awaits: Await::Challenge,
        };
        Ok((setup, w.written()))
    }

    /// The session id for the header of the next leg: 0 in the first.
    pub const fn session_id(&self) -> u64 {
        self.session_id
    }

    /// The request of this leg; `blob` is the security buffer that was written.
    pub fn command<'b>(&self, blob: &'b [u8]) -> Request<'b> {
        Request {
            flags: 0,
            security_mode: self.negotiated.signing.mode(),
            capabilities: capabilities::DFS,
            previous_session: self.logon.previous,
            token: blob,
        }
    }

    /// Takes note of the request as sent, from its SMB2 header to its end.
    pub fn sent<C: Crypto>(&mut self, crypto: &C, message: &[u8]) {
        self.hash.update(crypto, message);
    }

    /// Takes the final reply of this leg (an interim STATUS_PENDING is the transport's). If
    /// another leg follows, its security buffer is written to `blob`.
    ///
    /// # Errors
    /// Every variant that concerns a session; the connection may be used for another attempt only
    /// after [`Refused::Status`].
    pub fn reply<C: Crypto>(
        mut self,
        crypto: &C,
        message: &Message<'_>,
        blob: &mut [u8],
    ) -> Result<Step<'a>, Refused> {
        let header = &message.header;
        if !header.answers(Code::SessionSetup) {
            return Err(Refused::Malformed);
        }
        match (header.status, &self.awaits) {
            (NtStatus::MORE_PROCESSING_REQUIRED, Await::Challenge) => {
                self.hash.update(crypto, message.bytes);
                self.session_id = header.session_id;
                let len = self.answer(crypto, message, blob)?;
                Ok(Step::Send(self, len))
            }
            (NtStatus::SUCCESS, Await::Verdict { .. }) => {
                self.finish(crypto, message).map(Step::Done)
            }
            (NtStatus::ACCESS_DENIED, _) => Err(Refused::Denied),
            (status, _) if status.is_error() && status != NtStatus::MORE_PROCESSING_REQUIRED => {
                Err(Refused::Status(status))
            }
            _ => Err(Refused::Malformed),
        }
    }

    /// Answers the challenge.
    fn answer<C: Crypto>(
        &mut self,
        crypto: &C,
        message: &Message<'_>,
        blob: &mut [u8],
    ) -> Result<usize, Refused> {
        let reply = Request::parse(message)?;
        let response = Response::parse(reply.token)?;
        if response.state == Some(State::Reject) {
            return Err(Refused::NoMechanism);
        }
        let challenge = Challenge::parse(response.token.ok_or(Refused::Malformed)?)?;
        let flags = challenge.flags;
        let Logon {
            credentials,
            host,
            now,
            ..
        } = self.logon;
        let auth = Authenticate::new(challenge, credentials.identity(), host, now);
        let nonces = Nonces::random(crypto);
        let size = auth.size()?;
        let mut w = Writer::new(blob);
        let signs = auth.signs() && !response.raw;
        let (token, mic) = if response.raw {
            (w.hole(size)?, None)
        } else {
            spnego::emit_response(&mut w, size, signs)?
        };
        let key = auth.emit(crypto, &nonces, token)?;
        if let Some(mic) = mic {
            *mic = ntlm::sign(crypto, &key, flags, Side::Client, spnego::MECH_LIST);
        }
        self.awaits = Await::Verdict { key, flags, signs };
        Ok(w.written())
    }

    /// Judges the final success and derives the keys.
    fn finish<C: Crypto>(self, crypto: &C, message: &Message<'_>) -> Result<Established, Refused> {
        let Await::Verdict { key, flags, signs } = &self.awaits else {
            return Err(Refused::Malformed);
        };
        let reply = Request::parse(message)?;
        if message.header.session_id != self.session_id {
            return Err(Refused::Malformed);
        }
        let guest = reply.flags & IS_GUEST != 0;
        let anonymous =
            reply.flags & IS_NULL != 0 || matches!(self.logon.credentials, Credentials::Anonymous);
        self.check_kind(guest, anonymous)?;
        let mut established = Established {
            session_id: self.session_id,
            key: None,
            sign_all: false,
            guest,
            anonymous,
        };
        if !guest && !anonymous {
            let signing = self.signing_key(crypto, key);
            self.check_signature(crypto, message, &signing)?;
            check_token(crypto, key, *flags, *signs, reply.token)?;
            established.key = Some(signing);
            established.sign_all = self.negotiated.sign_all();
        }
        if reply.flags & ENCRYPT_DATA != 0 {
            return Err(Refused::Encryption);
        }
        Ok(established)
    }

    /// Whether the kind of session is one the user can have meant.
    fn check_kind(&self, guest: bool, anonymous: bool) -> Result<(), Refused> {
        let required = self.negotiated.signing == Signing::Required;
        match self.logon.credentials {
            Credentials::User { .. } if anonymous || guest && required => {
                Err(Refused::GuestNotWanted)
            }
            _ => Ok(()),
        }
    }

    fn signing_key<C: Crypto>(&self, crypto: &C, key: &Secret<16>) -> SigningKey {
        let dialect = self.negotiated.dialect;
        let signing = if dialect.preauth() {
            kdf::smb311(crypto, key.bytes(), Purpose::Signing, self.hash.bytes())
        } else if dialect.derives_keys() {
            kdf::smb30(crypto, key.bytes(), Purpose::Signing)
        } else {
            key.clone()
        };
        SigningKey::new(self.negotiated.mac, signing)
    }

    /// The last reply proves that the server has the key. In 3.1.1 it must (MS-SMB2 3.2.5.3.1); in
    /// older dialects a server that does not want signing may leave it out.
    fn check_signature<C: Crypto>(
        &self,
        crypto: &C,
        message: &Message<'_>,
        key: &SigningKey,
    ) -> Result<(), Refused> {
        let must = self.negotiated.dialect.preauth() || self.negotiated.sign_all();
        let signed = message.header.flags & crate::smb2::flags::SIGNED != 0;
        if (must || signed) && !key.verify(crypto, message) {
            return Err(Refused::Signature);
        }
        Ok(())
    }
}

/// Checks the SPNEGO token of the final reply, if there is one.
fn check_token<C: Crypto>(
    crypto: &C,
    key: &Secret<16>,
    flags: u32,
    signs: bool,
    blob: &[u8],
) -> Result<(), Refused> {
    let response = Response::parse(blob)?;
    if response.state == Some(State::Reject) {
        return Err(Refused::Malformed);
    }
    match response.mic {
        Some(mic) if signs => {
            let code = ntlm::sign(crypto, key, flags, Side::Server, spnego::MECH_LIST);
            match mic.try_into() {
                Ok(found) if same(found, &code) => Ok(()),
                _ => Err(Refused::Signature),
            }
        }
        _ => Ok(()),
    }
}
