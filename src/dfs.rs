// SPDX-License-Identifier: GPL-2.0

//! The referral cache and the domain cache. They answer from memory only; asking servers is up to `mount::referral`.

pub(crate) mod cache;
pub(crate) mod domains;
mod referral;
mod table;
