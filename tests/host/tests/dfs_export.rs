// SPDX-License-Identifier: GPL-2.0
//! The text of the referral cache: what is written is read back, and what was changed is refused.

use proptest::prelude::*;
use rsdfs_proto::codec::Writer;
use rsdfs_proto::dfs::complaint::{topic, Complaints, MOST, QUIET};
use rsdfs_proto::dfs::entry::Entry;
use rsdfs_proto::dfs::escape::{escaped, unescape, BadEscape, Escaped};
use rsdfs_proto::dfs::export::{self, Bad, Export, Import, Item};
use rsdfs_proto::dfs::path::Path;
use rsdfs_proto::dfs::referral::{build, Kind};
use rsdfs_proto::time::{Instant, Span};

/// An entry as a test writes it: path, root, flags, ttl, account, targets with their sets.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Plain {
    path: String,
    root: bool,
    flags: u32,
    ttl: u32,
    account: String,
    targets: Vec<(u16, String)>,
}

fn write(entries: &[Plain]) -> String {
    let mut text = String::new();
    let mut out = Export::new(&mut text).unwrap();
    for e in entries {
        let line = export::Entry {
            path: escaped(&e.path),
            root: e.root,
            flags: e.flags,
            ttl: e.ttl,
            account: escaped(&e.account),
        };
        out.entry(&line).unwrap();
        for (set, path) in &e.targets {
            out.target(*set, escaped(path)).unwrap();
        }
    }
    out.end().unwrap();
    text
}

/// Reads a whole text as the module does: the line of the first mistake, counted from 1, and why.
fn read(text: &[u8]) -> Result<Vec<Plain>, (usize, Bad)> {
    let mut import = Import::new();
    let mut entries: Vec<Plain> = Vec::new();
    let mut lines = text.split(|b| *b == b'\n').collect::<Vec<_>>();
    // What comes after the last end of a line is no line yet.
    let open = lines.pop().unwrap_or_default();
    for (at, line) in lines.iter().enumerate() {
        let mut buffer = [0; 20_000];
        let mut text = |t: export::Text<'_>| -> Result<String, (usize, Bad)> {
            t.read(&mut buffer)
                .map(str::to_owned)
                .map_err(|why| (at + 1, why))
        };
        match import.line(line).map_err(|why| (at + 1, why))? {
            Item::Nothing | Item::End => {}
            Item::Entry(e) => entries.push(Plain {
                path: text(e.path)?,
                root: e.root,
                flags: e.flags,
                ttl: e.ttl,
                account: text(e.account)?,
                targets: Vec::new(),
            }),
            Item::Target { set, path, .. } => {
                let path = text(path)?;
                entries.last_mut().unwrap().targets.push((set, path));
            }
        }
    }
    if !open.is_empty() {
        import.line(open).map_err(|why| (lines.len() + 1, why))?;
        return Err((lines.len() + 1, Bad::NoEnd));
    }
    import.finish().map_err(|why| (lines.len(), why))?;
    Ok(entries)
}

fn sample() -> Vec<Plain> {
    vec![
        Plain {
            path: "//root/dfs test/li\\nk#1\n".into(),
            root: false,
            flags: 6,
            ttl: 600,
            account: "ÖKO/jörg".into(),
            targets: vec![
                (0, "//t1/s".into()),
                (0, "//t2/s/a b".into()),
                (1, "//t3/s".into()),
            ],
        },
        Plain {
            path: "//eco.test/dfs".into(),
            root: true,
            flags: 3,
            ttl: u32::MAX,
            account: "*".into(),
            targets: vec![(0, "//root/dfs".into())],
        },
    ]
}

#[test]
fn the_text() {
    let text = write(&sample());
    let lines: Vec<&str> = text.lines().collect();
    assert_eq!(
        lines[..6],
        [
            "rsdfs-dfscache 1",
            r"entry path=//root/dfs\040test/li\134nk\0431\012 kind=link flags=0x6 ttl=600 account=ÖKO/jörg",
            "target set=0 path=//t1/s",
            r"target set=0 path=//t2/s/a\040b",
            "target set=1 path=//t3/s",
            "entry path=//eco.test/dfs kind=root flags=0x3 ttl=4294967295 account=*",
        ]
    );
    assert!(lines[7].starts_with("end entries=2 sum="));
    assert_eq!(read(text.as_bytes()), Ok(sample()));
    assert_eq!(read(write(&[]).as_bytes()), Ok(vec![]));
}

#[test]
fn written_by_hand() {
    let text =
        "rsdfs-dfscache 1\n\n# mine\nentry path=//h/dfs/l kind=link flags=0x0 ttl=60 account=*\n\
                target set=0 path=//a/b\n# more\ntarget set=0 path=//c/d\nend entries=1\n";
    assert_eq!(read(text.as_bytes()).unwrap()[0].targets.len(), 2);
}

#[test]
fn mistakes() {
    let head = "rsdfs-dfscache 1\n";
    let entry = "entry path=//h/d/l kind=link flags=0x0 ttl=60 account=*\n";
    let target = "target set=0 path=//a/b\n";
    let end = "end entries=1\n";
    let refused = |lines: &[&str], at: usize, why: Bad| {
        assert_eq!(read(lines.concat().as_bytes()), Err((at, why)), "{lines:?}");
    };
    refused(&[], 0, Bad::Magic);
    refused(&["rsdfs-dfscache 2\n"], 1, Bad::Magic);
    refused(&["# first\n", head], 1, Bad::Magic);
    refused(&[head], 1, Bad::NoEnd);
    refused(&[head, entry, target], 3, Bad::NoEnd);
    refused(&[head, entry, target, "end entries=1"], 4, Bad::NoEnd);
    refused(&[head, entry, end], 3, Bad::NoTarget);
    refused(&[head, entry, entry, target, end], 3, Bad::NoTarget);
    refused(&[head, target, entry, end], 2, Bad::NoEntry);
    refused(&[head, entry, target, "end entries=2\n"], 4, Bad::Count);
    refused(&[head, entry, target, "end\n"], 4, Bad::Field("entries"));
    refused(&[head, entry, target, end, target], 5, Bad::AfterEnd);
    refused(&[head, entry, target, end, "\n"], 5, Bad::AfterEnd);
    refused(
        &[head, entry, target, "end entries=1 sum=0123456789abcdef\n"],
        4,
        Bad::Sum,
    );
    refused(
        &[head, entry, target, "end entries=1 sum=1\n"],
        4,
        Bad::Value("sum"),
    );
    refused(&[head, "links path=//a/b\n"], 2, Bad::Word);
    refused(&[head, "entry\n"], 2, Bad::Field("path"));
    refused(&[head, "entry kind=link\n"], 2, Bad::Field("path"));
    refused(&[head, "entry  path=//a/b\n"], 2, Bad::Field("path"));
    for (bad, why) in [
        (
            "path=//h/d kind=tree flags=0x0 ttl=1 account=*",
            Bad::Value("kind"),
        ),
        (
            "path=//h/d kind=link flags=0 ttl=1 account=*",
            Bad::Value("flags"),
        ),
        (
            "path=//h/d kind=link flags=0x8 ttl=1 account=*",
            Bad::Value("flags"),
        ),
        (
            "path=//h/d kind=link flags=0x0 ttl=-1 account=*",
            Bad::Value("ttl"),
        ),
        (
            "path=//h/d kind=link flags=0x0 ttl=4294967296 account=*",
            Bad::Value("ttl"),
        ),
        (
            "path=//h/d kind=link flags=0x0 ttl=1",
            Bad::Field("account"),
        ),
        (
            "path=//h/d kind=link flags=0x0 ttl=1 account=",
            Bad::Value("account"),
        ),
        (
            "path=//h/d kind=link flags=0x0 ttl=1 account=* x=1",
            Bad::More,
        ),
        ("path=//h/d kind=link flags=0x0 ttl=1 account=* ", Bad::More),
        (
            r"path=//h/d\9 kind=link flags=0x0 ttl=1 account=*",
            Bad::Escape("path"),
        ),
        (
            r"path=//h/d kind=link flags=0x0 ttl=1 account=\377",
            Bad::Escape("account"),
        ),
    ] {
        refused(&[head, "entry ", bad, "\n", target, end], 2, why);
    }
    for (bad, why) in [
        ("target set=1 path=//a/b\n", Bad::Sets),
        ("target set=x path=//a/b\n", Bad::Value("set")),
        ("target path=//a/b\n", Bad::Field("set")),
        ("target set=0 path=//a/b\\4\n", Bad::Escape("path")),
    ] {
        refused(&[head, entry, bad, end], 3, why);
    }
    refused(
        &[head, entry, target, "target set=2 path=//a/b\n"],
        4,
        Bad::Sets,
    );
    let many = target.repeat(513);
    refused(&[head, entry, &many, end], 3 + 512, Bad::Targets);
    let long = format!("# {}\n", "x".repeat(export::MAX_LINE));
    refused(&[head, &long], 2, Bad::TooLong);
    assert_eq!(read(b"rsdfs-dfscache 1\n\xff\n"), Err((2, Bad::Utf8)));
}

#[test]
fn every_byte_counts() {
    let text = write(&sample()).into_bytes();
    for at in 0..text.len() {
        for value in [
            0,
            b' ',
            b'\n',
            b'#',
            b'0',
            b'/',
            0xff,
            text[at] ^ 1,
            text[at] ^ 0x20,
        ] {
            let mut changed = text.clone();
            changed[at] = value;
            assert!(
                changed == text || read(&changed).is_err(),
                "byte {at} to {value}"
            );
        }
        assert!(read(&text[..at]).is_err(), "cut to {at}");
        let mut without = text.clone();
        without.remove(at);
        assert!(read(&without).is_err(), "without byte {at}");
    }
}

#[test]
fn escapes() {
    let text = "a b\\c\td\n#\u{7f}\u{85}\u{2028}é日";
    let shown = escaped(text).to_string();
    assert_eq!(
        shown,
        r"a\040b\134c\011d\012\043\177\302\205\342\200\250é日"
    );
    assert_eq!(unescape(&shown, &mut [0; 64]), Ok(text));
    let long = "日本 ".repeat(99);
    assert_eq!(escaped(&long).to_string(), r"日本\040".repeat(99));
    let long = "aé日".repeat(99);
    assert_eq!(escaped(&long).to_string(), long);
    assert_eq!(Escaped("x y".chars().rev()).to_string(), r"y\040x");
    for (bad, why) in [
        (r"\", BadEscape::Octal),
        (r"\04", BadEscape::Octal),
        (r"\08x", BadEscape::Octal),
        (r"\400", BadEscape::Octal),
        (r"\+12", BadEscape::Octal),
        (r"\302x", BadEscape::Utf8),
        ("12345", BadEscape::TooLong),
    ] {
        assert_eq!(unescape(bad, &mut [0; 4]), Err(why), "{bad}");
    }
}

/// What the module makes of the lines of an entry.
fn rebuild(plain: &Plain) -> Entry<Vec<u8>> {
    let path = Path::device(&plain.path).unwrap();
    let mut blob = vec![0; 20_000];
    let mut w = Writer::new(&mut blob);
    let count = plain.targets.len() as u16;
    build::header(&mut w, &path, count, plain.flags).unwrap();
    let mut last = None;
    for (set, target) in &plain.targets {
        let target = build::Target {
            path: Path::device(target).unwrap(),
            root: plain.root,
            starts_set: last.replace(*set) != Some(*set),
            ttl: plain.ttl,
        };
        let before = w.written();
        target.emit(&mut w).unwrap();
        assert_eq!(w.written() - before, target.len());
    }
    let len = w.written();
    blob.truncate(len);
    Entry::parse(&path, blob, Instant(7)).unwrap()
}

#[test]
fn an_entry_comes_back_as_it_was() {
    let plain = Plain {
        path: "//Root/dfs/a b".into(),
        root: false,
        flags: 6,
        ttl: 90,
        account: "*".into(),
        targets: vec![
            (0, "//t1/s/x".into()),
            (1, "//[fe80::1%eth0]/s".into()),
            (1, "//t3/s".into()),
        ],
    };
    let e = rebuild(&plain);
    assert_eq!((e.kind(), e.depth(), e.flags()), (Kind::Link, 3, 6));
    assert_eq!((e.ttl(), e.wants_failback()), (Span::secs(90), true));
    let targets: Vec<(u16, String)> = e.targets(0).map(|t| (t.set, t.path.to_string())).collect();
    assert_eq!(
        targets,
        [
            (0, r"\t1\s\x".to_owned()),
            (1, r"\fe80--1seth0.ipv6-literal.net\s".to_owned()),
            (1, r"\t3\s".to_owned())
        ]
    );
    let root = Plain {
        root: true,
        ..plain
    };
    assert_eq!(rebuild(&root).kind(), Kind::Root);
}

#[test]
fn prefixes_have_the_hashes_of_their_own() {
    for text in [
        "//h/s",
        "//H.example/S/a/b c/d",
        "//[fe80::1%e]/s/x",
        "//h/s//x//",
    ] {
        let path = Path::device(text).unwrap();
        let all: Vec<(usize, u64)> = path.prefix_hashes(99).collect();
        assert_eq!(all.len(), path.depth() - 1);
        for (depth, hash) in all {
            let prefix = path.prefix(depth).unwrap();
            assert_eq!(prefix.hash(99), hash);
            assert!(prefix.is_device(&prefix.to_string().to_uppercase()));
            assert_eq!(path.is_device(&prefix.to_string()), depth == path.depth());
        }
    }
}

#[test]
fn complaints_are_few() {
    let mut complaints = Complaints::new();
    let now = Instant(1_000_000);
    assert!(complaints.may(1, now) && !complaints.may(1, now));
    let others = (2..100).filter(|n| complaints.may(*n, now)).count();
    assert_eq!(others, MOST - 1);
    let later = now.after(QUIET);
    assert_eq!(topic("Root", "x"), topic("root", "x"));
    assert_ne!(topic("rootx", ""), topic("root", "x"));
    assert!(complaints.may(1, later) && complaints.may(99, later));
}

fn entries() -> impl Strategy<Value = Vec<Plain>> {
    let text = "[a-z \\\\#\\n\\tÄ=日\u{85}]{1,12}";
    let target = ("[a-z \\\\]{1,9}", any::<bool>());
    let entry = (
        (text, any::<bool>(), 0u32..8),
        (any::<u32>(), text, prop::collection::vec(target, 1..5)),
    );
    let entry = entry.prop_map(|((path, root, flags), (ttl, account, targets))| {
        let mut set = 0;
        let mut numbered = Vec::new();
        for (i, (path, next)) in targets.into_iter().enumerate() {
            set += u16::from(next && i > 0);
            numbered.push((set, path));
        }
        Plain {
            path,
            root,
            flags,
            ttl,
            account,
            targets: numbered,
        }
    });
    prop::collection::vec(entry, 0..6)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn written_and_read(entries in entries()) {
        prop_assert_eq!(read(write(&entries).as_bytes()), Ok(entries));
    }

    #[test]
    fn changed(
        entries in entries(),
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>(), 0..4u8), 1..4),
    ) {
        let text = write(&entries).into_bytes();
        let mut bad = text.clone();
        for (at, value, how) in changes {
            let at = at.index(bad.len().max(1));
            match how {
                _ if bad.is_empty() => bad.push(value),
                0 => { bad.remove(at); }
                1 => bad.insert(at, value),
                2 => bad.truncate(at + 1),
                _ => bad[at] = value,
            }
        }
        prop_assert!(bad == text || read(&bad).is_err());
    }

    #[test]
    fn noise(bytes in prop::collection::vec(any::<u8>(), 0..200), lines in "([a-z]{1,6}( [a-z]{1,5}=[0-9a-z/]{0,4}){0,5}\n){0,4}") {
        let _ = read(&bytes);
        let _ = read(format!("rsdfs-dfscache 1\n{lines}").as_bytes());
        let mut buffer = [0; 64];
        let _ = unescape(&String::from_utf8_lossy(&bytes), &mut buffer);
    }
}
