// SPDX-License-Identifier: GPL-2.0
//! Names in DNS messages (RFC 1035 section 4.1.4).

use crate::codec::{Malformed, NoSpace, Reader, Writer};

/// The most bytes of a name on the wire, its end included.
const MAX_LEN: usize = 255;

/// A name in a message, which may go on elsewhere in it. Checked: its labels are there, and not more
/// than a name may have. Names are equal regardless of case.
#[derive(Clone, Copy, Debug)]
pub struct Name<'m> {
    message: &'m [u8],
    start: &'m [u8],
}

impl<'m> Name<'m> {
    /// The name that is next in a message.
    pub(super) fn read(message: &'m [u8], r: &mut Reader<'m>) -> Result<Self, Malformed> {
        let name = Self::of(message, r.rest())?;
        loop {
            match r.u8()? {
                0 => return Ok(name),
                pointer if pointer >= 0xc0 => return r.skip(1).map(|()| name),
                len => r.skip(usize::from(len))?,
            }
        }
    }

    /// The name that `start`, a part of the message, begins with.
    pub(super) fn of(message: &'m [u8], start: &'m [u8]) -> Result<Self, Malformed> {
        let name = Self { message, start };
        let mut total = 1usize;
        for label in name.labels() {
            total = total.saturating_add(label?.len()).saturating_add(1);
            if total > MAX_LEN {
                return Err(Malformed);
            }
        }
        Ok(name)
    }

    /// Whether it has no labels.
    pub fn is_root(&self) -> bool {
        self.labels().next().is_none()
    }

    /// Whether it consists of these labels.
    pub(super) fn is<'a>(&self, mut labels: impl Iterator<Item = &'a [u8]>) -> bool {
        let mut own = self.labels().map_while(Result::ok);
        loop {
            match (own.next(), labels.next()) {
                (None, None) => return true,
                (Some(a), Some(b)) if a.eq_ignore_ascii_case(b) => {}
                _ => return false,
            }
        }
    }

    /// Writes it as text, without a dot at its end. A host's name has letters, digits, `-` and `_`:
    /// for any other this fails.
    pub fn text(&self, w: &mut Writer<'_>) -> Result<(), NoSpace> {
        for (i, label) in self.labels().map_while(Result::ok).enumerate() {
            let plain = |b: &u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_');
            if !label.iter().all(plain) {
                return Err(NoSpace);
            }
            if i > 0 {
                w.u8(b'.')?;
            }
            w.put(label)?;
        }
        Ok(())
    }

    fn labels(&self) -> Labels<'m> {
        Labels {
            message: self.message,
            rest: Reader::new(self.start),
            limit: self.message.len(),
            left: MAX_LEN,
        }
    }
}

impl PartialEq for Name<'_> {
    fn eq(&self, other: &Self) -> bool {
        self.is(other.labels().map_while(Result::ok))
    }
}

impl Eq for Name<'_> {}

/// The labels of a name; ends after the first that is malformed.
#[derive(Clone, Debug)]
struct Labels<'m> {
    message: &'m [u8],
    rest: Reader<'m>,
    /// A name may go on only before the place where it went on last, so that it ends.
    limit: usize,
    left: usize,
}

impl<'m> Labels<'m> {
    fn step(&mut self) -> Result<Option<&'m [u8]>, Malformed> {
        loop {
            match self.rest.u8()? {
                0 => return Ok(None),
                len if len < 0x40 => return self.rest.take(usize::from(len)).map(Some),
                high if high >= 0xc0 => {
                    let low = self.rest.u8()?;
                    let to = usize::from(u16::from_be_bytes([high & 0x3f, low]));
                    if to >= self.limit {
                        return Err(Malformed);
                    }
                    self.limit = to;
                    self.rest = Reader::new(self.message.get(to..).ok_or(Malformed)?);
                }
                _ => return Err(Malformed),
            }
        }
    }
}

impl<'m> Iterator for Labels<'m> {
    type Item = Result<&'m [u8], Malformed>;

    fn next(&mut self) -> Option<Self::Item> {
        self.left = self.left.checked_sub(1)?;
        let label = self.step();
        if !matches!(label, Ok(Some(_))) {
            self.left = 0;
        }
        label.transpose()
    }
}
