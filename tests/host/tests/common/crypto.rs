// SPDX-License-Identifier: GPL-2.0
//! [`Crypto`] on the host, with a random generator that repeats itself.

use std::cell::Cell;

use cmac::Cmac;
use hmac::Hmac;
use md5::Md5;
use rc4::consts::{U16, U8};
use rc4::{KeyInit, Rc4, StreamCipher};
use rsdfs_proto::auth::{Crypto, Mac, MacAlgorithm};
use sha2::{Digest, Sha256, Sha512};

/// The primitives, and a counter that stands for randomness.
#[derive(Debug)]
pub struct Host {
    seed: Cell<u64>,
}

impl Host {
    /// A generator that always starts at the same place.
    pub fn new() -> Self {
        Self::seeded(1)
    }

    /// A generator that starts at `seed`.
    pub fn seeded(seed: u64) -> Self {
        Self {
            seed: Cell::new(seed),
        }
    }
}

impl Default for Host {
    fn default() -> Self {
        Self::new()
    }
}

/// A message authentication code of either kind.
pub enum HostMac {
    Hmac(Box<Hmac<Sha256>>),
    Cmac(Box<Cmac<aes::Aes128>>),
}

impl Mac for HostMac {
    fn update(&mut self, bytes: &[u8]) {
        match self {
            HostMac::Hmac(m) => hmac::Mac::update(m.as_mut(), bytes),
            HostMac::Cmac(m) => cmac::Mac::update(m.as_mut(), bytes),
        }
    }

    fn finish(self) -> [u8; 16] {
        let mut out = [0; 16];
        match self {
            HostMac::Hmac(m) => {
                out.copy_from_slice(&hmac::Mac::finalize(*m).into_bytes()[..16]);
            }
            HostMac::Cmac(m) => {
                out.copy_from_slice(&cmac::Mac::finalize(*m).into_bytes());
            }
        }
        out
    }
}

impl Crypto for Host {
    type Mac = HostMac;

    fn md5(&self, parts: &[&[u8]]) -> [u8; 16] {
        let mut h = Md5::new();
        parts.iter().for_each(|p| h.update(p));
        h.finalize().into()
    }

    fn hmac_md5(&self, key: &[u8], parts: &[&[u8]]) -> [u8; 16] {
        let mut h = <Hmac<Md5> as hmac::Mac>::new_from_slice(key).expect("any key length");
        parts.iter().for_each(|p| hmac::Mac::update(&mut h, p));
        hmac::Mac::finalize(h).into_bytes().into()
    }

    fn hmac_sha256(&self, key: &[u8], parts: &[&[u8]]) -> [u8; 32] {
        let mut h = <Hmac<Sha256> as hmac::Mac>::new_from_slice(key).expect("any key length");
        parts.iter().for_each(|p| hmac::Mac::update(&mut h, p));
        hmac::Mac::finalize(h).into_bytes().into()
    }

    fn sha512(&self, parts: &[&[u8]]) -> [u8; 64] {
        let mut h = Sha512::new();
        parts.iter().for_each(|p| h.update(p));
        h.finalize().into()
    }

    fn rc4(&self, key: &[u8], data: &mut [u8]) {
        match key.len() {
            8 => Rc4::<U8>::new_from_slice(key)
                .expect("checked")
                .apply_keystream(data),
            16 => Rc4::<U16>::new_from_slice(key)
                .expect("checked")
                .apply_keystream(data),
            n => panic!("no test uses an RC4 key of {n} bytes"),
        }
    }

    fn mac(&self, algorithm: MacAlgorithm, key: &[u8; 16]) -> HostMac {
        match algorithm {
            MacAlgorithm::HmacSha256 => HostMac::Hmac(Box::new(
                <Hmac<Sha256> as hmac::Mac>::new_from_slice(key).expect("any key length"),
            )),
            MacAlgorithm::AesCmac => HostMac::Cmac(Box::new(
                <Cmac<aes::Aes128> as hmac::Mac>::new_from_slice(key).expect("16 bytes"),
            )),
        }
    }

    fn random(&self, out: &mut [u8]) {
        // SplitMix64: repeatable, which is what a test wants.
        for byte in out {
            let s = self.seed.get().wrapping_add(0x9e37_79b9_7f4a_7c15);
            self.seed.set(s);
            let mut z = s;
            z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
            z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
            *byte = (z >> 31) as u8;
        }
    }
}
