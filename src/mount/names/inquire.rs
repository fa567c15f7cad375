// SPDX-License-Identifier: GPL-2.0

//! Asking name servers. Who is asked when is decided in [`rsdfs_proto::dns::inquiry`].

use crate::sys::{
    crypto,
    errno,
    net::Net,
    socket::{
        ConnectOpts,
        Received,
        SocketAddr,
        TcpSocket, //
    },
    time::now_ms,
    udp::UdpSocket,
    wait::Event, //
};
use core::{
    array,
    net::IpAddr, //
};
use kernel::prelude::*;
use rsdfs_proto::{
    codec::Writer,
    dns::{
        files::SERVERS,
        inquiry::{
            Inquiry,
            Step,
            QUESTIONS, //
        },
        Answer,
        Question,
        Verdict,
        MAX_QUESTION,
        PORT, //
    },
    time::{
        Instant,
        Span, //
    }, //
};

/// How long each step over TCP may take, in milliseconds.
const TCP_MS: u64 = 1000;

/// Room for a datagram: some servers send more than they may.
const ROOM: usize = 4096;

/// Answers of more than this are taken from nobody.
const MOST: usize = 16 << 10;

/// Two questions that are asked side by side, and where.
pub(super) struct Inquest<'a> {
    pub(super) net: &'a Net,
    pub(super) servers: &'a [IpAddr],
    pub(super) questions: [Question<'a>; QUESTIONS],
    /// How long all of it may take, in milliseconds.
    pub(super) patience: u64,
    pub(super) cancel: &'a Event,
}

/// Takes an answer, with the index of the server, and that of the question.
pub(super) type Take<'a> = dyn FnMut(usize, usize, &Answer<'_>) -> Result + 'a;

/// A number that is not to be guessed, for a question.
pub(super) fn number() -> u16 {
    let mut bytes = [0; 2];
    crypto::random(&mut bytes);
    u16::from_ne_bytes(bytes)
}

impl Inquest<'_> {
    /// Asks, and hands each answer in which there is something to `take`.
    ///
    /// Fails with `EHOSTUNREACH` if there is nothing under either name, with `ETIMEDOUT` if no server
    /// could say; with `ECANCELED` or `EINTR` if it is called off, or the task is killed.
    #[inline(never)]
    pub(super) fn run(&self, take: &mut Take<'_>) -> Result {
        let mut sockets: [Option<UdpSocket>; SERVERS] = array::from_fn(|_| None);
        let mut buffer = KVec::from_elem(0u8, ROOM, GFP_KERNEL)?;
        let patience = Span(self.patience);
        let mut inquiry = Inquiry::new(QUESTIONS, self.servers.len(), patience, now());
        loop {
            match inquiry.poll(now()) {
                Step::Ask(server) => {
                    if self.ask(server, &mut sockets, &inquiry).is_err() {
                        inquiry.failed(server, now());
                    }
                }
                Step::Wait(until) => {
                    let left = now().until(until).0;
                    let mut came = None;
                    let ready = || {
                        came = received(&sockets, &mut buffer);
                        came.is_some()
                    };
                    UdpSocket::wait_any(&sockets, self.cancel, left, ready)?;
                    match came {
                        Some((server, Ok(len))) => {
                            let message = buffer.get(..len).unwrap_or_default();
                            self.hear(server, message, &mut inquiry, take)?;
                        }
                        Some((server, Err(_))) => inquiry.failed(server, now()),
                        None => {}
                    }
                }
                Step::Done => break,
            }
        }
        match (0..QUESTIONS).any(|index| inquiry.has_found(index)) {
            true => Ok(()),
            false if inquiry.is_nothing() => Err(errno::EHOSTUNREACH),
            false => Err(ETIMEDOUT),
        }
    }

    /// Puts the open questions to a server.
    fn ask(
        &self,
        server: usize,
        sockets: &mut [Option<UdpSocket>; SERVERS],
        inquiry: &Inquiry,
    ) -> Result {
        let ip = self.servers.get(server).ok_or(EINVAL)?;
        let socket = sockets.get_mut(server).ok_or(EINVAL)?;
        if socket.is_none() {
            *socket = Some(UdpSocket::new(self.net, &SocketAddr::new(*ip, PORT))?);
        }
        for (index, question) in self.questions.iter().enumerate() {
            if let (Some(socket), true) = (&socket, inquiry.is_open(index)) {
                let mut buffer = [0; MAX_QUESTION];
                socket.send(emit(question, &mut buffer)?)?;
            }
        }
        Ok(())
    }

    /// Looks at what a server sent. What is no answer, or malformed, may be from somebody else.
    #[inline(never)]
    fn hear(
        &self,
        server: usize,
        message: &[u8],
        inquiry: &mut Inquiry,
        take: &mut Take<'_>,
    ) -> Result {
        for (index, question) in self.questions.iter().enumerate() {
            let Ok(Some(answer)) = Answer::parse(message, question) else {
                continue;
            };
            if !inquiry.is_open(index) {
                continue;
            }
            if answer.verdict() != Verdict::Truncated {
                if answer.verdict() == Verdict::Found {
                    take(server, index, &answer)?;
                }
                inquiry.heard(index, server, answer.verdict(), now());
                continue;
            }
            let mut verdict = Verdict::Refused;
            if let Ok(whole) = self.ask_stream(server, question) {
                if let Ok(Some(answer)) = Answer::parse(&whole, question) {
                    if answer.verdict() == Verdict::Found {
                        take(server, index, &answer)?;
                    }
                    verdict = answer.verdict();
                }
            }
            inquiry.heard(index, server, verdict, now());
        }
        Ok(())
    }

    /// The answer of a server that does not fit into a datagram, over TCP.
    #[inline(never)]
    fn ask_stream(&self, server: usize, question: &Question<'_>) -> Result<KVec<u8>> {
        let ip = self.servers.get(server).ok_or(EINVAL)?;
        let opts = ConnectOpts {
            net: self.net,
            user_timeout_ms: 0,
        };
        let address = SocketAddr::new(*ip, PORT);
        let socket = TcpSocket::connect(address, &opts, TCP_MS, self.cancel)?;
        let mut buffer = [0; MAX_QUESTION];
        let question = emit(question, &mut buffer)?;
        let len = u16::try_from(question.len()).map_err(|_| EINVAL)?;
        socket
            .send_all(&[&len.to_be_bytes(), question], None, false, Some(TCP_MS))
            .map_err(|unsent| unsent.error)?;
        let mut len = [0; 2];
        receive(&socket, &mut len)?;
        let len = usize::from(u16::from_be_bytes(len)).min(MOST);
        let mut answer = KVec::from_elem(0u8, len, GFP_KERNEL)?;
        receive(&socket, &mut answer)?;
        Ok(answer)
    }
}

fn now() -> Instant {
    Instant(now_ms())
}

fn emit<'b>(question: &Question<'_>, buffer: &'b mut [u8; MAX_QUESTION]) -> Result<&'b [u8]> {
    let mut w = Writer::new(buffer);
    question.emit(&mut w).map_err(|_| EINVAL)?;
    let len = w.written();
    buffer.get(..len).ok_or(EINVAL)
}

/// A datagram, or the failure, of one of the servers.
fn received(
    sockets: &[Option<UdpSocket>; SERVERS],
    buffer: &mut [u8],
) -> Option<(usize, Result<usize>)> {
    let all = sockets.iter().enumerate();
    all.filter_map(|(server, socket)| Some((server, socket.as_ref()?)))
        .find_map(|(server, socket)| Some((server, socket.receive(buffer).transpose()?)))
}

/// Fills `buffer`.
fn receive(socket: &TcpSocket, buffer: &mut [u8]) -> Result {
    let mut filled = 0usize;
    while let Some(rest) = buffer.get_mut(filled..).filter(|rest| !rest.is_empty()) {
        match socket.recv_some(rest, Some(TCP_MS))? {
            Received::Data(n) => filled = filled.saturating_add(n),
            Received::TimedOut => return Err(ETIMEDOUT),
            Received::Closed => return Err(errno::ECONNRESET),
        }
    }
    Ok(())
}
