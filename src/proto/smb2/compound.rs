// SPDX-License-Identifier: GPL-2.0
//! Several requests in one frame (MS-SMB2 3.2.4.1.4).
//!
//! Each element starts at a multiple of eight from the frame's start; `next` counts from header to
//! header, so an element includes the padding behind it, and a signature covers that padding too.

use crate::codec::{NoSpace, Writer};
use crate::smb2::{align8, flags, len32, Code, Command, Header, HEADER_LEN};

/// A request body whose reply type is forgotten, so that different ones fit one list.
#[allow(clippy::len_without_is_empty)] // As in Command.
pub trait Body {
    /// The command code.
    fn code(&self) -> Code;
    /// The exact length in bytes.
    fn len(&self) -> usize;
    /// Writes the body.
    fn emit(&self, w: &mut Writer<'_>) -> Result<(), NoSpace>;
    /// See [`Command::payload`].
    fn payload(&self) -> usize;
}

impl<C: Command> Body for C {
    fn code(&self) -> Code {
        C::CODE
    }
    fn len(&self) -> usize {
        Command::len(self)
    }
    fn emit(&self, w: &mut Writer<'_>) -> Result<(), NoSpace> {
        Command::emit(self, w)
    }
    fn payload(&self) -> usize {
        Command::payload(self)
    }
}

/// One element of a compound: the command, `next` and [`flags::RELATED`] of the header are filled
/// in by [`emit`].
#[derive(Clone, Copy)]
pub struct Part<'a> {
    /// Ids, credits and the other flags.
    pub header: Header,
    /// The body; a WRITE, whose data the shell appends, can only be the last.
    pub body: &'a dyn Body,
}

/// Where an element is in what was written; padding included.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Span {
    /// The first byte of its header.
    pub start: usize,
    /// Its length in bytes.
    pub len: usize,
}

/// The exact number of bytes that [`emit`] writes.
pub fn len(parts: &[Part<'_>]) -> usize {
    parts
        .iter()
        .fold(0, |at, part| align8(at).saturating_add(unpadded(part)))
}

/// Writes `parts` as one compound and says in `spans` where each is, so that each can be signed.
///
/// `related` makes every element but the first work on the file, session and tree of the one
/// before. `w` stands at the start of the SMB2 part of a frame.
///
/// Errors: `NoSpace` when `w` or `spans` is too short.
pub fn emit(
    parts: &[Part<'_>],
    related: bool,
    w: &mut Writer<'_>,
    spans: &mut [Span],
) -> Result<(), NoSpace> {
    if spans.len() < parts.len() {
        return Err(NoSpace);
    }
    let mut start: usize = 0;
    let mut left = parts.iter();
    let mut spans = spans.iter_mut();
    while let (Some(part), Some(span)) = (left.next(), spans.next()) {
        let last = left.as_slice().is_empty();
        let unpadded = unpadded(part);
        let len = if last { unpadded } else { align8(unpadded) };
        let mut header = part.header;
        header.command = part.body.code().number();
        header.next = if last { 0 } else { len32(len)? };
        if related && start > 0 {
            header.flags |= flags::RELATED;
        }
        header.emit(w)?;
        part.body.emit(w)?;
        w.zeros(len.saturating_sub(unpadded))?;
        *span = Span { start, len };
        start = start.saturating_add(len);
    }
    Ok(())
}

fn unpadded(part: &Part<'_>) -> usize {
    HEADER_LEN.saturating_add(part.body.len())
}
