// SPDX-License-Identifier: GPL-2.0
//! Signing of messages (MS-SMB2 3.1.4.1, 3.1.5.1). Sealing will join it here.
//!
//! A signature covers one message, that is one element of a compound with its padding: the header
//! with a zeroed signature field and the [`flags::SIGNED`](crate::smb2::flags::SIGNED) bit set,
//! then everything up to the next element. A message that lies in several pieces of memory is fed
//! in piece by piece: [`SigningKey::start`] (or [`SigningKey::begin`], which takes the header),
//! then [`Mac::update`] for each part, then [`Mac::finish`].

use crate::auth::{same, Crypto, Mac, MacAlgorithm, Secret};
use crate::smb2::{flags, Message, HEADER_LEN};

/// Where the flags stand in the header.
const FLAGS_AT: usize = 16;
/// Where the signature stands in the header.
const SIGNATURE_AT: usize = 48;

/// The message is unsigned, or its signature is not ours.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BadSignature;

/// The key that signs the messages of one session on one connection.
#[derive(Clone, Debug)]
pub struct SigningKey {
    algorithm: MacAlgorithm,
    key: Secret<16>,
}

impl SigningKey {
    /// Wraps `key`.
    pub const fn new(algorithm: MacAlgorithm, key: Secret<16>) -> Self {
        Self { algorithm, key }
    }

    /// The algorithm it signs with.
    pub const fn algorithm(&self) -> MacAlgorithm {
        self.algorithm
    }

    /// Starts the code of a message whose header the caller feeds with a signature of zeros.
    pub fn start<C: Crypto>(&self, crypto: &C) -> C::Mac {
        crypto.mac(self.algorithm, self.key.bytes())
    }

    /// Starts the code of a message with this header, whose flags must say that it is signed; its
    /// signature field counts as zero whatever it holds.
    pub fn begin<C: Crypto>(&self, crypto: &C, header: &[u8; HEADER_LEN]) -> C::Mac {
        let mut mac = self.start(crypto);
        mac.update(header.split_at(SIGNATURE_AT).0);
        mac.update(&[0; 16]);
        mac
    }

    /// Signs a message: sets the flag and the signature in `header`. `parts` are the rest of the
    /// message in order.
    pub fn sign<C: Crypto>(&self, crypto: &C, header: &mut [u8; HEADER_LEN], parts: &[&[u8]]) {
        set_signed(header);
        let mut mac = self.begin(crypto, header);
        for part in parts {
            mac.update(part);
        }
        set_signature(header, &mac.finish());
    }

    /// Signs a message that lies in one piece. Fewer bytes than a header are left alone.
    pub fn sign_whole<C: Crypto>(&self, crypto: &C, message: &mut [u8]) {
        if let Some((header, body)) = message.split_first_chunk_mut() {
            self.sign(crypto, header, &[body]);
        }
    }

    /// Whether a received message is signed with this key, constant in time.
    #[must_use]
    pub fn verify<C: Crypto>(&self, crypto: &C, message: &Message<'_>) -> bool {
        self.verify_whole(crypto, message.bytes).is_ok()
    }

    /// As [`SigningKey::verify`], for the bytes of a message from its header to its end.
    ///
    /// # Errors
    /// [`BadSignature`]; also for fewer bytes than a header.
    pub fn verify_whole<C: Crypto>(&self, crypto: &C, message: &[u8]) -> Result<(), BadSignature> {
        match message.split_first_chunk() {
            Some((header, body)) if self.verify_parts(crypto, header, &[body]) => Ok(()),
            _ => Err(BadSignature),
        }
    }

    /// As [`SigningKey::verify`], for a message whose rest lies in `parts`.
    #[must_use]
    pub fn verify_parts<C: Crypto>(
        &self,
        crypto: &C,
        header: &[u8; HEADER_LEN],
        parts: &[&[u8]],
    ) -> bool {
        let mut mac = self.begin(crypto, header);
        for part in parts {
            mac.update(part);
        }
        check(header, &mac.finish())
    }
}

/// Whether `code`, computed over the message, is the one its header carries and says to carry.
#[must_use]
pub fn check(header: &[u8; HEADER_LEN], code: &[u8; 16]) -> bool {
    is_signed(header) && header.last_chunk().is_some_and(|found| same(found, code))
}

/// Whether the header says that the message is signed.
pub fn is_signed(header: &[u8; HEADER_LEN]) -> bool {
    header
        .get(FLAGS_AT..)
        .and_then(|rest| rest.first_chunk())
        .is_some_and(|word| u32::from_le_bytes(*word) & flags::SIGNED != 0)
}

/// Sets the signed flag of an emitted header.
pub fn set_signed(header: &mut [u8; HEADER_LEN]) {
    if let Some(word) = header.get_mut(FLAGS_AT..).and_then(|r| r.first_chunk_mut()) {
        *word = (u32::from_le_bytes(*word) | flags::SIGNED).to_le_bytes();
    }
}

/// Puts the signature into an emitted header.
pub fn set_signature(header: &mut [u8; HEADER_LEN], code: &[u8; 16]) {
    if let Some(field) = header.last_chunk_mut() {
        *field = *code;
    }
}
