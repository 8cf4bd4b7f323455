use super::*;
use crate::world::Woken;
use rvs_config::names::FixedNames;
use rvs_core::abi::ServiceKey;
use rvs_dataplane::{Error, UpdateError};
use rvs_intent::{Connection, Edit, Listing};
use std::cell::RefCell;
use std::rc::Rc;

#[derive(Clone, Default)]
struct Kernel(Rc<RefCell<Model>>);

impl Dataplane for Kernel {
    fn update(&mut self, edits: &[Edit]) -> Result<(), UpdateError> {
        self.0.borrow_mut().update(edits)
    }

    fn listing(&mut self) -> Result<Listing, Error> {
        self.0.borrow_mut().listing()
    }

    fn connections(&mut self) -> Result<Vec<Connection>, Error> {
        self.0.borrow_mut().connections()
    }

    fn zero(&mut self, service: Option<ServiceKey>) -> Result<(), UpdateError> {
        self.0.borrow_mut().zero(service)
    }
}

/// A machine: its files and its table.
struct Machine {
    root: PathBuf,
    kernel: Kernel,
}

impl Machine {
    fn new(name: &str, files: &[(&str, &str)]) -> Self {
        let root = std::env::temp_dir().join(format!("rvs-unit-{name}-{}", std::process::id()));
        fs::create_dir_all(root.join("etc/default")).unwrap();
        let machine = Self { root, kernel: Kernel::default() };
        files.iter().for_each(|(path, text)| machine.write(path, text));
        machine
    }

    fn write(&self, path: &str, text: &str) {
        let path = self.root.join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    fn read(&self, path: &str) -> String {
        fs::read_to_string(self.root.join(path)).unwrap()
    }

    /// Status, output and complaints of a step.
    fn step(&self, step: Step) -> (i32, String, String) {
        self.with(|world| run(step, &self.root, world))
    }

    fn ipvsadm(&self, line: &str) -> String {
        let args: Vec<OsString> = line.split(' ').map(OsString::from).collect();
        self.with(|world| ipvsadm::run(&args, world)).1
    }

    fn with(&self, tool: impl FnOnce(&mut World<'_>) -> i32) -> (i32, String, String) {
        let (mut out, mut err) = (Vec::new(), Vec::new());
        let world = &mut World {
            stdin: &mut io::empty(),
            stdin_name: None,
            out: &mut out,
            err: &mut err,
            names: &FixedNames::default(),
            open: &mut |_| Ok(Box::new(self.kernel.clone())),
            pause: &mut |_| Woken::Elapsed,
        };
        let status = tool(world);
        (status, String::from_utf8(out).unwrap(), String::from_utf8(err).unwrap())
    }
}

impl Drop for Machine {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.root);
    }
}

const RULES: &str = "# by hand\n-A -t 10.0.1.10:80\n-a -t 10.0.1.10:80 -r 10.0.2.11 -m -x 100\n";
const SAVED: &str = "-A -t 10.0.1.10:80 -s wlc\n-a -t 10.0.1.10:80 -r 10.0.2.11:80 -m -w 1\n";

#[test]
fn rules_are_restored_saved_and_cleared_where_the_distribution_has_them() {
    for file in ["etc/ipvsadm.rules", "etc/sysconfig/ipvsadm"] {
        let machine = Machine::new(&file.replace('/', "-"), &[(file, RULES)]);
        let (status, out, err) = machine.step(Step::Start);
        assert_eq!((status, err.as_str()), (0, ""), "{out}");
        assert!(out.starts_with("restored ") && out.ends_with(&format!("{file}\n")), "{out}");
        assert_eq!(machine.ipvsadm("-Sn"), SAVED);
        machine.ipvsadm("-A -u 10.0.1.10:53 -s rr");
        assert_eq!(machine.step(Step::Stop).0, 0);
        let head = file.rsplit('/').next().unwrap();
        assert_eq!(machine.read(file), format!("# {head}\n{SAVED}-A -u 10.0.1.10:53 -s rr\n"));
        assert_eq!(machine.ipvsadm("-Sn"), "");
        assert_eq!(machine.step(Step::Start).0, 0);
        assert_eq!(machine.ipvsadm("-Sn"), format!("{SAVED}-A -u 10.0.1.10:53 -s rr\n"));
    }
}

#[test]
fn a_file_that_says_the_same_keeps_its_comments_and_thresholds() {
    let machine = Machine::new("same", &[("etc/ipvsadm.rules", RULES)]);
    machine.step(Step::Start);
    assert_eq!(machine.step(Step::Stop).0, 0);
    assert_eq!(machine.read("etc/ipvsadm.rules"), RULES);
}

#[test]
fn the_first_stop_makes_the_file() {
    let debian = Machine::new("first-debian", &[]);
    let (status, out, _) = debian.step(Step::Start);
    assert!(status == 0 && out.contains("nothing to restore"), "{out}");
    debian.ipvsadm("-A -t 10.0.1.10:80");
    assert_eq!(debian.step(Step::Stop).0, 0);
    assert_eq!(debian.read("etc/ipvsadm.rules"), "# ipvsadm.rules\n-A -t 10.0.1.10:80 -s wlc\n");
    let red_hat = Machine::new("first-red-hat", &[("etc/sysconfig/other", "")]);
    assert_eq!(red_hat.step(Step::Stop).0, 0);
    assert_eq!(red_hat.read("etc/sysconfig/ipvsadm"), "# ipvsadm\n");
}

#[test]
fn a_bad_line_is_named_and_changes_nothing() {
    let machine = Machine::new("bad", &[("etc/ipvsadm.rules", "-A -t 10.0.1.10:80\n-A -t nonsense\n")]);
    machine.ipvsadm("-A -u 10.0.1.10:53");
    for step in [Step::Start, Step::Reload] {
        let (status, out, err) = machine.step(step);
        assert_eq!((status, out.as_str()), (1, ""));
        assert!(err.contains("etc/ipvsadm.rules: line 2: ") && err.contains("nothing was restored"), "{err}");
        assert_eq!(machine.ipvsadm("-Sn"), "-A -u 10.0.1.10:53 -s wlc\n");
    }
}

#[test]
fn the_variables_of_debian_are_obeyed() {
    let off = Machine::new("off", &[("etc/default/ipvsadm", "AUTO=\"false\"\n"), ("etc/ipvsadm.rules", RULES)]);
    assert_eq!(off.step(Step::Start).0, 0);
    assert_eq!(off.ipvsadm("-Sn"), "", "nothing is restored");
    off.ipvsadm("-A -u 10.0.1.10:53");
    assert_eq!(off.step(Step::Stop).0, 0);
    assert_eq!(off.ipvsadm("-Sn"), "-A -u 10.0.1.10:53 -s wlc\n", "nor cleared");
    assert_eq!(off.read("etc/ipvsadm.rules"), RULES, "nor saved");
    let bad = Machine::new("bad-default", &[("etc/default/ipvsadm", "AUTO=true\nDAEMON=$ROLE\n")]);
    let (status, _, err) = bad.step(Step::Start);
    assert!(status == 1 && err.contains("etc/default/ipvsadm: line 2: DAEMON must be"), "{err}");
}

/// Balancing matters more than its synchronisation: the rules are restored, and the failure is told.
#[test]
fn a_daemon_that_does_not_start_is_told_after_the_rules_are_restored() {
    let files = [
        ("etc/default/ipvsadm", "AUTO=true\nDAEMON=master\nIFACE=a-name-far-too-long\n"),
        ("etc/ipvsadm.rules", RULES),
    ];
    let machine = Machine::new("daemon", &files);
    let (status, out, err) = machine.step(Step::Start);
    assert!(status == 1 && out.starts_with("restored "), "{out}");
    assert!(err.starts_with("connection synchronisation (master): "), "{err}");
    assert_eq!(machine.ipvsadm("-Sn"), SAVED);
}

#[test]
fn a_table_that_cannot_be_saved_is_not_cleared() {
    let machine = Machine::new("unsaved", &[("etc/ipvsadm.rules/in-the-way", "")]);
    machine.ipvsadm("-A -t 10.0.1.10:80");
    let (status, _, err) = machine.step(Step::Stop);
    assert!(status == 1 && err.contains("the rules were not saved in "), "{err}");
    assert_eq!(machine.ipvsadm("-Sn"), "-A -t 10.0.1.10:80 -s wlc\n");
}
