//! What a connection says about a chain that `verify_chain` is asked about.

use nodetls_proto::{ClientAuthentication, ProtocolVersion, Purpose, SecureContextOptions, VerifyRequest};

use crate::pair::{self, World};
use crate::pair::{Pair, Variation};
use crate::pki::Identity;

/// The code with which the verifying side ends; empty when the connection is secure. The key is the identity's, the
/// rest is what the request says, but for time and depth, which a connection is not told.
pub fn of_a_connection(request: &VerifyRequest, identity: &Identity) -> String {
    let version = ProtocolVersion::Tls1_3;
    let verifying = SecureContextOptions {
        ca: request.roots.clone(),
        crl: request.crl.clone(),
        allow_partial_trust_chain: request.allow_partial_trust_chain,
        ..pair::context_options(version)
    };
    let mut world = World::new(Variation::plain(version));
    let chain: Vec<u8> =
        std::iter::once(&request.leaf).chain(&request.intermediates).flatten().copied().collect();
    let identity = Identity { cert_pem: String::from_utf8_lossy(&chain).into_owned(), ..identity.clone() };
    match request.purpose {
        Purpose::Server => {
            world.client_context = pair::context(&verifying);
            world.client.server_name = request.server_name.clone().unwrap_or_else(|| pair::name("localhost"));
            world.identify_server(&identity);
        }
        Purpose::Client => {
            world.server.client_authentication = ClientAuthentication::Required;
            world.server_context = pair::context(&pair::with_identity(verifying, pair::server_identity()));
            world.identify_client(&identity);
        }
    }
    let Pair { client, server, .. } = world.driven();
    let verifier = if request.purpose == Purpose::Server { client } else { server };
    assert_eq!(verifier.is_secure(), verifier.code().is_empty());
    verifier.code()
}
