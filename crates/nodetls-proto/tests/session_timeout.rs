//! `session_timeout`: how long a server resumes the sessions that it has made, in tickets and in its store.
//!
//! OpenSSL reads the system's clock for it, in seconds, so one test has to let two of them pass.

#![forbid(unsafe_code)]
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::collections::HashMap;
use std::time::Duration;

use nodetls_proto::{Event, ProtocolVersion, QuestionKind, Questions, SecureContextOptions, Session};
use nodetls_test::pair::{Pair, Variation, World, context, context_options, server_identity, with_identity};

/// `SSL_OP_NO_TICKET`
const NO_TICKET: u64 = 1 << 14;

const SHORT: Duration = Duration::from_secs(1);
const LONG: Duration = Duration::from_secs(300);

/// A server whose sessions live so long, in tickets or in its store.
struct Server {
    world: World,
    store: HashMap<Vec<u8>, Session>,
}

impl Server {
    fn new(version: ProtocolVersion, timeout: Duration, has_tickets: bool) -> Self {
        let options = SecureContextOptions {
            session_timeout: timeout,
            secure_options: if has_tickets { 0 } else { NO_TICKET },
            ..with_identity(context_options(version), server_identity())
        };
        let mut world = World { server_context: context(&options), ..World::new(Variation::plain(version)) };
        if !has_tickets {
            world.server.questions =
                Questions::NONE.with(QuestionKind::NewSession).with(QuestionKind::ResumeSession);
        }
        Self { world, store: HashMap::new() }
    }

    fn connect(&mut self) -> Pair {
        let mut pair = self.world.driven();
        while let Some(question) = pair.server.take_question() {
            let server = &mut pair.server.connection;
            match question {
                Event::NewSession(question) => {
                    self.store.insert(question.facts().session_id.clone(), question.facts().session.clone());
                    question.answer(server, ()).unwrap();
                }
                Event::ResumeSession(question) => {
                    let found = self.store.get(&question.facts().session_id).cloned();
                    question.answer(server, found).unwrap();
                }
                other => panic!("{other:?} is not asked for"),
            }
            pair.drive();
        }
        pair.assert_connected();
        pair
    }
}

#[test]
fn a_server_resumes_a_session_until_its_time_is_over() {
    let mut servers = Vec::new();
    for version in [ProtocolVersion::Tls1_2, ProtocolVersion::Tls1_3] {
        for has_tickets in [true, false] {
            for timeout in [SHORT, LONG] {
                let mut server = Server::new(version, timeout, has_tickets);
                let session = server.connect().client.sessions().pop();
                assert!(session.is_some());
                server.world.client.session = session;
                servers.push((server, timeout, format!("{version:?}, tickets {has_tickets}")));
            }
        }
    }
    std::thread::sleep(SHORT * 2 + Duration::from_millis(100));
    for (mut server, timeout, case) in servers {
        let pair = server.connect();
        assert_eq!(pair.server.connection.is_session_reused(), timeout == LONG, "{timeout:?}: {case}");
        assert_eq!(pair.client.connection.is_session_reused(), timeout == LONG, "{timeout:?}: {case}");
    }
}
