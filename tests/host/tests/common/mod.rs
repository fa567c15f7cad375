// SPDX-License-Identifier: GPL-2.0
//! What the host tests share: the `Crypto` trait done by crates.
//!
//! An integration test says `mod common;`.

#![allow(dead_code)]

pub mod crypto;
