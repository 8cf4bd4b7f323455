//! Sending adverts.

use super::Instance;
use super::garp::Cx;
use crate::io::{Datagram, Output};
use crate::packet::{Advert, AhKey, Body, ChecksumForm, Envelope, Legacy, Seal, emit};
use crate::params::{LegacyAuth, OldUnicast, Protocol, Transport};
use core::net::IpAddr;

impl Instance {
    /// Sends an advert: to the group, or to every peer. Without a source address there is nothing to send from.
    pub(super) fn send(&mut self, priority: u8, cx: &mut Cx<'_>) {
        let Some(source) = self.source else { return };
        self.last_sent = Some(cx.now);
        self.stats.advert_sent += 1;
        // Identification 0 would be replaced by the kernel, behind the Authentication Header's back.
        self.ip_id = self.ip_id.checked_add(1).unwrap_or(1);
        let trailer = self.trailer_seal(cx.utc.saturating_add(cx.now.nanos()));
        let (body, key) = self.body();
        let addresses = self.params.addresses.iter().map(|vip| vip.address).collect();
        let advert = Advert { vrid: self.params.vrid.get(), priority, body, addresses };
        let seal = Seal {
            checksum: self.checksum_form(),
            ah: key.as_ref(),
            trailer: trailer.as_ref().map(|(key, sequence)| (key, *sequence)),
        };
        let (destinations, hop_limit): (Vec<IpAddr>, u8) = match &self.params.transport {
            Transport::Multicast { group } => (vec![*group], 255),
            Transport::Unicast { peers, hop_limit, .. } => {
                (peers.iter().map(|peer| peer.address).collect(), *hop_limit)
            }
        };
        for destination in destinations {
            let envelope = Envelope { source, destination, hop_limit, id: self.ip_id };
            let bytes = emit(&advert, &envelope, &seal);
            cx.out.push_back(Output::Send(Datagram {
                instance: self.params.name.clone(),
                interface: self.params.advert_device().clone(),
                source,
                destination,
                hop_limit,
                bytes,
            }));
        }
    }

    /// What the version adds, and the key of the Authentication Header.
    fn body(&mut self) -> (Body, Option<AhKey>) {
        match &self.params.protocol {
            Protocol::V3 { interval, .. } => (Body::V3 { interval: interval.get() }, None),
            Protocol::V2 { interval, auth } => {
                let (legacy, key) = match auth {
                    LegacyAuth::None => (Legacy::None, None),
                    LegacyAuth::Password(password) => (Legacy::Password(*password), None),
                    // One number for all peers: they hold their own counters.
                    LegacyAuth::Header(key) => (Legacy::Header { sequence: self.ah.next() }, Some(key.clone())),
                };
                (Body::V2 { interval: interval.get(), legacy }, key)
            }
        }
    }

    fn checksum_form(&self) -> ChecksumForm {
        let Protocol::V3 { checksum_as_v2, old_unicast, .. } = self.params.protocol else { return ChecksumForm::Bare };
        if checksum_as_v2 {
            return ChecksumForm::Bare;
        }
        match &self.params.transport {
            Transport::Unicast { old_group: IpAddr::V4(group), .. }
                if old_unicast == OldUnicast::Always || (old_unicast == OldUnicast::Detect && self.old_unicast) =>
            {
                ChecksumForm::PseudoTo(*group)
            }
            _ => ChecksumForm::Pseudo,
        }
    }
}
