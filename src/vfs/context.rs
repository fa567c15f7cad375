// SPDX-License-Identifier: GPL-2.0

//! The setting up of a mount: options in, a volume out.

use super::{
    automount,
    super_block::Mounted,
    Fs, //
};
use crate::{
    mount::{
        options::{
            OptionError,
            Options,
            Taken, //
        },
        Volume, //
    },
    sys::{
        cred,
        fs::{
            context::{
                Context,
                Operations,
                Parsed,
                Purpose, //
            },
            dentry::Path, //
        }, //
    }, //
};
use core::mem;
use kernel::{
    prelude::*,
    str::CString,
    sync::Arc, //
};

/// What a mount is being set up from.
pub(crate) struct Setup {
    options: Options,
    /// For a mount on a link: what it is a link of, and its path there.
    above: Option<(Arc<Volume>, Path)>,
}

impl Setup {
    /// Makes it the setup of a mount on the link at `path` in `volume`.
    pub(super) fn on_link(&mut self, volume: &Arc<Volume>, path: Path) {
        self.above = Some((volume.clone(), path));
    }

    /// Brings up what it is about.
    fn mount(&mut self, fc: &Context<Fs>) -> Result<Arc<Volume>> {
        match (fc.purpose(), self.above.take()) {
            (Purpose::Mount, None) => {
                self.options.check().map_err(|error| refuse(fc, error))?;
                let options = mem::replace(&mut self.options, fresh());
                Volume::mount(options).map_err(|error| {
                    say(fc, error.message.as_ref());
                    error.errno
                })
            }
            (Purpose::Submount, Some((above, path))) => {
                above.submount(path.as_str()).map_err(|error| {
                    automount::complain(&above, path.as_str(), &error);
                    error.errno
                })
            }
            _ => Err(EINVAL),
        }
    }
}

impl Operations for Fs {
    fn init_fs_context(_fc: &Context<Self>) -> Result<KBox<Setup>> {
        let options = fresh();
        Ok(KBox::new(
            Setup {
                options,
                above: None,
            },
            GFP_KERNEL,
        )?)
    }

    fn parse_param(
        setup: &mut Setup,
        fc: &Context<Self>,
        key: &str,
        value: Option<&str>,
    ) -> Result<Parsed> {
        match setup.options.set(key, value) {
            Ok(Taken::Yes) => Ok(Parsed::Taken),
            Ok(Taken::Generic) => Ok(Parsed::Generic),
            Err(error) => Err(refuse(fc, error)),
        }
    }

    fn get_tree(setup: &mut Setup, fc: &Context<Self>) -> Result<Arc<Mounted>> {
        Mounted::new(setup.mount(fc)?)
    }

    fn reconfigure(_setup: &mut Setup, _fc: &Context<Self>) -> Result {
        // Only the generic flags change. The options, which mount(8) repeats from /proc/mounts,
        // were looked at and stay what they are.
        Ok(())
    }
}

/// The defaults: everything belongs to who mounts it.
fn fresh() -> Options {
    Options::new(cred::uid(), cred::gid())
}

/// Says in the mount log why an option is refused.
fn refuse(fc: &Context<Fs>, error: OptionError) -> Error {
    say(fc, error.message.as_ref());
    error.errno
}

fn say(fc: &Context<Fs>, message: Option<&CString>) {
    if let Some(text) = message.and_then(|m| m.to_str().ok()) {
        fc.error(text);
    }
}
