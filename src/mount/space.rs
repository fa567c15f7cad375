// SPDX-License-Identifier: GPL-2.0

//! The space on a share, for `df`.

use super::{
    ops::{
        close_it,
        creation,
        parse_info,
        LOOK, //
    },
    session::success,
    tree::On,
    volume::Volume,
    Error,
    Result,
    StatFs, //
};
use crate::transport::{
    conn::Reason,
    Request, //
};
use rsdfs_proto::smb2::{
    info,
    query_info::QueryInfo,
    FileId, //
};

/// How long a question for the space on a share waits for a server, in milliseconds.
const PATIENCE: u64 = 400;

impl Volume {
    /// The space on the share; `None` if no server says so soon. `umount(8)` and `df` look here, and
    /// shall not wait for a dead server, not even on a hard mount.
    pub(crate) fn statfs(&self) -> Result<Option<StatFs>> {
        let view = self.view();
        let Some(tree) = view.tree.filter(|_| view.up) else {
            return Ok(None);
        };
        match space(&On::new(&tree, None)) {
            Ok(space) => Ok(Some(space)),
            Err(Error::Timeout) => Ok(None),
            Err(Error::Lost) => {
                self.lost(&tree, Reason::Gone);
                Ok(None)
            }
            Err(Error::Status(status)) => match tree.gone(status) {
                Some(reason) => {
                    self.lost(&tree, reason);
                    Ok(None)
                }
                None => Err(Error::Status(status)),
            },
            Err(error) => Err(error),
        }
    }
}

/// The space on the share of `tree`.
fn space(tree: &On<'_>) -> Result<StatFs> {
    let name = tree.name("")?;
    let query = QueryInfo::of::<info::FsFullSize>(FileId::ANY);
    let mut request = Request::new(&tree.context(), &creation(&name, LOOK))?;
    request.then(&query)?;
    request.then(&close_it())?;
    let patience = Some(PATIENCE);
    let [created, queried, _closed] = tree.conn().call_parts(&mut request, patience)?;
    success(created.message()?.header.status)?;
    let space: info::FsFullSize = parse_info(&queried)?;
    Ok(StatFs {
        block_size: space.unit(),
        blocks: space.total,
        free: space.free,
        avail: space.available,
    })
}
