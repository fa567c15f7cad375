// SPDX-License-Identifier: GPL-2.0
//! The protocol core of rsdfs: SMB2/3, SPNEGO/NTLM and DFS decided without I/O.
//!
//! Everything here is a function of bytes and of time handed in by the caller. There is no
//! allocation, no clock, no lock and no socket: the caller owns every buffer. The same source is
//! linked into the kernel module and into the host tests (`tests/host`).
//!
//! A panic is a kernel crash, so wire values are never indexed with, added or multiplied bare.

#![no_std]
#![forbid(unsafe_code)]
#![warn(missing_docs)]
#![deny(
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::as_conversions
)]

#[cfg(test)]
extern crate std;

pub mod auth;
pub mod codec;
pub mod crypt;
pub mod dfs;
pub mod dial;
pub mod dialect;
pub mod dns;
pub mod failover;
pub mod frame;
pub mod handshake;
pub mod identity;
pub mod lease;
pub mod link;
pub mod locks;
pub mod outcome;
pub mod smb2;
pub mod status;
pub mod stream;
pub mod time;
pub mod utf16;
