// SPDX-License-Identifier: GPL-2.0
//! Every request is exactly as long as it says, whatever is in it; and replies that no Samba sent
//! while we were recording.

use proptest::prelude::*;
use proptest::sample::select;
use rsdfs_proto::codec::{Malformed, NoSpace, Writer};
use rsdfs_proto::dialect::{Versions, SMB21, SMB30, SMB311};
use rsdfs_proto::frame;
use rsdfs_proto::smb2::cancel::Cancel;
use rsdfs_proto::smb2::change_notify::ChangeNotify;
use rsdfs_proto::smb2::close::Close;
use rsdfs_proto::smb2::compound::{self, Body, Part, Span};
use rsdfs_proto::smb2::context::{Answer, Answers, Ask, Lease, LeaseV2};
use rsdfs_proto::smb2::create::{Create, Disposition};
use rsdfs_proto::smb2::echo::Echo;
use rsdfs_proto::smb2::error::{self, ErrorReply};
use rsdfs_proto::smb2::flush::Flush;
use rsdfs_proto::smb2::info::{Basic, Times};
use rsdfs_proto::smb2::ioctl::{Ioctl, NegotiateInfo, ValidateNegotiate};
use rsdfs_proto::smb2::lock::{Lock, Range};
use rsdfs_proto::smb2::logoff::Logoff;
use rsdfs_proto::smb2::negotiate::{self, Negotiate};
use rsdfs_proto::smb2::oplock_break::{Break, LeaseAck, OplockAck};
use rsdfs_proto::smb2::query_directory::{entries, Form, QueryDirectory};
use rsdfs_proto::smb2::query_info::QueryInfo;
use rsdfs_proto::smb2::read::{Read, ReadHead};
use rsdfs_proto::smb2::session_setup::SessionSetup;
use rsdfs_proto::smb2::set_info::{Set, SetInfo};
use rsdfs_proto::smb2::tree_connect::TreeConnect;
use rsdfs_proto::smb2::tree_disconnect::TreeDisconnect;
use rsdfs_proto::smb2::write::Write;
use rsdfs_proto::smb2::{flags, Code, Command, FileId, Header, Message, HEADER_LEN};
use rsdfs_proto::status::NtStatus;

const ID: FileId = FileId {
    persistent: 0x1122_3344_5566_7788,
    volatile: 0x99aa_bbcc_ddee_ff00,
};

/// Emits into exactly enough room, and is refused in any less.
fn exact(body: &dyn Body) -> Vec<u8> {
    let len = body.len();
    let mut out = vec![0xaa; len];
    let mut w = Writer::new(&mut out);
    body.emit(&mut w).expect("enough");
    assert_eq!((w.written(), w.room()), (len, 0), "{:?}", body.code());
    let mut short = vec![0; len - 1];
    let refused = body.emit(&mut Writer::new(&mut short));
    assert_eq!(refused, Err(NoSpace), "{:?}", body.code());
    out
}

/// The offset field at `at` in the body leads to where `part` lies.
fn leads(body: &[u8], at: usize, part: &[u8]) {
    let offset = usize::from(u16::from_le_bytes([body[at], body[at + 1]]));
    assert_eq!(&body[offset - HEADER_LEN..][..part.len()], part);
}

fn message(command: Code, status: NtStatus, body: &[u8]) -> Vec<u8> {
    let header = Header {
        status,
        flags: flags::RESPONSE,
        ..Header::request(command)
    };
    let mut out = vec![0; HEADER_LEN];
    header.emit(&mut Writer::new(&mut out)).expect("exact");
    out.extend(body);
    out
}

fn bytes(max: usize) -> impl Strategy<Value = Vec<u8>> {
    prop::collection::vec(any::<u8>(), 0..max)
}

fn ask(kind: u8, data: &[u8]) -> Ask<'_> {
    let lease = |v2: bool| Lease {
        key: [1; 16],
        state: 7,
        flags: 0,
        v2: v2.then_some(LeaseV2 {
            parent: [2; 16],
            epoch: 3,
        }),
    };
    match kind {
        0 => Ask::MaximalAccess(None),
        1 => Ask::MaximalAccess(Some(5)),
        2 => Ask::FileId,
        3 => Ask::Durable,
        4 => Ask::DurableReconnect(ID),
        5 => Ask::Durable2 {
            timeout: 1,
            flags: 2,
            guid: [3; 16],
        },
        6 => Ask::Durable2Reconnect {
            file_id: ID,
            guid: [3; 16],
            flags: 2,
        },
        7 => Ask::Lease(lease(false)),
        8 => Ask::Lease(lease(true)),
        9 => Ask::TimeWarp(4),
        10 => Ask::AllocationSize(4),
        _ => Ask::Other {
            name: &data[..data.len() / 2],
            data: &data[data.len() / 2..],
        },
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 500, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn requests_are_as_long_as_they_say(data in bytes(300), n in any::<u32>(), count in 1_usize..6) {
        let ranges = vec![Range { offset: 1, len: 2, flags: n }; count];
        let query = QueryInfo { kind: 1, class: 15, max_output: n, additional: n, flags: n, file_id: ID, input: &data };
        for body in [
            &SessionSetup { flags: 0, security_mode: 1, capabilities: n, previous_session: 7, token: &data } as &dyn Body,
            &Logoff,
            &TreeConnect { path: &data },
            &TreeDisconnect,
            &Close { file_id: ID, query: n & 1 == 0 },
            &Flush { file_id: ID },
            &Read { flags: 0, len: n, offset: u64::MAX, file_id: ID, minimum: n },
            &Write { data_len: n, offset: u64::MAX, file_id: ID, flags: n },
            &Lock { sequence: n, file_id: ID, ranges: &ranges },
            &Ioctl { code: n, file_id: ID, input: &data, max_output: n },
            &Cancel,
            &Echo,
            &QueryDirectory { form: Form::IdBoth, flags: 1, index: n, file_id: ID, pattern: &data, max_output: n },
            &ChangeNotify { tree: true, max_output: n, file_id: ID, filter: n },
            &query,
            &OplockAck { level: 1, file_id: ID },
            &LeaseAck { key: [9; 16], state: n },
        ] {
            exact(body);
        }
        leads(&exact(&TreeConnect { path: &data }), 4, &data);
        let setup = SessionSetup { flags: 0, security_mode: 1, capabilities: n, previous_session: 7, token: &data };
        leads(&exact(&setup), 12, &data);
        leads(&exact(&Ioctl::referral(&data, n)), 24, &data);
        if !data.is_empty() {
            leads(&exact(&query), 8, &data);
        }
    }

    #[test]
    fn set_infos_are_as_long_as_they_say(data in bytes(300), n in any::<u64>()) {
        let basic = Basic { times: Times { creation: n, access: n, write: n, change: n }, attributes: 1 };
        for set in [
            Set::Basic(basic),
            Set::EndOfFile(n),
            Set::Allocation(n),
            Set::Disposition(true),
            Set::DispositionEx(3),
            Set::Rename { replace: true, name: &data },
            Set::RenameEx { flags: 3, name: &data },
            Set::Link { replace: false, name: &data },
            Set::Other { kind: 3, class: 0, additional: 7, data: &data },
        ] {
            let body = exact(&SetInfo { file_id: ID, set });
            let len = u32::from_le_bytes(body[4..8].try_into().expect("four"));
            prop_assert_eq!(len as usize, body.len() - 32);
        }
    }

    #[test]
    fn creates_chain_their_contexts(name in bytes(64), kinds in prop::collection::vec(0_u8..12, 0..6), data in bytes(40)) {
        let asks: Vec<_> = kinds.iter().map(|k| ask(*k, &data)).collect();
        let body = exact(&Create {
            oplock: 0,
            access: 0,
            attributes: 0,
            share: 0,
            disposition: Disposition::Open,
            options: 0,
            name: &name,
            contexts: &asks,
        });
        leads(&body, 44, &name);
        prop_assert!(body.len() > 56);
        let field = |at: usize| u32::from_le_bytes(body[at..at + 4].try_into().expect("four")) as usize;
        if asks.is_empty() {
            prop_assert_eq!((field(48), field(52)), (0, 0));
        } else {
            let at = field(48) - HEADER_LEN;
            prop_assert_eq!(at % 8, 0);
            prop_assert_eq!(at + field(52), body.len());
            // What we emit has the form of what we parse; where the data differ it may be refused.
            let seen: Vec<_> = Answers::new(&body[at..]).collect();
            prop_assert!(seen.len() <= asks.len());
            for (seen, ask) in seen.iter().zip(&asks) {
                if let (Ask::Lease(asked), Ok(Answer::Lease(seen))) = (ask, seen) {
                    prop_assert_eq!(asked, seen);
                }
                if let (Ask::Other { name, data }, Ok(Answer::Other { name: n, data: d })) = (ask, seen) {
                    prop_assert_eq!((name, data), (n, d));
                }
            }
        }
    }

    #[test]
    fn negotiates_align_their_contexts(
        versions in select(vec![Versions::DEFAULT, Versions::SMB3, Versions::only(&SMB21), Versions::only(&SMB30), Versions::only(&SMB311)]),
        netname in bytes(40),
        ciphers in prop::collection::vec(any::<u16>(), 0..5),
        signing in prop::collection::vec(any::<u16>(), 0..4),
    ) {
        let body = exact(&Negotiate {
            versions,
            security_mode: 1,
            capabilities: 0x7f,
            client_guid: [1; 16],
            salt: [2; 32],
            ciphers: &ciphers,
            signing: &signing,
            netname: &netname,
        });
        if !versions.contains(0x311) {
            prop_assert_eq!(body.len(), 36 + 2 * versions.len());
            return Ok(());
        }
        let mut at = u32::from_le_bytes(body[28..32].try_into().expect("four")) as usize - HEADER_LEN;
        let count = u16::from_le_bytes([body[32], body[33]]);
        let mut kinds = Vec::new();
        for _ in 0..count {
            at = (at + 7) & !7;
            kinds.push(body[at]);
            at += 8 + usize::from(u16::from_le_bytes([body[at + 2], body[at + 3]]));
        }
        prop_assert_eq!(at, body.len());
        let expected = [(1, false), (2, ciphers.is_empty()), (5, netname.is_empty()), (8, signing.is_empty())];
        let expected: Vec<u8> = expected.iter().filter(|(_, skip)| !skip).map(|(k, _)| *k).collect();
        prop_assert_eq!(kinds, expected);
    }

    #[test]
    fn compounds_split_into_what_was_put_in(paths in prop::collection::vec(bytes(40), 1..6), related in any::<bool>()) {
        let bodies: Vec<_> = paths.iter().map(|path| TreeConnect { path }).collect();
        let parts: Vec<_> = bodies.iter().enumerate().map(|(i, body)| Part {
            header: Header { message_id: i as u64, ..Header::request(Code::Echo) },
            body,
        }).collect();
        let mut out = vec![0xaa; compound::len(&parts)];
        let mut spans = vec![Span::default(); parts.len()];
        let mut w = Writer::new(&mut out);
        compound::emit(&parts, related, &mut w, &mut spans).expect("exact");
        prop_assert_eq!(w.room(), 0);
        let seen: Vec<_> = frame::messages(&out).map(|m| m.expect("a message")).collect();
        prop_assert_eq!(seen.len(), parts.len());
        for (i, (m, span)) in seen.iter().zip(&spans).enumerate() {
            prop_assert_eq!(span.start % 8, 0);
            prop_assert_eq!(m.bytes, &out[span.start..][..span.len]);
            prop_assert_eq!(m.header.message_id, i as u64);
            prop_assert_eq!(m.header.command, Code::TreeConnect.number());
            prop_assert_eq!(m.header.flags & flags::RELATED != 0, related && i > 0);
            let body = exact(&bodies[i]);
            prop_assert_eq!(&m.bytes[HEADER_LEN..][..body.len()], &body[..]);
        }
        let refused = compound::emit(&parts, related, &mut Writer::new(&mut out), &mut spans[1..]);
        prop_assert_eq!(refused, Err(NoSpace));
    }

    #[test]
    fn headers_round_trip(fields in any::<[u32; 8]>(), id in any::<u64>(), signature in any::<[u8; 16]>()) {
        let [a, b, c, d, e, f, g, h] = fields;
        let header = Header {
            credit_charge: a as u16,
            status: NtStatus(b),
            command: c as u16,
            credits: d as u16,
            flags: e,
            next: f,
            message_id: id,
            tree_id: g,
            process_id: h,
            session_id: !id,
            signature,
        };
        let mut out = [0; HEADER_LEN];
        header.emit(&mut Writer::new(&mut out)).expect("exact");
        prop_assert_eq!(Message::parse(&out).expect("a header").header, header);
        let mut asynchronous = header;
        asynchronous.set_async_id(id);
        prop_assert_eq!(asynchronous.async_id(), Some(id));
    }
}

#[test]
fn what_does_not_fit_a_field_is_refused() {
    let long = vec![0; 65536];
    let mut out = vec![0; 70_000];
    let refused = Command::emit(&TreeConnect { path: &long }, &mut Writer::new(&mut out));
    assert_eq!(refused, Err(NoSpace));
}

#[test]
fn validate_negotiate() {
    let input = ValidateNegotiate {
        capabilities: 0x7f,
        client_guid: [1; 16],
        security_mode: 1,
        versions: Versions::DEFAULT,
    };
    let mut out = vec![0; input.len()];
    assert_eq!(out.len(), ValidateNegotiate::MAX_LEN);
    let mut w = Writer::new(&mut out);
    input.emit(&mut w).expect("exact");
    assert_eq!(w.room(), 0);
    assert_eq!(out[20..], [1, 0, 4, 0, 0x10, 2, 0, 3, 2, 3, 0x11, 3]);
    let mut output = vec![0x7f, 0, 0, 0];
    output.extend([5; 16]);
    output.extend([3, 0, 2, 3]);
    let info = NegotiateInfo::parse(&output).expect("an info");
    assert_eq!((info.security_mode, info.dialect), (3, 0x302));
    output.push(0);
    assert_eq!(NegotiateInfo::parse(&output), Err(Malformed));
    assert_eq!(NegotiateInfo::parse(&output[..23]), Err(Malformed));
}

/// A negotiate reply of 3.1.1 with these contexts, each a type and its data.
fn negotiate_reply(contexts: &[(u16, &[u8])]) -> Vec<u8> {
    let mut body = vec![0; 64];
    body[..8].copy_from_slice(&[65, 0, 1, 0, 0x11, 3, contexts.len() as u8, 0]);
    body[56] = 0x80;
    body[60] = 0x80;
    for (kind, data) in contexts {
        body.resize((body.len() + 7) & !7, 0);
        body.extend(kind.to_le_bytes());
        body.extend((data.len() as u16).to_le_bytes());
        body.extend([0; 4]);
        body.extend(*data);
    }
    message(Code::Negotiate, NtStatus::SUCCESS, &body)
}

#[test]
fn negotiate_contexts_must_be_right() {
    const PREAUTH: (u16, &[u8]) = (1, &[1, 0, 2, 0, 1, 0, 0xaa, 0xbb]);
    let parse = |contexts: &[(u16, &[u8])]| {
        let bytes = negotiate_reply(contexts);
        let message = Message::parse(&bytes).expect("a message");
        Negotiate::parse(&message).map(|r| (r.cipher, r.signing))
    };
    assert_eq!(parse(&[PREAUTH]), Ok((None, None)));
    let all: [(u16, &[u8]); 5] = [
        (8, &[1, 0, 2, 0]),
        (3, &[1, 2, 3]),
        PREAUTH,
        (0x100, &[]),
        (2, &[1, 0, 2, 0]),
    ];
    let cipher = negotiate::cipher::AES128_GCM;
    let signing = negotiate::signing::AES_GMAC;
    assert_eq!(parse(&all), Ok((Some(cipher), Some(signing))));
    for bad in [
        &[][..],
        &[PREAUTH, PREAUTH],
        &[(1, &[1, 0, 2, 0, 2, 0, 0xaa, 0xbb])],
        &[(1, &[2, 0, 0, 0, 1, 0, 1, 0])],
        &[(1, &[1, 0, 9, 0, 1, 0, 0xaa, 0xbb])],
        &[(1, &[1, 0])],
        &[PREAUTH, (2, &[2, 0, 1, 0, 2, 0])],
        &[PREAUTH, (2, &[0, 0])],
        &[PREAUTH, (2, &[1, 0, 2, 0]), (2, &[1, 0, 2, 0])],
        &[PREAUTH, (8, &[1, 0])],
    ] {
        assert_eq!(parse(bad), Err(Malformed), "{bad:?}");
    }
    // The contexts must lie behind the fixed part, aligned.
    for at in [0, 0x40, 0x7f, 0x81, 0x88, 0xf0] {
        let mut bytes = negotiate_reply(&[PREAUTH]);
        bytes[HEADER_LEN + 60] = at;
        let message = Message::parse(&bytes).expect("a message");
        assert_eq!(Negotiate::parse(&message), Err(Malformed), "{at}");
    }
}

#[test]
fn breaks_of_oplocks() {
    let ack = OplockAck {
        level: 1,
        file_id: ID,
    };
    let body = exact(&ack);
    let bytes = message(Code::OplockBreak, NtStatus::SUCCESS, &body);
    let parsed = Message::parse(&bytes).expect("a message");
    let expected = Break::Oplock {
        level: 1,
        file_id: ID,
    };
    assert_eq!(Break::parse(&parsed), Ok(expected));
    assert_eq!(OplockAck::parse(&parsed), Ok(1));
    assert_eq!(LeaseAck::parse(&parsed), Err(Malformed));
}

fn symlink(relative: bool) -> Vec<u8> {
    let target: Vec<u8> = "..\\x".encode_utf16().flat_map(u16::to_le_bytes).collect();
    let len = target.len() as u16;
    let mut link = Vec::new();
    link.extend((24 + 2 * u32::from(len)).to_le_bytes());
    link.extend(b"SYML\x0c\0\0\xa0");
    for n in [12 + 2 * len, 6, len, len, 0, len] {
        link.extend(n.to_le_bytes());
    }
    link.extend(u32::from(relative).to_le_bytes());
    link.extend(&target);
    link.extend(&target);
    link
}

#[test]
fn symbolic_links_in_errors() {
    for relative in [true, false] {
        let link = symlink(relative);
        let mut plain = vec![9, 0, 0, 0];
        plain.extend((link.len() as u32).to_le_bytes());
        plain.extend(&link);
        let mut context = vec![9, 0, 2, 0];
        let other = [0x72, 0x53, 0x64, 0x72];
        let inner = [&[3, 0, 0, 0][..], &other, &[1, 2, 3, 0, 0, 0, 0, 0]].concat();
        context.extend((inner.len() as u32 + 8 + link.len() as u32).to_le_bytes());
        context.extend(inner);
        context.extend((link.len() as u32).to_le_bytes());
        context.extend([0; 4]);
        context.extend(&link);
        for body in [plain, context] {
            let bytes = message(Code::Create, NtStatus::STOPPED_ON_SYMLINK, &body);
            let parsed = Message::parse(&bytes).expect("a message");
            let reply = ErrorReply::parse(&parsed).expect("an error");
            let link = reply.symlink().expect("a link");
            assert_eq!(link.unparsed, 6);
            assert_eq!(link.substitute, b".\0.\0\\\0x\0");
            assert_eq!(link.print, link.substitute);
            assert_eq!(link.relative, relative);
        }
    }
    let bytes = message(
        Code::Create,
        NtStatus::STOPPED_ON_SYMLINK,
        &[
            9, 0, 3, 0, 16, 0, 0, 0, 4, 0, 0, 0, 0, 0, 0, 0, 1, 2, 3, 4, 5, 6, 7, 8,
        ],
    );
    let parsed = Message::parse(&bytes).expect("a message");
    let reply = ErrorReply::parse(&parsed).expect("an error");
    let all: Vec<_> = reply.contexts().collect();
    let first = error::Context {
        id: 0,
        data: &[1, 2, 3, 4],
    };
    assert_eq!(all, [Ok(first), Err(Malformed)]);
    assert_eq!(reply.wanted(), Ok(0x0403_0201));
}

#[test]
fn reads_must_lie_behind_their_head() {
    let mut body = vec![17, 0, 0x50, 0, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
    body.extend(b"data");
    for (offset, ok) in [
        (0x50, true),
        (0x4f, false),
        (0x51, false),
        (0, false),
        (0xff, false),
    ] {
        body[2] = offset;
        let bytes = message(Code::Read, NtStatus::SUCCESS, &body);
        let parsed = Message::parse(&bytes).expect("a message");
        assert_eq!(Read::parse(&parsed).ok(), ok.then_some(&b"data"[..]));
        let head = ReadHead::parse(&body);
        let within = head.and_then(|h| h.within(bytes.len(), 4));
        assert_eq!(within.ok(), ok.then_some(0));
    }
    // A gap before the data is allowed.
    body[2] = 0x52;
    body[4] = 2;
    let bytes = message(Code::Read, NtStatus::SUCCESS, &body);
    let parsed = Message::parse(&bytes).expect("a message");
    assert_eq!(Read::parse(&parsed), Ok(&b"ta"[..]));
    let head = ReadHead::parse(&body).expect("a head");
    assert_eq!(head.within(bytes.len(), 4), Ok(2));
}

/// Two entries of the given form, the first `next` bytes long by its own account.
fn directory(form: Form, next: u32) -> Vec<u8> {
    let fixed = match form {
        Form::IdFull => 80,
        Form::IdBoth => 104,
    };
    let mut all = vec![0; fixed];
    all[..4].copy_from_slice(&next.to_le_bytes());
    all[60] = 2;
    all.extend(b"a\0");
    all.resize((all.len() + 7) & !7, 0);
    let mut second = vec![0; fixed];
    second[56..60].copy_from_slice(&0x400_u32.to_le_bytes());
    second[60] = 4;
    second[64..68].copy_from_slice(&0xa000_000c_u32.to_le_bytes());
    second[fixed - 8] = 9;
    second.extend(b"b\0c\0");
    all.extend(second);
    all
}

#[test]
fn directory_entries_only_move_forward() {
    for (form, next) in [(Form::IdFull, 88), (Form::IdBoth, 112)] {
        let all = directory(form, next);
        let seen: Vec<_> = entries(&all, form).map(|e| e.expect("an entry")).collect();
        assert_eq!(seen[0].name, b"a\0");
        assert_eq!((seen[1].name, seen[1].file_id), (&b"b\0c\0"[..], 9));
        assert_eq!((seen[1].ea_size, seen[1].reparse_tag), (0, 0xa000_000c));
        for bad in [
            1,
            4,
            8,
            80,
            next - 8,
            next - 4,
            next + 4,
            0x8000_0000,
            0xffff_fff8,
        ] {
            let all = directory(form, bad);
            let seen: Vec<_> = entries(&all, form).collect();
            assert!(seen.iter().any(|e| e.is_err()), "{form:?} {bad}");
            assert!(seen.len() <= 2);
        }
    }
    let mut odd = directory(Form::IdFull, 0);
    odd[60] = 3;
    assert!(entries(&odd, Form::IdFull).all(|e| e.is_err()));
    odd[60] = 0;
    assert!(entries(&odd, Form::IdFull).all(|e| e.is_err()));
}
