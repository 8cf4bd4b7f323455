//! TLS: certificates of all kinds of wrong, names, farewells, agreements on a protocol, and our own certificate.

use crate::world::{check, collect, health, run};
use rcgen::{BasicConstraints, CertificateParams, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair, date_time_ymd};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig, ServerConnection, StreamOwned};
use rvs_checker::*;
use rvs_prober::{Prober, TlsFiles};
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener};
use std::path::PathBuf;
use std::sync::Arc;

/// An authority, and a folder with its certificate.
struct Authority {
    issuer: Issuer<'static, KeyPair>,
    certificate: CertificateDer<'static>,
    folder: tempfile::TempDir,
}

impl Authority {
    fn new() -> Self {
        let mut params = CertificateParams::new([]).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().unwrap();
        let certificate = params.self_signed(&key).unwrap();
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("ca.pem"), certificate.pem()).unwrap();
        Self { issuer: Issuer::new(params, key), certificate: certificate.der().clone(), folder }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// A certificate for these names, valid until the end of this year.
    fn certificate(&self, names: &[&str], until: i32) -> (rcgen::Certificate, KeyPair) {
        let mut params = CertificateParams::new(names.iter().map(|&name| name.to_owned()).collect::<Vec<_>>()).unwrap();
        params.not_before = date_time_ymd(2000, 1, 1);
        params.not_after = date_time_ymd(until, 12, 31);
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth, ExtendedKeyUsagePurpose::ClientAuth];
        let key = KeyPair::generate().unwrap();
        (params.signed_by(&key, &self.issuer).unwrap(), key)
    }

    fn files(&self) -> TlsFiles {
        TlsFiles { authorities: Some(self.path("ca.pem")), ..TlsFiles::default() }
    }
}

struct How {
    names: &'static [&'static str],
    until: i32,
    farewell: bool,
    alpn: Option<&'static [u8]>,
    /// Only for clients of this authority.
    clients: bool,
}

const GOOD: How =
    How { names: &["www.example.org", "127.0.0.1"], until: 2099, farewell: true, alpn: None, clients: false };

/// A server that answers each request with a page that its end ends.
fn server(authority: &Authority, how: &How) -> SocketAddr {
    let (certificate, key) = authority.certificate(how.names, how.until);
    let key = PrivateKeyDer::try_from(key.serialize_der()).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ServerConfig::builder_with_provider(Arc::clone(&provider)).with_safe_default_protocol_versions();
    let builder = builder.unwrap();
    let builder = if how.clients {
        let mut roots = RootCertStore::empty();
        roots.add(authority.certificate.clone()).unwrap();
        let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider).build().unwrap();
        builder.with_client_cert_verifier(verifier)
    } else {
        builder.with_no_client_auth()
    };
    let mut config = builder.with_single_cert(vec![certificate.der().clone()], key).unwrap();
    config.alpn_protocols = how.alpn.iter().map(|name| name.to_vec()).collect();
    let (config, farewell) = (Arc::new(config), how.farewell);
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        while let Ok((stream, _)) = listener.accept() {
            let mut stream = StreamOwned::new(ServerConnection::new(Arc::clone(&config)).unwrap(), stream);
            let mut buffer = [0; 4096];
            if stream.read(&mut buffer).is_ok_and(|count| count > 0) {
                let name = stream.conn.server_name().unwrap_or("nobody").to_owned();
                let _ = stream.write_all(format!("HTTP/1.0 200 OK\r\n\r\nhello {name}").as_bytes());
                if farewell {
                    stream.conn.send_close_notify();
                }
                let _ = stream.flush();
            }
        }
    });
    address
}

fn page(address: SocketAddr, tls: Tls, expected: &str) -> CheckParams {
    let pattern = Some(Pattern { expression: expected.into(), ..Pattern::default() });
    let urls = vec![Url { path: "/".into(), pattern, ..Url::default() }];
    let http = Http { urls, version: HttpVersion::Http10, virtualhost: None, fast_recovery: false, tls: Some(tls) };
    check(address, Probe::Http(http))
}

fn tls(sni: Option<&str>, verify: bool, compliant: bool) -> Tls {
    Tls { sni: sni.map(str::to_owned), verify, compliant }
}

/// What a check finds that trusts this authority.
async fn trusting(files: &TlsFiles, params: CheckParams) -> Result<(), Reason> {
    let mut prober = Prober::new(1).unwrap();
    prober.tls(files).unwrap();
    prober.subscribe(1, params);
    match collect(&mut prober, 1).await.remove(&1) {
        Some(Verdict::Down { reason, .. }) => Err(reason),
        _ => Ok(()),
    }
}

fn why(found: Result<(), Reason>) -> String {
    match found {
        Err(Reason::Tls(why)) => why,
        other => panic!("{other:?}"),
    }
}

#[test]
fn without_verification_any_certificate_will_do_and_the_name_is_sent_only_when_asked() {
    run(async {
        let authority = Authority::new();
        let expired = server(&authority, &How { until: 2001, names: &["other.example.org"], ..GOOD });
        assert_eq!(health(page(expired, tls(None, false, false), "^hello nobody$")).await, Ok(()));
        let named = page(expired, tls(Some("www.example.org"), false, true), "^hello www.example.org$");
        assert_eq!(health(named).await, Ok(()));
    });
}

#[test]
fn with_verification_time_name_and_authority_must_be_right() {
    run(async {
        let authority = Authority::new();
        let (files, name) = (authority.files(), Some("www.example.org"));
        let good = server(&authority, &GOOD);
        assert_eq!(trusting(&files, page(good, tls(name, true, true), "hello")).await, Ok(()));
        // By address, where no name is given.
        assert_eq!(trusting(&files, page(good, tls(None, true, false), "hello nobody")).await, Ok(()));
        let expired = server(&authority, &How { until: 2001, ..GOOD });
        let found = why(trusting(&files, page(expired, tls(name, true, false), "")).await);
        assert!(found.contains("expired"), "{found}");
        let another = server(&authority, &How { names: &["other.example.org"], ..GOOD });
        let found = why(trusting(&files, page(another, tls(name, true, false), "")).await);
        assert!(found.contains("not valid for name"), "{found}");
        let stranger = server(&Authority::new(), &GOOD);
        let found = why(trusting(&files, page(stranger, tls(name, true, false), "")).await);
        assert!(found.contains("invalid peer certificate"), "{found}");
    });
}

#[test]
fn a_missing_farewell_counts_where_it_is_asked_for() {
    run(async {
        let address = server(&Authority::new(), &How { farewell: false, ..GOOD });
        assert_eq!(health(page(address, tls(None, false, false), "hello")).await, Ok(()));
        let found = why(health(page(address, tls(None, false, true), "hello")).await);
        assert_eq!(found, "connection closed without close_notify");
    });
}

#[test]
fn http_2_must_be_agreed_on() {
    run(async {
        let authority = Authority::new();
        for alpn in [None, Some(&b"http/1.1"[..])] {
            let address = server(&authority, &How { alpn, ..GOOD });
            let grpc = Grpc { tls: Some(tls(None, false, false)), ..Grpc::default() };
            let found = health(check(address, Probe::Grpc(grpc))).await;
            assert!(matches!(found, Err(Reason::Tls(_))), "{found:?}");
        }
    });
}

#[test]
fn we_show_our_certificate_to_who_asks() {
    run(async {
        let authority = Authority::new();
        let address = server(&authority, &How { clients: true, ..GOOD });
        let params = || page(address, tls(None, false, false), "hello");
        assert!(matches!(trusting(&authority.files(), params()).await, Err(Reason::Tls(_) | Reason::Reset)));
        let (certificate, key) = authority.certificate(&["me.example.org"], 2099);
        let both = certificate.pem() + &key.serialize_pem();
        std::fs::write(authority.path("me.pem"), both).unwrap();
        let files = TlsFiles { certificate: Some(authority.path("me.pem")), ..authority.files() };
        assert_eq!(trusting(&files, params()).await, Ok(()));
    });
}

#[test]
fn files_that_cannot_be_used_are_named() {
    run(async {
        let authority = Authority::new();
        std::fs::write(authority.path("empty.pem"), "").unwrap();
        let mut prober = Prober::<u8>::new(1).unwrap();
        for (files, name) in [
            (TlsFiles { authorities: Some(authority.path("empty.pem")), ..TlsFiles::default() }, "empty.pem"),
            (TlsFiles { authorities: Some(authority.path("none.pem")), ..TlsFiles::default() }, "none.pem"),
            (TlsFiles { certificate: Some(authority.path("ca.pem")), ..TlsFiles::default() }, "ca.pem"),
        ] {
            let error = prober.tls(&files).unwrap_err();
            assert_eq!(error.path, authority.path(name), "{error}");
        }
    });
}
