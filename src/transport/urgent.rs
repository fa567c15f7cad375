// SPDX-License-Identifier: GPL-2.0

//! What is sent at once or not at all, also by the receiving thread: echoes, and that nobody waits any more.

use super::{
    pending::{
        Entry,
        Holder,
        Ignore,
        Sink, //
    },
    request::{
        Context,
        Request,
        Stamp,
        MAX_PARTS, //
    },
    send::Turn,
    wire::Wire,
    Error,
    Result, //
};
use crate::sys::time::now_ms;
use kernel::{
    prelude::*,
    rbtree::RBTreeNodeReservation, //
};
use rsdfs_proto::{
    smb2::{
        cancel::Cancel,
        echo::Echo, //
    },
    time::Instant, //
};

impl Wire {
    /// Asks the server for a sign of life. Runs on the receiving thread, so it must not wait: where
    /// somebody is stuck sending, or there is no room, the server owes us a sign of life already.
    pub(super) fn echo(&self) {
        let Some(turn) = Turn::now(self) else {
            return self.owe();
        };
        if !self.socket.has_room() {
            return self.owe();
        }
        let sent = self.echo_now();
        drop(turn);
        if sent.is_err() {
            self.kill(self.blame());
        }
    }

    /// Notes that the server is waited for as if an echo had been sent.
    fn owe(&self) {
        let now = Instant(now_ms());
        let mut state = self.state.lock();
        state.seen.echo = Some(now);
        state.seen.last_echo = Some(now);
        state.seen.owed = true;
    }

    /// Tells the server that nobody waits for the answers to `request` any more (MS-SMB2 3.2.4.24).
    /// The answers come nevertheless, and bring their credits. Does not wait.
    pub(super) fn cancel(&self, request: &Request) {
        let Some(turn) = Turn::now(self) else {
            return;
        };
        let sent = request
            .ids()
            .filter_map(|id| {
                let state = self.state.lock();
                Some((id, state.pending.get(&id)?.put_off))
            })
            .try_for_each(|(id, put_off)| self.cancel_now(&request.context, id, put_off));
        drop(turn);
        if sent.is_err() {
            self.kill(self.blame());
        }
    }

    fn cancel_now(&self, context: &Context, id: u64, put_off: Option<u64>) -> Result {
        let mut request = Request::new(context, &Cancel)?;
        if let Some(id) = put_off {
            request.of_async(id);
        }
        let mut stamps = [Stamp::default(); MAX_PARTS];
        stamps[0].id = id;
        request.finish(&stamps, None)?;
        let sent = self
            .socket
            .send_all(&[request.frame()], None, false, Some(0));
        match sent {
            Err(unsent) if unsent.sent > 0 => Err(Error::Lost),
            // A server that takes nothing more need not be told.
            _ => Ok(()),
        }
    }

    fn echo_now(&self) -> Result {
        let mut request = Request::new(&Context::default(), &Echo)?;
        let node = RBTreeNodeReservation::new(GFP_KERNEL)?;
        let sink: KBox<dyn Sink> = KBox::new(Ignore, GFP_KERNEL)?;
        let mut state = self.state.lock();
        let Some(id) = state.link.take_urgent(1).filter(|_| state.dead.is_none()) else {
            drop(state);
            self.owe();
            return Ok(());
        };
        let mut stamps = [Stamp::default(); MAX_PARTS];
        stamps[0] = Stamp {
            id,
            charge: 1,
            ask: state.link.ask(1),
        };
        let now = Instant(now_ms());
        state.seen.echo = Some(now);
        state.seen.last_echo = Some(now);
        let entry = Entry {
            holder: Holder::Table(sink),
            key: None,
            charge: 1,
            echo: true,
            sent: now_ms(),
            deadline: None,
            tag: 0,
            opens: None,
            data_end: None,
            put_off: None,
        };
        state.pending.insert(node.into_node(id, entry));
        drop(state);
        request.finish(&stamps, None)?;
        self.socket
            .send_all(&[request.frame()], None, false, Some(0))
            .map_err(|_| Error::Lost)
    }
}
