// SPDX-License-Identifier: GPL-2.0
//! `files`: how long create, stat, readdir, rename and unlink of many small files take.

use crate::{clock, speed, Outcome, Result};
use serde_json::json;
use std::fs;
use std::io::Write;
use std::path::PathBuf;
use std::time::Instant;

#[derive(clap::Args)]
pub struct Args {
    #[arg(long)]
    dir: PathBuf,
    #[arg(long, default_value_t = 500)]
    count: u32,
    /// Bytes written into each file.
    #[arg(long, default_value_t = 0)]
    bytes: usize,
    /// Before each phase wait until deferred closes and attribute times (1 s by default) ran out, and drop the caches.
    #[arg(long)]
    cold: bool,
}

/// `files`: see the module.
pub fn run(args: &Args) -> Result<Outcome> {
    let dir = args.dir.join(format!("files-{}", std::process::id()));
    fs::create_dir_all(&dir)?;
    let content = vec![b'x'; args.bytes];
    let mut summary = json!({"count": args.count});
    let mut phase = |name: &str, work: &mut dyn FnMut() -> Result<()>| -> Result<()> {
        if args.cold {
            std::thread::sleep(std::time::Duration::from_millis(1500));
            speed::drop_caches()?;
        }
        let start = Instant::now();
        work()?;
        summary[format!("{name}_ms")] = json!(clock::ms(start.elapsed()));
        Ok(())
    };
    let old = |i: u32| dir.join(format!("f{i:05}"));
    let new = |i: u32| dir.join(format!("g{i:05}"));
    phase("create", &mut || {
        for i in 0..args.count {
            fs::File::create(old(i))?.write_all(&content)?;
        }
        Ok(())
    })?;
    phase("stat", &mut || {
        for i in 0..args.count {
            fs::metadata(old(i))?;
        }
        Ok(())
    })?;
    let mut seen = 0;
    phase("readdir", &mut || {
        for entry in fs::read_dir(&dir)? {
            entry?;
            seen += 1;
        }
        Ok(())
    })?;
    phase("rename", &mut || {
        for i in 0..args.count {
            fs::rename(old(i), new(i))?;
        }
        Ok(())
    })?;
    phase("unlink", &mut || {
        for i in 0..args.count {
            fs::remove_file(new(i))?;
        }
        Ok(())
    })?;
    fs::remove_dir(&dir)?;
    Ok(Outcome {
        good: seen == args.count,
        summary,
    })
}
