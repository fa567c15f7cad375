// SPDX-License-Identifier: GPL-2.0
//! The ERROR reply (MS-SMB2 2.2.2): the body of a reply whose status says that it failed.

use crate::codec::{size, Malformed, Reader};
use crate::smb2::{align8, Message};

/// Error context ids (MS-SMB2 2.2.2.1).
pub mod id {
    /// The data is what it would be without a context.
    pub const DEFAULT: u32 = 0;
    /// The share is to be used at other addresses ("rdSr").
    pub const SHARE_REDIRECT: u32 = 0x7264_5372;
}

const SYMLINK_TAG: u32 = 0x4c4d_5953;
const REPARSE_TAG_SYMLINK: u32 = 0xa000_000c;
/// Flag of a symbolic link: the target is relative to where the link is.
const SYMLINK_RELATIVE: u32 = 0x0000_0001;

/// The body of a failed reply.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ErrorReply<'a> {
    count: u8,
    data: &'a [u8],
}

impl<'a> ErrorReply<'a> {
    /// Parses the body of a failed reply; the status is in the header.
    pub fn parse(message: &Message<'a>) -> Result<Self, Malformed> {
        let mut r = message.fixed(9)?;
        let count = r.u8()?;
        r.skip(1)?;
        let len = r.u32()?;
        let data = r.take(size(len))?;
        Ok(Self { count, data })
    }

    /// The error contexts, in order; data without a context (before 3.1.1) comes as one of id
    /// [`id::DEFAULT`].
    pub const fn contexts(&self) -> Contexts<'a> {
        Contexts {
            plain: self.count == 0,
            left: if self.count == 0 { 1 } else { self.count },
            rest: self.data,
            padding: 0,
        }
    }

    /// The data of the first [`id::DEFAULT`] context, or nothing.
    pub fn data(&self) -> &'a [u8] {
        self.contexts()
            .flatten()
            .find(|c| c.id == id::DEFAULT)
            .map_or(&[], |c| c.data)
    }

    /// With `BUFFER_TOO_SMALL`: the number of bytes that would have been enough.
    pub fn wanted(&self) -> Result<u32, Malformed> {
        Reader::new(self.data()).u32()
    }

    /// With `STOPPED_ON_SYMLINK`: where the link leads.
    pub fn symlink(&self) -> Result<Symlink<'a>, Malformed> {
        Symlink::parse(self.data())
    }
}

/// One error context.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Context<'a> {
    /// See [`id`].
    pub id: u32,
    /// What the server says besides.
    pub data: &'a [u8],
}

/// Iterator over error contexts; ends after the first malformed one.
#[derive(Clone, Copy, Debug)]
pub struct Contexts<'a> {
    plain: bool,
    left: u8,
    rest: &'a [u8],
    /// Bytes to pass over before the next one, which starts aligned.
    padding: usize,
}

impl<'a> Contexts<'a> {
    fn step(&mut self) -> Result<Context<'a>, Malformed> {
        let mut r = Reader::new(self.rest);
        if self.plain {
            return Ok(Context {
                id: id::DEFAULT,
                data: r.rest(),
            });
        }
        r.skip(self.padding)?;
        let len = size(r.u32()?);
        let id = r.u32()?;
        let data = r.take(len)?;
        self.padding = align8(len).saturating_sub(len);
        self.rest = r.rest();
        Ok(Context { id, data })
    }
}

impl<'a> Iterator for Contexts<'a> {
    type Item = Result<Context<'a>, Malformed>;

    fn next(&mut self) -> Option<Self::Item> {
        self.left = self.left.checked_sub(1)?;
        let step = self.step();
        if step.is_err() {
            self.left = 0;
        }
        Some(step)
    }
}

/// Where a symbolic link leads (MS-SMB2 2.2.2.2.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Symlink<'a> {
    /// How many bytes (UTF-16LE) at the end of the path that was asked for are not resolved.
    pub unparsed: u16,
    /// The target for the client to go to, in UTF-16LE.
    pub substitute: &'a [u8],
    /// The target for people to read, in UTF-16LE.
    pub print: &'a [u8],
    /// Whether the target is relative to the directory of the link.
    pub relative: bool,
}

impl<'a> Symlink<'a> {
    fn parse(data: &'a [u8]) -> Result<Self, Malformed> {
        let mut r = Reader::new(data);
        let len = size(r.u32()?);
        let mut r = r.sub(len)?;
        if r.u32()? != SYMLINK_TAG || r.u32()? != REPARSE_TAG_SYMLINK {
            return Err(Malformed);
        }
        r.skip(2)?;
        let unparsed = r.u16()?;
        let substitute_at = usize::from(r.u16()?);
        let substitute_len = usize::from(r.u16()?);
        let print_at = usize::from(r.u16()?);
        let print_len = usize::from(r.u16()?);
        let flags = r.u32()?;
        let names = r.rest();
        Ok(Self {
            unparsed,
            substitute: crate::codec::window(names, substitute_at, substitute_len)?,
            print: crate::codec::window(names, print_at, print_len)?,
            relative: flags & SYMLINK_RELATIVE != 0,
        })
    }
}
