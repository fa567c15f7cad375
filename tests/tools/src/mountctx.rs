// SPDX-License-Identifier: GPL-2.0
//! `mountctx`: mount with fsopen(), fsconfig(), fsmount(), and print the messages of the file system context.

use crate::{errno, Outcome, Result};
use serde_json::json;
use std::ffi::CString;
use std::io;
use std::ptr::null;
use std::time::Instant;

#[derive(clap::Args)]
pub struct Args {
    /// File system type.
    #[arg(short = 't', default_value = "rsdfs")]
    fstype: String,
    /// Options as for mount: `a=b,c`.
    #[arg(short = 'o', default_value = "")]
    options: String,
    source: String,
    /// Where to attach the mount; without it nothing is attached.
    dir: Option<String>,
}

const FSCONFIG_SET_FLAG: i64 = 0;
const FSCONFIG_SET_STRING: i64 = 1;
const FSCONFIG_CMD_CREATE: i64 = 6;
const MOVE_MOUNT_F_EMPTY_PATH: i64 = 4;

/// A descriptor made by one of the calls, closed at the end.
struct Fd(i64);

impl Drop for Fd {
    fn drop(&mut self) {
        // SAFETY: the descriptor is ours.
        unsafe { libc::close(self.0 as i32) };
    }
}

fn checked(result: i64) -> io::Result<i64> {
    if result < 0 {
        Err(io::Error::last_os_error())
    } else {
        Ok(result)
    }
}

fn configure(fd: &Fd, command: i64, key: Option<&str>, value: Option<&str>) -> io::Result<()> {
    let text = |s: Option<&str>| s.map(|s| CString::new(s).expect("no NUL in an argument"));
    let (key, value) = (text(key), text(value));
    let pointer = |s: &Option<CString>| s.as_ref().map_or(null(), |s| s.as_ptr());
    // SAFETY: both strings are C strings or null and live until the call returned.
    checked(unsafe {
        libc::syscall(
            libc::SYS_fsconfig,
            fd.0,
            command,
            pointer(&key),
            pointer(&value),
            0,
        )
    })
    .map(drop)
}

/// The messages that wait in the context, without their newlines.
fn messages(fd: &Fd) -> Vec<String> {
    let mut found = Vec::new();
    let mut buffer = [0u8; 4096];
    loop {
        // SAFETY: the buffer is as long as said.
        let n = unsafe { libc::read(fd.0 as i32, buffer.as_mut_ptr().cast(), buffer.len()) };
        if n <= 0 {
            return found;
        }
        found.push(
            String::from_utf8_lossy(&buffer[..n as usize])
                .trim_end()
                .to_string(),
        );
    }
}

fn attempt(fd: &Fd, args: &Args) -> io::Result<()> {
    configure(fd, FSCONFIG_SET_STRING, Some("source"), Some(&args.source))?;
    for option in args.options.split(',').filter(|o| !o.is_empty()) {
        match option.split_once('=') {
            Some((key, value)) => configure(fd, FSCONFIG_SET_STRING, Some(key), Some(value))?,
            None => configure(fd, FSCONFIG_SET_FLAG, Some(option), None)?,
        }
    }
    configure(fd, FSCONFIG_CMD_CREATE, None, None)?;
    // SAFETY: plain numbers.
    let mount = Fd(checked(unsafe {
        libc::syscall(libc::SYS_fsmount, fd.0, 1, 0)
    })?);
    if let Some(dir) = &args.dir {
        let (dir, empty) = (CString::new(dir.as_str())?, CString::default());
        let at = libc::AT_FDCWD;
        // SAFETY: both paths are C strings that outlive the call.
        checked(unsafe {
            libc::syscall(
                libc::SYS_move_mount,
                mount.0,
                empty.as_ptr(),
                at,
                dir.as_ptr(),
                MOVE_MOUNT_F_EMPTY_PATH,
            )
        })?;
    }
    Ok(())
}

/// Prints one line of JSON: errno, milliseconds, messages.
pub fn run(args: &Args) -> Result<Outcome> {
    let fstype = CString::new(args.fstype.as_str())?;
    // SAFETY: a C string and a number.
    let fd = Fd(checked(unsafe {
        libc::syscall(libc::SYS_fsopen, fstype.as_ptr(), 1)
    })?);
    let start = Instant::now();
    let result = attempt(&fd, args);
    let took = start.elapsed().as_millis() as u64;
    let word = result.map_or_else(|problem| errno::name_of(&problem), |()| "OK".to_string());
    Ok(Outcome {
        good: true,
        summary: json!({"errno": word, "ms": took, "messages": messages(&fd)}),
    })
}
