// SPDX-License-Identifier: GPL-2.0
//! UTF-16LE on the wire, UTF-8 on this side, and names that Windows forbids but Linux allows.
//!
//! Nothing is lost on the way: an unpaired surrogate, which NTFS allows in a file name, becomes the
//! three bytes that UTF-8's rule gives for it (as in WTF-8) and turns back into itself. Bytes that
//! are neither UTF-8 nor such a surrogate cannot be sent and are refused.
//!
//! With [`Map::Sfm`] the characters `: * ? " < > | \`, control characters, and a space or dot at
//! the end of a component live in the private use area on the server, at the same places where
//! Services for Macintosh and cifs.ko (`mapposix`) put them.

use crate::codec::{Malformed, NoSpace, Reader, Writer};

/// How characters that a server forbids in names are carried.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Map {
    /// As they are.
    None,
    /// In the private use area U+F001 to U+F029.
    #[default]
    Sfm,
}

/// Why a name could not be turned into UTF-8.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NameError {
    /// It is no file name: empty, an odd number of bytes, or holding `/` or NUL.
    Malformed,
    /// It does not fit the caller's buffer.
    NoSpace,
}

/// The characters of [`Map::Sfm`] that move wherever they stand, by their low byte in U+F0xx.
const RESERVED: [(u8, u8); 8] = [
    (b'"', 0x20),
    (b'*', 0x21),
    (b':', 0x22),
    (b'<', 0x23),
    (b'>', 0x24),
    (b'?', 0x25),
    (b'\\', 0x26),
    (b'|', 0x27),
];

/// The characters of [`Map::Sfm`] that move only at the end of a component.
const TRAILING: [(u8, u8); 2] = [(b' ', 0x28), (b'.', 0x29)];

/// The bytes that `text` takes in UTF-16LE.
pub fn len(text: &str) -> usize {
    text.chars()
        .fold(0, |n: usize, c| n.saturating_add(width(u32::from(c))))
}

/// Writes `text` in UTF-16LE, without a terminator.
pub fn put(w: &mut Writer<'_>, text: &str) -> Result<(), NoSpace> {
    text.chars().try_for_each(|c| put_point(w, u32::from(c)))
}

/// The bytes that one component `name` takes in UTF-16LE.
///
/// Errors: `Malformed` when `name` is not UTF-8 (unpaired surrogates allowed).
pub fn name_len(name: &[u8], map: Map) -> Result<usize, Malformed> {
    Encode::new(name, map).try_fold(0, |n: usize, c| Ok(n.saturating_add(width(c?))))
}

/// Writes one component `name` in UTF-16LE; [`name_len`] says how long it gets.
///
/// Errors: `NoSpace` when it does not fit or is not UTF-8, which [`name_len`] tells apart.
pub fn put_name(w: &mut Writer<'_>, name: &[u8], map: Map) -> Result<(), NoSpace> {
    Encode::new(name, map).try_for_each(|c| put_point(w, c.map_err(|_| NoSpace)?))
}

/// The bytes that `path`, components separated by `/`, takes in UTF-16LE.
///
/// Errors: as [`name_len`].
pub fn path_len(path: &[u8], map: Map) -> Result<usize, Malformed> {
    let mut n: usize = 0;
    let mut slash = 0;
    for name in path.split(|&b| b == b'/') {
        n = n.saturating_add(slash).saturating_add(name_len(name, map)?);
        slash = 2;
    }
    Ok(n)
}

/// Writes `path`, components separated by `/`, in UTF-16LE with `\` between them.
///
/// Errors: as [`put_name`].
pub fn put_path(w: &mut Writer<'_>, path: &[u8], map: Map) -> Result<(), NoSpace> {
    let mut names = path.split(|&b| b == b'/');
    if let Some(first) = names.next() {
        put_name(w, first, map)?;
    }
    names.try_for_each(|name| {
        put_point(w, u32::from('\\'))?;
        put_name(w, name, map)
    })
}

/// The code points of UTF-16LE `bytes`; an unpaired surrogate stands for itself.
///
/// Errors: `Malformed` when the number of bytes is odd.
pub fn points(bytes: &[u8]) -> Result<Points<'_>, Malformed> {
    match bytes.len().checked_rem(2) {
        Some(0) => Ok(Points {
            units: Reader::new(bytes),
        }),
        _ => Err(Malformed),
    }
}

/// The characters of UTF-16LE `bytes`, an unpaired surrogate being an error.
///
/// For what is text and no file name: host names, share names, domains.
pub fn chars(
    bytes: &[u8],
) -> Result<impl Iterator<Item = Result<char, Malformed>> + '_, Malformed> {
    Ok(points(bytes)?.map(|c| char::from_u32(c).ok_or(Malformed)))
}

/// The bytes that UTF-16LE `bytes` take in UTF-8.
///
/// Errors: `Malformed` when the number of bytes is odd.
pub fn utf8_len(bytes: &[u8]) -> Result<usize, Malformed> {
    Ok(points(bytes)?.fold(0, |n: usize, c| n.saturating_add(utf8_width(c))))
}

/// Turns UTF-16LE text into UTF-8 in `out` and returns the part that was filled.
///
/// Errors: an odd number of bytes, an unpaired surrogate, or no space.
pub fn decode<'o>(bytes: &[u8], out: &'o mut [u8]) -> Result<&'o str, NameError> {
    let mut w = Writer::new(out);
    for c in chars(bytes).map_err(|_| NameError::Malformed)? {
        let c = c.map_err(|_| NameError::Malformed)?;
        w.put(c.encode_utf8(&mut [0; 4]).as_bytes())
            .map_err(|_| NameError::NoSpace)?;
    }
    let n = w.written();
    let text = out.get(..n).ok_or(NameError::NoSpace)?;
    core::str::from_utf8(text).map_err(|_| NameError::Malformed)
}

/// Turns one file name from the wire into the bytes of a Linux name in `out` and returns the part
/// that was filled.
///
/// A name that Linux cannot hold as one component is refused, so that a server cannot lead a path
/// elsewhere; `.` and `..` come through for directory listings.
pub fn decode_name<'o>(bytes: &[u8], map: Map, out: &'o mut [u8]) -> Result<&'o [u8], NameError> {
    let mut w = Writer::new(out);
    let mut rest = points(bytes).map_err(|_| NameError::Malformed)?;
    while let Some(wire) = rest.next() {
        let c = match map {
            Map::Sfm => from_private(wire, rest.units.is_empty()),
            Map::None => wire,
        };
        if c == 0 || c == u32::from('/') {
            return Err(NameError::Malformed);
        }
        put_utf8(&mut w, c).map_err(|_| NameError::NoSpace)?;
    }
    match w.written() {
        0 => Err(NameError::Malformed),
        n => out.get(..n).ok_or(NameError::NoSpace),
    }
}

/// Folds the case of `c` the way servers compare names: simple upper case.
///
/// Only where upper case is one character, and never from outside ASCII into it, so that a
/// look-alike is not taken for the name.
pub fn fold(c: char) -> char {
    if c.is_ascii() {
        return c.to_ascii_uppercase();
    }
    let mut upper = c.to_uppercase();
    match (upper.next(), upper.next()) {
        (Some(u), None) if !u.is_ascii() => u,
        _ => c,
    }
}

/// Whether `a` and `b` are the same name to a server that ignores case.
pub fn same(a: &str, b: &str) -> bool {
    same_chars(a.chars(), b.chars())
}

/// As [`same`], of characters from wherever.
pub(crate) fn same_chars(
    mut a: impl Iterator<Item = char>,
    mut b: impl Iterator<Item = char>,
) -> bool {
    loop {
        match (a.next(), b.next()) {
            (None, None) => return true,
            (Some(a), Some(b)) if fold(a) == fold(b) => {}
            _ => return false,
        }
    }
}

/// Whether UTF-16LE `wire` and `text` are the same name to a server that ignores case; malformed
/// bytes are the same as nothing.
pub fn same_as(wire: &[u8], text: &str) -> bool {
    let Ok(mut points) = points(wire) else {
        return false;
    };
    let same = |c: char| {
        let other = points.next().and_then(char::from_u32);
        other.is_some_and(|other| fold(other) == fold(c))
    };
    text.chars().all(same) && points.next().is_none()
}

/// Iterator over the code points of UTF-16LE bytes; see [`points`].
#[derive(Clone, Debug)]
pub struct Points<'a> {
    units: Reader<'a>,
}

impl Points<'_> {
    /// The code points of nothing.
    pub const NONE: Self = Self {
        units: Reader::new(&[]),
    };
}

impl Iterator for Points<'_> {
    type Item = u32;

    fn next(&mut self) -> Option<u32> {
        let high = u32::from(self.units.u16().ok()?);
        if !(0xd800..0xdc00).contains(&high) {
            return Some(high);
        }
        let mut ahead = self.units;
        match ahead.u16().map(u32::from) {
            Ok(low) if (0xdc00..0xe000).contains(&low) => {
                self.units = ahead;
                let upper = (high & 0x3ff) << 10;
                Some((upper | (low & 0x3ff)).saturating_add(0x1_0000))
            }
            _ => Some(high),
        }
    }
}

/// The code points to send for a component given in bytes.
struct Encode<'a> {
    rest: Reader<'a>,
    map: Map,
}

impl<'a> Encode<'a> {
    fn new(name: &'a [u8], map: Map) -> Self {
        Self {
            rest: Reader::new(name),
            map,
        }
    }
}

impl Iterator for Encode<'_> {
    type Item = Result<u32, Malformed>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.rest.is_empty() {
            return None;
        }
        let point = point(&mut self.rest);
        if point.is_err() {
            self.rest = Reader::new(&[]);
        }
        Some(point.map(|c| match self.map {
            Map::Sfm => to_private(c, self.rest.is_empty()),
            Map::None => c,
        }))
    }
}

/// The next code point of UTF-8 bytes that may hold encoded surrogates.
fn point(r: &mut Reader<'_>) -> Result<u32, Malformed> {
    let lead = r.u8()?;
    let (more, bits, least) = match lead {
        0x00..=0x7f => return Ok(u32::from(lead)),
        0xc2..=0xdf => (1, lead & 0x1f, 0x80),
        0xe0..=0xef => (2, lead & 0x0f, 0x800),
        0xf0..=0xf4 => (3, lead & 0x07, 0x1_0000),
        _ => return Err(Malformed),
    };
    let mut c = u32::from(bits);
    for _ in 0..more {
        let next = r.u8()?;
        if next & 0xc0 != 0x80 {
            return Err(Malformed);
        }
        c = (c << 6) | u32::from(next & 0x3f);
    }
    if (least..=0x10_ffff).contains(&c) {
        Ok(c)
    } else {
        Err(Malformed)
    }
}

fn to_private(c: u32, last: bool) -> u32 {
    let Ok(byte) = u8::try_from(c) else { return c };
    if (0x01..=0x1f).contains(&byte) {
        return 0xf000 | c;
    }
    RESERVED
        .iter()
        .chain(TRAILING.iter().filter(|_| last))
        .find(|(plain, _)| *plain == byte)
        .map_or(c, |(_, low)| 0xf000 | u32::from(*low))
}

fn from_private(c: u32, last: bool) -> u32 {
    if c & 0xff00 != 0xf000 || c > 0xffff {
        return c;
    }
    let low = c & 0xff;
    if (0x01..=0x1f).contains(&low) {
        return low;
    }
    RESERVED
        .iter()
        .chain(TRAILING.iter().filter(|_| last))
        .find(|(_, l)| u32::from(*l) == low)
        .map_or(c, |(plain, _)| u32::from(*plain))
}

/// The bytes that a code point takes in UTF-16.
const fn width(c: u32) -> usize {
    if c < 0x1_0000 {
        2
    } else {
        4
    }
}

/// The bytes that a code point takes in UTF-8.
const fn utf8_width(c: u32) -> usize {
    match c {
        0..=0x7f => 1,
        0x80..=0x7ff => 2,
        0x800..=0xffff => 3,
        _ => 4,
    }
}

fn put_point(w: &mut Writer<'_>, c: u32) -> Result<(), NoSpace> {
    if let Ok(unit) = u16::try_from(c) {
        return w.u16(unit);
    }
    let c = c.saturating_sub(0x1_0000);
    w.u16(0xd800 | unit(c >> 10))?;
    w.u16(0xdc00 | unit(c))
}

/// The low ten bits.
fn unit(c: u32) -> u16 {
    u16::try_from(c & 0x3ff).unwrap_or(0)
}

fn put_utf8(w: &mut Writer<'_>, c: u32) -> Result<(), NoSpace> {
    match char::from_u32(c) {
        Some(c) => w.put(c.encode_utf8(&mut [0; 4]).as_bytes()),
        // An unpaired surrogate: the rule of three-byte UTF-8.
        None => {
            let tail = |shift: u32| u8::try_from((c >> shift) & 0x3f).unwrap_or(0) | 0x80;
            w.put(&[0xed, tail(6), tail(0)])
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::indexing_slicing)]
mod tests {
    use super::*;
    use std::vec::Vec;

    fn wire(name: &[u8], map: Map) -> Result<Vec<u8>, Malformed> {
        let mut out = std::vec![0; name_len(name, map)?];
        let mut w = Writer::new(&mut out);
        put_name(&mut w, name, map).unwrap();
        assert_eq!(w.room(), 0);
        Ok(out)
    }

    fn units(u: &[u16]) -> Vec<u8> {
        u.iter().flat_map(|u| u.to_le_bytes()).collect()
    }

    fn back(bytes: &[u8], map: Map) -> Result<Vec<u8>, NameError> {
        decode_name(bytes, map, &mut [0; 1024]).map(|b| b.to_vec())
    }

    #[test]
    fn text_both_ways() {
        for text in [
            "",
            "share",
            "Übergrößenträger",
            "日本",
            "\u{1f600}x\u{10ffff}",
        ] {
            let mut out = std::vec![0; len(text)];
            put(&mut Writer::new(&mut out), text).unwrap();
            let expected: Vec<u16> = text.encode_utf16().collect();
            assert_eq!(out, units(&expected));
            assert_eq!(utf8_len(&out), Ok(text.len()));
            assert_eq!(decode(&out, &mut [0; 64]), Ok(text));
            assert!(same_as(&out, text));
        }
        assert_eq!(decode(&[0x41], &mut [0; 4]), Err(NameError::Malformed));
        assert_eq!(
            decode(&[0x41, 0, 0x42, 0], &mut [0; 1]),
            Err(NameError::NoSpace)
        );
        assert_eq!(
            decode(&units(&[0xd800]), &mut [0; 8]),
            Err(NameError::Malformed)
        );
    }

    #[test]
    fn forbidden_characters_move() {
        assert_eq!(
            wire(b"a:*?\"<>|\\b", Map::Sfm).unwrap(),
            units(&[0x61, 0xf022, 0xf021, 0xf025, 0xf020, 0xf023, 0xf024, 0xf027, 0xf026, 0x62])
        );
        assert_eq!(
            wire(b". a. ", Map::Sfm).unwrap(),
            units(&[0x2e, 0x20, 0x61, 0x2e, 0xf028])
        );
        assert_eq!(wire(b"a.", Map::Sfm).unwrap(), units(&[0x61, 0xf029]));
        assert_eq!(
            wire(b"\x01\x1f", Map::Sfm).unwrap(),
            units(&[0xf001, 0xf01f])
        );
        assert_eq!(wire(b"a:.", Map::None).unwrap(), units(&[0x61, 0x3a, 0x2e]));
        // In the middle, a mapped space is somebody's real name and comes back as itself.
        let odd = units(&[0xf028, 0x61]);
        assert_eq!(wire(&back(&odd, Map::Sfm).unwrap(), Map::Sfm).unwrap(), odd);
    }

    #[test]
    fn unpaired_surrogates_survive() {
        for u in [
            &[0xd800][..],
            &[0xdc00, 0xd800],
            &[0x61, 0xdfff, 0x62],
            &[0xd83d, 0xd83d, 0xde00],
        ] {
            let bytes = units(u);
            assert_eq!(
                wire(&back(&bytes, Map::Sfm).unwrap(), Map::Sfm).unwrap(),
                bytes
            );
        }
    }

    #[test]
    fn what_is_no_name() {
        for bad in [
            &b"\xff"[..],
            b"\xc0\x80",
            b"\xe0\x80\x80",
            b"a\xc3",
            b"\xf4\x90\x80\x80",
            b"\x80",
        ] {
            assert_eq!(wire(bad, Map::Sfm), Err(Malformed), "{bad:?}");
        }
        assert_eq!(back(&units(&[0x2f]), Map::Sfm), Err(NameError::Malformed));
        assert_eq!(
            back(&units(&[0x61, 0]), Map::Sfm),
            Err(NameError::Malformed)
        );
        assert_eq!(back(&[], Map::Sfm), Err(NameError::Malformed));
        assert_eq!(back(&[0x61], Map::Sfm), Err(NameError::Malformed));
    }

    #[test]
    fn paths() {
        let path = "a:/b./c".as_bytes();
        let mut out = std::vec![0; path_len(path, Map::Sfm).unwrap()];
        put_path(&mut Writer::new(&mut out), path, Map::Sfm).unwrap();
        assert_eq!(out, units(&[0x61, 0xf022, 0x5c, 0x62, 0xf029, 0x5c, 0x63]));
    }

    #[test]
    fn folding() {
        assert!(same("Dfs-Wurzel", "dfs-wURZEL"));
        assert!(same("größe", "GRÖßE"));
        assert!(!same("straße", "STRASSE"));
        assert!(!same("ı", "I"));
        assert!(!same("ſ", "s"));
        assert!(!same("a", "ab"));
        assert!(!same_as(&[0x61], "a"));
    }
}
