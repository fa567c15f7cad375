// SPDX-License-Identifier: GPL-2.0
//! Makes responses, of version 4: what an imported cache entry is kept as.
//!
//! Each entry carries its own string, so that any number of targets of any length can be told.

use crate::codec::{NoSpace, Writer};
use crate::dfs::path::Path;

use super::{entry_flags, V3_HEAD};

/// Bytes of the header of a response.
pub const HEADER: usize = 8;

/// One target.
#[derive(Clone, Copy, Debug)]
pub struct Target<'a> {
    /// Where it leads.
    pub path: Path<'a>,
    /// Whether it is a DFS root.
    pub root: bool,
    /// Whether it is the first of its target set.
    pub starts_set: bool,
    /// Time to live in seconds.
    pub ttl: u32,
}

/// Writes the header of a response with `count` targets that is about the whole of `path`.
pub fn header(w: &mut Writer<'_>, path: &Path<'_>, count: u16, flags: u32) -> Result<(), NoSpace> {
    let consumed = path.units().saturating_mul(2);
    w.u16(u16::try_from(consumed).map_err(|_| NoSpace)?)?;
    w.u16(count)?;
    w.u32(flags)
}

impl Target<'_> {
    /// The exact number of bytes [`Target::emit`] writes.
    pub fn len(&self) -> usize {
        let text = self.path.units().saturating_add(1).saturating_mul(2);
        text.saturating_add(usize::from(V3_HEAD))
    }

    /// Whether nothing would be written; never.
    pub fn is_empty(&self) -> bool {
        false
    }

    /// Writes the entry.
    pub fn emit(&self, w: &mut Writer<'_>) -> Result<(), NoSpace> {
        let flags = match self.starts_set {
            true => entry_flags::TARGET_SET_BOUNDARY,
            false => 0,
        };
        w.u16(4)?;
        w.u16(u16::try_from(self.len()).map_err(|_| NoSpace)?)?;
        w.u16(u16::from(self.root))?;
        w.u16(flags)?;
        w.u32(self.ttl)?;
        w.u16(0)?;
        w.u16(0)?;
        w.u16(V3_HEAD)?;
        self.path.emit(w)?;
        w.u16(0)
    }
}
