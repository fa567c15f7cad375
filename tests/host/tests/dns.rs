// SPDX-License-Identifier: GPL-2.0
//! Questions to name servers and their answers: real ones byte for byte, built ones, and whatever
//! a liar may send.

use proptest::prelude::*;
use rsdfs_proto::codec::Writer;
use rsdfs_proto::dns::{Answer, Kind, Name, Question, Verdict, DATAGRAM};

#[path = "common/vectors.rs"]
mod vectors;

fn question(name: &str, kind: Kind) -> Question<'_> {
    Question {
        id: 0x1234,
        name,
        kind,
    }
}

fn emit(question: &Question<'_>) -> Vec<u8> {
    let mut buffer = [0; DATAGRAM];
    let mut w = Writer::new(&mut buffer);
    question.emit(&mut w).unwrap();
    let len = w.written();
    buffer[..len].to_vec()
}

fn text(name: &Name<'_>) -> Option<String> {
    let mut buffer = [0; 255];
    let mut w = Writer::new(&mut buffer);
    name.text(&mut w).ok()?;
    let len = w.written();
    Some(String::from_utf8(buffer[..len].to_vec()).unwrap())
}

/// An answer to `question`: its flags, and records of owner, type and data as bytes.
fn answer(question: &Question<'_>, flags: u16, records: &[(&[u8], u16, &[u8])]) -> Vec<u8> {
    let mut message = emit(question);
    message[2..4].copy_from_slice(&flags.to_be_bytes());
    message[6..8].copy_from_slice(&(records.len() as u16).to_be_bytes());
    for (owner, kind, data) in records {
        message.extend_from_slice(owner);
        message.extend_from_slice(&kind.to_be_bytes());
        message.extend_from_slice(&[0, 1, 0, 0, 0, 60]);
        message.extend_from_slice(&(data.len() as u16).to_be_bytes());
        message.extend_from_slice(data);
    }
    message
}

const OK: u16 = 0x8180;
/// The name of the question.
const SAME: &[u8] = &[0xc0, 12];

fn addresses(message: &[u8], question: &Question<'_>) -> Vec<String> {
    let answer = Answer::parse(message, question).unwrap().unwrap();
    answer.addresses().map(|ip| ip.to_string()).collect()
}

#[test]
fn a_question() {
    let wanted = "123401000001000000000000026673036563 6f04746573740000010001".replace(' ', "");
    assert_eq!(
        emit(&question("fs.eco.test", Kind::A)),
        vectors::hex(&wanted)
    );
    assert_eq!(
        emit(&question("fs.eco.test.", Kind::A)),
        vectors::hex(&wanted)
    );
    for bad in ["", ".", "a..b", ".a", &"a".repeat(64), &"abc.".repeat(64)] {
        let mut buffer = [0; DATAGRAM];
        let question = question(bad, Kind::A);
        assert!(
            question.emit(&mut Writer::new(&mut buffer)).is_err(),
            "{bad}"
        );
    }
}

#[test]
fn addresses_behind_aliases() {
    let asked = question("Fs.eco.test", Kind::A);
    let other = b"\x05other\xc0\x0f";
    let message = answer(
        &asked,
        OK,
        &[
            (SAME, 5, b"\x01x\xc0\x0f"),
            (other, 1, &[10, 0, 0, 9]),
            (b"\x01X\x03eco\x04TEST\0", 5, other),
            (other, 1, &[10, 0, 0, 8]),
            (other, 28, &[1; 16]),
            (other, 1, &[1, 2, 3]),
        ],
    );
    assert_eq!(addresses(&message, &asked), ["10.0.0.9", "10.0.0.8"]);
    // One that goes round in a circle, and one that stands for nothing.
    for alias in [SAME, b"\x01y\0"] {
        let message = answer(&asked, OK, &[(SAME, 5, alias)]);
        let parsed = Answer::parse(&message, &asked).unwrap().unwrap();
        assert_eq!(parsed.verdict(), Verdict::Nothing);
    }
}

#[test]
fn six() {
    let asked = question("a", Kind::Aaaa);
    let message = answer(&asked, OK, &[(SAME, 28, &[0; 16]), (SAME, 1, &[1; 4])]);
    assert_eq!(addresses(&message, &asked), ["::"]);
}

#[test]
fn services() {
    let asked = question("_ldap._tcp.eco.test", Kind::Srv);
    let message = answer(
        &asked,
        OK,
        &[
            (SAME, 33, b"\0\x0a\0\x64\x01\x85\x03dc1\xc0\x17"),
            (SAME, 33, b"\0\0\0\0\x01\x85\x03dc2\x03eco\x04test\0"),
            (SAME, 33, b"\0\0\0\0\x01\x85\0"),
            (SAME, 33, b"\0\0\0\0\x01\x85\x02\\a\0"),
        ],
    );
    let parsed = Answer::parse(&message, &asked).unwrap().unwrap();
    let found: Vec<_> = parsed
        .services()
        .map(|s| (s.priority, s.weight, s.port, text(&s.host)))
        .collect();
    let host = |name: &str| Some(format!("{name}.eco.test"));
    let wanted = [
        (10, 100, 389, host("dc1")),
        (0, 0, 389, host("dc2")),
        (0, 0, 389, None),
    ];
    assert_eq!(found, wanted);
    // A service without a host is malformed as a whole.
    let message = answer(&asked, OK, &[(SAME, 33, b"\0\x0a\0\x64\x01")]);
    assert!(Answer::parse(&message, &asked).is_err());
}

#[test]
fn verdicts() {
    let asked = question("fs.eco.test", Kind::A);
    let verdict = |flags, records: &[(&[u8], u16, &[u8])]| {
        let message = answer(&asked, flags, records);
        Answer::parse(&message, &asked)
            .unwrap()
            .map(|a| a.verdict())
    };
    let found: &[(&[u8], u16, &[u8])] = &[(SAME, 1, &[10, 0, 0, 1])];
    assert_eq!(verdict(OK, found), Some(Verdict::Found));
    assert_eq!(verdict(OK, &[]), Some(Verdict::Nothing));
    assert_eq!(verdict(OK | 3, &[]), Some(Verdict::Nothing));
    assert_eq!(verdict(OK | 2, found), Some(Verdict::Refused));
    assert_eq!(verdict(OK | 5, &[]), Some(Verdict::Refused));
    assert_eq!(verdict(OK | 0x0200, found), Some(Verdict::Truncated));
    // Not an answer; not to this question.
    assert_eq!(verdict(0x0100, found), None);
    let message = answer(&asked, OK, found);
    for other in [
        Question {
            id: 0x1235,
            ..asked
        },
        Question {
            name: "fs.eco.tes",
            ..asked
        },
        Question {
            name: "fs.eco.test.x",
            ..asked
        },
        Question {
            kind: Kind::Aaaa,
            ..asked
        },
    ] {
        assert!(Answer::parse(&message, &other).unwrap().is_none());
    }
    for len in 0..message.len() {
        match Answer::parse(&message[..len], &asked) {
            Err(_) => {}
            Ok(other) => panic!("cut to {len}: {other:?}"),
        }
    }
}

#[test]
fn names_end() {
    let asked = question("a", Kind::A);
    // To itself, forward, to and fro, and longer than any name may be.
    let mut long = vec![0xc0, 0x30];
    long.resize(7, 0);
    for owner in [
        &[0xc0, 19][..],
        &[0xc0, 200],
        &[1, b'a', 0xc0, 19],
        &[0x40, 1],
        &[0x80, 1],
        &long,
    ] {
        let message = answer(&asked, OK, &[(owner, 1, &[1; 4])]);
        assert!(Answer::parse(&message, &asked).is_err(), "{owner:?}");
    }
    let mut name = Vec::new();
    for _ in 0..4 {
        name.push(63);
        name.extend_from_slice(&[b'a'; 63]);
    }
    name.push(0);
    let message = answer(&asked, OK, &[(&name, 1, &[1; 4])]);
    assert!(Answer::parse(&message, &asked).is_err());
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_bytes(bytes in prop::collection::vec(any::<u8>(), 0..600), kind in 0..3) {
        let kind = [Kind::A, Kind::Aaaa, Kind::Srv][kind as usize];
        let asked = question("fs.eco.test", kind);
        // As they are, and with the beginning of an answer to the question.
        let mut message = answer(&asked, OK, &[]);
        message[6..8].copy_from_slice(&20u16.to_be_bytes());
        message.extend_from_slice(&bytes);
        for message in [&bytes, &message] {
            if let Ok(Some(answer)) = Answer::parse(message, &asked) {
                prop_assert!(answer.addresses().count() <= 20);
                for service in answer.services() {
                    let _ = text(&service.host);
                }
            }
        }
    }

    #[test]
    fn mutated(at in 0usize..120, with in any::<u8>()) {
        let asked = question("_ldap._tcp.eco.test", Kind::Srv);
        let mut message = answer(&asked, OK, &[
            (SAME, 5, b"\x01x\xc0\x17"),
            (b"\x01x\xc0\x17", 33, b"\0\x0a\0\x64\x01\x85\x03dc1\xc0\x17"),
        ]);
        let at = at % message.len();
        message[at] = with;
        if let Ok(Some(answer)) = Answer::parse(&message, &asked) {
            for service in answer.services() {
                let _ = text(&service.host);
            }
        }
    }

    #[test]
    fn what_is_found_was_there(hosts in prop::collection::vec(any::<[u8; 4]>(), 0..20)) {
        let asked = question("fs.eco.test", Kind::A);
        let records: Vec<(&[u8], u16, &[u8])> = hosts.iter().map(|ip| (SAME, 1, &ip[..])).collect();
        let message = answer(&asked, OK, &records);
        let wanted: Vec<_> = hosts.iter().map(|ip| std::net::Ipv4Addr::from(*ip).to_string()).collect();
        prop_assert_eq!(addresses(&message, &asked), wanted);
    }
}
