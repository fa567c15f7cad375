// SPDX-License-Identifier: GPL-2.0
//! MD4 (RFC 1320), which only the NT password hash still needs (MS-NLMP 3.3.1).
//!
//! The kernel dropped MD4 from its crypto library, and hashing a password once per session is no
//! load, so it lives here and not behind [`super::Crypto`].

use super::wipe;

/// An MD4 computation in progress; its state is wiped when it is dropped.
pub struct Md4 {
    state: [u32; 4],
    block: [u8; 64],
    /// Bytes hashed so far; the low six bits are the fill of `block`.
    total: u64,
}

/// Order of the message words in each of the three rounds (RFC 1320 3.4).
const ORDER: [[usize; 16]; 3] = [
    [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15],
    [0, 4, 8, 12, 1, 5, 9, 13, 2, 6, 10, 14, 3, 7, 11, 15],
    [0, 8, 4, 12, 2, 10, 6, 14, 1, 9, 5, 13, 3, 11, 7, 15],
];

/// Rotations of each round.
const SHIFT: [[u32; 4]; 3] = [[3, 7, 11, 19], [3, 5, 9, 13], [3, 9, 11, 15]];

/// Additive constant of each round.
const ADD: [u32; 3] = [0, 0x5a82_7999, 0x6ed9_eba1];

type Mix = fn(u32, u32, u32) -> u32;

/// Boolean function of each round.
const MIX: [Mix; 3] = [
    |x, y, z| (x & y) | (!x & z),
    |x, y, z| (x & y) | (x & z) | (y & z),
    |x, y, z| x ^ y ^ z,
];

impl Md4 {
    /// The hash of nothing so far.
    pub const fn new() -> Self {
        Self {
            state: [0x6745_2301, 0xefcd_ab89, 0x98ba_dcfe, 0x1032_5476],
            block: [0; 64],
            total: 0,
        }
    }

    /// Feeds `bytes`.
    pub fn update(&mut self, bytes: &[u8]) {
        for &byte in bytes {
            self.push(byte);
        }
    }

    /// The hash of all that was fed.
    pub fn finish(mut self) -> [u8; 16] {
        let bits = self.total.wrapping_mul(8);
        self.push(0x80);
        while self.total & 63 != 56 {
            self.push(0);
        }
        self.update(&bits.to_le_bytes());
        let mut out = [0; 16];
        for (to, word) in out.chunks_exact_mut(4).zip(self.state) {
            to.copy_from_slice(&word.to_le_bytes());
        }
        out
    }

    fn push(&mut self, byte: u8) {
        let at = usize::try_from(self.total & 63).unwrap_or(0);
        if let Some(to) = self.block.get_mut(at) {
            *to = byte;
        }
        self.total = self.total.wrapping_add(1);
        if at == 63 {
            self.compress();
        }
    }

    fn compress(&mut self) {
        let mut words = [0u32; 16];
        for (word, bytes) in words.iter_mut().zip(self.block.chunks_exact(4)) {
            *word = bytes
                .first_chunk()
                .map_or(0, |four| u32::from_le_bytes(*four));
        }
        let [mut a, mut b, mut c, mut d] = self.state;
        for (((order, shift), add), mix) in ORDER.iter().zip(SHIFT).zip(ADD).zip(MIX) {
            for (&k, by) in order.iter().zip(shift.into_iter().cycle()) {
                let word = words.get(k).copied().unwrap_or(0);
                let t = a
                    .wrapping_add(mix(b, c, d))
                    .wrapping_add(word)
                    .wrapping_add(add)
                    .rotate_left(by);
                (a, b, c, d) = (d, t, b, c);
            }
        }
        for (to, v) in self.state.iter_mut().zip([a, b, c, d]) {
            *to = to.wrapping_add(v);
        }
    }
}

impl Default for Md4 {
    fn default() -> Self {
        Self::new()
    }
}

impl Drop for Md4 {
    fn drop(&mut self) {
        wipe(&mut self.block);
        self.state = core::hint::black_box([0; 4]);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::format;
    use std::string::String;

    fn hex(bytes: &[u8]) -> String {
        let digits = bytes.iter().map(|b| format!("{b:02x}"));
        digits.collect::<std::vec::Vec<_>>().concat()
    }

    #[test]
    fn rfc1320_vectors() {
        let vectors: [(&str, &str); 7] = [
            ("", "31d6cfe0d16ae931b73c59d7e0c089c0"),
            ("a", "bde52cb31de33e46245e05fbdbd6fb24"),
            ("abc", "a448017aaf21d8525fc10ae87aa6729d"),
            ("message digest", "d9130a8164549fe818874806e1c7014b"),
            (
                "abcdefghijklmnopqrstuvwxyz",
                "d79e1c308aa5bbcdeea8ed63df412da9",
            ),
            (
                "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789",
                "043f8582f241db351ce627e153e7f0e4",
            ),
            (
                "12345678901234567890123456789012345678901234567890123456789012345678901234567890",
                "e33b4ddc9c38f2199c3e7b164fcc0536",
            ),
        ];
        for (text, want) in vectors {
            let mut md4 = Md4::new();
            md4.update(text.as_bytes());
            assert_eq!(hex(&md4.finish()), want, "{text:?}");
        }
    }
}
