// SPDX-License-Identifier: GPL-2.0
//! QUERY_DIRECTORY (MS-SMB2 2.2.33, 2.2.34): lists a directory.

use crate::codec::{size, Malformed, NoSpace, Reader, Writer};
use crate::smb2::info::{attributes, Times};
use crate::smb2::{len16, Code, Command, FileId, Message};

/// Flag: from the beginning again.
pub const RESTART_SCANS: u8 = 0x01;
/// Flag: one entry only.
pub const RETURN_SINGLE_ENTRY: u8 = 0x02;
/// Flag: start at the given index.
pub const INDEX_SPECIFIED: u8 = 0x04;
/// Flag: from the beginning, with a new pattern.
pub const REOPEN: u8 = 0x10;

/// In which form entries come (MS-FSCC 2.4).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// FileIdBothDirectoryInformation, 0x25: with short names.
    IdBoth,
    /// FileIdFullDirectoryInformation, 0x26.
    IdFull,
}

impl Form {
    /// The information class on the wire.
    pub const fn number(self) -> u8 {
        match self {
            Self::IdBoth => 0x25,
            Self::IdFull => 0x26,
        }
    }
}

/// Lists the next entries.
#[derive(Clone, Copy, Debug)]
pub struct QueryDirectory<'a> {
    /// In which form.
    pub form: Form,
    /// [`RESTART_SCANS`] and the others.
    pub flags: u8,
    /// Where to go on, with [`INDEX_SPECIFIED`].
    pub index: u32,
    /// The directory.
    pub file_id: FileId,
    /// The pattern in UTF-16LE; [`EVERYTHING`] for all.
    pub pattern: &'a [u8],
    /// How many bytes of entries fit at most.
    pub max_output: u32,
}

/// The pattern `*` in UTF-16LE.
pub const EVERYTHING: &[u8] = b"*\0";

impl Command for QueryDirectory<'_> {
    const CODE: Code = Code::QueryDirectory;
    /// The bytes of the entries, for [`entries`].
    type Reply<'a> = &'a [u8];

    fn len(&self) -> usize {
        32_usize.saturating_add(self.pattern.len())
    }

    fn emit(&self, w: &mut Writer<'_>) -> Result<(), NoSpace> {
        w.u16(33)?;
        w.u8(self.form.number())?;
        w.u8(self.flags)?;
        w.u32(self.index)?;
        self.file_id.emit(w)?;
        w.u16(0x60)?;
        w.u16(len16(self.pattern.len())?)?;
        w.u32(self.max_output)?;
        w.put(self.pattern)
    }

    fn parse<'a>(message: &Message<'a>) -> Result<&'a [u8], Malformed> {
        super::query_info::output(message)
    }

    fn payload(&self) -> usize {
        self.pattern.len().max(size(self.max_output))
    }
}

/// One entry of a directory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Entry<'a> {
    /// Where the listing can go on after this entry, on servers that support it.
    pub index: u32,
    /// The four timestamps.
    pub times: Times,
    /// Size in bytes.
    pub size: u64,
    /// Bytes on the server's disk.
    pub allocation: u64,
    /// See [`attributes`].
    pub attributes: u32,
    /// The length of the extended attributes, in bytes; 0 for a reparse point.
    pub ea_size: u32,
    /// The tag, when the entry is a reparse point; else 0.
    pub reparse_tag: u32,
    /// The file's number within its volume; 0 where the server has none.
    pub file_id: u64,
    /// The name in UTF-16LE; an even number of bytes, not empty.
    pub name: &'a [u8],
}

/// The entries of a reply, in order. `.` and `..` are among them.
pub const fn entries(bytes: &[u8], form: Form) -> Entries<'_> {
    Entries { rest: bytes, form }
}

/// Iterator over directory entries; see [`entries`].
///
/// The offset to the next entry only moves forward, is a multiple of eight and never lands within
/// this one; after the first violation the iterator ends.
#[derive(Clone, Copy, Debug)]
pub struct Entries<'a> {
    rest: &'a [u8],
    form: Form,
}

impl<'a> Entries<'a> {
    fn step(&mut self) -> Result<Entry<'a>, Malformed> {
        let all = core::mem::take(&mut self.rest);
        let mut r = Reader::new(all);
        let next = size(r.u32()?);
        let bound = if next == 0 {
            r.len()
        } else {
            next.checked_sub(4).ok_or(Malformed)?
        };
        let entry = Self::entry(r.sub(bound)?, self.form)?;
        if next != 0 {
            let tail = all.get(next..).ok_or(Malformed)?;
            if tail.is_empty() || next.checked_rem(8) != Some(0) {
                return Err(Malformed);
            }
            self.rest = tail;
        }
        Ok(entry)
    }

    fn entry(mut r: Reader<'a>, form: Form) -> Result<Entry<'a>, Malformed> {
        let index = r.u32()?;
        let times = Times::parse(&mut r)?;
        let size = r.u64()?;
        let allocation = r.u64()?;
        let attributes = r.u32()?;
        let name_len = r.u32()?;
        let ea_size = r.u32()?;
        r.skip(match form {
            Form::IdFull => 4,
            Form::IdBoth => 28, // ShortNameLength, Reserved, ShortName, Reserved
        })?;
        let file_id = r.u64()?;
        let name = r.take(crate::codec::size(name_len))?;
        if name.is_empty() || name_len & 1 != 0 {
            return Err(Malformed);
        }
        let reparse = attributes & attributes::REPARSE_POINT != 0;
        Ok(Entry {
            index,
            times,
            size,
            allocation,
            attributes,
            ea_size: if reparse { 0 } else { ea_size },
            reparse_tag: if reparse { ea_size } else { 0 },
            file_id,
            name,
        })
    }
}

impl<'a> Iterator for Entries<'a> {
    type Item = Result<Entry<'a>, Malformed>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.rest.is_empty() {
            return None;
        }
        let step = self.step();
        if step.is_err() {
            self.rest = &[];
        }
        Some(step)
    }
}
