//! Resumption with tickets, and everything that must keep a session from being resumed.

#![forbid(unsafe_code)]
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::sync::Arc;

use nodetls_proto::{
    ClientAuthentication, Error, Event, ProtocolVersion, QuestionKind, Questions, Read, SecureContextOptions,
    ServerNames, Session, Side, TicketKeys, VerifyPeerAnswer,
};
use nodetls_test::pair::{
    Pair, Variation, World, client_identity, context, context_options, name, server_identity, with_identity,
};
use nodetls_test::pki::{Authority, Leaf};

/// The last session that a connection in this world brings.
fn session_of(world: &World) -> Session {
    let pair = world.connected();
    pair.client.sessions().pop().unwrap_or_else(|| panic!("no session: {:?}", world.variation))
}

/// The same world, in which the client offers this session.
fn offering(world: &World, session: &Session) -> World {
    let mut world = world.clone();
    world.client.session = Some(session.clone());
    world
}

fn is_resumed(pair: &Pair) -> bool {
    let (client, server) =
        (pair.client.connection.is_session_reused(), pair.server.connection.is_session_reused());
    assert_eq!(client, server, "both sides must agree whether a session is resumed: {:?}", pair.variation);
    client
}

fn round_trip(session: &Session) -> Session {
    Session::from_der(session.to_der().unwrap().expose()).unwrap()
}

// ---- resumption ----

#[test]
fn a_session_is_resumed_and_carries_data() {
    for variation in Variation::all() {
        let world = World::new(variation);
        let mut pair = offering(&world, &session_of(&world)).connected();
        assert!(is_resumed(&pair), "{variation:?}");
        pair.send(Side::Client, b"resumed");
        pair.send(Side::Server, b"resumed");
        pair.close(Side::Server);
    }
}

#[test]
fn a_session_survives_its_way_through_der() {
    for variation in Variation::all() {
        let world = World::new(variation);
        let session = round_trip(&round_trip(&session_of(&world)));
        let pair = offering(&world, &session).connected();
        assert!(is_resumed(&pair), "{variation:?}");
    }
}

#[test]
fn a_resumed_connection_knows_and_judges_the_certificate_of_the_first_one() {
    for variation in Variation::all() {
        let world = World::new(variation);
        let session = session_of(&world);
        for session in [session.clone(), round_trip(&session)] {
            let pair = offering(&world, &session).connected();
            assert!(is_resumed(&pair));
            let certificate = pair.client.connection.peer_certificate().unwrap();
            assert_eq!(certificate.to_der(), server_identity().cert_der, "{variation:?}");
            assert!(pair.client.connection.is_authorized(), "{variation:?}");
        }
    }
}

#[test]
fn every_ticket_of_tls_1_3_can_be_resumed() {
    for variation in Variation::deliveries().into_iter().filter(Variation::is_tls1_3) {
        let world = World::new(variation);
        let sessions = world.connected().client.sessions();
        assert_eq!(sessions.len(), 2);
        assert_ne!(sessions[0].id(), sessions[1].id());
        for session in sessions {
            assert!(is_resumed(&offering(&world, &session).connected()), "{variation:?}");
        }
    }
}

#[test]
fn a_server_sends_as_many_tickets_as_its_context_says() {
    for variation in Variation::all().into_iter().filter(Variation::is_tls1_3) {
        for count in [0, 1, 2, 16] {
            let mut options = with_identity(context_options(variation.version), server_identity());
            options.session_tickets = count;
            let world = World { server_context: context(&options), ..World::new(variation) };
            assert_eq!(world.connected().client.sessions().len(), count, "{variation:?}");
        }
    }
}

#[test]
fn a_chain_of_resumptions_works() {
    for variation in Variation::versions() {
        let world = World::new(variation);
        let mut session = session_of(&world);
        for round in 0..5 {
            let pair = offering(&world, &session).connected();
            assert!(is_resumed(&pair), "round {round}: {variation:?}");
            // In TLS 1.2 a ticket serves until its key goes; in TLS 1.3 each connection brings new ones.
            match pair.client.sessions().pop() {
                Some(next) => session = next,
                None => assert!(!variation.is_tls1_3(), "no new ticket: {variation:?}"),
            }
        }
    }
}

// ---- what keeps a client's session from being offered ----

/// A change of the client after which the session of before must not be used.
type Change = fn(&mut World);

const CHANGES: [(&str, Change); 6] = [
    ("another name", |world| world.client.server_name = name("127.0.0.1")),
    ("other authorities", |world| {
        let mut options = context_options(world.variation.version);
        options.extra_ca = vec![Authority::new("one more").pem().into()];
        world.client_context = context(&options);
    }),
    ("laxer checks", |world| world.client.dangerous_accept_unauthorized = true),
    ("no check of the name", |world| world.client.dangerous_skip_name_check = true),
    ("checks by the program", |world| {
        world.client.questions = match world.client.questions {
            Questions::NONE => Questions::NONE.with(QuestionKind::VerifyPeer),
            _ => Questions::NONE,
        };
    }),
    ("another certificate of the client", |world| world.identify_client(client_identity())),
];

#[test]
fn a_session_is_not_offered_where_the_server_would_be_judged_differently() {
    for variation in Variation::all() {
        for (what, change) in CHANGES {
            let before = World::new(variation);
            let mut after = before.clone();
            change(&mut after);
            // The question may be left to the test.
            for (made, used) in [(&before, &after), (&after, &before)] {
                let pair = settled(used, &settled(made, None).client.sessions().pop());
                assert!(!is_resumed(&pair), "{what}: {variation:?}");
            }
            let session = settled(&after, None).client.sessions().pop();
            assert!(is_resumed(&settled(&after, &session)), "{what}: the same again: {variation:?}");
        }
    }
}

/// A connected pair, all questions declined.
fn settled<'a>(world: &World, session: impl Into<Option<&'a Option<Session>>>) -> Pair {
    let mut world = world.clone();
    world.client.session = session.into().cloned().flatten();
    let mut pair = world.driven();
    while let Some(question) = pair.client.take_question() {
        nodetls_test::pair::decline(question, &mut pair.client.connection);
        pair.drive();
    }
    pair.assert_connected();
    pair
}

#[test]
fn a_session_from_a_lax_connection_does_not_open_a_strict_one() {
    for variation in Variation::all() {
        let mut lax = World::new(variation);
        lax.client.server_name = name("other.test");
        lax.client.dangerous_accept_unauthorized = true;
        let session = session_of(&lax);
        let mut strict = offering(&lax, &session);
        strict.client.dangerous_accept_unauthorized = false;
        let pair = strict.driven();
        assert_eq!(pair.client.code(), "ERR_TLS_CERT_ALTNAME_INVALID", "{variation:?}");
        assert!(!pair.client.is_secure());
    }
}

#[test]
fn a_session_of_one_name_does_not_open_another_name() {
    for variation in Variation::all() {
        let world = World::new(variation);
        let mut other = offering(&world, &session_of(&world));
        other.client.server_name = name("other.test");
        let pair = other.driven();
        assert_eq!(pair.client.code(), "ERR_TLS_CERT_ALTNAME_INVALID", "{variation:?}");
        assert!(!pair.client.is_secure() && pair.client.sessions().is_empty());
    }
}

#[test]
fn a_session_of_an_untrusted_server_stays_unauthorized() {
    let stranger = Authority::new("a stranger").issue(&Leaf::server("localhost"));
    for variation in Variation::all() {
        for (identity, wanted, code) in [
            (&stranger, "localhost", "UNABLE_TO_VERIFY_LEAF_SIGNATURE"),
            (server_identity(), "other.test", "ERR_TLS_CERT_ALTNAME_INVALID"),
        ] {
            let mut world = World::new(variation);
            world.identify_server(identity);
            world.client.server_name = name(wanted);
            world.client.dangerous_accept_unauthorized = true;
            let session = session_of(&world);
            for session in [session.clone(), round_trip(&session)] {
                let pair = offering(&world, &session).connected();
                assert!(is_resumed(&pair));
                assert!(!pair.client.connection.is_authorized(), "{variation:?}");
                let error = pair.client.connection.authorization_error();
                assert_eq!(error.map(|error| error.code().into_owned()).as_deref(), Some(code));
            }
        }
    }
}

#[test]
fn a_program_that_judges_servers_is_asked_on_resumption_too() {
    for variation in Variation::deliveries() {
        let mut world = World::new(variation);
        world.client.questions = Questions::NONE.with(QuestionKind::VerifyPeer);
        let session = settled(&world, None).client.sessions().pop();
        for accepted in [true, false] {
            let mut resuming = world.clone();
            resuming.client.session = session.clone();
            let mut pair = resuming.driven();
            let Some(Event::VerifyPeer(question)) = pair.client.take_question() else { panic!("not asked") };
            assert!(question.facts().objection.is_none());
            assert_eq!(question.facts().certificates[0].to_der(), server_identity().cert_der);
            assert!(!pair.client.is_secure() && !pair.server.is_secure());
            let answer =
                if accepted { VerifyPeerAnswer::Agree } else { VerifyPeerAnswer::Reject("no".into()) };
            question.answer(&mut pair.client.connection, answer).unwrap();
            pair.drive();
            if accepted {
                pair.assert_connected();
                assert!(is_resumed(&pair));
            } else {
                assert_eq!(pair.client.code(), "ERR_TLS_PEER_REJECTED", "{variation:?}");
                assert!(!pair.server.is_secure() && pair.client.sessions().is_empty(), "{variation:?}");
            }
        }
    }
}

#[test]
fn no_session_comes_of_a_server_that_is_refused() {
    let stranger = Authority::new("a stranger").issue(&Leaf::server("localhost"));
    for variation in Variation::all() {
        let mut world = World::new(variation);
        world.identify_server(&stranger);
        let pair = world.driven();
        assert_eq!(pair.client.code(), "UNABLE_TO_VERIFY_LEAF_SIGNATURE");
        assert!(pair.client.sessions().is_empty(), "{variation:?}");
    }
}

#[test]
fn a_session_that_no_client_of_this_library_received_is_not_offered() {
    for variation in Variation::deliveries().into_iter().filter(Variation::is_tls1_3) {
        let mut world = World::new(variation);
        world.server.questions = Questions::NONE.with(QuestionKind::NewSession);
        let mut pair = world.driven();
        let Some(Event::NewSession(question)) = pair.server.take_question() else { panic!("not asked") };
        let foreign = question.facts().session.clone();
        world.server.questions = Questions::NONE;
        assert!(!is_resumed(&offering(&world, &foreign).connected()), "{variation:?}");
    }
}

// ---- what keeps a server from resuming ----

#[test]
fn a_server_with_other_keys_does_a_full_handshake() {
    for variation in Variation::all() {
        let world = World::new(variation);
        let session = session_of(&world);
        let mut restarted = offering(&world, &session);
        restarted.identify_server(server_identity());
        assert!(!is_resumed(&restarted.connected()), "{variation:?}");
    }
}

#[test]
fn applications_with_different_session_id_contexts_do_not_share_sessions() {
    for variation in Variation::all() {
        let mut world = World::new(variation);
        world.server.session_id_context = b"one".to_vec();
        let session = session_of(&world);
        assert!(is_resumed(&offering(&world, &session).connected()));
        world.server.session_id_context = b"other".to_vec();
        assert!(!is_resumed(&offering(&world, &session).connected()), "{variation:?}");
    }
}

#[test]
fn a_session_made_without_a_certificate_does_not_get_past_a_server_that_demands_one() {
    use ClientAuthentication::{DangerousOptional, None, Required};
    for variation in Variation::all() {
        for before in [None, DangerousOptional] {
            let mut world = World::new(variation);
            world.server.client_authentication = before;
            let session = session_of(&world);
            world.server.client_authentication = Required;
            let pair = offering(&world, &session).driven();
            assert!(!pair.server.is_secure(), "{before:?}: {variation:?}");
            assert_eq!(pair.server.code(), "ERR_SSL_PEER_DID_NOT_RETURN_A_CERTIFICATE");
        }
    }
}

#[test]
fn a_session_of_one_name_does_not_get_past_another_names_demand_for_a_certificate() {
    for variation in Variation::all() {
        let mut world = World::new(variation);
        let options = SecureContextOptions {
            client_authentication: Some(ClientAuthentication::Required),
            ..with_identity(context_options(variation.version), server_identity())
        };
        let mut names = ServerNames::default();
        names.insert("closed.test", context(&options));
        world.server.contexts = Arc::new(names);
        world.client.dangerous_skip_name_check = true;
        // The client's binding would keep the session back already; the server must not rely on that, and the
        // name that it sees is the one in the hello.
        let session = session_of(&world);
        let mut closed = offering(&world, &session);
        closed.client.server_name = name("closed.test");
        let pair = closed.driven();
        assert!(!pair.server.is_secure(), "{variation:?}");
    }
}

#[test]
fn a_resumed_client_is_known_and_judged_by_the_certificate_of_the_first_connection() {
    let stranger = Authority::new("a stranger").issue(&Leaf::client("a client"));
    for variation in Variation::all() {
        for (identity, authentication, code) in [
            (client_identity(), ClientAuthentication::Required, None),
            (client_identity(), ClientAuthentication::DangerousOptional, None),
            (&stranger, ClientAuthentication::DangerousOptional, Some("UNABLE_TO_VERIFY_LEAF_SIGNATURE")),
        ] {
            let mut world = World::new(variation);
            world.identify_client(identity);
            world.server.client_authentication = authentication;
            let pair = offering(&world, &session_of(&world)).connected();
            assert!(is_resumed(&pair), "{variation:?}");
            let server = &pair.server.connection;
            assert_eq!(server.peer_certificate().unwrap().to_der(), identity.cert_der);
            assert_eq!(server.is_authorized(), code.is_none(), "{variation:?}");
            let error = server.authorization_error().map(|error| error.code().into_owned());
            assert_eq!(error.as_deref(), code, "{variation:?}");
        }
    }
}

#[test]
fn a_resumed_client_without_a_certificate_stays_without() {
    for variation in Variation::all() {
        let mut world = World::new(variation);
        world.server.client_authentication = ClientAuthentication::DangerousOptional;
        let pair = offering(&world, &session_of(&world)).connected();
        assert!(is_resumed(&pair));
        let server = &pair.server.connection;
        assert!(!server.is_authorized() && server.peer_certificate().is_none());
        assert_eq!(server.authorization_error().unwrap().code(), "UNABLE_TO_GET_ISSUER_CERT");
    }
}

#[test]
fn a_program_that_judges_clients_is_asked_on_resumption_too() {
    for variation in Variation::deliveries() {
        let mut world = World::new(variation);
        world.identify_client(client_identity());
        world.server.client_authentication = ClientAuthentication::Required;
        let lax = world.clone();
        world.server.questions = Questions::NONE.with(QuestionKind::VerifyPeer);
        // Whether a program judges or not, the server's sessions are the same.
        let mut pair = offering(&world, &session_of(&lax)).driven();
        let Some(Event::VerifyPeer(question)) = pair.server.take_question() else { panic!("not asked") };
        assert_eq!(question.facts().certificates[0].to_der(), client_identity().cert_der);
        let reject = VerifyPeerAnswer::Reject("revoked since".into());
        question.answer(&mut pair.server.connection, reject).unwrap();
        pair.drive();
        assert_eq!(pair.server.code(), "ERR_TLS_PEER_REJECTED", "{variation:?}");
        assert!(!pair.server.is_secure());
    }
}

// ---- ticket keys ----

/// A server with these ticket keys, which shares nothing else with the others.
fn keyed(world: &World, keys: &TicketKeys) -> World {
    let mut world = world.clone();
    world.identify_server(server_identity());
    world.server.ticket_keys = Some(keys.clone());
    world
}

#[test]
fn servers_with_the_same_ticket_keys_resume_each_others_sessions() {
    for variation in Variation::all() {
        let (keys, others) = (TicketKeys::random().unwrap(), TicketKeys::random().unwrap());
        let world = World::new(variation);
        let session = session_of(&keyed(&world, &keys));
        assert!(is_resumed(&offering(&keyed(&world, &keys), &session).connected()), "{variation:?}");
        assert!(!is_resumed(&offering(&keyed(&world, &others), &session).connected()), "{variation:?}");
    }
}

#[test]
fn a_ticket_of_a_key_that_was_kept_is_resumed_and_replaced() {
    for variation in Variation::all() {
        let (old, new) = (TicketKeys::random().unwrap(), TicketKeys::random().unwrap());
        let world = World::new(variation);
        let session = session_of(&keyed(&world, &old));
        let pair = offering(&keyed(&world, &old.rotated(&new, 1)), &session).connected();
        assert!(is_resumed(&pair), "{variation:?}");
        let replaced = round_trip(&pair.client.sessions().pop().expect("a ticket of the new key"));
        let pair = offering(&keyed(&world, &new), &replaced).connected();
        assert!(is_resumed(&pair), "{variation:?}");
        // In TLS 1.2 the ticket serves as long as its key is the first.
        assert_eq!(pair.client.sessions().is_empty(), !variation.is_tls1_3(), "{variation:?}");
        assert!(!is_resumed(&offering(&keyed(&world, &old.rotated(&new, 0)), &session).connected()));
    }
}

#[test]
fn no_session_comes_of_a_server_that_is_refused_on_resumption() {
    for variation in Variation::deliveries() {
        let (old, new) = (TicketKeys::random().unwrap(), TicketKeys::random().unwrap());
        let mut world = World::new(variation);
        world.client.questions = Questions::NONE.with(QuestionKind::VerifyPeer);
        let session = settled(&keyed(&world, &old), None).client.sessions().pop();
        for accepted in [true, false] {
            let mut resuming = keyed(&world, &old.rotated(&new, 1));
            resuming.client.session = session.clone();
            let mut pair = resuming.driven();
            let Some(Event::VerifyPeer(question)) = pair.client.take_question() else { panic!("not asked") };
            assert!(pair.client.sessions().is_empty(), "a session before the answer: {variation:?}");
            let answer =
                if accepted { VerifyPeerAnswer::Agree } else { VerifyPeerAnswer::Reject("no".into()) };
            question.answer(&mut pair.client.connection, answer).unwrap();
            pair.drive();
            assert_eq!(pair.client.is_secure(), accepted);
            assert_eq!(pair.client.sessions().is_empty(), !accepted, "{variation:?}");
        }
    }
}

// ---- versions ----

#[test]
fn a_session_of_a_version_that_is_not_spoken_any_more_leads_to_a_full_handshake() {
    let [old, new] = Variation::versions();
    for (made, used) in [(old, new), (new, old)] {
        let session = session_of(&World::new(made));
        let pair = offering(&World::new(used), &session).connected();
        assert!(!is_resumed(&pair));
    }
}

// ---- bytes that are no session ----

fn assert_refused(der: &[u8], code: &str) {
    let Err(Error::Config(error)) = Session::from_der(der) else { panic!("{} bytes are read", der.len()) };
    assert_eq!(error.option, "session");
    let error = Error::Config(error);
    if !code.is_empty() {
        assert_eq!(error.code(), code);
    }
}

#[test]
fn bytes_that_are_no_session_are_refused_for_the_option() {
    let session = session_of(&World::new(Variation::versions()[1]));
    let der = session.to_der().unwrap();
    let der = der.expose();
    for bad in [&b""[..], b"garbage", &[0x30, 0x80], &[0x30; 64], &der[1..]] {
        assert_refused(bad, "");
    }
    for length in 0..der.len() {
        assert_refused(&der[..length], "");
    }
    assert_refused(&[der, b"x"].concat(), "ERR_INVALID_ARG_VALUE");
    assert_refused(&vec![0x30; 512 * 1024 + 1], "ERR_OUT_OF_RANGE");
}

#[test]
fn a_mutated_session_is_refused_or_harmless() {
    for variation in Variation::versions() {
        let world = World::new(variation);
        let der = session_of(&world).to_der().unwrap();
        let (mut read, mut resumed) = (0, 0);
        for position in 0..der.expose().len() {
            let mut mutated = der.expose().to_vec();
            mutated[position] ^= 1 << (position % 8);
            let Ok(session) = Session::from_der(&mutated) else { continue };
            read += 1;
            let pair = offering(&world, &session).driven();
            if pair.client.is_secure() {
                resumed += usize::from(is_resumed(&pair));
                continue;
            }
            let error = pair.client.failure().expect("it fails or it works");
            assert!(!matches!(error, Error::Bug(_)), "byte {position}: {error:?}");
        }
        // A harmless byte (a time, say) may be changed; a key or a ticket may not.
        assert!(read > 100 && resumed > 0 && resumed < read, "{read} read, {resumed} resumed");
    }
}

#[test]
fn one_session_serves_several_connections() {
    for variation in Variation::versions() {
        let mut world = World::new(variation);
        let first = world.connected();
        world.client.session = first.client.sessions().pop();
        for _ in 0..3 {
            assert!(world.connected().client.connection.is_session_reused(), "{variation:?}");
        }
    }
}

#[test]
fn sessions_that_come_before_data_in_one_flight_are_told_with_the_data() {
    let mut pair = World::new(Variation::plain(ProtocolVersion::Tls1_3)).pair();
    pair.client.reads = false;
    pair.drive();
    pair.server.connection.write_plaintext(b"x").unwrap();
    pair.drive();
    assert!(pair.client.sessions().is_empty());
    let mut byte = [0; 1];
    assert_eq!(pair.client.connection.read_plaintext(&mut byte[..]).unwrap(), Read::Plaintext(1));
    let told = std::iter::from_fn(|| pair.client.connection.poll_event());
    assert_eq!(told.filter(|event| matches!(event, Event::Session(_))).count(), 2);
}

#[test]
fn the_session_in_use_can_be_resumed_in_tls_1_2() {
    for variation in Variation::deliveries().into_iter().filter(|variation| !variation.is_tls1_3()) {
        let mut world = World::new(variation);
        let session = world.connected().client.connection.session().expect("a session is in use");
        world.client.session = Some(Session::from_der(session.to_der().unwrap().expose()).unwrap());
        assert!(world.connected().client.connection.is_session_reused(), "{variation:?}");
    }
}
