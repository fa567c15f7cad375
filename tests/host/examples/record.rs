// SPDX-License-Identifier: GPL-2.0
//! Sends one of every request to a real server and prints requests and replies as test vectors.
//!
//! `record ADDRESS SHARE VERS USER PASSWORD`: the share is a writable one whose server is also a
//! DFS root of the name `dfstest` with a link `link1`. Every answer must be the one expected, so
//! this is a check of the encoders too. `tests/vectors/samba*.txt` were made with it.

#[path = "../tests/common/crypto.rs"]
mod crypto;

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::time::Duration;

use crypto::Host;
use rsdfs_proto::codec::Writer;
use rsdfs_proto::dialect::{Dialect, Versions};
use rsdfs_proto::frame;
use rsdfs_proto::handshake::{
    Credentials, Logon, Negotiation, Offer, SessionSetup, Signing, Step, MAX_BLOB,
};
use rsdfs_proto::smb2::cancel::Cancel;
use rsdfs_proto::smb2::change_notify::{filter, ChangeNotify};
use rsdfs_proto::smb2::close::Close;
use rsdfs_proto::smb2::compound::{self, Part, Span};
use rsdfs_proto::smb2::context::{lease_state, Ask, Lease, LeaseV2};
use rsdfs_proto::smb2::create::{access, oplock, options, share, Create, Disposition};
use rsdfs_proto::smb2::echo::Echo;
use rsdfs_proto::smb2::flush::Flush;
use rsdfs_proto::smb2::info::{self, attributes, Basic, Times};
use rsdfs_proto::smb2::ioctl::{fsctl, Ioctl};
use rsdfs_proto::smb2::lock::{self, Lock, Range};
use rsdfs_proto::smb2::logoff::Logoff;
use rsdfs_proto::smb2::oplock_break::{Break, LeaseAck};
use rsdfs_proto::smb2::query_directory::{Form, QueryDirectory, EVERYTHING};
use rsdfs_proto::smb2::query_info::{security, QueryInfo};
use rsdfs_proto::smb2::read::Read;
use rsdfs_proto::smb2::set_info::{Set, SetInfo};
use rsdfs_proto::smb2::tree_connect::TreeConnect;
use rsdfs_proto::smb2::tree_disconnect::TreeDisconnect;
use rsdfs_proto::smb2::write::Write;
use rsdfs_proto::smb2::{Command, FileId, Header, Message, HEADER_LEN};
use rsdfs_proto::status::NtStatus;

/// One connection that prints what it says and hears.
struct Wire {
    stream: TcpStream,
    id: u64,
    session: u64,
    tree: u32,
    quiet: bool,
}

impl Wire {
    fn connect(address: &str, quiet: bool) -> Self {
        let stream = TcpStream::connect(address).expect("connect");
        let limit = Some(Duration::from_secs(5));
        stream.set_read_timeout(limit).expect("timeout");
        Self {
            stream,
            id: 0,
            session: 0,
            tree: 0,
            quiet,
        }
    }

    fn header<C: Command>(&mut self, command: &C) -> Header {
        let charge = command.payload().div_ceil(65536).max(1) as u64;
        let header = Header {
            credit_charge: if self.id == 0 { 0 } else { charge as u16 },
            credits: 64,
            message_id: self.id,
            session_id: self.session,
            tree_id: self.tree,
            ..Header::request(C::CODE)
        };
        self.id += charge;
        header
    }

    fn message<C: Command>(&mut self, command: &C, data: &[u8]) -> Vec<u8> {
        let mut bytes = vec![0; HEADER_LEN + command.len()];
        let mut w = Writer::new(&mut bytes);
        self.header(command).emit(&mut w).expect("exact");
        command.emit(&mut w).expect("exact");
        assert_eq!(w.room(), 0);
        bytes.extend(data);
        bytes
    }

    fn print(&self, name: &str, kind: &str, bytes: &[u8]) {
        if self.quiet {
            return;
        }
        print!("{name}_{kind}");
        for line in bytes.chunks(48) {
            let text: String = line
                .iter()
                .map(|b| format!("{b:02x}"))
                .collect::<Vec<_>>()
                .concat();
            print!(" -\n {text}");
        }
        println!();
    }

    fn send(&mut self, name: &str, message: &[u8]) {
        self.print(name, "request", message);
        let prefix = frame::prefix(message.len()).expect("short");
        self.stream
            .write_all(&[&prefix[..], message].concat())
            .expect("send");
    }

    fn receive(&mut self, name: &str, kind: &str) -> Vec<u8> {
        let mut prefix = [0; 4];
        self.stream.read_exact(&mut prefix).expect("a prefix");
        let mut frame = vec![0; frame::length(prefix).expect("a frame")];
        self.stream.read_exact(&mut frame).expect("a frame");
        self.print(name, kind, &frame);
        frame
    }

    fn exchange(&mut self, name: &str, message: &[u8]) -> Vec<u8> {
        self.send(name, message);
        let reply = self.receive(name, "reply");
        if Message::parse(&reply)
            .expect("SMB2")
            .header
            .status
            .is_pending()
        {
            return self.receive(name, "final");
        }
        reply
    }

    fn expect<C: Command>(&mut self, name: &str, command: &C, status: NtStatus) -> Vec<u8> {
        self.expect_data(name, command, &[], status)
    }

    fn expect_data<C: Command>(
        &mut self,
        name: &str,
        command: &C,
        data: &[u8],
        status: NtStatus,
    ) -> Vec<u8> {
        let message = self.message(command, data);
        let reply = self.exchange(name, &message);
        let header = Message::parse(&reply).expect("SMB2").header;
        assert!(header.answers(C::CODE), "{name}");
        assert_eq!(header.status, status, "{name}: {}", header.status);
        reply
    }

    fn ok<C: Command>(&mut self, name: &str, command: &C) -> Vec<u8> {
        let reply = self.expect(name, command, NtStatus::SUCCESS);
        assert!(
            C::parse(&Message::parse(&reply).expect("SMB2")).is_ok(),
            "{name}"
        );
        reply
    }

    fn log_on(&mut self, host: &Host, args: &Args) -> &'static dyn Dialect {
        let offer = Offer {
            versions: Versions::parse(&args.versions).expect("a version"),
            guid: [0x42; 16],
            signing: Signing::IfRequired,
            host: "server",
        };
        let mut negotiation = Negotiation::new(host, offer);
        let request = self.message(&negotiation.command(), &[]);
        let reply = self.exchange("negotiate", &request);
        negotiation.sent(host, &request);
        let message = Message::parse(&reply).expect("SMB2");
        let negotiated = negotiation.reply(host, &message).expect("negotiated");
        let logon = Logon {
            credentials: Credentials::User {
                user: &args.user,
                domain: "",
                password: &args.password,
            },
            host: "server",
            previous: 0,
            now: 134_000_000_000_000_000,
        };
        let mut blob = [0; MAX_BLOB];
        let (mut setup, mut len) =
            SessionSetup::start(&negotiated, logon, &mut blob).expect("a leg");
        let mut leg = 1;
        let session = loop {
            self.session = setup.session_id();
            let request = self.message(&setup.command(&blob[..len]), &[]);
            let reply = self.exchange(&format!("setup{leg}"), &request);
            leg += 1;
            setup.sent(host, &request);
            let message = Message::parse(&reply).expect("SMB2");
            match setup.reply(host, &message, &mut blob).expect("a step") {
                Step::Send(next, n) => (setup, len) = (next, n),
                Step::Done(session) => break session,
            }
        };
        self.session = session.session_id;
        let path = utf16(&format!("\\\\{}\\{}", args.server(), args.share));
        let mut request = self.message(&TreeConnect { path: &path }, &[]);
        if let Some(key) = session.key.filter(|_| negotiated.dialect.preauth()) {
            key.sign_whole(host, &mut request);
        }
        let reply = self.exchange("tree_connect", &request);
        let header = Message::parse(&reply).expect("SMB2").header;
        assert_eq!(header.status, NtStatus::SUCCESS);
        self.tree = header.tree_id;
        negotiated.dialect
    }
}

struct Args {
    address: String,
    share: String,
    versions: String,
    user: String,
    password: String,
}

impl Args {
    fn server(&self) -> &str {
        self.address.split(':').next().unwrap_or_default()
    }
}

fn utf16(text: &str) -> Vec<u8> {
    text.encode_utf16().flat_map(u16::to_le_bytes).collect()
}

fn file_id(reply: &[u8]) -> FileId {
    let message = Message::parse(reply).expect("SMB2");
    Create::parse(&message).expect("a reply").file_id
}

fn create<'a>(name: &'a [u8], contexts: &'a [Ask<'a>]) -> Create<'a> {
    Create {
        oplock: oplock::NONE,
        access: access::GENERIC_READ | access::GENERIC_WRITE | access::DELETE,
        attributes: attributes::NORMAL,
        share: share::ALL,
        disposition: Disposition::OpenIf,
        options: options::NON_DIRECTORY_FILE,
        name,
        contexts,
    }
}

fn open_directory(name: &[u8]) -> Create<'_> {
    Create {
        options: options::DIRECTORY_FILE,
        access: access::GENERIC_READ,
        ..create(name, &[])
    }
}

fn opens(wire: &mut Wire, v2: bool) -> FileId {
    let root = Create {
        disposition: Disposition::Open,
        ..open_directory(&[])
    };
    let root = file_id(&wire.ok("create_root", &root));
    wire.ok(
        "close_root",
        &Close {
            file_id: root,
            query: false,
        },
    );

    let name = utf16("wire-ä.txt");
    let lease = Lease {
        key: *b"a lease for wire",
        state: lease_state::READ | lease_state::HANDLE | lease_state::WRITE,
        flags: 0,
        v2: v2.then_some(LeaseV2 {
            parent: [0; 16],
            epoch: 7,
        }),
    };
    let durable = match v2 {
        true => Ask::Durable2 {
            timeout: 60_000,
            flags: 0,
            guid: *b"guid of an open.",
        },
        false => Ask::Durable,
    };
    let asks = [
        Ask::AllocationSize(4096),
        Ask::MaximalAccess(None),
        Ask::FileId,
        durable,
        Ask::Lease(lease),
    ];
    let open = Create {
        oplock: oplock::LEASE,
        ..create(&name, &asks)
    };
    file_id(&wire.ok("create", &open))
}

fn data(wire: &mut Wire, file_id: FileId) {
    let text = b"The quick brown fox jumps over the lazy dog.\n";
    let write = Write {
        data_len: text.len() as u32,
        offset: 5,
        file_id,
        flags: 0,
    };
    let reply = wire.expect_data("write", &write, text, NtStatus::SUCCESS);
    let count = Write::parse(&Message::parse(&reply).expect("SMB2"));
    assert_eq!(count, Ok(text.len() as u32));
    wire.ok("flush", &Flush { file_id });
    let read = Read {
        flags: 0,
        len: 100,
        offset: 0,
        file_id,
        minimum: 0,
    };
    let reply = wire.ok("read", &read);
    let data = Read::parse(&Message::parse(&reply).expect("SMB2")).expect("data");
    assert_eq!(data, [&[0; 5][..], text].concat());
    let end = Read {
        offset: 1000,
        minimum: 1,
        ..read
    };
    wire.expect("read_end", &end, NtStatus::END_OF_FILE);
    let range = Range {
        offset: 10,
        len: 20,
        flags: lock::EXCLUSIVE | lock::FAIL_IMMEDIATELY,
    };
    let unlock = Range {
        flags: lock::UNLOCK,
        ..range
    };
    for (name, range, status) in [
        ("lock", range, NtStatus::SUCCESS),
        ("unlock", unlock, NtStatus::SUCCESS),
        ("unlock_again", unlock, NtStatus::RANGE_NOT_LOCKED),
    ] {
        let lock = Lock {
            sequence: 0,
            file_id,
            ranges: &[range],
        };
        wire.expect(name, &lock, status);
    }
}

fn infos(wire: &mut Wire, file_id: FileId) {
    wire.ok("info_basic", &QueryInfo::of::<info::Basic>(file_id));
    wire.ok("info_standard", &QueryInfo::of::<info::Standard>(file_id));
    wire.ok("info_internal", &QueryInfo::of::<info::Internal>(file_id));
    wire.ok(
        "info_network_open",
        &QueryInfo::of::<info::NetworkOpen>(file_id),
    );
    wire.ok(
        "info_attribute_tag",
        &QueryInfo::of::<info::AttributeTag>(file_id),
    );
    wire.ok("info_all", &QueryInfo::of::<info::All>(file_id));
    let cut = QueryInfo {
        max_output: 104,
        ..QueryInfo::of::<info::All>(file_id)
    };
    wire.expect("info_all_cut", &cut, NtStatus::BUFFER_OVERFLOW);
    let short = QueryInfo {
        max_output: 8,
        ..QueryInfo::of::<info::Basic>(file_id)
    };
    wire.expect("info_short", &short, NtStatus::INFO_LENGTH_MISMATCH);
    let parts = security::OWNER | security::GROUP | security::DACL;
    wire.ok("security", &QueryInfo::security(file_id, parts, 1024));
    let short = QueryInfo::security(file_id, parts, 8);
    wire.expect("security_short", &short, NtStatus::BUFFER_TOO_SMALL);
    wire.ok("fs_volume", &QueryInfo::of::<info::FsVolume>(file_id));
    wire.ok("fs_size", &QueryInfo::of::<info::FsSize>(file_id));
    wire.ok("fs_full_size", &QueryInfo::of::<info::FsFullSize>(file_id));
    wire.ok("fs_attribute", &QueryInfo::of::<info::FsAttribute>(file_id));
    wire.ok(
        "fs_sector_size",
        &QueryInfo::of::<info::FsSectorSize>(file_id),
    );

    wire.ok(
        "set_end_of_file",
        &SetInfo {
            file_id,
            set: Set::EndOfFile(12345),
        },
    );
    wire.ok(
        "set_allocation",
        &SetInfo {
            file_id,
            set: Set::Allocation(1 << 20),
        },
    );
    let basic = Basic {
        times: Times {
            write: 133_000_000_000_000_000,
            ..Times::default()
        },
        attributes: attributes::ARCHIVE,
    };
    wire.ok(
        "set_basic",
        &SetInfo {
            file_id,
            set: Set::Basic(basic),
        },
    );
    for (step, name) in [("rename", "wire-renamed.txt"), ("rename_short", "w")] {
        let name = utf16(name);
        let rename = Set::Rename {
            replace: true,
            name: &name,
        };
        wire.ok(
            step,
            &SetInfo {
                file_id,
                set: rename,
            },
        );
    }
}

fn directories(wire: &mut Wire) {
    let name = utf16("wire-dir");
    let directory = file_id(&wire.ok("mkdir", &open_directory(&name)));
    for file in ["wire-dir\\a", "wire-dir\\bb.txt", "wire-dir\\ccc"] {
        let name = utf16(file);
        wire.quiet = true;
        let file_id = file_id(&wire.ok("create", &create(&name, &[])));
        wire.ok(
            "close",
            &Close {
                file_id,
                query: false,
            },
        );
        wire.quiet = false;
    }
    let list = |form, flags| QueryDirectory {
        form,
        flags,
        index: 0,
        file_id: directory,
        pattern: EVERYTHING,
        max_output: 65536,
    };
    wire.ok("list_id_full", &list(Form::IdFull, 0));
    wire.expect("list_end", &list(Form::IdFull, 0), NtStatus::NO_MORE_FILES);
    wire.ok("list_id_both", &list(Form::IdBoth, 1));
    let notify = ChangeNotify {
        tree: false,
        max_output: 1024,
        file_id: directory,
        filter: filter::FILE_NAME | filter::DIR_NAME,
    };
    let message = wire.message(&notify, &[]);
    wire.send("notify", &message);
    let interim = wire.receive("notify", "interim");
    let interim = Message::parse(&interim).expect("SMB2").header;
    assert!(interim.status.is_pending());
    let mut header = Header {
        message_id: interim.message_id,
        session_id: wire.session,
        ..Header::request(Cancel::CODE)
    };
    header.set_async_id(interim.async_id().expect("async"));
    let mut cancel = [0; HEADER_LEN + 4];
    let mut w = Writer::new(&mut cancel);
    header.emit(&mut w).expect("exact");
    Cancel.emit(&mut w).expect("exact");
    wire.send("cancel", &cancel);
    let cancelled = wire.receive("cancel", "final");
    let cancelled = Message::parse(&cancelled).expect("SMB2").header;
    assert_eq!(cancelled.status, NtStatus::CANCELLED);
    // Once more, and remove everything: the first removal completes it.
    let message = wire.message(&notify, &[]);
    wire.send("notify2", &message);
    wire.receive("notify2", "interim");
    for (i, file) in ["wire-dir\\a", "wire-dir\\bb.txt", "wire-dir\\ccc"]
        .iter()
        .enumerate()
    {
        let name = utf16(file);
        wire.quiet = true;
        compound_remove(wire, &name);
        wire.quiet = false;
        if i == 0 {
            wire.receive("notify2", "final");
        }
    }
    let remove = SetInfo {
        file_id: directory,
        set: Set::Disposition(true),
    };
    // The handle was opened for reading only.
    wire.expect("remove_denied", &remove, NtStatus::ACCESS_DENIED);
    wire.ok(
        "close_directory",
        &Close {
            file_id: directory,
            query: true,
        },
    );
}

/// Create, delete and close in one frame.
fn compound_remove(wire: &mut Wire, name: &[u8]) {
    let open = Create {
        disposition: Disposition::Open,
        access: access::DELETE,
        options: options::OPEN_REPARSE_POINT,
        ..create(name, &[])
    };
    let remove = SetInfo {
        file_id: FileId::ANY,
        set: Set::Disposition(true),
    };
    let close = Close {
        file_id: FileId::ANY,
        query: false,
    };
    compound(wire, "remove", &open, &remove, &close);
}

fn compound<A: Command, B: Command>(wire: &mut Wire, name: &str, a: &A, b: &B, c: &Close) {
    let parts = [
        Part {
            header: wire.header(a),
            body: a,
        },
        Part {
            header: wire.header(b),
            body: b,
        },
        Part {
            header: wire.header(c),
            body: c,
        },
    ];
    let mut bytes = vec![0; compound::len(&parts)];
    let mut w = Writer::new(&mut bytes);
    compound::emit(&parts, true, &mut w, &mut [Span::default(); 3]).expect("exact");
    assert_eq!(w.room(), 0);
    wire.send(name, &bytes);
    // The server may answer in one frame or in several.
    let mut answers = 0;
    while answers < 3 {
        let frame = wire.receive(name, &format!("reply{}", answers + 1));
        for message in frame::messages(&frame) {
            let header = message.expect("SMB2").header;
            assert_eq!(header.status, NtStatus::SUCCESS, "{name} {answers}");
            answers += 1;
        }
    }
}

fn compounds(wire: &mut Wire) {
    let name = utf16("w");
    let open = Create {
        disposition: Disposition::Open,
        access: access::READ_ATTRIBUTES,
        options: 0,
        ..create(&name, &[])
    };
    let query = QueryInfo::of::<info::All>(FileId::ANY);
    let close = Close {
        file_id: FileId::ANY,
        query: true,
    };
    compound(wire, "stat", &open, &query, &close);
    let missing = utf16("no such file");
    let open = Create {
        name: &missing,
        ..open
    };
    wire.expect("missing", &open, NtStatus::OBJECT_NAME_NOT_FOUND);
}

fn controls(wire: &mut Wire, server: &str, v3: bool) {
    let mut input = 4_u16.to_le_bytes().to_vec();
    input.extend(utf16(&format!("\\{server}\\dfstest\\link1\0")));
    wire.ok("referral", &Ioctl::referral(&input, 8192));
    if v3 {
        let interfaces = Ioctl {
            code: fsctl::QUERY_NETWORK_INTERFACE_INFO,
            file_id: FileId::ANY,
            input: &[],
            max_output: 65536,
        };
        wire.ok("interfaces", &interfaces);
    }
    let unknown = Ioctl {
        code: 0x0014_4444,
        file_id: FileId::ANY,
        input: &[],
        max_output: 16,
    };
    wire.expect("ioctl_unknown", &unknown, NtStatus::FILE_CLOSED);
    wire.ok("echo", &Echo);
}

/// Another connection opens the leased file, and the lease breaks.
fn breaks(wire: &mut Wire, host: &Host, args: &Args) {
    let mut other = Wire::connect(&args.address, true);
    let versions = args.versions.clone();
    other.log_on(
        host,
        &Args {
            address: args.address.clone(),
            share: args.share.clone(),
            versions,
            user: args.user.clone(),
            password: args.password.clone(),
        },
    );
    let name = utf16("w");
    let message = other.message(&create(&name, &[]), &[]);
    other.send("create", &message);
    let notice = wire.receive("lease_break", "notice");
    let notice = Break::parse(&Message::parse(&notice).expect("SMB2")).expect("a break");
    let Break::Lease { key, new, .. } = notice else {
        panic!("{notice:?}")
    };
    wire.ok("lease_ack", &LeaseAck { key, state: new });
    let reply = other.receive("create", "reply");
    let reply = match Message::parse(&reply).expect("SMB2").header.status {
        NtStatus::PENDING => other.receive("create", "reply"),
        _ => reply,
    };
    other.ok(
        "close",
        &Close {
            file_id: file_id(&reply),
            query: false,
        },
    );
    other.ok("logoff", &Logoff);
}

fn main() {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let [address, share, versions, user, password] = &args[..] else {
        eprintln!("usage: record ADDRESS SHARE VERS USER PASSWORD");
        std::process::exit(2);
    };
    let args = Args {
        address: address.clone(),
        share: share.clone(),
        versions: versions.clone(),
        user: user.clone(),
        password: password.clone(),
    };
    let host = Host::seeded(u64::from(std::process::id()));
    let mut wire = Wire::connect(&args.address, false);
    println!("# SPDX-License-Identifier: GPL-2.0");
    println!("# One of every request and its reply, recorded by examples/record.rs.");
    let dialect = wire.log_on(&host, &args);
    let file_id = opens(&mut wire, dialect.lease_v2());
    data(&mut wire, file_id);
    infos(&mut wire, file_id);
    breaks(&mut wire, &host, &args);
    directories(&mut wire);
    compounds(&mut wire);
    controls(&mut wire, args.server(), dialect.derives_keys());
    wire.ok(
        "close",
        &Close {
            file_id,
            query: true,
        },
    );
    wire.quiet = true;
    compound_remove(&mut wire, &utf16("w"));
    compound_remove(&mut wire, &utf16("wire-dir"));
    wire.quiet = false;
    wire.ok("tree_disconnect", &TreeDisconnect);
    wire.ok("logoff", &Logoff);
}
