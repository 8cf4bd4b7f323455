//! Servers of a test's own, checks with a quick pace, and namespaces that go with the thread that made them.

use nix::sched::{CloneFlags, unshare};
use rvs_checker::*;
use rvs_prober::{Prober, Told};
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::process::Command;
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream};

/// How long tests wait for what must happen.
pub(crate) const DEADLINE: Duration = Duration::from_secs(60);

/// Runs a test as the daemon runs.
pub(crate) fn run<T>(test: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap()
        .block_on(async { tokio::time::timeout(DEADLINE, test).await.expect("the test takes too long") })
}

/// One try, no waiting but for the answer.
pub(crate) fn pace(timeout: Duration) -> Pace {
    Pace {
        alpha: false,
        connect_timeout: timeout,
        retry: 0,
        delay_before_retry: Duration::from_millis(50),
        warmup: Duration::ZERO,
        delay_loop: Duration::from_secs(3600),
    }
}

pub(crate) fn check(address: SocketAddr, probe: Probe) -> CheckParams {
    CheckParams { target: Target::new(address), pace: pace(Duration::from_secs(10)), log_all_failures: true, probe }
}

/// The first verdict about health of one check.
pub(crate) async fn verdict(params: CheckParams) -> Verdict {
    verdicts([("it", params)]).await.remove("it").unwrap()
}

/// Whether the first verdict is up; the reason if not.
pub(crate) async fn health(params: CheckParams) -> Result<(), Reason> {
    match verdict(params).await {
        Verdict::Down { reason, .. } => Err(reason),
        _ => Ok(()),
    }
}

/// The first verdicts about health of several checks, done at once.
pub(crate) async fn verdicts<S: Ord + Clone + core::fmt::Debug>(
    checks: impl IntoIterator<Item = (S, CheckParams)>,
) -> BTreeMap<S, Verdict> {
    let mut prober = Prober::new(7).unwrap();
    let mut wanted = 0;
    for (who, params) in checks {
        prober.subscribe(who, params);
        wanted += 1;
    }
    collect(&mut prober, wanted).await
}

/// The first verdicts about health of so many subscribers.
pub(crate) async fn collect<S: Ord + Clone + core::fmt::Debug>(
    prober: &mut Prober<S>,
    wanted: usize,
) -> BTreeMap<S, Verdict> {
    let mut found = BTreeMap::new();
    while found.len() < wanted {
        match prober.next().await {
            Told::Verdict(who, verdict @ (Verdict::Up { .. } | Verdict::Down { .. })) => {
                found.entry(who).or_insert(verdict);
            }
            Told::Unusable(who, why) => panic!("{who:?}: {why}"),
            _ => {}
        }
    }
    found
}

/// A server on the loopback that does this with each connection.
pub(crate) async fn serve<F: Future<Output = ()> + Send + 'static>(
    each: impl Fn(TcpStream) -> F + Send + 'static,
) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(each(stream));
        }
    });
    address
}

/// Without root the tests of namespaces can show nothing.
pub(crate) fn is_root() -> bool {
    let root = nix::unistd::geteuid().is_root();
    if !root {
        println!("skipped: needs root");
    }
    root
}

/// Runs `test` on a thread in a network namespace of its own, with the loopback up; nothing without root.
pub(crate) fn in_namespace<T: Send>(test: impl FnOnce() -> T + Send) -> Option<T> {
    is_root().then(|| {
        std::thread::scope(|scope| {
            let thread = scope.spawn(|| {
                unshare(CloneFlags::CLONE_NEWNET).unwrap();
                sh("ip link set lo up");
                test()
            });
            thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
        })
    })
}

/// Runs a command in the calling thread's namespace.
pub(crate) fn sh(command: &str) -> String {
    let output = Command::new("sh").args(["-c", command]).output().unwrap();
    assert!(output.status.success(), "{command}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}
