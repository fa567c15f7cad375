// SPDX-License-Identifier: GPL-2.0

//! Files that were removed while they were open. They live on under a hidden name, so that they can be opened again on
//! another server, and are removed when the last handle is closed: by the keeper, since a close may happen where nobody
//! can wait for a server; what is left then, by the end of the mount.

use super::{
    handle::{
        text,
        Handle, //
    },
    ops::change,
    tree::On,
    volume::Volume,
    Error,
    Result, //
};
use crate::{
    sys::time::now_ms,
    transport::conn::Reason, //
};
use rsdfs_proto::{
    smb2::{
        create::{
            access,
            options, //
        },
        info::{
            self,
            attributes, //
        },
        set_info::Set, //
    },
    status::NtStatus, //
};

impl Volume {
    /// Removes a file that was closed without a name, where it was open last, if that works still.
    fn remove_hidden(&self, handle: &Handle, tree: &On<'_>) -> Result {
        let path = handle.path()?;
        let path = text(&path);
        let normal = Set::Basic(info::Basic {
            times: info::Times::default(),
            attributes: attributes::NORMAL,
        });
        let gone = Set::Disposition(true);
        let kind = options::NON_DIRECTORY_FILE;
        match change(tree, path, (access::DELETE, kind), &[gone], None) {
            // It is read-only.
            Err(Error::Status(NtStatus::CANNOT_DELETE)) => {
                let needed = access::DELETE | access::WRITE_ATTRIBUTES;
                change(tree, path, (needed, kind), &[normal, gone], None)
            }
            result => result,
        }
    }

    /// Removes the files that were closed without a name, while the server takes no longer than `patience`
    /// milliseconds for each.
    pub(super) fn bury(&self, patience: u64) {
        while let Some(handle) = self.condemned() {
            let view = self.view();
            let here = handle.tree().filter(|tree| !tree.is_dead());
            let Some(tree) = here.or(view.tree.filter(|_| view.up)) else {
                return;
            };
            let deadline = now_ms().saturating_add(patience);
            let result = self.remove_hidden(&handle, &On::new(&tree, Some(deadline)));
            let gone = match result {
                Err(Error::Lost) => Some(Reason::Gone),
                Err(Error::Status(status)) => tree.gone(status),
                _ => None,
            };
            if let Some(reason) = gone {
                handle.forget_tree();
                return self.lost(&tree, reason);
            }
            match result {
                Err(Error::Timeout | Error::Interrupted) => return,
                // Whatever the server says to it, there is nothing more to be done.
                _ => self.buried(&handle),
            }
        }
    }
}
