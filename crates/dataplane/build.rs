//! Finds the eBPF object that the kernel backend embeds, and gives it a number that changes with it.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::PathBuf;
use std::{env, fs, process};

fn main() {
    println!("cargo::rerun-if-env-changed=RVS_BPF_OBJECT");
    let manifest = env::var("CARGO_MANIFEST_DIR").expect("cargo sets it");
    let default = PathBuf::from(manifest).join("../../target/bpf/rvs.o");
    let object = env::var_os("RVS_BPF_OBJECT").map_or(default, PathBuf::from);
    println!("cargo::rerun-if-changed={}", object.display());
    let (path, bytes) = match object.canonicalize().and_then(|path| Ok((path.clone(), fs::read(path)?))) {
        Ok(found) => found,
        Err(error) => {
            println!("cargo::error=the eBPF object {} is missing ({error}): run `cargo xtask build`", object.display());
            process::exit(1);
        }
    };
    let mut hasher = DefaultHasher::new();
    bytes.hash(&mut hasher);
    println!("cargo::rustc-env=RVS_BPF_OBJECT={}", path.display());
    println!("cargo::rustc-env=RVS_BPF_OBJECT_HASH={:016x}", hasher.finish());
}
