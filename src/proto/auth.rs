// SPDX-License-Identifier: GPL-2.0
//! Authentication: SPNEGO carrying NTLMSSP, and the cryptography it asks the shell for.
//!
//! Keys and hashes live in [`Secret`], which forgets them when it is dropped.

pub mod kdf;
pub mod md4;
pub mod ntlm;
pub mod spnego;

/// Which message authentication code signs a frame (MS-SMB2 3.1.4.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MacAlgorithm {
    /// HMAC-SHA256 truncated to 16 bytes: dialects 2.0.2 and 2.1.
    HmacSha256,
    /// AES-128-CMAC: dialects 3.0 and later.
    AesCmac,
}

/// A message authentication code in progress.
pub trait Mac {
    /// Feeds `bytes`.
    fn update(&mut self, bytes: &[u8]);
    /// The first 16 bytes of the code.
    fn finish(self) -> [u8; 16];
}

/// Cryptographic primitives supplied by the shell: the kernel's own library or, in host tests,
/// crates. All are infallible; `parts` are hashed as if they were concatenated.
pub trait Crypto {
    /// The state behind [`Crypto::mac`].
    type Mac: Mac;
    /// MD5 (RFC 1321).
    fn md5(&self, parts: &[&[u8]]) -> [u8; 16];
    /// HMAC-MD5 (RFC 2104).
    fn hmac_md5(&self, key: &[u8], parts: &[&[u8]]) -> [u8; 16];
    /// HMAC-SHA256, untruncated.
    fn hmac_sha256(&self, key: &[u8], parts: &[&[u8]]) -> [u8; 32];
    /// SHA-512.
    fn sha512(&self, parts: &[&[u8]]) -> [u8; 64];
    /// RC4 with a key of 1 to 256 bytes, in place.
    fn rc4(&self, key: &[u8], data: &mut [u8]);
    /// Starts a message authentication code with a 16-byte key.
    fn mac(&self, algorithm: MacAlgorithm, key: &[u8; 16]) -> Self::Mac;
    /// Fills `out` with random bytes fit for keys and challenges.
    fn random(&self, out: &mut [u8]);
}

/// Overwrites `bytes` with zeros in a way the compiler is asked not to remove.
///
/// This is the best that can be done without `unsafe`; copies the compiler made on its own, in
/// registers or spilled to the stack, are out of reach.
pub fn wipe(bytes: &mut [u8]) {
    bytes.fill(0);
    core::hint::black_box(bytes);
}

/// Compares without telling by its duration where the difference lies.
pub fn same(a: &[u8; 16], b: &[u8; 16]) -> bool {
    let differing = a.iter().zip(b).fold(0, |acc, (x, y)| acc | (x ^ y));
    core::hint::black_box(differing) == 0
}

/// Key material, wiped when dropped and never shown.
pub struct Secret<const N: usize>([u8; N]);

impl<const N: usize> Secret<N> {
    /// Takes over `bytes`.
    pub const fn new(bytes: [u8; N]) -> Self {
        Self(bytes)
    }

    /// The bytes, to hand to [`Crypto`].
    pub const fn bytes(&self) -> &[u8; N] {
        &self.0
    }

    /// The bytes, to be filled.
    pub fn bytes_mut(&mut self) -> &mut [u8; N] {
        &mut self.0
    }
}

impl<const N: usize> Clone for Secret<N> {
    fn clone(&self) -> Self {
        Self(self.0)
    }
}

impl<const N: usize> Drop for Secret<N> {
    fn drop(&mut self) {
        wipe(&mut self.0);
    }
}

impl<const N: usize> core::fmt::Debug for Secret<N> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str("Secret")
    }
}
