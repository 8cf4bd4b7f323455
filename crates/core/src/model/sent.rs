//! What the host of a director in memory sends itself.

use super::Model;
use crate::abi::Forward;
use crate::flow::{Flow, L3, classify};
use crate::plan::Plan;
use crate::tunnel::Inner;
use crate::verdict::{Outcome, Reason};
use crate::{fragment, here, probe, rewrite};
use rvs_wire::ipv4::Ipv4;
use rvs_wire::ipv6::Ipv6;
use std::vec::Vec;
use zerocopy::FromBytes;

impl Model {
    /// What becomes of a frame that this host itself sends, with a firewall mark: the reason, and the frame as it leaves when it
    /// is changed.
    pub fn sent(&self, frame: &[u8], mark: u32) -> (Reason, Option<Vec<u8>>) {
        let (mut flow, mut plan) = (Flow { mark, ..Flow::default() }, Plan::default());
        if let Err(reason) = classify(frame, &mut flow) {
            return (reason, None);
        }
        let probe = self.probes.borrow().get(&mark).copied().filter(|_| probe::are_on(&self.control, self.now.get()));
        let reason = match &probe {
            Some(probe) => probe::sent(probe, &flow, &mut plan),
            None => here::sent(self, &flow, &mut plan),
        };
        if reason.outcome() != Outcome::Forwarded {
            return (reason, None);
        }
        if fragment::is_first(&flow) {
            let fate = fragment::fate(self, &plan, reason);
            self.fates.borrow_mut().push((fragment::key(&flow), fate));
        }
        let mut out = self.translated(frame, &flow, &plan);
        if let (Some(out), Some(probe)) = (&mut out, probe) {
            let (key, of) = probe::remembered(&probe, &flow);
            self.probe_flows.borrow_mut().push((key, of));
            if probe.forward == Forward::Tunnel as u8 {
                let inner = if flow.is_v6() {
                    Inner::of_v6(&Ipv6::read_from_prefix(&out[L3..]).expect("classified").0)
                } else {
                    Inner::of_v4(&Ipv4::read_from_prefix(&out[L3..]).expect("classified").0)
                };
                let tunnel = plan.tunnel().without_checksum();
                out.splice(L3..L3, core::iter::repeat_n(0, tunnel.growth() as usize));
                let done = rewrite::outer(&mut out[..], &tunnel, &inner, (flow.key.src, probe.rip), None);
                return (if done.is_some() { reason } else { Reason::RewriteFailed }, Some(out.clone()));
            }
        }
        (reason, out)
    }

    /// A frame translated by a plan without losing a hop.
    pub fn translated(&self, frame: &[u8], flow: &Flow, plan: &Plan) -> Option<Vec<u8>> {
        let mut out = frame.to_vec();
        rewrite::unhop(&mut out[..])?;
        let translate = if plan.is_translation(flow) { rewrite::translate_icmp } else { rewrite::nat };
        translate(&mut out[..], flow, plan)?;
        Some(out)
    }
}
