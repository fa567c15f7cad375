// SPDX-License-Identifier: GPL-2.0
//! The host's primitives against published vectors, so that a wrong one is not blamed on the core.

mod common;

use common::crypto::Host;
use rsdfs_proto::auth::{Crypto, Mac, MacAlgorithm};

fn hex(s: &str) -> Vec<u8> {
    s.as_bytes()
        .chunks(2)
        .map(|c| u8::from_str_radix(std::str::from_utf8(c).unwrap(), 16).unwrap())
        .collect()
}

#[test]
fn digests() {
    let h = Host::new();
    assert_eq!(
        h.md5(&[b"a", b"bc"])[..],
        hex("900150983cd24fb0d6963f7d28e17f72")
    );
    assert_eq!(h.sha512(&[b"abc"])[..8], hex("ddaf35a193617aba"));
    // RFC 2202 case 2 and RFC 4231 case 2.
    assert_eq!(
        h.hmac_md5(b"Jefe", &[b"what do ya want ", b"for nothing?"])[..],
        hex("750c783e6ab0b503eaa86e310a5db738")
    );
    assert_eq!(
        h.hmac_sha256(b"Jefe", &[b"what do ya want for nothing?"])[..],
        hex("5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843")
    );
}

#[test]
fn stream_cipher() {
    // RFC 6229, 64-bit and 128-bit keys, offset 0.
    let h = Host::new();
    let mut data = [0; 16];
    h.rc4(&hex("0102030405060708"), &mut data);
    assert_eq!(data[..], hex("97ab8a1bf0afb96132f2f67258da15a8"));
    let mut data = [0; 16];
    h.rc4(&hex("0102030405060708090a0b0c0d0e0f10"), &mut data);
    assert_eq!(data[..], hex("9ac7cc9a609d1ef7b2932899cde41b97"));
}

#[test]
fn codes() {
    let h = Host::new();
    // RFC 4493 example 3.
    let key: [u8; 16] = hex("2b7e151628aed2a6abf7158809cf4f3c").try_into().unwrap();
    let message =
        hex("6bc1bee22e409f96e93d7e117393172aae2d8a571e03ac9c9eb76fac45af8e5130c81c46a35ce411");
    let mut m = h.mac(MacAlgorithm::AesCmac, &key);
    m.update(&message[..7]);
    m.update(&message[7..]);
    assert_eq!(m.finish()[..], hex("dfa66747de9ae63030ca32611497c827"));
    let mut m = h.mac(MacAlgorithm::HmacSha256, &key);
    m.update(&message);
    assert_eq!(m.finish()[..], h.hmac_sha256(&key, &[&message])[..16]);
}
