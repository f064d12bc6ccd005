//! Certificates and revocation lists of which every part can be chosen, and chains of them.

use std::sync::OnceLock;

use nodetls_proto::{Purpose, ServerName, VerifyRequest, verify_chain};
use nodetls_test::pki::Identity;
use nodetls_test::pki::rcgen::{KeyPair, PublicKeyData, SigningKey};
use nodetls_test::verdict;

use crate::der::{bits, dns, identifier, integer, name, pem, sequence, value};

/// The name that is asked for.
pub(crate) const HOST: &str = "www.test";

pub(crate) const BASIC_CONSTRAINTS: &str = "2.5.29.19";
pub(crate) const KEY_USAGE: &str = "2.5.29.15";
pub(crate) const EXTENDED_KEY_USAGE: &str = "2.5.29.37";
pub(crate) const ALTERNATIVE_NAME: &str = "2.5.29.17";
pub(crate) const NAME_CONSTRAINTS: &str = "2.5.29.30";

/// Bits of a key usage.
pub(crate) const DIGITAL_SIGNATURE: u8 = 0x80;
pub(crate) const CERT_SIGN: u8 = 0x04;
pub(crate) const CRL_SIGN: u8 = 0x02;

pub(crate) const SERVER_AUTH: &str = "1.3.6.1.5.5.7.3.1";
pub(crate) const CLIENT_AUTH: &str = "1.3.6.1.5.5.7.3.2";

/// Whose key it is. A few suffice for all chains.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Who {
    Root,
    Between,
    Leaf,
    Stranger,
}

impl Who {
    pub(crate) fn key(self) -> &'static KeyPair {
        static KEYS: [OnceLock<KeyPair>; 4] = [const { OnceLock::new() }; 4];
        KEYS[self as usize].get_or_init(|| KeyPair::generate().unwrap())
    }
}

/// A certificate that is still to be signed.
#[derive(Clone, Debug)]
pub(crate) struct Draft {
    /// The number that stands for the version; 0, which is version 1, is left out.
    pub(crate) version: i64,
    pub(crate) serial: i64,
    pub(crate) subject: Vec<u8>,
    /// As in UTCTime.
    pub(crate) validity: [String; 2],
    pub(crate) key: Who,
    /// What is said of the key, in the place of what is true.
    pub(crate) public_key: Option<Vec<u8>>,
    /// Identifier, whether it is critical, value.
    pub(crate) extensions: Vec<(String, bool, Vec<u8>)>,
    /// The algorithm that the signed part names.
    pub(crate) inner_algorithm: &'static str,
    /// Whether a bit of the signature is wrong.
    pub(crate) is_spoiled: bool,
}

const ECDSA_WITH_SHA_256: &str = "1.2.840.10045.4.3.2";

impl Draft {
    fn new(subject: &str, key: Who) -> Self {
        Self {
            version: 2,
            serial: 1 + key as i64,
            subject: name(subject),
            validity: ["200101000000Z".to_owned(), "491231235959Z".to_owned()],
            key,
            public_key: None,
            extensions: Vec::new(),
            inner_algorithm: ECDSA_WITH_SHA_256,
            is_spoiled: false,
        }
    }

    pub(crate) fn authority(subject: &str, key: Who) -> Self {
        let mut draft = Self::new(subject, key);
        draft.set(BASIC_CONSTRAINTS, true, &sequence(&[vec![1, 1, 0xFF]]));
        draft.usage(CERT_SIGN | CRL_SIGN);
        draft
    }

    pub(crate) fn leaf() -> Self {
        let mut draft = Self::new("leaf", Who::Leaf);
        draft.usage(DIGITAL_SIGNATURE);
        draft.purposes(&[SERVER_AUTH]);
        draft.names(&[dns(HOST)]);
        draft
    }

    /// In the place of an extension that is there already.
    pub(crate) fn set(&mut self, identifier: &str, critical: bool, value: &[u8]) {
        self.remove(identifier);
        self.add(identifier, critical, value);
    }

    pub(crate) fn add(&mut self, identifier: &str, critical: bool, value: &[u8]) {
        self.extensions.push((identifier.to_owned(), critical, value.to_vec()));
    }

    pub(crate) fn remove(&mut self, identifier: &str) {
        self.extensions.retain(|(known, ..)| known != identifier);
    }

    pub(crate) fn usage(&mut self, usage: u8) {
        self.set(KEY_USAGE, true, &value(3, &[u8::try_from(usage.trailing_zeros()).unwrap(), usage]));
    }

    pub(crate) fn purposes(&mut self, purposes: &[&str]) {
        let purposes: Vec<_> = purposes.iter().map(|purpose| identifier(purpose)).collect();
        self.set(EXTENDED_KEY_USAGE, false, &sequence(&purposes));
    }

    pub(crate) fn names(&mut self, names: &[Vec<u8>]) {
        self.set(ALTERNATIVE_NAME, false, &sequence(names));
    }

    /// Basic constraints of an authority, with a limit to those below.
    pub(crate) fn path_length(&mut self, length: i64) {
        self.set(BASIC_CONSTRAINTS, true, &sequence(&[vec![1, 1, 0xFF], integer(length)]));
    }

    pub(crate) fn constrain(&mut self, permitted: &[Vec<u8>], excluded: &[Vec<u8>]) {
        let list = |tag, bases: &[Vec<u8>]| {
            let subtrees: Vec<u8> = bases.iter().flat_map(|base| value(0x30, base)).collect();
            if bases.is_empty() { Vec::new() } else { value(tag, &subtrees) }
        };
        self.set(NAME_CONSTRAINTS, true, &sequence(&[list(0xA0, permitted), list(0xA1, excluded)]));
    }

    /// The finished certificate in DER.
    pub(crate) fn signed_by(&self, issuer: &Self) -> Vec<u8> {
        let algorithm = |identifier_| sequence(&[identifier(identifier_)]);
        let version = if self.version == 0 { Vec::new() } else { value(0xA0, &integer(self.version)) };
        let [from, to] = self.validity.each_ref().map(|time| value(0x17, time.as_bytes()));
        let signed = sequence(&[
            version,
            integer(self.serial),
            algorithm(self.inner_algorithm),
            issuer.subject.clone(),
            sequence(&[from, to]),
            self.subject.clone(),
            self.public_key.clone().unwrap_or_else(|| self.key.key().subject_public_key_info()),
            self.extension_list(),
        ]);
        let mut signature = issuer.key.key().sign(&signed).unwrap();
        if self.is_spoiled {
            *signature.last_mut().unwrap() ^= 1;
        }
        sequence(&[signed, algorithm(ECDSA_WITH_SHA_256), bits(&signature)])
    }

    fn extension_list(&self) -> Vec<u8> {
        let extension = |(name, critical, contents): &(String, bool, Vec<u8>)| {
            let critical = if *critical { vec![1, 1, 0xFF] } else { Vec::new() };
            sequence(&[identifier(name), critical, value(4, contents)])
        };
        let extensions: Vec<_> = self.extensions.iter().map(extension).collect();
        if extensions.is_empty() { Vec::new() } else { value(0xA3, &sequence(&extensions)) }
    }
}

/// A revocation list that is still to be signed.
#[derive(Clone, Debug)]
pub(crate) struct ListDraft {
    /// As in UTCTime.
    pub(crate) times: [String; 2],
    pub(crate) serials: Vec<i64>,
    /// Identifier, whether it is critical, value.
    pub(crate) extensions: Vec<(&'static str, bool, Vec<u8>)>,
    pub(crate) signer: Option<Who>,
}

impl ListDraft {
    pub(crate) fn new(serials: &[i64]) -> Self {
        let times = ["200101000000Z".to_owned(), "491231235959Z".to_owned()];
        let extensions = vec![("2.5.29.20", false, integer(1))];
        Self { times, serials: serials.to_vec(), extensions, signer: None }
    }

    pub(crate) fn signed_by(&self, issuer: &Draft) -> Vec<u8> {
        let algorithm = sequence(&[identifier(ECDSA_WITH_SHA_256)]);
        let [from, to] = self.times.each_ref().map(|time| value(0x17, time.as_bytes()));
        let entry = |serial: &i64| sequence(&[integer(*serial), from.clone()]);
        let entries: Vec<_> = self.serials.iter().map(entry).collect();
        let extension = |(name, critical, contents): &(&str, bool, Vec<u8>)| {
            let critical = if *critical { vec![1, 1, 0xFF] } else { Vec::new() };
            sequence(&[identifier(name), critical, value(4, contents)])
        };
        let extensions: Vec<_> = self.extensions.iter().map(extension).collect();
        let signed = sequence(&[
            integer(1),
            algorithm.clone(),
            issuer.subject.clone(),
            from.clone(),
            to.clone(),
            if entries.is_empty() { Vec::new() } else { sequence(&entries) },
            value(0xA0, &sequence(&extensions)),
        ]);
        let signature = self.signer.unwrap_or(issuer.key).key().sign(&signed).unwrap();
        pem("X509 CRL", &sequence(&[signed, algorithm, bits(&signature)])).into_bytes()
    }
}

/// A root, one authority below it, and a leaf; a test changes what it is about.
#[derive(Clone, Debug)]
pub(crate) struct Chain {
    pub(crate) root: Draft,
    pub(crate) between: Draft,
    pub(crate) leaf: Draft,
    /// The rest of the request.
    pub(crate) asked: VerifyRequest,
}

impl Chain {
    pub(crate) fn new() -> Self {
        Self {
            root: Draft::authority("root", Who::Root),
            between: Draft::authority("between", Who::Between),
            leaf: Draft::leaf(),
            asked: VerifyRequest { server_name: ServerName::parse(HOST).ok(), ..VerifyRequest::default() },
        }
    }

    /// With a client's certificate instead of a server's.
    pub(crate) fn of_client() -> Self {
        let mut chain = Self::new();
        chain.leaf.purposes(&[CLIENT_AUTH]);
        chain.asked.purpose = Purpose::Client;
        chain.asked.server_name = None;
        chain
    }

    /// Adds key identifiers, without which OpenSSL takes what is self-issued for self-signed.
    pub(crate) fn identify_keys(&mut self) {
        let issuers = [self.root.key, self.root.key, self.between.key];
        for (draft, issuer) in [&mut self.root, &mut self.between, &mut self.leaf].into_iter().zip(issuers) {
            draft.set("2.5.29.14", false, &value(4, &[draft.key as u8]));
            draft.set("2.5.29.35", false, &sequence(&[value(0x80, &[issuer as u8])]));
        }
    }

    pub(crate) fn ask_for(&mut self, host: &str) {
        self.asked.server_name = Some(ServerName::parse(host).unwrap());
    }

    pub(crate) fn request(&self) -> VerifyRequest {
        let certificate = |der: &[u8]| pem("CERTIFICATE", der).into_bytes();
        let mut request = self.asked.clone();
        request.leaf = certificate(&self.leaf.signed_by(&self.between));
        request.intermediates.push(certificate(&self.between.signed_by(&self.root)));
        request.roots.get_or_insert_default().push(certificate(&self.root.signed_by(&self.root)));
        request
    }

    /// What `verify_chain` says; empty if it accepts.
    pub(crate) fn code(&self) -> String {
        verify_chain(&self.request()).err().map(|error| error.code().into_owned()).unwrap_or_default()
    }

    /// What a connection says.
    pub(crate) fn code_of_a_connection(&self) -> String {
        let identity = Identity {
            cert_pem: String::new(),
            key_pem: self.leaf.key.key().serialize_pem(),
            cert_der: self.leaf.signed_by(&self.between),
        };
        verdict::of_a_connection(&self.request(), &identity)
    }
}

/// What is changed.
pub(crate) type Edit = fn(&mut Chain);

/// That each edit of the usual chain makes both `verify_chain` and a connection say this code.
#[track_caller]
pub(crate) fn both_say(rows: &[(&str, &str, Edit)]) {
    both_say_of(&Chain::new(), rows);
}

/// The same for edits of another chain.
#[track_caller]
pub(crate) fn both_say_of(usual: &Chain, rows: &[(&str, &str, Edit)]) {
    let said = rows.iter().map(|(what, _, edit)| {
        let mut chain = usual.clone();
        edit(&mut chain);
        (*what, chain.code(), chain.code_of_a_connection())
    });
    let expected = rows.iter().map(|(what, code, _)| (*what, (*code).to_owned(), (*code).to_owned()));
    assert_eq!(said.collect::<Vec<_>>(), expected.collect::<Vec<_>>());
}
