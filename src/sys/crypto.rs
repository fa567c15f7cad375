// SPDX-License-Identifier: GPL-2.0

//! The kernel's cryptographic library, secrets, and random bytes.
//!
//! [`KernelCrypto`] is what the protocol core asks for. No state is shared; all may be used from
//! any thread. What was derived from a key is wiped when it is dropped.
//!
//! C headers: [`include/crypto/sha2.h`](srctree/include/crypto/sha2.h),
//! [`include/crypto/md5.h`](srctree/include/crypto/md5.h),
//! [`include/crypto/aes-cbc-macs.h`](srctree/include/crypto/aes-cbc-macs.h),
//! [`include/crypto/arc4.h`](srctree/include/crypto/arc4.h)

use super::bindings;
use core::{
    fmt,
    mem::{
        size_of,
        MaybeUninit, //
    },
    ops::Deref, //
};
use kernel::{
    alloc::Flags,
    page::PAGE_SIZE,
    prelude::*, //
};
use rsdfs_proto::auth::{
    Crypto,
    Mac,
    MacAlgorithm, //
};

/// Overwrites `data` with zeros, which the compiler may not leave out: `memzero_explicit()`.
pub(crate) fn wipe(data: &mut [u8]) {
    // SAFETY: The slice may be written.
    unsafe { bindings::rsdfs_zero(data.as_mut_ptr().cast(), data.len()) }
}

/// Fills `out` with random bytes fit for keys: `get_random_bytes()`. Waits early after boot.
pub(crate) fn random(out: &mut [u8]) {
    // SAFETY: The slice may be written.
    unsafe {
        bindings::wait_for_random_bytes();
        bindings::get_random_bytes(out.as_mut_ptr().cast(), out.len());
    }
}

/// Bytes that nobody else is to see: wiped when dropped, never shown by `Debug`.
pub(crate) struct Secret(KVec<u8>);

impl Secret {
    /// A copy of `bytes`.
    pub(crate) fn new(bytes: &[u8], flags: Flags) -> Result<Self> {
        // Allocated at its full size, so that it never moves and leaves a copy behind.
        let mut copy = KVec::with_capacity(bytes.len(), flags)?;
        copy.extend_from_slice(bytes, flags)?;
        Ok(Secret(copy))
    }
}

impl From<KVec<u8>> for Secret {
    fn from(bytes: KVec<u8>) -> Self {
        Secret(bytes)
    }
}

impl Deref for Secret {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.0
    }
}

impl Drop for Secret {
    fn drop(&mut self) {
        wipe(&mut self.0);
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret")
    }
}

/// A C context that is wiped when dropped.
///
/// # Invariants
///
/// Initialised by the function given to [`Self::new`]. It refers to nothing that moves with it.
struct Context<T>(MaybeUninit<T>);

impl<T> Context<T> {
    /// # Safety
    ///
    /// `init` initialises what it is given, and `T` is a C struct that may be moved.
    unsafe fn new(init: impl FnOnce(*mut T)) -> Self {
        let mut context = MaybeUninit::zeroed();
        init(context.as_mut_ptr());
        // INVARIANT: By the contract.
        Context(context)
    }

    fn raw(&mut self) -> *mut T {
        self.0.as_mut_ptr()
    }
}

impl<T> Drop for Context<T> {
    fn drop(&mut self) {
        // SAFETY: A `MaybeUninit` may hold any bytes, and is not used any more.
        unsafe { bindings::rsdfs_zero(self.raw().cast(), size_of::<T>()) }
    }
}

/// Feeds `parts` to `context` and finishes it.
///
/// # Safety
///
/// The functions belong to the kind of context that `context` is, and the digest has `N` bytes.
unsafe fn digest<T, const N: usize>(
    mut context: Context<T>,
    update: unsafe extern "C" fn(*mut T, *const u8, usize),
    finish: unsafe extern "C" fn(*mut T, *mut u8),
    parts: &[&[u8]],
) -> [u8; N] {
    let mut out = [0; N];
    for part in parts {
        // SAFETY: The context is initialised, and the part may be read.
        unsafe { update(context.raw(), part.as_ptr(), part.len()) };
    }
    // SAFETY: The context is initialised, and `out` has room for the digest.
    unsafe { finish(context.raw(), out.as_mut_ptr()) };
    out
}

/// Starts HMAC-SHA256 with a key of any length.
fn hmac_sha256(key: &[u8]) -> Context<bindings::hmac_sha256_ctx> {
    // SAFETY: Initialises the context, which may be moved; the key may be read.
    unsafe {
        Context::new(|context| {
            bindings::hmac_sha256_init_usingrawkey(context, key.as_ptr(), key.len())
        })
    }
}

/// The kernel's cryptography, for the protocol core.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct KernelCrypto;

impl Crypto for KernelCrypto {
    type Mac = KernelMac;

    fn md5(&self, parts: &[&[u8]]) -> [u8; 16] {
        // SAFETY: `md5_init` initialises the context, which may be moved; all belong to MD5.
        unsafe {
            let context = Context::new(|context| bindings::md5_init(context));
            digest(context, bindings::md5_update, bindings::md5_final, parts)
        }
    }

    fn hmac_md5(&self, key: &[u8], parts: &[&[u8]]) -> [u8; 16] {
        // SAFETY: Initialises the context, which may be moved, with a key that may be read; all
        // belong to HMAC-MD5.
        unsafe {
            let context = Context::new(|context| {
                bindings::hmac_md5_init_usingrawkey(context, key.as_ptr(), key.len())
            });
            digest(
                context,
                bindings::rsdfs_hmac_md5_update,
                bindings::hmac_md5_final,
                parts,
            )
        }
    }

    fn hmac_sha256(&self, key: &[u8], parts: &[&[u8]]) -> [u8; 32] {
        let (update, finish) = (
            bindings::rsdfs_hmac_sha256_update,
            bindings::hmac_sha256_final,
        );
        // SAFETY: All belong to HMAC-SHA256.
        unsafe { digest(hmac_sha256(key), update, finish, parts) }
    }

    fn sha512(&self, parts: &[&[u8]]) -> [u8; 64] {
        // SAFETY: `sha512_init` initialises the context, which may be moved; all belong to SHA-512.
        unsafe {
            let context = Context::new(|context| bindings::sha512_init(context));
            digest(
                context,
                bindings::rsdfs_sha512_update,
                bindings::sha512_final,
                parts,
            )
        }
    }

    fn rc4(&self, key: &[u8], data: &mut [u8]) {
        let key_len = key.len().min(bindings::ARC4_MAX_KEY_SIZE as usize) as c_uint;
        if key_len == 0 {
            return;
        }
        // INVARIANT: Initialised next; made in place, because it is big.
        let mut context = Context(MaybeUninit::<bindings::arc4_ctx>::zeroed());
        // SAFETY: Initialises the context; the key may be read.
        unsafe { bindings::arc4_setkey(context.raw(), key.as_ptr(), key_len) };
        for chunk in data.chunks_mut(PAGE_SIZE) {
            let (at, len) = (chunk.as_mut_ptr(), chunk.len() as c_uint);
            // SAFETY: The context is initialised, and the chunk may be read and written in place.
            unsafe { bindings::arc4_crypt(context.raw(), at, at, len) };
        }
    }

    fn mac(&self, algorithm: MacAlgorithm, key: &[u8; 16]) -> KernelMac {
        match algorithm {
            MacAlgorithm::HmacSha256 => KernelMac::HmacSha256(hmac_sha256(key)),
            MacAlgorithm::AesCmac => KernelMac::AesCmac(AesCmac::new(key)),
        }
    }

    fn random(&self, out: &mut [u8]) {
        random(out)
    }
}

/// A message authentication code in progress.
#[expect(private_interfaces, reason = "only made and used through the traits")]
pub(crate) enum KernelMac {
    HmacSha256(Context<bindings::hmac_sha256_ctx>),
    AesCmac(AesCmac),
}

impl Mac for KernelMac {
    fn update(&mut self, bytes: &[u8]) {
        match self {
            KernelMac::HmacSha256(context) => {
                // SAFETY: The context is initialised, and the bytes may be read.
                unsafe {
                    bindings::rsdfs_hmac_sha256_update(context.raw(), bytes.as_ptr(), bytes.len())
                }
            }
            KernelMac::AesCmac(mac) => mac.update(bytes),
        }
    }

    fn finish(self) -> [u8; 16] {
        let mut out = [0; 32];
        match self {
            KernelMac::HmacSha256(mut context) => {
                // SAFETY: The context is initialised, and the code has 32 bytes.
                unsafe { bindings::hmac_sha256_final(context.raw(), out.as_mut_ptr()) }
            }
            KernelMac::AesCmac(mut mac) => mac.finish(&mut out),
        }
        out.first_chunk().copied().unwrap_or_default()
    }
}

/// AES-128-CMAC with its key.
///
/// # Invariants
///
/// Both are initialised; before each use the context is told where the key is now.
struct AesCmac {
    key: Context<bindings::aes_cmac_key>,
    context: Context<bindings::aes_cmac_ctx>,
}

impl AesCmac {
    fn new(key: &[u8; 16]) -> Self {
        // SAFETY: Prepares the key, which may be moved, from 16 bytes, a length that is always
        // valid; and the context, in which the place of the key is all that must not be moved.
        unsafe {
            let mut key = Context::new(|prepared| {
                bindings::aes_cmac_preparekey(prepared, key.as_ptr(), key.len());
            });
            let context = Context::new(|context| bindings::rsdfs_aes_cmac_init(context, key.raw()));
            // INVARIANT: Initialised just now.
            AesCmac { key, context }
        }
    }

    /// The context, with the key where it is now.
    fn raw(&mut self) -> *mut bindings::aes_cmac_ctx {
        let context = self.context.raw();
        // SAFETY: The context is initialised, and ours alone.
        unsafe { (*context).key = self.key.raw() };
        context
    }

    fn update(&mut self, bytes: &[u8]) {
        // SAFETY: The context and its key are initialised, and the bytes may be read.
        unsafe { bindings::aes_cmac_update(self.raw(), bytes.as_ptr(), bytes.len()) }
    }

    /// Writes 16 bytes.
    fn finish(&mut self, out: &mut [u8; 32]) {
        // SAFETY: The context and its key are initialised, and the code has 16 bytes.
        unsafe { bindings::aes_cmac_final(self.raw(), out.as_mut_ptr()) }
    }
}
