//! TLS: the only file that knows rustls' connection types.
//!
//! rustls 0.23 has two ways in. Both were tried on what SMTP needs, in one run in memory (1 MB in records of
//! 16 KB; what is left of a connection after the handshake):
//!
//! | | buffered (`read_tls`) | unbuffered (`process_tls_records`) |
//! | --- | --- | --- |
//! | bytes behind close_notify | swallowed, unless records are framed before | it says what it used |
//! | Finished and EHLO in one write | yes, into a vector | yes, into a vector |
//! | time to receive | 3 | 1 |
//! | allocations a record | 5 | 1 |
//! | state of a connection | 5.8 KB | 1.7 KB |
//! | channel binding, SNI on the server | asked of it | by hooks: `observe` |
//!
//! So it is the unbuffered way, which decrypts where the bytes lie. The price is the last row.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use pki_types::{CertificateDer, ServerName};
use rustls::client::UnbufferedClientConnection;
use rustls::server::{Acceptor, UnbufferedServerConnection};
use rustls::unbuffered::{
    ConnectionState, EncodeError, EncryptError, InsufficientSizeError, UnbufferedStatus,
};
use rustls::{ClientConfig, CommonState, HandshakeKind, ServerConfig};

use crate::Code;
use crate::buffer::Buffer;
use crate::config::TlsVersion;
use crate::error::Failure;
use crate::observe::{Observed, channel_binding, during};
use crate::replay::Replay;
use crate::signing::{SignatureRequest, Signing};
use crate::tls_failure::failure;

/// The record that TLS 1.3 clients send for the sake of middleboxes (RFC 8446 appendix D.4). It means
/// nothing, so it can wait for the next flight.
pub(crate) const CHANGE_CIPHER_SPEC: &[u8] = &[20, 3, 3, 0, 1, 1];

/// A TLS connection over buffers.
pub(crate) struct Tls {
    connection: Connection,
    observed: Observed,
    /// For a handshake that may stop for a signature.
    replay: Option<Box<(Beginning, Replay)>>,
    /// Decrypted bytes that nobody has read, from `start` on. At most what one buffer of input comes to.
    plaintext: Vec<u8>,
    start: usize,
    peer_closed: bool,
    /// We have sent close_notify, and nothing may follow it (RFC 8446 section 6.1).
    closed: bool,
    /// It broke, and rustls must not be asked again: it does not expect to meet the same fault twice.
    broken: bool,
}

// A connection is made once and stays where it is; a box would only be one more allocation.
#[allow(clippy::large_enum_variant)]
enum Connection {
    Client(UnbufferedClientConnection),
    Server(UnbufferedServerConnection),
}

/// Looks at the ClientHello that a client's first octets are: the server name (SNI) that it asks for, if it is whole.
/// One that is damaged asks for none; the session that gets it says so to the client.
pub(crate) fn asked_for(octets: &[u8]) -> Option<Option<String>> {
    // It is read from its beginning each time, so it must not get long in little pieces.
    const MOST: usize = 32 * 1024;
    if octets.len() > MOST {
        return Some(None);
    }
    let mut acceptor = Acceptor::default();
    let mut rest = octets;
    while !rest.is_empty() {
        if !matches!(acceptor.read_tls(&mut rest), Ok(1..)) {
            return Some(None);
        }
        match acceptor.accept() {
            Ok(None) => {}
            Ok(Some(accepted)) => return Some(accepted.client_hello().server_name().map(str::to_string)),
            Err(_) => return Some(None),
        }
    }
    None
}

/// How a connection begins.
enum Beginning {
    Client(Arc<ClientConfig>, ServerName<'static>),
    Server(Arc<ServerConfig>),
}

/// What to do once TLS can send.
#[derive(Clone, Copy)]
enum Job<'a> {
    Nothing,
    Encrypt(&'a [u8]),
    CloseNotify,
}

/// What a step came to.
#[derive(PartialEq, Eq)]
enum Step {
    /// There is more to do.
    Again,
    /// Plaintext, or the peer's close_notify, has come.
    Came,
    /// More input is needed.
    Idle,
    /// The job is done, and more input is needed.
    JobDone,
}

/// What a handshake came out as.
pub(crate) struct Negotiated {
    pub version: TlsVersion,
    pub suite: u16,
    pub group: Option<u16>,
    pub server_name: Option<String>,
    pub alpn: Option<Vec<u8>>,
    pub resumed: bool,
    pub chain: Vec<CertificateDer<'static>>,
    /// The certificate that we have shown.
    pub own: Option<CertificateDer<'static>>,
    pub own_scheme: Option<u16>,
    pub peer_scheme: Option<u16>,
    pub exporter: Option<[u8; 32]>,
}

impl Tls {
    /// `name` is what SNI says, `server` for whom sessions are kept; `signs` whether it may stop for a signature.
    pub fn client(
        config: Arc<ClientConfig>,
        name: ServerName<'static>,
        server: ServerName<'static>,
        signs: bool,
    ) -> Result<Tls, Failure> {
        Tls::new(Beginning::Client(config, name), Some(server), signs)
    }

    pub fn server(config: Arc<ServerConfig>, signs: bool) -> Result<Tls, Failure> {
        Tls::new(Beginning::Server(config), None, signs)
    }

    fn new(beginning: Beginning, server: Option<ServerName<'static>>, signs: bool) -> Result<Tls, Failure> {
        let signing = signs.then(Arc::<Signing>::default);
        let mut observed = Observed { server, signing: signing.clone(), ..Observed::default() };
        let connection = beginning.connect(&mut observed)?;
        let replay = signing.map(|signing| Box::new((beginning, Replay::new(signing))));
        Ok(Tls {
            connection,
            observed,
            replay,
            plaintext: Vec::new(),
            start: 0,
            peer_closed: false,
            closed: false,
            broken: false,
        })
    }

    fn common(&self) -> &CommonState {
        match &self.connection {
            Connection::Client(client) => client,
            Connection::Server(server) => server,
        }
    }

    pub fn is_handshaking(&self) -> bool {
        self.common().is_handshaking()
    }

    /// Whether the peer sent close_notify. What is in the input from then on is not TLS.
    pub fn peer_closed(&self) -> bool {
        self.peer_closed
    }

    /// How many decrypted bytes wait.
    pub fn plaintext(&self) -> usize {
        self.plaintext.len() - self.start
    }

    /// Uses records until something has to be done first: plaintext to be read, the end of the handshake, the
    /// peer's close_notify; or until no whole record is left. What is not used stays in `input`; what is to be
    /// sent, an alert on a failure among it, goes to the end of `output`.
    pub fn advance(&mut self, input: &mut Buffer, output: &mut Vec<u8>) -> Result<(), Failure> {
        if self.signature_request().is_some() {
            return Ok(());
        }
        self.begin_again(input)?;
        let handshaking = self.is_handshaking();
        while self.plaintext() == 0 && !self.peer_closed && handshaking == self.is_handshaking() {
            match self.step(input, output, Job::Nothing)? {
                Step::Again | Step::Came => {}
                Step::Idle | Step::JobDone => return Ok(()),
            }
        }
        // What the handshake's last step has left to send.
        while handshaking && !self.is_handshaking() && self.plaintext() == 0 && !self.peer_closed {
            if self.step(input, output, Job::Nothing)? != Step::Again {
                break;
            }
        }
        Ok(())
    }

    /// Takes decrypted bytes that wait; 0 when there are none.
    pub fn read(&mut self, buffer: &mut [u8]) -> usize {
        let waiting = &self.plaintext[self.start..];
        let count = waiting.len().min(buffer.len());
        buffer[..count].copy_from_slice(&waiting[..count]);
        self.start += count;
        if self.start == self.plaintext.len() {
            self.start = 0;
            self.plaintext.clear();
        }
        count
    }

    /// Gives memory back that an idle connection does not need.
    pub fn rest(&mut self) {
        if self.plaintext.is_empty() {
            self.plaintext = Vec::new();
        }
    }

    /// Encrypts to the end of `output`. Records that wait in `input` may be used on the way.
    pub fn write(&mut self, data: &[u8], input: &mut Buffer, output: &mut Vec<u8>) -> Result<(), Failure> {
        self.work(Job::Encrypt(data), input, output)
    }

    /// Encrypts to the end of `output` if TLS can send already, as a server can before the client's Finished (0.5-RTT).
    /// Whether it did.
    pub fn write_early(
        &mut self,
        data: &[u8],
        input: &mut Buffer,
        output: &mut Vec<u8>,
    ) -> Result<bool, Failure> {
        loop {
            match self.step(input, output, Job::Encrypt(data))? {
                Step::Again | Step::Came => {}
                Step::JobDone => return Ok(true),
                Step::Idle => return Ok(false),
            }
        }
    }

    /// Says that nothing more will be sent.
    pub fn close_notify(&mut self, input: &mut Buffer, output: &mut Vec<u8>) -> Result<(), Failure> {
        self.closed = true;
        self.work(Job::CloseNotify, input, output)
    }

    fn work(&mut self, job: Job<'_>, input: &mut Buffer, output: &mut Vec<u8>) -> Result<(), Failure> {
        loop {
            match self.step(input, output, job)? {
                Step::Again | Step::Came => {}
                Step::JobDone => return Ok(()),
                Step::Idle => return Err(Failure::new(Code::Tls, "TLS cannot send any more")),
            }
        }
    }

    fn step(&mut self, input: &mut Buffer, output: &mut Vec<u8>, job: Job<'_>) -> Result<Step, Failure> {
        if self.broken {
            return Err(Failure::new(Code::Tls, "TLS broke before"));
        }
        let handshaking = self.is_handshaking();
        let processed = match self.closed {
            false => self.process(input, output, job),
            // Builds with debug assertions: rustls 0.23 asserts that it never has a second last word, and close_notify
            // counts as one. What a peer sends must not end a program.
            true => catch_unwind(AssertUnwindSafe(|| self.process(input, output, job))).unwrap_or(Err(
                Trouble::Tls(rustls::Error::General("garbage behind close_notify".to_string())),
            )),
        };
        match processed {
            Ok(step) => Ok(step),
            Err(Trouble::Tls(_)) if self.stops_to_sign(input) => Ok(Step::Idle),
            Err(Trouble::Tls(error)) => {
                self.broken = true;
                if self.closed {
                    // Nobody will get an alert any more.
                    return Err(failure(&error, handshaking));
                }
                // The alert that tells the peer; no input is offered with this.
                while self.common().wants_write() {
                    drop(self.process(&mut Buffer::default(), output, Job::Nothing));
                }
                Err(failure(&error, handshaking))
            }
            Err(Trouble::Local(what)) => Err(Failure::new(Code::Tls, format!("TLS cannot send: {what}"))),
        }
    }

    fn process(&mut self, input: &mut Buffer, output: &mut Vec<u8>, job: Job<'_>) -> Result<Step, Trouble> {
        let Tls { connection, observed, replay, plaintext, peer_closed, .. } = self;
        let before = output.len();
        if replay.as_mut().is_some_and(|replay| !replay.1.receive(input.unread())) {
            return Err(Trouble::Tls(rustls::Error::General("the peer's handshake is too long".to_string())));
        }
        let bytes = input.unread_mut();
        let (discard, result) = match connection {
            Connection::Client(client) => {
                let status = during(observed, || client.process_tls_records(bytes));
                handle(status, output, plaintext, peer_closed, job)
            }
            Connection::Server(server) => {
                let status = during(observed, || server.process_tls_records(bytes));
                handle(status, output, plaintext, peer_closed, job)
            }
        };
        input.consume(discard);
        if let Some((_, replay)) = replay.as_deref_mut() {
            replay.went_on(discard, before, output);
        }
        result
    }

    /// What the handshake wants signed before it goes on.
    pub fn signature_request(&self) -> Option<&SignatureRequest> {
        self.replay.as_ref()?.1.request()
    }

    /// Gives the signature, and says whether it is one.
    pub fn set_signature(&mut self, signature: &[u8]) -> bool {
        self.replay.as_mut().is_some_and(|replay| replay.1.answer(signature))
    }

    /// Whether rustls failed only because it wants a signature.
    fn stops_to_sign(&mut self, input: &mut Buffer) -> bool {
        self.replay.as_mut().is_some_and(|replay| replay.1.stops(input))
    }

    /// Once a signature is there, takes a new connection to where the old one stopped.
    fn begin_again(&mut self, input: &mut Buffer) -> Result<(), Failure> {
        let Some((beginning, replay)) = self.replay.as_deref_mut() else { return Ok(()) };
        if replay.begins_again(input) {
            let (server, signing) = (self.observed.server.take(), self.observed.signing.take());
            self.observed = Observed { server, signing, ..Observed::default() };
            self.connection = beginning.connect(&mut self.observed)?;
        }
        Ok(())
    }

    /// What the handshake came out as; nothing before it is done.
    pub fn negotiated(&self) -> Option<Negotiated> {
        let common = self.common();
        let version = match common.protocol_version()? {
            rustls::ProtocolVersion::TLSv1_3 => TlsVersion::Tls13,
            _ => TlsVersion::Tls12,
        };
        let suite = common.negotiated_cipher_suite()?;
        let observed = &self.observed;
        let secret = observed.exporter.as_ref();
        let own_scheme = observed.own_scheme.map(u16::from);
        Some(Negotiated {
            version,
            suite: u16::from(suite.suite()),
            group: common.negotiated_key_exchange_group().map(|group| u16::from(group.name())),
            server_name: observed.server_name.clone(),
            alpn: common.alpn_protocol().map(<[u8]>::to_vec),
            resumed: common.handshake_kind() == Some(HandshakeKind::Resumed),
            chain: common.peer_certificates().unwrap_or_default().to_vec(),
            // A client that was not asked for its certificate has signed nothing; a server that resumed has one.
            own: observed.own.as_ref().and_then(|own| own.cert.first().cloned()),
            own_scheme,
            peer_scheme: observed.peer_scheme.map(u16::from),
            exporter: secret.and_then(|secret| channel_binding(suite, secret)),
        })
    }

    /// Keeps no session that comes from now on.
    pub fn keep_no_session(&mut self) {
        self.observed.server = None;
    }

    /// Drops what was of use only until `negotiated`.
    pub fn forget_secrets(&mut self) {
        self.observed = Observed { server: self.observed.server.take(), ..Observed::default() };
        self.replay = None;
    }
}

impl Beginning {
    fn connect(&self, observed: &mut Observed) -> Result<Connection, Failure> {
        let connection = during(observed, || match self {
            Beginning::Client(config, name) => {
                UnbufferedClientConnection::new(config.clone(), name.clone()).map(Connection::Client)
            }
            Beginning::Server(config) => {
                UnbufferedServerConnection::new(config.clone()).map(Connection::Server)
            }
        });
        connection.map_err(|error| failure(&error, true))
    }
}

/// What goes wrong in a step.
enum Trouble {
    Tls(rustls::Error),
    Local(EncryptError),
}

/// Does what a status of rustls asks for. How many bytes of the input are used up, and what it came to.
fn handle<Data>(
    status: UnbufferedStatus<'_, '_, Data>,
    output: &mut Vec<u8>,
    plaintext: &mut Vec<u8>,
    peer_closed: &mut bool,
    job: Job<'_>,
) -> (usize, Result<Step, Trouble>) {
    let UnbufferedStatus { mut discard, state } = status;
    let result = match state {
        Err(error) => Err(Trouble::Tls(error)),
        Ok(ConnectionState::EncodeTlsData(mut data)) => {
            // The only other error is to have encoded it already.
            append(output, |room| match data.encode(room) {
                Err(EncodeError::InsufficientSize(size)) => Err(size),
                encoded => Ok(encoded.unwrap_or(0)),
            });
            Ok(Step::Again)
        }
        Ok(ConnectionState::TransmitTlsData(data)) => {
            data.done();
            Ok(Step::Again)
        }
        Ok(ConnectionState::ReadTraffic(mut traffic)) => {
            let mut result = Ok(Step::Came);
            while let Some(record) = traffic.next_record() {
                match record {
                    Ok(record) => {
                        discard += record.discard;
                        plaintext.extend_from_slice(record.payload);
                    }
                    Err(error) => {
                        result = Err(Trouble::Tls(error));
                        break;
                    }
                }
            }
            result
        }
        Ok(ConnectionState::PeerClosed) => {
            *peer_closed = true;
            Ok(Step::Came)
        }
        Ok(ConnectionState::WriteTraffic(mut traffic)) => match job {
            Job::Nothing => Ok(Step::Idle),
            Job::Encrypt(data) => encrypt(output, |room| traffic.encrypt(data, room)),
            Job::CloseNotify => encrypt(output, |room| traffic.queue_close_notify(room)),
        },
        // The handshake waits for the peer. Early data is never accepted (RFC 9325 section 3.10).
        Ok(_) => Ok(Step::Idle),
    };
    (discard, result)
}

fn encrypt(
    output: &mut Vec<u8>,
    mut write: impl FnMut(&mut [u8]) -> Result<usize, EncryptError>,
) -> Result<Step, Trouble> {
    let mut exhausted = None;
    append(output, |room| match write(room) {
        Ok(count) => Ok(count),
        Err(EncryptError::InsufficientSize(size)) => Err(size),
        Err(error) => {
            exhausted = Some(error);
            Ok(0)
        }
    });
    match exhausted {
        None => Ok(Step::JobDone),
        Some(error) => Err(Trouble::Local(error)),
    }
}

/// Lets `write` add to the end of `output`, with as much room as it asks for.
fn append(output: &mut Vec<u8>, mut write: impl FnMut(&mut [u8]) -> Result<usize, InsufficientSizeError>) {
    let end = output.len();
    let count = loop {
        match write(&mut output[end..]) {
            Ok(count) => break count,
            Err(size) => output.resize(end + size.required_size, 0),
        }
    };
    output.truncate(end + count);
}

/// Whether these can be the first bytes of a TLS record. If not, whether they are text tells an injected
/// line from garbage.
pub(crate) fn begins_record(input: &[u8]) -> bool {
    input.first().is_none_or(|byte| (20..=23).contains(byte))
}

#[cfg(test)]
#[path = "tls_tests.rs"]
mod tests;
