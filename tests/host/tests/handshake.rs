// SPDX-License-Identifier: GPL-2.0
//! Whole handshakes against a small server that computes its side on its own, and against what an
//! attacker in the middle could make of them.

mod common;
#[path = "common/vectors.rs"]
mod vectors;

use common::crypto::Host;
use proptest::prelude::*;
use rsdfs_proto::auth::{Crypto, Mac, MacAlgorithm};
use rsdfs_proto::codec::Writer;
use rsdfs_proto::dialect::Versions;
use rsdfs_proto::handshake::{
    Credentials, Established, Logon, Negotiated, Negotiation, Offer, PreauthHash, Refused,
    SessionSetup, Signing, Step, ValidateNegotiate, MAX_BLOB,
};
use rsdfs_proto::smb2::{Command, Header, Message, HEADER_LEN};
use rsdfs_proto::status::NtStatus;
use vectors::{hex, Vectors};

const SESSION: u64 = 0x1122_3344_5566_7788;
const GUID: [u8; 16] = [9; 16];
const USER: &str = "Jürgen";
const PASSWORD: &str = "password";
/// MD4 of "password" in UTF-16LE, as everybody knows it.
const NT_HASH: &str = "8846f7eaee8fb117ad06bdd830b7586c";

/// What the server does, for better or worse.
#[derive(Clone)]
struct Server {
    dialect: u16,
    capabilities: u32,
    security_mode: u16,
    sizes: u32,
    timestamp: bool,
    key_exchange: bool,
    raw: bool,
    session_flags: u16,
    final_status: u32,
    signs: bool,
    mic: bool,
    nt_hash: String,
    contexts: Vec<u8>,
    // Filled in as it goes.
    hash: [u8; 64],
    challenge: Vec<u8>,
    session_key: [u8; 16],
}

/// One context of a negotiate reply, padded.
fn context(kind: u16, data: &[u8]) -> Vec<u8> {
    let mut out = [
        kind.to_le_bytes(),
        (data.len() as u16).to_le_bytes(),
        [0; 2],
        [0; 2],
    ]
    .concat();
    out.extend(data);
    out.resize(out.len().next_multiple_of(8), 0);
    out
}

fn preauth_context() -> Vec<u8> {
    let mut data = hex("0100 2000 0100");
    data.extend([7; 32]);
    context(1, &data)
}

impl Server {
    fn new(dialect: u16) -> Self {
        Self {
            dialect,
            capabilities: 7,
            security_mode: 1,
            sizes: 1 << 20,
            timestamp: true,
            key_exchange: true,
            raw: false,
            session_flags: 0,
            final_status: 0,
            signs: true,
            mic: true,
            nt_hash: NT_HASH.to_owned(),
            contexts: [preauth_context(), context(8, &hex("0100 0100"))].concat(),
            hash: [0; 64],
            challenge: Vec::new(),
            session_key: [0; 16],
        }
    }

    fn absorb(&mut self, message: &[u8]) {
        self.hash = Host::new().sha512(&[&self.hash, message]);
    }

    fn reply(&self, code: u16, status: u32, session: u64, body: &[u8]) -> Vec<u8> {
        let mut out = hex("fe534d42 4000 0000");
        out.extend(status.to_le_bytes());
        out.extend(code.to_le_bytes());
        out.extend([1, 0, 1, 0, 0, 0, 0, 0, 0, 0]);
        out.extend([0; 16]);
        out.extend(session.to_le_bytes());
        out.extend([0; 16]);
        assert_eq!(out.len(), 64);
        out.extend(body);
        out
    }

    fn negotiate(&mut self, request: &[u8]) -> Vec<u8> {
        self.absorb(request);
        let token = hex(
            "6030 0606 2b0601050502 a026 3024 a022 3020 0609 2a864886f712010202\
             0607 2b060105020507 060a 2b06010401823702020a",
        );
        let mut body = vec![65, 0];
        body.extend(self.security_mode.to_le_bytes());
        body.extend(self.dialect.to_le_bytes());
        let count = if self.dialect == 0x311 { 2u16 } else { 0 };
        body.extend(count.to_le_bytes());
        body.extend(GUID);
        body.extend(self.capabilities.to_le_bytes());
        for _ in 0..3 {
            body.extend(self.sizes.to_le_bytes());
        }
        body.extend([5; 8]);
        body.extend([0; 8]);
        body.extend(128u16.to_le_bytes());
        body.extend((token.len() as u16).to_le_bytes());
        let at = (128 + token.len()).next_multiple_of(8) as u32;
        body.extend(if self.dialect == 0x311 { at } else { 0 }.to_le_bytes());
        body.extend(token);
        if self.dialect == 0x311 {
            body.resize(at as usize - 64, 0);
            body.extend(&self.contexts);
        }
        let reply = self.reply(0, 0, 0, &body);
        self.absorb(&reply);
        reply
    }

    fn flags(&self) -> u32 {
        let exchange = if self.key_exchange { 0x4000_0000 } else { 0 };
        0x2288_8215 | 0x10 | exchange
    }

    /// A session setup body around a security buffer.
    fn setup_body(flags: u16, blob: &[u8]) -> Vec<u8> {
        let mut body = vec![9, 0];
        body.extend(flags.to_le_bytes());
        body.extend(72u16.to_le_bytes());
        body.extend((blob.len() as u16).to_le_bytes());
        body.extend(blob);
        body
    }

    fn first(&mut self, request: &[u8]) -> Vec<u8> {
        self.absorb(request);
        let mut info = hex("0200 0600 580059005a00 0100 0600 530052005600");
        if self.timestamp {
            info.extend(hex("0700 0800 0102030405060708"));
        }
        info.extend([0; 4]);
        let mut c = b"NTLMSSP\0".to_vec();
        c.extend(hex("02000000 0600 0600 38000000"));
        c.extend(self.flags().to_le_bytes());
        c.extend(hex("0123456789abcdef 0000000000000000"));
        let len = (info.len() as u16).to_le_bytes();
        c.extend([len, len].concat());
        c.extend(62u32.to_le_bytes());
        c.extend([6, 1, 0, 0, 0, 0, 0, 15]);
        c.extend(hex("580059005a00"));
        c.extend(info);
        self.challenge = c.clone();
        let blob = if self.raw {
            c
        } else {
            let n = c.len() as u8;
            let mut blob = vec![0xa1, 0x81, n + 26, 0x30, 0x81, n + 23];
            blob.extend(hex("a003 0a01 01 a10c 060a 2b06010401823702020a"));
            blob.extend([0xa2, n + 2, 4, n]);
            assert!(n < 126);
            blob.extend(c);
            blob
        };
        let reply = self.reply(1, 0xc000_0016, SESSION, &Self::setup_body(0, &blob));
        self.absorb(&reply);
        reply
    }

    fn second(&mut self, request: &[u8]) -> Vec<u8> {
        self.absorb(request);
        let at = request
            .windows(8)
            .position(|w| w == b"NTLMSSP\0")
            .expect("a message");
        let message = &request[at..];
        let good = self.authenticate(message);
        let mut blob = hex("a107 3005 a003 0a01 00");
        if self.mic && !self.raw {
            blob = hex("a11b 3019 a003 0a01 00 a312 0410");
            blob.extend(self.mech_mic(b"server-to-client"));
        }
        if self.raw {
            blob.clear();
        }
        let status = match (good, self.final_status) {
            (false, 0) => NtStatus::LOGON_FAILURE.0,
            (_, status) => status,
        };
        if status != 0 {
            return self.reply(1, status, SESSION, &[9, 0, 0, 0, 0, 0, 0, 0]);
        }
        let mut reply = self.reply(1, 0, SESSION, &Self::setup_body(self.session_flags, &blob));
        if self.signs && self.session_flags & 3 == 0 {
            self.sign(&mut reply);
        }
        reply
    }

    /// Checks the proof and the MIC as MS-NLMP 3.2.5.1.2 tells a server to.
    fn authenticate(&mut self, m: &[u8]) -> bool {
        let host = Host::new();
        let field = |at: usize| {
            let len = u16::from_le_bytes([m[at], m[at + 1]]) as usize;
            let from = u32::from_le_bytes(m[at + 4..at + 8].try_into().unwrap()) as usize;
            &m[from..from + len]
        };
        let (nt, domain, user, sealed) = (field(20), field(28), field(36), field(52));
        if nt.is_empty() {
            assert_eq!(m[61] & 8, 8);
            return true;
        }
        let text: Vec<u16> = user
            .chunks(2)
            .map(|c| u16::from_le_bytes([c[0], c[1]]))
            .collect();
        let upper = String::from_utf16(&text).unwrap().to_uppercase();
        let wide: Vec<u8> = upper.encode_utf16().flat_map(u16::to_le_bytes).collect();
        let ntowf = host.hmac_md5(&hex(&self.nt_hash), &[&wide, domain]);
        let nonce = hex("0123456789abcdef");
        if host.hmac_md5(&ntowf, &[&nonce, &nt[16..]])[..] != nt[..16] {
            return false;
        }
        self.session_key = host.hmac_md5(&ntowf, &[&nt[..16]]);
        if self.key_exchange {
            let Ok(mut key) = <[u8; 16]>::try_from(sealed) else {
                return false;
            };
            host.rc4(&self.session_key, &mut key);
            self.session_key = key;
        } else if !sealed.is_empty() {
            return false;
        }
        if self.timestamp {
            let end = 88 + field(12).len() + field(20).len();
            let end = end + field(28).len() + field(36).len() + field(52).len();
            let mut zeroed = m[..end].to_vec();
            zeroed[72..88].fill(0);
            let negotiate = &rsdfs_proto::auth::ntlm::NEGOTIATE;
            let mic = host.hmac_md5(&self.session_key, &[negotiate, &self.challenge, &zeroed]);
            if mic != m[72..88] || nt[24..32] != [1, 2, 3, 4, 5, 6, 7, 8] {
                return false;
            }
        }
        self.raw || m.ends_with(&self.mech_mic(b"client-to-server"))
    }

    fn mech_mic(&self, way: &[u8]) -> [u8; 16] {
        let host = Host::new();
        let magic = |what: &[u8]| {
            let parts: [&[u8]; 6] = [
                &self.session_key,
                b"session key to ",
                way,
                b" ",
                what,
                b" key magic constant\0",
            ];
            host.md5(&parts)
        };
        let list = hex("300c 060a 2b06010401823702020a");
        let full = host.hmac_md5(&magic(b"signing"), &[&[0; 4], &list]);
        let mut sum = full[..8].to_vec();
        if self.key_exchange {
            host.rc4(&magic(b"sealing"), &mut sum);
        }
        [&[1, 0, 0, 0], &sum[..], &[0; 4]]
            .concat()
            .try_into()
            .unwrap()
    }

    fn signing_key(&self) -> [u8; 16] {
        let (label, context): (&[u8], &[u8]) = match self.dialect {
            0x210 => return self.session_key,
            0x311 => (b"SMBSigningKey\0", &self.hash),
            _ => (b"SMB2AESCMAC\0", b"SmbSign\0"),
        };
        let parts = [&[0, 0, 0, 1], label, &[0], context, &[0, 0, 0, 128]];
        let key = Host::new().hmac_sha256(&self.session_key, &parts);
        key[..16].try_into().unwrap()
    }

    fn sign(&self, message: &mut [u8]) {
        let algorithm = match self.dialect {
            0x210 => MacAlgorithm::HmacSha256,
            _ => MacAlgorithm::AesCmac,
        };
        message[16] |= 8;
        message[48..64].fill(0);
        let mut mac = Host::new().mac(algorithm, &self.signing_key());
        mac.update(message);
        message[48..64].copy_from_slice(&mac.finish());
    }
}

/// The client's side of a run.
#[derive(Clone)]
struct Client<'a> {
    versions: &'a str,
    signing: Signing,
    credentials: Credentials<'a>,
}

impl Client<'_> {
    const fn new(versions: &str) -> Client<'_> {
        Client {
            versions,
            signing: Signing::IfRequired,
            credentials: Credentials::User {
                user: USER,
                domain: "Dom",
                password: PASSWORD,
            },
        }
    }
}

fn encode<C: Command>(command: &C, session: u64) -> Vec<u8> {
    let mut bytes = vec![0; HEADER_LEN + command.len()];
    let mut w = Writer::new(&mut bytes);
    let header = Header {
        session_id: session,
        ..Header::request(C::CODE)
    };
    header.emit(&mut w).unwrap();
    command.emit(&mut w).unwrap();
    assert_eq!(w.room(), 0);
    bytes
}

/// Which reply an attacker changes, and how.
type Tamper<'t> = &'t dyn Fn(usize, &mut Vec<u8>);

fn negotiate(
    server: &mut Server,
    client: &Client<'_>,
    tamper: Tamper<'_>,
) -> Result<Negotiated, Refused> {
    let host = Host::new();
    let offer = Offer {
        versions: Versions::parse(client.versions).unwrap(),
        guid: [3; 16],
        signing: client.signing,
        host: "files.example",
    };
    let mut negotiation = Negotiation::new(&host, offer);
    let request = encode(&negotiation.command(), 0);
    negotiation.sent(&host, &request);
    let mut reply = server.negotiate(&request);
    tamper(0, &mut reply);
    negotiation.reply(&host, &Message::parse(&reply)?)
}

fn run(
    server: &mut Server,
    client: &Client<'_>,
    tamper: Tamper<'_>,
) -> Result<(Negotiated, Established), Refused> {
    let host = Host::new();
    let negotiated = negotiate(server, client, tamper)?;
    let logon = Logon {
        credentials: client.credentials,
        host: "files.example",
        previous: 77,
        now: 0x0807_0605_0403_0201,
    };
    let mut blob = [0; MAX_BLOB];
    let (mut setup, mut len) = SessionSetup::start(&negotiated, logon, &mut blob)?;
    for leg in 1.. {
        let request = encode(&setup.command(&blob[..len]), setup.session_id());
        assert_eq!(request[80..88], 77u64.to_le_bytes());
        setup.sent(&host, &request);
        let mut reply = match leg {
            1 => server.first(&request),
            2 => server.second(&request),
            _ => panic!("a third leg"),
        };
        tamper(leg, &mut reply);
        match setup.reply(&host, &Message::parse(&reply)?, &mut blob)? {
            Step::Send(next, n) => (setup, len) = (next, n),
            Step::Done(session) => return Ok((negotiated, session)),
        }
    }
    unreachable!()
}

fn none(_: usize, _: &mut Vec<u8>) {}

const ALL: [(&str, u16); 4] = [
    ("2.1", 0x210),
    ("3.0", 0x300),
    ("3.0.2", 0x302),
    ("3.1.1", 0x311),
];

#[test]
fn every_dialect_and_variant_stands_up_with_the_servers_key() {
    for (name, number) in ALL {
        for versions in [name, "default"] {
            for bits in 0..16 {
                let mut server = Server::new(number);
                server.timestamp = bits & 1 == 0;
                server.key_exchange = bits & 2 == 0;
                server.raw = bits & 4 != 0;
                server.mic = bits & 8 == 0;
                let mut client = Client::new(versions);
                for signing in [Signing::IfRequired, Signing::Required] {
                    client.signing = signing;
                    let mut server = server.clone();
                    let (n, session) = run(&mut server, &client, &none).unwrap();
                    assert_eq!(n.dialect.number(), number);
                    assert_eq!(session.session_id, SESSION);
                    assert_eq!(session.sign_all, signing == Signing::Required);
                    assert!(!session.guest && !session.anonymous);
                    let mut probe = server.reply(13, 0, SESSION, b"\x04\0\0\0");
                    server.sign(&mut probe);
                    let key = session.key.unwrap();
                    assert!(key.verify(&Host::new(), &Message::parse(&probe).unwrap()));
                }
            }
        }
    }
}

#[test]
fn server_may_require_signing() {
    let mut server = Server::new(0x302);
    server.security_mode = 3;
    assert!(
        run(&mut server, &Client::new("3"), &none)
            .unwrap()
            .1
            .sign_all
    );
}

#[test]
fn wrong_password_is_the_servers_answer() {
    for (name, number) in ALL {
        let mut server = Server::new(number);
        server.nt_hash = "00112233445566778899aabbccddeeff".to_owned();
        let error = run(&mut server, &Client::new(name), &none).unwrap_err();
        assert_eq!(error, Refused::Status(NtStatus::LOGON_FAILURE));
        assert_eq!(error.errno(), 13);
    }
    let mut server = Server::new(0x311);
    server.final_status = NtStatus::ACCESS_DENIED.0;
    let error = run(&mut server, &Client::new("3"), &none).unwrap_err();
    assert_eq!(error, Refused::Denied);
}

#[test]
fn guests_and_nobody() {
    for (name, number) in ALL {
        let mut server = Server::new(number);
        server.session_flags = 1;
        let mut client = Client::new(name);
        let (_, session) = run(&mut server.clone(), &client, &none).unwrap();
        assert!(session.guest && session.key.is_none() && !session.sign_all);
        client.signing = Signing::Required;
        let error = run(&mut server.clone(), &client, &none).unwrap_err();
        assert_eq!(error, Refused::GuestNotWanted);
        // A user never becomes nobody.
        server.session_flags = 2;
        client.signing = Signing::IfRequired;
        let error = run(&mut server.clone(), &client, &none).unwrap_err();
        assert_eq!(error, Refused::GuestNotWanted);
        client.credentials = Credentials::Anonymous;
        let (_, session) = run(&mut server.clone(), &client, &none).unwrap();
        assert!(session.anonymous && session.key.is_none());
        client.signing = Signing::Required;
        for credentials in [Credentials::Anonymous, Credentials::Guest] {
            client.credentials = credentials;
            let error = run(&mut server.clone(), &client, &none).unwrap_err();
            assert_eq!(error, Refused::SigningImpossible);
        }
    }
}

#[test]
fn sealing_is_refused_by_name() {
    for (name, number) in ALL {
        let mut server = Server::new(number);
        server.session_flags = 4;
        let error = run(&mut server, &Client::new(name), &none).unwrap_err();
        assert_eq!(error, Refused::Encryption);
        assert!(error.to_string().contains("encryption"));
    }
}

#[test]
fn unsigned_end_is_refused_where_signing_is_due() {
    for (name, number) in ALL {
        let mut server = Server::new(number);
        server.signs = false;
        let mut client = Client::new(name);
        let got = run(&mut server.clone(), &client, &none).map(|_| ());
        if number == 0x311 {
            assert_eq!(got, Err(Refused::Signature));
        } else {
            assert_eq!(got, Ok(()));
        }
        client.signing = Signing::Required;
        let got = run(&mut server, &client, &none).map(|_| ());
        assert_eq!(got, Err(Refused::Signature));
    }
}

#[test]
fn dialects_and_sizes_not_asked_for() {
    let got = |server: &Server, versions| {
        let client = Client::new(versions);
        negotiate(&mut server.clone(), &client, &none).map(|n| (n.max_read, n.multi_credit()))
    };
    assert_eq!(
        got(&Server::new(0x300), "3.1.1"),
        Err(Refused::Dialect(0x300))
    );
    assert_eq!(got(&Server::new(0x210), "3"), Err(Refused::Dialect(0x210)));
    assert_eq!(
        got(&Server::new(0x202), "default"),
        Err(Refused::Dialect(0x202))
    );
    assert_eq!(
        got(&Server::new(0x2ff), "default"),
        Err(Refused::Dialect(0x2ff))
    );
    let mut server = Server::new(0x302);
    server.sizes = 4096;
    assert_eq!(got(&server, "3"), Err(Refused::Sizes));
    server.sizes = u32::MAX;
    assert_eq!(got(&server, "3"), Ok((8 << 20, true)));
    server.capabilities = 1;
    assert_eq!(got(&server, "3"), Ok((64 << 10, false)));
}

#[test]
fn contexts_choose_only_what_was_offered() {
    let good = preauth_context();
    let sha256 = context(1, &hex("0100 0000 0200"));
    let signing = |n: u8| context(8, &[1, 0, n, 0]);
    for (contexts, want) in [
        ([good.clone(), signing(1)], Ok(())),
        ([signing(1), good.clone()], Ok(())),
        ([good.clone(), context(99, &[1, 2, 3])], Ok(())),
        ([good.clone(), signing(0)], Err(Refused::Contexts)),
        ([good.clone(), signing(2)], Err(Refused::Contexts)),
        (
            [good.clone(), context(2, &hex("0100 0200"))],
            Err(Refused::Contexts),
        ),
        ([good.clone(), good.clone()], Err(Refused::Malformed)),
        ([signing(1), signing(1)], Err(Refused::Malformed)),
        ([sha256, signing(1)], Err(Refused::Malformed)),
        ([signing(1), context(99, &[])], Err(Refused::Malformed)),
    ] {
        let mut server = Server::new(0x311);
        server.contexts = contexts.concat();
        let got = negotiate(&mut server, &Client::new("3.1.1"), &none);
        assert_eq!(got.map(|_| ()), want);
    }
}

#[test]
fn negotiation_is_validated_where_it_could_have_been_lowered() {
    for (versions, number, want) in [
        ("default", 0x210, true),
        ("default", 0x300, true),
        ("3", 0x302, true),
        ("3.0", 0x300, true),
        ("2.1", 0x210, false),
        ("default", 0x311, false),
    ] {
        let n = negotiate(&mut Server::new(number), &Client::new(versions), &none).unwrap();
        assert_eq!(n.validate.is_some(), want, "{versions} {number:#x}");
        let Some(check) = n.validate else { continue };
        let mut input = [0; ValidateNegotiate::MAX_LEN];
        let len = check.emit(&mut input).unwrap();
        let offered = Versions::parse(versions).unwrap();
        assert_eq!(len, 24 + 2 * offered.len());
        assert_eq!(input[4..20], [3; 16]);
        let mut output = 7u32.to_le_bytes().to_vec();
        output.extend(GUID);
        output.extend([1, 0]);
        output.extend(number.to_le_bytes());
        assert_eq!(check.check(&output), Ok(()));
        for at in 0..24 {
            let mut bad = output.clone();
            bad[at] ^= 4;
            assert_eq!(check.check(&bad), Err(Refused::Downgrade));
        }
        assert_eq!(check.check(&output[..23]), Err(Refused::Malformed));
        assert_eq!(check.check_failure(NtStatus::FILE_CLOSED), Ok(()));
        let denied = NtStatus::ACCESS_DENIED;
        assert_eq!(check.check_failure(denied), Err(Refused::Status(denied)));
    }
}

#[test]
fn only_legal_replies_move_on() {
    let client = Client::new("3.1.1");
    let status = |n: u32| {
        move |leg: usize, m: &mut Vec<u8>| {
            if leg == 1 {
                m[8..12].copy_from_slice(&n.to_le_bytes());
            }
        }
    };
    let got = |tamper: Tamper<'_>| run(&mut Server::new(0x311), &client, tamper).map(|_| ());
    // Success without a challenge, an interim reply, another status.
    assert_eq!(got(&status(0)), Err(Refused::Malformed));
    assert_eq!(got(&status(0x103)), Err(Refused::Malformed));
    let busy = NtStatus::INSUFFICIENT_RESOURCES;
    assert_eq!(got(&status(busy.0)), Err(Refused::Status(busy)));
    // More processing after all was said, another session, another command, a request.
    for (at, value) in [(8, 0x16), (40, 1), (12, 2), (16, 0)] {
        let tamper = move |leg: usize, m: &mut Vec<u8>| {
            if leg == 2 {
                m[at] = value;
                if at == 8 {
                    m[11] = 0xc0;
                }
            }
        };
        assert_eq!(got(&tamper), Err(Refused::Malformed), "{at}");
    }
    let not_supported = |leg: usize, m: &mut Vec<u8>| {
        if leg == 0 {
            m[8..12].copy_from_slice(&NtStatus::NOT_SUPPORTED.0.to_le_bytes());
        }
    };
    assert_eq!(got(&not_supported), Err(Refused::NoDialect));
}

/// The published hashes of the Windows handshake, message by message.
#[test]
fn preauth_hash_of_windows() {
    let v = Vectors::read(include_str!("../../vectors/smb311_session.txt"));
    let host = Host::new();
    let mut hash = PreauthHash::new();
    for (message, want) in [
        ("negotiate_request", "hash1"),
        ("negotiate_reply", "hash2"),
        ("setup_request1", "hash3"),
        ("setup_reply1", "hash4"),
        ("setup_request2", "hash5"),
    ] {
        hash.update(&host, &v[message]);
        assert_eq!(hash.bytes()[..], v[want], "{message}");
    }
    let mut other = PreauthHash::default();
    other.update(&host, &v.array::<64>("hash1"));
    assert_ne!(other, hash);
}

#[test]
fn reasons_are_words() {
    for error in [
        Refused::NoDialect,
        Refused::Dialect(0x2ff),
        Refused::Contexts,
        Refused::Sizes,
        Refused::NoMechanism,
        Refused::WeakNtlm,
        Refused::TooLong,
        Refused::GuestNotWanted,
        Refused::SigningImpossible,
        Refused::Signature,
        Refused::Encryption,
        Refused::Denied,
        Refused::Downgrade,
        Refused::Malformed,
        Refused::NoSpace,
        Refused::Status(NtStatus::LOGON_FAILURE),
        Refused::Status(NtStatus(0xc000_9999)),
    ] {
        assert!(error.to_string().len() > 20, "{error:?}");
        assert!((1..134).contains(&error.errno()));
    }
}

/// Which bytes to change, and where to cut.
fn damage() -> impl Strategy<Value = (Vec<(usize, u8)>, Option<usize>)> {
    let changes = proptest::collection::vec((0usize..700, 1u8..), 0..4);
    (changes, proptest::option::weighted(0.3, 0usize..700))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    /// Whatever happens to one reply, nothing panics, and in 3.1.1 no session with a key comes of
    /// it unless the reply was left as it was.
    #[test]
    fn one_damaged_reply(
        which in 0usize..3,
        dialect in 0usize..4,
        (changes, cut) in damage(),
    ) {
        let (name, number) = ALL[dialect];
        let changed = std::cell::Cell::new(false);
        let tamper = |leg: usize, m: &mut Vec<u8>| {
            if leg == which {
                let before = m.clone();
                for (at, value) in &changes {
                    if let Some(byte) = m.get_mut(*at) {
                        *byte ^= value;
                    }
                }
                m.truncate(cut.unwrap_or(m.len()));
                changed.set(*m != before);
            }
        };
        let got = run(&mut Server::new(number), &Client::new(name), &tamper);
        if let Ok((_, session)) = got {
            let whole = !changed.get() || session.key.is_none();
            prop_assert!(whole || number != 0x311);
        } else {
            prop_assert!(changed.get());
        }
    }
}
