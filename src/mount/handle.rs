// SPDX-License-Identifier: GPL-2.0

//! Open files that outlive the server they were opened on.

use super::{
    Create,
    How,
    Result, //
};
use core::str;
use kernel::{
    new_mutex,
    prelude::*,
    sync::{
        Arc,
        Mutex, //
    }, //
};
use rsdfs_proto::smb2::FileId;

/// An open file of a volume, for as long as the file system keeps it open.
///
/// On the server it is open in one generation of the volume at a time; it is opened again, by its
/// path, when it is first used in the next.
#[pin_data]
pub(crate) struct Handle {
    /// Names the handle within its volume.
    pub(super) id: u64,
    pub(super) how: How,
    #[pin]
    state: Mutex<State>,
}

struct State {
    path: KVec<u8>,
    open: Option<(u64, FileId)>,
    closed: bool,
}

impl Handle {
    /// A handle that was opened in `generation`.
    pub(super) fn new(
        id: u64,
        path: &str,
        how: How,
        generation: u64,
        file: FileId,
    ) -> Result<Arc<Self>> {
        let path = bytes(path)?;
        Ok(Arc::pin_init(
            pin_init!(Self {
                id,
                how,
                state <- new_mutex!(State {
                    path,
                    open: Some((generation, file)),
                    closed: false,
                }),
            }),
            GFP_KERNEL,
        )?)
    }

    /// The server's id for it, if it is open in `generation`.
    pub(super) fn file(&self, generation: u64) -> Option<FileId> {
        match self.state.lock().open {
            Some((open, file)) if open == generation => Some(file),
            _ => None,
        }
    }

    /// Notes that it was opened again. If it is open in this generation already, or closed, the
    /// new id is not needed and is given back.
    pub(super) fn opened(&self, generation: u64, file: FileId) -> Option<FileId> {
        let mut state = self.state.lock();
        match state.open {
            Some((open, _)) if open >= generation => Some(file),
            _ if state.closed => Some(file),
            _ => {
                state.open = Some((generation, file));
                None
            }
        }
    }

    /// The server says the id is not valid any more.
    pub(super) fn forget(&self, stale: FileId) {
        let mut state = self.state.lock();
        if matches!(state.open, Some((_, file)) if file == stale) {
            state.open = None;
        }
    }

    /// Closes it for good; what is left to close on the server.
    pub(super) fn close(&self) -> Option<(u64, FileId)> {
        let mut state = self.state.lock();
        state.closed = true;
        state.open.take()
    }

    /// Where it is now, relative to the share, with '/'.
    pub(super) fn path(&self) -> Result<KVec<u8>> {
        let state = self.state.lock();
        let mut path = KVec::with_capacity(state.path.len(), GFP_KERNEL)?;
        path.extend_from_slice(&state.path, GFP_KERNEL)?;
        Ok(path)
    }

    /// Whether it was removed while it was open: it has a name that nobody gave it.
    pub(super) fn is_unlinked(&self) -> bool {
        let state = self.state.lock();
        let name = state.path.rsplit(|byte| *byte == b'/').next();
        name.is_some_and(|name| name.starts_with(b".rsdfs"))
    }

    /// Whether that is `path`.
    pub(super) fn is_at(&self, path: &str) -> bool {
        &self.state.lock().path[..] == path.as_bytes()
    }

    /// Follows a rename of it, or of a directory above it.
    pub(super) fn moved(&self, from: &str, to: &str) -> Result {
        let mut state = self.state.lock();
        let below = match state.path.strip_prefix(from.as_bytes()) {
            Some(rest) if rest.is_empty() || rest.first() == Some(&b'/') => rest,
            _ => return Ok(()),
        };
        let mut path = KVec::with_capacity(to.len().saturating_add(below.len()), GFP_KERNEL)?;
        path.extend_from_slice(to.as_bytes(), GFP_KERNEL)?;
        path.extend_from_slice(below, GFP_KERNEL)?;
        state.path = path;
        Ok(())
    }

    /// How it is opened when it is opened again: what there was, is there, and keeps its content.
    pub(super) fn again(&self) -> How {
        How {
            create: Create::Open,
            ..self.how
        }
    }
}

fn bytes(path: &str) -> Result<KVec<u8>> {
    let mut bytes = KVec::with_capacity(path.len(), GFP_KERNEL)?;
    bytes.extend_from_slice(path.as_bytes(), GFP_KERNEL)?;
    Ok(bytes)
}

/// A path kept as bytes; it came from a `str`.
pub(super) fn text(path: &[u8]) -> &str {
    str::from_utf8(path).unwrap_or_default()
}
