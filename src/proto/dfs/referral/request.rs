// SPDX-License-Identifier: GPL-2.0
//! Referral requests (MS-DFSC 2.2.2, 2.2.3).

use crate::codec::{NoSpace, Writer};
use crate::dfs::path::Path;
use crate::utf16;

/// Control code of a [`Request`] without a site (MS-FSCC 2.3.16).
pub const FSCTL_DFS_GET_REFERRALS: u32 = 0x0006_0194;

/// Control code of a [`Request`] with a site (MS-FSCC 2.3.17).
pub const FSCTL_DFS_GET_REFERRALS_EX: u32 = 0x0006_01b0;

/// The highest referral version rsdfs asks for.
pub const MAX_LEVEL: u16 = 4;

/// What is asked for (MS-DFSC 3.1.4.2).
#[derive(Clone, Copy, Debug)]
pub enum Subject<'a> {
    /// The domains the server knows: an empty path.
    Domains,
    /// The domain controllers of this domain: `\domain`.
    Domain(&'a str),
    /// The targets of a root or link.
    Path(Path<'a>),
}

/// A referral request (MS-DFSC 2.2.2), or with a site its extended form (MS-DFSC 2.2.3).
#[derive(Clone, Copy, Debug)]
pub struct Request<'a> {
    /// What is asked for.
    pub subject: Subject<'a>,
    /// The highest version understood, 1 to [`MAX_LEVEL`].
    pub level: u16,
    /// The site of this client, so that the server can rank the targets for it.
    pub site: Option<&'a str>,
}

impl<'a> Request<'a> {
    /// Asks for the highest level and names no site.
    pub const fn new(subject: Subject<'a>) -> Self {
        Self {
            subject,
            level: MAX_LEVEL,
            site: None,
        }
    }

    /// The control code this request is sent with.
    pub const fn fsctl(&self) -> u32 {
        match self.site {
            None => FSCTL_DFS_GET_REFERRALS,
            Some(_) => FSCTL_DFS_GET_REFERRALS_EX,
        }
    }

    /// The exact number of bytes [`Request::emit`] writes.
    pub fn len(&self) -> usize {
        let name = self.name_len();
        match self.site {
            None => name.saturating_add(4),
            Some(site) => name.saturating_add(utf16::len(site)).saturating_add(12),
        }
    }

    /// Whether nothing would be written; never.
    pub fn is_empty(&self) -> bool {
        false
    }

    /// Writes the request; fails also when a length does not fit its field.
    pub fn emit(&self, w: &mut Writer<'_>) -> Result<(), NoSpace> {
        w.u16(self.level)?;
        let Some(site) = self.site else {
            self.emit_name(w)?;
            return w.u16(0);
        };
        let name_len = u16::try_from(self.name_len()).map_err(|_| NoSpace)?;
        let site_len = u16::try_from(utf16::len(site)).map_err(|_| NoSpace)?;
        let data_len = u32::from(name_len)
            .saturating_add(u32::from(site_len))
            .saturating_add(4);
        w.u16(0x0001)?;
        w.u32(data_len)?;
        w.u16(name_len)?;
        self.emit_name(w)?;
        w.u16(site_len)?;
        utf16::put(w, site)
    }

    fn name_len(&self) -> usize {
        match self.subject {
            Subject::Domains => 0,
            Subject::Domain(name) => utf16::len(name).saturating_add(2),
            Subject::Path(path) => path.units().saturating_mul(2),
        }
    }

    fn emit_name(&self, w: &mut Writer<'_>) -> Result<(), NoSpace> {
        match self.subject {
            Subject::Domains => Ok(()),
            Subject::Domain(name) => {
                w.u16(u16::from(b'\\'))?;
                utf16::put(w, name)
            }
            Subject::Path(path) => path.emit(w),
        }
    }
}
