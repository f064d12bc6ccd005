//! Resumption by session id (RFC 5246 §7.4.1.2): what a server has stored, and how it is asked for it.
//!
//! Clients of this library always take tickets where a server gives them, so the client of most tests is OpenSSL with
//! tickets switched off. In the last ones a server has none to give, which in TLS 1.3 means that its tickets are ids
//! (RFC 8446 §4.6.1).

#![forbid(unsafe_code)]
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::collections::HashMap;
use std::time::{Duration, Instant};

use nodetls_openssl::{ContextBuilder, Progress, SSL_OP_NO_TICKET, Ssl};
use nodetls_proto::{
    ClientAuthentication, Connection, Error, Event, QuestionKind, Questions, SecureContext, ServerOptions,
    Session,
};
use nodetls_test::pair::{
    Pair, Variation, World, client_identity, context, context_options, server_identity, with_identity,
};

const TLS_1_2: u16 = 0x0303;

/// A client of TLS 1.2 that knows no tickets.
struct Client {
    ssl: Ssl,
    done: bool,
    failed: bool,
}

impl Client {
    fn new(session: Option<&nodetls_openssl::Session>) -> Self {
        let mut builder = ContextBuilder::new().unwrap();
        builder.set_max_version(TLS_1_2).unwrap();
        builder.set_options(SSL_OP_NO_TICKET);
        let mut ssl = Ssl::client(&builder.build()).unwrap();
        if let Some(session) = session {
            ssl.offer_session(session).unwrap();
        }
        Self { ssl, done: false, failed: false }
    }

    /// One step of the handshake; what is to be sent comes back.
    fn step(&mut self, received: &[u8]) -> Vec<u8> {
        assert_eq!(self.ssl.received_mut().extend(received), received.len());
        match self.ssl.handshake() {
            Ok(progress) => self.done = progress == Progress::Done(()),
            Err(_) => self.failed = true,
        }
        let sent = self.ssl.transmit().to_vec();
        self.ssl.transmitted(sent.len());
        sent
    }
}

/// A server and such a client.
struct Ids {
    client: Client,
    server: Connection,
    now: Instant,
}

impl Ids {
    fn new(
        context: &SecureContext,
        options: ServerOptions,
        offered: Option<&nodetls_openssl::Session>,
    ) -> Self {
        let now = Instant::now();
        let server = Connection::server(context, options, now).unwrap();
        Self { client: Client::new(offered), server, now }
    }

    /// Lets both go on until nothing moves; returns the server's events.
    fn drive(&mut self) -> Vec<Event> {
        let mut events = Vec::new();
        loop {
            while let Some(event) = self.server.poll_event() {
                events.push(event);
            }
            let to_client = self.server.poll_transmit().unwrap_or_default().to_vec();
            self.server.transmitted(to_client.len());
            let to_server = self.client.step(&to_client);
            self.server.handle_ciphertext(&to_server);
            if to_client.is_empty() && to_server.is_empty() {
                return events;
            }
        }
    }

    /// Drives to the one question that must come, and returns it.
    fn question(&mut self) -> Event {
        let mut events = self.drive();
        assert_eq!(events.len(), 1, "{events:?}");
        assert!(self.server.waits_for_answer() && !self.client.done);
        events.remove(0)
    }

    fn failure(&mut self) -> Error {
        let events = self.drive();
        let failed = |event| if let Event::Failed(error) = event { Some(error) } else { None };
        events.into_iter().find_map(failed).expect("the server fails")
    }

    fn assert_secure(&mut self) {
        let events = self.drive();
        assert!(matches!(events.last(), Some(Event::Secure)), "{events:?}");
        assert!(self.client.done);
    }

    fn is_resumed(&self) -> bool {
        assert_eq!(self.client.ssl.is_session_reused(), self.server.is_session_reused());
        self.server.is_session_reused()
    }
}

fn world() -> World {
    World::new(Variation::versions()[0])
}

fn options(kinds: &[QuestionKind]) -> ServerOptions {
    let questions = kinds.iter().fold(Questions::NONE, |questions, kind| questions.with(*kind));
    ServerOptions { questions, ..world().server }
}

/// A connection whose session was stored: what the client has, the id, and what the server stored under it.
fn stored(options: ServerOptions) -> (nodetls_openssl::Session, Vec<u8>, Session) {
    let options = ServerOptions { questions: Questions::NONE.with(QuestionKind::NewSession), ..options };
    let mut ids = Ids::new(&world().server_context, options, None);
    let Event::NewSession(question) = ids.question() else { panic!("no session") };
    let (id, session) = (question.facts().session_id.clone(), question.facts().session.clone());
    question.answer(&mut ids.server, ()).unwrap();
    ids.assert_secure();
    assert!(!ids.is_resumed());
    (ids.client.ssl.session().unwrap(), id, session)
}

/// A second connection that stands at the question for the session of a first one.
fn resuming() -> (Ids, nodetls_proto::Question<nodetls_proto::AskResumeSession>, Session) {
    let (offered, id, session) = stored(options(&[]));
    let mut ids = Ids::new(&world().server_context, options(&[QuestionKind::ResumeSession]), Some(&offered));
    let Event::ResumeSession(question) = ids.question() else { panic!("not asked") };
    assert_eq!(question.facts().session_id, id);
    (ids, question, session)
}

// ---- the store ----

#[test]
fn a_session_in_a_store_is_found_by_its_id_and_resumed() {
    let mut store: HashMap<Vec<u8>, Vec<u8>> = HashMap::new();
    let (offered, id, session) = stored(options(&[]));
    assert_eq!((id.len(), session.id()), (32, id.as_slice()));
    store.insert(id, session.to_der().unwrap().expose().to_vec());
    // Any number of times, and by any server process with the same options: the store is all they share.
    for _ in 0..3 {
        let kinds = [QuestionKind::ResumeSession, QuestionKind::NewSession];
        let mut ids = Ids::new(&world().server_context, options(&kinds), Some(&offered));
        let Event::ResumeSession(question) = ids.question() else { panic!("not asked") };
        let found = store.get(&question.facts().session_id).map(|der| Session::from_der(der).unwrap());
        assert!(found.is_some());
        question.answer(&mut ids.server, found).unwrap();
        ids.assert_secure();
        assert!(ids.is_resumed());
    }
}

#[test]
fn another_context_with_the_same_certificate_resumes_too() {
    let (offered, _, session) = stored(options(&[]));
    let mut fleet = world();
    fleet.identify_server(server_identity());
    let kinds = [QuestionKind::ResumeSession];
    let mut ids = Ids::new(&fleet.server_context, options(&kinds), Some(&offered));
    let Event::ResumeSession(question) = ids.question() else { panic!("not asked") };
    question.answer(&mut ids.server, Some(session)).unwrap();
    ids.assert_secure();
    assert!(ids.is_resumed());
}

#[test]
fn nobody_is_asked_for_a_session_that_no_client_mentions() {
    let kinds = [QuestionKind::ResumeSession];
    let mut ids = Ids::new(&world().server_context, options(&kinds), None);
    ids.assert_secure();
}

#[test]
fn without_the_question_there_is_no_store_and_a_full_handshake() {
    let (offered, ..) = stored(options(&[]));
    let mut ids = Ids::new(&world().server_context, options(&[]), Some(&offered));
    ids.assert_secure();
    assert!(!ids.is_resumed());
}

// ---- ResumeSession, answered in all ways ----

#[test]
fn an_answer_that_comes_late_resumes() {
    let (mut ids, question, session) = resuming();
    for _ in 0..50 {
        assert!(ids.drive().is_empty());
        ids.server.handle_timeout(ids.now + Duration::from_secs(119));
    }
    question.answer(&mut ids.server, Some(session)).unwrap();
    ids.assert_secure();
    assert!(ids.is_resumed());
}

#[test]
fn declined_a_full_handshake_follows() {
    let (mut ids, question, _) = resuming();
    question.decline(&mut ids.server).unwrap();
    ids.assert_secure();
    assert!(!ids.is_resumed());
}

#[test]
fn a_session_of_another_id_is_not_used() {
    let (.., other) = stored(options(&[]));
    let (mut ids, question, _) = resuming();
    question.answer(&mut ids.server, Some(other)).unwrap();
    ids.assert_secure();
    assert!(!ids.is_resumed());
}

#[test]
fn a_failed_store_ends_the_connection() {
    let (mut ids, question, _) = resuming();
    question.fail(&mut ids.server, "the store is away").unwrap();
    assert_eq!(ids.failure().code(), "ERR_TLS_RESUME_SESSION_FAILED");
    assert!(!ids.client.done);
}

#[test]
fn a_dropped_question_ends_the_connection() {
    let (mut ids, question, _) = resuming();
    drop(question);
    assert_eq!(ids.failure().code(), "ERR_TLS_QUESTION_DROPPED");
}

#[test]
fn a_client_that_goes_away_ends_the_connection() {
    let (mut ids, question, session) = resuming();
    ids.server.handle_eof();
    assert_eq!(ids.failure().code(), "ECONNRESET");
    let error = question.answer(&mut ids.server, Some(session)).unwrap_err();
    assert!(matches!(error, Error::ApiMisuse(_)));
}

#[test]
fn an_answer_to_another_connection_is_a_misuse() {
    let ((mut own, question, session), (mut foreign, theirs, their_session)) = (resuming(), resuming());
    let error = question.answer(&mut foreign.server, Some(session)).unwrap_err();
    assert!(matches!(error, Error::ApiMisuse(_)));
    theirs.answer(&mut foreign.server, Some(their_session)).unwrap();
    foreign.assert_secure();
    assert!(foreign.is_resumed());
    assert_eq!(own.failure().code(), "ERR_TLS_QUESTION_DROPPED");
}

#[test]
fn an_answer_after_the_time_limit_is_a_misuse() {
    let (mut ids, question, session) = resuming();
    ids.server.handle_timeout(ids.now + Duration::from_secs(120));
    let error = question.answer(&mut ids.server, Some(session)).unwrap_err();
    assert!(matches!(error, Error::ApiMisuse(_)));
    assert_eq!(ids.failure().code(), "ERR_TLS_HANDSHAKE_TIMEOUT");
}

// ---- NewSession in TLS 1.2 ----

type NewSession = nodetls_proto::Question<nodetls_proto::AskNewSession>;

/// A way to deal with the question, short of answering it.
type Ending = fn(&mut Ids, NewSession);

/// A server that wants to store a session of TLS 1.2.
fn storing() -> (Ids, NewSession) {
    let mut ids = Ids::new(&world().server_context, options(&[QuestionKind::NewSession]), None);
    let Event::NewSession(question) = ids.question() else { panic!("not asked") };
    (ids, question)
}

#[test]
fn server_waits_for_new_session_answer_before_finished_is_sent() {
    let (mut ids, question) = storing();
    for _ in 0..50 {
        assert!(ids.server.poll_transmit().is_none());
        assert!(ids.drive().is_empty());
        assert!(!ids.client.done, "the client cannot know that the handshake is over");
    }
    question.answer(&mut ids.server, ()).unwrap();
    assert!(ids.server.poll_transmit().is_some());
    ids.assert_secure();
}

#[test]
fn a_session_that_cannot_be_stored_ends_the_connection_and_nothing_is_sent() {
    let ways: [(Ending, &str); 3] = [
        (|ids, question| question.fail(&mut ids.server, "full").unwrap(), "ERR_TLS_NEW_SESSION_FAILED"),
        (|_, question| drop(question), "ERR_TLS_QUESTION_DROPPED"),
        (
            |ids, _question| ids.server.handle_timeout(ids.now + Duration::from_secs(120)),
            "ERR_TLS_HANDSHAKE_TIMEOUT",
        ),
    ];
    for (way, code) in ways {
        let (mut ids, question) = storing();
        way(&mut ids, question);
        assert_eq!(ids.failure().code(), code);
        assert!(!ids.client.done && !ids.client.failed, "something was sent: {code}");
    }
}

#[test]
fn an_answer_for_the_session_of_another_connection_is_a_misuse() {
    let ((mut own, question), (mut foreign, theirs)) = (storing(), storing());
    assert!(matches!(question.answer(&mut foreign.server, ()), Err(Error::ApiMisuse(_))));
    assert!(foreign.server.poll_transmit().is_none());
    theirs.decline(&mut foreign.server).unwrap();
    foreign.assert_secure();
    assert_eq!(own.failure().code(), "ERR_TLS_QUESTION_DROPPED");
}

// ---- what a stored session must not open ----

#[test]
fn a_stored_session_is_not_resumed_in_another_application_or_past_a_demand_for_a_certificate() {
    let (offered, _, session) = stored(options(&[]));
    let kinds = [QuestionKind::ResumeSession];
    let others = [
        ServerOptions { session_id_context: b"another application".to_vec(), ..options(&kinds) },
        ServerOptions { client_authentication: ClientAuthentication::Required, ..options(&kinds) },
        ServerOptions { client_authentication: ClientAuthentication::DangerousOptional, ..options(&kinds) },
    ];
    for other in others {
        let demands = other.client_authentication == ClientAuthentication::Required;
        let mut ids = Ids::new(&world().server_context, other, Some(&offered));
        let Event::ResumeSession(question) = ids.question() else { panic!("not asked") };
        question.answer(&mut ids.server, Some(session.clone())).unwrap();
        if demands {
            assert_eq!(ids.failure().code(), "ERR_SSL_PEER_DID_NOT_RETURN_A_CERTIFICATE");
            assert!(!ids.client.done);
        } else {
            ids.assert_secure();
            assert!(!ids.is_resumed());
        }
    }
}

#[test]
fn a_stored_session_of_tls_1_3_is_never_asked_for() {
    // The field that looks like a session id is there for middleboxes only (RFC 8446 §4.1.2).
    let mut world = World::new(Variation::versions()[1]);
    let session = world.connected().client.sessions().pop();
    world.client.session = session;
    world.server.questions = Questions::NONE.with(QuestionKind::ResumeSession);
    let pair = world.connected();
    assert!(pair.server.asked.is_empty() && pair.server.connection.is_session_reused());
}

// ---- a server without tickets ----

/// A server that uses its store instead of tickets.
fn ticketless(variation: Variation) -> World {
    let mut options = with_identity(context_options(variation.version), server_identity());
    options.secure_options = SSL_OP_NO_TICKET;
    let mut world = World { server_context: context(&options), ..World::new(variation) };
    world.server.questions = Questions::NONE.with(QuestionKind::NewSession).with(QuestionKind::ResumeSession);
    world
}

type Store = HashMap<Vec<u8>, Vec<u8>>;

/// Drives to the end with a store that answers, late or at once.
fn driven_with(world: &World, store: &mut Store) -> Pair {
    let mut pair = world.driven();
    while let Some(question) = pair.server.take_question() {
        let server = &mut pair.server.connection;
        match question {
            Event::NewSession(question) => {
                let facts = question.facts();
                store.insert(facts.session_id.clone(), facts.session.to_der().unwrap().expose().to_vec());
                question.answer(server, ()).unwrap();
            }
            Event::ResumeSession(question) => {
                let found = store.get(&question.facts().session_id);
                let found = found.map(|der| Session::from_der(der).unwrap());
                question.answer(server, found).unwrap();
            }
            other => panic!("{other:?} is not asked for"),
        }
        pair.drive();
    }
    pair.assert_connected();
    pair
}

#[test]
fn two_sides_of_this_library_resume_by_id_where_the_server_has_no_tickets() {
    for variation in Variation::deliveries() {
        let (mut world, mut store) = (ticketless(variation), Store::new());
        let first = driven_with(&world, &mut store);
        assert!(!first.server.connection.is_session_reused() && !store.is_empty());
        world.client.session = first.client.sessions().pop();
        let mut pair = driven_with(&world, &mut store);
        assert!(pair.server.asked.contains(&QuestionKind::ResumeSession), "{variation:?}");
        assert!(pair.client.connection.is_session_reused(), "{variation:?}");
        assert!(pair.server.connection.is_session_reused(), "{variation:?}");
        pair.send(nodetls_proto::Side::Client, b"resumed");
    }
}

#[test]
fn an_empty_store_leads_to_a_full_handshake() {
    for variation in Variation::deliveries() {
        let mut world = ticketless(variation);
        let first = driven_with(&world, &mut Store::new());
        world.client.session = first.client.sessions().pop();
        let pair = driven_with(&world, &mut Store::new());
        assert!(pair.server.asked.contains(&QuestionKind::ResumeSession), "{variation:?}");
        assert!(!pair.client.connection.is_session_reused(), "{variation:?}");
    }
}

#[test]
fn a_resumed_certificate_comes_from_the_store_and_is_judged_again() {
    for variation in Variation::deliveries() {
        let (mut world, mut store) = (ticketless(variation), Store::new());
        world.identify_client(client_identity());
        world.server.client_authentication = ClientAuthentication::Required;
        let first = driven_with(&world, &mut store);
        world.client.session = first.client.sessions().pop();
        let pair = driven_with(&world, &mut store);
        let server = &pair.server.connection;
        assert!(server.is_session_reused() && server.is_authorized(), "{variation:?}");
        assert_eq!(server.peer_certificate().unwrap().to_der(), client_identity().cert_der);
    }
}
