//! TLS: the only file that knows rustls' connection types.
//!
//! rustls 0.23 has two ways in. Both were tried on what SMTP needs:
//!
//! * What follows close_notify must stay the caller's. The buffered way (`read_tls`) swallows it if it is
//!   offered more; so it is offered one record at a time, framed here by the five bytes in front of it. The
//!   unbuffered way says how much it used, and needs no framing.
//! * Finished and EHLO in one write: both, since `write_tls` goes to a vector here and not to a socket.
//! * Copies of a byte on its way in: the buffered way has one more, from our buffer into its own.
//! * The channel binding (RFC 9266) and the server's view of SNI: only the buffered way has
//!   `export_keying_material` and `server_name`. Doing without them would take a copy of TLS' key schedule and
//!   a global for each connection.
//!
//! The last point decides: the buffered way it is.

use std::io::{Read as _, Write as _};
use std::sync::Arc;

use pki_types::{CertificateDer, ServerName};
use rustls::{
    ClientConfig, ClientConnection, Connection, HandshakeKind, NamedGroup, ServerConfig, ServerConnection,
};

use crate::Code;
use crate::buffer::Buffer;
use crate::config::TlsVersion;
use crate::error::Failure;

/// The record that TLS 1.3 clients send for the sake of middleboxes (RFC 8446 appendix D.4). It means
/// nothing, so it can wait for the next flight.
pub(crate) const CHANGE_CIPHER_SPEC: &[u8] = &[20, 3, 3, 0, 1, 1];

const HEADER: usize = 5;
/// The most that a record may hold (RFC 8446 section 5.2; RFC 5246 section 6.2.3).
const LARGEST: usize = 16 * 1024 + 2048;

/// A TLS connection over buffers.
pub(crate) struct Tls {
    connection: Connection,
    /// Decrypted bytes that wait in rustls.
    plaintext: usize,
    peer_closed: bool,
}

/// What a handshake came out as.
pub(crate) struct Negotiated {
    pub version: TlsVersion,
    pub cipher: String,
    pub cipher_bits: u32,
    pub group: Option<String>,
    pub server_name: Option<String>,
    pub resumed: bool,
    pub chain: Vec<CertificateDer<'static>>,
    pub channel_binding: Option<[u8; 32]>,
}

impl Tls {
    pub fn client(config: Arc<ClientConfig>, name: ServerName<'static>) -> Result<Tls, Failure> {
        let connection = ClientConnection::new(config, name).map_err(|error| failure(&error, true))?;
        Ok(Tls::new(connection.into()))
    }

    pub fn server(config: Arc<ServerConfig>) -> Result<Tls, Failure> {
        let connection = ServerConnection::new(config).map_err(|error| failure(&error, true))?;
        Ok(Tls::new(connection.into()))
    }

    fn new(mut connection: Connection) -> Tls {
        // `Session` bounds its output itself, and drains this buffer after each call.
        connection.set_buffer_limit(None);
        Tls { connection, plaintext: 0, peer_closed: false }
    }

    pub fn is_handshaking(&self) -> bool {
        self.connection.is_handshaking()
    }

    /// Whether the peer sent close_notify.
    pub fn peer_closed(&self) -> bool {
        self.peer_closed
    }

    /// How many decrypted bytes wait.
    pub fn plaintext(&self) -> usize {
        self.plaintext
    }

    /// Uses records until something has to be done first: plaintext to be read, the end of the handshake, the
    /// peer's close_notify; or until no whole record is left. What is not used stays in `input`.
    pub fn advance(&mut self, input: &mut Buffer) -> Result<(), Failure> {
        let handshaking = self.is_handshaking();
        while self.plaintext == 0 && !self.peer_closed && handshaking == self.is_handshaking() {
            let Some(length) = record(input.unread()) else { return Ok(()) };
            let mut rest = &input.unread()[..length];
            let mut result = Ok(());
            while result.is_ok() && !rest.is_empty() {
                result = self.take(&mut rest, handshaking);
            }
            input.consume(length);
            result?;
        }
        Ok(())
    }

    fn take(&mut self, rest: &mut &[u8], handshaking: bool) -> Result<(), Failure> {
        let taken = self.connection.read_tls(rest);
        if !taken.is_ok_and(|count| count > 0) {
            return Err(Failure::new(Code::Internal, "TLS did not take a record that it has room for"));
        }
        let state = self.connection.process_new_packets().map_err(|error| failure(&error, handshaking))?;
        self.plaintext = state.plaintext_bytes_to_read();
        self.peer_closed |= state.peer_has_closed();
        Ok(())
    }

    /// Moves what is to be sent to the end of `output`.
    pub fn drain(&mut self, output: &mut Vec<u8>) {
        while self.connection.wants_write() {
            if self.connection.write_tls(output).is_err() {
                return; // Writing to a vector does not fail.
            }
        }
    }

    /// Takes decrypted bytes that wait; 0 when there are none.
    pub fn read(&mut self, buffer: &mut [u8]) -> usize {
        if self.plaintext == 0 {
            return 0;
        }
        let count = self.connection.reader().read(buffer).unwrap_or(0);
        self.plaintext -= count.min(self.plaintext);
        count
    }

    /// Encrypts to the end of `output`.
    pub fn write(&mut self, data: &[u8], output: &mut Vec<u8>) -> Result<(), Failure> {
        let written = self.connection.writer().write_all(data);
        self.drain(output);
        written.map_err(|error| Failure::new(Code::Tls, format!("TLS cannot send any more: {error}")))
    }

    /// Says that nothing more will be sent.
    pub fn close_notify(&mut self, output: &mut Vec<u8>) {
        self.connection.send_close_notify();
        self.drain(output);
    }

    /// What the handshake came out as; nothing before it is done.
    pub fn negotiated(&self) -> Option<Negotiated> {
        let version = match self.connection.protocol_version()? {
            rustls::ProtocolVersion::TLSv1_3 => TlsVersion::Tls13,
            _ => TlsVersion::Tls12,
        };
        let suite = self.connection.negotiated_cipher_suite()?.suite();
        let cipher = suite.as_str().unwrap_or("unknown").replacen("TLS13_", "TLS_", 1);
        let server_name = match &self.connection {
            Connection::Server(server) => server.server_name().map(str::to_string),
            Connection::Client(_) => None,
        };
        Some(Negotiated {
            version,
            cipher_bits: if cipher.contains("AES_128") { 128 } else { 256 },
            cipher,
            group: self.connection.negotiated_key_exchange_group().map(|group| group_name(group.name())),
            server_name,
            resumed: self.connection.handshake_kind() == Some(HandshakeKind::Resumed),
            chain: self.connection.peer_certificates().unwrap_or_default().to_vec(),
            channel_binding: self.channel_binding(version),
        })
    }

    /// RFC 9266. At TLS 1.2 it is defined only with an extended master secret, and rustls does not say
    /// whether there is one.
    fn channel_binding(&self, version: TlsVersion) -> Option<[u8; 32]> {
        match version {
            TlsVersion::Tls13 => {
                self.connection.export_keying_material([0; 32], b"EXPORTER-Channel-Binding", Some(b"")).ok()
            }
            TlsVersion::Tls12 => None,
        }
    }
}

/// The length of the first record of `input` with its header, if it is whole. A header that cannot be one is
/// passed on as it is: rustls names the fault and sends the alert.
fn record(input: &[u8]) -> Option<usize> {
    let header = input.get(..HEADER)?;
    let length = usize::from(u16::from_be_bytes([header[3], header[4]]));
    match header[0] {
        20..=24 if length <= LARGEST => (input.len() >= HEADER + length).then_some(HEADER + length),
        _ => Some(input.len().min(LARGEST)),
    }
}

/// Whether these can be the first bytes of a TLS record. If not, whether they are text tells an injected
/// line from garbage.
pub(crate) fn begins_record(input: &[u8]) -> bool {
    input.first().is_none_or(|byte| (20..=23).contains(byte))
}

/// The name in the IANA registry, which has X25519 in lower case.
fn group_name(group: NamedGroup) -> String {
    match group {
        NamedGroup::X25519 => "x25519".to_string(),
        NamedGroup::X448 => "x448".to_string(),
        group => match group.as_str() {
            Some(name) => name.to_string(),
            None => format!("0x{:04X}", u16::from(group)),
        },
    }
}

fn failure(error: &rustls::Error, handshaking: bool) -> Failure {
    match error {
        rustls::Error::AlertReceived(alert) => {
            let number = u8::from(*alert);
            let name = alert.as_str().unwrap_or("unknown");
            let message = format!("the peer sent the TLS alert {name} ({number})");
            Failure { alert: Some(number), ..Failure::new(Code::Alert, message) }
        }
        error => {
            let code = if handshaking { Code::Handshake } else { Code::Tls };
            let what = if handshaking { "the TLS handshake failed" } else { "TLS broke" };
            let text = crate::error::escape(error.to_string().as_bytes());
            Failure::new(code, format!("{what}: {text}"))
        }
    }
}
