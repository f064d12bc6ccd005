//! `NativeConnection`: the core's `Connection`, shared with the threads that do its heavy work.

use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Instant;

use napi::bindgen_prelude::{Buffer, BufferSlice, ClassInstance, Env, Object, Result};
use napi_derive::napi;
use nodetls_proto::{Connection, Event, KeyUpdateRequest, PskAnswer, RenegotiateOptions, SecretBytes};

use crate::agreement::{NativeCipher, NativeEphemeralKey, ephemeral_key};
use crate::context::{NativeContext, client_authentication};
use crate::error::{NativeError, refused, thrown};
use crate::event::{self, bytes};
use crate::module::completions;
use crate::options::{NativeClientOptions, NativeServerConfig};
use crate::pool::{self, lock};
use crate::progress::{flag, next_event, output_and_deadline, read_records, with};
use crate::question::{self, Answer, Open};

/// What a connection and the threads share.
pub(crate) struct Shared {
    pub(crate) id: u32,
    pub(crate) connection: Mutex<Connection>,
    /// Its work is queued or being done.
    pub(crate) working: AtomicBool,
    /// Nobody needs it any more.
    disposed: AtomicBool,
}

impl Shared {
    /// Frees what the connection holds if nobody needs it any more; a thread that works for it does so afterwards.
    pub(crate) fn free_if_disposed(&self) {
        if self.disposed.load(Ordering::SeqCst) && !self.working.load(Ordering::SeqCst) {
            lock(&self.connection).dispose();
        }
    }
}

/// One end of a TLS connection.
#[napi]
pub struct NativeConnection {
    shared: Arc<Shared>,
    open: Option<Open>,
    /// The next event, where it had to be looked at.
    next_event: Option<Event>,
    told_deadline: Option<Instant>,
    /// The transport has ended.
    eof: bool,
}

#[napi]
impl NativeConnection {
    /// A client.
    #[napi(factory)]
    pub fn client(
        env: Env,
        context: ClassInstance<'_, NativeContext>,
        options: NativeClientOptions,
    ) -> Result<Self> {
        let options = options.into_options(&env)?;
        let made = Connection::client(context.context(), options, Instant::now());
        made.map(Self::new).map_err(|error| thrown(&env, &error))
    }

    /// A server.
    #[napi(factory)]
    pub fn server(
        env: Env,
        context: ClassInstance<'_, NativeContext>,
        config: ClassInstance<'_, NativeServerConfig>,
    ) -> Result<Self> {
        let made = Connection::server(context.context(), Arc::clone(config.options()), Instant::now());
        made.map(Self::new).map_err(|error| thrown(&env, &error))
    }

    fn new(connection: Connection) -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(1);
        let id = NEXT.fetch_add(1, Ordering::Relaxed);
        let shared = Shared {
            id,
            connection: Mutex::new(connection),
            working: AtomicBool::new(false),
            disposed: AtomicBool::new(false),
        };
        Self { shared: Arc::new(shared), open: None, next_event: None, told_deadline: None, eof: false }
    }

    fn lock(&self) -> MutexGuard<'_, Connection> {
        lock(&self.shared.connection)
    }

    /// Frees what the connection holds now, or has it freed at once by a thread that is awake. JavaScript's engine knows
    /// nothing of its size, and would keep thousands.
    #[napi]
    pub fn dispose(&mut self) {
        self.open = None;
        self.next_event = None;
        self.shared.disposed.store(true, Ordering::SeqCst);
        pool::free(&self.shared);
    }

    /// Tells this connection from others of the process.
    #[napi(getter)]
    pub fn id(&self) -> u32 {
        self.shared.id
    }

    // ---- feed ----

    /// Takes in bytes of the peer; how many. The rest has to be offered again after reads or answers.
    #[napi]
    pub fn receive(&self, source: BufferSlice<'_>, start: u32, end: u32) -> Result<u32> {
        let bytes = part(&source, start, end)?;
        Ok(self.lock().handle_ciphertext(bytes) as u32)
    }

    /// The transport has ended.
    #[napi]
    pub fn end_of_stream(&mut self) {
        self.eof = true;
        self.lock().handle_eof();
    }

    /// The deadline may have passed.
    #[napi]
    pub fn timeout(&self) {
        self.lock().handle_timeout(Instant::now());
    }

    /// Milliseconds until the deadline; -1 where there is none.
    #[napi]
    pub fn deadline(&mut self) -> f64 {
        let deadline = self.lock().poll_timeout();
        self.told_deadline = deadline;
        deadline.map_or(-1.0, |at| at.saturating_duration_since(Instant::now()).as_secs_f64() * 1000.0)
    }

    // ---- work ----

    /// Goes on as far as it can: has the heavy step that is due done on another thread, or else does what there is. What there
    /// is to be done then, as bits (see `flag`).
    #[napi]
    pub fn go_on(&mut self) -> u32 {
        if self.start_work() {
            return flag::WORKING;
        }
        let mut connection = lock(&self.shared.connection);
        let mut flags = 0;
        if self.next_event.is_none() {
            match next_event(&mut connection) {
                Some(Event::Secure) => {
                    flags |= flag::SECURE
                        | with(connection.alpn_protocol().is_some(), flag::ALPN)
                        | with(connection.server_name().is_some(), flag::SERVERNAME);
                }
                other => self.next_event = other,
            }
        }
        let has_more = self.next_event.is_some() || connection.has_events();
        flags | with(has_more, flag::MORE) | output_and_deadline(&connection, &mut self.told_deadline)
    }

    /// As `receive`, and then `goOn`, in one call: the bits, and what was taken in, times 2^8.
    #[napi]
    pub fn receive_and_go_on(&mut self, source: BufferSlice<'_>, end: u32) -> Result<f64> {
        let taken = self.receive(source, 0, end)?;
        Ok(f64::from(self.go_on()) + f64::from(taken) * 256.0)
    }

    fn start_work(&self) -> bool {
        if self.is_working() {
            return true;
        }
        let Some(completions) = completions() else { return false };
        self.lock().has_public_key_work() && pool::start(&self.shared, &completions)
    }

    fn is_working(&self) -> bool {
        self.shared.working.load(Ordering::Acquire)
    }

    // ---- drain ----

    /// All events that there are but those of alerts; null while work is being done, and where there are none.
    #[napi]
    pub fn poll<'env>(&mut self, env: &'env Env) -> Result<Option<Vec<Object<'env>>>> {
        if self.is_working() {
            return Ok(None);
        }
        let mut events = Vec::new();
        loop {
            let Some(event) = self.next_event.take().or_else(|| next_event(&mut self.lock())) else { break };
            let (object, open) = event::describe(env, event)?;
            if open.is_some() {
                self.open = open;
            }
            events.push(object);
        }
        Ok((!events.is_empty()).then_some(events))
    }

    /// Reads into the target from `start` on, as many records as there are and fit. The result's low part (up to 2^24) is the
    /// number of bytes plus 2 (2: nothing now; 1: the peer has said goodbye; 0: the transport has ended without one), the
    /// part above 2^46 are bits (see `flag`).
    #[napi]
    pub fn read(&mut self, env: Env, mut target: BufferSlice<'_>, start: u32) -> Result<f64> {
        self.read_from(&env, &[], &mut target, start)
    }

    /// As `receive`, and then `read`, in one call. Between the two parts of `read`'s result there is what was taken in,
    /// times 2^24.
    #[napi]
    pub fn exchange(
        &mut self,
        env: Env,
        source: BufferSlice<'_>,
        end: u32,
        mut target: BufferSlice<'_>,
        start: u32,
    ) -> Result<f64> {
        self.read_from(&env, part(&source, 0, end)?, &mut target, start)
    }

    fn read_from(&mut self, env: &Env, mut source: &[u8], target: &mut [u8], start: u32) -> Result<f64> {
        let Some(room) = target.get_mut(start as usize..) else {
            return Err(refused("start is beyond the end"));
        };
        let (mut connection, given) = (lock(&self.shared.connection), source.len());
        let read = read_records(&mut connection, &mut source, room).map_err(|error| thrown(env, &error))?;
        let taken = given - source.len() + connection.handle_ciphertext(source);
        connection.forget_alerts();
        let has_events =
            self.next_event.is_some() || connection.has_events() || connection.waits_for_answer();
        // The end is read like data.
        let is_ending = read > 0 && (self.eof || connection.is_close_notify_received());
        let flags = with(has_events, flag::EVENTS)
            | with(connection.has_received() || is_ending, flag::MORE)
            | output_and_deadline(&connection, &mut self.told_deadline);
        Ok(f64::from(flags) * 2_f64.powi(46) + taken as f64 * 2_f64.powi(24) + f64::from(read + 2))
    }

    /// As `write` of as much as can be taken, and then `transmitInto`, in one call. The result's high part (times 2^24) is
    /// what was taken, the low part the ciphertext's length.
    #[napi]
    pub fn send(
        &self,
        env: Env,
        source: BufferSlice<'_>,
        start: u32,
        target: BufferSlice<'_>,
    ) -> Result<f64> {
        let Some(mut rest) = source.get(start as usize..) else {
            return Err(refused("start is beyond the end"));
        };
        let mut taken = 0;
        while !rest.is_empty() {
            let count = self.lock().write_plaintext(rest).map_err(|error| thrown(&env, &error))?;
            if count == 0 {
                break;
            }
            taken += count;
            rest = rest.get(count..).unwrap_or_default();
        }
        let sent = self.transmit_into(target)?;
        Ok(taken as f64 * 16_777_216.0 + f64::from(sent))
    }

    /// Writes bytes; how many were taken. 0: ciphertext has to be taken first, or the handshake be done.
    #[napi]
    pub fn write(&self, env: Env, source: BufferSlice<'_>, start: u32, end: u32) -> Result<u32> {
        let bytes = part(&source, start, end)?;
        self.lock().write_plaintext(bytes).map(|count| count as u32).map_err(|error| thrown(&env, &error))
    }

    /// All ciphertext that there is, which counts as sent from now on; null where there is none.
    #[napi]
    pub fn transmit<'env>(&self, env: &'env Env) -> Result<Option<BufferSlice<'env>>> {
        if self.is_working() {
            return Ok(None);
        }
        let mut connection = self.lock();
        let Some(ciphertext) = connection.poll_transmit() else { return Ok(None) };
        let (copy, count) = (bytes(env, ciphertext)?, ciphertext.len());
        connection.transmitted(count);
        Ok(Some(copy))
    }

    /// Puts ciphertext into the target, as much as fits, which counts as sent from now on; its length.
    #[napi]
    pub fn transmit_into(&self, mut target: BufferSlice<'_>) -> Result<u32> {
        if self.is_working() {
            return Ok(0);
        }
        let mut connection = self.lock();
        let Some(ciphertext) = connection.poll_transmit() else { return Ok(0) };
        let count = ciphertext.len().min(target.len());
        let (Some(room), Some(bytes)) = (target.get_mut(..count), ciphertext.get(..count)) else {
            return Ok(0);
        };
        room.copy_from_slice(bytes);
        connection.transmitted(count);
        Ok(count as u32)
    }

    /// Says goodbye; nothing can be written any more. Then as `transmitInto`.
    #[napi]
    pub fn send_close_notify(&self, target: BufferSlice<'_>) -> Result<u32> {
        self.lock().send_close_notify();
        self.transmit_into(target)
    }

    /// Whether application data can flow.
    #[napi]
    pub fn is_open(&self) -> bool {
        self.lock().is_open()
    }

    // ---- answers ----

    /// Leaves the open question to its default.
    #[napi]
    pub fn decline(&mut self, env: Env) -> Result<()> {
        self.answer_with(&env, Answer::Nothing)
    }

    /// Answers with a context.
    #[napi]
    pub fn answer_with_context(&mut self, env: Env, context: ClassInstance<'_, NativeContext>) -> Result<()> {
        self.answer_with(&env, Answer::Context(context.context().clone()))
    }

    /// Serves the connection with another context; possible until all has been decided that concerns the hello.
    #[napi]
    pub fn set_context(&self, env: Env, context: ClassInstance<'_, NativeContext>) -> Result<()> {
        self.lock().set_context(context.context()).map_err(|error| thrown(&env, &error))
    }

    /// Answers with bytes: a session, an OCSP response, a signature, a protocol.
    #[napi]
    pub fn answer_with_bytes(&mut self, env: Env, bytes: Buffer) -> Result<()> {
        self.answer_with(&env, Answer::Bytes(bytes.to_vec()))
    }

    /// Answers `accept` (a peer, whatever the objection) or `refuse` (a client, or all of its protocols).
    #[napi]
    pub fn answer_with_word(&mut self, env: Env, word: String) -> Result<()> {
        self.answer_with(&env, Answer::Word(word))
    }

    /// Answers with a pre-shared key; a client's, with the identity that it goes by.
    #[napi]
    pub fn answer_with_psk(&mut self, env: Env, key: Buffer, identity: Option<String>) -> Result<()> {
        let key = SecretBytes::from(&key[..]);
        let answer = PskAnswer::with_identity(identity.unwrap_or_default(), key);
        self.answer_with(&env, Answer::Psk(answer))
    }

    /// The identity of the pre-shared key in use.
    #[napi]
    pub fn psk_identity(&self) -> Option<String> {
        self.lock().psk_identity().map(|identity| String::from_utf8_lossy(&identity).into_owned())
    }

    /// Ends the connection because the decision failed. JavaScript keeps the error; this is its text.
    #[napi]
    pub fn fail(&mut self, env: Env, message: String) -> Result<()> {
        let Some(open) = self.open.take() else { return Err(refused("no question is open")) };
        question::fail(open, &mut self.lock(), message).map_err(|error| thrown(&env, &error))
    }

    fn answer_with(&mut self, env: &Env, answer: Answer) -> Result<()> {
        let Some(open) = self.open.take() else { return Err(refused("no question is open")) };
        question::answer(open, &mut self.lock(), answer).map_err(|error| thrown(env, &error))
    }

    // ---- after the handshake ----

    /// Begins a new handshake on this connection (TLS 1.2); the event `renegotiated` says that it is done. On a server the
    /// arguments say what it asks of its client from then on; on a client the second, whether the server must be acceptable.
    #[napi]
    pub fn renegotiate(
        &self,
        env: Env,
        request_cert: Option<bool>,
        reject_unauthorized: Option<bool>,
    ) -> Result<()> {
        let rejects = reject_unauthorized.unwrap_or(true);
        let options = RenegotiateOptions {
            client_authentication: request_cert.map(|asks| client_authentication(asks, rejects)),
            dangerous_accept_unauthorized: reject_unauthorized.map(|rejects| !rejects),
        };
        self.lock().renegotiate(options).map_err(|error| thrown(&env, &error))
    }

    /// From now on the connection is traced; the text comes as events.
    #[napi]
    pub fn enable_trace(&self, env: Env) -> Result<()> {
        self.lock().enable_trace().map_err(|error| thrown(&env, &error))
    }

    /// From now on an attempt to renegotiate ends the connection.
    #[napi]
    pub fn disable_renegotiation(&self) {
        self.lock().disable_renegotiation();
    }

    /// Makes new keys (TLS 1.3), and has the peer do so too where that is asked for.
    #[napi]
    pub fn update_keys(&self, env: Env, both: bool) -> Result<()> {
        let request = if both { KeyUpdateRequest::Requested } else { KeyUpdateRequest::NotRequested };
        self.lock().update_keys(request).map_err(|error| thrown(&env, &error))
    }

    /// Asks a client for its certificate after the handshake (TLS 1.3); the event `clientAuthenticated` says that it is done.
    #[napi]
    pub fn request_client_certificate(&self, env: Env, reject_unauthorized: bool) -> Result<()> {
        let authentication = client_authentication(true, reject_unauthorized);
        self.lock().request_client_certificate(authentication).map_err(|error| thrown(&env, &error))
    }

    // ---- facts ----

    /// Such as `TLSv1.3`.
    #[napi]
    pub fn protocol(&self) -> Option<&'static str> {
        self.lock().protocol_version().map(|version| version.as_str())
    }

    /// The suite.
    #[napi]
    pub fn cipher(&self) -> Option<NativeCipher> {
        let suite = self.lock().cipher_suite()?;
        Some(NativeCipher {
            name: suite.name.to_string(),
            standard_name: suite.standard_name.to_string(),
            version: suite.version.to_string(),
        })
    }

    /// The key agreement.
    #[napi]
    pub fn ephemeral_key_info(&self) -> Option<NativeEphemeralKey> {
        let connection = self.lock();
        match connection.ephemeral_key() {
            Some(key) => ephemeral_key(key),
            // Of a key encapsulation there is only the name.
            None => Some(NativeEphemeralKey {
                kind: "TLSGroup".to_owned(),
                name: Some(connection.group_name()?),
                size: None,
            }),
        }
    }

    /// The protocol that was agreed on.
    #[napi]
    pub fn alpn_protocol<'env>(&self, env: &'env Env) -> Result<Option<BufferSlice<'env>>> {
        self.lock().alpn_protocol().map(|protocol| bytes(env, protocol)).transpose()
    }

    /// The name that the client asked for.
    #[napi]
    pub fn servername(&self) -> Option<String> {
        self.lock().server_name().map(str::to_owned)
    }

    /// Whether the session was resumed.
    #[napi]
    pub fn is_session_reused(&self) -> bool {
        self.lock().is_session_reused()
    }

    /// Whether the peer is authorized.
    #[napi]
    pub fn authorized(&self) -> bool {
        self.lock().is_authorized()
    }

    /// Why it is not.
    #[napi]
    pub fn authorization_error(&self) -> Option<NativeError> {
        self.lock().authorization_error().map(NativeError::from)
    }

    /// The peer's certificates in DER, its own first.
    #[napi]
    pub fn peer_certificates<'env>(&self, env: &'env Env) -> Result<Vec<BufferSlice<'env>>> {
        let certificates = self.lock().peer_certificates();
        certificates.iter().map(|certificate| bytes(env, &certificate.to_der())).collect()
    }

    /// The peer's certificates in DER, its own first, up to the root where the context knows it.
    #[napi]
    pub fn peer_certificate_chain<'env>(&self, env: &'env Env) -> Result<Vec<BufferSlice<'env>>> {
        let chain = self.lock().peer_certificate_chain();
        chain.iter().map(|certificate| bytes(env, &certificate.to_der())).collect()
    }

    /// This side's certificate in DER.
    #[napi]
    pub fn certificate<'env>(&self, env: &'env Env) -> Result<Option<BufferSlice<'env>>> {
        let certificate = self.lock().certificate();
        certificate.map(|certificate| bytes(env, &certificate.to_der())).transpose()
    }

    /// This side's Finished message.
    #[napi]
    pub fn finished(&self) -> Option<Buffer> {
        self.lock().finished().map(Buffer::from)
    }

    /// The peer's.
    #[napi]
    pub fn peer_finished(&self) -> Option<Buffer> {
        self.lock().peer_finished().map(Buffer::from)
    }

    /// Signature algorithms that both sides know.
    #[napi]
    pub fn shared_sigalgs(&self) -> Vec<String> {
        self.lock().shared_signature_algorithms()
    }

    /// Key material for other protocols (RFC 5705).
    #[napi]
    pub fn export_keying_material(
        &self,
        env: Env,
        length: u32,
        label: BufferSlice<'_>,
        context: Option<BufferSlice<'_>>,
    ) -> Result<Buffer> {
        let label = std::str::from_utf8(&label).map_err(|_| refused("the label is not UTF-8"))?;
        let made = self.lock().export_keying_material(length as usize, label, context.as_deref());
        made.map(|material| Buffer::from(material.expose())).map_err(|error| thrown(&env, &error))
    }

    /// The session in DER.
    #[napi]
    pub fn session(&self) -> Option<Buffer> {
        let der = self.lock().session()?.to_der().ok()?;
        Some(Buffer::from(der.expose()))
    }

    /// The ticket of the session.
    #[napi]
    pub fn session_ticket(&self) -> Option<Buffer> {
        self.lock().session_ticket().map(Buffer::from)
    }

    /// Limits the plaintext of records; whether the size is possible.
    #[napi]
    pub fn set_max_send_fragment(&self, size: u32) -> bool {
        self.lock().set_max_send_fragment(size as usize)
    }

    /// Why the connection has failed.
    #[napi]
    pub fn error(&self) -> Option<NativeError> {
        self.lock().error().map(NativeError::from)
    }
}

fn part<'a>(source: &'a BufferSlice<'_>, start: u32, end: u32) -> Result<&'a [u8]> {
    source.get(start as usize..end as usize).ok_or_else(|| refused("start and end are beyond the bytes"))
}
