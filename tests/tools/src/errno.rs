// SPDX-License-Identifier: GPL-2.0
//! `errno`: perform one system call and say which errno it gave and how long it took.

use crate::{Outcome, Result};
use serde_json::json;
use std::ffi::CString;
use std::fs::{self, OpenOptions};
use std::io::{self, Read, Write};
use std::os::fd::AsRawFd;
use std::time::Instant;

macro_rules! names {
    ($($name:ident)*) => { &[$((libc::$name, stringify!($name))),*] };
}

static NAMES: &[(i32, &str)] = names! {
    EPERM ENOENT ESRCH EINTR EIO ENXIO E2BIG ENOEXEC EBADF ECHILD EAGAIN ENOMEM EACCES EFAULT ENOTBLK EBUSY EEXIST
    EXDEV ENODEV ENOTDIR EISDIR EINVAL ENFILE EMFILE ENOTTY ETXTBSY EFBIG ENOSPC ESPIPE EROFS EMLINK EPIPE EDOM ERANGE
    EDEADLK ENAMETOOLONG ENOLCK ENOSYS ENOTEMPTY ELOOP ENODATA ETIME ENONET EREMOTE ENOLINK ECOMM EPROTO EBADMSG
    EOVERFLOW EILSEQ EUSERS ENOTSOCK EMSGSIZE EPROTOTYPE ENOPROTOOPT EPROTONOSUPPORT EOPNOTSUPP EAFNOSUPPORT
    EADDRINUSE EADDRNOTAVAIL ENETDOWN ENETUNREACH ENETRESET ECONNABORTED ECONNRESET ENOBUFS EISCONN ENOTCONN
    ETIMEDOUT ECONNREFUSED EHOSTDOWN EHOSTUNREACH EALREADY EINPROGRESS ESTALE EUCLEAN EREMOTEIO EDQUOT ECANCELED
    ENOKEY EKEYEXPIRED EKEYREVOKED EKEYREJECTED
};

/// The name of an errno number.
pub fn name(number: i32) -> String {
    NAMES.iter().find(|(n, _)| *n == number).map_or_else(
        || format!("errno {number}"),
        |(_, name)| (*name).to_string(),
    )
}

/// The name of the errno behind an I/O error.
pub fn name_of(problem: &io::Error) -> String {
    problem
        .raw_os_error()
        .map_or_else(|| problem.to_string(), name)
}

fn c(path: &str) -> io::Result<CString> {
    CString::new(path).map_err(|_| io::Error::from_raw_os_error(libc::EINVAL))
}

fn checked(result: libc::c_int) -> io::Result<()> {
    if result < 0 {
        Err(io::Error::last_os_error())
    } else {
        Ok(())
    }
}

fn perform(words: &[&str]) -> io::Result<()> {
    match *words {
        ["open", path] => OpenOptions::new().read(true).open(path).map(drop),
        ["openrw", path] => OpenOptions::new().read(true).write(true).open(path).map(drop),
        ["create", path] => OpenOptions::new().write(true).create_new(true).open(path).map(drop),
        ["read", path] => {
            let mut buffer = [0u8; 4096];
            OpenOptions::new().read(true).open(path)?.read(&mut buffer).map(drop)
        }
        ["write", path, text] => {
            let mut file = OpenOptions::new().write(true).create(true).truncate(false).open(path)?;
            file.write_all(text.as_bytes())?;
            file.sync_all()
        }
        ["fsync", path] => OpenOptions::new().write(true).open(path)?.sync_all(),
        ["truncate", path, size] => {
            let size = size.parse().map_err(|_| io::Error::from_raw_os_error(libc::EINVAL))?;
            let path = c(path)?;
            // SAFETY: `path` is a C string.
            checked(unsafe { libc::truncate(path.as_ptr(), size) })
        }
        ["mkdir", path] => fs::create_dir(path),
        ["rmdir", path] => fs::remove_dir(path),
        ["unlink", path] => {
            let path = c(path)?;
            // SAFETY: `path` is a C string.
            checked(unsafe { libc::unlink(path.as_ptr()) })
        }
        ["rename", from, to] => fs::rename(from, to),
        ["rename-noreplace", from, to] => {
            let (from, to) = (c(from)?, c(to)?);
            // SAFETY: both are C strings.
            checked(unsafe {
                libc::renameat2(
                    libc::AT_FDCWD,
                    from.as_ptr(),
                    libc::AT_FDCWD,
                    to.as_ptr(),
                    libc::RENAME_NOREPLACE,
                )
            })
        }
        ["link", from, to] => fs::hard_link(from, to),
        ["symlink", target, path] => std::os::unix::fs::symlink(target, path),
        ["mkfifo", path] => {
            let path = c(path)?;
            // SAFETY: `path` is a C string.
            checked(unsafe { libc::mkfifo(path.as_ptr(), 0o600) })
        }
        ["stat", path] => fs::metadata(path).map(drop),
        ["lstat", path] => fs::symlink_metadata(path).map(drop),
        ["chmod", path, mode] => {
            use std::os::unix::fs::PermissionsExt;
            let mode = u32::from_str_radix(mode, 8).map_err(|_| io::Error::from_raw_os_error(libc::EINVAL))?;
            fs::set_permissions(path, fs::Permissions::from_mode(mode))
        }
        ["readdir", path] => fs::read_dir(path)?.try_for_each(|entry| entry.map(drop)),
        ["statfs", path] => {
            let path = c(path)?;
            let mut out = std::mem::MaybeUninit::<libc::statfs>::uninit();
            // SAFETY: `path` is a C string and `out` has room for the answer.
            checked(unsafe { libc::statfs(path.as_ptr(), out.as_mut_ptr()) })
        }
        ["syncfs", path] => {
            let file = OpenOptions::new().read(true).open(path)?;
            // SAFETY: the descriptor is open.
            checked(unsafe { libc::syncfs(file.as_raw_fd()) })
        }
        ["umount", path] => {
            let path = c(path)?;
            // SAFETY: `path` is a C string.
            checked(unsafe { libc::umount2(path.as_ptr(), 0) })
        }
        ["umount-force", path] => {
            let path = c(path)?;
            // SAFETY: `path` is a C string.
            checked(unsafe { libc::umount2(path.as_ptr(), libc::MNT_FORCE) })
        }
        _ => Err(io::Error::other(
            "usage: errno open|openrw|create|read|fsync|mkdir|rmdir|unlink|stat|lstat|readdir|statfs|syncfs|mkfifo|umount|umount-force PATH, \
             write PATH TEXT, truncate PATH SIZE, chmod PATH MODE, rename|rename-noreplace|link|symlink FROM TO",
        )),
    }
}

/// Performs the call and prints `OK 12` or `ENOENT 3`.
pub fn run(words: &[String]) -> Result<Outcome> {
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let start = Instant::now();
    let result = perform(&words);
    let took = start.elapsed().as_millis();
    let word = match result {
        Ok(()) => "OK".to_string(),
        Err(problem) if problem.raw_os_error().is_none() => return Err(problem.into()),
        Err(problem) => name_of(&problem),
    };
    Ok(Outcome {
        summary: json!(format!("{word} {took}")),
        good: true,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_the_headers() {
        assert_eq!(name(libc::ETIMEDOUT), "ETIMEDOUT");
        assert_eq!(name(9999), "errno 9999");
    }

    #[test]
    fn a_missing_file_is_enoent() {
        let problem = perform(&["stat", "/no/such/file"]).unwrap_err();
        assert_eq!(name_of(&problem), "ENOENT");
    }
}
