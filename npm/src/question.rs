//! The open question of a connection, and the answers that JavaScript may give.

use nodetls_proto::{
    AskClientHello, AskNewSession, AskOcspRequest, AskPsk, AskResumeSession, AskSelectAlpn, AskSelectContext,
    AskSign, AskVerifyPeer, ClientHelloAnswer, Connection, Error, PskAnswer, Question, SecureContext,
    SelectAlpnAnswer, Session, VerifyPeerAnswer,
};

/// A question that waits.
pub(crate) enum Open {
    ClientHello(Question<AskClientHello>),
    SelectContext(Question<AskSelectContext>),
    SelectAlpn(Question<AskSelectAlpn>),
    ResumeSession(Question<AskResumeSession>),
    NewSession(Question<AskNewSession>),
    OcspRequest(Question<AskOcspRequest>),
    VerifyPeer(Question<AskVerifyPeer>),
    Sign(Question<AskSign>),
    Psk(Question<AskPsk>),
}

/// What JavaScript has said.
pub(crate) enum Answer {
    /// The default.
    Nothing,
    /// A context.
    Context(SecureContext),
    /// Bytes: a session, an OCSP response, a signature, a protocol.
    Bytes(Vec<u8>),
    /// A key, and the identity that a client goes by.
    Psk(PskAnswer),
    /// `accept`: the peer, whatever the objection. `refuse`: no protocol.
    Word(String),
}

/// Gives the answer; one that does not fit the question is a mistake of `lib/` and fails the connection.
pub(crate) fn answer(open: Open, connection: &mut Connection, answer: Answer) -> Result<(), Error> {
    match (open, answer) {
        (open, Answer::Nothing) => decline(open, connection),
        (Open::SelectContext(question), Answer::Context(context)) => {
            question.answer(connection, Some(context))
        }
        (Open::SelectAlpn(question), Answer::Bytes(protocol)) => {
            question.answer(connection, SelectAlpnAnswer::Protocol(protocol))
        }
        (Open::SelectAlpn(question), Answer::Word(_)) => {
            question.answer(connection, SelectAlpnAnswer::Refuse)
        }
        (Open::ResumeSession(question), Answer::Bytes(der)) => match Session::from_der(&der) {
            Ok(session) => question.answer(connection, Some(session)),
            // As in Node.js, what cannot be read is no session.
            Err(_) => question.decline(connection),
        },
        (Open::OcspRequest(question), Answer::Bytes(response)) => question.answer(connection, Some(response)),
        (Open::Psk(question), Answer::Psk(key)) => question.answer(connection, Some(key)),
        (Open::Sign(question), Answer::Bytes(signature)) => question.answer(connection, Some(signature)),
        (Open::VerifyPeer(question), Answer::Word(word)) if word == "accept" => {
            question.answer(connection, VerifyPeerAnswer::DangerousAccept)
        }
        (Open::ClientHello(question), Answer::Word(_)) => question.answer(
            connection,
            ClientHelloAnswer::Refuse(nodetls_proto::AlertDescription::HANDSHAKE_FAILURE),
        ),
        (open, _) => fail(open, connection, "the answer does not fit the question".to_owned()),
    }
}

/// Leaves the decision to the default.
pub(crate) fn decline(open: Open, connection: &mut Connection) -> Result<(), Error> {
    match open {
        Open::ClientHello(question) => question.decline(connection),
        Open::SelectContext(question) => question.decline(connection),
        Open::SelectAlpn(question) => question.decline(connection),
        Open::ResumeSession(question) => question.decline(connection),
        Open::NewSession(question) => question.decline(connection),
        Open::OcspRequest(question) => question.decline(connection),
        Open::VerifyPeer(question) => question.decline(connection),
        Open::Sign(question) => question.decline(connection),
        Open::Psk(question) => question.decline(connection),
    }
}

/// Ends the connection because the decision failed. A peer is rejected rather, so that it is told.
pub(crate) fn fail(open: Open, connection: &mut Connection, reason: String) -> Result<(), Error> {
    match open {
        Open::ClientHello(question) => question.fail(connection, reason),
        Open::SelectContext(question) => question.fail(connection, reason),
        Open::SelectAlpn(question) => question.fail(connection, reason),
        Open::ResumeSession(question) => question.fail(connection, reason),
        Open::NewSession(question) => question.fail(connection, reason),
        Open::OcspRequest(question) => question.fail(connection, reason),
        Open::VerifyPeer(question) => question.answer(connection, VerifyPeerAnswer::Reject(reason.into())),
        Open::Sign(question) => question.fail(connection, reason),
        Open::Psk(question) => question.fail(connection, reason),
    }
}
