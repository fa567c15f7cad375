// SPDX-License-Identifier: GPL-2.0
//! What travels on the TCP stream: the length in front of a frame, what kind of frame it is, and
//! the messages chained in it (MS-SMB2 2.1, 2.2.1 and 3.2.5.1).

use crate::codec::{size, Malformed, NoSpace, Reader};
use crate::smb2::{Message, HEADER_LEN};

/// Length of what stands in front of a frame on TCP, in bytes.
pub const PREFIX_LEN: usize = 4;

/// The longest frame the prefix can announce, in bytes.
///
/// The largest read or write is 8 MiB, so this bounds what a server makes us receive without
/// forbidding anything a server may send.
pub const MAX_LEN: usize = 0x00ff_ffff;

/// The longest read, write or transact payload that still fits a frame with its headers, in bytes.
pub const MAX_PAYLOAD: u32 = 0x0080_0000;

/// The prefix for a frame of `len` bytes.
///
/// Errors: `NoSpace` when the length does not fit 24 bits.
pub fn prefix(len: usize) -> Result<[u8; PREFIX_LEN], NoSpace> {
    match u32::try_from(len) {
        Ok(n) if len <= MAX_LEN => Ok(n.to_be_bytes()),
        _ => Err(NoSpace),
    }
}

/// The length of the frame that follows `prefix`, in bytes; 0 for a keep-alive, which nothing
/// follows.
///
/// Errors: `Malformed` when the type byte is neither a session message nor a NetBIOS keep-alive
/// (RFC 1002 4.3.1), or when the frame could not even hold a header.
pub fn length(prefix: [u8; PREFIX_LEN]) -> Result<usize, Malformed> {
    let word = u32::from_be_bytes(prefix);
    let len = size(word & 0x00ff_ffff);
    match word >> 24 {
        0x00 if len >= 4 => Ok(len),
        0x85 if len == 0 => Ok(0),
        _ => Err(Malformed),
    }
}

/// What kind of frame it is, by its first four bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// SMB1 (0xff): only in answer to an SMB1 negotiate.
    Smb1,
    /// One or more plain SMB2 messages (0xfe).
    Smb2,
    /// A transform header: sealed (0xfd).
    Sealed,
    /// A compression transform header (0xfc), which rsdfs never negotiates.
    Compressed,
}

/// Tells the kind of a frame.
///
/// Errors: `Malformed` for anything that is not SMB.
pub fn kind(frame: &[u8]) -> Result<Kind, Malformed> {
    match Reader::new(frame).array::<4>()? {
        [0xff, b'S', b'M', b'B'] => Ok(Kind::Smb1),
        [0xfe, b'S', b'M', b'B'] => Ok(Kind::Smb2),
        [0xfd, b'S', b'M', b'B'] => Ok(Kind::Sealed),
        [0xfc, b'S', b'M', b'B'] => Ok(Kind::Compressed),
        _ => Err(Malformed),
    }
}

/// The messages of a plain (or unsealed) frame, in order.
pub const fn messages(frame: &[u8]) -> Messages<'_> {
    Messages { rest: Some(frame) }
}

/// Iterator over the elements of a compound; see [`messages`].
///
/// The offset to the next element only moves forward, is a multiple of eight and leaves room for
/// a header on both sides; after the first violation the iterator ends.
#[derive(Clone, Debug)]
pub struct Messages<'a> {
    rest: Option<&'a [u8]>,
}

impl<'a> Messages<'a> {
    fn step(&mut self, rest: &'a [u8]) -> Result<Message<'a>, Malformed> {
        let message = Message::parse(rest)?;
        let next = size(message.header.next);
        if next == 0 {
            return Ok(message);
        }
        if next < HEADER_LEN || next.checked_rem(8) != Some(0) {
            return Err(Malformed);
        }
        let (bytes, tail) = rest.split_at_checked(next).ok_or(Malformed)?;
        if tail.is_empty() {
            return Err(Malformed);
        }
        self.rest = Some(tail);
        Ok(Message { bytes, ..message })
    }
}

impl<'a> Iterator for Messages<'a> {
    type Item = Result<Message<'a>, Malformed>;

    fn next(&mut self) -> Option<Self::Item> {
        let rest = self.rest.take()?;
        Some(self.step(rest))
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::indexing_slicing)]
mod tests {
    use super::*;
    use std::vec::Vec;

    #[test]
    fn prefixes() {
        assert_eq!(prefix(0x12_3456), Ok([0, 0x12, 0x34, 0x56]));
        assert_eq!(prefix(MAX_LEN), Ok([0, 0xff, 0xff, 0xff]));
        assert_eq!(prefix(MAX_LEN + 1), Err(NoSpace));
        assert_eq!(length([0, 0x12, 0x34, 0x56]), Ok(0x12_3456));
        assert_eq!(length([0x85, 0, 0, 0]), Ok(0));
        assert_eq!(length([0, 0, 0, 3]), Err(Malformed));
        assert_eq!(length([1, 0, 0, 64]), Err(Malformed));
        assert_eq!(length([0x85, 0, 0, 1]), Err(Malformed));
    }

    #[test]
    fn kinds() {
        assert_eq!(kind(b"\xfeSMB..."), Ok(Kind::Smb2));
        assert_eq!(kind(b"\xffSMB"), Ok(Kind::Smb1));
        assert_eq!(kind(b"\xfdSMB"), Ok(Kind::Sealed));
        assert_eq!(kind(b"\xfcSMB"), Ok(Kind::Compressed));
        assert_eq!(kind(b"\xfeSM"), Err(Malformed));
        assert_eq!(kind(b"GET "), Err(Malformed));
    }

    fn element(next: u32, len: usize) -> Vec<u8> {
        let mut m = std::vec![0; len];
        m[..4].copy_from_slice(b"\xfeSMB");
        m[4] = 64;
        m[20..24].copy_from_slice(&next.to_le_bytes());
        m
    }

    #[test]
    fn compounds() {
        let mut frame = element(72, 72);
        frame.extend(element(64, 64));
        frame.extend(element(0, 77));
        let all: Vec<_> = messages(&frame).map(|m| m.unwrap().bytes.len()).collect();
        assert_eq!(all, [72, 64, 77]);

        for bad in [1, 8, 63, 65, 71, 80, 0xffff_fff8] {
            let mut frame = element(bad, 72);
            frame.extend([0; 4]);
            let all: Vec<_> = messages(&frame).collect();
            assert_eq!(all.len(), 1, "{bad}");
            assert!(all[0].is_err(), "{bad}");
        }
        // The next element exists but is no message.
        let mut frame = element(72, 72);
        frame.extend([0; 64]);
        let all: Vec<_> = messages(&frame).collect();
        assert!(all[0].is_ok() && all[1].is_err() && all.len() == 2);
        // It announces a next element that is not there.
        assert!(messages(&element(64, 64)).next().unwrap().is_err());
    }
}
