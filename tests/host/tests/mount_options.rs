// SPDX-License-Identifier: GPL-2.0

//! The values of mount options: the module's own source, with the unit tests in it.

#![allow(dead_code)]

#[path = "../../../src/mount/options/value.rs"]
mod value;
