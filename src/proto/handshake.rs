// SPDX-License-Identifier: GPL-2.0
//! From a fresh connection to a session: negotiate, session setup, and the check of 3.0.x that
//! nobody tampered with the former (MS-SMB2 3.2.4.2, 3.2.5.2, 3.2.5.3).
//!
//! ```text
//! Negotiation --request/sent--> reply --> Negotiated
//!                                             |
//!                        SessionSetup::start <+
//!        command/sent --> reply --> Step::Send (next leg) | Step::Done(Established)
//! ```
//!
//! The caller owns sockets and buffers. Each leg is: take the command, send it, report the exact
//! bytes sent (`sent`), hand in the reply. A leg consumes the state, so none can be done twice.
//! Nothing here holds a lock or a clock; the wall clock is handed in.

mod negotiation;
mod preauth;
mod refused;
mod setup;
mod validate;

pub use negotiation::{Negotiated, Negotiation, Offer, Signing};
pub use preauth::PreauthHash;
pub use refused::Refused;
pub use setup::{Credentials, Established, Logon, SessionSetup, Step, MAX_BLOB};
pub use validate::ValidateNegotiate;
