// SPDX-License-Identifier: GPL-2.0

//! `/sys/fs/rsdfs/<mount>`: what a mount does, and files that an administrator writes to.
//!
//! A directory is named by the mount's device number, such as `0:45`: that is unique as long as the
//! mount exists, does not change, and `mountpoint -d` and `/proc/self/mountinfo` tell it.

use crate::{
    mount::{
        options::Failback,
        Volume, //
    },
    sys::{
        global::Global,
        sysfs::{
            Dir,
            File,
            Folder,
            Page, //
        }, //
    }, //
};
use core::fmt::{
    self,
    Write as _, //
};
use kernel::{
    prelude::*,
    str::CString,
    sync::Arc, //
};

/// `/sys/fs/rsdfs`, while the module is loaded.
static FOLDER: Global<Folder> = Global::new();

/// Makes `/sys/fs/rsdfs`, and removes it when it is dropped: then nothing is mounted any more.
pub(super) struct Controls;

impl Controls {
    pub(super) fn new() -> Result<Self> {
        FOLDER.replace(Some(Folder::new(c"rsdfs")?));
        Ok(Controls)
    }
}

impl Drop for Controls {
    fn drop(&mut self) {
        let folder = FOLDER.replace(None);
        drop(folder);
    }
}

/// The directory of a mount. It goes when it is dropped, which waits for those who use its files.
pub(crate) struct Control {
    _dir: Dir<Mount>,
}

impl Control {
    /// Makes the directory of `volume`, which is mounted as the device `major`:`minor`.
    ///
    /// `write_back` starts to write back what is dirty in it.
    pub(crate) fn new(
        volume: &Arc<Volume>,
        (major, minor): (u32, u32),
        write_back: KBox<dyn Fn() + Send + Sync>,
    ) -> Result<Self> {
        let folder = FOLDER.get().ok_or(ENODEV)?;
        let name = CString::try_from_fmt(fmt!("{major}:{minor}"))?;
        let mount = Mount(volume.clone(), write_back);
        let dir = Dir::new(
            &folder,
            &name,
            mount,
            &[&TARGET, &FAILBACK, &RESTORE, &STATS],
        )?;
        Ok(Self { _dir: dir })
    }
}

/// What the files are about.
struct Mount(Arc<Volume>, KBox<dyn Fn() + Send + Sync>);

static TARGET: File<Mount> = File::new(c"target", Mount::target, Some(Mount::switch));
static FAILBACK: File<Mount> = File::new(c"failback", Mount::failback, Some(Mount::fail_back));
static RESTORE: File<Mount> = File::new(c"restore", Mount::load, Some(Mount::restore));
static STATS: File<Mount> = File::new(c"stats", Mount::stats, None);

impl Mount {
    /// The target in use, and its index in the referral.
    fn target(&self, out: &mut Page<'_>) -> fmt::Result {
        let view = self.0.view();
        let Some(tree) = view.tree.filter(|_| view.up) else {
            return writeln!(out, "target=none index=none");
        };
        let path = core::str::from_utf8(tree.path()).unwrap_or("?");
        write!(out, "target={path} index=")?;
        match self.0.standing().1 {
            Some(index) => writeln!(out, "{index}"),
            None => writeln!(out, "none"),
        }
    }

    /// Moves the mount to a target: its index, or its path.
    fn switch(&self, input: &[u8]) -> Result {
        let text = word(input)?;
        match text.parse() {
            Ok(index) => self.0.move_to_index(index),
            Err(_) => self.0.move_to_path(text),
        }
    }

    /// Whether the mount returns to the preferred target, and whether it is there.
    fn failback(&self, out: &mut Page<'_>) -> fmt::Result {
        let held = if self.0.is_held() { "yes" } else { "no" };
        let (mode, state) = (self.0.failback().name(), self.0.standing().0.name());
        let after = self.0.options().failback_after_ms() / 1000;
        writeln!(out, "mode={mode} state={state} held={held} after={after}")
    }

    /// Changes the mode, or returns now.
    fn fail_back(&self, input: &[u8]) -> Result {
        match word(input)? {
            "now" => self.0.return_home(),
            mode => {
                self.0.set_failback(Failback::named(mode).ok_or(EINVAL)?);
                Ok(())
            }
        }
    }

    /// What is open, and what waits.
    fn load(&self, out: &mut Page<'_>) -> fmt::Result {
        let state = if self.0.view().up { "up" } else { "down" };
        let load = self.0.load();
        let (open, stale, parked) = (load.open, load.stale, load.parked);
        writeln!(
            out,
            "state={state} open={open} stale={stale} parked={parked}"
        )
    }

    /// Looks for a target now, opens what is open on it, also what was given up, and writes back what was kept.
    fn restore(&self, input: &[u8]) -> Result {
        match word(input)? {
            "1" | "now" => self.0.restore()?,
            _ => return Err(EINVAL),
        }
        (self.1)();
        Ok(())
    }

    /// The counters.
    fn stats(&self, out: &mut Page<'_>) -> fmt::Result {
        let (view, counters, load) = (self.0.view(), self.0.counters(), self.0.load());
        let reason = view.stats.reason.map_or("none", |reason| reason.name());
        writeln!(out, "generation={}", view.generation)?;
        writeln!(out, "failovers={}", view.stats.failovers)?;
        writeln!(out, "moves={}", view.stats.moves)?;
        writeln!(out, "reason={reason}")?;
        writeln!(out, "duration_ms={}", view.stats.duration)?;
        writeln!(out, "open={}", load.open)?;
        writeln!(out, "stale={}", load.stale)?;
        writeln!(out, "leased={}", load.leased)?;
        writeln!(out, "durable={}", load.durable)?;
        writeln!(out, "parked={}", load.parked)?;
        for (name, counter) in [
            ("operations_repeated", &counters.repeated),
            ("reads_resent", &counters.reads_resent),
            ("writes_resent", &counters.writes_resent),
            ("operations_probed", &counters.probed),
            ("operations_synthesised", &counters.synthesised),
            ("operations_replayed", &counters.replayed),
            ("operations_unknown", &counters.unknown),
            ("reopened", &counters.reopened),
            ("lost", &counters.lost),
            ("locks_reclaimed", &counters.locks_reclaimed),
            ("locks_lost", &counters.locks_lost),
            ("referrals_asked", &counters.referrals),
            ("probes", &counters.probes),
            ("probes_failed", &counters.probes_failed),
            ("durable_resumed", &counters.durable_resumed),
            ("leases_broken", &counters.leases_broken),
            ("sessions_ended", &counters.sessions_ended),
        ] {
            writeln!(out, "{name}={}", counter.count())?;
        }
        Ok(())
    }
}

/// What was written, as text, without blanks around it.
fn word(input: &[u8]) -> Result<&str> {
    Ok(core::str::from_utf8(input).map_err(|_| EINVAL)?.trim())
}
