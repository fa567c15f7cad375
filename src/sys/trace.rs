// SPDX-License-Identifier: GPL-2.0

//! Tracepoints: `rsdfs:*` below `events` in tracefs.
//!
//! Each is a type with its fields. [`Event::emit`] asks the static key first, and makes the fields only if
//! somebody listens. Documentation/inspect.md says what they mean. No secrets.
//!
//! C header: `include/trace/events/rsdfs.h`

use super::bindings;

/// The longest text of a field in bytes; what is longer is cut off.
const LONGEST: usize = 512;

/// A tracepoint.
pub(crate) trait Event: Sized {
    /// Whether somebody listens.
    fn is_on() -> bool;

    /// Puts it into the trace.
    fn put(self);

    /// Puts it into the trace if somebody listens; only then is it made.
    fn emit(make: impl FnOnce() -> Option<Self>) {
        if Self::is_on() {
            if let Some(event) = make() {
                event.put();
            }
        }
    }
}

/// `rsdfs:referral`: a server was asked for a referral.
pub(crate) struct Referral<'a> {
    /// What was asked about.
    pub(crate) path: &'a [u8],
    /// Who was asked.
    pub(crate) host: &'a str,
    /// What came: `root`, `link`, `names`, or `none`.
    pub(crate) kind: &'a str,
    /// How long it lives, in seconds.
    pub(crate) ttl: u32,
    /// How many targets, or names.
    pub(crate) targets: u32,
    /// What the server said.
    pub(crate) status: u32,
    /// 0 or a negative errno.
    pub(crate) error: i32,
    /// How long it took, in microseconds.
    pub(crate) us: u64,
}

impl Event for Referral<'_> {
    fn is_on() -> bool {
        // SAFETY: Looks at a static key.
        unsafe { bindings::rsdfs_referral_traced() }
    }

    fn put(self) {
        let (path, host, kind) = (text(self.path), text(self.host), text(self.kind));
        let (ttl, targets, us) = (self.ttl, self.targets, self.us);
        // SAFETY: The texts outlive the call, which copies them.
        unsafe {
            bindings::rsdfs_trace_referral(
                path,
                host,
                kind,
                ttl,
                targets,
                self.status,
                self.error,
                us,
            );
        }
    }
}

/// `rsdfs:target_probe`: a target was tried with its whole stack.
pub(crate) struct TargetProbe<'a> {
    /// Host, share and directory, in device form.
    pub(crate) target: &'a [u8],
    /// 0 or a negative errno.
    pub(crate) error: i32,
    /// How long it took, in microseconds.
    pub(crate) us: u64,
}

impl Event for TargetProbe<'_> {
    fn is_on() -> bool {
        // SAFETY: Looks at a static key.
        unsafe { bindings::rsdfs_target_probe_traced() }
    }

    fn put(self) {
        // SAFETY: The text outlives the call, which copies it.
        unsafe { bindings::rsdfs_trace_target_probe(text(self.target), self.error, self.us) }
    }
}

/// `rsdfs:target_switch`: a mount went to another target.
pub(crate) struct TargetSwitch<'a> {
    /// What is mounted.
    pub(crate) path: &'a str,
    /// Where it was, in device form.
    pub(crate) old: &'a [u8],
    /// Where it is.
    pub(crate) new: &'a [u8],
    /// Why.
    pub(crate) reason: &'a str,
    /// How long it took, in microseconds.
    pub(crate) us: u64,
}

impl Event for TargetSwitch<'_> {
    fn is_on() -> bool {
        // SAFETY: Looks at a static key.
        unsafe { bindings::rsdfs_target_switch_traced() }
    }

    fn put(self) {
        let (path, reason) = (text(self.path), text(self.reason));
        let (old, new) = (text(self.old), text(self.new));
        // SAFETY: The texts outlive the call, which copies them.
        unsafe { bindings::rsdfs_trace_target_switch(path, old, new, reason, self.us) }
    }
}

/// `rsdfs:reconnect`: a mount that had lost its target works again.
pub(crate) struct Reconnect<'a> {
    /// What is mounted.
    pub(crate) path: &'a str,
    /// Why it was lost.
    pub(crate) reason: &'a str,
    /// The new generation of the mount.
    pub(crate) generation: u64,
    /// From the loss being known to the new target being in use, in microseconds.
    pub(crate) us: u64,
}

impl Event for Reconnect<'_> {
    fn is_on() -> bool {
        // SAFETY: Looks at a static key.
        unsafe { bindings::rsdfs_reconnect_traced() }
    }

    fn put(self) {
        let (path, reason) = (text(self.path), text(self.reason));
        // SAFETY: The texts outlive the call, which copies them.
        unsafe { bindings::rsdfs_trace_reconnect(path, reason, self.generation, self.us) }
    }
}

/// `rsdfs:file_lost`: an open file was given up.
pub(crate) struct FileLost<'a> {
    /// What is mounted.
    pub(crate) path: &'a str,
    /// Where the file was, relative to that.
    pub(crate) file: &'a [u8],
    /// Why.
    pub(crate) cause: &'a str,
}

impl Event for FileLost<'_> {
    fn is_on() -> bool {
        // SAFETY: Looks at a static key.
        unsafe { bindings::rsdfs_file_lost_traced() }
    }

    fn put(self) {
        let (path, file, cause) = (text(self.path), text(self.file), text(self.cause));
        // SAFETY: The texts outlive the call, which copies them.
        unsafe { bindings::rsdfs_trace_file_lost(path, file, cause) }
    }
}

/// What C gets of a text; good as long as the text.
fn text<T: AsRef<[u8]> + ?Sized>(text: &T) -> bindings::rsdfs_text {
    let bytes = text.as_ref();
    bindings::rsdfs_text {
        at: bytes.as_ptr().cast(),
        len: bytes.len().min(LONGEST),
    }
}
