// SPDX-License-Identifier: GPL-2.0

//! Directories below `/sys/fs`, each about one object, with files that show and change it.
//!
//! Removing a directory waits for calls in progress, and for the last reference to its `kobject`, so
//! the object lives as long as anyone looks at it. A file that is still open afterwards fails with
//! `ENODEV`; C sees to that.
//!
//! C headers: [`include/linux/kobject.h`](srctree/include/linux/kobject.h),
//! [`include/linux/sysfs.h`](srctree/include/linux/sysfs.h)

use super::bindings;
use core::{
    fmt,
    marker::PhantomData,
    ptr::{
        null,
        NonNull, //
    },
    slice, //
};
use kernel::{
    container_of,
    error::{
        from_result,
        to_result, //
    },
    page::PAGE_SIZE,
    prelude::*,
    sync::Arc,
    types::Opaque, //
};

/// A directory of directories: `/sys/fs/<name>`. It goes when it and all that is in it are dropped.
///
/// # Invariants
///
/// The `kobject` is one that we made, and have not removed.
pub(crate) struct Folder(NonNull<bindings::kobject>);

// SAFETY: A `kobject` is counted atomically, and sysfs has locks of its own.
unsafe impl Send for Folder {}
// SAFETY: As above.
unsafe impl Sync for Folder {}

impl Folder {
    /// Makes `/sys/fs/<name>`: `kobject_create_and_add()`.
    pub(crate) fn new(name: &CStr) -> Result<Arc<Self>> {
        // SAFETY: `/sys/fs` is there as long as the kernel; the name is copied.
        let folder =
            unsafe { bindings::kobject_create_and_add(name.as_char_ptr(), bindings::fs_kobj) };
        // INVARIANT: Made just now.
        let folder = Folder(NonNull::new(folder).ok_or(ENOMEM)?);
        Ok(Arc::new(folder, GFP_KERNEL)?)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        // SAFETY: Ours by the type invariant, and empty: what is in it holds it.
        unsafe {
            bindings::kobject_del(self.0.as_ptr());
            bindings::kobject_put(self.0.as_ptr());
        }
    }
}

/// A file of a [`Dir`]: what it shows of a `T`, and what writing to it does.
///
/// Everybody may read it, root may write if it can be written.
#[repr(C)]
pub(crate) struct File<T: 'static> {
    attr: bindings::attribute,
    show: fn(&T, &mut Page<'_>) -> fmt::Result,
    store: Option<fn(&T, &[u8]) -> Result>,
}

// SAFETY: Never changed; the name is static, the rest are functions.
unsafe impl<T> Sync for File<T> {}

impl<T> File<T> {
    /// A file called `name`. `store` gets what one `write()` wrote, at most a page.
    pub(crate) const fn new(
        name: &'static CStr,
        show: fn(&T, &mut Page<'_>) -> fmt::Result,
        store: Option<fn(&T, &[u8]) -> Result>,
    ) -> Self {
        #[allow(clippy::needless_update, reason = "with lockdep it has more fields")]
        let attr = bindings::attribute {
            name: name.as_ptr().cast(),
            mode: if store.is_some() { 0o644 } else { 0o444 },
            ..pin_init::zeroed()
        };
        Self { attr, show, store }
    }
}

/// What a reader gets: up to a page of text, written to with `write!`, which fails when it is full.
pub(crate) struct Page<'a> {
    room: &'a mut [u8],
    used: usize,
}

impl fmt::Write for Page<'_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        let end = self.used.saturating_add(text.len());
        let place = self.room.get_mut(self.used..end).ok_or(fmt::Error)?;
        for (to, from) in place.iter_mut().zip(text.bytes()) {
            *to = from;
        }
        self.used = end;
        Ok(())
    }
}

/// A directory about a `T`.
///
/// Dropping it removes it and waits for calls of its files in progress; not from within such a call.
pub(crate) struct Dir<T: Send + Sync + 'static> {
    node: Pin<KBox<Node<T>>>,
    _folder: Arc<Folder>,
}

/// What is embedded in a directory's memory.
///
/// # Invariants
///
/// `kobj` is initialised, with [`Table::TYPE`] for its type; `released` is completed when the last
/// reference to it is gone.
#[pin_data]
struct Node<T> {
    #[pin]
    kobj: Opaque<bindings::kobject>,
    #[pin]
    released: Opaque<bindings::completion>,
    data: T,
}

// SAFETY: A `kobject` is counted atomically, and sysfs has locks of its own.
unsafe impl<T: Send> Send for Node<T> {}
// SAFETY: As above.
unsafe impl<T: Sync> Sync for Node<T> {}

impl<T: Send + Sync + 'static> Dir<T> {
    /// Makes the directory `name` in `folder`, about `data`, with `files`.
    ///
    /// Fails with `EEXIST` if there is one, and with `ENOMEM`.
    pub(crate) fn new(
        folder: &Arc<Folder>,
        name: &CStr,
        data: T,
        files: &[&'static File<T>],
    ) -> Result<Self> {
        let init = pin_init!(Node {
            kobj: pin_init::zeroed(),
            // SAFETY: `released` is valid for writing, and pinned from here on.
            released <- Opaque::ffi_init(|done| unsafe { bindings::init_completion(done) }),
            data,
        });
        let node = KBox::pin_init(init, GFP_KERNEL)?;
        let kobj = node.kobj.get();
        // SAFETY: The memory is zeroed and pinned, type and operations are static, the name is
        // copied, and the folder is kept.
        let added = unsafe {
            bindings::kobject_init_and_add(
                kobj,
                &Table::<T>::TYPE,
                folder.0.as_ptr(),
                c"%s".as_char_ptr(),
                name.as_char_ptr(),
            )
        };
        // INVARIANT: Initialised also if it could not be added.
        let dir = Dir {
            node,
            _folder: folder.clone(),
        };
        to_result(added)?;
        for file in files {
            // SAFETY: The directory is there; the file is static.
            to_result(unsafe { bindings::sysfs_create_file_ns(kobj, &file.attr, null()) })?;
        }
        Ok(dir)
    }
}

impl<T: Send + Sync + 'static> Drop for Dir<T> {
    fn drop(&mut self) {
        let kobj = self.node.kobj.get();
        // SAFETY: Initialised by the type invariant. Calls in progress have ended when it is
        // removed, and nobody refers to it any more after the wait.
        unsafe {
            bindings::kobject_del(kobj);
            bindings::kobject_put(kobj);
            bindings::wait_for_completion(self.node.released.get());
        }
    }
}

/// The operations of directories about a `T`.
struct Table<T>(PhantomData<T>);

impl<T: Send + Sync + 'static> Table<T> {
    const OPS: bindings::sysfs_ops = bindings::sysfs_ops {
        show: Some(show::<T>),
        store: Some(store::<T>),
    };

    const TYPE: bindings::kobj_type = bindings::kobj_type {
        release: Some(release::<T>),
        sysfs_ops: &Self::OPS,
        ..pin_init::zeroed()
    };
}

/// # Safety
///
/// Called by C for the `kobj` of a [`Node`].
unsafe extern "C" fn release<T>(kobj: *mut bindings::kobject) {
    // SAFETY: The node is freed only after this is completed, and C does not look at it after us.
    unsafe {
        let node = container_of!(Opaque::cast_from(kobj), Node<T>, kobj);
        bindings::complete((*node).released.get());
    }
}

/// # Safety
///
/// Called by C for the `kobj` of a [`Node`], an attribute of a [`File`], and a zeroed page.
unsafe extern "C" fn show<T: 'static>(
    kobj: *mut bindings::kobject,
    attr: *mut bindings::attribute,
    buffer: *mut c_char,
) -> isize {
    // SAFETY: The node outlives the call, since removing the directory waits for it; the attribute
    // is the first field of a `File` of this type.
    let (node, file) = unsafe {
        let node = container_of!(Opaque::cast_from(kobj), Node<T>, kobj);
        (&*node, &*attr.cast::<File<T>>())
    };
    // SAFETY: A page that C has zeroed for us.
    let room = unsafe { slice::from_raw_parts_mut(buffer.cast::<u8>(), PAGE_SIZE) };
    let mut page = Page { room, used: 0 };
    from_result(|| {
        (file.show)(&node.data, &mut page).map_err(|_| EFBIG)?;
        Ok(isize::try_from(page.used)?)
    })
}

/// # Safety
///
/// Called by C for the `kobj` of a [`Node`], an attribute of a [`File`], and `len` bytes.
unsafe extern "C" fn store<T: 'static>(
    kobj: *mut bindings::kobject,
    attr: *mut bindings::attribute,
    input: *const c_char,
    len: usize,
) -> isize {
    // SAFETY: As in `show`.
    let (node, file) = unsafe {
        let node = container_of!(Opaque::cast_from(kobj), Node<T>, kobj);
        (&*node, &*attr.cast::<File<T>>())
    };
    // SAFETY: C promises so many bytes.
    let input = unsafe { slice::from_raw_parts(input.cast::<u8>(), len) };
    from_result(|| {
        file.store.ok_or(EPERM)?(&node.data, input)?;
        Ok(isize::try_from(len)?)
    })
}
