// SPDX-License-Identifier: GPL-2.0
//! What is asked about files and volumes (MS-FSCC 2.4, 2.5): classes, attributes, and their bytes.
//!
//! Timestamps are FILETIMEs: units of 100 ns since 1601-01-01 00:00 UTC.

use crate::codec::{size, Malformed, NoSpace, Reader, Writer};

/// What a QUERY_INFO or SET_INFO is about (MS-SMB2 2.2.37 InfoType).
#[allow(missing_docs)]
pub mod kind {
    pub const FILE: u8 = 0x01;
    pub const FILESYSTEM: u8 = 0x02;
    pub const SECURITY: u8 = 0x03;
    pub const QUOTA: u8 = 0x04;
}

/// File information classes (MS-FSCC 2.4).
#[allow(missing_docs)]
pub mod class {
    pub const BASIC: u8 = 4;
    pub const STANDARD: u8 = 5;
    pub const INTERNAL: u8 = 6;
    pub const EA: u8 = 7;
    pub const RENAME: u8 = 10;
    pub const LINK: u8 = 11;
    pub const DISPOSITION: u8 = 13;
    pub const FULL_EA: u8 = 15;
    pub const ALL: u8 = 18;
    pub const ALLOCATION: u8 = 19;
    pub const END_OF_FILE: u8 = 20;
    pub const STREAM: u8 = 22;
    pub const NETWORK_OPEN: u8 = 34;
    pub const ATTRIBUTE_TAG: u8 = 35;
    pub const DISPOSITION_EX: u8 = 64;
    pub const RENAME_EX: u8 = 65;
}

/// File system information classes (MS-FSCC 2.5).
#[allow(missing_docs)]
pub mod fs_class {
    pub const VOLUME: u8 = 1;
    pub const SIZE: u8 = 3;
    pub const DEVICE: u8 = 4;
    pub const ATTRIBUTE: u8 = 5;
    pub const FULL_SIZE: u8 = 7;
    pub const SECTOR_SIZE: u8 = 11;
}

/// File attributes (MS-FSCC 2.6).
#[allow(missing_docs)]
pub mod attributes {
    pub const READONLY: u32 = 0x0000_0001;
    pub const HIDDEN: u32 = 0x0000_0002;
    pub const SYSTEM: u32 = 0x0000_0004;
    pub const DIRECTORY: u32 = 0x0000_0010;
    pub const ARCHIVE: u32 = 0x0000_0020;
    /// None of the others; alone it sets "no attributes", where 0 would leave them as they are.
    pub const NORMAL: u32 = 0x0000_0080;
    pub const TEMPORARY: u32 = 0x0000_0100;
    pub const SPARSE_FILE: u32 = 0x0000_0200;
    pub const REPARSE_POINT: u32 = 0x0000_0400;
    pub const COMPRESSED: u32 = 0x0000_0800;
    pub const OFFLINE: u32 = 0x0000_1000;
    pub const NOT_CONTENT_INDEXED: u32 = 0x0000_2000;
    pub const ENCRYPTED: u32 = 0x0000_4000;
    pub const INTEGRITY_STREAM: u32 = 0x0000_8000;
    pub const NO_SCRUB_DATA: u32 = 0x0002_0000;
}

/// Attributes of a volume (MS-FSCC 2.5.1).
#[allow(missing_docs)]
pub mod fs_attributes {
    pub const CASE_SENSITIVE_SEARCH: u32 = 0x0000_0001;
    pub const CASE_PRESERVED_NAMES: u32 = 0x0000_0002;
    pub const UNICODE_ON_DISK: u32 = 0x0000_0004;
    pub const PERSISTENT_ACLS: u32 = 0x0000_0008;
    pub const SUPPORTS_SPARSE_FILES: u32 = 0x0000_0040;
    pub const SUPPORTS_REPARSE_POINTS: u32 = 0x0000_0080;
    pub const READ_ONLY_VOLUME: u32 = 0x0008_0000;
    pub const SUPPORTS_HARD_LINKS: u32 = 0x0040_0000;
    pub const SUPPORTS_EXTENDED_ATTRIBUTES: u32 = 0x0080_0000;
    pub const SUPPORTS_OPEN_BY_FILE_ID: u32 = 0x0100_0000;
}

/// Something that QUERY_INFO can ask for.
pub trait Queried: Sized {
    /// See [`kind`].
    const KIND: u8;
    /// See [`class`] and [`fs_class`].
    const CLASS: u8;
    /// How many bytes of output it is worth asking for.
    const MAX_LEN: u32;
    /// Parses the output.
    fn parse(output: &[u8]) -> Result<Self, Malformed>;
}

/// The four timestamps of a file, each a FILETIME; 0 means none.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Times {
    /// When it was made.
    pub creation: u64,
    /// When it was last read.
    pub access: u64,
    /// When its data last changed.
    pub write: u64,
    /// When anything about it last changed.
    pub change: u64,
}

impl Times {
    /// Reads the 32 bytes of the timestamps.
    pub fn parse(r: &mut Reader<'_>) -> Result<Self, Malformed> {
        Ok(Self {
            creation: r.u64()?,
            access: r.u64()?,
            write: r.u64()?,
            change: r.u64()?,
        })
    }

    /// Writes the 32 bytes of the timestamps.
    pub fn emit(&self, w: &mut Writer<'_>) -> Result<(), NoSpace> {
        w.u64(self.creation)?;
        w.u64(self.access)?;
        w.u64(self.write)?;
        w.u64(self.change)
    }
}

/// Timestamps and attributes (MS-FSCC 2.4.7).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Basic {
    /// When set, 0 leaves a timestamp as it is.
    pub times: Times,
    /// When set, 0 leaves the attributes as they are.
    pub attributes: u32,
}

impl Basic {
    /// Length in bytes.
    pub const LEN: usize = 40;

    /// Writes the bytes for SET_INFO.
    pub fn emit(&self, w: &mut Writer<'_>) -> Result<(), NoSpace> {
        self.times.emit(w)?;
        w.u32(self.attributes)?;
        w.u32(0)
    }

    fn read(r: &mut Reader<'_>) -> Result<Self, Malformed> {
        let times = Times::parse(r)?;
        let attributes = r.u32()?;
        r.skip(4)?;
        Ok(Self { times, attributes })
    }
}

impl Queried for Basic {
    const KIND: u8 = kind::FILE;
    const CLASS: u8 = class::BASIC;
    const MAX_LEN: u32 = 40;

    fn parse(output: &[u8]) -> Result<Self, Malformed> {
        Self::read(&mut Reader::new(output))
    }
}

/// Sizes and links (MS-FSCC 2.4.47).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Standard {
    /// Bytes on the server's disk.
    pub allocation: u64,
    /// Size in bytes.
    pub size: u64,
    /// Number of names.
    pub links: u32,
    /// Whether the file goes away with the last handle.
    pub delete_pending: bool,
    /// Whether it is a directory.
    pub directory: bool,
}

impl Standard {
    fn read(r: &mut Reader<'_>) -> Result<Self, Malformed> {
        let standard = Self {
            allocation: r.u64()?,
            size: r.u64()?,
            links: r.u32()?,
            delete_pending: r.u8()? != 0,
            directory: r.u8()? != 0,
        };
        r.skip(2)?;
        Ok(standard)
    }
}

impl Queried for Standard {
    const KIND: u8 = kind::FILE;
    const CLASS: u8 = class::STANDARD;
    const MAX_LEN: u32 = 24;

    fn parse(output: &[u8]) -> Result<Self, Malformed> {
        Self::read(&mut Reader::new(output))
    }
}

/// The file's number within its volume (MS-FSCC 2.4.27).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Internal(pub u64);

impl Queried for Internal {
    const KIND: u8 = kind::FILE;
    const CLASS: u8 = class::INTERNAL;
    const MAX_LEN: u32 = 8;

    fn parse(output: &[u8]) -> Result<Self, Malformed> {
        Reader::new(output).u64().map(Self)
    }
}

/// All that is worth knowing about a file at once (MS-FSCC 2.4.2).
///
/// The name at the end is passed over; a reply cut within it (`BUFFER_OVERFLOW`) parses too.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct All {
    /// Timestamps and attributes.
    pub basic: Basic,
    /// Sizes and links.
    pub standard: Standard,
    /// The file's number within its volume.
    pub file_id: u64,
    /// The length of the extended attributes, in bytes.
    pub ea_size: u32,
    /// What the handle may do; see [`access`](crate::smb2::create::access).
    pub access: u32,
}

impl Queried for All {
    const KIND: u8 = kind::FILE;
    const CLASS: u8 = class::ALL;
    /// Room for any path that Linux allows, so that no reply within a compound is a warning.
    const MAX_LEN: u32 = 100 + 2 * 4096;

    fn parse(output: &[u8]) -> Result<Self, Malformed> {
        let mut r = Reader::new(output);
        let all = Self {
            basic: Basic::read(&mut r)?,
            standard: Standard::read(&mut r)?,
            file_id: r.u64()?,
            ea_size: r.u32()?,
            access: r.u32()?,
        };
        r.skip(16)?; // position, mode, alignment
        Ok(all)
    }
}

/// Timestamps, sizes and attributes (MS-FSCC 2.4.34).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct NetworkOpen {
    /// The four timestamps.
    pub times: Times,
    /// Bytes on the server's disk.
    pub allocation: u64,
    /// Size in bytes.
    pub size: u64,
    /// See [`attributes`].
    pub attributes: u32,
}

impl NetworkOpen {
    /// Reads the 52 bytes that CLOSE and CREATE replies have in common with this class.
    pub(crate) fn parse_fields(r: &mut Reader<'_>) -> Result<Self, Malformed> {
        Ok(Self {
            times: Times::parse(r)?,
            allocation: r.u64()?,
            size: r.u64()?,
            attributes: r.u32()?,
        })
    }
}

impl Queried for NetworkOpen {
    const KIND: u8 = kind::FILE;
    const CLASS: u8 = class::NETWORK_OPEN;
    const MAX_LEN: u32 = 56;

    fn parse(output: &[u8]) -> Result<Self, Malformed> {
        let mut r = Reader::new(output);
        let open = Self::parse_fields(&mut r)?;
        r.skip(4)?;
        Ok(open)
    }
}

/// Attributes and what kind of reparse point it is (MS-FSCC 2.4.6).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct AttributeTag {
    /// See [`attributes`].
    pub attributes: u32,
    /// The tag, or 0.
    pub tag: u32,
}

impl Queried for AttributeTag {
    const KIND: u8 = kind::FILE;
    const CLASS: u8 = class::ATTRIBUTE_TAG;
    const MAX_LEN: u32 = 8;

    fn parse(output: &[u8]) -> Result<Self, Malformed> {
        let mut r = Reader::new(output);
        Ok(Self {
            attributes: r.u32()?,
            tag: r.u32()?,
        })
    }
}

/// Room on a volume (MS-FSCC 2.5.4).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct FsFullSize {
    /// Units in all.
    pub total: u64,
    /// Units free for this user.
    pub available: u64,
    /// Units free.
    pub free: u64,
    /// Sectors per unit.
    pub sectors_per_unit: u32,
    /// Bytes per sector.
    pub bytes_per_sector: u32,
}

impl FsFullSize {
    /// Bytes per unit, saturating.
    pub const fn unit(&self) -> u32 {
        self.sectors_per_unit.saturating_mul(self.bytes_per_sector)
    }
}

impl Queried for FsFullSize {
    const KIND: u8 = kind::FILESYSTEM;
    const CLASS: u8 = fs_class::FULL_SIZE;
    const MAX_LEN: u32 = 32;

    fn parse(output: &[u8]) -> Result<Self, Malformed> {
        let mut r = Reader::new(output);
        Ok(Self {
            total: r.u64()?,
            available: r.u64()?,
            free: r.u64()?,
            sectors_per_unit: r.u32()?,
            bytes_per_sector: r.u32()?,
        })
    }
}

/// Room on a volume, as far as this user may use it (MS-FSCC 2.5.8).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct FsSize {
    /// Units in all.
    pub total: u64,
    /// Units free for this user.
    pub available: u64,
    /// Sectors per unit.
    pub sectors_per_unit: u32,
    /// Bytes per sector.
    pub bytes_per_sector: u32,
}

impl Queried for FsSize {
    const KIND: u8 = kind::FILESYSTEM;
    const CLASS: u8 = fs_class::SIZE;
    const MAX_LEN: u32 = 24;

    fn parse(output: &[u8]) -> Result<Self, Malformed> {
        let mut r = Reader::new(output);
        Ok(Self {
            total: r.u64()?,
            available: r.u64()?,
            sectors_per_unit: r.u32()?,
            bytes_per_sector: r.u32()?,
        })
    }
}

/// A volume's age and number (MS-FSCC 2.5.9); its label is left out.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct FsVolume {
    /// When it was made, a FILETIME.
    pub creation: u64,
    /// Its serial number: with the file's number, what tells files apart.
    pub serial: u32,
}

impl Queried for FsVolume {
    const KIND: u8 = kind::FILESYSTEM;
    const CLASS: u8 = fs_class::VOLUME;
    /// Room for the longest label, 32 characters.
    const MAX_LEN: u32 = 18 + 64;

    fn parse(output: &[u8]) -> Result<Self, Malformed> {
        let mut r = Reader::new(output);
        Ok(Self {
            creation: r.u64()?,
            serial: r.u32()?,
        })
    }
}

/// What a volume can (MS-FSCC 2.5.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FsAttribute {
    /// See [`fs_attributes`].
    pub attributes: u32,
    /// The longest component in characters of UTF-16.
    pub max_name: u32,
    /// Whether the file system calls itself NTFS, as Samba's does too.
    pub ntfs: bool,
}

impl Queried for FsAttribute {
    const KIND: u8 = kind::FILESYSTEM;
    const CLASS: u8 = fs_class::ATTRIBUTE;
    const MAX_LEN: u32 = 12 + 64;

    fn parse(output: &[u8]) -> Result<Self, Malformed> {
        let mut r = Reader::new(output);
        let attributes = r.u32()?;
        let max_name = r.u32()?;
        let len = size(r.u32()?);
        // With BUFFER_OVERFLOW the name is cut.
        let name = r.rest().get(..len).unwrap_or(r.rest());
        Ok(Self {
            attributes,
            max_name,
            ntfs: name == b"N\0T\0F\0S\0",
        })
    }
}

/// A volume's sector sizes in bytes (MS-FSCC 2.5.7).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct FsSectorSize {
    /// What the volume is addressed in.
    pub logical: u32,
    /// What the disk writes at once.
    pub physical: u32,
    /// What is best written at once.
    pub preferred: u32,
    /// Alignment and kind of the disk (MS-FSCC 2.5.7 Flags).
    pub flags: u32,
}

impl Queried for FsSectorSize {
    const KIND: u8 = kind::FILESYSTEM;
    const CLASS: u8 = fs_class::SECTOR_SIZE;
    const MAX_LEN: u32 = 28;

    fn parse(output: &[u8]) -> Result<Self, Malformed> {
        let mut r = Reader::new(output);
        let logical = r.u32()?;
        let physical = r.u32()?;
        let preferred = r.u32()?;
        r.skip(4)?;
        let flags = r.u32()?;
        r.skip(8)?;
        Ok(Self {
            logical,
            physical,
            preferred,
            flags,
        })
    }
}
