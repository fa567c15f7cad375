// SPDX-License-Identifier: GPL-2.0
//! What a client holds of a lease (MS-SMB2 3.2.5.7.5, 3.2.5.19.2).
//!
//! A lease changes by answers to CREATE, which give, and by notifications, which take. In 3.x each change
//! counts the epoch up, so that one that is heard of late, after one that came after it, is recognised: a
//! notification may be heard of before the answer to the CREATE that got the lease.
//!
//! A lease of the first version (2.1) has no epoch, so nothing is ever held of it: it is good for having a
//! file kept open by its server. What is taken of it still says that others want the file.

use crate::smb2::context::{lease_state, Lease};

/// A lease as it is held.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Holding {
    state: u32,
    /// Of the last change; `None` before the first.
    epoch: Option<u16>,
    /// What was taken since the beginning.
    taken: u32,
    /// It has epochs.
    counts: bool,
}

/// What a notification has taken.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Loss {
    /// The right to keep what was written here to ourselves: others are to see it.
    pub write: bool,
    /// The right to keep what was read: others may change it.
    pub read: bool,
}

/// What of a lease is asked for when a file is opened.
pub const fn wanted(write: bool) -> u32 {
    let all = lease_state::READ | lease_state::HANDLE;
    if write {
        all | lease_state::WRITE
    } else {
        all
    }
}

impl Holding {
    /// Nothing, of a lease of the second version or of the first.
    pub const fn new(v2: bool) -> Self {
        Self {
            state: lease_state::NONE,
            epoch: None,
            taken: lease_state::NONE,
            counts: v2,
        }
    }

    /// See [`lease_state`].
    pub const fn state(&self) -> u32 {
        self.state
    }

    /// Whether the right to keep what was read has been taken since the beginning.
    pub const fn was_read_taken(&self) -> bool {
        self.taken & lease_state::READ != 0
    }

    /// Whether `epoch` is after the last one known.
    fn is_news(&self, epoch: u16) -> bool {
        self.epoch
            .is_none_or(|known| matches!(epoch.wrapping_sub(known), 1..=0x7fff))
    }

    /// A CREATE was answered with this lease.
    pub fn granted(&mut self, lease: &Lease) {
        match lease.v2 {
            Some(v2) if self.counts && self.is_news(v2.epoch) => {
                self.state = lease.state;
                self.epoch = Some(v2.epoch);
            }
            _ => {}
        }
    }

    /// The server says that of `current` only `new` is left.
    pub fn broken(&mut self, current: u32, new: u32, epoch: u16) -> Loss {
        // What was given by an answer that is still on its way counts as well.
        let lost = (self.state | current) & !new;
        if self.counts {
            if !self.is_news(epoch) {
                return Loss::default();
            }
            self.state = new;
            self.epoch = Some(epoch);
        }
        self.taken |= lost;
        Loss {
            write: lost & lease_state::WRITE != 0,
            read: lost & lease_state::READ != 0,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::smb2::context::LeaseV2;
    use lease_state::{HANDLE, NONE, READ, WRITE};

    fn lease(state: u32, epoch: u16) -> Lease {
        Lease {
            key: [7; 16],
            state,
            flags: 0,
            v2: Some(LeaseV2 {
                parent: [0; 16],
                epoch,
            }),
        }
    }

    #[test]
    fn is_taken_step_by_step() {
        let mut held = Holding::new(true);
        held.granted(&lease(READ | WRITE | HANDLE, 1));
        let loss = held.broken(READ | WRITE | HANDLE, READ | HANDLE, 2);
        assert_eq!((loss.write, loss.read), (true, false));
        assert!(!held.was_read_taken());
        let loss = held.broken(READ | HANDLE, NONE, 3);
        assert_eq!((loss.write, loss.read), (false, true));
        assert!(held.was_read_taken());
        assert_eq!(held.state(), NONE);
    }

    #[test]
    fn a_notification_overtakes_the_answer() {
        let mut held = Holding::new(true);
        let loss = held.broken(READ | WRITE | HANDLE, READ | HANDLE, 2);
        assert!(loss.write);
        held.granted(&lease(READ | WRITE | HANDLE, 1));
        assert_eq!(held.state(), READ | HANDLE);
    }

    #[test]
    fn a_late_notification_takes_nothing() {
        let mut held = Holding::new(true);
        held.granted(&lease(READ | WRITE | HANDLE, 5));
        assert_eq!(held.broken(READ, NONE, 4), Loss::default());
        assert_eq!(held.broken(READ, NONE, 5), Loss::default());
        assert_eq!(held.state(), READ | WRITE | HANDLE);
    }

    #[test]
    fn epochs_wrap() {
        let mut held = Holding::new(true);
        held.granted(&lease(READ, 0xffff));
        assert!(held.broken(READ, NONE, 0).read);
        held.granted(&lease(READ | HANDLE, 1));
        assert_eq!(held.state(), READ | HANDLE);
    }

    #[test]
    fn an_upgrade_is_taken_over() {
        let mut held = Holding::new(true);
        held.granted(&lease(READ | HANDLE, 1));
        held.granted(&lease(READ | HANDLE, 1));
        held.granted(&lease(READ | WRITE | HANDLE, 2));
        assert_eq!(held.state(), READ | WRITE | HANDLE);
    }

    #[test]
    fn nothing_is_held_without_epochs() {
        let mut held = Holding::new(false);
        for v2 in [None, lease(READ, 1).v2] {
            held.granted(&Lease {
                v2,
                ..lease(READ | HANDLE, 1)
            });
            assert_eq!(held.state(), NONE);
        }
        // All have the epoch 0.
        for _ in 0..2 {
            let loss = held.broken(READ | HANDLE, NONE, 0);
            assert_eq!((loss.write, loss.read), (false, true));
            assert_eq!(held.state(), NONE);
        }
        assert!(held.was_read_taken());
        assert_eq!(held.broken(READ | HANDLE, READ, 0), Loss::default());
    }

    #[test]
    fn only_writers_want_to_keep_writes() {
        assert_eq!(wanted(false), READ | HANDLE);
        assert_eq!(wanted(true), READ | WRITE | HANDLE);
    }
}
