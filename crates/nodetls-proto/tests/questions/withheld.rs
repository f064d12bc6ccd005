//! What does not leave, and is not delivered, while a question is open.

use std::time::Duration;

use nodetls_proto::{ClientAuthentication, Event, QuestionKind, Questions, Read};
use nodetls_test::pair::{Delivery, Pair, Variation, World, client_identity, decline, kind};

use crate::stops::{NEW_SESSION, VERIFY_CLIENT, VERIFY_SERVER, fail, stopped_with};

#[test]
fn nothing_of_a_client_leaves_while_the_servers_certificate_is_being_judged() {
    for variation in Variation::deliveries() {
        let change = |world: &mut World| {
            world.identify_client(client_identity());
            world.server.client_authentication = ClientAuthentication::Required;
        };
        let (mut pair, question) = stopped_with(VERIFY_SERVER, variation, change);
        assert!(pair.client.connection.poll_transmit().is_none());
        assert!(!pair.client.has_undelivered());
        assert!(pair.server.connection.peer_certificates().is_empty(), "{variation:?}");
        let sent = pair.client.sent;
        assert_eq!(pair.client.connection.write_plaintext(b"early").unwrap(), 0);
        pair.drive();
        assert_eq!(pair.client.sent, sent);
        decline(question, &mut pair.client.connection);
        pair.drive();
        pair.assert_connected();
        assert!(pair.client.sent > sent);
    }
}

#[test]
fn server_waits_for_each_new_session_answer_before_a_byte_is_sent() {
    for variation in Variation::deliveries().into_iter().filter(Variation::is_tls1_3) {
        let (mut pair, question) = NEW_SESSION.stopped(variation);
        let sent = pair.server.sent;
        let mut next = Some(question);
        let mut count = 0;
        while let Some(question) = next {
            assert!(pair.server.connection.poll_transmit().is_none(), "{variation:?}");
            decline(question, &mut pair.server.connection);
            count += 1;
            if count == 1 {
                // One more session is to be stored: the first answer frees nothing.
                assert!(pair.server.connection.poll_transmit().is_none(), "{variation:?}");
            }
            next = pair.server.connection.poll_event().filter(|event| kind(event).is_some());
            assert_eq!(pair.server.sent, sent);
        }
        assert_eq!(count, 2);
        assert!(pair.client.sessions().is_empty());
        pair.drive();
        assert_eq!(pair.client.sessions().len(), 2, "{variation:?}");
    }
}

#[test]
fn an_answer_about_a_client_frees_nothing_that_a_session_still_holds() {
    for variation in Variation::deliveries().into_iter().filter(Variation::is_tls1_3) {
        let questions = Questions::NONE.with(QuestionKind::VerifyPeer).with(QuestionKind::NewSession);
        let (mut pair, question) =
            stopped_with(VERIFY_CLIENT, variation, |world| world.server.questions = questions);
        decline(question, &mut pair.server.connection);
        assert!(pair.server.connection.poll_transmit().is_none(), "{variation:?}");
    }
}

/// Ways in which a server can end while it holds something back.
fn endings() -> [fn(Event, &mut Pair); 4] {
    [
        |question, pair| fail(question, &mut pair.server.connection).unwrap(),
        |question, _| drop(question),
        |_question, pair| {
            let late = pair.now + Duration::from_secs(120);
            pair.server.connection.handle_timeout(late);
        },
        |_question, pair| pair.server.connection.send_close_notify(),
    ]
}

#[test]
fn what_a_server_holds_back_is_never_sent_after_it_has_failed() {
    for stop in [VERIFY_CLIENT, NEW_SESSION] {
        for variation in Variation::deliveries().into_iter().filter(|variation| stop.exists_in(*variation)) {
            for end in endings() {
                let (mut pair, question) = stop.stopped(variation);
                let sent = pair.server.sent;
                end(question, &mut pair);
                pair.drive();
                assert_eq!(pair.server.sent, sent, "{stop:?}: {variation:?}");
                assert!(pair.server.connection.poll_transmit().is_none());
                assert!(pair.client.sessions().is_empty());
                assert_eq!(pair.client.is_secure(), variation.is_tls1_3());
            }
        }
    }
}

#[test]
fn no_application_data_is_read_or_written_before_the_answer() {
    for stop in [VERIFY_CLIENT, NEW_SESSION] {
        // A client of TLS 1.2 cannot send data before the server is done (RFC 5246 §7.3).
        for variation in Variation::deliveries().into_iter().filter(Variation::is_tls1_3) {
            let (mut pair, question) = stop.stopped(variation);
            assert_eq!(pair.client.connection.write_plaintext(b"early").unwrap(), 5);
            pair.drive();
            assert!(pair.server.received.is_empty());
            let server = &mut pair.server.connection;
            assert_eq!(server.read_plaintext(&mut [0; 64][..]).unwrap(), Read::Blocked);
            assert_eq!(server.write_plaintext(b"early").unwrap(), 0);
            decline(question, server);
            stop.decline_rest(&mut pair);
            assert_eq!(pair.server.received, b"early", "{stop:?}: {variation:?}");
        }
    }
}

#[test]
fn data_that_came_with_the_finished_message_is_not_delivered_to_a_server_that_rejects() {
    for delivery in [Delivery::Whole, Delivery::OneByte, Delivery::Coalesced, Delivery::Odd] {
        let variation = Variation { delivery, ..Variation::versions()[1] };
        let (mut pair, question) = VERIFY_CLIENT.stopped(variation);
        assert_eq!(pair.client.connection.write_plaintext(b"early").unwrap(), 5);
        pair.drive();
        fail(question, &mut pair.server.connection).unwrap();
        pair.drive();
        assert!(pair.server.received.is_empty(), "{variation:?}");
        assert!(pair.server.connection.read_plaintext(&mut [0; 64][..]).is_err());
    }
}
