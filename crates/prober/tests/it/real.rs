//! The servers that people run, from the distribution's packages: private instances in a scratch folder and a namespace of their
//! own. Each is waited for by the check that it is there for, then asked wrongly, then killed.

use crate::world::{check, health, in_namespace, run, sh};
use rvs_checker::*;
use rvs_prober::{Prober, Told};
use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

/// A server that goes with this value, with all that it started.
struct Server(Child);

impl Server {
    fn start(program: &str, arguments: &[&str]) -> Self {
        let mut command = Command::new(program);
        command.args(arguments).process_group(0).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        Self(command.spawn().unwrap_or_else(|error| panic!("{program}: {error}; `cargo xtask setup` installs it")))
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let group = nix::unistd::Pid::from_raw(i32::try_from(self.0.id()).unwrap());
        let _ = nix::sys::signal::killpg(group, nix::sys::signal::Signal::SIGKILL);
        let _ = self.0.wait();
    }
}

fn at(port: u16) -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 1], port))
}

fn page(version: HttpVersion, path: &str, digest: &[u8], tls: Option<Tls>) -> Probe {
    let digest = Some(rvs_checker::genhash::digest(digest));
    let urls = vec![Url { path: path.into(), digest, status: vec![(200, 200)], ..Url::default() }];
    Probe::Http(Http { urls, version, virtualhost: Some("www.example.org".into()), fast_recovery: false, tls })
}

/// Waits until the check comes up.
async fn comes_up(port: u16, probe: Probe) {
    follow(port, probe, true, None).await;
}

/// Waits until the check is up, then kills the server and waits until it is down.
async fn goes_with(server: Server, port: u16, probe: Probe) {
    follow(port, probe, true, Some(server)).await;
}

async fn follow(port: u16, probe: Probe, alpha: bool, mut server: Option<Server>) {
    let mut params = check(at(port), probe);
    params.pace.alpha = alpha;
    params.pace.delay_loop = Duration::from_millis(200);
    params.pace.connect_timeout = Duration::from_secs(3);
    let mut prober = Prober::new(3).unwrap();
    prober.subscribe((), params);
    let mut up = false;
    loop {
        match prober.next().await {
            Told::Verdict((), Verdict::Up { .. }) if server.is_none() => return,
            Told::Verdict((), Verdict::Up { .. }) => {
                up = true;
                drop(server.take());
                server = Some(Server::start("true", &[]));
            }
            Told::Verdict((), Verdict::Down { .. }) if up => return,
            _ => {}
        }
    }
}

async fn found(port: u16, probe: Probe) -> Result<(), Reason> {
    health(check(at(port), probe)).await
}

/// A scratch folder that other users can go through.
fn scratch() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    std::fs::set_permissions(folder.path(), std::fs::Permissions::from_mode(0o755)).unwrap();
    folder
}

#[test]
fn nginx_gives_pages_by_every_version_of_http() {
    in_namespace(|| {
        let folder = scratch();
        let root = folder.path();
        let certificate = rcgen::generate_simple_self_signed(vec!["www.example.org".to_owned()]).unwrap();
        std::fs::write(root.join("cert.pem"), certificate.cert.pem()).unwrap();
        std::fs::write(root.join("key.pem"), certificate.signing_key.serialize_pem()).unwrap();
        std::fs::write(root.join("page"), "hello world\n").unwrap();
        let large: Vec<u8> = (0..3_000_000_u32).map(|n| (n.wrapping_mul(2_654_435_761) >> 13) as u8).collect();
        std::fs::write(root.join("large"), &large).unwrap();
        let text = format!(
            "daemon off; master_process off; user root; pid {0}/pid; error_log /dev/null;\n\
             events {{ worker_connections 64; }}\n\
             http {{ access_log off; client_body_temp_path {0}/t1; proxy_temp_path {0}/t2; fastcgi_temp_path {0}/t3; \
             uwsgi_temp_path {0}/t4; scgi_temp_path {0}/t5; root {0}; \
             server {{ listen 127.0.0.1:80; return 301 /; location /page {{ try_files /page =404; }} }} \
             server {{ listen 127.0.0.1:81 http2; location /teapot {{ return 418; }} location /moved {{ return 307 /; }} }} \
             server {{ listen 127.0.0.1:443 ssl http2; ssl_certificate cert.pem; ssl_certificate_key key.pem; }} }}\n",
            root.display()
        );
        std::fs::write(root.join("nginx.conf"), text).unwrap();
        let server = Server::start("nginx", &["-p", root.to_str().unwrap(), "-c", "nginx.conf"]);
        run(async {
            use HttpVersion::{Http2, Http10, Http10Close, Http11};
            let hello = b"hello world\n";
            let tls = || Some(Tls { sni: Some("www.example.org".into()), ..Tls::default() });
            comes_up(81, page(Http2, "/page", hello, None)).await;
            for version in [Http10, Http10Close, Http11] {
                assert_eq!(found(443, page(version, "/page", hello, tls())).await, Ok(()), "{version:?}");
            }
            assert_eq!(found(443, page(Http2, "/page", hello, tls())).await, Ok(()));
            assert_eq!(found(443, page(Http2, "/large", &large, tls())).await, Ok(()));
            assert_eq!(found(81, page(Http2, "/large", &large, None)).await, Ok(()));
            assert_eq!(found(443, page(Http11, "/large", &large, tls())).await, Ok(()));
            for (path, code) in [("/none", 404), ("/teapot", 418), ("/moved", 307)] {
                assert_eq!(found(81, page(Http2, path, hello, None)).await, Err(Reason::Status(code)));
            }
            assert!(matches!(found(81, page(Http2, "/page", b"else", None)).await, Err(Reason::Digest(_))));
            assert_eq!(found(80, page(Http11, "/", hello, None)).await, Err(Reason::Status(301)));
            // HTTP/2 is not what this port speaks.
            assert!(matches!(found(80, page(Http2, "/", hello, None)).await, Err(Reason::Malformed(_))));
            // An encrypted port that is not spoken to in its way, and the other way round.
            assert!(found(443, page(Http11, "/page", hello, None)).await.is_err());
            assert!(matches!(found(80, page(Http11, "/", hello, tls())).await, Err(Reason::Tls(_))));
            assert_eq!(found(80, Probe::Tcp).await, Ok(()));
            goes_with(server, 443, page(Http2, "/page", hello, tls())).await;
        });
    });
}

#[test]
fn redis_says_pong_to_who_knows_the_password() {
    in_namespace(|| {
        let folder = scratch();
        let folder = folder.path().to_str().unwrap();
        let arguments =
            ["--port", "6379", "--bind", "127.0.0.1", "--save", "", "--dir", folder, "--requirepass", "geheim"];
        let server = Server::start("redis-server", &arguments);
        run(async {
            let redis = |password: Option<&str>, role: Option<&str>| {
                let (password, role) = (password.map(str::to_owned), role.map(str::to_owned));
                Probe::Redis(Redis { username: None, password, role })
            };
            comes_up(6379, redis(Some("geheim"), Some("master"))).await;
            assert!(matches!(found(6379, redis(Some("wrong"), None)).await, Err(Reason::Denied(_))));
            assert!(matches!(found(6379, redis(None, None)).await, Err(Reason::Denied(_))));
            assert_eq!(found(6379, redis(Some("geheim"), Some("slave"))).await, Err(Reason::Role("master".into())));
            goes_with(server, 6379, redis(Some("geheim"), None)).await;
        });
    });
}

#[test]
fn mariadb_lets_in_who_knows_the_password() {
    in_namespace(|| {
        let folder = scratch();
        let root = folder.path().display();
        // What mariadb-install-db does, without the client's programs, which it needs.
        sh(&format!(
            "mkdir {root}/data && cd /usr/share/mysql && \
             {{ printf 'CREATE DATABASE mysql;\\nUSE mysql;\\nSET @auth_root_socket=NULL;\\nSET @skip_auth_anonymous=1;\\n'; \
             cat mysql_system_tables.sql mysql_system_tables_data.sql; }} | \
             mariadbd --no-defaults --bootstrap --user=root --datadir={root}/data --innodb-buffer-pool-size=16M"
        ));
        let users = "CREATE USER open@'%';\nCREATE USER me@'%' IDENTIFIED BY 'geheim';\n";
        std::fs::write(folder.path().join("init.sql"), users).unwrap();
        let arguments = [
            "--no-defaults".to_owned(),
            format!("--datadir={root}/data"),
            format!("--socket={root}/socket"),
            format!("--init-file={root}/init.sql"),
            format!("--pid-file={root}/pid"),
            "--port=3306".to_owned(),
            "--bind-address=127.0.0.1".to_owned(),
            "--user=root".to_owned(),
            "--skip-name-resolve".to_owned(),
            "--innodb-buffer-pool-size=16M".to_owned(),
        ];
        let server = Server::start("mariadbd", &arguments.each_ref().map(String::as_str));
        run(async {
            let mysql = |username: Option<&str>, password: Option<&str>| {
                let (username, password) = (username.map(str::to_owned), password.map(str::to_owned));
                Probe::Mysql(Mysql { username, password })
            };
            comes_up(3306, mysql(Some("me"), Some("geheim"))).await;
            assert_eq!(found(3306, mysql(None, None)).await, Ok(()));
            assert_eq!(found(3306, mysql(Some("open"), None)).await, Ok(()));
            for (user, password) in [("me", Some("wrong")), ("me", None), ("nobody", Some("geheim"))] {
                let found = found(3306, mysql(Some(user), password)).await;
                assert!(matches!(found, Err(Reason::Denied(_))), "{user}: {found:?}");
            }
            goes_with(server, 3306, mysql(Some("me"), Some("geheim"))).await;
        });
    });
}

#[test]
fn postgresql_asks_who_we_are() {
    in_namespace(|| {
        let folder = scratch();
        let root = folder.path().display();
        let programs = sh("ls -d /usr/lib/postgresql/*/bin | tail -1");
        let programs = programs.trim();
        sh(&format!(
            "mkdir {root}/data && chown postgres {root}/data && cd / && \
             setpriv --reuid=postgres --regid=postgres --clear-groups {programs}/initdb -N -A md5 -U postgres \
             --pwfile=/etc/hostname -D {root}/data >/dev/null"
        ));
        let postgres = format!("{programs}/postgres");
        let data = format!("{root}/data");
        let user = ["--reuid=postgres", "--regid=postgres", "--clear-groups"];
        let more = [postgres.as_str(), "-D", &data, "-p", "5432", "-k", "", "-c", "listen_addresses=127.0.0.1"];
        let server = Server::start("setpriv", &[&user[..], &more[..]].concat());
        run(async {
            let pgsql = |ssl_request| {
                let database = Some("postgres".to_owned());
                Probe::Pgsql(Pgsql { username: "postgres".into(), database, ssl_request })
            };
            comes_up(5432, pgsql(false)).await;
            assert_eq!(found(5432, pgsql(true)).await, Ok(()));
            // Somebody whom the server does not let in from here.
            let rules = Path::new(&data).join("pg_hba.conf");
            std::fs::write(rules, "local all all trust\n").unwrap();
            sh(&format!("kill -HUP $(head -1 {data}/postmaster.pid)"));
            loop {
                if matches!(found(5432, pgsql(false)).await, Err(Reason::Denied(_))) {
                    break;
                }
            }
            goes_with(server, 5432, Probe::Tcp).await;
        });
    });
}

#[test]
fn dnsmasq_answers_for_its_names() {
    in_namespace(|| {
        let server = Server::start(
            "dnsmasq",
            &[
                "--keep-in-foreground",
                "--conf-file=/dev/null",
                "--listen-address=127.0.0.1",
                "--bind-interfaces",
                "--no-resolv",
                "--no-hosts",
                "--user=root",
                "--pid-file=",
                "--local=/example.org/",
                "--address=/example.org/192.0.2.1",
                "--txt-record=example.org,hello",
                "--mx-host=example.org,mail.example.org",
            ],
        );
        run(async {
            let dns = |kind, name: &str| Probe::Dns(Dns { kind, name: name.into() });
            comes_up(53, dns(DnsType::A, "example.org")).await;
            for kind in [DnsType::Txt, DnsType::Mx, DnsType::Aaaa] {
                assert_eq!(found(53, dns(kind, "example.org.")).await, Ok(()), "{kind:?}");
            }
            // It knows nobody to ask.
            assert_eq!(found(53, dns(DnsType::Soa, "")).await, Err(Reason::Rcode(5)));
            goes_with(server, 53, dns(DnsType::A, "example.org")).await;
        });
    });
}

#[test]
fn a_mail_server_takes_its_leave() {
    in_namespace(|| {
        let arguments = ["--interface=127.0.0.1", "--port=25", "--command=true", "--log=none"];
        let server = Server::start("msmtpd", &arguments);
        run(async {
            let smtp = || Probe::Smtp(Smtp { helo: "director.example.org".into(), hosts: vec![] });
            comes_up(25, smtp()).await;
            goes_with(server, 25, smtp()).await;
        });
    });
}

#[test]
fn etcd_serves_by_grpc() {
    in_namespace(|| {
        let folder = scratch();
        let folder = folder.path().to_str().unwrap();
        let client = "http://127.0.0.1:2379";
        let peer = ["--listen-peer-urls=http://127.0.0.1:2380", "--logger=zap", "--log-level=error"];
        let own = ["--data-dir", folder, "--listen-client-urls", client, "--advertise-client-urls", client];
        let server = Server::start("etcd", &[&own[..], &peer[..]].concat());
        run(async {
            let grpc = |service: &str| Probe::Grpc(Grpc { service: service.into(), ..Grpc::default() });
            comes_up(2379, grpc("")).await;
            // The answer to who asks for what it does not have is a refusal of the call.
            assert!(matches!(found(2379, grpc("no.such.Service")).await, Err(Reason::NotServing(_))));
            goes_with(server, 2379, grpc("")).await;
        });
    });
}
