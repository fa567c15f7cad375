// SPDX-License-Identifier: GPL-2.0

//! Mount options: reading them, and showing them so that they can be given again.
//!
//! An option that is unknown, malformed, or lacks a value is refused, by name. Secrets are never
//! shown, and wiped when they are dropped.

mod given;
pub(crate) mod value;

pub(crate) use given::OptionError;

use crate::sys::{
    crypto::Secret,
    dns,
    fs::super_block::OptionWriter, //
};
use core::{
    net::IpAddr,
    str, //
};
use given::Given;
use kernel::prelude::*;
use rsdfs_proto::{
    dialect::Versions,
    handshake::{
        Credentials,
        Signing, //
    },
    identity::Rule, //
};

/// What was done with an option.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Taken {
    /// It was taken.
    Yes,
    /// It was looked at, and the generic code is to keep it: the device.
    Generic,
}

/// Whether a mount returns to the target its referral prefers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Failback {
    /// If the referral asks for it (MS-DFSC 2.2.4, TargetFailback).
    Auto,
    /// Always.
    Always,
    /// When no file is open.
    Idle,
    /// Not of itself.
    Never,
}

/// How much is kept in the page cache (`cache`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Cache {
    /// Checked against the server when a file is opened, and written back when it is closed.
    Strict,
    /// Nothing: each read and write goes to the server.
    None,
    /// As strict, but what this client wrote itself counts as checked.
    Loose,
}

/// How to log on (`sec`, `guest`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Logon {
    User,
    Guest,
    Anonymous,
}

/// Options of a mount.
pub(crate) struct Options {
    source: KVec<u8>,
    user: KVec<u8>,
    domain: KVec<u8>,
    password: Option<Secret>,
    logon: Logon,
    versions: Versions,
    sign: bool,
    uid: u32,
    gid: u32,
    force_uid: bool,
    force_gid: bool,
    file_mode: u16,
    dir_mode: u16,
    soft: bool,
    /// In seconds.
    timeout: u64,
    /// In seconds.
    echo_interval: u64,
    rsize: usize,
    wsize: usize,
    /// In seconds.
    actimeo: u64,
    cache: Cache,
    address: Option<IpAddr>,
    port: u16,
    nodfs: bool,
    nosharesock: bool,
    nolease: bool,
    nobrl: bool,
    recover_lost_locks: bool,
    failback: Failback,
    /// In seconds.
    failback_after: u64,
    /// In seconds.
    stale_ttl: u64,
    site: KVec<u8>,
    reopen: Option<Rule>,
}

/// The size unless one is given: what servers commonly allow at most, or less.
const SIZE: usize = 4 << 20;

/// The seconds for which an expired referral may be used unless others are given: a day.
const STALE_TTL: u64 = 24 * 60 * 60;

impl Options {
    /// The defaults. Everything belongs to `uid` and `gid`.
    pub(crate) fn new(uid: u32, gid: u32) -> Self {
        Self {
            source: KVec::new(),
            user: KVec::new(),
            domain: KVec::new(),
            password: None,
            logon: Logon::User,
            versions: Versions::DEFAULT,
            sign: false,
            uid,
            gid,
            force_uid: false,
            force_gid: false,
            file_mode: 0o755,
            dir_mode: 0o755,
            soft: false,
            timeout: 30,
            echo_interval: 5,
            rsize: SIZE,
            wsize: SIZE,
            actimeo: 1,
            cache: Cache::Strict,
            address: None,
            port: 445,
            nodfs: false,
            nosharesock: false,
            nolease: false,
            nobrl: false,
            recover_lost_locks: false,
            failback: Failback::Auto,
            failback_after: 30,
            stale_ttl: STALE_TTL,
            site: KVec::new(),
            reopen: None,
        }
    }

    /// Takes one option; `value` is `None` if it was given without.
    pub(crate) fn set(&mut self, key: &str, value: Option<&str>) -> Result<Taken, OptionError> {
        let option = Given { key, value };
        match key {
            "source" => {
                let text = option.text()?;
                value::source(text).map_err(|why| OptionError::new(fmt!("{why}: '{text}'")))?;
                self.source = copy(text)?;
                return Ok(Taken::Generic);
            }
            "username" | "user" => self.set_user(&option)?,
            "password" | "pass" => self.password = Some(option.secret()?),
            "domain" | "dom" | "workgroup" => self.domain = copy(option.word()?)?,
            "guest" => {
                option.flag()?;
                self.logon = Logon::Guest;
            }
            "sec" => self.set_security(&option)?,
            "vers" => {
                let text = option.text()?;
                self.versions = Versions::parse(text).map_err(|e| option.bad(e.reason()))?;
            }
            "sign" => self.sign = option.flag()?,
            "uid" => self.uid = option.id()?,
            "gid" => self.gid = option.id()?,
            "forceuid" => self.force_uid = option.flag()?,
            "forcegid" => self.force_gid = option.flag()?,
            "noforceuid" => self.force_uid = !option.flag()?,
            "noforcegid" => self.force_gid = !option.flag()?,
            "file_mode" => self.file_mode = option.mode()?,
            "dir_mode" => self.dir_mode = option.mode()?,
            "soft" => self.soft = option.flag()?,
            "hard" => self.soft = !option.flag()?,
            "timeout" => self.timeout = option.number(1, 86_400, "seconds")?,
            "echo_interval" => self.echo_interval = option.number(1, 600, "seconds")?,
            "rsize" => self.rsize = option.size()?,
            "wsize" => self.wsize = option.size()?,
            "actimeo" => self.actimeo = option.number(0, 86_400, "seconds")?,
            "cache" => {
                self.cache = match option.text()? {
                    "strict" => Cache::Strict,
                    "none" => Cache::None,
                    "loose" => Cache::Loose,
                    _ => return Err(option.bad("it is strict, none or loose")),
                }
            }
            "ip" | "addr" => {
                let address = dns::literal(option.text()?);
                self.address = Some(address.ok_or_else(|| option.bad("no IP address"))?);
            }
            "port" => self.port = option.number(1, 65_535, "a TCP port")? as u16,
            "nodfs" => self.nodfs = option.flag()?,
            "failback" => self.failback = Failback::parse(&option)?,
            "failback_after" => self.failback_after = option.number(0, 86_400, "seconds")?,
            "stale_ttl" => self.stale_ttl = option.number(0, 31_536_000, "seconds")?,
            "site" => self.site = copy(option.word()?)?,
            "reopen" => {
                let rule = Rule::named(option.text()?);
                self.reopen =
                    Some(rule.ok_or_else(|| option.bad("it is strict, same-size or any"))?);
            }
            "nosharesock" => self.nosharesock = option.flag()?,
            "nolease" => self.nolease = option.flag()?,
            "nobrl" => self.nobrl = option.flag()?,
            "brl" => self.nobrl = !option.flag()?,
            "recover_lost_locks" => self.recover_lost_locks = option.flag()?,
            "norecover_lost_locks" => self.recover_lost_locks = !option.flag()?,
            _ => {
                return Err(match value::refusal(key) {
                    Some(why) => OptionError::new(fmt!("option '{key}' is not supported: {why}")),
                    None => OptionError::new(fmt!("unknown option '{key}'")),
                })
            }
        }
        Ok(Taken::Yes)
    }

    fn set_user(&mut self, option: &Given<'_>) -> Result<(), OptionError> {
        let (domain, name) =
            value::user(option.text()?).ok_or_else(|| option.bad("it is name or DOMAIN/name"))?;
        if let Some(domain) = domain {
            self.domain = copy(domain)?;
        }
        self.user = copy(name)?;
        Ok(())
    }

    fn set_security(&mut self, option: &Given<'_>) -> Result<(), OptionError> {
        match option.text()? {
            "ntlmssp" => {}
            "ntlmsspi" => self.sign = true,
            "none" => self.logon = Logon::Anonymous,
            "krb5" | "krb5i" | "krb5p" => return Err(option.bad("Kerberos comes later")),
            "ntlm" | "ntlmi" | "ntlmv2" | "ntlmv2i" | "lanman" => {
                return Err(option.bad("it is not for SMB2, use ntlmssp"))
            }
            _ => return Err(option.bad("it is ntlmssp, ntlmsspi or none")),
        }
        Ok(())
    }

    /// Whether what was given is enough, and fits together.
    pub(crate) fn check(&self) -> Result<(), OptionError> {
        if self.source.is_empty() {
            return Err(OptionError::new(fmt!("no device, it is //host/share")));
        }
        let user = self.logon == Logon::User;
        if user && self.user.is_empty() {
            return Err(OptionError::new(fmt!(
                "no user: option 'username', 'guest' or 'sec=none' is needed"
            )));
        }
        if user && self.password.is_none() {
            return Err(OptionError::new(fmt!("option 'password' is needed")));
        }
        if !user && self.sign {
            return Err(OptionError::new(fmt!(
                "option 'sign' needs a user: a guest has no key to sign with"
            )));
        }
        Ok(())
    }

    /// The device: `//host/share[/prefix]`, as it was given.
    pub(crate) fn source(&self) -> &str {
        text(&self.source)
    }

    /// Who logs on.
    pub(crate) fn credentials(&self) -> Credentials<'_> {
        match self.logon {
            Logon::User => Credentials::User {
                user: text(&self.user),
                domain: text(&self.domain),
                password: self.password.as_deref().map_or("", text),
            },
            Logon::Guest => Credentials::Guest,
            Logon::Anonymous => Credentials::Anonymous,
        }
    }

    /// The dialects to offer.
    pub(crate) fn versions(&self) -> Versions {
        self.versions
    }

    /// Whether messages must be signed.
    pub(crate) fn signing(&self) -> Signing {
        match self.sign {
            true => Signing::Required,
            false => Signing::IfRequired,
        }
    }

    /// The address of `host`, if it is the host of the device and one was given.
    pub(crate) fn address(&self, host: &str) -> Option<IpAddr> {
        let own = value::host(self.source()).eq_ignore_ascii_case(host);
        self.address.filter(|_| own)
    }

    /// The TCP port.
    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    /// Referrals are neither asked for nor followed.
    pub(crate) fn nodfs(&self) -> bool {
        self.nodfs
    }

    /// Locks are kept on this machine: no server is told.
    pub(crate) fn nobrl(&self) -> bool {
        self.nobrl
    }

    /// Who has lost a lock carries on without it.
    pub(crate) fn recover_lost_locks(&self) -> bool {
        self.recover_lost_locks
    }

    /// Whether to return to the preferred target, as the mount was told at first.
    pub(crate) fn failback(&self) -> Failback {
        self.failback
    }

    /// How long the preferred target must have been good, in milliseconds.
    pub(crate) fn failback_after_ms(&self) -> u64 {
        self.failback_after.saturating_mul(1000)
    }

    /// For how many seconds an expired referral may be used.
    pub(crate) fn stale_ttl(&self) -> u64 {
        self.stale_ttl
    }

    /// The site of this machine, for the order of targets.
    pub(crate) fn site(&self) -> Option<&str> {
        Some(text(&self.site)).filter(|site| !site.is_empty())
    }

    /// What a file must be like to be taken for one that was open; if not given, that depends on what is at stake.
    pub(crate) fn reopen(&self) -> Option<Rule> {
        self.reopen
    }

    /// After how many milliseconds without a server an operation fails; `None`: never.
    pub(crate) fn soft_ms(&self) -> Option<u64> {
        self.soft.then_some(self.timeout.saturating_mul(1000))
    }

    /// How long a server that acknowledges may be silent, in milliseconds.
    pub(crate) fn echo_interval_ms(&self) -> u64 {
        self.echo_interval.saturating_mul(1000)
    }

    /// The largest read, in bytes.
    pub(crate) fn rsize(&self) -> usize {
        self.rsize
    }

    /// The largest write, in bytes.
    pub(crate) fn wsize(&self) -> usize {
        self.wsize
    }

    /// How long attributes count as fresh, in milliseconds.
    pub(crate) fn attr_ms(&self) -> u64 {
        self.actimeo.saturating_mul(1000)
    }

    /// How much is kept in the page cache.
    pub(crate) fn cache(&self) -> Cache {
        self.cache
    }

    /// Who everything belongs to: user and group id.
    pub(crate) fn owner(&self) -> (u32, u32) {
        (self.uid, self.gid)
    }

    /// The permissions of files.
    pub(crate) fn file_mode(&self) -> u16 {
        self.file_mode
    }

    /// The permissions of directories.
    pub(crate) fn dir_mode(&self) -> u16 {
        self.dir_mode
    }

    /// Whether a session that was set up with these options may be used with `other`.
    pub(crate) fn same_identity(&self, other: &Self) -> bool {
        self.same_user(other)
            && self.versions == other.versions
            && self.sign == other.sign
            && self.address == other.address
            && (self.address.is_none() || *self.source == *other.source)
            && self.port == other.port
            && self.nodfs == other.nodfs
            && *self.site == *other.site
            && self.echo_interval == other.echo_interval
    }

    /// Whether both log on as the same user in the same way.
    pub(crate) fn same_user(&self, other: &Self) -> bool {
        self.logon == other.logon
            && *self.user == *other.user
            && self.domain.eq_ignore_ascii_case(&other.domain)
            && self.password.as_deref() == other.password.as_deref()
    }

    /// Whether both may use one connection: what differs on it is the same.
    pub(crate) fn same_wire(&self, other: &Self) -> bool {
        self.versions == other.versions
            && self.sign == other.sign
            && self.port == other.port
            && self.echo_interval == other.echo_interval
            && !self.nosharesock
            && !other.nosharesock
    }

    /// The user's name, for the views.
    pub(crate) fn user(&self) -> &str {
        match self.logon {
            Logon::User => text(&self.user),
            Logon::Guest => "guest",
            Logon::Anonymous => "anonymous",
        }
    }

    /// Whether leases are asked for.
    pub(crate) fn leases(&self) -> bool {
        !self.nolease
    }

    /// The user's domain.
    pub(crate) fn domain(&self) -> &str {
        text(&self.domain)
    }

    /// Shows the options as they could be given again, but for the password. `failback` is in force.
    pub(crate) fn show(&self, failback: Failback, out: &mut OptionWriter<'_>) {
        match self.logon {
            Logon::User => {
                out.value("username", text(&self.user));
                if !self.domain.is_empty() {
                    out.value("domain", text(&self.domain));
                }
                out.value("sec", "ntlmssp");
            }
            Logon::Guest => out.flag("guest"),
            Logon::Anonymous => out.value("sec", "none"),
        }
        if self.sign {
            out.flag("sign");
        }
        out.value("vers", self.versions.name());
        out.value("uid", self.uid);
        out.value("gid", self.gid);
        if self.force_uid {
            out.flag("forceuid");
        }
        if self.force_gid {
            out.flag("forcegid");
        }
        out.value("file_mode", format_args!("{:04o}", self.file_mode));
        out.value("dir_mode", format_args!("{:04o}", self.dir_mode));
        out.flag(if self.soft { "soft" } else { "hard" });
        if self.soft {
            out.value("timeout", self.timeout);
        }
        out.value("echo_interval", self.echo_interval);
        out.value("rsize", self.rsize);
        out.value("wsize", self.wsize);
        out.value("actimeo", self.actimeo);
        let cache = match self.cache {
            Cache::Strict => "strict",
            Cache::None => "none",
            Cache::Loose => "loose",
        };
        out.value("cache", cache);
        if let Some(address) = self.address {
            out.value("ip", address);
        }
        if self.port != 445 {
            out.value("port", self.port);
        }
        if self.nodfs {
            out.flag("nodfs");
        }
        if self.nolease {
            out.flag("nolease");
        }
        if self.nosharesock {
            out.flag("nosharesock");
        }
        if self.nobrl {
            out.flag("nobrl");
        }
        if self.recover_lost_locks {
            out.flag("recover_lost_locks");
        }
        if !self.nodfs {
            out.value("failback", failback.name());
            out.value("failback_after", self.failback_after);
        }
        if self.stale_ttl != STALE_TTL {
            out.value("stale_ttl", self.stale_ttl);
        }
        if !self.site.is_empty() {
            out.value("site", text(&self.site));
        }
        if let Some(rule) = self.reopen {
            out.value("reopen", rule.name());
        }
    }
}

impl Failback {
    fn parse(option: &Given<'_>) -> Result<Self, OptionError> {
        let bad = || option.bad("it is auto, always, idle or never");
        Self::named(option.text()?).ok_or_else(bad)
    }

    /// What this word stands for.
    pub(crate) fn named(word: &str) -> Option<Self> {
        Some(match word {
            "auto" => Failback::Auto,
            "always" => Failback::Always,
            "idle" => Failback::Idle,
            "never" => Failback::Never,
            _ => return None,
        })
    }

    /// The word for it.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Failback::Auto => "auto",
            Failback::Always => "always",
            Failback::Idle => "idle",
            Failback::Never => "never",
        }
    }
}

fn copy(text: &str) -> Result<KVec<u8>, OptionError> {
    let mut bytes = KVec::with_capacity(text.len(), GFP_KERNEL)?;
    bytes.extend_from_slice(text.as_bytes(), GFP_KERNEL)?;
    Ok(bytes)
}

/// Text kept as bytes; it came from a `str`.
fn text(bytes: &[u8]) -> &str {
    str::from_utf8(bytes).unwrap_or_default()
}
