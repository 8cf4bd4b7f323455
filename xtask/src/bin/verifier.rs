//! Loads each program of an eBPF object into the running kernel and reports what the verifier made of it.
//!
//! Nothing is attached or pinned; everything is gone when this ends. Usage:
//! `verifier [--json] [--no-budget | --budget FILE] OBJECT`.
#![forbid(unsafe_code)]

use anyhow::{Context, Result, bail};
use aya::programs::{Program, ProgramError, ProgramInfo};
use aya::{Btf, Ebpf, EbpfLoader};
use std::path::PathBuf;
use std::process::ExitCode;

/// How far a program may exceed its budget, in percent.
///
/// How many paths the verifier must walk depends on the order of functions and on the registers they got, which change with the
/// checkout's path (it is hashed into the names of symbols) and the compiler's version: the same source has been seen to
/// differ by 40 %. What is stable is its order of magnitude, and that is what decides whether a program loads in time.
fn tolerance(what: &str) -> u64 {
    if what == "verified" { 100 } else { 10 }
}
/// Maps are made small: the verifier does not look at how many entries they have.
const MAP_ENTRIES: u32 = 64;

/// How much is shown of what the verifier says about a program that it refuses.
const LOG_LINES: usize = 30;

/// What the kernel says about one program.
#[derive(Clone, PartialEq, Eq, Debug)]
struct Figures {
    name: String,
    /// Instructions that the verifier walked through, over all paths.
    verified: u64,
    /// Bytes of the program as the kernel stores it.
    translated: u64,
    /// Bytes of machine code.
    jited: u64,
}

/// The command line.
#[derive(Default)]
struct Options {
    json: bool,
    budget: Option<PathBuf>,
    object: PathBuf,
}

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("verifier: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> Result<()> {
    let options = parse(std::env::args().skip(1))?;
    let data = std::fs::read(&options.object).with_context(|| format!("reading {}", options.object.display()))?;
    let object = aya_obj::Object::parse(&data).context("reading the object")?;
    let frame = deepest_frame(&object);
    let figures = load(&data, &object)?;
    if options.json {
        println!("{}", json(&figures, &frame));
    } else {
        println!("{}deepest stack frame: {} bytes, of `{}`", table(&figures), frame.0, frame.1);
    }
    let Some(path) = options.budget else { return Ok(()) };
    let text = std::fs::read_to_string(&path).with_context(|| format!("reading {}", path.display()))?;
    let over = over_budget(&figures, &frame, &text.parse().with_context(|| format!("parsing {}", path.display()))?);
    if !over.is_empty() {
        bail!("over the budget in {}:\n  {}", path.display(), over.join("\n  "));
    }
    Ok(())
}

fn parse(mut args: impl Iterator<Item = String>) -> Result<Options> {
    let mut options = Options::default();
    while let Some(arg) = args.next() {
        match arg.as_str() {
            "--json" => options.json = true,
            "--no-budget" => options.budget = None,
            "--budget" => options.budget = Some(args.next().context("--budget needs a file")?.into()),
            object => options.object = object.into(),
        }
    }
    Ok(options)
}

/// Bytes of stack that the hungriest function uses, and its name. The kernel allows 512 for all functions of a call together.
fn deepest_frame(object: &aya_obj::Object) -> (u64, String) {
    let frame = |function: &aya_obj::Function| {
        let mut deepest = 0;
        for (insn, next) in function.instructions.iter().zip(function.instructions.iter().skip(1)) {
            deepest = deepest.min(match (insn.code, next.code) {
                // A store to or load from the frame; or its address copied, then lowered by a constant.
                (_, _) if insn.dst_reg() == 10 || (insn.code & 0x07 == 0x01 && insn.src_reg() == 10) => {
                    i64::from(insn.off)
                }
                (0xbf, 0x07) if insn.src_reg() == 10 && next.dst_reg() == insn.dst_reg() => i64::from(next.imm),
                _ => 0,
            });
        }
        deepest.unsigned_abs()
    };
    object.functions.values().map(|function| (frame(function), function.name.clone())).max().unwrap_or_default()
}

/// Loads the object's programs, one after the other.
fn load(data: &[u8], object: &aya_obj::Object) -> Result<Vec<Figures>> {
    let mut ebpf = open(data, object)?;
    let mut names: Vec<String> = ebpf.programs().map(|(name, _)| name.to_owned()).collect();
    names.sort();
    let mut figures = Vec::new();
    let mut refused = Vec::new();
    for name in names {
        let program = ebpf.program_mut(&name).context("the program has gone")?;
        let info = match load_program(program) {
            Ok(info) => info,
            Err(error) => {
                refused.push(format!("`{name}`: {}", tail(&format!("{error:#}"))));
                continue;
            }
        };
        figures.push(Figures {
            name,
            verified: info.verified_instruction_count().map_or(0, u64::from),
            translated: info.size_translated().map_or(0, u64::from),
            jited: u64::from(info.size_jitted()),
        });
    }
    if !refused.is_empty() {
        bail!("{}", refused.join("\n\n"));
    }
    Ok(figures)
}

/// The last lines of a text: the verifier tells its reason at the end of a very long log.
fn tail(text: &str) -> String {
    let lines: Vec<_> = text.lines().collect();
    lines[lines.len().saturating_sub(LOG_LINES)..].join("\n")
}

/// Opens the object with all maps small.
fn open(data: &[u8], object: &aya_obj::Object) -> Result<Ebpf> {
    let mut loader = EbpfLoader::new();
    let btf = Btf::from_sys_fs().ok();
    loader.btf(btf.as_ref());
    let ring = aya_obj::generated::bpf_map_type::BPF_MAP_TYPE_RINGBUF as u32;
    for (name, map) in &object.maps {
        if map.max_entries() > MAP_ENTRIES && map.map_type() != ring {
            loader.map_max_entries(name, MAP_ENTRIES);
        }
    }
    loader.load(data).context("creating the maps")
}

fn load_program(program: &mut Program) -> Result<ProgramInfo> {
    let loaded: Result<(), ProgramError> = match program {
        Program::Xdp(program) => program.load(),
        Program::SchedClassifier(program) => program.load(),
        Program::SkLookup(program) => program.load(),
        _ => bail!("of a type that the data plane does not use"),
    };
    loaded.context("the verifier refused it")?;
    Ok(program.info()?)
}

fn table(figures: &[Figures]) -> String {
    let mut text = format!("{:<20} {:>10} {:>12} {:>10}\n", "program", "verified", "translated", "machine");
    for f in figures {
        text += &format!("{:<20} {:>10} {:>12} {:>10}\n", f.name, f.verified, f.translated, f.jited);
    }
    text
}

/// Names of programs are identifiers: nothing in them needs escaping.
fn json(figures: &[Figures], frame: &(u64, String)) -> String {
    let rows: Vec<_> = figures
        .iter()
        .map(|f| {
            format!(
                r#"{{"program":"{}","verified_instructions":{},"translated_bytes":{},"machine_code_bytes":{}}}"#,
                f.name, f.verified, f.translated, f.jited
            )
        })
        .collect();
    format!(r#"{{"programs":[{}],"deepest_frame":{{"bytes":{},"function":"{}"}}}}"#, rows.join(","), frame.0, frame.1)
}

/// One line for each figure that is over, and for each program that has no budget.
fn over_budget(figures: &[Figures], frame: &(u64, String), budget: &toml::Table) -> Vec<String> {
    let programs = figures
        .iter()
        .flat_map(|f| [(f.name.as_str(), "verified", f.verified), (f.name.as_str(), "translated", f.translated)]);
    let limit = |section, what| {
        let limit = budget.get(section).and_then(|row| row.get(what)).and_then(toml::Value::as_integer);
        limit.and_then(|limit| u64::try_from(limit).ok())
    };
    programs
        .chain([("stack", "deepest_frame", frame.0)])
        .filter_map(|(section, what, value)| match limit(section, what) {
            None => Some(format!("[{section}] has no `{what}`; it is {value} now")),
            Some(limit) if value * 100 > limit * (100 + tolerance(what)) => {
                Some(format!("{section}: {what} is {value}, budget {limit}"))
            }
            Some(_) => None,
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn budget_allows_a_margin_and_no_unknown_program() {
        let over = |verified, frame, budget: &str| {
            let figures = [Figures { name: "tc".into(), verified, translated: 100, jited: 0 }];
            over_budget(&figures, &(frame, String::new()), &budget.parse().unwrap())
        };
        let budget = "[tc]\nverified = 1000\ntranslated = 100\n[stack]\ndeepest_frame = 200\n";
        assert_eq!(over(2000, 220, budget), Vec::<String>::new());
        assert_eq!(over(2001, 200, budget), ["tc: verified is 2001, budget 1000"]);
        assert_eq!(over(1, 221, budget), ["stack: deepest_frame is 221, budget 200"]);
        assert_eq!(over(1, 1, "").len(), 3);
    }
}
