//! Packets by the hundred thousand: the benches' programs rewrite one frame into that of another client for each repeat of a
//! test run, and jump into the director's.

use super::ip;
use aya::Ebpf;
use aya::maps::{Array, ProgramArray};
use aya::programs::{Program, ProgramInfo, TestRun, TestRunOptions};
use nix::sched::{CpuSet, sched_setaffinity};
use nix::unistd::Pid;
use rvs_core::abi::TRIAL;
use rvs_dataplane::kernel::{Director, Hook};
use rvs_dataplane::limits::Limits;
use std::net::Ipv4Addr;
use std::path::Path;

/// The virtual address.
pub(crate) const VIP: Ipv4Addr = Ipv4Addr::new(10, 0, 1, 10);

/// What a frame is restored to: the record of the benches' object, as bytes. 56 of the frame, its length, mask and first of
/// the flows, padding.
type Template = [u8; 92];

/// A director, and what presents packets to it at TC.
pub(crate) struct Storm {
    pub(crate) director: Director,
    bench: Ebpf,
}

impl Storm {
    /// A director with these limits, in a namespace that has a way to 10.0.2.0/24 and back.
    pub(crate) fn new(limits: &Limits) -> Self {
        // The clients are counted through by each CPU for itself.
        let mut cpu = CpuSet::new();
        cpu.set(0).unwrap();
        sched_setaffinity(Pid::from_raw(0), &cpu).unwrap();
        std::fs::write("/proc/sys/net/ipv6/conf/default/disable_ipv6", "1").unwrap();
        for line in [
            "link add v0 type veth peer name v1",
            "link set lo up",
            "addr add 10.0.2.1/24 dev v0",
            "addr add 10.0.1.1/24 dev v0",
            "link set v0 up",
            "link set v1 up",
        ] {
            ip(line);
        }
        std::fs::write("/proc/sys/net/ipv4/ip_forward", "1").unwrap();
        let object = Path::new(env!("RVS_BPF_OBJECT")).with_file_name("bench.o");
        let mut bench = Ebpf::load_file(&object).unwrap();
        let Some(Program::SchedClassifier(program)) = bench.program_mut("restore_tc") else { panic!("no restore_tc") };
        program.load().unwrap();
        Self { director: Director::open_with(limits).unwrap(), bench }
    }

    /// Presents one frame; whether it was sent on.
    pub(crate) fn one(&self, frame: &[u8]) -> bool {
        let mut frame = frame.to_vec();
        frame[..6].fill(0);
        self.director.test_run(Hook::Tc, &frame, 1).unwrap().code == 7
    }

    /// Presents `frame` from `count` clients, `1 << bits` at most, from number `first` on; whether the last was sent on.
    pub(crate) fn many(&mut self, frame: &[u8], bits: u32, first: u32, count: u32) -> bool {
        let program = ProgramInfo::from_pin(self.director.program_pin(Hook::Tc)).unwrap().fd().unwrap();
        let mut jump = ProgramArray::try_from(self.bench.map_mut("TC_NEXT").unwrap()).unwrap();
        jump.set(0, &program, 0).unwrap();
        let mut frame = frame.to_vec();
        frame[..6].fill(0);
        // The restoring writes as much as IPv6 headers take; what lies behind a shorter packet is padding.
        frame.resize(frame.len().max(80), 0);
        let mut template: Template = [0; 92];
        template[..74].copy_from_slice(&frame[..74]);
        let words = [u32::try_from(frame.len()).unwrap(), (1 << bits) - 1, first, 0];
        for (to, word) in template[76..].chunks_exact_mut(4).zip(words) {
            to.copy_from_slice(&word.to_ne_bytes());
        }
        let mut templates: Array<_, Template> = Array::try_from(self.bench.map_mut("TEMPLATE").unwrap()).unwrap();
        templates.set(0, template, 0).unwrap();
        // The beginning of the kernel's `__sk_buff`, where only the priority is told: that of a trial.
        let told: Vec<u8> = [0, 0, 0, 0, 0, 0, 0, 0, TRIAL].into_iter().flat_map(u32::to_ne_bytes).collect();
        let options =
            TestRunOptions { data_in: Some(&frame), ctx_in: Some(&told), repeat: count, ..TestRunOptions::default() };
        match self.bench.program("restore_tc").unwrap() {
            Program::SchedClassifier(program) => program.test_run(options).unwrap().return_value == 7,
            _ => panic!("restore_tc is of another type"),
        }
    }

    /// How often packets ended so.
    pub(crate) fn count(&self, label: &str) -> u64 {
        let reasons = self.director.reasons().unwrap();
        reasons.into_iter().find(|(reason, _)| reason.label() == label).unwrap().1
    }
}
