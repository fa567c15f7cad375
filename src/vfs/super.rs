// SPDX-License-Identifier: GPL-2.0

//! A mounted volume.

use super::{
    attr,
    lease::Gate,
    node::{
        self,
        Asked, //
    },
    Fs,
    Inode,
    SuperBlock, //
};
use crate::{
    inspect::control::Control,
    mount::Volume,
    sys::{
        fs::super_block::{
            Operations,
            OptionWriter,
            Params,
            Statfs, //
        },
        time, //
    }, //
};
use kernel::{
    new_mutex,
    prelude::*,
    sync::{
        aref::ARef,
        atomic::{
            Atomic,
            AtomicFlag,
            Relaxed, //
        },
        Arc,
        Mutex, //
    }, //
};

/// SMB2's `f_type`, which programs know as that of a network file system.
const SMB2_MAGIC: usize = 0xfe53_4d42;

/// How long a `statfs` counts as fresh, in milliseconds.
const STATFS_MS: u64 = 1000;

/// The longest name, in bytes.
const NAME_MAX: u32 = 255;

/// What a superblock holds.
#[pin_data]
pub(crate) struct Mounted {
    volume: Ending,
    /// For those who use its inodes and are not called by the VFS.
    gate: Arc<Gate>,
    /// Its directory in `/sys/fs/rsdfs`, from the superblock being there to its end.
    #[pin]
    control: Mutex<Option<Control>>,
    /// The last `statfs`, and when it was.
    #[pin]
    space: Mutex<Option<(u64, Statfs)>>,
    /// When something was last done to a file or directory here, in milliseconds since boot.
    changed: Atomic<u64>,
    /// There are links in it.
    links: AtomicFlag,
}

impl Mounted {
    /// Of a volume.
    pub(super) fn new(volume: Arc<Volume>) -> Result<Arc<Self>> {
        let volume = Ending(volume);
        let gate = Gate::new()?;
        Arc::pin_init(
            pin_init!(Self {
                volume,
                gate,
                control <- new_mutex!(None),
                space <- new_mutex!(None),
                changed: Atomic::new(0),
                links: AtomicFlag::new(false),
            }),
            GFP_KERNEL,
        )
    }

    /// Something was done to a file or directory: what was read of directories before is old.
    pub(super) fn changed(&self) {
        self.changed.store(time::now_ms(), Relaxed);
    }

    /// Whether something was done to a file or directory since `at`.
    pub(super) fn changed_since(&self, at: u64) -> bool {
        self.changed.load(Relaxed) >= at
    }

    /// A link was met.
    pub(super) fn met_link(&self) {
        self.links.store(true, Relaxed);
    }

    /// Whether a link was met.
    pub(super) fn has_links(&self) -> bool {
        self.links.load(Relaxed)
    }

    /// Who comes in here may use inodes.
    pub(super) fn gate(&self) -> &Arc<Gate> {
        &self.gate
    }

    /// The volume.
    pub(super) fn volume(&self) -> &Arc<Volume> {
        &self.volume.0
    }
}

/// Before a server was asked.
fn unknown() -> Statfs {
    Statfs {
        block_size: 4096,
        name_len: NAME_MAX,
        ..Statfs::default()
    }
}

/// Ends the mount when it is dropped: for one that came to no superblock; any other has ended before.
struct Ending(Arc<Volume>);

impl Drop for Ending {
    fn drop(&mut self) {
        self.0.unmount();
    }
}

impl Operations for Fs {
    fn params(mounted: &Mounted) -> Params {
        let size = mounted.volume.0.options().rsize();
        Params {
            magic: SMB2_MAGIC,
            max_bytes: i64::MAX,
            time_gran: attr::TIME_GRAN,
            time_range: attr::TIME_RANGE,
            read_ahead: size.saturating_mul(2).clamp(1 << 20, 8 << 20),
        }
    }

    fn root(sb: &SuperBlock) -> Result<ARef<Inode>> {
        let mounted = sb.data();
        let asked = Asked::now(&mounted.volume.0);
        let found = mounted.volume.0.stat("")?;
        if !found.dir {
            return Err(ENOTDIR);
        }
        node::obtain(sb, "", &found, asked)
    }

    fn ready(sb: &SuperBlock) -> Result {
        let mounted = sb.data();
        let root = sb.root_inode().ok_or(EINVAL)?;
        let write_back = move || root.super_block().start_writeback();
        let write_back = KBox::new(write_back, GFP_KERNEL)?;
        let control = Control::new(&mounted.volume.0, sb.device(), write_back)?;
        *mounted.control.lock() = Some(control);
        Ok(())
    }

    fn statfs(sb: &SuperBlock) -> Result<Statfs> {
        let mounted = sb.data();
        let now = time::now_ms();
        let known = *mounted.space.lock();
        let recent = |(at, _): &(u64, Statfs)| now.saturating_sub(*at) < STATFS_MS;
        if let Some((_, space)) = known.filter(recent) {
            return Ok(space);
        }
        // umount(8) asks before it unmounts: without a server, what was known has to do.
        let Some(space) = mounted.volume.0.statfs()? else {
            return Ok(known.map_or_else(unknown, |(_, space)| space));
        };
        let found = Statfs {
            block_size: space.block_size,
            blocks: space.blocks,
            free: space.free,
            avail: space.avail,
            name_len: NAME_MAX,
        };
        *mounted.space.lock() = Some((now, found));
        Ok(found)
    }

    fn show_options(mounted: &Mounted, out: &mut OptionWriter<'_>) {
        let volume = &mounted.volume.0;
        volume.options().show(volume.failback(), out);
    }

    fn umount_begin(mounted: &Mounted) {
        mounted.volume.0.abort();
    }

    fn closing(mounted: &Mounted) {
        mounted.volume.0.closing();
        mounted.gate.close();
        // Waits for those who use its files; and the device number is about to be free again.
        let control = mounted.control.lock().take();
        drop(control);
    }

    fn kill_sb(mounted: &Mounted) {
        mounted.volume.0.unmount();
    }
}
