//! What the hook does to packets of control connections, for packets that are plain bytes.

use super::adjust::{self, HEADER, Options, STEPS};
use super::scan::{self, Scan, WINDOW};
use super::{Expected, expect, is_heard, judge};
use crate::abi::{ConnId, Talk};
use crate::flow::{Flow, L3, piece};
use crate::plan::Plan;
use crate::tables::Tables;
use crate::verdict::Reason;
use rvs_wire::Be16;
use rvs_wire::checksum::{Delta, fold, sum};
use std::collections::BTreeMap;
use std::vec::Vec;

/// Sees to a packet of a control connection before it is masqueraded: enters what it announces, rewrites the address in it, and
/// moves its sequence numbers.
///
/// # Errors
/// The reason why the packet must be dropped.
pub fn tend<T: Tables>(
    tables: &T,
    talks: &mut BTreeMap<ConnId, Talk>,
    frame: &mut Vec<u8>,
    flow: &mut Flow,
    plan: &Plan,
) -> Result<(), Reason> {
    let conn = tables.conn(plan.conn).ok_or(Reason::LostRace)?;
    let serial = conn.serial.get();
    let mut talk =
        talks.get(&plan.conn).filter(|t| t.serial == serial).copied().unwrap_or(Talk { serial, ..Talk::default() });
    if is_heard(flow, conn) {
        let mut found = Scan::new(plan.outward != 0);
        let payload = &frame[flow.payload()..L3 + flow.len as usize];
        for (index, byte) in (0..WINDOW).zip(payload) {
            if found.byte(index, *byte) {
                break;
            }
        }
        let before = talk;
        let deed = judge(conn, &found, &mut talk);
        if deed.expected != Expected::Nobody {
            expect::expect(tables, plan.conn, deed.expected, deed.port)?;
        }
        if deed.rewrite {
            let mut text = [0; 32];
            let len = scan::text(conn.vaddr.get().last().host(), found.port, &mut text);
            rewrite(frame, flow, &found, &text[..len as usize], &mut talk).ok_or(Reason::RewriteFailed)?;
        }
        if talk != before {
            talks.insert(plan.conn, talk);
        }
    }
    if talk.is_shifted() && flow.piece != piece::LATER {
        shift(frame, flow, plan, &talk).ok_or(Reason::RewriteFailed)?;
    }
    Ok(())
}

/// Replaces the text found.
fn rewrite(frame: &mut Vec<u8>, flow: &mut Flow, found: &Scan, text: &[u8], talk: &mut Talk) -> Option<()> {
    let (l4, at, end) = (flow.l4 as usize, flow.payload() + found.from as usize, flow.payload() + found.end as usize);
    let growth = text.len() as i32 - (end - at) as i32;
    frame.truncate(L3 + flow.len as usize);
    let base = at - (at - l4) % 2;
    let old = fold(sum(&frame[base..]));
    frame.splice(at..end, text.iter().copied());
    let new = fold(sum(&frame[base..]));
    let delta = Delta::NONE.word(Be16::from_raw(old), Be16::from_raw(new));
    if growth != 0 {
        let seq = u32::from_be_bytes(frame.get(l4 + 4..l4 + 8)?.try_into().ok()?);
        talk.rewritten(seq.wrapping_add(found.end), growth);
    }
    let length = |flow: &Flow| Be16::new(flow.l4_bytes() as u16);
    let was = length(flow);
    resize(frame, flow, growth)?;
    update(frame, flow, delta.word(was, length(flow)))
}

/// The IP header's length, and its checksum.
fn resize(frame: &mut [u8], flow: &mut Flow, growth: i32) -> Option<()> {
    let total = Be16::new(u16::try_from(flow.len.checked_add_signed(growth)?).ok()?);
    // Only IPv4 addresses are ever rewritten.
    let ip = super::resized(zerocopy::FromBytes::read_from_prefix(frame.get(L3..)?).ok()?.0, total);
    zerocopy::IntoBytes::write_to_prefix(&ip, frame.get_mut(L3..)?).ok()?;
    flow.len = total.host() as u32;
    Some(())
}

/// Moves the numbers in the header.
fn shift(frame: &mut [u8], flow: &Flow, plan: &Plan, talk: &Talk) -> Option<()> {
    let (l4, len) = (flow.l4 as usize, flow.l4_len as usize);
    let mut header = [0; HEADER];
    header[..len].copy_from_slice(frame.get(l4..l4 + len)?);
    let old = fold(sum(&header));
    adjust::header(&mut header, plan.outward != 0, talk);
    if plan.outward == 0 {
        let mut options = Options::new(len as u32);
        for _ in 0..STEPS {
            if options.step(&mut header, talk) {
                break;
            }
        }
    }
    let new = fold(sum(&header));
    frame[l4..l4 + len].copy_from_slice(&header[..len]);
    update(frame, flow, Delta::NONE.word(Be16::from_raw(old), Be16::from_raw(new)))
}

fn update(frame: &mut [u8], flow: &Flow, delta: Delta) -> Option<()> {
    let at = flow.checksum_offset();
    let old = Be16::from_raw(u16::from_ne_bytes(frame.get(at..at + 2)?.try_into().ok()?));
    frame[at..at + 2].copy_from_slice(&delta.apply(old).raw().to_ne_bytes());
    Some(())
}
