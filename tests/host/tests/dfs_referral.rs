// SPDX-License-Identifier: GPL-2.0
//! Referral requests and responses: byte-exact vectors, deviations of servers, and damage.

use proptest::prelude::*;
use rsdfs_proto::codec::{NoSpace, Writer};
use rsdfs_proto::dfs::entry::{bare, Entry, NameList, MAX_TTL, MIN_TTL};
use rsdfs_proto::dfs::path::Path;
use rsdfs_proto::dfs::referral::{Body, Flaw, Kind, Request, Response, Subject};
use rsdfs_proto::dfs::MAX_TARGETS;
use rsdfs_proto::time::{Instant, Span};
use vectors::{hex, Vectors};

#[allow(dead_code)]
#[path = "common/vectors.rs"]
mod vectors;

const NAMES: [&str; 7] = [
    "samba_root_v3",
    "samba_link_v2",
    "msdfsc_4_5",
    "samba_sysvol_v4",
    "samba_domains_v3",
    "samba_dcs_v3",
    "v1_link",
];

fn all() -> Vectors {
    Vectors::read(include_str!("../../vectors/dfs_referrals.txt"))
}

fn path(text: &str) -> Path<'_> {
    Path::parse(text).unwrap()
}

fn entry(name: &str, of: &str) -> Entry<Vec<u8>> {
    Entry::parse(&path(of), all()[name].clone(), Instant(5000)).unwrap()
}

fn targets<B: AsRef<[u8]>>(entry: &Entry<B>, hint: usize) -> Vec<(usize, u16, String)> {
    let list = entry.targets(hint);
    list.map(|t| (t.index, t.set, t.path.to_string())).collect()
}

fn wide(text: &str) -> Vec<u8> {
    text.encode_utf16()
        .chain([0])
        .flat_map(u16::to_le_bytes)
        .collect()
}

/// Builds responses of version 3 or 4, so that each test can bend one thing.
struct Build {
    version: u16,
    consumed: u16,
    flags: u32,
    kind: u16,
    dfs_path: &'static str,
    targets: Vec<(u16, u32, Vec<u8>)>,
}

impl Build {
    fn v4(targets: &[&str]) -> Self {
        let targets = targets.iter().map(|t| (0, 300, wide(t))).collect();
        Self {
            version: 4,
            consumed: 20,
            flags: 2,
            kind: 0,
            dfs_path: r"\h\dfs\lnk",
            targets,
        }
    }

    fn bytes(&self) -> Vec<u8> {
        let mut out = Vec::new();
        out.extend(self.consumed.to_le_bytes());
        out.extend((self.targets.len() as u16).to_le_bytes());
        out.extend(self.flags.to_le_bytes());
        let entries = self.targets.len() * 34;
        let mut strings = wide(self.dfs_path);
        for (i, (flags, ttl, target)) in self.targets.iter().enumerate() {
            let to = |at: usize| ((entries - i * 34 + at) as u16).to_le_bytes();
            for v in [self.version, 34, self.kind, *flags] {
                out.extend(v.to_le_bytes());
            }
            out.extend(ttl.to_le_bytes());
            out.extend(to(0));
            out.extend(to(0));
            out.extend(to(strings.len()));
            out.extend([0; 16]);
            strings.extend(target);
        }
        out.extend(strings);
        out
    }

    fn entry(&self) -> Result<Entry<Vec<u8>>, Flaw> {
        Entry::parse(&path(r"\h\dfs\lnk\x"), self.bytes(), Instant(0))
    }
}

#[test]
fn requests() {
    let cases = [
        (Subject::Domains, None, 0x0006_0194, "04000000"),
        (
            Subject::Domain("eco.test"),
            None,
            0x0006_0194,
            "0400 5c0065006300 6f002e007400650073007400 0000",
        ),
        (
            Subject::Path(path("//h//s/a/")),
            None,
            0x0006_0194,
            "0400 5c006800 5c007300 5c006100 0000",
        ),
        (
            Subject::Path(path("//h/s")),
            Some("Ö1"),
            0x0006_01b0,
            "0400 0100 10000000 0800 5c0068005c007300 0400 d6003100",
        ),
    ];
    for (subject, site, fsctl, expected) in cases {
        let request = Request {
            site,
            ..Request::new(subject)
        };
        assert_eq!(request.fsctl(), fsctl);
        let mut bytes = vec![0; request.len()];
        request.emit(&mut Writer::new(&mut bytes)).unwrap();
        assert_eq!(bytes, hex(expected));
        let short = bytes.len() - 1;
        let short = &mut bytes[..short];
        assert_eq!(request.emit(&mut Writer::new(short)), Err(NoSpace));
    }
}

#[test]
fn samba_root() {
    let e = entry("samba_root_v3", "//10.123.0.10/dfs/both/x");
    assert_eq!(
        (e.kind(), e.flags(), e.depth(), e.count()),
        (Kind::Root, 3, 2, 1)
    );
    assert_eq!((e.ttl(), e.expires()), (Span::secs(600), Instant(605_000)));
    assert!(e.is_fresh(Instant(604_999)) && !e.is_fresh(Instant(605_000)));
    assert!(!e.wants_failback() && !e.interlink());
    assert_eq!(targets(&e, 0), [(0, 0, r"\10.123.0.10\dfs".into())]);
}

#[test]
fn samba_link_answered_with_version_2() {
    let e = entry("samba_link_v2", "//10.123.0.10/dfs/both/whoami.txt");
    assert_eq!(
        (e.kind(), e.flags(), e.depth(), e.count()),
        (Kind::Link, 2, 3, 2)
    );
    let first = (0, 0, r"\10.123.0.11\data".to_owned());
    let second = (1, 0, r"\10.123.0.12\data".to_owned());
    assert_eq!(targets(&e, 0), [first.clone(), second.clone()]);
    assert_eq!(targets(&e, 1), [second.clone(), first.clone()]);
    assert_eq!(targets(&e, 7), [first, second], "a hint that is gone");
    let mut buffer = [0; 64];
    let target = e.target(1).unwrap();
    let target = path(target.path.utf8(&mut buffer).unwrap());
    let mut buffer = [0; 64];
    let p = path("//10.123.0.10/dfs/both/whoami.txt");
    let p = p.rebase(e.depth(), &target, &mut buffer).unwrap();
    assert_eq!(p.to_string(), "//10.123.0.12/data/whoami.txt");
}

#[test]
fn the_trace_of_the_specification() {
    let e = entry("msdfsc_4_5", "//dfsn-dev/testroot1");
    assert_eq!((e.kind(), e.depth(), e.count()), (Kind::Root, 2, 2));
    assert_eq!(targets(&e, 0)[0].2, r"\cfs-41x-2c03\testroot1");
    assert_eq!(targets(&e, 0)[1].2, r"\cfs-41x-2c04\testroot1");
}

#[test]
fn sysvol() {
    let e = entry("samba_sysvol_v4", "//ECO.test/SysVol");
    assert_eq!(
        (e.kind(), e.depth(), e.ttl()),
        (Kind::Root, 2, Span::secs(900))
    );
    assert_eq!(targets(&e, 0), [(0, 0, r"\dc1.eco.test\sysvol".into())]);
}

#[test]
fn version_1() {
    let e = entry("v1_link", "//h/dfs/lnk1/x");
    assert_eq!((e.depth(), e.ttl()), (3, Span::secs(300)));
    assert_eq!(targets(&e, 0)[0].2, r"\srv1\share");
    let p = targets(&e, 0)[1].2.clone();
    assert_eq!(path(&p).to_string(), "//srv2/share/deep");
}

#[test]
fn name_lists() {
    let read = |name: &str| -> Vec<(String, Vec<String>)> {
        let list = NameList::parse(all()[name].clone(), Instant(0)).unwrap();
        assert!(list.is_fresh(Instant(599_999)) && !list.is_fresh(Instant(600_000)));
        let domains = list.domains();
        domains
            .map(|(d, c)| (d.to_string(), c.map(|c| c.to_string()).collect()))
            .collect()
    };
    assert_eq!(
        read("samba_domains_v3"),
        [(r"\ECO".into(), vec![]), (r"\eco.test".into(), vec![])]
    );
    assert_eq!(
        read("samba_dcs_v3"),
        [("eco.test".into(), vec![r"\dc1.eco.test".into()])]
    );
    assert_eq!(bare(r"\eco.test"), "eco.test");
    assert_eq!(bare("eco.test"), "eco.test");
    // Neither is taken for the other.
    let names = all()["samba_dcs_v3"].clone();
    assert!(Entry::parse(&path("//eco.test/x"), names, Instant(0)).is_err());
    assert!(NameList::parse(all()["samba_root_v3"].clone(), Instant(0)).is_err());
}

#[test]
fn too_many_expanded_names() {
    let mut bytes = all()["samba_dcs_v3"].clone();
    bytes[8 + 14] = 2;
    assert_eq!(Response::parse(&bytes).err(), Some(Flaw::Text));
    bytes.extend(wide(""));
    assert!(Response::parse(&bytes).is_ok());
    let names = |bytes: &[u8]| -> Vec<String> {
        let list = NameList::parse(bytes.to_vec(), Instant(0)).unwrap();
        let (_, names) = list.domains().next().unwrap();
        names.map(|n| n.to_string()).collect()
    };
    assert_eq!(names(&bytes), [r"\dc1.eco.test"], "an empty name is none");
    let end = bytes.len() - 2;
    bytes.splice(end.., [0, 0xd8, 0, 0]);
    assert_eq!(names(&bytes), [r"\dc1.eco.test"], "nor is half a character");
}

#[test]
fn target_sets_and_failback() {
    let mut b = Build::v4(&[r"\a\s", r"\b\s", r"\c\s", r"\d\s"]);
    b.flags = 6;
    for (i, flags) in [4, 0, 4, 0].into_iter().enumerate() {
        b.targets[i].0 = flags;
    }
    let sets = |b: &Build| -> Vec<u16> { b.entry().unwrap().targets(0).map(|t| t.set).collect() };
    assert_eq!(sets(&b), [0, 0, 1, 1]);
    assert!(b.entry().unwrap().wants_failback());
    // The first of a set is unusable: its boundary still counts.
    b.targets[2].2 = wide("");
    assert_eq!(sets(&b), [0, 0, 1]);
    // A server that forgets the first boundary.
    b.targets[0].0 = 0;
    assert_eq!(sets(&b), [0, 0, 1]);
    // Neither bit means anything before version 4.
    b.version = 3;
    assert_eq!(sets(&b), [0, 0, 0]);
    assert!(!b.entry().unwrap().wants_failback());
}

#[test]
fn interlink() {
    let mut b = Build::v4(&[r"\a\s"]);
    let is = |b: &Build| b.entry().unwrap().interlink();
    assert!(!is(&b));
    b.flags = 1;
    assert!(is(&b));
    b.flags = 3;
    assert!(!is(&b));
    (b.flags, b.kind) = (1, 1);
    assert!(!is(&b));
}

#[test]
fn time_to_live() {
    for (ttls, honoured) in [
        (&[300, 20, 600][..], Span::secs(20)),
        (&[1], Span::secs(1)),
        (&[0], MIN_TTL),
        (&[u32::MAX], MAX_TTL),
    ] {
        let mut b = Build::v4(&[r"\a\s"; 3][..ttls.len()]);
        for (target, ttl) in b.targets.iter_mut().zip(ttls) {
            target.1 = *ttl;
        }
        assert_eq!(b.entry().unwrap().ttl(), honoured);
    }
}

#[test]
fn unusable_targets_are_passed_over() {
    let lone = [0x5c, 0, 0x61, 0, 0x5c, 0, 0, 0xd8, 0, 0].to_vec();
    let mut b = Build::v4(&["", r"\host", r"\\a\s", r"\b\..\s", "c\\s\\", r"\d:1\s", "x"]);
    b.targets[6].2 = lone;
    let e = b.entry().unwrap();
    let of: Vec<String> = e.targets(0).map(|t| t.path.to_string()).collect();
    assert_eq!(of, [r"\\a\s", "c\\s\\"]);
    assert_eq!(e.count(), 2);
    b.targets.retain(|t| t.2.len() < 10);
    assert_eq!(b.entry().err(), Some(Flaw::NoTarget));
    b.targets.clear();
    assert_eq!(b.entry().err(), Some(Flaw::Empty), "no entries at all");
}

#[test]
fn what_the_response_is_about() {
    let mut b = Build::v4(&[r"\a\s"]);
    let depth = |b: &Build| b.entry().map(|e| e.depth());
    for consumed in [20, 21, 22] {
        b.consumed = consumed;
        assert_eq!(depth(&b), Ok(3));
    }
    // A count that fits nowhere: the path of the entry tells.
    for consumed in [0, 18, 28, 400] {
        b.consumed = consumed;
        b.dfs_path = r"\H\DFS\LNK";
        assert_eq!(depth(&b), Ok(3), "{consumed}");
        b.dfs_path = r"\other\dfs";
        assert_eq!(depth(&b), Err(Flaw::Consumed));
        b.dfs_path = r"\h\dfs\lnk\x\y";
        assert_eq!(depth(&b), Err(Flaw::Consumed));
        b.dfs_path = "";
        assert_eq!(depth(&b), Err(Flaw::Consumed));
    }
}

#[test]
fn entries_are_found_by_their_size() {
    // Entries of 18 bytes, without the site GUID, and of 40, with padding.
    for size in [18u16, 40] {
        let mut out = hex("1400 0200 02000000");
        let strings = 2 * size;
        for i in 0..2 {
            for v in [3, size, 0, 0, 60, 0, 0, 0, strings - i * size] {
                out.extend(v.to_le_bytes());
            }
            out.extend(vec![0; usize::from(size) - 18]);
        }
        out.extend(wide(r"\a\s"));
        let e = Entry::parse(&path(r"\h\dfs\lnk"), out.clone(), Instant(0)).unwrap();
        assert_eq!(targets(&e, 0).len(), 2);
        // Another version in the second entry.
        let second = 8 + usize::from(size);
        out[second] = 4;
        assert_eq!(Response::parse(&out).err(), Some(Flaw::Mixed));
        out[second] = 9;
        assert_eq!(Response::parse(&out).err(), Some(Flaw::Version));
        out[second] = 3;
        for bad in [0u16, 3, 17, u16::MAX] {
            out[second + 2..second + 4].copy_from_slice(&bad.to_le_bytes());
            let flaw = if bad == u16::MAX {
                Flaw::Size
            } else {
                Flaw::Short
            };
            assert_eq!(Response::parse(&out).err(), Some(flaw), "size {bad}");
        }
    }
}

#[test]
fn bounds() {
    let many = Build::v4(&vec![r"\a\s"; 1500]);
    let response = many.bytes();
    let response = Response::parse(&response).unwrap();
    assert_eq!(response.count(), MAX_TARGETS);
    assert_eq!(many.entry().unwrap().count(), MAX_TARGETS);
    let endless = Build::v4(&[&"a".repeat(5000)]);
    assert_eq!(endless.entry().err(), Some(Flaw::Text));
    // As many as an offset reaches; the rest would not fit one.
    let mut ten_thousand = Build::v4(&[r"\a\s"; 1]).bytes();
    ten_thousand[2..4].copy_from_slice(&10_000u16.to_le_bytes());
    assert_eq!(Response::parse(&ten_thousand).err(), Some(Flaw::Size));
}

#[test]
fn offsets_out_of_range() {
    let good = Build::v4(&[r"\a\s"]).bytes();
    let network_address = 8 + 16;
    for (offset, flaw) in [
        (1u16, Flaw::Offset),
        (17, Flaw::Offset),
        (18, Flaw::NoTarget),
        (good.len() as u16 - 8, Flaw::Text),
        (good.len() as u16 - 7, Flaw::Offset),
        (u16::MAX, Flaw::Offset),
    ] {
        let mut bytes = good.clone();
        bytes[network_address..network_address + 2].copy_from_slice(&offset.to_le_bytes());
        let entry = Entry::parse(&path(r"\h\dfs\lnk"), bytes, Instant(0));
        assert_eq!(entry.err(), Some(flaw), "offset {offset}");
    }
}

#[test]
fn when_to_fetch_again() {
    let mut b = Build::v4(&[r"\a\s"]);
    b.targets[0].1 = 800;
    let e = b.entry().unwrap();
    assert_eq!(e.refresh_at(0), Instant(700_000));
    assert_eq!(e.refresh_at(1 << 31), Instant(650_000));
    assert!(e.refresh_at(u32::MAX) > Instant(600_000) && e.refresh_at(u32::MAX) < Instant(600_100));
    assert_eq!(
        e.retry_after(0),
        Span::secs(60),
        "an eighth, but a minute at most"
    );
    assert!(e.retry_after(u32::MAX) < Span::secs(75));
    b.targets[0].1 = 0;
    let e = b.entry().unwrap();
    assert_eq!(
        (e.refresh_at(0), e.expires()),
        (Instant(875), Instant(1000))
    );
    assert_eq!(e.retry_after(0), Span::secs(1));
    let stale = Span::secs(5);
    assert!(e.is_usable(Instant(5999), stale) && !e.is_usable(Instant(6000), stale));
    assert!(e.is_usable(Instant(999), Span(0)) && !e.is_usable(Instant(1000), Span(0)));
    let heard = e.unconfirmed();
    assert!(!heard.is_fresh(Instant(0)) && heard.is_usable(Instant(0), stale));
    assert_eq!(
        (heard.refresh_at(77), heard.expires()),
        (Instant(0), Instant(0))
    );
    assert_eq!(heard.ttl(), MIN_TTL);
}

#[test]
fn the_same_targets() {
    let make = |t: &[&str]| Build::v4(t).entry().unwrap();
    let a = make(&[r"\a\s", r"\b\s"]);
    assert!(
        a.same_targets(&make(&[r"\\B\S", r"\A\s"])),
        "shuffled, other spelling"
    );
    assert!(!a.same_targets(&make(&[r"\a\s"])));
    assert!(!a.same_targets(&make(&[r"\a\s", r"\c\s"])));
    assert!(!a.same_targets(&make(&[r"\a\s", r"\a\s"])));
    let b = make(&[r"\c\s", r"\b\s", r"\a\s"]);
    assert_eq!(b.position(&a.target(0).unwrap()), Some(2));
    assert_eq!(a.position(&b.target(0).unwrap()), None);
}

/// Reads all there is; every string must lie in the blob.
fn exercise(bytes: &[u8]) {
    let inside = |s: &[u8]| {
        let all = bytes.as_ptr_range();
        s.is_empty() || (all.start <= s.as_ptr() && s.as_ptr_range().end <= all.end)
    };
    if let Ok(response) = Response::parse(bytes) {
        assert_eq!(response.entries().count(), response.count());
        for e in response.entries() {
            match e.body {
                Body::Target {
                    dfs_path,
                    alternate,
                    address,
                } => {
                    for s in [dfs_path, alternate, address] {
                        assert!(inside(s.bytes()));
                    }
                }
                Body::Names { special, expanded } => {
                    assert!(inside(special.bytes()));
                    expanded.for_each(|s| assert!(inside(s.bytes())));
                }
            }
        }
    }
    let p = path(r"\10.123.0.10\dfs\both\whoami.txt");
    if let Ok(e) = Entry::parse(&p, bytes, Instant(1)) {
        let mut buffer = vec![0; 20_000];
        assert!((2..=p.depth()).contains(&e.depth()));
        assert_eq!(e.targets(0).count(), e.count());
        for t in e.targets(e.count() - 1) {
            assert!(inside(t.path.bytes()));
            let text = format!("/{}", t.path.utf8(&mut buffer).unwrap());
            Path::parse(&text).unwrap();
        }
    }
    if let Ok(list) = NameList::parse(bytes, Instant(1)) {
        list.domains().for_each(|(_, names)| names.for_each(drop));
    }
}

#[test]
fn every_truncation_and_every_byte() {
    for name in NAMES {
        let whole = &all()[name];
        for len in 0..whole.len() {
            exercise(&whole[..len]);
            assert!(
                Response::parse(&whole[..len]).is_err() || name == "samba_domains_v3",
                "{name} cut to {len}"
            );
            for value in [0, 1, 2, 0x7f, 0x80, 0xff, whole[len] ^ 1] {
                let mut bytes = whole.clone();
                bytes[len] = value;
                exercise(&bytes);
            }
        }
        exercise(whole);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(3000))]

    #[test]
    fn damaged(
        which in 0..NAMES.len(),
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..12),
        cut in any::<prop::sample::Index>(),
        cuts in any::<bool>(),
    ) {
        let mut bytes = all()[NAMES[which]].clone();
        for (at, value) in changes {
            let at = at.index(bytes.len());
            bytes[at] = value;
        }
        if cuts {
            bytes.truncate(cut.index(bytes.len()));
        }
        exercise(&bytes);
    }

    #[test]
    fn random(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        exercise(&bytes);
    }

    #[test]
    fn built(
        hosts in prop::collection::vec("[a-z]{1,8}", 1..20),
        hint in 0usize..25,
        bounds in prop::collection::vec(any::<bool>(), 20),
    ) {
        let text: Vec<String> = hosts.iter().map(|h| format!(r"\{h}\share")).collect();
        let refs: Vec<&str> = text.iter().map(String::as_str).collect();
        let mut b = Build::v4(&refs);
        for (target, bound) in b.targets.iter_mut().zip(&bounds) {
            target.0 = if *bound { 4 } else { 0 };
        }
        let e = b.entry().unwrap();
        let mut list = targets(&e, hint);
        if hint < text.len() {
            prop_assert_eq!(list[0].0, hint);
        }
        list.sort();
        prop_assert!(list.iter().map(|t| &t.2).eq(text.iter()));
        let mut set = 0;
        for (i, t) in list.iter().enumerate() {
            set += u16::from(i > 0 && bounds[i]);
            prop_assert_eq!(t.1, set);
        }
    }
}
