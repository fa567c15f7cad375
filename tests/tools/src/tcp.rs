// SPDX-License-Identifier: GPL-2.0
//! Raw TCP throughput between the VM and a server's namespace.

use crate::{clock, Outcome, Result};
use serde_json::json;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::time::Instant;

const MIB: usize = 1 << 20;

#[derive(clap::Subcommand)]
pub enum Command {
    /// Serve one peer after another, for ever.
    Serve {
        #[arg(long, default_value_t = 5001)]
        port: u16,
    },
    /// Send to the server.
    Send(ClientArgs),
    /// Receive from the server.
    Recv(ClientArgs),
}

#[derive(clap::Args)]
pub struct ClientArgs {
    host: String,
    #[arg(long, default_value_t = 5001)]
    port: u16,
    #[arg(long, default_value_t = 128)]
    mb: u64,
}

/// The first nine bytes: direction and number of MiB.
fn serve_one(mut peer: TcpStream) -> std::io::Result<()> {
    let mut head = [0u8; 9];
    peer.read_exact(&mut head)?;
    let mb = u64::from_le_bytes(head[1..].try_into().expect("eight bytes"));
    let mut block = vec![0u8; MIB];
    for _ in 0..mb {
        if head[0] == b's' {
            peer.read_exact(&mut block)?;
        } else {
            peer.write_all(&block)?;
        }
    }
    peer.write_all(b"!")
}

fn client(args: &ClientArgs, direction: u8) -> Result<Outcome> {
    let mut peer = TcpStream::connect((args.host.as_str(), args.port))?;
    let mut block = vec![0u8; MIB];
    let start = Instant::now();
    peer.write_all(&[direction])?;
    peer.write_all(&args.mb.to_le_bytes())?;
    for _ in 0..args.mb {
        if direction == b's' {
            peer.write_all(&block)?;
        } else {
            peer.read_exact(&mut block)?;
        }
    }
    peer.read_exact(&mut block[..1])?;
    let seconds = start.elapsed().as_secs_f64();
    Ok(Outcome {
        good: true,
        summary: json!({"mb": args.mb, "ms": clock::ms(start.elapsed()), "mb_per_s": (args.mb as f64 / seconds * 100.0).round() / 100.0}),
    })
}

/// `tcp`: see the module.
pub fn run(command: &Command) -> Result<Outcome> {
    match command {
        Command::Serve { port } => {
            for peer in TcpListener::bind(("::", *port))?.incoming() {
                let peer = peer?;
                std::thread::spawn(move || serve_one(peer));
            }
            Ok(Outcome {
                good: true,
                summary: json!({}),
            })
        }
        Command::Send(args) => client(args, b's'),
        Command::Recv(args) => client(args, b'r'),
    }
}
