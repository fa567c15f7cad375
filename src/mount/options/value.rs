// SPDX-License-Identifier: GPL-2.0

//! The values of mount options: plain functions over text, without the kernel.

/// A number in a range; the range is what the message says.
pub(crate) fn number(text: &str, min: u64, max: u64) -> Option<u64> {
    let digits = !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    let value = text.parse().ok().filter(|_| digits)?;
    (min..=max).contains(&value).then_some(value)
}

/// Permission bits: octal, with or without a leading 0.
pub(crate) fn mode(text: &str) -> Option<u16> {
    let digits = !text.is_empty() && text.bytes().all(|b| (b'0'..=b'7').contains(&b));
    let value = u16::from_str_radix(text, 8).ok().filter(|_| digits)?;
    (value <= 0o7777).then_some(value)
}

/// A user as `name`, `DOMAIN/name` or `DOMAIN\name`: the domain, if there is one, and the name.
pub(crate) fn user(text: &str) -> Option<(Option<&str>, &str)> {
    let (domain, name) = match text.split_once(['/', '\\']) {
        Some((domain, name)) => (Some(domain), name),
        None => (None, text),
    };
    let good = |part: &str| word(part, 256) && !part.contains(['/', '\\']);
    (good(name) && domain.is_none_or(good)).then_some((domain, name))
}

/// Text that is not empty, not longer than `max` bytes, and has no control characters.
pub(crate) fn word(text: &str, max: usize) -> bool {
    !text.is_empty() && text.len() <= max && !text.chars().any(char::is_control)
}

/// What is wrong with the device, if anything: it is `//host/share[/prefix]`, and backslashes and
/// slashes mean the same.
pub(crate) fn source(text: &str) -> Result<(), &'static str> {
    let slash = |c: char| matches!(c, '/' | '\\');
    let mut chars = text.chars();
    if !(chars.next().is_some_and(slash) && chars.next().is_some_and(slash)) {
        return Err("the device must be //host/share");
    }
    if text.len() > 2048 {
        return Err("the device is too long");
    }
    if text.chars().any(char::is_control) {
        return Err("the device has control characters in it");
    }
    let mut parts = chars.as_str().trim_end_matches(slash).split(slash);
    if parts.next().is_none_or(str::is_empty) {
        return Err("the device names no host");
    }
    if parts.next().is_none_or(str::is_empty) {
        return Err("the device names no share");
    }
    if parts.any(|part| matches!(part, "" | "." | "..")) {
        return Err("the device has an empty part, \".\" or \"..\" in it");
    }
    Ok(())
}

/// The host of a device that [`source`] found good.
pub(crate) fn host(device: &str) -> &str {
    let slash = |c: char| matches!(c, '/' | '\\');
    device
        .trim_start_matches(slash)
        .split(slash)
        .next()
        .unwrap_or_default()
}

/// Why an option that other clients have is not taken; `None` if it is just unknown.
pub(crate) fn refusal(key: &str) -> Option<&'static str> {
    Some(match key {
        "seal" => "encryption comes later",
        "multichannel" | "max_channels" => "several connections to a server come later",
        "multiuser" | "cruid" => "several users of one mount come later",
        "posix" | "unix" | "linux" => "Unix extensions come later",
        "witness" => "the witness service comes later",
        "credentials" | "cred" => "there is no mount helper that reads it; use username, password",
        "sfu" | "mfsymlinks" | "cifsacl" | "modefromsid" => "it comes later",
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers() {
        assert_eq!(number("0", 0, 9), Some(0));
        assert_eq!(number("600", 1, 600), Some(600));
        for bad in [
            "",
            "+1",
            "-1",
            " 1",
            "1 ",
            "1s",
            "0x1",
            "601",
            "99999999999999999999999",
        ] {
            assert_eq!(number(bad, 1, 600), None, "{bad:?}");
        }
    }

    #[test]
    fn modes() {
        assert_eq!(mode("755"), Some(0o755));
        assert_eq!(mode("0644"), Some(0o644));
        assert_eq!(mode("7777"), Some(0o7777));
        for bad in ["", "8", "rw", "0o7", "10000", "-1"] {
            assert_eq!(mode(bad), None, "{bad:?}");
        }
    }

    #[test]
    fn users() {
        assert_eq!(user("joe"), Some((None, "joe")));
        assert_eq!(user("joe@realm"), Some((None, "joe@realm")));
        assert_eq!(user("DOM/joe"), Some((Some("DOM"), "joe")));
        assert_eq!(user("DOM\\joe"), Some((Some("DOM"), "joe")));
        for bad in ["", "/", "DOM/", "/joe", "a/b/c", "a\nb"] {
            assert_eq!(user(bad), None, "{bad:?}");
        }
    }

    #[test]
    fn sources() {
        for good in [
            "//h/s",
            "\\\\h\\s",
            "//h/s/",
            "//h/s/a/b c",
            "//[::1]/s",
            "//h/s//",
        ] {
            assert_eq!(source(good), Ok(()), "{good:?}");
        }
        for bad in [
            "",
            "/",
            "//",
            "///",
            "h/s",
            "//h",
            "//h/",
            "///s",
            "//h//a",
            "//h/s/../x",
            "//h/s/./x",
            "//h/s//x",
            "//h/s\n",
        ] {
            assert!(source(bad).is_err(), "{bad:?}");
        }
        assert_eq!(host("//h.example/s/x"), "h.example");
        assert_eq!(host("\\\\h\\s"), "h");
    }
}
