// SPDX-License-Identifier: GPL-2.0
//! CREATE (MS-SMB2 2.2.13, 2.2.14): opens or makes a file or directory.

use crate::codec::{Malformed, NoSpace, Writer};
use crate::smb2::context::{Answers, Ask};
use crate::smb2::info::Times;
use crate::smb2::{align8, len16, len32, Code, Command, FileId, Message};

/// Access mask (MS-SMB2 2.2.13.1); the names of the file form.
pub mod access {
    /// Read data; list a directory.
    pub const READ_DATA: u32 = 0x0000_0001;
    /// Write data; add a file to a directory.
    pub const WRITE_DATA: u32 = 0x0000_0002;
    /// Append data; add a directory to a directory.
    pub const APPEND_DATA: u32 = 0x0000_0004;
    /// Read extended attributes.
    pub const READ_EA: u32 = 0x0000_0008;
    /// Write extended attributes.
    pub const WRITE_EA: u32 = 0x0000_0010;
    /// Execute; traverse a directory.
    pub const EXECUTE: u32 = 0x0000_0020;
    /// Delete what is in a directory.
    pub const DELETE_CHILD: u32 = 0x0000_0040;
    /// Read attributes.
    pub const READ_ATTRIBUTES: u32 = 0x0000_0080;
    /// Write attributes.
    pub const WRITE_ATTRIBUTES: u32 = 0x0000_0100;
    /// Delete; rename.
    pub const DELETE: u32 = 0x0001_0000;
    /// Read the security descriptor.
    pub const READ_CONTROL: u32 = 0x0002_0000;
    /// Write the access list.
    pub const WRITE_DAC: u32 = 0x0004_0000;
    /// Write the owner.
    pub const WRITE_OWNER: u32 = 0x0008_0000;
    /// Wait on the handle.
    pub const SYNCHRONIZE: u32 = 0x0010_0000;
    /// Read or write the audit list.
    pub const SYSTEM_SECURITY: u32 = 0x0100_0000;
    /// Whatever the user may do.
    pub const MAXIMUM_ALLOWED: u32 = 0x0200_0000;
    /// Everything.
    pub const GENERIC_ALL: u32 = 0x1000_0000;
    /// What executing needs.
    pub const GENERIC_EXECUTE: u32 = 0x2000_0000;
    /// What writing needs.
    pub const GENERIC_WRITE: u32 = 0x4000_0000;
    /// What reading needs.
    pub const GENERIC_READ: u32 = 0x8000_0000;
}

/// What others may do to the file meanwhile (MS-SMB2 2.2.13 ShareAccess).
#[allow(missing_docs)]
pub mod share {
    pub const READ: u32 = 0x1;
    pub const WRITE: u32 = 0x2;
    pub const DELETE: u32 = 0x4;
    /// Everything, as POSIX has it.
    pub const ALL: u32 = 0x7;
}

/// What to do when the file exists and when it does not (MS-SMB2 2.2.13 CreateDisposition).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub enum Disposition {
    /// Replace or create; a new file even where one was.
    Supersede = 0,
    /// Open, or fail.
    Open = 1,
    /// Create, or fail.
    Create = 2,
    /// Open, or create.
    OpenIf = 3,
    /// Open and truncate, or fail.
    Overwrite = 4,
    /// Open and truncate, or create.
    OverwriteIf = 5,
}

/// Create options (MS-SMB2 2.2.13 CreateOptions).
pub mod options {
    /// It must be a directory.
    pub const DIRECTORY_FILE: u32 = 0x0000_0001;
    /// Writes are on the disk before they are answered.
    pub const WRITE_THROUGH: u32 = 0x0000_0002;
    /// Access will be sequential.
    pub const SEQUENTIAL_ONLY: u32 = 0x0000_0004;
    /// The server should not cache.
    pub const NO_INTERMEDIATE_BUFFERING: u32 = 0x0000_0008;
    /// It must not be a directory.
    pub const NON_DIRECTORY_FILE: u32 = 0x0000_0040;
    /// Refuse a file that needs extended attributes to be understood.
    pub const NO_EA_KNOWLEDGE: u32 = 0x0000_0200;
    /// Access will be random.
    pub const RANDOM_ACCESS: u32 = 0x0000_0800;
    /// The file goes away with the last handle.
    pub const DELETE_ON_CLOSE: u32 = 0x0000_1000;
    /// The name is a file id.
    pub const OPEN_BY_FILE_ID: u32 = 0x0000_2000;
    /// With the right of a backup program.
    pub const OPEN_FOR_BACKUP_INTENT: u32 = 0x0000_4000;
    /// No compression.
    pub const NO_COMPRESSION: u32 = 0x0000_8000;
    /// The reparse point itself, not what it leads to.
    pub const OPEN_REPARSE_POINT: u32 = 0x0020_0000;
    /// Do not fetch the file from slow storage.
    pub const OPEN_NO_RECALL: u32 = 0x0040_0000;
}

/// Oplock levels (MS-SMB2 2.2.13 RequestedOplockLevel).
#[allow(missing_docs)]
pub mod oplock {
    pub const NONE: u8 = 0x00;
    pub const LEVEL_II: u8 = 0x01;
    pub const EXCLUSIVE: u8 = 0x08;
    pub const BATCH: u8 = 0x09;
    /// A lease; the create context says which.
    pub const LEASE: u8 = 0xff;
}

/// Impersonation level: the server acts as the user. rsdfs uses no other.
const IMPERSONATION: u32 = 2;

/// What the server did (MS-SMB2 2.2.14 CreateAction).
#[allow(missing_docs)]
pub mod action {
    pub const SUPERSEDED: u32 = 0;
    pub const OPENED: u32 = 1;
    pub const CREATED: u32 = 2;
    pub const OVERWRITTEN: u32 = 3;
}

/// Reply flag: the last component is a reparse point.
pub const FLAG_REPARSE_POINT: u8 = 0x01;

const FIXED: usize = 56;

/// Opens or makes a file or directory.
#[derive(Clone, Copy, Debug)]
pub struct Create<'a> {
    /// See [`oplock`].
    pub oplock: u8,
    /// See [`access`].
    pub access: u32,
    /// File attributes of a new file; see [`attributes`](crate::smb2::info::attributes).
    pub attributes: u32,
    /// See [`share`].
    pub share: u32,
    /// What to do when it exists and when it does not.
    pub disposition: Disposition,
    /// See [`options`].
    pub options: u32,
    /// The path below the share in UTF-16LE, with `\` between components and none in front; the
    /// whole `server\share\path` when the header says [`DFS`](crate::smb2::flags::DFS). Empty for
    /// the root of the share.
    pub name: &'a [u8],
    /// What else is asked for.
    pub contexts: &'a [Ask<'a>],
}

/// What was opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reply<'a> {
    /// See [`oplock`].
    pub oplock: u8,
    /// [`FLAG_REPARSE_POINT`], in 3.x.
    pub flags: u8,
    /// See [`action`].
    pub action: u32,
    /// The four timestamps.
    pub times: Times,
    /// Bytes on the server's disk.
    pub allocation: u64,
    /// Size in bytes.
    pub size: u64,
    /// See [`attributes`](crate::smb2::info::attributes).
    pub attributes: u32,
    /// The handle.
    pub file_id: FileId,
    /// What the server answered to the contexts.
    pub contexts: Answers<'a>,
}

impl Disposition {
    /// The number on the wire.
    #[allow(clippy::as_conversions)]
    pub const fn number(self) -> u32 {
        self as u32
    }
}

impl Create<'_> {
    /// Where the contexts start, from the start of the body. A server wants at least one byte of
    /// variable part even for an empty name.
    fn contexts_at(&self) -> usize {
        align8(FIXED.saturating_add(self.name.len().max(1)))
    }

    fn contexts_len(&self) -> usize {
        crate::smb2::context::len(self.contexts)
    }
}

impl Command for Create<'_> {
    const CODE: Code = Code::Create;
    type Reply<'a> = Reply<'a>;

    fn len(&self) -> usize {
        if self.contexts.is_empty() {
            FIXED.saturating_add(self.name.len().max(1))
        } else {
            self.contexts_at().saturating_add(self.contexts_len())
        }
    }

    fn emit(&self, w: &mut Writer<'_>) -> Result<(), NoSpace> {
        w.u16(57)?;
        w.u8(0)?;
        w.u8(self.oplock)?;
        w.u32(IMPERSONATION)?;
        w.u64(0)?;
        w.u64(0)?;
        w.u32(self.access)?;
        w.u32(self.attributes)?;
        w.u32(self.share)?;
        w.u32(self.disposition.number())?;
        w.u32(self.options)?;
        w.u16(0x78)?;
        w.u16(len16(self.name.len())?)?;
        if self.contexts.is_empty() {
            w.u64(0)?;
            w.put(self.name)?;
            return w.zeros(usize::from(self.name.is_empty()));
        }
        w.u32(len32(self.contexts_at().saturating_add(64))?)?;
        w.u32(len32(self.contexts_len())?)?;
        w.put(self.name)?;
        let end = FIXED.saturating_add(self.name.len());
        w.zeros(self.contexts_at().saturating_sub(end))?;
        crate::smb2::context::emit(self.contexts, w)
    }

    fn parse<'a>(message: &Message<'a>) -> Result<Reply<'a>, Malformed> {
        let mut r = message.fixed(89)?;
        let oplock = r.u8()?;
        let flags = r.u8()?;
        let action = r.u32()?;
        let times = Times::parse(&mut r)?;
        let allocation = r.u64()?;
        let size = r.u64()?;
        let attributes = r.u32()?;
        r.skip(4)?;
        let file_id = FileId::parse(&mut r)?;
        let at = r.u32()?;
        let len = r.u32()?;
        let contexts = Answers::new(message.variable(88, at, len)?);
        Ok(Reply {
            oplock,
            flags,
            action,
            times,
            allocation,
            size,
            attributes,
            file_id,
            contexts,
        })
    }
}
