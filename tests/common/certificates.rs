//! Certificates of an authority of the test's own, as PEM files.

use std::{
    fs::{self, Permissions},
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    sync::atomic::{AtomicU32, Ordering},
};

use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa,
    Issuer, KeyPair, KeyUsagePurpose, date_time_ymd,
};
use tempfile::TempDir;

/// The first and last year of what is valid.
const VALID: (i32, i32) = (2020, 2100);
/// The first and last year of what has expired.
const EXPIRED: (i32, i32) = (2020, 2021);

/// Signs certificates; its files go with it.
pub struct Authority {
    folder: TempDir,
    issuer: Issuer<'static, KeyPair>,
}

/// The files of a server's certificate.
#[derive(Clone, Debug)]
pub struct ServerCertificate {
    pub certificate: PathBuf,
    pub key: PathBuf,
}

/// The files of a client's certificate.
#[derive(Clone, Debug)]
pub struct ClientCertificate {
    pub certificate: PathBuf,
    pub key: PathBuf,
}

impl Authority {
    /// An authority that nobody knows yet.
    pub fn new() -> Self {
        static AUTHORITIES: AtomicU32 = AtomicU32::new(1);
        let folder = TempDir::with_prefix("pumphouse-certificates-").expect("a folder");
        // Each has a name of its own, so that a stranger is told from a forger.
        let name = format!("authority {}", AUTHORITIES.fetch_add(1, Ordering::Relaxed));
        let mut params = params(&name, &[], VALID);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        let key = KeyPair::generate().expect("a key");
        let certificate = params.self_signed(&key).expect("a certificate");
        fs::write(folder.path().join("authority.pem"), certificate.pem()).expect("written");
        Self {
            folder,
            issuer: Issuer::new(params, key),
        }
    }

    /// The certificate to trust.
    pub fn file(&self) -> PathBuf {
        self.folder.path().join("authority.pem")
    }

    /// A certificate for a server that is reached by the names: DNS names or IP addresses.
    pub fn server(&self, names: &[&str]) -> ServerCertificate {
        self.server_within(names, VALID)
    }

    /// One that was valid once.
    pub fn expired_server(&self, names: &[&str]) -> ServerCertificate {
        self.server_within(names, EXPIRED)
    }

    /// A certificate for a client of a name.
    pub fn client(&self, name: &str) -> ClientCertificate {
        let mut params = params(name, &[], VALID);
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
        let (certificate, key) = self.sign(&params);
        ClientCertificate { certificate, key }
    }

    fn server_within(&self, names: &[&str], years: (i32, i32)) -> ServerCertificate {
        let mut params = params("server", names, years);
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        let (certificate, key) = self.sign(&params);
        ServerCertificate { certificate, key }
    }

    /// Signs, and writes the certificate and its key into a folder of their own.
    fn sign(&self, params: &CertificateParams) -> (PathBuf, PathBuf) {
        let key = KeyPair::generate().expect("a key");
        let certificate = params.signed_by(&key, &self.issuer).expect("a certificate");
        let folder = TempDir::new_in(self.folder.path())
            .expect("a folder")
            .keep();
        let at = |name: &str| folder.join(name);
        fs::write(at("certificate.pem"), certificate.pem()).expect("written");
        write_private(&at("key.pem"), &key.serialize_pem());
        (at("certificate.pem"), at("key.pem"))
    }
}

fn params(name: &str, names: &[&str], (from, to): (i32, i32)) -> CertificateParams {
    let names: Vec<String> = names.iter().map(|&name| name.to_owned()).collect();
    let mut params = CertificateParams::new(names).expect("names of servers");
    params.distinguished_name = DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, name);
    params.not_before = date_time_ymd(from, 1, 1);
    params.not_after = date_time_ymd(to, 1, 1);
    params.use_authority_key_identifier_extension = true;
    params
}

fn write_private(path: &Path, text: &str) {
    fs::write(path, text).expect("written");
    fs::set_permissions(path, Permissions::from_mode(0o600)).expect("made private");
}
