//! The command line.

use std::path::PathBuf;
use std::sync::LazyLock;

use clap::{Args, Parser, Subcommand, ValueEnum};

/// The versions of this program and of OpenSSL in it.
static VERSION: LazyLock<String> =
    LazyLock::new(|| format!("{} ({})", env!("CARGO_PKG_VERSION"), nodetls::openssl_version()));

const ABOUT: &str = "TLS from the command line, on the nodetls library";

const EXAMPLES: &str = "\
Examples:
  nodetls demo
      a whole TLS conversation, step by step
  nodetls serve
      an echo server with a throwaway certificate
  nodetls serve --cert c.pem --key k.pem --to localhost:8080
      TLS in front of a plain TCP service
  nodetls connect example.com:443 -n
      what does this server speak, and who is it?
  nodetls verify --root ca.pem --name example.com leaf.pem
      would a client accept this certificate?

Errors are one line on standard error, `nodetls: CODE: message`, with the codes of Node.js. The exit
status is 0, 1 after an error, or 2 when the arguments cannot be used.";

const SERVE_EXAMPLES: &str = "\
Examples:
  nodetls serve --listen 127.0.0.1:0 --write-ca ca.pem
      a free port and a throwaway certificate; then: nodetls connect localhost:PORT --ca ca.pem
  nodetls serve --cert cert.pem --key key.pem --to localhost:8080 --alpn http/1.1
      https in front of a plain HTTP server
  nodetls serve --cert a.pem --key a.key --sni b.example:b.pem:b.key --request-cert required \
--ca clients.pem
      two names, and only clients with a certificate of that authority
  nodetls serve --cert /etc/tls/tls.crt --key /etc/tls/tls.key --reload
      renewed certificates are used as soon as they are there

The first line on standard output is `listening on ADDRESS:PORT`. Each connection and each failed
handshake is one line on standard error. With --json each line is an object whose `event` is listening,
throwaway, keyLog, connection, handshakeError, connectionError, reload or reloadError; a connection has the
members that `nodetls connect --help` lists, and `peer`.

SIGINT and SIGTERM stop the server: it takes no new connections, waits up to 10 s for the others to end,
and exits with 0; a second signal ends it at once.

Environment:
  SSLKEYLOGFILE   a file to append the connections' keys to, for Wireshark; a new one gets mode 0600.
                  The first line on standard error says so, with --json as the event keyLog";

const CONNECT_EXAMPLES: &str = "\
Examples:
  nodetls connect example.com:443 -n
      just look: certificates, verification, protocol
  printf 'GET / HTTP/1.0\\r\\n\\r\\n' | nodetls connect [::1]:8443 --servername localhost --ca ca.pem
      one request; the answer goes to standard output
  nodetls connect localhost:8443 --ca ca.pem -n --session-out s
  nodetls connect localhost:8443 --ca ca.pem -n --session-in s
      the second connection says `Reused`

Standard input goes to the server, what the server sends goes to standard output, and everything else to
standard error. The end of the input sends close_notify; reading goes on until the server closes. A
server that closes without close_notify may have been cut off by anybody: that ends with
ERR_SSL_UNEXPECTED_EOF_WHILE_READING and status 1.

With --json the facts are one JSON object in one line: side, protocol, cipher {name, standardName,
version}, group, alpnProtocol, servername, sessionReused, authorized, authorizationError {code, message},
peerCertificates [{subject, issuer, subjectaltname, valid_from, valid_to, serialNumber, fingerprint256,
keyType, bits}]. What there is not is null.

Environment:
  SSLKEYLOGFILE   a file to append the connection's keys to, for Wireshark; a new one gets mode 0600.
                  The first line on standard error says so, with --json as {\"event\":\"keyLog\",\"file\":…}";

const VERIFY_EXAMPLES: &str = "\
Examples:
  nodetls verify --name example.com fullchain.pem
      would a client with default options accept a server with this chain?
  nodetls verify --root ca.pem --purpose client --crl revoked.pem client.pem
      would a server that trusts ca.pem accept this client?

The rules are those of connections, and so are the codes. The chain and the verdict go to standard output;
a chain that is refused gives status 1.

With --json each line of standard input is a request, and each line of standard output an answer, in the
same order. A request is an object with the members
  id             a string, given back
  purpose        \"server\" (a client verifies a server's certificate) or \"client\"
  leaf           PEM
  intermediates  a list of PEM texts, as presented by the peer
  roots          a list of PEM texts, the only trust anchors
  name           {\"kind\": \"dns\" or \"ip\", \"value\": ...}, or null: the name is not checked
  time           RFC 3339, or null: now
  crls           a list of PEM texts; if there are any, the whole chain is checked for revocation
  max_depth      the most certificates between leaf and root, or null: 100
and an answer has id, verdict (\"accept\" or \"reject\"), stage (null, \"parse\", \"chain\" or \"name\": where
it was rejected) and code (null, or the error's). A line that is no request is rejected with the id null.
The status is 0 at the end of the input, whatever the verdicts are.";

/// Everything on the command line.
#[derive(Debug, Parser)]
#[command(name = "nodetls", version = VERSION.as_str(), about = ABOUT, after_help = EXAMPLES)]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Show a TLS server and its clients at work, all in this process, on throwaway certificates.
    Demo(DemoArgs),
    /// Serve: echo what clients send, or pass it on to a plain TCP server.
    #[command(after_help = SERVE_EXAMPLES)]
    Serve(Box<ServeArgs>),
    /// Connect to a server, show who it is, and talk to it.
    #[command(after_help = CONNECT_EXAMPLES)]
    Connect(Box<ConnectArgs>),
    /// Verify certificate chains as connections do.
    #[command(after_help = VERIFY_EXAMPLES)]
    Verify(Box<VerifyArgs>),
}

/// Arguments of `demo`.
#[derive(Debug, Args)]
pub(crate) struct DemoArgs {
    /// Print one JSON object a step.
    #[arg(long)]
    pub(crate) json: bool,
}

/// Arguments of `serve`.
#[derive(Debug, Args)]
pub(crate) struct ServeArgs {
    /// Where to listen; port 0 takes a free one.
    #[arg(long, value_name = "ADDR:PORT", default_value = "127.0.0.1:8443")]
    pub(crate) listen: String,
    /// Pass plaintext on to this TCP server instead of echoing it.
    #[arg(long, value_name = "HOST:PORT")]
    pub(crate) to: Option<String>,
    #[command(flatten)]
    pub(crate) identity: IdentityArgs,
    /// Another certificate and key, for clients that ask for this name or pattern (*.example.com); repeatable.
    #[arg(long, value_name = "NAME:CERT:KEY", value_parser = parse_named_identity)]
    pub(crate) sni: Vec<NamedIdentity>,
    /// Write the certificate of the throwaway authority to this file instead of standard error.
    #[arg(long, value_name = "FILE", conflicts_with_all = ["cert", "pfx"])]
    pub(crate) write_ca: Option<PathBuf>,
    /// Authorities that clients' certificates may come from, in PEM; repeatable.
    #[arg(long, value_name = "FILE")]
    pub(crate) ca: Vec<PathBuf>,
    /// Look at the files of --cert, --key, --pfx, --ca and --sni every so often [default: 10], and at once on SIGHUP;
    /// changed ones are used without a restart, broken ones are refused.
    #[arg(long, value_name = "SECONDS", num_args = 0..=1, require_equals = true, default_missing_value = "10",
        value_parser = clap::value_parser!(u64).range(1..=86_400))]
    pub(crate) reload: Option<u64>,
    /// Whether to ask clients for a certificate. `optional` lets in clients without an acceptable one, too.
    #[arg(long, value_enum, default_value_t, value_name = "WHEN")]
    pub(crate) request_cert: RequestCert,
    #[command(flatten)]
    pub(crate) protocol: ProtocolArgs,
    /// Give up handshakes that take longer [default: 120].
    #[arg(long, value_name = "SECONDS", value_parser = clap::value_parser!(u64).range(1..=86_400))]
    pub(crate) handshake_timeout: Option<u64>,
    /// Print JSON objects, one a line, instead of text.
    #[arg(long)]
    pub(crate) json: bool,
}

/// Arguments of `connect`.
#[derive(Debug, Args)]
pub(crate) struct ConnectArgs {
    /// The server; IPv6 addresses stand in brackets: `[::1]:443`.
    #[arg(value_name = "HOST:PORT", required_unless_present = "unix")]
    pub(crate) target: Option<String>,
    /// Connect to this Unix socket; HOST then only names the server, `localhost` without one.
    #[arg(long, value_name = "PATH")]
    pub(crate) unix: Option<PathBuf>,
    /// The name to ask for and to check the certificate against [default: HOST].
    #[arg(long, value_name = "NAME")]
    pub(crate) servername: Option<String>,
    /// Trust these authorities, in PEM, instead of Mozilla's; repeatable.
    #[arg(long, value_name = "FILE", conflicts_with = "system_ca")]
    pub(crate) ca: Vec<PathBuf>,
    /// Trust the authorities of the operating system instead of Mozilla's.
    #[arg(long)]
    pub(crate) system_ca: bool,
    #[command(flatten)]
    pub(crate) identity: IdentityArgs,
    #[command(flatten)]
    pub(crate) protocol: ProtocolArgs,
    /// Resume the session in this file, where it belongs to this server and these options.
    #[arg(long, value_name = "FILE")]
    pub(crate) session_in: Option<PathBuf>,
    /// Keep the session in this file, with mode 0600: it is as secret as a password.
    #[arg(long, value_name = "FILE")]
    pub(crate) session_out: Option<PathBuf>,
    /// Go on although the certificate is not trusted or not for the name. Anybody may then read and change what is
    /// sent.
    #[arg(long)]
    pub(crate) dangerous_accept_unauthorized: bool,
    /// Close right after the handshake.
    #[arg(long, short = 'n')]
    pub(crate) no_stdin: bool,
    /// Print the facts as a JSON object on standard error.
    #[arg(long)]
    pub(crate) json: bool,
}

/// Arguments of `verify`.
#[derive(Debug, Args)]
pub(crate) struct VerifyArgs {
    /// The certificate, in PEM; intermediates may follow it.
    #[arg(value_name = "FILE", required_unless_present = "json")]
    pub(crate) leaf: Option<PathBuf>,
    /// More intermediates, in PEM; repeatable.
    #[arg(long, value_name = "FILE", conflicts_with = "json")]
    pub(crate) intermediate: Vec<PathBuf>,
    /// Trust these authorities, in PEM, instead of Mozilla's; repeatable.
    #[arg(long, alias = "ca", value_name = "FILE", conflicts_with_all = ["system_ca", "json"])]
    pub(crate) root: Vec<PathBuf>,
    /// Trust the authorities of the operating system instead of Mozilla's.
    #[arg(long, conflicts_with = "json")]
    pub(crate) system_ca: bool,
    /// The host name or IP address that the certificate must be for [default: any].
    #[arg(long, value_name = "NAME", conflicts_with = "json")]
    pub(crate) name: Option<String>,
    /// What the certificate is to be used for.
    #[arg(long, value_enum, default_value_t, value_name = "WHAT", conflicts_with = "json")]
    pub(crate) purpose: PurposeArg,
    /// When it must be valid, as 2026-07-01T12:00:00Z [default: now].
    #[arg(long, value_name = "TIME", conflicts_with = "json")]
    pub(crate) time: Option<String>,
    /// Revocation lists, in PEM; repeatable. With any, each issuer of the chain needs a current one.
    #[arg(long, value_name = "FILE", conflicts_with = "json")]
    pub(crate) crl: Vec<PathBuf>,
    /// The most certificates between this one and the root [default: 100].
    #[arg(long, value_name = "NUMBER", conflicts_with = "json")]
    pub(crate) max_depth: Option<u32>,
    /// Also insist on what RFC 5280 asks of authorities (X509_STRICT), which many private ones do not keep to.
    #[arg(long)]
    pub(crate) strict: bool,
    /// Answer requests, one JSON object a line, from standard input.
    #[arg(long, conflicts_with = "leaf")]
    pub(crate) json: bool,
}

/// What a certificate is to be used for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum PurposeArg {
    #[default]
    Server,
    Client,
}

/// Own certificates.
#[derive(Debug, Args)]
pub(crate) struct IdentityArgs {
    /// An own certificate with its chain, in PEM; repeatable, one for each key.
    #[arg(long, value_name = "FILE", requires = "key")]
    pub(crate) cert: Vec<PathBuf>,
    /// The certificate's private key, in PEM; repeatable.
    #[arg(long, value_name = "FILE", requires = "cert")]
    pub(crate) key: Vec<PathBuf>,
    /// A PKCS#12 file with certificate and key.
    #[arg(long, value_name = "FILE")]
    pub(crate) pfx: Option<PathBuf>,
    /// A file that holds the passphrase of --key or --pfx.
    #[arg(long, value_name = "FILE")]
    pub(crate) passphrase_file: Option<PathBuf>,
}

/// Protocol settings.
#[derive(Debug, Args)]
pub(crate) struct ProtocolArgs {
    /// Application protocols, the preferred one first, separated by commas.
    #[arg(long, value_name = "P,P", value_delimiter = ',')]
    pub(crate) alpn: Vec<String>,
    /// The lowest version: TLSv1, TLSv1.1, TLSv1.2 or TLSv1.3 [default: TLSv1.2].
    #[arg(long, value_name = "VERSION")]
    pub(crate) min_version: Option<String>,
    /// The highest version [default: TLSv1.3].
    #[arg(long, value_name = "VERSION")]
    pub(crate) max_version: Option<String>,
    /// Cipher suites, as openssl-ciphers(1) names them, those of TLS 1.3 included.
    #[arg(long, value_name = "LIST")]
    pub(crate) ciphers: Option<String>,
    /// Groups for key agreement, separated by colons, such as X25519:P-256.
    #[arg(long, value_name = "LIST")]
    pub(crate) groups: Option<String>,
}

/// Whether clients are asked for a certificate.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum RequestCert {
    #[default]
    None,
    Optional,
    Required,
}

/// A certificate and key for one server name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct NamedIdentity {
    pub(crate) name: String,
    pub(crate) cert: PathBuf,
    pub(crate) key: PathBuf,
}

fn parse_named_identity(text: &str) -> Result<NamedIdentity, String> {
    let parts: Vec<_> = text.split(':').collect();
    match parts[..] {
        [name, cert, key] if parts.iter().all(|part| !part.is_empty()) => {
            Ok(NamedIdentity { name: name.to_owned(), cert: cert.into(), key: key.into() })
        }
        _ => Err("it must be NAME:CERT:KEY".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn a_named_identity_has_three_parts() {
        let parsed = parse_named_identity("*.example.com:c.pem:k.pem").unwrap();
        assert_eq!((parsed.name.as_str(), parsed.key.to_str()), ("*.example.com", Some("k.pem")));
        for bad in ["a", "a:b", "a:b:", ":b:c", "a:b:c:d"] {
            assert!(parse_named_identity(bad).is_err(), "{bad}");
        }
    }
}
