// SPDX-License-Identifier: GPL-2.0

//! Files that were removed while they were open. They live on under a hidden name, so that they can be opened again on
//! another server, and are removed when the last handle is closed: by the keeper, since a close may happen where nobody
//! can wait for a server; what is left then, by the end of the mount. So is what is left of operations that were cut short.

use super::{
    chores::Chore,
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
use kernel::{
    prelude::*,
    sync::Arc, //
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

/// What is to be done.
enum Grave {
    /// A file was closed without a name.
    File(Arc<Handle>),
    /// An operation was cut short.
    Chore(Arc<Chore>),
}

impl Volume {
    /// Removes the file with the hidden name `path`.
    pub(super) fn remove_hidden(&self, path: &str, tree: &On<'_>) -> Result {
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

    fn grave(&self) -> Option<Grave> {
        if !self.has_condemned() {
            return None;
        }
        let file = self.condemned().map(Grave::File);
        file.or_else(|| self.chore().map(Grave::Chore))
    }

    /// Removes the files that were closed without a name, and does what is left of operations that were cut short, while the
    /// server takes no longer than `patience` milliseconds for each. Who does the same meanwhile is not in the way.
    pub(super) fn bury(&self, patience: u64) {
        while let Some(grave) = self.grave() {
            let view = self.view();
            // Where it was open last, if that works still.
            let here = match &grave {
                Grave::File(handle) => handle.tree().filter(|tree| !tree.is_dead()),
                Grave::Chore(_) => None,
            };
            let Some(tree) = here.or(view.tree.filter(|_| view.up)) else {
                return;
            };
            let on = On::new(&tree, Some(now_ms().saturating_add(patience)));
            let result = match &grave {
                Grave::File(handle) => {
                    (handle.path()).and_then(|path| self.remove_hidden(text(&path), &on))
                }
                Grave::Chore(chore) => self.do_chore(chore, &on),
            };
            let gone = match result {
                Err(Error::Lost) => Some(Reason::Gone),
                Err(Error::Status(status)) => tree.gone(status),
                _ => None,
            };
            if let Some(reason) = gone {
                if let Grave::File(handle) = &grave {
                    handle.forget_tree();
                }
                return self.lost(&tree, reason);
            }
            match (result, &grave) {
                (Err(Error::Timeout | Error::Interrupted | Error::Kernel(ENOMEM)), _) => return,
                // Whatever the server says to it, there is nothing more to be done.
                (_, Grave::File(handle)) => self.buried(handle),
                (_, Grave::Chore(chore)) => self.done_with(chore),
            }
        }
    }
}
