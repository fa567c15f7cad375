// SPDX-License-Identifier: GPL-2.0
//! Every reply parser against recorded replies that were truncated, extended and mutated, and
//! against noise: it may refuse or parse, never panic, and every iterator ends.

use proptest::prelude::*;
use proptest::sample::{select, Index};
use rsdfs_proto::frame;
use rsdfs_proto::smb2::change_notify::{changes, ChangeNotify};
use rsdfs_proto::smb2::close::Close;
use rsdfs_proto::smb2::context::Answers;
use rsdfs_proto::smb2::create::Create;
use rsdfs_proto::smb2::echo::Echo;
use rsdfs_proto::smb2::error::ErrorReply;
use rsdfs_proto::smb2::flush::Flush;
use rsdfs_proto::smb2::info::{self, Queried};
use rsdfs_proto::smb2::ioctl::{interfaces, Ioctl, NegotiateInfo};
use rsdfs_proto::smb2::lock::Lock;
use rsdfs_proto::smb2::logoff::Logoff;
use rsdfs_proto::smb2::negotiate::Negotiate;
use rsdfs_proto::smb2::oplock_break::{Break, LeaseAck, OplockAck};
use rsdfs_proto::smb2::query_directory::{entries, Form, QueryDirectory};
use rsdfs_proto::smb2::query_info::QueryInfo;
use rsdfs_proto::smb2::read::{Read, ReadHead};
use rsdfs_proto::smb2::session_setup::SessionSetup;
use rsdfs_proto::smb2::set_info::SetInfo;
use rsdfs_proto::smb2::tree_connect::TreeConnect;
use rsdfs_proto::smb2::tree_disconnect::TreeDisconnect;
use rsdfs_proto::smb2::write::Write;
use rsdfs_proto::smb2::{Command, Message, HEADER_LEN};
use rsdfs_proto::utf16::{self, Map};

#[allow(dead_code)]
#[path = "common/vectors.rs"]
mod vectors;

/// Reads everything that can be read in a frame.
fn digest(frame: &[u8]) {
    let _ = frame::kind(frame);
    let mut count = 0;
    for message in frame::messages(frame) {
        count += 1;
        if let Ok(message) = message {
            assert!(message.bytes.len() >= HEADER_LEN);
            bodies(&message, frame);
        }
    }
    assert!(count <= frame.len() / HEADER_LEN + 1);
}

/// Tries every body on a message, whatever its command: a server may put any body behind any code.
fn bodies(message: &Message<'_>, frame: &[u8]) {
    let _ = Negotiate::parse(message);
    let _ = SessionSetup::parse(message);
    let _ = Logoff::parse(message);
    let _ = TreeConnect::parse(message);
    let _ = TreeDisconnect::parse(message);
    let _ = Close::parse(message);
    let _ = Flush::parse(message);
    let _ = Write::parse(message);
    let _ = Lock::parse(message);
    let _ = Echo::parse(message);
    let _ = SetInfo::parse(message);
    let _ = OplockAck::parse(message);
    let _ = LeaseAck::parse(message);
    let _ = Break::parse(message);
    if let Ok(reply) = Create::parse(message) {
        answers(reply.contexts, frame.len());
    }
    if let Ok(data) = Read::parse(message) {
        assert!(data.len() <= frame.len());
    }
    if let Ok(head) = ReadHead::parse(&message.bytes[HEADER_LEN..]) {
        if let Ok(gap) = head.within(message.bytes.len(), u32::MAX) {
            let end = HEADER_LEN + ReadHead::LEN + gap + head.data_len as usize;
            assert!(head.data_len == 0 || end <= message.bytes.len());
        }
    }
    if let Ok(reply) = Ioctl::parse(message) {
        let _ = NegotiateInfo::parse(reply.output);
        assert!(interfaces(reply.output).count() <= reply.output.len() / 152 + 1);
    }
    for output in [
        QueryInfo::parse(message),
        QueryDirectory::parse(message),
        ChangeNotify::parse(message),
    ]
    .into_iter()
    .flatten()
    {
        outputs(output);
    }
    if let Ok(error) = ErrorReply::parse(message) {
        assert!(error.contexts().count() <= 255);
        let _ = error.wanted();
        let _ = error.symlink();
    }
}

fn answers(answers: Answers<'_>, len: usize) {
    assert!(answers.count() <= len / 16 + 1);
}

fn outputs(output: &[u8]) {
    infos(output);
    for form in [Form::IdFull, Form::IdBoth] {
        let mut count = 0;
        for entry in entries(output, form) {
            count += 1;
            if let Ok(entry) = entry {
                name(entry.name);
            }
        }
        assert!(count <= output.len() / 8 + 1);
    }
    assert!(changes(output).count() <= output.len() / 12 + 1);
}

fn infos(output: &[u8]) {
    let _ = info::Basic::parse(output);
    let _ = info::Standard::parse(output);
    let _ = info::Internal::parse(output);
    let _ = info::All::parse(output);
    let _ = info::NetworkOpen::parse(output);
    let _ = info::AttributeTag::parse(output);
    let _ = info::FsFullSize::parse(output);
    let _ = info::FsSize::parse(output);
    let _ = info::FsVolume::parse(output);
    let _ = info::FsAttribute::parse(output);
    let _ = info::FsSectorSize::parse(output);
}

/// A name that comes through comes back the same.
fn name(wire: &[u8]) {
    let mut out = [0; 3 * 1024];
    if let Ok(name) = utf16::decode_name(wire, Map::Sfm, &mut out) {
        assert!(!name.contains(&b'/') && !name.contains(&0));
        let len = utf16::name_len(name, Map::Sfm).expect("sendable");
        let mut back = vec![0; len];
        let mut w = rsdfs_proto::codec::Writer::new(&mut back);
        utf16::put_name(&mut w, name, Map::Sfm).expect("exact");
        // Control characters and reserved ones that a server sends plain move; nothing else does.
        if !wire.chunks(2).any(|u| u[1] == 0 && u[0] < 0x80) {
            assert_eq!(back, wire);
        }
    }
}

fn recorded() -> Vec<Vec<u8>> {
    let mut all: Vec<_> = [
        include_str!("../../vectors/samba_311.txt"),
        include_str!("../../vectors/samba_21.txt"),
        include_str!("../../vectors/smb311_session.txt"),
    ]
    .into_iter()
    .flat_map(|text| vectors::Vectors::read(text).into_messages())
    .chain([symlink()])
    .collect();
    all.sort();
    all
}

/// A reply with an error context that holds a symbolic link, as 3.1.1 has it.
fn symlink() -> Vec<u8> {
    let target: Vec<u8> = "t".encode_utf16().flat_map(u16::to_le_bytes).collect();
    let mut link = Vec::new();
    link.extend((24 + 2 * target.len() as u32).to_le_bytes());
    link.extend(b"SYML\x0c\0\0\xa0");
    for n in [12 + 2 * target.len() as u16, 6, 0, 2, 2, 2] {
        link.extend(n.to_le_bytes());
    }
    link.extend(1_u32.to_le_bytes());
    link.extend(&target);
    link.extend(&target);
    let mut m = vec![0; HEADER_LEN];
    m[..6].copy_from_slice(b"\xfeSMB\x40\0");
    m[8..12].copy_from_slice(&0x8000_002d_u32.to_le_bytes());
    m[16] = 1;
    m.extend([9, 0, 1, 0]);
    m.extend((link.len() as u32 + 8).to_le_bytes());
    m.extend((link.len() as u32).to_le_bytes());
    m.extend([0; 4]);
    m.extend(link);
    m
}

#[derive(Clone, Debug)]
enum Edit {
    Byte(Index, u8),
    Word(Index, u16),
    Long(Index, u32),
    Cut(Index),
    Extend(Vec<u8>),
    Remove(Index),
}

fn edit() -> impl Strategy<Value = Edit> {
    let words = select(vec![0, 1, 7, 8, 0x40, 0x48, 0x50, 0x7fff, 0x8000, 0xffff]);
    let longs = select(vec![
        0,
        1,
        8,
        16,
        64,
        0x48,
        0x7fff_ffff,
        0x8000_0000,
        0xffff_fff8,
        0xffff_ffff,
    ]);
    prop_oneof![
        4 => (any::<Index>(), any::<u8>()).prop_map(|(i, b)| Edit::Byte(i, b)),
        4 => (any::<Index>(), words).prop_map(|(i, w)| Edit::Word(i, w)),
        4 => (any::<Index>(), longs).prop_map(|(i, l)| Edit::Long(i, l)),
        1 => any::<Index>().prop_map(Edit::Cut),
        1 => prop::collection::vec(any::<u8>(), 1..80).prop_map(Edit::Extend),
        1 => any::<Index>().prop_map(Edit::Remove),
    ]
}

fn apply(m: &mut Vec<u8>, edit: &Edit) {
    let put = |m: &mut Vec<u8>, i: &Index, bytes: &[u8]| {
        // Fields are aligned, and the header alone is less interesting than what follows.
        let at = i.index(m.len() + 1) & !(bytes.len() - 1);
        for (to, from) in m.iter_mut().skip(at).zip(bytes) {
            *to = *from;
        }
    };
    match edit {
        Edit::Byte(i, b) => put(m, i, &[*b]),
        Edit::Word(i, w) => put(m, i, &w.to_le_bytes()),
        Edit::Long(i, l) => put(m, i, &l.to_le_bytes()),
        Edit::Cut(i) => m.truncate(i.index(m.len() + 1)),
        Edit::Extend(more) => m.extend(more),
        Edit::Remove(i) => {
            if !m.is_empty() {
                m.remove(i.index(m.len()));
            }
        }
    }
}

#[test]
fn recorded_messages_and_all_their_prefixes() {
    for m in recorded() {
        for len in 0..=m.len() {
            digest(&m[..len]);
        }
    }
}

#[test]
fn every_byte_of_every_message_at_its_extremes() {
    for m in recorded() {
        for at in 0..m.len() {
            for value in [0x00, 0x01, 0x7f, 0x80, 0xff] {
                let mut m = m.clone();
                m[at] = value;
                digest(&m);
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 20_000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn mutated(m in select(recorded()), edits in prop::collection::vec(edit(), 1..6)) {
        let mut m = m;
        for e in &edits {
            apply(&mut m, e);
        }
        digest(&m);
    }

    #[test]
    fn noise_behind_a_header(size in select(vec![2_u16, 4, 9, 16, 17, 24, 36, 44, 49, 60, 65, 89]), body in prop::collection::vec(any::<u8>(), 0..300)) {
        let mut m = vec![0; HEADER_LEN];
        m[..6].copy_from_slice(b"\xfeSMB\x40\0");
        m.extend(size.to_le_bytes());
        m.extend(body);
        digest(&m);
    }

    #[test]
    fn noise(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        digest(&bytes);
        outputs(&bytes);
        name(&bytes);
        let _ = utf16::decode(&bytes, &mut [0; 512]);
        let _ = Answers::new(&bytes).count();
        let _ = interfaces(&bytes).count();
    }
}
