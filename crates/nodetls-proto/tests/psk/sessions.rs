//! Sessions that a key has opened, and those that a certificate has.

use nodetls_proto::{Questions, Session, Side};
use nodetls_test::pair::{Pair, Variation, World, context, context_options};

use crate::world::{agreed, answered, assert_by_psk, world, world_with_certificate};

fn offering(world: &World, session: &Session) -> World {
    let mut world = world.clone();
    world.client.session = Some(session.clone());
    world
}

fn session_of(pair: &Pair) -> Session {
    pair.client.sessions().pop().unwrap()
}

#[test]
fn a_session_by_a_key_is_resumed_without_asking_for_the_key() {
    for variation in Variation::deliveries() {
        let world = world(variation);
        let mut session = session_of(&agreed(&world));
        for _ in 0..3 {
            session = Session::from_der(session.to_der().unwrap().expose()).unwrap();
            let mut pair =
                answered(&offering(&world, &session), &|_| None, &|_| panic!("the server is asked"));
            assert!(pair.client.connection.is_session_reused(), "{variation:?}");
            assert_by_psk(&mut pair);
            session = pair.client.sessions().pop().unwrap_or(session);
        }
    }
}

#[test]
fn a_session_by_a_key_opens_nothing_for_those_who_take_none() {
    for variation in Variation::versions() {
        let by_key = session_of(&agreed(&world_with_certificate(variation)));
        for side in [Side::Client, Side::Server] {
            let mut world = offering(&world_with_certificate(variation), &by_key);
            match side {
                Side::Client => world.client.questions = Questions::NONE,
                Side::Server => world.server.questions = Questions::NONE,
            }
            let pair = answered(&world, &|_| None, &|_| None);
            pair.assert_connected();
            assert!(!pair.client.connection.is_session_reused(), "{variation:?} {side:?}");
            assert!(pair.client.connection.peer_certificate().is_some());
        }
    }
}

#[test]
fn a_session_by_a_certificate_stays_one_where_keys_are_taken() {
    for variation in Variation::versions() {
        let mut world = world_with_certificate(variation);
        // No suite for keys, so that TLS 1.2 has to use the certificate.
        world.client_context = context(&context_options(variation.version));
        let session = session_of(&answered(&world, &|_| None, &|_| None));
        let pair = answered(&offering(&world, &session), &|_| None, &|_| None);
        pair.assert_connected();
        assert!(pair.client.connection.is_session_reused(), "{variation:?}");
        assert!(pair.client.connection.is_authorized() && !pair.server.connection.is_authorized());
        assert!(pair.client.connection.psk_identity().is_none());
    }
}
