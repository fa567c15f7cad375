// SPDX-License-Identifier: GPL-2.0
//! `/etc/resolv.conf` and `/etc/hosts`: what resolver(5) and hosts(5) say, as far as it is used.
//!
//! Both are kept as the text they are, and read when something is looked for. What cannot be
//! understood is passed over, as user space does.

use core::net::{IpAddr, Ipv4Addr};

/// At most so many name servers are asked.
pub const SERVERS: usize = 3;

/// At most so many domains are searched.
const SEARCHED: usize = 6;

/// The text of `/etc/resolv.conf`.
#[derive(Clone, Copy, Debug)]
pub struct ResolvConf<'a>(pub &'a str);

impl<'a> ResolvConf<'a> {
    /// The name servers, in order; this machine's own if none is named.
    pub fn servers(&self) -> impl Iterator<Item = IpAddr> + 'a {
        let named = self.values("nameserver").filter_map(|value| {
            let word = value.split_whitespace().next()?;
            word.parse::<IpAddr>().ok()
        });
        let own = match named.clone().next() {
            Some(_) => None,
            None => Some(IpAddr::V4(Ipv4Addr::LOCALHOST)),
        };
        named.chain(own).take(SERVERS)
    }

    /// What `host` may mean, in order: the name, and a domain to be put after it, if any.
    pub fn candidates<'n>(
        &self,
        host: &'n str,
    ) -> impl Iterator<Item = (&'n str, Option<&'a str>)> + 'a
    where
        'n: 'a,
    {
        let (name, full) = match host.strip_suffix('.') {
            Some(name) => (name, true),
            None => (host, false),
        };
        // As many dots as there are parts but the first.
        let few = name
            .split(['.'])
            .skip(1)
            .nth(self.ndots().saturating_sub(1))
            .is_none();
        let first = full || self.ndots() == 0 || !few;
        let searched = self.search().take(if full { 0 } else { SEARCHED });
        let as_is = |yes: bool| yes.then_some((name, None)).into_iter();
        as_is(first)
            .chain(searched.map(move |domain| (name, Some(domain))))
            .chain(as_is(!first))
    }

    /// The domains that are searched: of `search` and `domain` the last.
    fn search(&self) -> impl Iterator<Item = &'a str> + 'a {
        let last = self
            .lines()
            .filter(|(key, _)| matches!(*key, "search" | "domain"))
            .last();
        let (key, value) = last.unwrap_or_default();
        let most = if key == "domain" { 1 } else { SEARCHED };
        value
            .split_whitespace()
            .map(|domain| domain.strip_suffix('.').unwrap_or(domain))
            .filter(|domain| !domain.is_empty())
            .take(most)
    }

    /// A name with fewer dots is searched for in the domains first.
    fn ndots(&self) -> usize {
        self.values("options")
            .flat_map(str::split_whitespace)
            .filter_map(|option| option.strip_prefix("ndots:")?.parse().ok())
            .last()
            .unwrap_or(1)
            .min(15)
    }

    fn values(&self, key: &'static str) -> impl Iterator<Item = &'a str> + Clone + 'a {
        self.lines()
            .filter(move |(word, _)| *word == key)
            .map(|(_, value)| value)
    }

    /// Keyword and value of each line.
    fn lines(&self) -> impl Iterator<Item = (&'a str, &'a str)> + Clone + 'a {
        lines(self.0)
            .filter(|line| !line.starts_with(['#', ';']))
            .filter_map(|line| line.split_once(char::is_whitespace))
    }
}

/// The text of `/etc/hosts`.
#[derive(Clone, Copy, Debug)]
pub struct Hosts<'a>(pub &'a str);

impl<'a> Hosts<'a> {
    /// The addresses of `host`, in order.
    pub fn addresses<'n>(&self, host: &'n str) -> impl Iterator<Item = IpAddr> + 'a
    where
        'n: 'a,
    {
        let host = host.strip_suffix('.').unwrap_or(host);
        lines(self.0).filter_map(move |line| {
            let text = line.split(['#']).next()?;
            let (address, names) = text.trim_start().split_once(char::is_whitespace)?;
            let mut names = names.split_whitespace();
            let named = names.any(|name| name.eq_ignore_ascii_case(host));
            named.then(|| address.parse().ok()).flatten()
        })
    }
}

fn lines(text: &str) -> impl Iterator<Item = &str> + Clone {
    text.split(['\n', '\r'])
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::format;
    use std::string::String;
    use std::vec::Vec;

    fn names(conf: &str, host: &str) -> Vec<String> {
        let full = |(name, domain): (&str, Option<&str>)| match domain {
            Some(domain) => format!("{name}.{domain}"),
            None => String::from(name),
        };
        ResolvConf(conf).candidates(host).map(full).collect()
    }

    #[test]
    fn servers() {
        let servers = |text| -> Vec<_> {
            let servers = ResolvConf(text).servers();
            servers.map(|ip| format!("{ip}")).collect()
        };
        assert_eq!(servers(""), ["127.0.0.1"]);
        assert_eq!(
            servers("#nameserver 10.0.0.9\nnameserver\t10.0.0.1 # one\n;\n nameserver 10.0.0.8"),
            ["10.0.0.1"]
        );
        assert_eq!(
            servers("nameserver ::1\nnameserver nonsense\nnameserver 10.0.0.2\nnameserver 10.0.0.3\nnameserver 10.0.0.4\n"),
            ["::1", "10.0.0.2", "10.0.0.3"]
        );
    }

    #[test]
    fn search() {
        let conf = "domain old.test\nsearch eco.test. far.test\noptions rotate ndots:2\n";
        assert_eq!(names(conf, "a"), ["a.eco.test", "a.far.test", "a"]);
        assert_eq!(names(conf, "a.b"), ["a.b.eco.test", "a.b.far.test", "a.b"]);
        assert_eq!(
            names(conf, "a.b.c"),
            ["a.b.c", "a.b.c.eco.test", "a.b.c.far.test"]
        );
        assert_eq!(names(conf, "a.b."), ["a.b"]);
        assert_eq!(
            names("search one.test\ndomain two.test three.test", "a"),
            ["a.two.test", "a"]
        );
        assert_eq!(names("", "a"), ["a"]);
    }

    #[test]
    fn hosts() {
        let text = "127.0.0.1\tlocalhost\n10.0.0.1 root Root.eco.test # target1\n bad target1\n::5 target1 root\n";
        let find = |host| -> Vec<_> {
            Hosts(text)
                .addresses(host)
                .map(|ip| format!("{ip}"))
                .collect()
        };
        assert_eq!(find("ROOT"), ["10.0.0.1", "::5"]);
        assert_eq!(find("root.eco.test."), ["10.0.0.1"]);
        assert_eq!(find("target1"), ["::5"]);
        assert_eq!(find("10.0.0.1"), Vec::<String>::new());
    }
}
