//! `cargo xtask setup`: what building and testing need, found or installed.
//!
//! Every need is looked for by the thing itself (a program, a file), not by the package it comes from, so that this works on
//! any distribution; only the installing is Debian's. When nothing is missing, neither apt nor the network is touched.

use crate::run::{is_root, output, run, step, which};
use crate::workspace::Workspace;
use crate::{apt, guestbench, oldkernel, toolchain};
use anyhow::{Context, Result, bail};
use std::path::Path;
use std::process::Command;

/// Programs, the Debian packages they come in, and what for.
const PROGRAMS: [(&str, &str, &str); 39] = [
    ("nginx", "nginx-light", "real servers"),
    ("curl", "curl", "clients"),
    ("nc", "netcat-openbsd", "clients and servers"),
    ("iperf3", "iperf3", "throughput"),
    ("wrk", "wrk", "connection rates"),
    ("haproxy", "haproxy", "comparison"),
    ("ip", "iproute2", "network namespaces"),
    ("ethtool", "ethtool", "offloads of virtual devices"),
    ("tcpdump", "tcpdump", "captures"),
    ("nft", "nftables", "comparison, firewall marks"),
    ("iptables", "iptables", "firewall marks"),
    ("ip6tables", "iptables", "firewall marks"),
    ("sysctl", "procps", "settings before and after"),
    ("conntrack", "conntrack", "comparison"),
    ("redis-server", "redis-server", "a server to check"),
    ("mariadbd", "mariadb-server-core", "a server to check"),
    ("pg_ctlcluster", "postgresql", "a server to check"),
    ("etcd", "etcd-server", "a server to check"),
    ("dnsmasq", "dnsmasq-base", "a server to check"),
    ("msmtpd", "msmtp-mta", "a server to check"),
    ("vsftpd", "vsftpd", "FTP servers"),
    ("bpftool", "bpftool", "what the kernel has loaded"),
    ("ping", "iputils-ping", "reachability"),
    ("arping", "iputils-arping", "neighbours"),
    ("nsenter", "util-linux", "entering namespaces"),
    ("ps", "procps", "leftover processes"),
    ("keepalived", "keepalived", "comparison"),
    ("tshark", "tshark", "dissecting captures"),
    ("bird", "bird2", "a neighbour for BFD"),
    ("modprobe", "kmod", "modules of the old kernel"),
    ("qemu-system-x86_64", "qemu-system-x86", "the old kernel"),
    ("busybox", "busybox-static", "user space of the old kernel"),
    ("bash", "bash", "completion"),
    ("zsh", "zsh", "completion"),
    ("fish", "fish", "completion"),
    ("man", "man-db", "manual pages"),
    ("mandoc", "mandoc", "manual pages"),
    ("systemd-analyze", "systemd", "units"),
    ("cc", "build-essential", "linking"),
];

/// Where distributions put nginx's stream module.
const STREAM_MODULES: [&str; 2] =
    ["/usr/lib/nginx/modules/ngx_stream_module.so", "/usr/lib64/nginx/modules/ngx_stream_module.so"];

/// What building bpf-linker needs.
const LLVM_PACKAGES: [&str; 2] = ["llvm-22-dev", "libpolly-22-dev"];
const LLVM_PREFIX: &str = "/usr/lib/llvm-22";

/// Something that is not there.
struct Missing {
    what: String,
    fix: Fix,
}

/// How it can be had.
enum Fix {
    /// Debian packages.
    Packages(&'static [&'static str]),
    /// One Debian package of the table above.
    Package(&'static str),
    /// `cargo install` of bpf-linker.
    Linker,
    /// A component of the running rustup toolchain.
    Component(&'static str),
    /// The old kernel's package, unpacked but not installed.
    OldKernel,
    /// The original's ipvsadm for the virtual machine, likewise.
    Ipvsadm,
}

impl Missing {
    fn line(&self) -> String {
        let fix = match self.fix {
            Fix::Packages(packages) => format!("Debian: {}", packages.join(" ")),
            Fix::Package(package) => format!("Debian: {package}"),
            Fix::Linker => {
                format!("`{}`; needs LLVM {} (Debian: {})", linker_recipe(), toolchain::LLVM, LLVM_PACKAGES.join(" "))
            }
            Fix::Component(name) => format!("`rustup component add {name}`"),
            Fix::OldKernel => "Debian: linux-image-cloud-amd64".into(),
            Fix::Ipvsadm => "Debian: ipvsadm, unpacked and not installed".into(),
        };
        format!("  {}\n      {fix}", self.what)
    }
}

/// Installs what is missing; where it cannot, fails with the list of it.
pub(crate) fn setup(ws: &Workspace) -> Result<()> {
    let missing = missing(ws);
    if missing.is_empty() {
        eprintln!("==> setup: everything is here");
        return Ok(());
    }
    let root = is_root();
    if !root || !apt::available() {
        let why = if root { "this is neither Debian nor Ubuntu" } else { "this needs root" };
        bail!("missing, and not installed because {why}:\n{}", list(&missing));
    }
    install(ws, &missing)?;
    let left = self::missing(ws);
    if !left.is_empty() {
        bail!("still missing:\n{}", list(&left));
    }
    Ok(())
}

/// Whether nothing is missing.
pub(crate) fn is_complete(ws: &Workspace) -> bool {
    missing(ws).is_empty()
}

fn list(missing: &[Missing]) -> String {
    missing.iter().map(Missing::line).collect::<Vec<_>>().join("\n")
}

/// Everything that is not there.
fn missing(ws: &Workspace) -> Vec<Missing> {
    let programs = PROGRAMS
        .iter()
        .filter(|(program, ..)| which(program).is_none())
        .map(|(program, package, why)| Missing { what: format!("{program} ({why})"), fix: Fix::Package(package) });
    let mut missing: Vec<_> = programs.collect();
    if let Err(refused) = toolchain::find() {
        missing.push(Missing {
            what: format!("a Rust compiler with its sources, for the eBPF programs; not usable: {refused:?}"),
            fix: Fix::Packages(&["rustc-web", "cargo-web", "rust-web-src"]),
        });
    }
    if toolchain::bpf_linker().is_none() {
        missing.push(Missing { what: format!("bpf-linker {}", toolchain::BPF_LINKER), fix: Fix::Linker });
    }
    let sysroot = output(Command::new("rustc").args(["--print", "sysroot"])).unwrap_or_default();
    for (program, component) in [("cargo-clippy", "clippy"), ("cargo-fmt", "rustfmt")] {
        if !Path::new(sysroot.trim()).join("bin").join(program).exists() {
            missing
                .push(Missing { what: format!("{program} of the running toolchain"), fix: Fix::Component(component) });
        }
    }
    if oldkernel::SUPPORTED && oldkernel::Kernel::find(ws).is_none() {
        missing
            .push(Missing { what: "a kernel to test the oldest supported version with".into(), fix: Fix::OldKernel });
    }
    if oldkernel::SUPPORTED && !guestbench::is_here(ws) {
        missing.push(Missing {
            what: "ipvsadm of the original (comparison, in a virtual machine)".into(),
            fix: Fix::Ipvsadm,
        });
    }
    if !STREAM_MODULES.iter().any(|path| Path::new(path).exists()) {
        let fix = Fix::Packages(&["libnginx-mod-stream"]);
        missing.push(Missing { what: "nginx's stream module (comparison)".into(), fix });
    }
    missing
}

/// Installs it all: packages first, in one go, then what is built with them.
fn install(ws: &Workspace, missing: &[Missing]) -> Result<()> {
    let mut packages = Vec::new();
    for Missing { fix, .. } in missing {
        match fix {
            Fix::Package(package) => packages.push(*package),
            Fix::Packages(more) => packages.extend(*more),
            Fix::Linker => packages.extend(LLVM_PACKAGES),
            Fix::Component(_) | Fix::OldKernel | Fix::Ipvsadm => {}
        }
    }
    if !packages.is_empty() {
        step(&format!("apt: {}", packages.join(" ")), || apt::install(&packages))?;
    }
    for Missing { fix, .. } in missing {
        match fix {
            Fix::Linker => step("bpf-linker from crates.io (a minute or two, once)", install_linker)?,
            Fix::Component(name) => step(name, || run(Command::new("rustup").args(["component", "add", name])))?,
            Fix::OldKernel => step("the old kernel", || oldkernel::fetch(ws))?,
            Fix::Ipvsadm => step("the original's ipvsadm", || guestbench::fetch(ws))?,
            Fix::Package(_) | Fix::Packages(_) => {}
        }
    }
    Ok(())
}

const LINKER_ARGS: [&str; 6] =
    ["bpf-linker", "--version", toolchain::BPF_LINKER, "--no-default-features", "--features", "llvm-22"];

fn linker_recipe() -> String {
    format!(
        "LLVM_SYS_221_PREFIX={LLVM_PREFIX} LLVM_PREFIX={LLVM_PREFIX} cargo install {} --locked",
        LINKER_ARGS.join(" ")
    )
}

fn install_linker() -> Result<()> {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    // In a directory of its own: neither the project's cargo configuration nor its target directory matter here.
    run(Command::new(cargo)
        .current_dir("/")
        .arg("install")
        .args(LINKER_ARGS)
        .args(["--locked", "--quiet", "--force"])
        .env("LLVM_SYS_221_PREFIX", LLVM_PREFIX)
        .env("LLVM_PREFIX", LLVM_PREFIX)
        // Its own profile asks for full debug information, which makes this six minutes instead of one.
        .env("CARGO_PROFILE_RELEASE_DEBUG", "false")
        .env("CARGO_PROFILE_RELEASE_STRIP", "true")
        .env_remove("CARGO_TARGET_DIR"))
    .with_context(|| format!("installing bpf-linker: {}", linker_recipe()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_missing_thing_says_how_to_get_it() {
        let line = Missing { what: "nginx (real servers)".into(), fix: Fix::Package("nginx-light") }.line();
        assert_eq!(line, "  nginx (real servers)\n      Debian: nginx-light");
        assert!(
            Missing { what: "l".into(), fix: Fix::Linker }.line().contains("cargo install bpf-linker --version 0.13.0")
        );
    }
}
