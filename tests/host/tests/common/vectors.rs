// SPDX-License-Identifier: GPL-2.0
//! Named byte strings from a file of `tests/vectors`.

use std::collections::HashMap;
use std::ops::Index;

/// The byte strings of one file.
#[derive(Debug)]
pub struct Vectors(HashMap<String, Vec<u8>>);

// Not every test uses all of it.
#[allow(dead_code)]
impl Vectors {
    /// Reads lines of a name and hexadecimal digits; a hyphen ends a line that goes on.
    pub fn read(text: &str) -> Self {
        let joined = text.replace("-\n", "");
        let lines = joined
            .lines()
            .filter(|l| !l.is_empty() && !l.starts_with('#'));
        Self(
            lines
                .map(|line| {
                    let (name, digits) = line.split_once(' ').expect("a name and digits");
                    (name.to_owned(), hex(digits))
                })
                .collect(),
        )
    }

    /// The last answer to a request, which may have been pending first.
    pub fn answer(&self, name: &str) -> &[u8] {
        let last = self.0.get(&format!("{name}_final"));
        last.unwrap_or_else(|| &self[&*format!("{name}_reply")])
    }

    /// The byte strings that are SMB2 messages.
    pub fn into_messages(self) -> impl Iterator<Item = Vec<u8>> {
        let all = self.0.into_values();
        all.filter(|bytes| bytes.starts_with(b"\xfeSMB"))
    }

    /// A byte string of known length.
    pub fn array<const N: usize>(&self, name: &str) -> [u8; N] {
        self[name].clone().try_into().expect("length")
    }
}

impl Index<&str> for Vectors {
    type Output = Vec<u8>;

    fn index(&self, name: &str) -> &Vec<u8> {
        self.0
            .get(name)
            .unwrap_or_else(|| panic!("no vector {name}"))
    }
}

/// Bytes of hexadecimal digits, white space ignored.
pub fn hex(text: &str) -> Vec<u8> {
    let digits: Vec<u8> = text
        .chars()
        .filter(|c| !c.is_whitespace())
        .map(|c| c.to_digit(16).expect("hexadecimal") as u8)
        .collect();
    digits
        .chunks(2)
        .map(|pair| (pair[0] << 4) | pair[1])
        .collect()
}
