// SPDX-License-Identifier: GPL-2.0

//! What there is to see of a mount.

use crate::{
    mount::tree::Tree,
    transport::conn::Reason, //
};
use kernel::sync::Arc;

/// For the views.
#[derive(Clone, Copy, Default)]
pub(crate) struct Stats {
    /// Trees that replaced a lost one.
    pub(crate) failovers: u64,
    /// Trees that replaced one that worked.
    pub(crate) moves: u64,
    /// Why the last one was left.
    pub(crate) reason: Option<Why>,
    /// How long it took to replace it, in milliseconds.
    pub(crate) duration: u64,
    /// When one was lost and has been replaced, in milliseconds since boot.
    pub(crate) recovered: u64,
}

/// Why a mount has left a target.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Why {
    /// It was lost.
    Lost(Reason),
    /// The preferred one is back.
    Failback,
    /// The referral does not list it any more.
    Drain,
    /// The administrator wants it so.
    Asked,
}

impl Why {
    /// A word for the views.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Why::Lost(reason) => reason.name(),
            Why::Failback => "failback",
            Why::Drain => "drain",
            Why::Asked => "asked",
        }
    }
}

/// What the views show of a mount.
pub(crate) struct View {
    pub(crate) tree: Option<Arc<Tree>>,
    pub(crate) generation: u64,
    pub(crate) up: bool,
    pub(crate) stats: Stats,
}
