// SPDX-License-Identifier: GPL-2.0
//! Create contexts (MS-SMB2 2.2.13.2, 2.2.14.2): what a CREATE asks for besides, and is answered.

use crate::codec::{size, window, Malformed, NoSpace, Reader, Writer};
use crate::smb2::{align8, len16, len32, FileId};
use crate::status::NtStatus;

/// Lease states (MS-SMB2 2.2.13.2.8).
#[allow(missing_docs)]
pub mod lease_state {
    pub const NONE: u32 = 0x00;
    pub const READ: u32 = 0x01;
    pub const HANDLE: u32 = 0x02;
    pub const WRITE: u32 = 0x04;
}

/// Lease flag: a break of this lease is in progress.
pub const LEASE_BREAK_IN_PROGRESS: u32 = 0x02;
/// Lease flag, second version: the parent's key is valid.
pub const LEASE_PARENT_KEY_SET: u32 = 0x04;

/// Durable handle flag, second version: survive the server's restart too.
pub const DURABLE_PERSISTENT: u32 = 0x02;

const MXAC: [u8; 4] = *b"MxAc";
const QFID: [u8; 4] = *b"QFid";
const DHNQ: [u8; 4] = *b"DHnQ";
const DHNC: [u8; 4] = *b"DHnC";
const DH2Q: [u8; 4] = *b"DH2Q";
const DH2C: [u8; 4] = *b"DH2C";
const RQLS: [u8; 4] = *b"RqLs";
const TWRP: [u8; 4] = *b"TWrp";
const ALSI: [u8; 4] = *b"AlSi";

/// A lease as asked for or granted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Lease {
    /// Names the lease; the client's choice.
    pub key: [u8; 16],
    /// See [`lease_state`].
    pub state: u32,
    /// [`LEASE_BREAK_IN_PROGRESS`], [`LEASE_PARENT_KEY_SET`].
    pub flags: u32,
    /// What only the second version (3.x) has.
    pub v2: Option<LeaseV2>,
}

/// The second half of a lease in 3.x (MS-SMB2 2.2.13.2.10).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LeaseV2 {
    /// The lease key of the directory, if [`LEASE_PARENT_KEY_SET`].
    pub parent: [u8; 16],
    /// Counts state changes, so that late breaks are recognised.
    pub epoch: u16,
}

/// What a CREATE can ask for besides.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ask<'a> {
    /// MxAc: what may the user do at most? Optionally only if the file changed since a FILETIME.
    MaximalAccess(Option<u64>),
    /// QFid: the ids of file and volume.
    FileId,
    /// DHnQ: a durable handle.
    Durable,
    /// DHnC: reconnect a durable handle.
    DurableReconnect(FileId),
    /// DH2Q: a durable handle of the second version.
    Durable2 {
        /// How long the server shall keep it, in milliseconds; 0 leaves it to the server.
        timeout: u32,
        /// 0 or [`DURABLE_PERSISTENT`].
        flags: u32,
        /// Names this open, so that a replay is recognised.
        guid: [u8; 16],
    },
    /// DH2C: reconnect a durable handle of the second version.
    Durable2Reconnect {
        /// The handle as the lost connection knew it.
        file_id: FileId,
        /// The guid it was created with.
        guid: [u8; 16],
        /// 0 or [`DURABLE_PERSISTENT`].
        flags: u32,
    },
    /// RqLs: a lease.
    Lease(Lease),
    /// TWrp: the file as it was at a FILETIME.
    TimeWarp(u64),
    /// AlSi: the size to allocate for a new file, in bytes.
    AllocationSize(u64),
    /// Any other context.
    Other {
        /// Usually four bytes.
        name: &'a [u8],
        /// May be empty.
        data: &'a [u8],
    },
}

impl Ask<'_> {
    const fn name(&self) -> &[u8] {
        match self {
            Self::MaximalAccess(_) => &MXAC,
            Self::FileId => &QFID,
            Self::Durable => &DHNQ,
            Self::DurableReconnect(_) => &DHNC,
            Self::Durable2 { .. } => &DH2Q,
            Self::Durable2Reconnect { .. } => &DH2C,
            Self::Lease(_) => &RQLS,
            Self::TimeWarp(_) => &TWRP,
            Self::AllocationSize(_) => &ALSI,
            Self::Other { name, .. } => name,
        }
    }

    const fn data_len(&self) -> usize {
        match self {
            Self::MaximalAccess(None) | Self::FileId => 0,
            Self::MaximalAccess(Some(_)) | Self::TimeWarp(_) | Self::AllocationSize(_) => 8,
            Self::Durable | Self::DurableReconnect(_) => 16,
            Self::Durable2 { .. } => 32,
            Self::Durable2Reconnect { .. } => 36,
            Self::Lease(Lease { v2: None, .. }) => 32,
            Self::Lease(Lease { v2: Some(_), .. }) => 52,
            Self::Other { data, .. } => data.len(),
        }
    }

    /// Where the data starts: after the name, aligned.
    const fn data_at(&self) -> usize {
        align8(self.name().len().saturating_add(16))
    }

    const fn len(&self) -> usize {
        match self.data_len() {
            0 => self.name().len().saturating_add(16),
            n => self.data_at().saturating_add(n),
        }
    }

    fn emit(&self, w: &mut Writer<'_>, last: bool) -> Result<(), NoSpace> {
        let (name, data_len) = (self.name(), self.data_len());
        let padded = align8(self.len());
        w.u32(if last { 0 } else { len32(padded)? })?;
        w.u16(16)?;
        w.u16(len16(name.len())?)?;
        w.u16(0)?;
        w.u16(if data_len == 0 {
            0
        } else {
            len16(self.data_at())?
        })?;
        w.u32(len32(data_len)?)?;
        w.put(name)?;
        if data_len > 0 {
            let named = name.len().saturating_add(16);
            w.zeros(self.data_at().saturating_sub(named))?;
            self.emit_data(w)?;
        }
        if last {
            return Ok(());
        }
        w.zeros(padded.saturating_sub(self.len()))
    }

    fn emit_data(&self, w: &mut Writer<'_>) -> Result<(), NoSpace> {
        match self {
            Self::MaximalAccess(None) | Self::FileId => Ok(()),
            Self::MaximalAccess(Some(n)) | Self::TimeWarp(n) | Self::AllocationSize(n) => w.u64(*n),
            Self::Durable => w.zeros(16),
            Self::DurableReconnect(id) => id.emit(w),
            Self::Durable2 {
                timeout,
                flags,
                guid,
            } => {
                w.u32(*timeout)?;
                w.u32(*flags)?;
                w.u64(0)?;
                w.put(guid)
            }
            Self::Durable2Reconnect {
                file_id,
                guid,
                flags,
            } => {
                file_id.emit(w)?;
                w.put(guid)?;
                w.u32(*flags)
            }
            Self::Lease(lease) => lease.emit(w),
            Self::Other { data, .. } => w.put(data),
        }
    }
}

/// The bytes that `asks` take, the last one without padding.
pub fn len(asks: &[Ask<'_>]) -> usize {
    asks.iter()
        .fold(0, |at, ask| align8(at).saturating_add(ask.len()))
}

/// Writes `asks` as a chain.
pub fn emit(asks: &[Ask<'_>], w: &mut Writer<'_>) -> Result<(), NoSpace> {
    let mut left = asks.iter();
    while let Some(ask) = left.next() {
        ask.emit(w, left.as_slice().is_empty())?;
    }
    Ok(())
}

/// What a CREATE is answered besides.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answer<'a> {
    /// MxAc: what the user may do at most, if the status is success.
    MaximalAccess {
        /// Whether the server could tell.
        status: NtStatus,
        /// See [`access`](crate::smb2::create::access).
        access: u32,
    },
    /// QFid: ids of the file and of its volume.
    FileId {
        /// The file's number within its volume; what FileInternalInformation says.
        file: u64,
        /// The volume's number.
        volume: u64,
    },
    /// DHnQ: the handle is durable.
    Durable,
    /// DH2Q: the handle is durable.
    Durable2 {
        /// How long the server keeps it after the connection is lost, in milliseconds.
        timeout: u32,
        /// 0 or [`DURABLE_PERSISTENT`].
        flags: u32,
    },
    /// RqLs: the lease granted.
    Lease(Lease),
    /// Any other context.
    Other {
        /// Usually four bytes.
        name: &'a [u8],
        /// May be empty.
        data: &'a [u8],
    },
}

impl<'a> Answer<'a> {
    fn parse(name: &'a [u8], data: &'a [u8]) -> Result<Self, Malformed> {
        let mut r = Reader::new(data);
        Ok(match <[u8; 4]>::try_from(name) {
            Ok(MXAC) => Self::MaximalAccess {
                status: NtStatus(r.u32()?),
                access: r.u32()?,
            },
            Ok(QFID) => Self::FileId {
                file: r.u64()?,
                volume: r.u64()?,
            },
            Ok(DHNQ) => Self::Durable,
            Ok(DH2Q) => Self::Durable2 {
                timeout: r.u32()?,
                flags: r.u32()?,
            },
            Ok(RQLS) => Self::Lease(Lease::parse(r)?),
            _ => Self::Other { name, data },
        })
    }
}

impl Lease {
    fn emit(&self, w: &mut Writer<'_>) -> Result<(), NoSpace> {
        w.put(&self.key)?;
        w.u32(self.state)?;
        w.u32(self.flags)?;
        w.u64(0)?;
        match &self.v2 {
            None => Ok(()),
            Some(v2) => {
                w.put(&v2.parent)?;
                w.u16(v2.epoch)?;
                w.u16(0)
            }
        }
    }

    /// The version is told by the length (MS-SMB2 2.2.14.2.10, 2.2.14.2.11).
    fn parse(mut r: Reader<'_>) -> Result<Self, Malformed> {
        let len = r.len();
        let key = r.array()?;
        let state = r.u32()?;
        let flags = r.u32()?;
        r.skip(8)?;
        let v2 = match len {
            32 => None,
            52.. => Some(LeaseV2 {
                parent: r.array()?,
                epoch: r.u16()?,
            }),
            _ => return Err(Malformed),
        };
        Ok(Self {
            key,
            state,
            flags,
            v2,
        })
    }
}

/// The contexts of a reply, in order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Answers<'a> {
    rest: &'a [u8],
}

impl<'a> Answers<'a> {
    /// Over the bytes of a chain of contexts; empty bytes are an empty chain.
    pub const fn new(bytes: &'a [u8]) -> Self {
        Self { rest: bytes }
    }

    fn step(&mut self) -> Result<Answer<'a>, Malformed> {
        let all = core::mem::take(&mut self.rest);
        let mut r = Reader::new(all);
        let next = size(r.u32()?);
        let name_at = usize::from(r.u16()?);
        let name_len = usize::from(r.u16()?);
        r.skip(2)?;
        let data_at = usize::from(r.u16()?);
        let data_len = size(r.u32()?);
        let this = if next == 0 {
            all
        } else if next < 16 || next != align8(next) {
            return Err(Malformed);
        } else {
            let (this, tail) = all.split_at_checked(next).ok_or(Malformed)?;
            if tail.is_empty() {
                return Err(Malformed);
            }
            self.rest = tail;
            this
        };
        if name_at < 16 || (data_len > 0 && data_at < 16) {
            return Err(Malformed);
        }
        let name = window(this, name_at, name_len)?;
        let data = match data_len {
            0 => &[],
            _ => window(this, data_at, data_len)?,
        };
        Answer::parse(name, data)
    }
}

impl<'a> Iterator for Answers<'a> {
    type Item = Result<Answer<'a>, Malformed>;

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
