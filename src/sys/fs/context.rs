// SPDX-License-Identifier: GPL-2.0

//! The setting up of a mount: `struct fs_context` and its operations.
//!
//! C header: [`include/linux/fs_context.h`](srctree/include/linux/fs_context.h)

use super::{
    super_block,
    FileSystem,
    Type, //
};
use crate::sys::bindings;
use core::{
    marker::PhantomData,
    str, //
};
use kernel::{
    error::{
        from_result,
        to_result, //
    },
    prelude::*,
    sync::Arc,
    types::{
        ForeignOwnable,
        Opaque, //
    }, //
};

/// What the context is for: `enum fs_context_purpose`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Purpose {
    /// A new mount.
    Mount,
    /// A mount made by walking over a directory.
    Submount,
    /// A change to a mounted one.
    Reconfigure,
}

/// What `parse_param` did with a parameter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Parsed {
    /// It was taken.
    Taken,
    /// The generic code is to look at it: `-ENOPARAM`. It knows `source`.
    Generic,
}

/// A `struct fs_context`.
///
/// # Invariants
///
/// The C struct is valid, and the caller of the operation holds it exclusively.
#[repr(transparent)]
pub(crate) struct Context<T>(Opaque<bindings::fs_context>, PhantomData<T>);

impl<T: Type> Context<T> {
    /// # Safety
    ///
    /// `fc` must be valid for `'a`, of a file system of type `T`, and used by nobody else.
    unsafe fn from_raw<'a>(fc: *mut bindings::fs_context) -> &'a Self {
        // SAFETY: `Context` is transparent over it; the rest is the caller's promise.
        unsafe { &*fc.cast() }
    }

    /// What the context is for.
    pub(crate) fn purpose(&self) -> Purpose {
        // SAFETY: By the type invariant.
        match unsafe { bindings::rsdfs_fc_purpose(self.0.get()) } as u32 {
            bindings::fs_context_purpose_FS_CONTEXT_FOR_RECONFIGURE => Purpose::Reconfigure,
            bindings::fs_context_purpose_FS_CONTEXT_FOR_SUBMOUNT => Purpose::Submount,
            _ => Purpose::Mount,
        }
    }

    /// Puts an error message into the log that `mount` shows: `errorf()`.
    pub(crate) fn error(&self, message: &str) {
        // SAFETY: The text is valid for the length given.
        unsafe { bindings::rsdfs_fc_error(self.0.get(), message.as_ptr().cast(), message.len()) };
    }
}

/// `struct fs_context_operations`.
pub(crate) trait Operations: Type {
    /// Starts a context: `init_fs_context`.
    fn init_fs_context(fc: &Context<Self>) -> Result<KBox<Self::Context>>;

    /// Takes one parameter; `value` is `None` for one given without.
    fn parse_param(
        context: &mut Self::Context,
        fc: &Context<Self>,
        key: &str,
        value: Option<&str>,
    ) -> Result<Parsed>;

    /// Makes what the superblock will hold: `get_tree`, up to `get_tree_nodev()`.
    fn get_tree(context: &mut Self::Context, fc: &Context<Self>) -> Result<Arc<Self::Super>>;

    /// Changes a mounted file system. The generic flags are applied by the caller.
    fn reconfigure(context: &mut Self::Context, fc: &Context<Self>) -> Result;
}

/// The operations of `T`.
struct Table<T>(PhantomData<T>);

impl<T: FileSystem> Table<T> {
    const OPS: bindings::fs_context_operations = bindings::fs_context_operations {
        free: Some(free::<T>),
        dup: None,
        parse_param: Some(parse_param::<T>),
        parse_monolithic: None,
        get_tree: Some(get_tree::<T>),
        reconfigure: Some(reconfigure::<T>),
    };
}

/// # Safety
///
/// Called by the VFS with a new context of this file system.
pub(super) unsafe extern "C" fn init_fs_context<T: FileSystem>(
    fc: *mut kernel::bindings::fs_context,
) -> c_int {
    from_result(|| {
        // The kernel crate sees the struct as opaque.
        let fc: *mut bindings::fs_context = fc.cast();
        // SAFETY: The context is new: the VFS and we are its only users.
        let context = T::init_fs_context(unsafe { Context::from_raw(fc) })?;
        // SAFETY: As above.
        unsafe {
            (*fc).fs_private = context.into_foreign();
            (*fc).ops = &Table::<T>::OPS;
        }
        Ok(0)
    })
}

/// The context's own data.
///
/// # Safety
///
/// `fc` must be a context that `init_fs_context` succeeded for, used by nobody else during `'a`.
pub(super) unsafe fn private<'a, T: Type>(fc: *mut bindings::fs_context) -> &'a mut T::Context {
    // SAFETY: `fs_private` was set from a `KBox<T::Context>`, and the caller has it alone.
    unsafe { <KBox<T::Context> as ForeignOwnable>::borrow_mut((*fc).fs_private) }
}

unsafe extern "C" fn free<T: FileSystem>(fc: *mut bindings::fs_context) {
    // SAFETY: The VFS calls this last. `s_fs_info` is what a `get_tree` that found no superblock
    // left, see there; `fs_private` was set by `init_fs_context`.
    unsafe {
        let info = (*fc).s_fs_info;
        if !info.is_null() {
            (*fc).s_fs_info = core::ptr::null_mut();
            drop(<Arc<T::Super> as ForeignOwnable>::from_foreign(info));
        }
        let private = (*fc).fs_private;
        if !private.is_null() {
            (*fc).fs_private = core::ptr::null_mut();
            drop(<KBox<T::Context> as ForeignOwnable>::from_foreign(private));
        }
    }
}

unsafe extern "C" fn parse_param<T: FileSystem>(
    fc: *mut bindings::fs_context,
    param: *mut bindings::fs_parameter,
) -> c_int {
    from_result(|| {
        // SAFETY: Both are valid during the call, and `uapi_mutex` is held.
        let (fc, private) = unsafe { (Context::<T>::from_raw(fc), private::<T>(fc)) };
        // SAFETY: A parameter has a key, which is a string.
        let key = unsafe { CStr::from_char_ptr((*param).key) };
        let key = str::from_utf8(key.to_bytes()).map_err(|_| EINVAL)?;
        // SAFETY: `param` is valid.
        let value = if unsafe { bindings::rsdfs_param_is_flag(param) } {
            None
        } else {
            // SAFETY: As above.
            let string = unsafe { bindings::rsdfs_param_string(param) };
            if string.is_null() {
                return Err(EINVAL);
            }
            // SAFETY: It is a string parameter, whose string lives as long as the parameter.
            let string = unsafe { CStr::from_char_ptr(string) };
            Some(str::from_utf8(string.to_bytes()).map_err(|_| EINVAL)?)
        };
        match T::parse_param(private, fc, key, value)? {
            Parsed::Taken => Ok(0),
            Parsed::Generic => Ok(-(bindings::ENOPARAM as c_int)),
        }
    })
}

unsafe extern "C" fn get_tree<T: FileSystem>(fc: *mut bindings::fs_context) -> c_int {
    from_result(|| {
        // SAFETY: The context is valid, and `uapi_mutex` is held.
        let info = unsafe { T::get_tree(private::<T>(fc), Context::from_raw(fc)) }?;
        // SAFETY: As above. `sget_fc()` moves it into the superblock, or `free` finds it.
        unsafe { (*fc).s_fs_info = info.into_foreign() };
        // SAFETY: As above; the function fits.
        to_result(unsafe { bindings::rsdfs_get_tree(fc, Some(super_block::fill_super::<T>)) })?;
        Ok(0)
    })
}

unsafe extern "C" fn reconfigure<T: FileSystem>(fc: *mut bindings::fs_context) -> c_int {
    from_result(|| {
        // SAFETY: The context is valid, and `uapi_mutex` is held.
        unsafe { T::reconfigure(private::<T>(fc), Context::from_raw(fc)) }?;
        Ok(0)
    })
}
