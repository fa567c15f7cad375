// SPDX-License-Identifier: GPL-2.0
//! CLOSE (MS-SMB2 2.2.15, 2.2.16): lets go of a handle, and may tell the file's last attributes.

use crate::codec::{Malformed, NoSpace, Writer};
use crate::smb2::info::NetworkOpen;
use crate::smb2::{Code, Command, FileId, Message};

/// Flag: the reply tells the attributes after the close.
pub const POSTQUERY_ATTRIB: u16 = 0x0001;

/// Lets go of a handle.
#[derive(Clone, Copy, Debug)]
pub struct Close {
    /// The handle.
    pub file_id: FileId,
    /// Whether to ask for the attributes after the close.
    pub query: bool,
}

/// The attributes, if they were asked for and the server told them.
pub type Reply = Option<NetworkOpen>;

impl Command for Close {
    const CODE: Code = Code::Close;
    type Reply<'a> = Reply;

    fn len(&self) -> usize {
        24
    }

    fn emit(&self, w: &mut Writer<'_>) -> Result<(), NoSpace> {
        w.u16(24)?;
        w.u16(if self.query { POSTQUERY_ATTRIB } else { 0 })?;
        w.u32(0)?;
        self.file_id.emit(w)
    }

    fn parse(message: &Message<'_>) -> Result<Reply, Malformed> {
        let mut r = message.fixed(60)?;
        let flags = r.u16()?;
        r.skip(4)?;
        let attributes = NetworkOpen::parse_fields(&mut r)?;
        Ok((flags & POSTQUERY_ATTRIB != 0).then_some(attributes))
    }
}
