// SPDX-License-Identifier: GPL-2.0
//! What differs between dialects (MS-SMB2 1.7, 2.2.3): chosen once at negotiate, asked everywhere.
//!
//! Everything above asks the trait object, never the number, so that another family of dialects
//! can be added behind the same seam.

use crate::auth::MacAlgorithm;

/// One dialect's answers; the defaults are those of the 3.x family.
pub trait Dialect: core::fmt::Debug + Sync {
    /// The number on the wire (MS-SMB2 2.2.4 DialectRevision).
    fn number(&self) -> u16;
    /// The name as it stands after `vers=`.
    fn name(&self) -> &'static str;
    /// What signs messages unless a negotiate context chose otherwise (MS-SMB2 3.1.4.1).
    fn mac(&self) -> MacAlgorithm {
        MacAlgorithm::AesCmac
    }
    /// Whether keys are derived from the session key (MS-SMB2 3.1.4.2) rather than being it.
    fn derives_keys(&self) -> bool {
        true
    }
    /// Whether negotiate and session setup are hashed into the keys (MS-SMB2 3.1.4.4.1), and
    /// negotiate contexts exist.
    fn preauth(&self) -> bool {
        false
    }
    /// Whether the negotiation is checked afterwards with FSCTL_VALIDATE_NEGOTIATE_INFO
    /// (MS-SMB2 3.2.5.5).
    fn validates_negotiate(&self) -> bool {
        !self.preauth()
    }
    /// Whether a request may cost more than one credit, given `SMB2_GLOBAL_CAP_LARGE_MTU`.
    fn multi_credit(&self) -> bool {
        true
    }
    /// Whether messages can be sealed, given that the server can.
    fn seals(&self) -> bool {
        true
    }
    /// Whether leases are of the second version, with epochs and parents (MS-SMB2 2.2.13.2.10).
    fn lease_v2(&self) -> bool {
        true
    }
    /// Whether durable opens are of the second version, with a create guid
    /// (MS-SMB2 2.2.13.2.11).
    fn durable_v2(&self) -> bool {
        true
    }
}

/// SMB 2.1.
#[derive(Debug)]
pub struct Smb21;
/// SMB 3.0.
#[derive(Debug)]
pub struct Smb30;
/// SMB 3.0.2.
#[derive(Debug)]
pub struct Smb302;
/// SMB 3.1.1.
#[derive(Debug)]
pub struct Smb311;

impl Dialect for Smb21 {
    fn number(&self) -> u16 {
        0x0210
    }
    fn name(&self) -> &'static str {
        "2.1"
    }
    fn mac(&self) -> MacAlgorithm {
        MacAlgorithm::HmacSha256
    }
    fn derives_keys(&self) -> bool {
        false
    }
    // validates_negotiate: yes, 2.1 may be what an attack on a better offer left over.
    fn seals(&self) -> bool {
        false
    }
    fn lease_v2(&self) -> bool {
        false
    }
    fn durable_v2(&self) -> bool {
        false
    }
}

impl Dialect for Smb30 {
    fn number(&self) -> u16 {
        0x0300
    }
    fn name(&self) -> &'static str {
        "3.0"
    }
}

impl Dialect for Smb302 {
    fn number(&self) -> u16 {
        0x0302
    }
    fn name(&self) -> &'static str {
        "3.0.2"
    }
}

impl Dialect for Smb311 {
    fn number(&self) -> u16 {
        0x0311
    }
    fn name(&self) -> &'static str {
        "3.1.1"
    }
    fn preauth(&self) -> bool {
        true
    }
}

/// SMB 2.1.
pub static SMB21: Smb21 = Smb21;
/// SMB 3.0.
pub static SMB30: Smb30 = Smb30;
/// SMB 3.0.2.
pub static SMB302: Smb302 = Smb302;
/// SMB 3.1.1.
pub static SMB311: Smb311 = Smb311;

/// Every dialect, in rising order; a bit of [`Versions`] each.
static ALL: [&dyn Dialect; 4] = [&SMB21, &SMB30, &SMB302, &SMB311];

/// The dialect with this number on the wire.
pub fn from_number(number: u16) -> Option<&'static dyn Dialect> {
    ALL.iter().copied().find(|d| d.number() == number)
}

/// A set of dialects to offer: what `vers=` says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Versions(u8);

/// Why a value of `vers=` is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum VersionError {
    /// SMB1, which rsdfs does not speak.
    Smb1,
    /// SMB 2.0.2, which has neither large requests nor leases and which rsdfs does not speak.
    Smb20,
    /// No version at all.
    Unknown,
}

impl VersionError {
    /// The reason, for the mount log.
    pub const fn reason(self) -> &'static str {
        match self {
            Self::Smb1 => "SMB1 is not supported",
            Self::Smb20 => "SMB 2.0 is not supported, use 2.1 or later",
            Self::Unknown => "unknown version, use default, 2.1, 3, 3.0, 3.0.2 or 3.1.1",
        }
    }
}

impl Default for Versions {
    fn default() -> Self {
        Self::DEFAULT
    }
}

impl Versions {
    /// Everything from 2.1 on.
    pub const DEFAULT: Self = Self(0b1111);

    /// Everything from 3.0 on.
    pub const SMB3: Self = Self(0b1110);

    /// Only `dialect`; empty if it is none of this module's.
    pub fn only(dialect: &dyn Dialect) -> Self {
        Self(Self::bit(dialect.number()))
    }

    /// Reads a value of `vers=`.
    pub fn parse(text: &str) -> Result<Self, VersionError> {
        match text {
            "default" => Ok(Self::DEFAULT),
            "3" => Ok(Self::SMB3),
            "3.02" => Ok(Self::only(&SMB302)),
            "3.11" => Ok(Self::only(&SMB311)),
            "1" | "1.0" => Err(VersionError::Smb1),
            "2" | "2.0" | "2.0.2" | "2.02" => Err(VersionError::Smb20),
            _ => ALL
                .iter()
                .find(|d| d.name() == text)
                .map(|d| Self::only(*d))
                .ok_or(VersionError::Unknown),
        }
    }

    /// The value of `vers=` that reads as this set.
    pub fn name(self) -> &'static str {
        match self {
            Self::DEFAULT => "default",
            Self::SMB3 => "3",
            _ => self.iter().last().map_or("none", |d| d.name()),
        }
    }

    /// The dialects of the set, lowest first.
    pub fn iter(self) -> impl Iterator<Item = &'static dyn Dialect> {
        ALL.iter()
            .copied()
            .filter(move |d| self.contains(d.number()))
    }

    /// The number of dialects in the set.
    pub const fn len(self) -> usize {
        match self.0.count_ones() {
            0 => 0,
            1 => 1,
            2 => 2,
            3 => 3,
            _ => 4,
        }
    }

    /// Whether the set holds nothing.
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// Whether the dialect with this number on the wire is in the set.
    pub fn contains(self, number: u16) -> bool {
        self.0 & Self::bit(number) != 0
    }

    fn bit(number: u16) -> u8 {
        ALL.iter()
            .zip([1, 2, 4, 8])
            .find(|(d, _)| d.number() == number)
            .map_or(0, |(_, bit)| bit)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use std::vec::Vec;

    #[test]
    fn versions() {
        let numbers = |s| -> Vec<u16> {
            Versions::parse(s)
                .unwrap()
                .iter()
                .map(|d| d.number())
                .collect()
        };
        assert_eq!(numbers("default"), [0x210, 0x300, 0x302, 0x311]);
        assert_eq!(numbers("3"), [0x300, 0x302, 0x311]);
        assert_eq!(numbers("2.1"), [0x210]);
        assert_eq!(numbers("3.0"), [0x300]);
        assert_eq!(numbers("3.02"), [0x302]);
        assert_eq!(numbers("3.0.2"), [0x302]);
        assert_eq!(numbers("3.1.1"), [0x311]);
        for name in ["default", "3", "2.1", "3.0", "3.0.2", "3.1.1"] {
            let set = Versions::parse(name).unwrap();
            assert_eq!(set.name(), name);
            assert_eq!(set.iter().count(), set.len());
        }
        assert_eq!(Versions::parse("1.0"), Err(VersionError::Smb1));
        assert_eq!(Versions::parse("2.0"), Err(VersionError::Smb20));
        for bad in ["", "4", "3.1", "3.1.1 ", "DEFAULT"] {
            assert_eq!(Versions::parse(bad), Err(VersionError::Unknown));
        }
        assert!(!Versions::DEFAULT.contains(0x2ff));
    }

    #[test]
    fn dialects() {
        assert!(from_number(0x0202).is_none());
        assert!(from_number(0x02ff).is_none());
        let d = from_number(0x0210).unwrap();
        assert_eq!(d.mac(), MacAlgorithm::HmacSha256);
        assert!(!d.derives_keys() && d.validates_negotiate() && d.multi_credit());
        let d = from_number(0x0302).unwrap();
        assert!(d.derives_keys() && d.validates_negotiate() && !d.preauth());
        let d = from_number(0x0311).unwrap();
        assert!(d.preauth() && !d.validates_negotiate());
    }
}
