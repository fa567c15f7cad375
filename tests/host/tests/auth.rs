// SPDX-License-Identifier: GPL-2.0
//! SPNEGO, NTLMSSP, key derivation and signing against published vectors, and every parser
//! against truncated and mutated input.

mod common;
#[path = "common/vectors.rs"]
mod vectors;

use common::crypto::Host;
use proptest::prelude::*;
use rsdfs_proto::auth::kdf::{self, Purpose};
use rsdfs_proto::auth::ntlm::{self, av, Authenticate, Challenge, Identity, Nonces, Side};
use rsdfs_proto::auth::spnego::{self, Offer, Response, State};
use rsdfs_proto::auth::{Crypto, Mac, MacAlgorithm, Secret};
use rsdfs_proto::codec::Writer;
use rsdfs_proto::crypt::{check, SigningKey};
use rsdfs_proto::smb2::Message;
use vectors::Vectors;

fn hex(text: &str) -> Vec<u8> {
    vectors::hex(text)
}

fn array<const N: usize>(text: &str) -> [u8; N] {
    hex(text).try_into().expect("length")
}

fn windows() -> Vectors {
    Vectors::read(include_str!("../../vectors/smb311_session.txt"))
}

/// From `NTLMSSP` to the end of `len` bytes.
fn ntlmssp(message: &[u8], len: usize) -> &[u8] {
    let at = message
        .windows(8)
        .position(|w| w == spnego::NTLMSSP)
        .expect("there");
    &message[at..][..len]
}

// MS-NLMP 4.2.1 and 4.2.4.

const NONCE: [u8; 8] = [0x01, 0x23, 0x45, 0x67, 0x89, 0xab, 0xcd, 0xef];

/// MS-NLMP 4.2.4.3, CHALLENGE_MESSAGE.
fn nlmp_challenge() -> Vec<u8> {
    hex(
        "4e544c4d53535000020000000c000c003800000033828ae20123456789abcdef\
         00000000000000002400240044000000060070170000000f5300650072007600\
         6500720002000c0044006f006d00610069006e0001000c005300650072007600\
         6500720000000000",
    )
}

#[test]
fn nlmp_ntlmv2() {
    let host = Host::new();
    let ntowf = ntlm::ntowf_v2(&host, "User", "Domain", "Password").unwrap();
    assert_eq!(ntowf.bytes()[..], hex("0c868a403bfd7a93a3001ef22ef02e3f"));
    let lm = ntlm::lm_v2(&host, &ntowf, &NONCE, &[0xaa; 8]);
    assert_eq!(
        lm[..],
        hex("86c35097ac9cec102554764a57cccc19aaaaaaaaaaaaaaaa")
    );
    let temp = hex(
        "01010000000000000000000000000000aaaaaaaaaaaaaaaa0000000002000c00\
         44006f006d00610069006e0001000c0053006500720076006500720000000000\
         00000000",
    );
    let (proof, base) = ntlm::prove(&host, &ntowf, &NONCE, &temp);
    assert_eq!(proof[..], hex("68cd0ab851e51c96aabc927bebef6a1c"));
    assert_eq!(base.bytes()[..], hex("8de40ccadbc14a82f15cb0ad0de95ca3"));
}

/// The AUTHENTICATE message of MS-NLMP 4.2.4.3 differs from ours in the workstation name it
/// carries and the MIC field it lacks; every field that matters is the same.
#[test]
fn nlmp_authenticate() {
    let host = Host::new();
    let challenge = nlmp_challenge();
    let challenge = Challenge::parse(&challenge).unwrap();
    assert_eq!(challenge.nonce, NONCE);
    assert_eq!(challenge.timestamp(), None);
    assert_eq!(
        challenge.info.find(av::NB_COMPUTER).unwrap(),
        b"S\0e\0r\0v\0e\0r\0"
    );
    let identity = Identity::User {
        user: "User",
        domain: "Domain",
        password: "Password",
    };
    let nonces = Nonces {
        client: [0xaa; 8],
        session_key: Secret::new([0x55; 16]),
    };
    let auth = Authenticate::new(challenge, identity, "server", 0);
    let mut out = vec![0; auth.size().unwrap()];
    let key = auth.emit(&host, &nonces, &mut out).unwrap();
    assert_eq!(key.bytes(), &[0x55; 16]);
    let fields = hex(
        "44006f006d00610069006e00550073006500720086c35097ac9cec102554764a\
         57cccc19aaaaaaaaaaaaaaaa68cd0ab851e51c96aabc927bebef6a1c01010000\
         000000000000000000000000aaaaaaaaaaaaaaaa0000000002000c0044006f00\
         6d00610069006e0001000c005300650072007600650072000000000000000000\
         c5dad2544fc9799094ce1ce90bc9d03e",
    );
    assert_eq!(out[88..], fields);
    assert_eq!(out[72..88], [0; 16], "no MIC without a timestamp");
    // Every payload field lies inside, one behind the other.
    let word = |at: usize| u32::from_le_bytes(out[at..at + 4].try_into().unwrap()) as usize;
    let short = |at: usize| u16::from_le_bytes(out[at..at + 2].try_into().unwrap()) as usize;
    let mut end = 88;
    for at in [28, 36, 12, 20, 52] {
        assert_eq!(word(at + 4), end);
        end += short(at);
    }
    assert_eq!(end, out.len());
}

#[test]
fn windows_challenge_is_answered_with_a_mic_over_three_messages() {
    let host = Host::new();
    let v = windows();
    let bytes = ntlmssp(&v["setup_reply1"], 148);
    let challenge = Challenge::parse(bytes).unwrap();
    assert_eq!(challenge.timestamp(), Some(0x01d0_aecb_adf5_a1a1));
    let identity = Identity::User {
        user: "administrator",
        domain: "SUT311",
        password: "whatever",
    };
    let auth = Authenticate::new(challenge, identity, "SUT311", 1);
    let mut out = vec![0; auth.size().unwrap()];
    let key = auth.emit(&host, &Nonces::random(&host), &mut out).unwrap();
    let mic = out[72..88].to_vec();
    out[72..88].fill(0);
    assert_eq!(
        host.hmac_md5(key.bytes(), &[&ntlm::NEGOTIATE, bytes, &out])[..],
        mic
    );
    // The LM response is zeros, and the target name ends the attributes.
    let text: Vec<u8> = "cifs/SUT311"
        .encode_utf16()
        .flat_map(u16::to_le_bytes)
        .collect();
    assert!(out.windows(text.len()).any(|w| w == text));
    assert_eq!(out[88 + 12 + 26..][..24], [0; 24]);
}

/// Windows' own AUTHENTICATE: the MIC and both mechListMICs follow from its session key.
#[test]
fn windows_codes_follow_from_the_session_key() {
    let host = Host::new();
    let v = windows();
    let key = Secret::new(v.array("session_key"));
    let negotiate = ntlmssp(&v["setup_request1"], 40);
    let challenge = ntlmssp(&v["setup_reply1"], 148);
    let mut auth = ntlmssp(&v["setup_request2"], 0x1a6).to_vec();
    let mic = auth[72..88].to_vec();
    auth[72..88].fill(0);
    assert_eq!(
        host.hmac_md5(key.bytes(), &[negotiate, challenge, &auth])[..],
        mic
    );
    let mut exchanged = auth[0x196..0x1a6].to_vec();
    host.rc4(&v["session_base_key"], &mut exchanged);
    assert_eq!(exchanged, key.bytes());
    let flags = Challenge::parse(challenge).unwrap().flags;
    let sign = |side| ntlm::sign(&host, &key, flags, side, spnego::MECH_LIST);
    assert!(v["setup_request2"].ends_with(&sign(Side::Client)));
    assert!(v["setup_reply2"].ends_with(&sign(Side::Server)));
}

#[test]
fn spnego_reads_windows() {
    let v = windows();
    let offer = Offer::parse(&v["negotiate_reply"][128..][..320]).unwrap();
    assert!(offer.ntlmssp && !offer.kerberos);
    let first = Response::parse(&v["setup_reply1"][72..]).unwrap();
    assert_eq!(first.state, Some(State::Incomplete));
    assert_eq!(first.token, Some(ntlmssp(&v["setup_reply1"], 148)));
    assert_eq!((first.mic, first.raw), (None, false));
    let last = Response::parse(&v["setup_reply2"][72..]).unwrap();
    assert_eq!(last.state, Some(State::Completed));
    assert_eq!(last.mic.unwrap(), hex("010000003b453cdc3524164200000000"));
}

#[test]
fn spnego_writes_what_windows_writes() {
    let v = windows();
    let mut buffer = [0; 600];
    let mut w = Writer::new(&mut buffer);
    spnego::emit_init(&mut w, ntlmssp(&v["setup_request1"], 40)).unwrap();
    let n = w.written();
    assert_eq!(buffer[..n], v["setup_request1"][88..]);
    // Windows adds negState = accept-incomplete, which a first answer may leave out.
    let theirs = &v["setup_request2"][88..];
    let token = ntlmssp(theirs, 0x1a6);
    let mut w = Writer::new(&mut buffer);
    let (hole, mic) = spnego::emit_response(&mut w, token.len(), true).unwrap();
    hole.copy_from_slice(token);
    mic.unwrap().copy_from_slice(&theirs[theirs.len() - 16..]);
    let n = w.written();
    assert_eq!(n, theirs.len() - 5);
    assert_eq!(buffer[8..n], theirs[13..]);
    assert_eq!(buffer[..8], [0xa1, 0x82, 1, 0xc6, 0x30, 0x82, 1, 0xc2]);
}

#[test]
fn spnego_lengths_round_trip() {
    for len in [0, 1, 100, 120, 127, 128, 200, 255, 256, 1000, 5000] {
        let token = vec![7; len];
        for with_mic in [false, true] {
            let mut buffer = vec![0; len + 64];
            let mut w = Writer::new(&mut buffer);
            let (hole, mic) = spnego::emit_response(&mut w, len, with_mic).unwrap();
            hole.copy_from_slice(&token);
            if let Some(mic) = mic {
                mic.fill(9);
            }
            let n = w.written();
            let back = Response::parse(&buffer[..n]).unwrap();
            assert_eq!(back.token, Some(&token[..]));
            assert_eq!(back.mic, with_mic.then_some(&[9; 16][..]));
        }
    }
}

#[test]
fn spnego_takes_bare_ntlmssp_and_nothing() {
    let bare = nlmp_challenge();
    let back = Response::parse(&bare).unwrap();
    assert!(back.raw && back.token == Some(&bare[..]));
    assert_eq!(Response::parse(&[]).unwrap(), Response::default());
    assert!(Offer::parse(&[]).unwrap().ntlmssp);
    assert!(Offer::parse(&bare).is_err());
}

#[test]
fn anonymous_is_one_zero_byte() {
    let host = Host::new();
    let challenge = nlmp_challenge();
    let challenge = Challenge::parse(&challenge).unwrap();
    let auth = Authenticate::new(challenge, Identity::Anonymous, "server", 0);
    assert!(!auth.signs());
    let mut out = vec![0; auth.size().unwrap()];
    let nonces = Nonces::random(&host);
    let key = auth.emit(&host, &nonces, &mut out).unwrap();
    assert_eq!(key.bytes(), nonces.session_key.bytes());
    assert_eq!(out.len(), 88 + 1 + 16);
    assert_eq!(out[12..16], [1, 0, 1, 0], "LM response");
    assert_eq!(out[20..24], [0; 4], "NT response");
    assert_eq!(out[61] & 0x08, 0x08, "anonymous flag");
}

#[test]
fn weak_and_oversized_challenges_are_refused() {
    let host = Host::new();
    let good = nlmp_challenge();
    for bit in [0u32, 19, 29] {
        let mut bad = good.clone();
        bad[20 + bit as usize / 8] &= !(1 << (bit % 8));
        assert_eq!(Challenge::parse(&bad).unwrap_err(), ntlm::Error::Weak);
    }
    let challenge = Challenge::parse(&good).unwrap();
    let long = "x".repeat(ntlm::MAX_NAME + 1);
    for (user, domain, want) in [
        (&long[..], "", Err(ntlm::Error::TooLong)),
        ("", &long[..], Err(ntlm::Error::TooLong)),
        (&long[1..], &long[1..], Ok(())),
    ] {
        let identity = Identity::User {
            user,
            domain,
            password: "",
        };
        let auth = Authenticate::new(challenge, identity, "h", 0);
        let mut out = [0; ntlm::MAX_AUTHENTICATE];
        let got = auth.emit(&host, &Nonces::random(&host), &mut out);
        assert_eq!(got.map(|_| ()), want);
        if want.is_ok() {
            let n = auth.size().unwrap();
            let got = auth.emit(&host, &Nonces::random(&host), &mut out[..n - 1]);
            assert_eq!(got.map(|_| ()), Err(ntlm::Error::NoSpace));
        }
    }
}

#[test]
fn user_is_upper_cased_and_domain_is_not() {
    let host = Host::new();
    let hash = |user, domain| *ntlm::ntowf_v2(&host, user, domain, "pw").unwrap().bytes();
    assert_eq!(hash("jürgen", "Dom"), hash("JÜRGEN", "Dom"));
    assert_ne!(hash("jürgen", "Dom"), hash("jürgen", "DOM"));
    // One character stays one: Windows does not make SS of it.
    assert_ne!(hash("straße", ""), hash("STRASSE", ""));
}

#[test]
fn keys_of_both_families() {
    let host = Host::new();
    let v = windows();
    let hash = v.array("hash5");
    let purposes = [
        (Purpose::Signing, "signing_key"),
        (Purpose::Encryption, "encryption_key"),
        (Purpose::Decryption, "decryption_key"),
        (Purpose::Application, "application_key"),
    ];
    for (purpose, name) in purposes {
        let new = kdf::smb311(&host, &v.array("session_key"), purpose, &hash);
        assert_eq!(new.bytes()[..], v[name]);
        let old = kdf::smb30(&host, &v.array("smb30_session_key"), purpose);
        assert_eq!(old.bytes()[..], v[&format!("smb30_{name}")[..]]);
    }
}

#[test]
fn final_session_setup_of_windows_verifies() {
    let host = Host::new();
    let v = windows();
    let key = SigningKey::new(MacAlgorithm::AesCmac, Secret::new(v.array("signing_key")));
    let reply = &v["setup_reply2"];
    let verify = |bytes: &[u8]| match Message::parse(bytes) {
        Ok(message) => key.verify(&host, &message),
        Err(_) => false,
    };
    assert!(verify(reply));
    for at in 0..reply.len() {
        let mut bad = reply.clone();
        bad[at] ^= 1;
        assert!(!verify(&bad), "byte {at}");
    }
    assert!(!verify(&reply[..72]));
}

#[test]
fn rfc4493_and_rfc4231_through_the_trait() {
    let host = Host::new();
    let text = hex(
        "6bc1bee22e409f96e93d7e117393172aae2d8a571e03ac9c9eb76fac45af8e51\
         30c81c46a35ce411e5fbc1191a0a52eff69f2445df4f9b17ad2b417be66c3710",
    );
    let key = array("2b7e151628aed2a6abf7158809cf4f3c");
    for (len, want) in [
        (0, "bb1d6929e95937287fa37d129b756746"),
        (16, "070a16b46b4d4144f79bdd9dd04a287c"),
        (40, "dfa66747de9ae63030ca32611497c827"),
        (64, "51f0bebf7e3b9d92fc49741779363cfe"),
    ] {
        let mut mac = host.mac(MacAlgorithm::AesCmac, &key);
        text[..len].chunks(7).for_each(|part| mac.update(part));
        assert_eq!(mac.finish()[..], hex(want));
    }
    let want = "b0344c61d8db38535ca8afceaf0bf12b";
    let code = host.hmac_sha256(&[0x0b; 20], &[b"Hi ", b"There"]);
    assert_eq!(code[..16], hex(want));
}

#[test]
fn signing_in_parts_equals_signing_in_one() {
    let host = Host::new();
    for algorithm in [MacAlgorithm::HmacSha256, MacAlgorithm::AesCmac] {
        let key = SigningKey::new(algorithm, Secret::new([3; 16]));
        let mut whole: Vec<u8> = (0..200).map(|n| n as u8).collect();
        let mut header: [u8; 64] = whole[..64].try_into().unwrap();
        key.sign(&host, &mut header, &[&whole[64..100], &[], &whole[100..]]);
        key.sign_whole(&host, &mut whole);
        assert_eq!(header[..], whole[..64]);
        let mut mac = key.start(&host);
        mac.update(&header[..48]);
        mac.update(&[0; 16]);
        mac.update(&whole[64..]);
        assert!(check(&header, &mac.finish()));
        assert!(key.verify_parts(&host, &header, &[&whole[64..65], &whole[65..]]));
        header[16] &= !8;
        assert!(
            !key.verify_parts(&host, &header, &[&whole[64..]]),
            "unsigned"
        );
    }
}

#[test]
fn secrets_do_not_show() {
    let secret = Secret::new([0xab; 16]);
    let key = SigningKey::new(MacAlgorithm::AesCmac, secret.clone());
    let identity = Identity::User {
        user: "u",
        domain: "d",
        password: "hunter2",
    };
    let text = format!("{secret:?} {key:?} {identity:?}");
    assert!(!text.contains("ab") && !text.contains("171") && !text.contains("hunter2"));
}

/// A message, cut at some place and with some bytes replaced.
fn damaged(good: Vec<u8>) -> impl Strategy<Value = Vec<u8>> {
    let len = good.len();
    let changes = proptest::collection::vec((0..len, any::<u8>()), 0..6);
    (changes, 0..=len).prop_map(move |(changes, cut)| {
        let mut bytes = good.clone();
        for (at, value) in changes {
            bytes[at] = value;
        }
        bytes.truncate(cut);
        bytes
    })
}

fn run_challenge(bytes: &[u8]) {
    let host = Host::new();
    let Ok(challenge) = Challenge::parse(bytes) else {
        return;
    };
    for identity in [
        Identity::Anonymous,
        Identity::User {
            user: "u",
            domain: "d",
            password: "p",
        },
    ] {
        let auth = Authenticate::new(challenge, identity, "host", 5);
        let size = auth.size().unwrap();
        assert!(size <= ntlm::MAX_AUTHENTICATE);
        let mut out = vec![0; size];
        auth.emit(&host, &Nonces::random(&host), &mut out).unwrap();
    }
}

proptest! {
    #[test]
    fn damaged_challenges(bytes in damaged(ntlmssp(&windows()["setup_reply1"], 148).to_vec())) {
        run_challenge(&bytes);
    }

    #[test]
    fn damaged_nlmp_challenges(bytes in damaged(nlmp_challenge())) {
        run_challenge(&bytes);
    }

    #[test]
    fn damaged_offers(bytes in damaged(windows()["negotiate_reply"][128..448].to_vec())) {
        let _ = Offer::parse(&bytes);
    }

    #[test]
    fn damaged_responses(bytes in damaged(windows()["setup_reply1"][72..].to_vec())) {
        let _ = Response::parse(&bytes);
    }

    #[test]
    fn any_bytes(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        let _ = Offer::parse(&bytes);
        let _ = Response::parse(&bytes);
        run_challenge(&bytes);
    }
}
