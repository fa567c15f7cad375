// SPDX-License-Identifier: GPL-2.0
//! Frames cut out of a TCP stream that is received ahead.
//!
//! What has arrived goes into a [`Carry`], whose buffer is the caller's, and [`Carry::cut`] says what to do with
//! it. One receive so brings a whole small frame, or several. A frame that cannot be in the carry
//! as a whole is announced as soon as its head is there, and its rest is received to where it
//! belongs; of it no more than the size of the carry is copied twice.
//!
//! ```text
//! cut -> Short:  receive into room(), filled(n), cut again
//!        Whole:  deal with the frame, then used(its length)
//!        Begun:  take what is here, then used_all(); receive the rest of the frame, and no more
//! ```
//!
//! Invariants: `start <= end <= buffer.len()`.

use crate::codec::Malformed;
use crate::frame::{self, PREFIX_LEN};
use crate::smb2::HEADER_LEN;

/// The fewest bytes of a frame that say what it is: an SMB2 header and the fixed part of a READ
/// response (MS-SMB2 2.2.20).
pub const HEAD_LEN: usize = HEADER_LEN + 16;

/// A good size for a carry, in bytes: room for the answer to a read of one page, with its head.
/// With less than [`PREFIX_LEN`] and [`HEAD_LEN`] together nothing longer is ever cut.
pub const CARRY_LEN: usize = 4096 + 256;

/// Bytes of a stream that were received and not used yet.
pub struct Carry<'b> {
    buffer: &'b mut [u8],
    start: usize,
    end: usize,
}

/// What the bytes in a [`Carry`] are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cut<'a> {
    /// Too little to go on with: receive more.
    Short,
    /// A frame, without its prefix.
    Whole(&'a [u8]),
    /// A frame of `length` bytes that does not fit, and its bytes that are here: [`HEAD_LEN`] at
    /// least, and not all.
    Begun {
        /// The length of the frame, in bytes.
        length: usize,
        /// Its first bytes.
        here: &'a [u8],
    },
}

impl<'b> Carry<'b> {
    /// An empty carry in `buffer`.
    pub fn new(buffer: &'b mut [u8]) -> Self {
        Self {
            buffer,
            start: 0,
            end: 0,
        }
    }

    /// Whether nothing is in it.
    pub const fn is_empty(&self) -> bool {
        self.start >= self.end
    }

    fn bytes(&self) -> &[u8] {
        self.buffer.get(self.start..self.end).unwrap_or_default()
    }

    /// Looks at the first frame. No frame may be longer than `limit` bytes.
    ///
    /// Errors: `Malformed` if it is longer, too short for an SMB2 header, or none.
    pub fn cut(&self, limit: usize) -> Result<Cut<'_>, Malformed> {
        let Some((prefix, rest)) = self.bytes().split_first_chunk::<PREFIX_LEN>() else {
            return Ok(Cut::Short);
        };
        let length = frame::length(*prefix)?;
        if length < HEADER_LEN || length > limit {
            return Err(Malformed);
        }
        if let Some(whole) = rest.get(..length) {
            return Ok(Cut::Whole(whole));
        }
        if length.saturating_add(PREFIX_LEN) <= self.buffer.len() || rest.len() < HEAD_LEN {
            return Ok(Cut::Short);
        }
        Ok(Cut::Begun { length, here: rest })
    }

    /// Where to receive to; never empty after [`Cut::Short`].
    pub fn room(&mut self) -> &mut [u8] {
        // Only what is behind a frame that was used: seldom anything, and never much.
        let count = self.end.saturating_sub(self.start);
        if self.start > 0 {
            for at in 0..count {
                let from = self.buffer.get(self.start.saturating_add(at)).copied();
                if let (Some(to), Some(from)) = (self.buffer.get_mut(at), from) {
                    *to = from;
                }
            }
            (self.start, self.end) = (0, count);
        }
        self.buffer.get_mut(self.end..).unwrap_or_default()
    }

    /// Says that `count` bytes were received into [`Carry::room`].
    pub fn filled(&mut self, count: usize) {
        self.end = self.end.saturating_add(count).min(self.buffer.len());
    }

    /// Says that a frame of `length` bytes was dealt with.
    pub fn used(&mut self, length: usize) {
        let next = self.start.saturating_add(PREFIX_LEN).saturating_add(length);
        self.start = next.min(self.end);
    }

    /// Says that everything here was dealt with.
    pub fn used_all(&mut self) {
        self.start = self.end;
    }
}

#[cfg(test)]
#[allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    clippy::panic
)]
mod tests {
    use super::*;
    use std::vec::Vec;

    const LIMIT: usize = 1 << 20;

    fn stream(lengths: &[usize]) -> Vec<u8> {
        let mut bytes = Vec::new();
        for (i, length) in lengths.iter().enumerate() {
            bytes.extend(frame::prefix(*length).unwrap());
            bytes.extend((0..*length).map(|at| u8::try_from((at * 7 + i) % 251).unwrap()));
        }
        bytes
    }

    /// Cuts a stream that arrives `step` bytes at a time, as the receiver does.
    fn cut_all(mut wire: &[u8], step: usize) -> (Vec<Vec<u8>>, usize) {
        let mut buffer = [0; CARRY_LEN];
        let (mut carry, mut frames, mut receives) = (Carry::new(&mut buffer), Vec::new(), 0);
        loop {
            match carry.cut(LIMIT).unwrap() {
                Cut::Short => {
                    if wire.is_empty() {
                        assert!(carry.is_empty());
                        return (frames, receives);
                    }
                    let room = carry.room();
                    let count = step.min(room.len()).min(wire.len());
                    assert!(count > 0, "no room for what is missing");
                    room[..count].copy_from_slice(&wire[..count]);
                    wire = &wire[count..];
                    carry.filled(count);
                    receives += 1;
                }
                Cut::Whole(whole) => {
                    let length = whole.len();
                    frames.push(whole.to_vec());
                    carry.used(length);
                }
                Cut::Begun { length, here } => {
                    assert!(here.len() >= HEAD_LEN && here.len() < length);
                    let mut all = here.to_vec();
                    let (rest, next) = wire.split_at(length - here.len());
                    all.extend(rest);
                    wire = next;
                    carry.used_all();
                    frames.push(all);
                    receives += 1;
                }
            }
        }
    }

    #[test]
    fn frames_come_out_as_they_went_in() {
        let fit = CARRY_LEN - PREFIX_LEN;
        let lengths = [
            HEADER_LEN,
            77,
            64,
            fit,
            fit + 1,
            70,
            4176,
            300_000,
            HEAD_LEN,
            4176,
            4177,
            65,
            100_000,
            fit - 1,
            64,
        ];
        let wire = stream(&lengths);
        for step in [
            1,
            2,
            3,
            63,
            64,
            80,
            83,
            84,
            85,
            1000,
            1448,
            4096,
            CARRY_LEN,
            usize::MAX,
        ] {
            let (frames, _) = cut_all(&wire, step);
            assert_eq!(frames.len(), lengths.len(), "{step}");
            for (i, (frame, length)) in frames.iter().zip(lengths).enumerate() {
                let sent: Vec<u8> = (0..length)
                    .map(|at| u8::try_from((at * 7 + i) % 251).unwrap())
                    .collect();
                assert_eq!(*frame, sent, "frame {i}, {step} at a time");
            }
        }
    }

    #[test]
    fn one_receive_brings_small_frames() {
        // The answers to a compound of create and close, and to a read of a page.
        assert_eq!(cut_all(&stream(&[348]), usize::MAX).1, 1);
        assert_eq!(cut_all(&stream(&[HEAD_LEN + 4096]), usize::MAX).1, 1);
        assert_eq!(cut_all(&stream(&[340, 340, 340]), usize::MAX).1, 1);
        // A large one takes two: its head, and the rest to where it belongs.
        assert_eq!(cut_all(&stream(&[HEAD_LEN + (1 << 19)]), usize::MAX).1, 2);
    }

    #[test]
    fn what_is_no_frame_is_refused_at_once() {
        let cut = |bytes: &[u8], limit| {
            let mut buffer = [0; CARRY_LEN];
            let mut carry = Carry::new(&mut buffer);
            carry.room()[..bytes.len()].copy_from_slice(bytes);
            carry.filled(bytes.len());
            carry.cut(limit).map(|cut| cut == Cut::Short)
        };
        assert_eq!(cut(&[0, 0, 0], LIMIT), Ok(true));
        assert_eq!(cut(&[0, 0, 0, 64], LIMIT), Ok(true));
        assert_eq!(cut(&[0, 0, 0, 63], LIMIT), Err(Malformed));
        assert_eq!(cut(&[0x85, 0, 0, 0], LIMIT), Err(Malformed));
        assert_eq!(cut(b"HTTP", LIMIT), Err(Malformed));
        assert_eq!(cut(&[0, 0, 0x10, 0], 0x1000), Ok(true));
        assert_eq!(cut(&[0, 0, 0x10, 1], 0x1000), Err(Malformed));
    }
}
