//! Configurations of TLS: whom to trust, who we are. Read from files once, not in every check.

use rustls::client::Resumption;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, ring};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::{ClientConfig, DigitallySignedStruct, RootCertStore, SignatureScheme};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Files for checks over TLS, in PEM.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct TlsFiles {
    /// Authorities, for checks that verify; those of the system by default.
    pub authorities: Option<PathBuf>,
    /// Our certificate, and those between it and its authority.
    pub certificate: Option<PathBuf>,
    /// The key of our certificate, not encrypted; in the certificate's file by default.
    pub key: Option<PathBuf>,
}

/// What is wrong with files for TLS.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct TlsError {
    /// Which file.
    pub path: PathBuf,
    /// What is wrong.
    pub why: String,
}

impl core::fmt::Display for TlsError {
    fn fmt(&self, out: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(out, "{}: {}", self.path.display(), self.why)
    }
}

impl core::error::Error for TlsError {}

/// Configurations, made when first used.
#[derive(Debug, Default)]
pub(crate) struct Trust {
    roots: Option<Arc<RootCertStore>>,
    identity: Option<(Vec<CertificateDer<'static>>, PrivateKeyDer<'static>)>,
    /// By: verify, offer `h2`, send the name.
    made: [Option<Arc<ClientConfig>>; 8],
}

impl Trust {
    /// Reads the files.
    pub(crate) fn read(files: &TlsFiles) -> Result<Self, TlsError> {
        let roots = files.authorities.as_deref().map(authorities).transpose()?;
        let identity = files.certificate.as_deref().map(|path| identity(path, files.key.as_deref())).transpose()?;
        let trust = Self { roots: roots.map(Arc::new), identity, made: Default::default() };
        if let Some(path) = &files.certificate {
            trust.make(false, false, false).map_err(|why| TlsError { path: path.clone(), why })?;
        }
        Ok(trust)
    }

    /// The configuration for a check.
    pub(crate) fn config(&mut self, verify: bool, h2: bool, sni: bool) -> Result<Arc<ClientConfig>, String> {
        if verify && self.roots.is_none() {
            self.roots = Some(Arc::new(native()));
        }
        let place = usize::from(verify) | usize::from(h2) << 1 | usize::from(sni) << 2;
        if let Some(config) = &self.made[place] {
            return Ok(Arc::clone(config));
        }
        let config = Arc::new(self.make(verify, h2, sni)?);
        self.made[place] = Some(Arc::clone(&config));
        Ok(config)
    }

    fn make(&self, verify: bool, h2: bool, sni: bool) -> Result<ClientConfig, String> {
        let provider = Arc::new(ring::default_provider());
        let builder = ClientConfig::builder_with_provider(Arc::clone(&provider));
        let builder = builder.with_safe_default_protocol_versions().map_err(|error| error.to_string())?;
        let builder = if verify {
            builder.with_root_certificates(self.roots.clone().unwrap_or_else(|| Arc::new(RootCertStore::empty())))
        } else {
            builder.dangerous().with_custom_certificate_verifier(Arc::new(Anybody(provider)))
        };
        let mut config = match &self.identity {
            Some((chain, key)) => {
                builder.with_client_auth_cert(chain.clone(), key.clone_key()).map_err(|error| error.to_string())?
            }
            None => builder.with_no_client_auth(),
        };
        if h2 {
            config.alpn_protocols = vec![b"h2".to_vec()];
        }
        config.enable_sni = sni;
        // A check wants to see the whole handshake each time, and the certificate as it is now.
        config.resumption = Resumption::disabled();
        Ok(config)
    }
}

fn native() -> RootCertStore {
    let mut roots = RootCertStore::empty();
    // Without any, every verification fails and says so.
    roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    roots
}

fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let wrong = |why: String| TlsError { path: path.to_owned(), why };
    let found = CertificateDer::pem_file_iter(path).map_err(|error| wrong(error.to_string()))?;
    let found: Vec<_> = found.collect::<Result<_, _>>().map_err(|error| wrong(error.to_string()))?;
    if found.is_empty() { Err(wrong("no certificate in it".to_owned())) } else { Ok(found) }
}

fn authorities(path: &Path) -> Result<RootCertStore, TlsError> {
    let mut roots = RootCertStore::empty();
    let (added, _) = roots.add_parsable_certificates(certificates(path)?);
    if added == 0 {
        return Err(TlsError { path: path.to_owned(), why: "no certificate in it can be used".to_owned() });
    }
    Ok(roots)
}

fn identity(
    certificate: &Path,
    key: Option<&Path>,
) -> Result<(Vec<CertificateDer<'static>>, PrivateKeyDer<'static>), TlsError> {
    let chain = certificates(certificate)?;
    let path = key.unwrap_or(certificate);
    let key = PrivateKeyDer::from_pem_file(path).map_err(|error| {
        let why = format!("no private key that can be read (is it encrypted?): {error}");
        TlsError { path: path.to_owned(), why }
    })?;
    Ok((chain, key))
}

/// Takes any certificate, as keepalived does: a check without verification asks whether the server works, not who it is.
#[derive(Debug)]
struct Anybody(Arc<CryptoProvider>);

impl ServerCertVerifier for Anybody {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn verify_tls13_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}
