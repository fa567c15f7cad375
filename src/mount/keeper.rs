// SPDX-License-Identifier: GPL-2.0

//! The thread of a mount that finds a new tree when the old one is lost.
//!
//! It exists from the mount on, so that nothing needs to be allocated to begin a failover, and it
//! is the only one that looks, so that a failover happens once however many callers wait for it.

use super::{
    attempt::PATIENCE,
    volume::{
        Volume,
        Work, //
    }, //
};
use crate::{
    sys::thread::{
        NoFs,
        Stop, //
    },
    transport::conn::Reason, //
};
use kernel::sync::Arc;
use rsdfs_proto::failover::{
    Lost,
    Policy, //
};

/// Runs until the mount is ended.
pub(super) fn run(volume: &Arc<Volume>, stop: &Stop) {
    let _scope = NoFs::enter();
    loop {
        match volume.wait_for_work(|| stop.is_set()) {
            Work::Stop => return,
            Work::Resume => volume.resume(),
            Work::Bury => volume.bury(PATIENCE),
            Work::Tend => volume.tend(),
            // Fails only for want of memory or when it is called off; then the next round looks
            // again at what is the matter.
            Work::Seek(since, reason) => {
                if let Ok(tree) = volume.seek(Policy::HARD, Some(how(reason))) {
                    if volume.publish(tree.clone(), Some(since)).is_ok() {
                        volume.reclaim(&tree);
                    }
                }
            }
        }
    }
}

/// What the end of a connection says about its server.
fn how(reason: Reason) -> Lost {
    match reason {
        Reason::Closed | Reason::Reset | Reason::SessionEnded => Lost::Reset,
        Reason::Silent | Reason::Frozen | Reason::BadFrame => Lost::Silent,
        Reason::Gone => Lost::ShareGone,
    }
}
