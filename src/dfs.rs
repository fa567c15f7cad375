// SPDX-License-Identifier: GPL-2.0

//! The referral cache. It answers from memory only; asking servers is up to `mount::referral`.

pub(crate) mod cache;
