// SPDX-License-Identifier: GPL-2.0
//! Paths: tables of spellings, and properties of random ones.

use proptest::prelude::*;
use rsdfs_proto::codec::{NoSpace, Writer};
use rsdfs_proto::dfs::path::{check, BadPath, Path, MAX_COMPONENT};

fn path(text: &str) -> Path<'_> {
    Path::parse(text).unwrap_or_else(|e| panic!("{text}: {e}"))
}

#[test]
fn spellings() {
    for (text, device, request) in [
        ("//host/share", "//host/share", r"\host\share"),
        (r"\\host\share", "//host/share", r"\host\share"),
        (r"\host\share", "//host/share", r"\host\share"),
        ("//host/share/", "//host/share", r"\host\share"),
        (r"//host\share\a/b", "//host/share/a/b", r"\host\share\a\b"),
        (
            "///host//share///a\\\\b//",
            "//host/share/a/b",
            r"\host\share\a\b",
        ),
        (
            "//10.0.0.1/d$/ö x",
            "//10.0.0.1/d$/ö x",
            r"\10.0.0.1\d$\ö x",
        ),
        ("//h/s/...", "//h/s/...", r"\h\s\..."),
        ("//h/s/.a/b..", "//h/s/.a/b..", r"\h\s\.a\b.."),
        (
            "//[fe80::1%eth0]/s",
            "//[fe80::1%eth0]/s",
            r"\fe80--1seth0.ipv6-literal.net\s",
        ),
        (
            "//[::1]/s/a:b",
            "//[::1]/s/a:b",
            r"\--1.ipv6-literal.net\s\a:b",
        ),
    ] {
        let p = path(text);
        assert_eq!(p.to_string(), device);
        assert_eq!(p.request().to_string(), request);
        let expected: Vec<u8> = request.encode_utf16().flat_map(u16::to_le_bytes).collect();
        let mut bytes = vec![0; p.units() * 2];
        p.emit(&mut Writer::new(&mut bytes)).unwrap();
        assert_eq!(bytes, expected);
        assert_eq!(p.emit(&mut Writer::new(&mut bytes[1..])), Err(NoSpace));
        let again = path(request);
        assert_eq!(again, p);
        assert_eq!(again.hash(7), p.hash(7));
    }
}

#[test]
fn refused() {
    let long = format!("//h/{}", "a".repeat(MAX_COMPONENT + 1));
    let wide = format!("//h/{}", "\u{1f600}".repeat(MAX_COMPONENT / 2 + 1));
    let longer = format!("//h/s{}", format!("/{}", "a".repeat(200)).repeat(21));
    for (text, why) in [
        ("", BadPath::Start),
        ("host/share", BadPath::Start),
        ("/", BadPath::NoHost),
        ("////", BadPath::NoHost),
        ("//host", BadPath::NoShare),
        (r"\\host\", BadPath::NoShare),
        ("//./share", BadPath::Dots),
        ("//host/..", BadPath::Dots),
        ("//host/share/../x", BadPath::Dots),
        ("//host/share/x/.", BadPath::Dots),
        ("//ho\0st/share", BadPath::Control),
        ("//host/sh\nare", BadPath::Control),
        ("//host/share/\u{85}", BadPath::Control),
        ("//host:445/share", BadPath::Host),
        ("//fe80::1/share", BadPath::Host),
        ("//[fe80::1/share", BadPath::Host),
        ("//[fe80::1]x/share", BadPath::Host),
        ("//[fe80::1%]/share", BadPath::Host),
        ("//[fe80::1%a b]/share", BadPath::Host),
        ("//[1.2.3.4]/share", BadPath::Host),
        ("//[]/share", BadPath::Host),
        ("//a b/share", BadPath::Host),
        ("//host/sh*re", BadPath::Share),
        (&long, BadPath::TooLong),
        (&wide, BadPath::TooLong),
        (&longer, BadPath::TooLong),
    ] {
        assert_eq!(Path::parse(text).err(), Some(why), "{text:?}");
    }
    assert_eq!(Path::device("/host/share").err(), Some(BadPath::Start));
    assert!(Path::device(r"/\host/share").is_ok());
}

#[test]
fn parts() {
    let p = path(r"\\Host\\share\a/b//");
    assert_eq!((p.host(), p.share(), p.depth()), ("Host", "share", 4));
    assert!(p.directories().eq(["a", "b"]));
    assert!(p.below(3).eq(["b"]) && p.below(4).eq([""; 0]) && p.below(9).eq([""; 0]));
    let walk: Vec<String> = p.prefixes().map(|p| p.request().to_string()).collect();
    assert_eq!(walk, [r"\Host\share\a\b", r"\Host\share\a", r"\Host\share"]);
    assert!(p.prefixes().map(|p| p.depth()).eq([4, 3, 2]));
    assert!(p.starts_with(&path("//hOST/SHARE")) && p.starts_with(&p));
    assert!(!p.starts_with(&path("//host/share/a/b/c")));
    assert!(!p.starts_with(&path("//host/shar")));
    assert_eq!(p.prefix(1), None);
    assert_eq!(p.prefix(5), None);
    assert_eq!(path("//h/s").parent(), None);
}

#[test]
fn equal_but_for_case() {
    for (a, b) in [
        ("//HOST/Share/ä", r"\host\sHARE\Ä"),
        ("//[FE80::1]/s", "//[fe80:0:0::0001]/S"),
        ("//[fe80::1%ETH0]/s", "//FE80--1Seth0.IPv6-Literal.NET/s"),
    ] {
        assert_eq!(path(a), path(b));
        assert_eq!(path(a).hash(1), path(b).hash(1));
        assert_ne!(path(a).hash(1), path(a).hash(2));
    }
    for (a, b) in [
        ("//h/s", "//h/s/a"),
        ("//h/s/ab", "//h/s/a/b"),
        ("//hs/a", "//h/sa"),
        ("//h/straße", "//h/STRASSE"),
        ("//[fe80::1]/s", "//[fe80::1%1]/s"),
        ("//[fe80::1]/s", "//fe80--1/s"),
    ] {
        assert_ne!(path(a), path(b));
        assert_ne!(path(a).hash(1), path(b).hash(1));
    }
    // A name that only looks like an address is a name.
    assert_eq!(path("//x.ipv6-literal.net/s").ipv6(), None);
    assert!(path("//2001-db8--1.ipv6-literal.net/s").ipv6().is_some());
}

#[test]
fn consumed() {
    // Units at which components end: \host 5, \share 11, \a😀 15, \b 17.
    let p = path("//host//share/a\u{1f600}/b/");
    assert_eq!(p.units(), 17);
    for units in 0..=20u16 {
        let depth = match units {
            11 | 12 => Some(2),
            15 | 16 => Some(3),
            17 | 18 => Some(4),
            _ => None,
        };
        assert_eq!(p.consumed(units * 2), depth, "{units}");
        assert_eq!(p.consumed(units * 2 + 1), depth, "odd {units}");
    }
    assert_eq!(p.consumed(u16::MAX), None);
    // The address is counted as it is sent.
    let p = path("//[::1]/s/a");
    let sent = r"\--1.ipv6-literal.net\s".len() as u16;
    assert_eq!(p.consumed(sent * 2), Some(2));
    // A component of one character: its end is not taken for the separator before it.
    let p = path("//h/s/a/b");
    assert_eq!(
        [8, 10, 12, 14, 16, 18].map(|n| p.consumed(n)),
        [Some(2), Some(2), Some(3), Some(3), Some(4), Some(4),]
    );
}

#[test]
fn rebase() {
    let p = path("//domain/dfs/link/sub/file");
    let target = path(r"\srv\share\deep");
    let mut buffer = [0; 64];
    let new = p.rebase(3, &target, &mut buffer).unwrap();
    assert_eq!(new.to_string(), "//srv/share/deep/sub/file");
    let exact = new.to_string().len();
    assert!(p.rebase(3, &target, &mut vec![0; exact]).is_ok());
    assert_eq!(p.rebase(3, &target, &mut vec![0; exact - 1]), Err(NoSpace));
    let new = p.rebase(5, &target, &mut buffer).unwrap();
    assert_eq!(new, target);
}

fn component() -> impl Strategy<Value = String> {
    "[a-zäÖß\u{1f600}0-9][a-z. $]{0,6}[a-z]"
}

fn parts_of() -> impl Strategy<Value = Vec<String>> {
    (
        "[a-z][a-z0-9.-]{0,8}[a-z0-9]",
        "[a-z]{1,8}\\$?",
        prop::collection::vec(component(), 0..5),
    )
        .prop_map(|(host, share, rest)| [host, share].into_iter().chain(rest).collect())
}

fn spell(parts: &[String], separators: &[String], trail: &str) -> String {
    let mut text = String::new();
    for (i, part) in parts.iter().enumerate() {
        text += separators.get(i).map_or("/", |s| s);
        text += part;
    }
    text + trail
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn any_text(text in "[/\\\\a.\\[\\]:% \u{1f600}\u{7}]{0,40}") {
        match Path::parse(&text) {
            Ok(p) => {
                let canonical = p.request().to_string();
                prop_assert_eq!(Path::parse(&canonical), Ok(p));
                prop_assert_eq!(check(text.chars()), Ok(p.depth()));
                prop_assert_eq!(p.components().count(), p.depth());
                prop_assert_eq!(p.units(), canonical.encode_utf16().count());
            }
            Err(_) => prop_assert!(!text.starts_with(['/', '\\']) || check(text.chars()).is_err()),
        }
    }

    #[test]
    fn any_spelling(
        parts in parts_of(),
        seps in prop::collection::vec("[/\\\\]{1,3}", 7),
        trail in "[/\\\\]{0,2}",
    ) {
        let text = spell(&parts, &seps, &trail);
        let p = path(&text);
        prop_assert!(p.components().eq(parts.iter()));
        let plain = spell(&parts, &[], "");
        prop_assert_eq!(p, path(&plain));
        prop_assert_eq!(p.hash(3), path(&plain).hash(3));
        let upper: Vec<String> = parts.iter().map(|s| s.to_ascii_uppercase()).collect();
        let upper = spell(&upper, &seps, "");
        prop_assert_eq!(p, path(&upper));
        // What a server counts for a prefix leads back to that prefix, and to nothing else.
        for prefix in p.prefixes() {
            let units = u16::try_from(prefix.units()).unwrap();
            prop_assert_eq!(p.consumed(units * 2), Some(prefix.depth()));
            prop_assert!(p.starts_with(&prefix));
        }
        for bytes in (0..160).step_by(2) {
            if let Some(depth) = p.consumed(bytes) {
                let end = p.prefix(depth).unwrap().units();
                prop_assert!([end, end + 1].contains(&usize::from(bytes / 2)));
            }
        }
    }
}
