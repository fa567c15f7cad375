// SPDX-License-Identifier: GPL-2.0

//! The setting up of a mount: options in, a volume out.

use super::{
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
        fs::context::{
            Context,
            Operations,
            Parsed,
            Purpose, //
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
}

impl Operations for Fs {
    fn init_fs_context(_fc: &Context<Self>) -> Result<KBox<Setup>> {
        let options = fresh();
        Ok(KBox::new(Setup { options }, GFP_KERNEL)?)
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
        if fc.purpose() != Purpose::Mount {
            return Err(EINVAL);
        }
        setup.options.check().map_err(|error| refuse(fc, error))?;
        let options = mem::replace(&mut setup.options, fresh());
        let volume = Volume::mount(options).map_err(|error| {
            say(fc, error.message.as_ref());
            error.errno
        })?;
        Mounted::new(volume)
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
