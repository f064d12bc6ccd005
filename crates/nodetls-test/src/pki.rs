//! Certificate authorities and certificates that live as long as a test.

use std::io::Write;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::OnceLock;

use nodetls_proto::Certificate;
/// For what the types here do not say by themselves.
pub use rcgen;
use rcgen::{
    BasicConstraints, CertificateParams, CertificateRevocationListParams, DnType, ExtendedKeyUsagePurpose,
    IsCa, Issuer, KeyIdMethod, KeyPair, KeyUsagePurpose, PKCS_ECDSA_P256_SHA256, PKCS_ED25519,
    PKCS_RSA_SHA256, RevokedCertParams, RsaKeySize, SanType, SerialNumber,
};
use time::{Duration, OffsetDateTime};

/// The algorithm of a key.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum KeyKind {
    /// ECDSA on P-256.
    #[default]
    Ecdsa,
    /// RSA with 2048 bits.
    Rsa,
    /// Ed25519.
    Ed25519,
}

impl KeyKind {
    fn generate(self) -> KeyPair {
        match self {
            Self::Ecdsa => KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).expect("an ECDSA key"),
            Self::Ed25519 => KeyPair::generate_for(&PKCS_ED25519).expect("an Ed25519 key"),
            Self::Rsa => KeyPair::try_from(rsa_key_der()).expect("an RSA key"),
        }
    }
}

/// Making an RSA key takes a second in a debug build, so all of a process's certificates share one.
fn rsa_key_der() -> &'static [u8] {
    static KEY: OnceLock<Vec<u8>> = OnceLock::new();
    KEY.get_or_init(|| {
        let key = KeyPair::generate_rsa_for(&PKCS_RSA_SHA256, RsaKeySize::_2048).expect("an RSA key");
        key.serialize_der()
    })
}

/// What a certificate should say.
#[derive(Clone, Debug)]
pub struct Leaf {
    /// The subject's common name.
    pub common_name: String,
    /// Subject alternative names.
    pub alternative_names: Vec<SanType>,
    /// The key's algorithm.
    pub key: KeyKind,
    /// What the key may be used for.
    pub usages: Vec<ExtendedKeyUsagePurpose>,
    /// Days from now at which the validity begins.
    pub from_days: i64,
    /// Days from now at which the validity ends.
    pub to_days: i64,
}

impl Leaf {
    /// A certificate for a server of this name; `localhost` gets the loopback addresses too.
    pub fn server(name: &str) -> Self {
        let mut this = Self::new(name, ExtendedKeyUsagePurpose::ServerAuth);
        this.alternative_names.push(SanType::DnsName(name.try_into().expect("an ASCII name")));
        if name == "localhost" {
            this.alternative_names.push(SanType::IpAddress(IpAddr::V4(Ipv4Addr::LOCALHOST)));
            this.alternative_names.push(SanType::IpAddress(IpAddr::V6(Ipv6Addr::LOCALHOST)));
        }
        this
    }

    /// A certificate for a client of this name.
    pub fn client(name: &str) -> Self {
        Self::new(name, ExtendedKeyUsagePurpose::ClientAuth)
    }

    fn new(name: &str, usage: ExtendedKeyUsagePurpose) -> Self {
        Self {
            common_name: name.to_owned(),
            alternative_names: Vec::new(),
            key: KeyKind::Ecdsa,
            usages: vec![usage],
            from_days: -1,
            to_days: 30,
        }
    }

    /// With a key of this algorithm.
    #[must_use]
    pub fn with_key(mut self, key: KeyKind) -> Self {
        self.key = key;
        self
    }

    /// No longer valid.
    #[must_use]
    pub fn expired(mut self) -> Self {
        (self.from_days, self.to_days) = (-30, -1);
        self
    }

    fn params(&self) -> CertificateParams {
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, &self.common_name);
        params.subject_alt_names.clone_from(&self.alternative_names);
        params.extended_key_usages.clone_from(&self.usages);
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature, KeyUsagePurpose::KeyEncipherment];
        params.use_authority_key_identifier_extension = true;
        params.not_before = OffsetDateTime::now_utc() + Duration::days(self.from_days);
        params.not_after = OffsetDateTime::now_utc() + Duration::days(self.to_days);
        params
    }
}

/// A certificate with its key.
#[derive(Clone, Debug)]
pub struct Identity {
    /// The certificate, followed by those between it and the root.
    pub cert_pem: String,
    /// The key in PKCS#8.
    pub key_pem: String,
    /// The certificate alone.
    pub cert_der: Vec<u8>,
}

impl Identity {
    /// A certificate that is its own issuer.
    pub fn self_signed(leaf: &Leaf) -> Self {
        let key = leaf.key.generate();
        let certificate = leaf.params().self_signed(&key).expect("a self-signed certificate");
        Self {
            cert_pem: certificate.pem(),
            key_pem: key.serialize_pem(),
            cert_der: certificate.der().to_vec(),
        }
    }

    /// Writes `NAME.pem` and `NAME.key` into the directory and returns both paths.
    pub fn write_to(&self, directory: &Path, name: &str) -> (PathBuf, PathBuf) {
        let paths = (directory.join(format!("{name}.pem")), directory.join(format!("{name}.key")));
        std::fs::write(&paths.0, &self.cert_pem).expect("the certificate is written");
        std::fs::write(&paths.1, &self.key_pem).expect("the key is written");
        paths
    }

    /// The key, encrypted with AES-256 under the passphrase.
    pub fn encrypted_key_pem(&self, passphrase: &str) -> String {
        let arguments = ["pkcs8", "-topk8", "-v2", "aes-256-cbc", "-passout", &format!("pass:{passphrase}")];
        String::from_utf8(openssl(&arguments, self.key_pem.as_bytes())).expect("PEM is text")
    }
}

/// Runs the `openssl` command. Throwaway passphrases may stand on its command line.
fn openssl(arguments: &[&str], input: &[u8]) -> Vec<u8> {
    let mut child = Command::new("openssl")
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the openssl command is installed");
    child.stdin.take().expect("piped").write_all(input).expect("openssl reads");
    let output = child.wait_with_output().expect("openssl ends");
    assert!(output.status.success(), "openssl {arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    output.stdout
}

/// A certificate authority.
#[derive(Debug)]
pub struct Authority {
    issuer: Issuer<'static, KeyPair>,
    pem: String,
    /// The PEM of those between this authority and its root, this one first; empty for a root.
    chain: String,
}

impl Authority {
    /// A root of this name.
    pub fn new(name: &str) -> Self {
        Self::with_key(name, KeyKind::Ecdsa)
    }

    /// A root of this name with a key of this algorithm.
    pub fn with_key(name: &str, kind: KeyKind) -> Self {
        let key = kind.generate();
        let params = authority_params(name);
        let certificate = params.self_signed(&key).expect("a root");
        Self { pem: certificate.pem(), issuer: Issuer::new(params, key), chain: String::new() }
    }

    /// A root of this name whose certificate says something else than usual.
    pub fn edited(name: &str, edit: impl FnOnce(&mut CertificateParams)) -> Self {
        let key = KeyKind::Ecdsa.generate();
        let mut params = authority_params(name);
        edit(&mut params);
        let certificate = params.self_signed(&key).expect("a root");
        Self { pem: certificate.pem(), issuer: Issuer::new(params, key), chain: String::new() }
    }

    /// An authority that this one vouches for.
    pub fn intermediate(&self, name: &str) -> Self {
        self.edited_intermediate(name, |_| {})
    }

    /// An authority that this one vouches for, with a certificate that says something else than usual.
    pub fn edited_intermediate(&self, name: &str, edit: impl FnOnce(&mut CertificateParams)) -> Self {
        let key = KeyKind::Ecdsa.generate();
        let mut params = authority_params(name);
        edit(&mut params);
        let certificate = params.signed_by(&key, &self.issuer).expect("an intermediate");
        let chain = format!("{}{}", certificate.pem(), self.chain);
        Self { pem: certificate.pem(), issuer: Issuer::new(params, key), chain }
    }

    /// Another certificate, in PEM, for an authority of this name, which has its certificates from somebody else as
    /// well.
    pub fn cross_sign(&self, name: &str, other: &Self, edit: impl FnOnce(&mut CertificateParams)) -> String {
        let mut params = authority_params(name);
        edit(&mut params);
        params.signed_by(other.issuer.key(), &self.issuer).expect("another certificate").pem()
    }

    /// The authority's own certificate.
    pub fn pem(&self) -> &str {
        &self.pem
    }

    /// A list that revokes these certificates, in PEM.
    pub fn revocation_list(&self, revoked: &[&Identity]) -> String {
        let now = OffsetDateTime::now_utc();
        let entry = |identity: &&Identity| RevokedCertParams {
            serial_number: SerialNumber::from_slice(&serial_number(identity)),
            revocation_time: now - Duration::hours(1),
            reason_code: None,
            invalidity_date: None,
        };
        let params = CertificateRevocationListParams {
            this_update: now - Duration::hours(1),
            next_update: now + Duration::days(7),
            crl_number: SerialNumber::from(1),
            issuing_distribution_point: None,
            revoked_certs: revoked.iter().map(entry).collect(),
            key_identifier_method: KeyIdMethod::Sha256,
        };
        let list = params.signed_by(&self.issuer).expect("a revocation list");
        list.pem().expect("a revocation list in PEM")
    }

    /// A list of what has changed since another one (a delta CRL), in PEM, made by the `openssl` command.
    pub fn delta_revocation_list(&self) -> String {
        let directory = tempfile::tempdir().expect("a directory");
        let path = |name: &str| directory.path().join(name).to_str().expect("UTF-8").to_owned();
        let (index, config) = (path("index.txt"), path("config"));
        let settings = format!(
            "[ca]\ndefault_ca=d\n[d]\ndatabase={index}\ndefault_md=sha256\ndefault_crl_days=1\n\
             crl_extensions=x\n[x]\n2.5.29.27=critical,DER:020101\n"
        );
        let files = [
            (&index, String::new()),
            (&config, settings),
            (&path("ca.pem"), self.pem.clone()),
            (&path("ca.key"), self.issuer.key().serialize_pem()),
        ];
        for (path, contents) in files {
            std::fs::write(path, contents).expect("a file is written");
        }
        let (ca, key) = (path("ca.pem"), path("ca.key"));
        let list = ["ca", "-config", &config, "-gencrl", "-cert", &ca, "-keyfile", &key];
        String::from_utf8(openssl(&list, b"")).expect("PEM is text")
    }

    /// The authority's own answer about a certificate that it has issued, in DER, made by the `openssl` command.
    /// `status` is `V` (good) or `R` (revoked); `None` leaves the certificate unknown.
    pub fn ocsp_response(&self, identity: &Identity, status: Option<char>) -> Vec<u8> {
        let directory = tempfile::tempdir().expect("a directory");
        let path = |name: &str| directory.path().join(name).to_str().expect("UTF-8").to_owned();
        let files = [
            ("index.txt", index_line(identity, status)),
            ("ca.pem", self.pem.clone()),
            ("ca.key", self.issuer.key().serialize_pem()),
            ("cert.pem", identity.cert_pem.clone()),
        ];
        for (name, contents) in files {
            std::fs::write(path(name), contents).expect("a file is written");
        }
        let (ca, cert, key, index) = (path("ca.pem"), path("cert.pem"), path("ca.key"), path("index.txt"));
        let (request, response) = (path("request"), path("response"));
        openssl(&["ocsp", "-issuer", &ca, "-cert", &cert, "-no_nonce", "-reqout", &request], b"");
        let responder = ["ocsp", "-index", &index, "-rsigner", &ca, "-rkey", &key, "-CA", &ca, "-ndays", "1"];
        openssl(&[&responder[..], &["-reqin", &request, "-respout", &response]].concat(), b"");
        std::fs::read(response).expect("a response")
    }

    /// The authority's own certificate as OpenSSL's `TRUSTED CERTIFICATE`.
    pub fn trusted_pem(&self) -> String {
        let trusted = openssl(&["x509", "-trustout", "-addtrust", "serverAuth"], self.pem.as_bytes());
        String::from_utf8(trusted).expect("PEM is text")
    }

    /// Issues a certificate with a new key.
    pub fn issue(&self, leaf: &Leaf) -> Identity {
        self.issue_edited(leaf, |_| {})
    }

    /// Issues a certificate with a new key that says something else than usual.
    pub fn issue_edited(&self, leaf: &Leaf, edit: impl FnOnce(&mut CertificateParams)) -> Identity {
        let key = leaf.key.generate();
        let mut params = leaf.params();
        edit(&mut params);
        let certificate = params.signed_by(&key, &self.issuer).expect("a certificate");
        Identity {
            cert_pem: format!("{}{}", certificate.pem(), self.chain),
            key_pem: key.serialize_pem(),
            cert_der: certificate.der().to_vec(),
        }
    }
}

/// A line of the database of `openssl ca`.
fn index_line(identity: &Identity, status: Option<char>) -> String {
    let certificate = Certificate::from_der(&identity.cert_der).expect("an issued certificate");
    let revoked = if status == Some('R') { "260101000000Z" } else { "" };
    let line = |status| {
        format!("{status}\t491231235959Z\t{revoked}\t{}\tunknown\t/CN=x\n", certificate.serial_number())
    };
    status.map(line).unwrap_or_default()
}

fn serial_number(identity: &Identity) -> Vec<u8> {
    let certificate = Certificate::from_der(&identity.cert_der).expect("an issued certificate");
    let digits = certificate.serial_number();
    let digits = if digits.len().is_multiple_of(2) { digits } else { format!("0{digits}") };
    let byte = |at: usize| u8::from_str_radix(&digits[at..at + 2], 16).expect("hexadecimal digits");
    (0..digits.len()).step_by(2).map(byte).collect()
}

fn authority_params(name: &str) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name.push(DnType::CommonName, name);
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    params.use_authority_key_identifier_extension = true;
    params.not_before = OffsetDateTime::now_utc() - Duration::days(1);
    params.not_after = OffsetDateTime::now_utc() + Duration::days(365);
    params
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn chains_satisfy_openssl() {
        let root = Authority::new("root");
        for kind in [KeyKind::Ecdsa, KeyKind::Rsa] {
            let leaf = root.intermediate("between").issue(&Leaf::server("localhost").with_key(kind));
            let directory = tempfile::tempdir().unwrap();
            let (cert, _) = leaf.write_to(directory.path(), "leaf");
            let ca = directory.path().join("ca.pem");
            std::fs::write(&ca, root.pem()).unwrap();
            let paths = [ca.to_str().unwrap(), cert.to_str().unwrap()];
            let verified = openssl(
                &[
                    "verify",
                    "-CAfile",
                    paths[0],
                    "-untrusted",
                    paths[1],
                    "-verify_hostname",
                    "localhost",
                    paths[1],
                ],
                b"",
            );
            assert!(String::from_utf8_lossy(&verified).contains("OK"));
        }
    }
}
