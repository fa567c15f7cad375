// SPDX-License-Identifier: GPL-2.0
//! IOCTL (MS-SMB2 2.2.31, 2.2.32) and the payloads that belong to SMB itself.

use crate::codec::{size, window, Malformed, NoSpace, Reader, Writer};
use crate::dialect::Versions;
use crate::smb2::{len16, len32, Code, Command, FileId, Message};

/// Control codes (MS-SMB2 2.2.31, MS-FSCC 2.3).
#[allow(missing_docs)]
pub mod fsctl {
    pub const DFS_GET_REFERRALS: u32 = 0x0006_0194;
    pub const DFS_GET_REFERRALS_EX: u32 = 0x0006_01b0;
    pub const PIPE_PEEK: u32 = 0x0011_400c;
    pub const PIPE_WAIT: u32 = 0x0011_0018;
    pub const PIPE_TRANSCEIVE: u32 = 0x0011_c017;
    pub const SRV_COPYCHUNK: u32 = 0x0014_40f2;
    pub const SRV_COPYCHUNK_WRITE: u32 = 0x0014_80f2;
    pub const SRV_ENUMERATE_SNAPSHOTS: u32 = 0x0014_4064;
    pub const SRV_REQUEST_RESUME_KEY: u32 = 0x0014_0078;
    pub const LMR_REQUEST_RESILIENCY: u32 = 0x0014_01d4;
    pub const QUERY_NETWORK_INTERFACE_INFO: u32 = 0x0014_01fc;
    pub const VALIDATE_NEGOTIATE_INFO: u32 = 0x0014_0204;
    pub const SET_REPARSE_POINT: u32 = 0x0009_00a4;
    pub const GET_REPARSE_POINT: u32 = 0x0009_00a8;
    pub const DELETE_REPARSE_POINT: u32 = 0x0009_00ac;
    pub const SET_SPARSE: u32 = 0x0009_00c4;
    pub const SET_ZERO_DATA: u32 = 0x0009_80c8;
    pub const QUERY_ALLOCATED_RANGES: u32 = 0x0009_40cf;
    pub const FILE_LEVEL_TRIM: u32 = 0x0009_8208;
    pub const DUPLICATE_EXTENTS_TO_FILE: u32 = 0x0009_8344;
    pub const SET_INTEGRITY_INFORMATION: u32 = 0x0009_c280;
}

/// Flag: the code is a file system control, which all of [`fsctl`] are.
const IS_FSCTL: u32 = 0x0000_0001;

/// Sends a control code with its input.
#[derive(Clone, Copy, Debug)]
pub struct Ioctl<'a> {
    /// See [`fsctl`].
    pub code: u32,
    /// The handle, or [`FileId::ANY`] for a code that needs none.
    pub file_id: FileId,
    /// The code's input.
    pub input: &'a [u8],
    /// How many bytes of output fit at most.
    pub max_output: u32,
}

/// The output; also for `BUFFER_OVERFLOW`, then cut.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reply<'a> {
    /// The control code answered.
    pub code: u32,
    /// The handle.
    pub file_id: FileId,
    /// The code's output.
    pub output: &'a [u8],
}

impl<'c> Ioctl<'c> {
    /// Asks for a referral; `input` is a REQ_GET_DFS_REFERRAL (MS-DFSC 2.2.2).
    pub const fn referral(input: &'c [u8], max_output: u32) -> Self {
        Self {
            code: fsctl::DFS_GET_REFERRALS,
            file_id: FileId::ANY,
            input,
            max_output,
        }
    }

    /// Checks the negotiation; `input` is an emitted [`ValidateNegotiate`].
    pub const fn validate_negotiate(input: &'c [u8]) -> Self {
        Self {
            code: fsctl::VALIDATE_NEGOTIATE_INFO,
            file_id: FileId::ANY,
            input,
            max_output: 24,
        }
    }
}

impl Command for Ioctl<'_> {
    const CODE: Code = Code::Ioctl;
    type Reply<'a> = Reply<'a>;

    fn len(&self) -> usize {
        56_usize.saturating_add(self.input.len())
    }

    fn emit(&self, w: &mut Writer<'_>) -> Result<(), NoSpace> {
        w.u16(57)?;
        w.u16(0)?;
        w.u32(self.code)?;
        self.file_id.emit(w)?;
        w.u32(0x78)?;
        w.u32(len32(self.input.len())?)?;
        w.u32(0)?; // MaxInputResponse
        w.u32(0)?; // OutputOffset
        w.u32(0)?; // OutputCount
        w.u32(self.max_output)?;
        w.u32(IS_FSCTL)?;
        w.u32(0)?;
        w.put(self.input)
    }

    fn parse<'a>(message: &Message<'a>) -> Result<Reply<'a>, Malformed> {
        let mut r = message.fixed(49)?;
        r.skip(2)?;
        let code = r.u32()?;
        let file_id = FileId::parse(&mut r)?;
        r.skip(8)?;
        let at = r.u32()?;
        let len = r.u32()?;
        r.skip(8)?;
        let output = message.variable(48, at, len)?;
        Ok(Reply {
            code,
            file_id,
            output,
        })
    }

    fn payload(&self) -> usize {
        self.input.len().max(size(self.max_output))
    }
}

/// What the client negotiated with (MS-SMB2 2.2.31.4): the input of VALIDATE_NEGOTIATE_INFO.
#[derive(Clone, Copy, Debug)]
pub struct ValidateNegotiate {
    /// As sent in the negotiate request.
    pub capabilities: u32,
    /// As sent in the negotiate request.
    pub client_guid: [u8; 16],
    /// As sent in the negotiate request.
    pub security_mode: u16,
    /// As sent in the negotiate request.
    pub versions: Versions,
}

impl ValidateNegotiate {
    /// No input is longer than this, in bytes.
    pub const MAX_LEN: usize = 32;

    /// The exact length in bytes.
    pub const fn len(&self) -> usize {
        self.versions.len().saturating_mul(2).saturating_add(24)
    }

    /// Whether it is empty: never.
    pub const fn is_empty(&self) -> bool {
        false
    }

    /// Writes the input.
    pub fn emit(&self, w: &mut Writer<'_>) -> Result<(), NoSpace> {
        w.u32(self.capabilities)?;
        w.put(&self.client_guid)?;
        w.u16(self.security_mode)?;
        w.u16(len16(self.versions.len())?)?;
        self.versions.iter().try_for_each(|d| w.u16(d.number()))
    }
}

/// What the server says it negotiated (MS-SMB2 2.2.32.6); to be equal to what its negotiate reply
/// said.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NegotiateInfo {
    /// As in the negotiate reply.
    pub capabilities: u32,
    /// As in the negotiate reply.
    pub server_guid: [u8; 16],
    /// As in the negotiate reply.
    pub security_mode: u16,
    /// As in the negotiate reply.
    pub dialect: u16,
}

impl NegotiateInfo {
    /// Parses the output of VALIDATE_NEGOTIATE_INFO, which is exactly 24 bytes.
    pub fn parse(output: &[u8]) -> Result<Self, Malformed> {
        let mut r = Reader::new(output);
        let info = Self {
            capabilities: r.u32()?,
            server_guid: r.array()?,
            security_mode: r.u16()?,
            dialect: r.u16()?,
        };
        if r.is_empty() {
            Ok(info)
        } else {
            Err(Malformed)
        }
    }
}

/// Interface capability: receive side scaling.
pub const INTERFACE_RSS: u32 = 0x01;
/// Interface capability: RDMA.
pub const INTERFACE_RDMA: u32 = 0x02;

/// An address of a server's interface.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Address {
    /// IPv4, in network order.
    V4([u8; 4]),
    /// IPv6, in network order.
    V6([u8; 16]),
}

/// One interface of a server (MS-SMB2 2.2.32.5).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Interface {
    /// The server's number for it.
    pub index: u32,
    /// [`INTERFACE_RSS`], [`INTERFACE_RDMA`].
    pub capability: u32,
    /// Bits per second.
    pub speed: u64,
    /// Its address; `None` for a family that is neither IPv4 nor IPv6.
    pub address: Option<Address>,
}

/// The interfaces in the output of QUERY_NETWORK_INTERFACE_INFO, in order.
#[derive(Clone, Copy, Debug)]
pub struct Interfaces<'a> {
    rest: &'a [u8],
}

/// Iterates over the output of QUERY_NETWORK_INTERFACE_INFO.
pub const fn interfaces(output: &[u8]) -> Interfaces<'_> {
    Interfaces { rest: output }
}

impl Interfaces<'_> {
    fn step(&mut self) -> Result<Interface, Malformed> {
        let all = core::mem::take(&mut self.rest);
        let mut r = Reader::new(window(all, 0, 152)?);
        let next = size(r.u32()?);
        if next != 0 {
            if next < 152 {
                return Err(Malformed);
            }
            match all.get(next..) {
                None | Some([]) => return Err(Malformed),
                Some(tail) => self.rest = tail,
            }
        }
        let index = r.u32()?;
        let capability = r.u32()?;
        r.skip(4)?;
        let speed = r.u64()?;
        let family = r.u16()?;
        r.skip(2)?;
        let address = match family {
            0x0002 => Some(Address::V4(r.array()?)),
            0x0017 => {
                r.skip(4)?;
                Some(Address::V6(r.array()?))
            }
            _ => None,
        };
        Ok(Interface {
            index,
            capability,
            speed,
            address,
        })
    }
}

impl Iterator for Interfaces<'_> {
    type Item = Result<Interface, Malformed>;

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
