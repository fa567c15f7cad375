// SPDX-License-Identifier: GPL-2.0

//! One mount option as it was given, and what is said about one that is refused: its name, and what it may be.
//! The values themselves are judged in [`value`].

use super::value;
use crate::sys::crypto::Secret;
use kernel::{
    prelude::*,
    str::CString, //
};

/// Why an option is refused. Names the option and holds no secrets.
pub(crate) struct OptionError {
    /// For the system call.
    pub(crate) errno: Error,
    /// For the mount log.
    pub(crate) message: Option<CString>,
}

/// What sizes may be.
const SIZES: (u64, u64) = (4096, 8 << 20);

/// An option as it was given.
pub(super) struct Given<'a> {
    /// Its name.
    pub(super) key: &'a str,
    /// What stood after the `=`, if there was one.
    pub(super) value: Option<&'a str>,
}

impl<'a> Given<'a> {
    /// The complaint about the value. It shows the value: not for secrets.
    pub(super) fn bad(&self, why: &str) -> OptionError {
        let (key, value) = (self.key, self.value.unwrap_or_default());
        OptionError::new(fmt!("option '{key}': bad value '{value}': {why}"))
    }

    /// That there is no value.
    pub(super) fn flag(&self) -> Result<bool, OptionError> {
        match self.value {
            None => Ok(true),
            Some(_) => {
                let key = self.key;
                Err(OptionError::new(fmt!("option '{key}' takes no value")))
            }
        }
    }

    /// The value.
    pub(super) fn text(&self) -> Result<&'a str, OptionError> {
        let key = self.key;
        self.value
            .ok_or_else(|| OptionError::new(fmt!("option '{key}' needs a value")))
    }

    /// Text that may be a name.
    pub(super) fn word(&self) -> Result<&'a str, OptionError> {
        let text = self.text()?;
        match value::word(text, 256) {
            true => Ok(text),
            false => Err(self.bad("empty, too long or with control characters")),
        }
    }

    /// The value, which no message shows.
    pub(super) fn secret(&self) -> Result<Secret, OptionError> {
        let text = self.text()?;
        if text.len() > 512 {
            let key = self.key;
            return Err(OptionError::new(fmt!(
                "option '{key}': the value is too long"
            )));
        }
        Ok(Secret::new(text.as_bytes(), GFP_KERNEL)?)
    }

    /// A number from `min` to `max`; `of` what it is.
    pub(super) fn number(&self, min: u64, max: u64, of: &str) -> Result<u64, OptionError> {
        value::number(self.text()?, min, max).ok_or_else(|| {
            let (key, value) = (self.key, self.value.unwrap_or_default());
            OptionError::new(fmt!(
                "option '{key}': bad value '{value}': it is {of}, {min} to {max}"
            ))
        })
    }

    /// A user or group.
    pub(super) fn id(&self) -> Result<u32, OptionError> {
        self.number(0, u64::from(u32::MAX) - 1, "a number")
            .map(|id| id as u32)
    }

    /// Bytes, in whole pages.
    pub(super) fn size(&self) -> Result<usize, OptionError> {
        let size = self.number(SIZES.0, SIZES.1, "bytes")?;
        // Whole pages.
        Ok(size as usize & !4095)
    }

    /// Permission bits.
    pub(super) fn mode(&self) -> Result<u16, OptionError> {
        value::mode(self.text()?).ok_or_else(|| self.bad("it is an octal mode like 0755"))
    }
}

impl OptionError {
    /// EINVAL, and why.
    pub(super) fn new(message: kernel::fmt::Arguments<'_>) -> Self {
        Self {
            errno: EINVAL,
            message: CString::try_from_fmt(message).ok(),
        }
    }
}

impl From<kernel::alloc::AllocError> for OptionError {
    fn from(_: kernel::alloc::AllocError) -> Self {
        Self {
            errno: ENOMEM,
            message: None,
        }
    }
}

impl From<Error> for OptionError {
    fn from(errno: Error) -> Self {
        Self {
            errno,
            message: None,
        }
    }
}
