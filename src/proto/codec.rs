// SPDX-License-Identifier: GPL-2.0
//! Cursors over wire bytes: a [`Reader`] that can only shrink and a [`Writer`] that cannot overrun.
//!
//! All integers are little-endian, as everywhere in SMB (MS-SMB2 2.2). Neither cursor indexes: a
//! read or write past the end is an error value, never a panic.

/// The bytes are not what the specification allows at this place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Malformed;

/// The caller's buffer is too small for the message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NoSpace;

/// Reads little-endian values from the front of a byte slice.
#[derive(Clone, Copy, Debug)]
pub struct Reader<'a> {
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    /// Starts at the first byte of `bytes`.
    pub const fn new(bytes: &'a [u8]) -> Self {
        Self { rest: bytes }
    }

    /// The number of bytes not yet read.
    pub const fn len(&self) -> usize {
        self.rest.len()
    }

    /// Whether everything has been read.
    pub const fn is_empty(&self) -> bool {
        self.rest.is_empty()
    }

    /// All bytes not yet read, without consuming them.
    pub const fn rest(&self) -> &'a [u8] {
        self.rest
    }

    /// The next `n` bytes.
    pub fn take(&mut self, n: usize) -> Result<&'a [u8], Malformed> {
        let (head, tail) = self.rest.split_at_checked(n).ok_or(Malformed)?;
        self.rest = tail;
        Ok(head)
    }

    /// The next `N` bytes as an array.
    pub fn array<const N: usize>(&mut self) -> Result<[u8; N], Malformed> {
        let (head, tail) = self.rest.split_first_chunk::<N>().ok_or(Malformed)?;
        self.rest = tail;
        Ok(*head)
    }

    /// Passes over `n` bytes.
    pub fn skip(&mut self, n: usize) -> Result<(), Malformed> {
        self.take(n).map(|_| ())
    }

    /// A reader bounded to the next `n` bytes.
    pub fn sub(&mut self, n: usize) -> Result<Reader<'a>, Malformed> {
        self.take(n).map(Reader::new)
    }

    /// The next byte.
    pub fn u8(&mut self) -> Result<u8, Malformed> {
        self.array().map(u8::from_le_bytes)
    }

    /// The next two bytes.
    pub fn u16(&mut self) -> Result<u16, Malformed> {
        self.array().map(u16::from_le_bytes)
    }

    /// The next four bytes.
    pub fn u32(&mut self) -> Result<u32, Malformed> {
        self.array().map(u32::from_le_bytes)
    }

    /// The next eight bytes.
    pub fn u64(&mut self) -> Result<u64, Malformed> {
        self.array().map(u64::from_le_bytes)
    }
}

/// The `len` bytes at `offset` of `bytes`, checked.
///
/// Offsets in SMB2 count from the start of the SMB2 header, in DFS referrals from the start of the
/// entry; the caller passes the slice that starts there.
pub fn window(bytes: &[u8], offset: usize, len: usize) -> Result<&[u8], Malformed> {
    let end = offset.checked_add(len).ok_or(Malformed)?;
    bytes.get(offset..end).ok_or(Malformed)
}

/// Widens a wire length; every target rsdfs builds for has at least 32-bit pointers.
pub fn size(n: u32) -> usize {
    usize::try_from(n).unwrap_or(usize::MAX)
}

/// Writes little-endian values to the front of a byte slice.
#[derive(Debug)]
pub struct Writer<'a> {
    rest: &'a mut [u8],
    written: usize,
}

impl<'a> Writer<'a> {
    /// Starts at the first byte of `buffer`.
    pub fn new(buffer: &'a mut [u8]) -> Self {
        Self {
            rest: buffer,
            written: 0,
        }
    }

    /// The number of bytes written so far.
    pub const fn written(&self) -> usize {
        self.written
    }

    /// The number of bytes that still fit.
    pub const fn room(&self) -> usize {
        self.rest.len()
    }

    /// Appends `bytes`.
    pub fn put(&mut self, bytes: &[u8]) -> Result<(), NoSpace> {
        self.hole(bytes.len())?.copy_from_slice(bytes);
        Ok(())
    }

    /// Appends `n` zero bytes.
    pub fn zeros(&mut self, n: usize) -> Result<(), NoSpace> {
        self.hole(n)?.fill(0);
        Ok(())
    }

    /// Reserves the next `n` bytes and hands them out to be filled by the caller.
    pub fn hole(&mut self, n: usize) -> Result<&'a mut [u8], NoSpace> {
        let rest = core::mem::take(&mut self.rest);
        match rest.split_at_mut_checked(n) {
            Some((head, tail)) => {
                self.rest = tail;
                self.written = self.written.saturating_add(n);
                Ok(head)
            }
            None => Err(NoSpace),
        }
    }

    /// As [`Writer::hole`], of a number of bytes that is known beforehand.
    pub fn array<const N: usize>(&mut self) -> Result<&'a mut [u8; N], NoSpace> {
        self.hole(N)?.first_chunk_mut().ok_or(NoSpace)
    }

    /// Appends zeros until the number of written bytes is a multiple of `align`.
    pub fn pad(&mut self, align: usize) -> Result<(), NoSpace> {
        let over = self.written.checked_rem(align).unwrap_or(0);
        if over == 0 {
            return Ok(());
        }
        self.zeros(align.saturating_sub(over))
    }

    /// Appends one byte.
    pub fn u8(&mut self, v: u8) -> Result<(), NoSpace> {
        self.put(&[v])
    }

    /// Appends two bytes.
    pub fn u16(&mut self, v: u16) -> Result<(), NoSpace> {
        self.put(&v.to_le_bytes())
    }

    /// Appends four bytes.
    pub fn u32(&mut self, v: u32) -> Result<(), NoSpace> {
        self.put(&v.to_le_bytes())
    }

    /// Appends eight bytes.
    pub fn u64(&mut self, v: u64) -> Result<(), NoSpace> {
        self.put(&v.to_le_bytes())
    }
}
