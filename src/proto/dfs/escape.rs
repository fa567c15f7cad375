// SPDX-License-Identifier: GPL-2.0
//! Text in one field of a line: odd characters as the octal numbers of their bytes, as in
//! `/proc/mounts`.

use core::fmt;

use crate::codec::Writer;

/// Whether `c` is not shown as it is: blank, backslash, `#`, and what cannot be printed.
fn is_odd(c: char) -> bool {
    matches!(c, ' ' | '\\' | '#' | '\u{2028}' | '\u{2029}') || c.is_control()
}

/// Shows characters without odd ones.
#[derive(Clone, Debug)]
pub struct Escaped<C>(pub C);

impl<C: Iterator<Item = char> + Clone> fmt::Display for Escaped<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut run = Run::new();
        for c in self.0.clone() {
            if !is_odd(c) {
                run.push(c, f)?;
                continue;
            }
            run.flush(f)?;
            let mut bytes = [0; 4];
            let mut bytes = c.encode_utf8(&mut bytes).bytes();
            bytes.try_for_each(|byte| write!(f, "\\{byte:03o}"))?;
        }
        run.flush(f)
    }
}

/// Characters on their way out, some at a time: a call for each would be slow.
struct Run {
    bytes: [u8; 64],
    len: usize,
}

impl Run {
    const fn new() -> Self {
        Self {
            bytes: [0; 64],
            len: 0,
        }
    }

    fn push(&mut self, c: char, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let end = self.len.saturating_add(c.len_utf8());
        if end > self.bytes.len() {
            self.flush(f)?;
        }
        let end = self.len.saturating_add(c.len_utf8());
        let mut bytes = [0; 4];
        let bytes = c.encode_utf8(&mut bytes).as_bytes();
        if let Some(room) = self.bytes.get_mut(self.len..end) {
            for (to, from) in room.iter_mut().zip(bytes) {
                *to = *from;
            }
            self.len = end;
        }
        Ok(())
    }

    fn flush(&mut self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let bytes = self.bytes.get(..self.len).unwrap_or_default();
        self.len = 0;
        f.write_str(core::str::from_utf8(bytes).unwrap_or_default())
    }
}

/// Shows a text without odd characters.
pub fn escaped(text: &str) -> Escaped<core::str::Chars<'_>> {
    Escaped(text.chars())
}

/// Why an escaped text cannot be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BadEscape {
    /// A backslash is not followed by an octal number of three digits, 000 to 377.
    Octal,
    /// The bytes are no UTF-8.
    Utf8,
    /// It does not fit the buffer.
    TooLong,
}

/// Reads an escaped text into `buffer`; returns the part that was filled.
pub fn unescape<'b>(text: &str, buffer: &'b mut [u8]) -> Result<&'b str, BadEscape> {
    let mut w = Writer::new(buffer);
    let mut rest = text.as_bytes();
    while let Some((first, tail)) = rest.split_first() {
        let byte;
        (byte, rest) = match (first, tail.split_first_chunk::<3>()) {
            (b'\\', Some((digits, tail))) => (octal(*digits).ok_or(BadEscape::Octal)?, tail),
            (b'\\', None) => return Err(BadEscape::Octal),
            (byte, _) => (*byte, tail),
        };
        w.put(&[byte]).map_err(|_| BadEscape::TooLong)?;
    }
    let len = w.written();
    let bytes = buffer.get(..len).ok_or(BadEscape::TooLong)?;
    core::str::from_utf8(bytes).map_err(|_| BadEscape::Utf8)
}

fn octal(digits: [u8; 3]) -> Option<u8> {
    let value = digits.into_iter().try_fold(0u32, |value, digit| {
        let digit = char::from(digit).to_digit(8)?;
        Some((value << 3) | digit)
    })?;
    u8::try_from(value).ok()
}
