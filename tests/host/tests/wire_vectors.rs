// SPDX-License-Identifier: GPL-2.0
//! Requests and replies byte for byte: what a real Samba 4.22 took and answered in 3.1.1 and 2.1,
//! and what a real Windows server answered.

#[allow(dead_code)]
#[path = "common/vectors.rs"]
mod vectors;

use rsdfs_proto::codec::Writer;
use rsdfs_proto::dialect::{Versions, SMB21};
use rsdfs_proto::frame;
use rsdfs_proto::smb2::cancel::Cancel;
use rsdfs_proto::smb2::change_notify::{action as change, changes, filter, Change, ChangeNotify};
use rsdfs_proto::smb2::close::Close;
use rsdfs_proto::smb2::compound::{self, Body, Part, Span};
use rsdfs_proto::smb2::context::{lease_state, Answer, Ask, Lease, LeaseV2};
use rsdfs_proto::smb2::create::{access, action, oplock, options, share, Create, Disposition};
use rsdfs_proto::smb2::echo::Echo;
use rsdfs_proto::smb2::error::ErrorReply;
use rsdfs_proto::smb2::flush::Flush;
use rsdfs_proto::smb2::info::{self, attributes, Basic, Queried, Times};
use rsdfs_proto::smb2::ioctl::{fsctl, interfaces, Address, Ioctl};
use rsdfs_proto::smb2::lock::{self, Lock, Range};
use rsdfs_proto::smb2::logoff::Logoff;
use rsdfs_proto::smb2::negotiate::{self, Negotiate};
use rsdfs_proto::smb2::oplock_break::{Break, LeaseAck, ACK_REQUIRED, UNSOLICITED};
use rsdfs_proto::smb2::query_directory::{entries, Form, QueryDirectory, EVERYTHING};
use rsdfs_proto::smb2::query_info::{security, QueryInfo};
use rsdfs_proto::smb2::read::{Read, ReadHead};
use rsdfs_proto::smb2::session_setup::SessionSetup;
use rsdfs_proto::smb2::set_info::{Set, SetInfo};
use rsdfs_proto::smb2::tree_connect::{share_type, TreeConnect};
use rsdfs_proto::smb2::tree_disconnect::TreeDisconnect;
use rsdfs_proto::smb2::write::Write;
use rsdfs_proto::smb2::{Command, FileId, Header, Message, HEADER_LEN};
use rsdfs_proto::status::NtStatus;
use vectors::Vectors;

fn v311() -> Vectors {
    Vectors::read(include_str!("../../vectors/samba_311.txt"))
}

fn v21() -> Vectors {
    Vectors::read(include_str!("../../vectors/samba_21.txt"))
}

fn windows() -> Vectors {
    Vectors::read(include_str!("../../vectors/smb311_session.txt"))
}

fn utf16(text: &str) -> Vec<u8> {
    text.encode_utf16().flat_map(u16::to_le_bytes).collect()
}

fn message(bytes: &[u8]) -> Message<'_> {
    Message::parse(bytes).expect("a message")
}

fn parse<C: Command>(bytes: &[u8]) -> C::Reply<'_> {
    let message = message(bytes);
    assert!(message.header.answers(C::CODE));
    C::parse(&message).expect("a reply")
}

/// The body emits to exactly the recorded bytes, and so does the recorded header.
fn check(v: &Vectors, name: &str, body: &dyn Body) {
    check_data(v, name, body, &[]);
}

fn check_data(v: &Vectors, name: &str, body: &dyn Body, data: &[u8]) {
    let bytes = &v[name];
    let header = message(bytes).header;
    assert_eq!(header.command, body.code().number(), "{name}");
    let mut out = vec![0; HEADER_LEN + body.len()];
    let mut w = Writer::new(&mut out);
    header.emit(&mut w).expect("exact");
    body.emit(&mut w).expect("exact");
    assert_eq!(w.room(), 0, "{name}");
    out.extend(data);
    assert_eq!(&out, bytes, "{name}");
}

fn opened(v: &Vectors, name: &str) -> FileId {
    parse::<Create>(&v[name]).file_id
}

fn basic_create<'a>(name: &'a [u8], contexts: &'a [Ask<'a>]) -> Create<'a> {
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

#[test]
fn negotiate_request() {
    let v = v311();
    let salt: [u8; 32] = v["negotiate_request"][HEADER_LEN + 62..][..32]
        .try_into()
        .expect("32 bytes");
    let netname = utf16("server");
    let request = Negotiate {
        versions: Versions::DEFAULT,
        security_mode: negotiate::SIGNING_ENABLED,
        capabilities: negotiate::capabilities::DFS
            | negotiate::capabilities::LEASING
            | negotiate::capabilities::LARGE_MTU,
        client_guid: [0x42; 16],
        salt,
        ciphers: &[],
        signing: &[negotiate::signing::AES_CMAC],
        netname: &netname,
    };
    check(&v, "negotiate_request", &request);
    let request = Negotiate {
        versions: Versions::only(&SMB21),
        capabilities: 0,
        ..request
    };
    check(&v21(), "negotiate_request", &request);
}

#[test]
fn negotiate_replies() {
    let v = v311();
    let reply = parse::<Negotiate>(&v["negotiate_reply"]);
    assert_eq!(reply.dialect, 0x311);
    assert_eq!(reply.security_mode, negotiate::SIGNING_ENABLED);
    assert_eq!(reply.signing, Some(negotiate::signing::AES_CMAC));
    assert_eq!(reply.cipher, None);
    assert_eq!((reply.max_read, reply.max_write), (8 << 20, 8 << 20));
    assert_eq!(reply.token[0], 0x60);
    let v = v21();
    let reply = parse::<Negotiate>(&v["negotiate_reply"]);
    assert_eq!((reply.dialect, reply.signing), (0x210, None));
    assert_eq!(reply.token[0], 0x60);

    let v = windows();
    let reply = parse::<Negotiate>(&v["negotiate_reply"]);
    assert_eq!(reply.dialect, 0x311);
    assert_eq!(reply.capabilities, 0x2f);
    assert_eq!(reply.max_transact, 8 << 20);
    assert_eq!(reply.system_time, 0x01d0_aecb_ade5_dad8);
    assert_eq!(reply.token.len(), 0x140);
    assert_eq!(reply.cipher, Some(negotiate::cipher::AES128_GCM));
    assert_eq!(reply.signing, None);
}

#[test]
fn sessions() {
    for (v, first, last) in [
        (v311(), "setup1_reply", "setup2_reply"),
        (v21(), "setup1_reply", "setup2_reply"),
        (windows(), "setup_reply1", "setup_reply2"),
    ] {
        let status = message(&v[first]).header.status;
        assert_eq!(status, NtStatus::MORE_PROCESSING_REQUIRED);
        let reply = parse::<SessionSetup>(&v[first]);
        assert_eq!((reply.flags, reply.token[0]), (0, 0xa1));
        let reply = parse::<SessionSetup>(&v[last]);
        assert_eq!((reply.flags, reply.token[0]), (0, 0xa1));
    }
    let v = v311();
    for name in ["setup1_request", "setup2_request"] {
        let token = &v[name][0x58..];
        let request = SessionSetup {
            flags: 0,
            security_mode: 1,
            capabilities: 1,
            previous_session: 0,
            token,
        };
        check(&v, name, &request);
    }
    check(&v, "logoff_request", &Logoff);
    parse::<Logoff>(&v["logoff_reply"]);
}

#[test]
fn trees() {
    let v = v311();
    let path = utf16("\\\\10.123.0.10\\plain");
    check(&v, "tree_connect_request", &TreeConnect { path: &path });
    let reply = parse::<TreeConnect>(&v["tree_connect_reply"]);
    assert_eq!(reply.share_type, share_type::DISK);
    assert_eq!(reply.share_flags, 0);
    assert_eq!(reply.maximal_access, 0x001f_01ff);
    check(&v, "tree_disconnect_request", &TreeDisconnect);
    parse::<TreeDisconnect>(&v["tree_disconnect_reply"]);
    check(&v, "echo_request", &Echo);
    parse::<Echo>(&v["echo_reply"]);
}

#[test]
fn root_open() {
    let v = v311();
    let root = Create {
        access: access::GENERIC_READ,
        options: options::DIRECTORY_FILE,
        disposition: Disposition::Open,
        ..basic_create(&[], &[])
    };
    check(&v, "create_root_request", &root);
    let reply = parse::<Create>(&v["create_root_reply"]);
    assert_eq!(reply.attributes, attributes::DIRECTORY);
    assert_eq!(reply.action, action::OPENED);
    assert_eq!(reply.contexts.count(), 0);
    let close = Close {
        file_id: reply.file_id,
        query: false,
    };
    check(&v, "close_root_request", &close);
    assert_eq!(parse::<Close>(&v["close_root_reply"]), None);
}

fn lease(v2: bool) -> Lease {
    Lease {
        key: *b"a lease for wire",
        state: lease_state::READ | lease_state::HANDLE | lease_state::WRITE,
        flags: 0,
        v2: v2.then_some(LeaseV2 {
            parent: [0; 16],
            epoch: 7,
        }),
    }
}

#[test]
fn open_with_contexts() {
    let name = utf16("wire-ä.txt");
    for (v, v2) in [(v311(), true), (v21(), false)] {
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
            Ask::Lease(lease(v2)),
        ];
        let open = Create {
            oplock: oplock::LEASE,
            ..basic_create(&name, &asks)
        };
        check(&v, "create_request", &open);
        let reply = parse::<Create>(&v["create_reply"]);
        assert_eq!(reply.oplock, oplock::LEASE);
        assert_eq!(reply.action, action::CREATED);
        assert_eq!((reply.size, reply.allocation), (0, 4096));
        let answers: Vec<_> = reply.contexts.map(|a| a.expect("an answer")).collect();
        let granted = Lease {
            v2: v2.then_some(LeaseV2 {
                parent: [0; 16],
                epoch: 8,
            }),
            ..lease(v2)
        };
        let durable = match v2 {
            true => Answer::Durable2 {
                timeout: 60_000,
                flags: 0,
            },
            false => Answer::Durable,
        };
        let maximal = Answer::MaximalAccess {
            status: NtStatus::SUCCESS,
            access: 0x0017_019f,
        };
        assert_eq!(answers.len(), 4);
        for expected in [maximal, durable, Answer::Lease(granted)] {
            assert!(answers.contains(&expected), "{expected:?} in {answers:?}");
        }
        assert!(answers
            .iter()
            .any(|a| matches!(a, Answer::FileId { file, volume } if *file > 0 && *volume > 0)));
    }
}

#[test]
fn data() {
    let v = v311();
    let file_id = opened(&v, "create_reply");
    let text = b"The quick brown fox jumps over the lazy dog.\n";
    let write = Write {
        data_len: 45,
        offset: 5,
        file_id,
        flags: 0,
    };
    check_data(&v, "write_request", &write, text);
    let interim = message(&v["notify_interim"]);
    assert!(interim.header.status.is_pending());
    assert!(interim.header.async_id().is_some());
    assert_eq!(ErrorReply::parse(&interim).expect("a body").data(), b"");
    assert_eq!(parse::<Write>(v.answer("write")), 45);
    check(&v, "flush_request", &Flush { file_id });
    parse::<Flush>(v.answer("flush"));
    let read = Read {
        flags: 0,
        len: 100,
        offset: 0,
        file_id,
        minimum: 0,
    };
    check(&v, "read_request", &read);
    let reply = v.answer("read");
    let data = parse::<Read>(reply);
    assert_eq!(data, [&[0; 5][..], text].concat());
    let head = ReadHead::parse(&reply[HEADER_LEN..]).expect("a head");
    assert_eq!((head.data_offset, head.data_len), (0x50, 50));
    assert_eq!(head.within(reply.len(), 100), Ok(0));
    assert!(head.within(reply.len() - 1, 100).is_err());
    assert!(head.within(reply.len(), 49).is_err());
    let end = Read {
        offset: 1000,
        minimum: 1,
        ..read
    };
    check(&v, "read_end_request", &end);
    assert_eq!(
        message(&v["read_end_reply"]).header.status,
        NtStatus::END_OF_FILE
    );
}

#[test]
fn locks() {
    let v = v311();
    let file_id = opened(&v, "create_reply");
    let range = |flags| Range {
        offset: 10,
        len: 20,
        flags,
    };
    for (name, range) in [
        (
            "lock_request",
            range(lock::EXCLUSIVE | lock::FAIL_IMMEDIATELY),
        ),
        ("unlock_request", range(lock::UNLOCK)),
        ("unlock_again_request", range(lock::UNLOCK)),
    ] {
        let lock = Lock {
            sequence: 0,
            file_id,
            ranges: &[range],
        };
        check(&v, name, &lock);
    }
    parse::<Lock>(&v["lock_reply"]);
    let status = message(&v["unlock_again_reply"]).header.status;
    assert_eq!(status, NtStatus::RANGE_NOT_LOCKED);
}

fn info<I: Queried>(v: &Vectors, name: &str) -> I {
    let file_id = opened(v, "create_reply");
    check(v, &format!("{name}_request"), &QueryInfo::of::<I>(file_id));
    I::parse(parse::<QueryInfo>(&v[&*format!("{name}_reply")])).expect("an info")
}

#[test]
fn file_infos() {
    let v = v311();
    let basic: info::Basic = info(&v, "info_basic");
    assert_eq!(basic.attributes, attributes::ARCHIVE);
    let standard: info::Standard = info(&v, "info_standard");
    assert_eq!(
        (standard.size, standard.links, standard.directory),
        (50, 1, false)
    );
    let internal: info::Internal = info(&v, "info_internal");
    let open: info::NetworkOpen = info(&v, "info_network_open");
    assert_eq!((open.size, open.times), (50, basic.times));
    let tag: info::AttributeTag = info(&v, "info_attribute_tag");
    assert_eq!((tag.attributes, tag.tag), (attributes::ARCHIVE, 0));
    let all: info::All = info(&v, "info_all");
    assert_eq!((all.basic, all.standard), (basic, standard));
    assert_eq!(all.file_id, internal.0);
    assert_eq!(all.access, 0x0013_019f);
    let cut = message(&v["info_all_cut_reply"]);
    assert_eq!(cut.header.status, NtStatus::BUFFER_OVERFLOW);
    let output = QueryInfo::parse(&cut).expect("an output");
    assert_eq!(info::All::parse(output), Ok(all));
    let file_id = opened(&v, "create_reply");
    let parts = security::OWNER | security::GROUP | security::DACL;
    let query = QueryInfo::security(file_id, parts, 1024);
    check(&v, "security_request", &query);
    let whole = parse::<QueryInfo>(&v["security_reply"]);
    let short = message(&v["security_short_reply"]);
    assert_eq!(short.header.status, NtStatus::BUFFER_TOO_SMALL);
    let error = ErrorReply::parse(&short).expect("an error");
    assert_eq!(error.wanted(), Ok(whole.len() as u32));
}

#[test]
fn volume_infos() {
    let v = v311();
    let volume: info::FsVolume = info(&v, "fs_volume");
    assert_eq!(volume.serial, 0x8222_c307);
    let size: info::FsSize = info(&v, "fs_size");
    let full: info::FsFullSize = info(&v, "fs_full_size");
    assert_eq!((full.total, full.available), (size.total, size.available));
    assert_eq!(full.unit(), 1024);
    let attribute: info::FsAttribute = info(&v, "fs_attribute");
    assert!(attribute.ntfs);
    assert_eq!(attribute.max_name, 255);
    let sector: info::FsSectorSize = info(&v, "fs_sector_size");
    assert_eq!((sector.logical, sector.preferred), (512, 512));
}

#[test]
fn set_infos() {
    let v = v311();
    let file_id = opened(&v, "create_reply");
    let long = utf16("wire-renamed.txt");
    let short = utf16("w");
    let rename = |name| Set::Rename {
        replace: true,
        name,
    };
    let basic = Basic {
        times: Times {
            write: 133_000_000_000_000_000,
            ..Times::default()
        },
        attributes: attributes::ARCHIVE,
    };
    for (name, set) in [
        ("set_end_of_file_request", Set::EndOfFile(12345)),
        ("set_allocation_request", Set::Allocation(1 << 20)),
        ("set_basic_request", Set::Basic(basic)),
        ("rename_request", rename(&long)),
        ("rename_short_request", rename(&short)),
    ] {
        check(&v, name, &SetInfo { file_id, set });
    }
    parse::<SetInfo>(&v["rename_reply"]);
    let denied = message(&v["remove_denied_reply"]).header.status;
    assert_eq!(denied, NtStatus::ACCESS_DENIED);
}

#[test]
fn listings() {
    let v = v311();
    let file_id = opened(&v, "mkdir_reply");
    let list = |form, flags| QueryDirectory {
        form,
        flags,
        index: 0,
        file_id,
        pattern: EVERYTHING,
        max_output: 65536,
    };
    check(&v, "list_id_full_request", &list(Form::IdFull, 0));
    check(&v, "list_id_both_request", &list(Form::IdBoth, 1));
    let full = entries(
        parse::<QueryDirectory>(&v["list_id_full_reply"]),
        Form::IdFull,
    );
    let full: Vec<_> = full.map(|e| e.expect("an entry")).collect();
    let both = entries(
        parse::<QueryDirectory>(&v["list_id_both_reply"]),
        Form::IdBoth,
    );
    let both: Vec<_> = both.map(|e| e.expect("an entry")).collect();
    // "." was read in between.
    assert_eq!(full[1..], both[1..]);
    assert_eq!(full[0].name, both[0].name);
    let mut names: Vec<_> = full.iter().map(|e| e.name.to_vec()).collect();
    names.sort();
    let mut expected = [".", "..", "a", "bb.txt", "ccc"].map(utf16);
    expected.sort();
    assert_eq!(names, expected);
    for entry in &full {
        let directory = entry.name.starts_with(b".\0");
        assert_eq!(entry.attributes & attributes::DIRECTORY != 0, directory);
        assert!(entry.file_id != 0 && entry.size == 0);
        assert_eq!((entry.ea_size, entry.reparse_tag), (0, 0));
    }
    let end = message(&v["list_end_reply"]).header.status;
    assert_eq!(end, NtStatus::NO_MORE_FILES);
}

#[test]
fn notifications() {
    let v = v311();
    let notify = ChangeNotify {
        tree: false,
        max_output: 1024,
        file_id: opened(&v, "mkdir_reply"),
        filter: filter::FILE_NAME | filter::DIR_NAME,
    };
    check(&v, "notify_request", &notify);
    check(&v, "cancel_request", &Cancel);
    let interim = message(&v["notify_interim"]).header;
    let cancel = message(&v["cancel_request"]).header;
    assert_eq!(cancel.async_id(), interim.async_id());
    assert_eq!(cancel.message_id, interim.message_id);
    assert_eq!((cancel.credit_charge, cancel.credits), (0, 0));
    let cancelled = message(&v["cancel_final"]).header;
    assert_eq!(cancelled.status, NtStatus::CANCELLED);
    assert_eq!(cancelled.message_id, interim.message_id);
    let seen: Vec<_> = changes(parse::<ChangeNotify>(&v["notify2_final"])).collect();
    let name = utf16("a");
    let removed = Change {
        action: change::REMOVED,
        name: &name,
    };
    assert_eq!(seen, [Ok(removed)]);
}

#[test]
fn lease_breaks() {
    for (v, epoch) in [(v311(), 9), (v21(), 0)] {
        let notice = message(&v["lease_break_notice"]);
        assert_eq!(notice.header.message_id, UNSOLICITED);
        assert_eq!(
            Break::parse(&notice),
            Ok(Break::Lease {
                epoch,
                flags: ACK_REQUIRED,
                key: lease(false).key,
                current: 7,
                new: 3,
            })
        );
        let ack = LeaseAck {
            key: lease(false).key,
            state: 3,
        };
        check(&v, "lease_ack_request", &ack);
        assert_eq!(parse::<LeaseAck>(&v["lease_ack_reply"]), 3);
    }
}

#[test]
fn controls() {
    let v = v311();
    let mut input = 4_u16.to_le_bytes().to_vec();
    input.extend(utf16("\\10.123.0.10\\dfstest\\link1\0"));
    check(&v, "referral_request", &Ioctl::referral(&input, 8192));
    let reply = parse::<Ioctl>(&v["referral_reply"]);
    assert_eq!(reply.code, fsctl::DFS_GET_REFERRALS);
    assert_eq!(reply.file_id, FileId::ANY);
    // PathConsumed is the whole path; two targets.
    assert_eq!(reply.output[..2], (2 * 26_u16).to_le_bytes());
    assert_eq!(reply.output[2], 2);
    let query = Ioctl {
        code: fsctl::QUERY_NETWORK_INTERFACE_INFO,
        file_id: FileId::ANY,
        input: &[],
        max_output: 65536,
    };
    check(&v, "interfaces_request", &query);
    let reply = parse::<Ioctl>(&v["interfaces_reply"]);
    let all: Vec<_> = interfaces(reply.output)
        .map(|i| i.expect("an interface"))
        .collect();
    assert!(all
        .iter()
        .any(|i| i.address == Some(Address::V4([10, 123, 0, 10]))));
    assert!(all
        .iter()
        .any(|i| matches!(i.address, Some(Address::V6([0xfd, ..])))));
    let status = message(&v["ioctl_unknown_reply"]).header.status;
    assert_eq!(status, NtStatus::FILE_CLOSED);
}

#[test]
fn close_with_attributes() {
    let v = v311();
    let close = Close {
        file_id: opened(&v, "create_reply"),
        query: true,
    };
    check(&v, "close_request", &close);
    let open = parse::<Close>(&v["close_reply"]).expect("attributes");
    assert_eq!(open.size, 12345);
    assert_eq!(open.times.write, 133_000_000_000_000_000);
}

#[test]
fn compound_of_three() {
    let v = v311();
    let name = utf16("w");
    let open = Create {
        disposition: Disposition::Open,
        access: access::READ_ATTRIBUTES,
        options: 0,
        ..basic_create(&name, &[])
    };
    let query = QueryInfo::of::<info::All>(FileId::ANY);
    let close = Close {
        file_id: FileId::ANY,
        query: true,
    };
    let recorded = &v["stat_request"];
    let headers: Vec<Header> = frame::messages(recorded)
        .map(|m| m.expect("a message").header)
        .collect();
    let bodies: [&dyn Body; 3] = [&open, &query, &close];
    let parts: Vec<_> = headers
        .iter()
        .zip(bodies)
        .map(|(header, body)| Part {
            header: Header {
                next: 77,
                flags: 0,
                command: 99,
                ..*header
            },
            body,
        })
        .collect();
    let mut out = vec![0; compound::len(&parts)];
    let mut spans = [Span::default(); 3];
    let mut w = Writer::new(&mut out);
    compound::emit(&parts, true, &mut w, &mut spans).expect("exact");
    assert_eq!(w.room(), 0);
    assert_eq!(&out, recorded);
    for (span, m) in spans.iter().zip(frame::messages(recorded)) {
        let m = m.expect("a message");
        assert_eq!(&out[span.start..][..span.len], m.bytes);
    }
    let replies: Vec<_> = frame::messages(&v["stat_reply1"])
        .map(|m| m.expect("a message"))
        .collect();
    assert_eq!(replies.len(), 3);
    let opened = Create::parse(&replies[0]).expect("opened");
    let all = info::All::parse(QueryInfo::parse(&replies[1]).expect("an output")).expect("all");
    let closed = Close::parse(&replies[2])
        .expect("closed")
        .expect("attributes");
    assert_eq!(opened.size, 12345);
    assert_eq!(all.standard.size, 12345);
    assert_eq!(closed.times, all.basic.times);
}

#[test]
fn missing_file() {
    let v = v311();
    let reply = message(&v["missing_reply"]);
    assert_eq!(reply.header.status, NtStatus::OBJECT_NAME_NOT_FOUND);
    let error = ErrorReply::parse(&reply).expect("an error");
    assert_eq!(error.data(), b"");
    assert!(error.wanted().is_err() && error.symlink().is_err());
    assert!(Create::parse(&reply).is_err());
}
