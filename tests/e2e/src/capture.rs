//! Captures by a real tcpdump, read back and taken apart.

use crate::any::Packet;
use crate::lab::Lab;
use crate::netns::Netns;
use crate::packet::Frame;
use crate::process::Running;
use crate::wait::eventually;
use anyhow::{Context as _, Result, ensure};
use nix::sys::signal::Signal;
use std::fs;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

/// How long packets may take to appear in a capture.
const PATIENCE: Duration = Duration::from_secs(5);

/// A capture that runs. Its frames are those of IPv4, its packets those of both families.
#[derive(Debug)]
pub struct Capture {
    tcpdump: Running,
    file: PathBuf,
}

impl Lab {
    /// Starts to capture on an interface of a namespace what matches the filter (in tcpdump's language), and returns when
    /// tcpdump listens.
    pub fn capture(&self, ns: &Netns, interface: &str, filter: &str) -> Result<Capture> {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let file = self.dir().join(format!("{number}.pcap"));
        let log = self.dir().join(format!("{number}.log"));
        let command =
            ns.command("tcpdump").args("--immediate-mode -U -n -s 0 -Z root").args(&format!("-i {interface} -w"));
        let tcpdump = command.arg(&file).arg(filter).serve(&log).context("the laboratory needs tcpdump")?;
        eventually(PATIENCE, || {
            let said = fs::read_to_string(&log)?;
            ensure!(said.contains("listening on"), "tcpdump does not listen: {said}");
            Ok(())
        })?;
        Ok(Capture { tcpdump, file })
    }
}

impl Capture {
    /// Waits until what was captured so far contains `count` frames for which `wanted` holds, ends the capture, and returns
    /// all its frames.
    pub fn until(self, count: usize, wanted: impl Fn(&Frame) -> bool) -> Result<Vec<Frame>> {
        eventually(PATIENCE, || {
            let frames = self.frames()?;
            let found = frames.iter().filter(|frame| wanted(frame)).count();
            ensure!(found >= count, "{found} of {count} frames in the capture, which holds {frames:#?}");
            Ok(())
        })?;
        self.end()
    }

    /// The same for packets of both families.
    pub fn until_packets(self, count: usize, wanted: impl Fn(&Packet) -> bool) -> Result<Vec<Packet>> {
        eventually(PATIENCE, || {
            let packets = self.packets()?;
            let found = packets.iter().filter(|packet| wanted(packet)).count();
            ensure!(found >= count, "{found} of {count} packets in the capture, which holds {packets:#?}");
            Ok(())
        })?;
        let Self { tcpdump, file } = self;
        tcpdump.stop(Signal::SIGTERM)?;
        read(&file, Packet::parse)
    }

    /// Ends the capture and returns its frames.
    pub fn end(self) -> Result<Vec<Frame>> {
        let Self { tcpdump, file } = self;
        tcpdump.stop(Signal::SIGTERM)?;
        read(&file, Frame::parse)
    }

    /// The frames so far.
    pub fn frames(&self) -> Result<Vec<Frame>> {
        read(&self.file, Frame::parse)
    }

    /// The packets so far.
    pub fn packets(&self) -> Result<Vec<Packet>> {
        read(&self.file, Packet::parse)
    }
}

/// Reads a capture file as this host's tcpdump writes it; a frame cut off at its end is left out.
fn read<T>(file: &PathBuf, parse: impl Fn(&[u8]) -> Option<T>) -> Result<Vec<T>> {
    let bytes = fs::read(file).with_context(|| format!("cannot read {}", file.display()))?;
    let mut rest = bytes.get(24..).unwrap_or_default();
    let mut frames = Vec::new();
    while let Some((head, tail)) = rest.split_at_checked(16) {
        let length = u32::from_ne_bytes([head[8], head[9], head[10], head[11]]);
        let Some((frame, next)) = tail.split_at_checked(usize::try_from(length)?) else { break };
        frames.extend(parse(frame));
        rest = next;
    }
    Ok(frames)
}
