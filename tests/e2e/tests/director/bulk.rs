//! Much data: every byte arrives, with segmentation and checksums left to the devices as in real life.

use crate::vip;
use anyhow::Result;
use lab::{Method, Topology, echo, http, start};

/// Bytes that repeat at no short distance.
pub(crate) fn noise(length: usize) -> Vec<u8> {
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let mut bytes = Vec::with_capacity(length + 8);
    while bytes.len() < length {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        bytes.extend(state.to_le_bytes());
    }
    bytes.truncate(length);
    bytes
}

/// 50 MB down by curl from nginx, 20 MB up and back over one connection to the echo server: for a tunnel, packets that are
/// too large at first.
fn transfer(method: Method) -> Result<()> {
    let Some(lab) = start(Topology::of(method).http())? else { return Ok(()) };
    lab.serve("-t", vip(http::PORT), "-s rr", http::PORT, &[1, 1, 1])?;
    lab.serve("-t", vip(echo::PORT), "-s rr", echo::PORT, &[1, 1, 1])?;

    let data = noise(50_000_000);
    std::fs::write(lab.dir().join("files/big"), &data)?;
    let got = lab.dir().join("got");
    lab.curl(&format!("-o {} http://{}/files/big", got.display(), vip(http::PORT)))?.ok()?;
    assert!(std::fs::read(&got)? == data, "the download differs");

    lab.greet(vip(echo::PORT))?.echo(&data[..20_000_000])?;
    Ok(())
}

#[test]
fn nat_carries_large_transfers() -> Result<()> {
    transfer(Method::Nat)
}

#[test]
fn dr_carries_large_transfers() -> Result<()> {
    transfer(Method::Dr)
}

#[test]
fn tun_carries_large_transfers() -> Result<()> {
    transfer(Method::Tun)
}
