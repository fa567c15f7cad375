// SPDX-License-Identifier: GPL-2.0
//! The distributed file system namespace (MS-DFSC): paths, referrals and what is kept of them.
//!
//! [`path`] is the canonical form of a UNC or DFS path and the key of the referral cache,
//! [`referral`] the bytes of `FSCTL_DFS_GET_REFERRALS`, and [`entry`] one validated answer with its
//! age; [`index`] finds entries, [`export`] writes and reads them as text ([`escape`]), and
//! [`complaint`] keeps the log short. Who is asked, where the answers are kept and which target is used is decided elsewhere
//! (`crate::failover` for the last).

pub mod complaint;
pub mod entry;
pub mod escape;
pub mod export;
pub mod index;
pub mod path;
pub mod referral;

/// How many links may lead to further links before a path is refused as a loop.
///
/// MS-DFSC leaves the limit to the client; eight nested links are also the usual limit of others.
pub const MAX_NESTED: usize = 8;

/// How many targets of one referral are used; further ones are left out.
pub const MAX_TARGETS: usize = 512;
