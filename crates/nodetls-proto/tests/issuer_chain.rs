//! The peer's chain from its own certificate to the root, beside what Node.js shows for the same certificates.

#![forbid(unsafe_code)]
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::process::Command;

use nodetls_proto::{Certificate, ClientAuthentication, ProtocolVersion, SecureContextOptions};
use nodetls_test::is_missing;
use nodetls_test::pair::{Pair, Variation, World, context, context_options, with_identity};
use nodetls_test::pki::{Authority, Identity, Leaf};

/// Prints the fingerprints of `getPeerCertificate(true)`, on the client and on the server, until a certificate is its own
/// issuer.
const NODE: &str = r"
const tls = require('tls'), fs = require('fs');
const [directory, clientHasOne] = process.argv.slice(1);
const read = (name) => fs.readFileSync(`${directory}/${name}`);
const server = tls.createServer({
  key: read('server.key'), cert: read('server.pem'), ca: read('ca.pem'), requestCert: true, rejectUnauthorized: false,
});
const show = (socket) => {
  const shown = [];
  let certificate = socket.getPeerCertificate(true);
  while (certificate && certificate.fingerprint256 && shown.length < 10) {
    shown.push(certificate.fingerprint256);
    if (certificate.issuerCertificate === certificate) { shown.push('itself'); break; }
    certificate = certificate.issuerCertificate;
  }
  return shown.join(' ');
};
const shown = {};
const done = () => {
  if (!('client' in shown && 'server' in shown)) return;
  console.log(shown.client);
  console.log(shown.server);
  process.exit(0);
};
server.on('secureConnection', (socket) => { shown.server = show(socket); done(); });
server.listen(0, '127.0.0.1', () => {
  const own = clientHasOne === 'yes' ? { key: read('client.key'), cert: read('client.pem') } : {};
  const options = { port: server.address().port, host: '127.0.0.1', ca: read('ca.pem'), rejectUnauthorized: false };
  const socket = tls.connect({ ...options, ...own }, () => { shown.client = show(socket); done(); });
});
";

/// One line of what the script prints, made from a chain.
fn line(chain: &[Certificate]) -> String {
    let mut shown: Vec<String> = chain.iter().map(Certificate::fingerprint256).collect();
    shown.extend(chain.last().filter(|last| last.is_issued_by(last)).map(|_| "itself".to_owned()));
    shown.join(" ")
}

struct Scene<'a> {
    ca: String,
    server: &'a Identity,
    client: Option<&'a Identity>,
}

impl Scene<'_> {
    fn pair(&self, version: ProtocolVersion) -> Pair {
        let trusting =
            || SecureContextOptions { ca: Some(vec![self.ca.clone().into()]), ..context_options(version) };
        let client = self.client.map_or_else(trusting, |identity| with_identity(trusting(), identity));
        let mut world = World {
            client_context: context(&client),
            server_context: context(&with_identity(trusting(), self.server)),
            ..World::new(Variation::plain(version))
        };
        world.client.dangerous_accept_unauthorized = true;
        world.server.client_authentication = ClientAuthentication::DangerousOptional;
        world.connected()
    }

    fn node(&self) -> String {
        let directory = tempfile::tempdir().unwrap();
        std::fs::write(directory.path().join("ca.pem"), &self.ca).unwrap();
        self.server.write_to(directory.path(), "server");
        self.client.map(|identity| identity.write_to(directory.path(), "client"));
        let has_one = if self.client.is_some() { "yes" } else { "no" };
        let output = Command::new("node")
            .args(["-e", NODE, "--"])
            .arg(directory.path())
            .arg(has_one)
            .output()
            .unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    }

    /// Checks both sides in both versions against Node.js, and how many certificates there are.
    fn check(&self, what: &str, lengths: (usize, usize)) {
        let node = (!is_missing("node")).then(|| self.node());
        for version in [ProtocolVersion::Tls1_2, ProtocolVersion::Tls1_3] {
            let pair = self.pair(version);
            let (client, server) = (
                pair.client.connection.peer_certificate_chain(),
                pair.server.connection.peer_certificate_chain(),
            );
            assert_eq!((client.len(), server.len()), lengths, "{what}");
            if let Some(node) = &node {
                assert_eq!(*node, format!("{}\n{}\n", line(&client), line(&server)), "{what}");
            }
        }
    }
}

/// The identity with these certificates as its text.
fn presenting(identity: &Identity, certificates: &[&str]) -> Identity {
    let leaf = identity.cert_pem.split_inclusive("-----END CERTIFICATE-----\n").next().unwrap();
    Identity { cert_pem: [&[leaf], certificates].concat().concat(), ..identity.clone() }
}

#[test]
fn the_chain_goes_from_the_peers_certificate_to_the_root_as_in_node() {
    let root = Authority::new("a root");
    let (upper, other) = (root.intermediate("upper"), Authority::new("another root"));
    let lower = upper.intermediate("lower");
    let (server, client) = (lower.issue(&Leaf::server("localhost")), lower.issue(&Leaf::client("a client")));
    let (alone, direct) = (presenting(&server, &[]), root.issue(&Leaf::client("another client")));
    let too_many = presenting(&server, &[lower.pem(), upper.pem(), root.pem(), other.pem()]);
    let self_signed = Identity::self_signed(&Leaf::server("localhost"));
    let all = [root.pem(), upper.pem(), lower.pem()].concat();
    let roots: String = root.pem().into();
    let scenes = [
        ("the root comes from the authorities", &roots, &server, Some(&client), (4, 4)),
        ("no client certificate", &roots, &server, None, (4, 0)),
        ("a leaf of the root", &roots, &server, Some(&direct), (4, 2)),
        ("what is missing comes from the authorities", &all, &alone, Some(&client), (4, 4)),
        ("too many", &roots, &too_many, Some(&client), (4, 4)),
        ("a leaf that is its own root", &roots, &self_signed, Some(&client), (1, 4)),
        ("an unknown root", &other.pem().to_owned(), &server, Some(&direct), (3, 1)),
    ];
    for (what, ca, server, client, lengths) in scenes {
        Scene { ca: ca.clone(), server, client }.check(what, lengths);
    }
}

#[test]
fn certificates_that_were_sent_in_disorder_are_put_in_order() {
    // Node passes over the others here, and shows the chain only as far as they were in order.
    let root = Authority::new("a root");
    let (upper, other) = (root.intermediate("upper"), Authority::new("another root"));
    let lower = upper.intermediate("lower");
    let server = lower.issue(&Leaf::server("localhost"));
    let shuffled = presenting(&server, &[other.pem(), root.pem(), upper.pem(), lower.pem()]);
    let scene = Scene { ca: root.pem().into(), server: &shuffled, client: None };
    for version in [ProtocolVersion::Tls1_2, ProtocolVersion::Tls1_3] {
        let chain = scene.pair(version).client.connection.peer_certificate_chain();
        let names: Vec<String> = chain.iter().map(|certificate| certificate.subject().to_string()).collect();
        assert_eq!(names, ["CN=localhost", "CN=lower", "CN=upper", "CN=a root"]);
    }
}

#[test]
fn the_chain_of_a_resumed_session_still_reaches_the_root() {
    let root = Authority::new("a root");
    let server = root.issue(&Leaf::server("localhost"));
    for variation in Variation::versions() {
        let mut world = World::new(variation);
        world.identify_server(&server);
        let ca = Some(vec![root.pem().into()]);
        world.client_context = context(&SecureContextOptions { ca, ..context_options(variation.version) });
        world.client.session = world.connected().client.sessions().pop();
        let resumed = world.connected();
        assert!(resumed.client.connection.is_session_reused());
        let chain = resumed.client.connection.peer_certificate_chain();
        assert_eq!(chain.len(), 2);
        assert_eq!(chain[0].to_der(), server.cert_der);
    }
}
