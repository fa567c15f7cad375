// SPDX-License-Identifier: GPL-2.0
//! The referral cache as text, to be kept over a reboot: writing and reading it line by line.
//!
//! ```text
//! rsdfs-dfscache 1
//! # a comment
//! entry path=//root/dfstest/link1 kind=link flags=0x2 ttl=600 account=DOM/joe
//! target set=0 path=//target1/share1
//! target set=0 path=//target2/share1
//! end entries=1 sum=89f1c2b3a4d5e6f7
//! ```
//!
//! Fields are separated by one blank and stand in this order; texts are escaped ([`super::escape`]).
//! The sum is over all bytes before the last line; whoever writes such a text by hand leaves it out.
//! What the lines say is in Documentation/inspect.md.

use core::fmt::{self, Write};

use super::escape::{unescape, BadEscape};
use super::MAX_TARGETS;

/// The first line.
pub const MAGIC: &str = "rsdfs-dfscache 1";

/// The flags of a referral header that are kept.
pub const FLAGS: u32 = 0x7;

/// Longest line in bytes.
pub const MAX_LINE: usize = 20_000;

/// Why a text is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Bad {
    /// The first line is not [`MAGIC`].
    Magic,
    /// A line is no UTF-8.
    Utf8,
    /// A line is longer than [`MAX_LINE`].
    TooLong,
    /// A line begins with an unknown word.
    Word,
    /// A line lacks this field where it is expected.
    Field(&'static str),
    /// A line goes on after its last field.
    More,
    /// The value of this field is not what it may be.
    Value(&'static str),
    /// An escape in this field is not three octal digits, or what it spells is no UTF-8 or too long.
    Escape(&'static str),
    /// A target before any entry.
    NoEntry,
    /// An entry without targets.
    NoTarget,
    /// An entry has more than [`MAX_TARGETS`] targets.
    Targets,
    /// Target sets do not begin at 0 or do not follow one another.
    Sets,
    /// The last line counts other entries than there are.
    Count,
    /// The text was changed after it was written.
    Sum,
    /// There is something after the last line.
    AfterEnd,
    /// The text ends before its last line.
    NoEnd,
}

impl fmt::Display for Bad {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Magic => "the first line is not 'rsdfs-dfscache 1'",
            Self::Utf8 => "not UTF-8",
            Self::TooLong => "the line is too long",
            Self::Word => "the line is none of entry, target, end and comments",
            Self::Field(name) => return write!(f, "{name}= is expected here"),
            Self::More => "there is more than the line should have",
            Self::Value(name) => return write!(f, "bad value of {name}="),
            Self::Escape(name) => return write!(f, "bad escape in {name}="),
            Self::NoEntry => "a target before any entry",
            Self::NoTarget => "the entry before has no targets",
            Self::Targets => "too many targets",
            Self::Sets => "target sets begin at 0 and are not skipped",
            Self::Count => "the number of entries is another",
            Self::Sum => "the sum is wrong: the text was changed",
            Self::AfterEnd => "there is something after the end line",
            Self::NoEnd => "the end line is missing",
        })
    }
}

/// FNV-1a over what was written or read.
#[derive(Clone, Copy, Debug)]
struct Sum(u64);

impl Sum {
    const NEW: Self = Self(0xcbf2_9ce4_8422_2325);

    fn add(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 = (self.0 ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3);
        }
    }
}

/// Writes a text: what is written to it goes on to `W`, and counts for the sum.
#[derive(Debug)]
pub struct Export<W> {
    out: W,
    sum: Sum,
    entries: usize,
}

impl<W: Write> Export<W> {
    /// Begins with the first line.
    pub fn new(out: W) -> Result<Self, fmt::Error> {
        let mut export = Self {
            out,
            sum: Sum::NEW,
            entries: 0,
        };
        writeln!(export, "{MAGIC}")?;
        Ok(export)
    }

    /// Writes the line of an entry; its targets are to follow.
    pub fn entry<P, A>(&mut self, entry: &Entry<P, A>) -> fmt::Result
    where
        P: fmt::Display,
        A: fmt::Display,
    {
        self.entries = self.entries.saturating_add(1);
        let kind = if entry.root { "root" } else { "link" };
        let (flags, ttl) = (entry.flags & FLAGS, entry.ttl);
        let (path, account) = (&entry.path, &entry.account);
        writeln!(
            self,
            "entry path={path} kind={kind} flags={flags:#x} ttl={ttl} account={account}"
        )
    }

    /// Writes the line of a target.
    pub fn target(&mut self, set: u16, path: impl fmt::Display) -> fmt::Result {
        writeln!(self, "target set={set} path={path}")
    }

    /// Writes the last line.
    pub fn end(mut self) -> fmt::Result {
        let (entries, sum) = (self.entries, self.sum.0);
        writeln!(self, "end entries={entries} sum={sum:016x}")
    }
}

impl<W: Write> Write for Export<W> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        self.sum.add(text.as_bytes());
        self.out.write_str(text)
    }
}

/// What the line of an entry says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Entry<P, A> {
    /// What it is about, in device form, escaped.
    pub path: P,
    /// A root, or else a link.
    pub root: bool,
    /// The header flags of the referral (MS-DFSC 2.2.4).
    pub flags: u32,
    /// Time to live in seconds.
    pub ttl: u32,
    /// Whom it is for, escaped.
    pub account: A,
}

/// A text as it stands in a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Text<'a> {
    name: &'static str,
    text: &'a str,
}

impl Text<'_> {
    /// Reads it into `buffer`.
    pub fn read<'b>(&self, buffer: &'b mut [u8]) -> Result<&'b str, Bad> {
        unescape(self.text, buffer).map_err(|why| match why {
            BadEscape::TooLong => Bad::Value(self.name),
            _ => Bad::Escape(self.name),
        })
    }
}

/// What a line says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Item<'a> {
    /// Nothing that concerns the caller.
    Nothing,
    /// An entry begins.
    Entry(Entry<Text<'a>, Text<'a>>),
    /// A target of the entry that began last.
    Target {
        /// Its target set.
        set: u16,
        /// Whether it is the first of it.
        starts_set: bool,
        /// Its path in device form.
        path: Text<'a>,
    },
    /// The text is complete: from here on everything that was read counts.
    End,
}

/// How far reading has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    Start,
    /// Before the first entry.
    Open,
    /// In an entry with so many targets, the last of which is in this set.
    Entry(usize, u16),
    End,
}

/// Reads a text.
#[derive(Clone, Copy, Debug)]
pub struct Import {
    stage: Stage,
    sum: Sum,
    entries: u64,
}

impl Default for Import {
    fn default() -> Self {
        Self::new()
    }
}

impl Import {
    /// Expects the first line.
    pub const fn new() -> Self {
        Self {
            stage: Stage::Start,
            sum: Sum::NEW,
            entries: 0,
        }
    }

    /// Reads the next line, which is given without its end.
    pub fn line<'a>(&mut self, line: &'a [u8]) -> Result<Item<'a>, Bad> {
        let before = self.sum;
        self.sum.add(line);
        self.sum.add(b"\n");
        if line.len() > MAX_LINE {
            return Err(Bad::TooLong);
        }
        let text = core::str::from_utf8(line).map_err(|_| Bad::Utf8)?;
        match self.stage {
            Stage::Start if text == MAGIC => {
                self.stage = Stage::Open;
                return Ok(Item::Nothing);
            }
            Stage::Start => return Err(Bad::Magic),
            Stage::End => return Err(Bad::AfterEnd),
            _ if text.is_empty() || text.starts_with('#') => return Ok(Item::Nothing),
            _ => {}
        }
        let (word, rest) = text.split_once(' ').unwrap_or((text, ""));
        let fields = Fields { rest: Some(rest) };
        match word {
            "entry" => self.entry(fields),
            "target" => self.target(fields),
            "end" => self.end(fields, before),
            _ => Err(Bad::Word),
        }
    }

    /// To be called when there are no more lines.
    pub fn finish(&self) -> Result<(), Bad> {
        match self.stage {
            Stage::End => Ok(()),
            Stage::Start => Err(Bad::Magic),
            _ => Err(Bad::NoEnd),
        }
    }

    fn entry<'a>(&mut self, mut fields: Fields<'a>) -> Result<Item<'a>, Bad> {
        if matches!(self.stage, Stage::Entry(0, _)) {
            return Err(Bad::NoTarget);
        }
        let path = fields.text("path")?;
        let root = match fields.value("kind")? {
            "root" => true,
            "link" => false,
            _ => return Err(Bad::Value("kind")),
        };
        let flags = fields.value("flags")?;
        let digits = flags.strip_prefix("0x").unwrap_or_default();
        let flags = number(digits, 16).filter(|flags| flags & !u64::from(FLAGS) == 0);
        let flags = flags.ok_or(Bad::Value("flags"))?;
        let ttl = number(fields.value("ttl")?, 10).ok_or(Bad::Value("ttl"))?;
        let account = fields.text("account")?;
        fields.end()?;
        self.stage = Stage::Entry(0, 0);
        self.entries = self.entries.saturating_add(1);
        Ok(Item::Entry(Entry {
            path,
            root,
            flags: u32::try_from(flags).map_err(|_| Bad::Value("flags"))?,
            ttl: u32::try_from(ttl).map_err(|_| Bad::Value("ttl"))?,
            account,
        }))
    }

    fn target<'a>(&mut self, mut fields: Fields<'a>) -> Result<Item<'a>, Bad> {
        let Stage::Entry(count, last) = self.stage else {
            return Err(Bad::NoEntry);
        };
        let set = number(fields.value("set")?, 10).ok_or(Bad::Value("set"))?;
        let set = u16::try_from(set).map_err(|_| Bad::Value("set"))?;
        let path = fields.text("path")?;
        fields.end()?;
        let is_next = set == last.saturating_add(1) && count > 0;
        if set != last && !is_next {
            return Err(Bad::Sets);
        }
        if count >= MAX_TARGETS {
            return Err(Bad::Targets);
        }
        self.stage = Stage::Entry(count.saturating_add(1), set);
        Ok(Item::Target {
            set,
            starts_set: is_next || count == 0,
            path,
        })
    }

    fn end<'a>(&mut self, mut fields: Fields<'a>, sum: Sum) -> Result<Item<'a>, Bad> {
        if matches!(self.stage, Stage::Entry(0, _)) {
            return Err(Bad::NoTarget);
        }
        let entries = number(fields.value("entries")?, 10).ok_or(Bad::Value("entries"))?;
        if entries != self.entries {
            return Err(Bad::Count);
        }
        if fields.rest.is_some() {
            let text = fields.value("sum")?;
            let given = number(text, 16).filter(|_| text.len() == 16);
            if given.ok_or(Bad::Value("sum"))? != sum.0 {
                return Err(Bad::Sum);
            }
        }
        fields.end()?;
        self.stage = Stage::End;
        Ok(Item::End)
    }
}

/// The fields of a line.
struct Fields<'a> {
    rest: Option<&'a str>,
}

impl<'a> Fields<'a> {
    fn value(&mut self, name: &'static str) -> Result<&'a str, Bad> {
        let rest = self.rest.ok_or(Bad::Field(name))?;
        let (field, rest) = match rest.split_once(' ') {
            Some((field, rest)) => (field, Some(rest)),
            None => (rest, None),
        };
        let value = field.strip_prefix(name).and_then(|v| v.strip_prefix('='));
        self.rest = rest;
        value.ok_or(Bad::Field(name))
    }

    fn text(&mut self, name: &'static str) -> Result<Text<'a>, Bad> {
        let text = self.value(name)?;
        if text.is_empty() {
            return Err(Bad::Value(name));
        }
        Ok(Text { name, text })
    }

    fn end(&self) -> Result<(), Bad> {
        self.rest.map_or(Ok(()), |_| Err(Bad::More))
    }
}

/// A number of digits only, without a sign; lower case.
fn number(digits: &str, radix: u32) -> Option<u64> {
    let good = |c: char| c.is_ascii_digit() || (radix == 16 && matches!(c, 'a'..='f'));
    let is_number = !digits.is_empty() && digits.chars().all(good);
    u64::from_str_radix(digits, radix)
        .ok()
        .filter(|_| is_number)
}
