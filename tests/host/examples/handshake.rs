// SPDX-License-Identifier: GPL-2.0
//! Logs on to a real server and connects a share, with the same code that runs in the kernel.
//!
//! `handshake ADDRESS SHARE VERS SIGN USER PASSWORD`, where SIGN is `sign` or `auto`, and USER
//! `-` is nobody, `guest` the guest. Prints one line; exits with 1 if anything was refused.

#[path = "../tests/common/crypto.rs"]
mod crypto;

use std::error::Error;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use crypto::Host;
use rsdfs_proto::codec::Writer;
use rsdfs_proto::crypt::SigningKey;
use rsdfs_proto::dialect::Versions;
use rsdfs_proto::frame;
use rsdfs_proto::handshake::{
    Credentials, Established, Logon, Negotiated, Negotiation, Offer, SessionSetup, Signing, Step,
    ValidateNegotiate, MAX_BLOB,
};
use rsdfs_proto::smb2::echo::Echo;
use rsdfs_proto::smb2::ioctl::Ioctl;
use rsdfs_proto::smb2::logoff::Logoff;
use rsdfs_proto::smb2::tree_connect::TreeConnect;
use rsdfs_proto::smb2::{Command, Header, Message, HEADER_LEN};
use rsdfs_proto::status::NtStatus;

type Result<T> = std::result::Result<T, Box<dyn Error>>;

struct Wire {
    stream: TcpStream,
    id: u64,
    session: u64,
    tree: u32,
}

impl Wire {
    fn message<C: Command>(&mut self, command: &C) -> Vec<u8> {
        let mut bytes = vec![0; HEADER_LEN + command.len()];
        let header = Header {
            credit_charge: u16::from(self.id > 0),
            credits: 31,
            message_id: self.id,
            session_id: self.session,
            tree_id: self.tree,
            ..Header::request(C::CODE)
        };
        let mut w = Writer::new(&mut bytes);
        header.emit(&mut w).expect("exact");
        command.emit(&mut w).expect("exact");
        self.id += 1;
        bytes
    }

    fn call(&mut self, message: &[u8]) -> Result<Vec<u8>> {
        let prefix = frame::prefix(message.len()).expect("short");
        self.stream.write_all(&[&prefix[..], message].concat())?;
        loop {
            let mut prefix = [0; 4];
            self.stream.read_exact(&mut prefix)?;
            let mut frame = vec![0; frame::length(prefix).expect("a frame")];
            self.stream.read_exact(&mut frame)?;
            if !Message::parse(&frame)
                .expect("SMB2")
                .header
                .status
                .is_pending()
            {
                return Ok(frame);
            }
        }
    }

    /// Sends a request, signed if there is a key, and checks the signature of the reply.
    fn signed<C: Command>(&mut self, key: Option<&SigningKey>, command: &C) -> Result<Vec<u8>> {
        let host = Host::new();
        let mut bytes = self.message(command);
        if let Some(key) = key {
            key.sign_whole(&host, &mut bytes);
        }
        let reply = self.call(&bytes)?;
        let message = Message::parse(&reply).expect("SMB2");
        if key.is_some_and(|key| !key.verify(&host, &message)) {
            return Err(format!("{:?}: the reply's signature is wrong", C::CODE).into());
        }
        if message.header.status != NtStatus::SUCCESS {
            return Err(format!("{:?}: {}", C::CODE, message.header.status).into());
        }
        Ok(reply)
    }
}

fn negotiate(wire: &mut Wire, host: &Host, offer: Offer<'_>) -> Result<Negotiated> {
    let mut negotiation = Negotiation::new(host, offer);
    let request = wire.message(&negotiation.command());
    let reply = wire.call(&request)?;
    negotiation.sent(host, &request);
    let message = Message::parse(&reply).expect("SMB2");
    Ok(negotiation
        .reply(host, &message)
        .map_err(|e| e.to_string())?)
}

fn log_on(wire: &mut Wire, host: &Host, n: &Negotiated, logon: Logon<'_>) -> Result<Established> {
    let mut blob = [0; MAX_BLOB];
    let (mut setup, mut len) =
        SessionSetup::start(n, logon, &mut blob).map_err(|e| e.to_string())?;
    loop {
        wire.session = setup.session_id();
        let request = wire.message(&setup.command(&blob[..len]));
        let reply = wire.call(&request)?;
        setup.sent(host, &request);
        let message = Message::parse(&reply).expect("SMB2");
        match setup.reply(host, &message, &mut blob) {
            Ok(Step::Send(next, n)) => (setup, len) = (next, n),
            Ok(Step::Done(session)) => return Ok(session),
            Err(e) => return Err(format!("{e} (errno {})", e.errno()).into()),
        }
    }
}

fn connect(wire: &mut Wire, key: Option<&SigningKey>, path: &str) -> Result<()> {
    let path: Vec<u8> = path.encode_utf16().flat_map(u16::to_le_bytes).collect();
    let reply = wire.signed(key, &TreeConnect { path: &path })?;
    wire.tree = Message::parse(&reply).expect("SMB2").header.tree_id;
    Ok(())
}

fn validate(wire: &mut Wire, key: &SigningKey, check: &ValidateNegotiate) -> Result<()> {
    let mut input = [0; ValidateNegotiate::MAX_LEN];
    let len = check.emit(&mut input).expect("fits");
    let reply = wire.signed(Some(key), &Ioctl::validate_negotiate(&input[..len]))?;
    let reply = Ioctl::parse(&Message::parse(&reply).expect("SMB2")).expect("an output");
    Ok(check.check(reply.output).map_err(|e| e.to_string())?)
}

fn run(args: &[String]) -> Result<String> {
    let [address, share, vers, sign, user, password] = args else {
        return Err("usage: handshake ADDRESS SHARE VERS SIGN USER PASSWORD".into());
    };
    let since = SystemTime::now().duration_since(UNIX_EPOCH)?;
    let host = Host::seeded(since.as_nanos() as u64);
    let stream = TcpStream::connect(&address[..])?;
    stream.set_read_timeout(Some(Duration::from_secs(10)))?;
    let mut wire = Wire {
        stream,
        id: 0,
        session: 0,
        tree: 0,
    };
    let name = address.split(':').next().unwrap_or("server");
    let offer = Offer {
        versions: Versions::parse(vers).map_err(|e| e.reason())?,
        guid: [0x42; 16],
        signing: match &sign[..] {
            "sign" => Signing::Required,
            _ => Signing::IfRequired,
        },
        host: name,
    };
    let negotiated = negotiate(&mut wire, &host, offer)?;
    let logon = Logon {
        credentials: match &user[..] {
            "-" => Credentials::Anonymous,
            "guest" => Credentials::Guest,
            user => Credentials::User {
                user,
                domain: "",
                password,
            },
        },
        host: name,
        previous: 0,
        now: 116_444_736_000_000_000 + since.as_nanos() as u64 / 100,
    };
    let session = log_on(&mut wire, &host, &negotiated, logon)?;
    wire.session = session.session_id;
    let key = session.key.as_ref();
    let first = key.filter(|_| session.sign_all || negotiated.dialect.preauth());
    connect(&mut wire, first, &format!("\\\\{name}\\{share}"))?;
    if let (Some(key), Some(check)) = (key, &negotiated.validate) {
        validate(&mut wire, key, check)?;
    }
    let key = key.filter(|_| session.sign_all);
    wire.signed(key, &Echo)?;
    wire.signed(key, &Logoff)?;
    Ok(format!(
        "dialect {} read {} sign_all {} key {} guest {} anonymous {} validated {}",
        negotiated.dialect.name(),
        negotiated.max_read,
        session.sign_all,
        session.key.is_some(),
        session.guest,
        session.anonymous,
        session.key.is_some() && negotiated.validate.is_some(),
    ))
}

fn main() {
    let args: Vec<String> = std::env::args().skip(1).collect();
    match run(&args) {
        Ok(line) => println!("ok: {line}"),
        Err(error) => {
            println!("refused: {error}");
            std::process::exit(1);
        }
    }
}
