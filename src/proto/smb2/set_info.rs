// SPDX-License-Identifier: GPL-2.0
//! SET_INFO (MS-SMB2 2.2.39, 2.2.40): changes a file's attributes, size or name.

use crate::codec::{Malformed, NoSpace, Writer};
use crate::smb2::info::{class, kind, Basic};
use crate::smb2::{len32, Code, Command, FileId, Message};

/// What to set.
#[derive(Clone, Copy, Debug)]
pub enum Set<'a> {
    /// Timestamps and attributes (FileBasicInformation); 0 leaves a field as it is.
    Basic(Basic),
    /// The size in bytes (FileEndOfFileInformation).
    EndOfFile(u64),
    /// The bytes to reserve on the disk (FileAllocationInformation).
    Allocation(u64),
    /// Whether the file goes away with the last handle (FileDispositionInformation).
    Disposition(bool),
    /// The same with [`disposition`] flags (FileDispositionInformationEx).
    DispositionEx(u32),
    /// A new name (FileRenameInformation).
    Rename {
        /// Whether a file of that name is replaced.
        replace: bool,
        /// The whole new path below the share, in UTF-16LE.
        name: &'a [u8],
    },
    /// A new name with [`rename`] flags (FileRenameInformationEx).
    RenameEx {
        /// See [`rename`].
        flags: u32,
        /// The whole new path below the share, in UTF-16LE.
        name: &'a [u8],
    },
    /// One more name (FileLinkInformation).
    Link {
        /// Whether a file of that name is replaced.
        replace: bool,
        /// The whole new path below the share, in UTF-16LE.
        name: &'a [u8],
    },
    /// Any other class.
    Other {
        /// See [`kind`].
        kind: u8,
        /// See [`class`].
        class: u8,
        /// Parts of a security descriptor; 0 otherwise.
        additional: u32,
        /// The bytes of the class.
        data: &'a [u8],
    },
}

/// Flags of [`Set::DispositionEx`] (MS-FSCC 2.4.12).
pub mod disposition {
    /// Delete with the last handle.
    pub const DELETE: u32 = 0x01;
    /// The name goes at once, as POSIX has it.
    pub const POSIX_SEMANTICS: u32 = 0x02;
    /// Also a read-only file.
    pub const IGNORE_READONLY: u32 = 0x10;
}

/// Flags of [`Set::RenameEx`] (MS-FSCC 2.4.43).
pub mod rename {
    /// Replace a file of that name.
    pub const REPLACE_IF_EXISTS: u32 = 0x01;
    /// Also when it is open, as POSIX has it.
    pub const POSIX_SEMANTICS: u32 = 0x02;
    /// Also a read-only file.
    pub const IGNORE_READONLY: u32 = 0x40;
}

/// Servers refuse a rename buffer shorter than the C structure.
const RENAME_MIN: usize = 24;

impl Set<'_> {
    const fn kind(&self) -> u8 {
        match self {
            Self::Other { kind, .. } => *kind,
            _ => kind::FILE,
        }
    }

    const fn class(&self) -> u8 {
        match self {
            Self::Basic(_) => class::BASIC,
            Self::EndOfFile(_) => class::END_OF_FILE,
            Self::Allocation(_) => class::ALLOCATION,
            Self::Disposition(_) => class::DISPOSITION,
            Self::DispositionEx(_) => class::DISPOSITION_EX,
            Self::Rename { .. } => class::RENAME,
            Self::RenameEx { .. } => class::RENAME_EX,
            Self::Link { .. } => class::LINK,
            Self::Other { class, .. } => *class,
        }
    }

    fn data_len(&self) -> usize {
        match self {
            Self::Basic(_) => Basic::LEN,
            Self::EndOfFile(_) | Self::Allocation(_) => 8,
            Self::Disposition(_) => 1,
            Self::DispositionEx(_) => 4,
            Self::Rename { name, .. } | Self::RenameEx { name, .. } | Self::Link { name, .. } => {
                name.len().saturating_add(20).max(RENAME_MIN)
            }
            Self::Other { data, .. } => data.len(),
        }
    }

    fn emit_data(&self, w: &mut Writer<'_>) -> Result<(), NoSpace> {
        match self {
            Self::Basic(basic) => basic.emit(w),
            Self::EndOfFile(n) | Self::Allocation(n) => w.u64(*n),
            Self::Disposition(delete) => w.u8(u8::from(*delete)),
            Self::DispositionEx(flags) => w.u32(*flags),
            Self::Rename { replace, name } | Self::Link { replace, name } => {
                put_name(w, u32::from(*replace), name)
            }
            Self::RenameEx { flags, name } => put_name(w, *flags, name),
            Self::Other { data, .. } => w.put(data),
        }
    }
}

/// `first` is ReplaceIfExists with its padding, or Flags.
fn put_name(w: &mut Writer<'_>, first: u32, name: &[u8]) -> Result<(), NoSpace> {
    w.u32(first)?;
    w.u32(0)?;
    w.u64(0)?; // RootDirectory
    w.u32(len32(name.len())?)?;
    w.put(name)?;
    w.zeros(RENAME_MIN.saturating_sub(name.len().saturating_add(20)))
}

/// Changes something about a file.
#[derive(Clone, Copy, Debug)]
pub struct SetInfo<'a> {
    /// The handle.
    pub file_id: FileId,
    /// What to set.
    pub set: Set<'a>,
}

impl Command for SetInfo<'_> {
    const CODE: Code = Code::SetInfo;
    type Reply<'a> = ();

    fn len(&self) -> usize {
        32_usize.saturating_add(self.set.data_len())
    }

    fn emit(&self, w: &mut Writer<'_>) -> Result<(), NoSpace> {
        w.u16(33)?;
        w.u8(self.set.kind())?;
        w.u8(self.set.class())?;
        w.u32(len32(self.set.data_len())?)?;
        w.u16(0x60)?;
        w.u16(0)?;
        w.u32(match self.set {
            Set::Other { additional, .. } => additional,
            _ => 0,
        })?;
        self.file_id.emit(w)?;
        self.set.emit_data(w)
    }

    fn parse(message: &Message<'_>) -> Result<(), Malformed> {
        message.fixed(2).map(|_| ())
    }

    fn payload(&self) -> usize {
        self.set.data_len()
    }
}
