//! TLS by rustls itself, with nothing of ours: the lower bound. It prefers what ours prefers.
#![allow(missing_docs)] // tls.h says what each function does.

use std::ffi::{c_char, c_int, c_void};
use std::io::{ErrorKind, Read as _, Write as _};
use std::mem::ManuallyDrop;
use std::net::TcpStream;
use std::sync::{Arc, OnceLock};

use rustls::client::Resumption;
use rustls::crypto::{CryptoProvider, aws_lc_rs};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{
    CipherSuite, ClientConfig, ClientConnection, Connection, NamedGroup, RootCertStore, ServerConfig,
    ServerConnection,
};
use smtptls_bench::{Settings, socket, starttls};

/// As much as is gathered before it is sent.
const GATHERED: usize = 65536;

enum Role {
    Client(Arc<ClientConfig>, ServerName<'static>),
    Server(Arc<ServerConfig>),
}

static ROLE: OnceLock<Role> = OnceLock::new();

/// `struct tls`.
pub struct Session {
    connection: Connection,
    socket: ManuallyDrop<TcpStream>,
    gathered: usize,
}

/// AES-128-GCM and X25519 first, as in ours; or they alone.
fn provider(alone: bool) -> Arc<CryptoProvider> {
    let mut provider = aws_lc_rs::default_provider();
    provider.cipher_suites.sort_by_key(|suite| suite.suite() != CipherSuite::TLS13_AES_128_GCM_SHA256);
    provider.kx_groups.sort_by_key(|group| group.name() != NamedGroup::X25519);
    if alone {
        provider.cipher_suites.truncate(1);
        provider.kx_groups.truncate(1);
    }
    Arc::new(provider)
}

fn certificates(path: &str) -> Vec<CertificateDer<'static>> {
    CertificateDer::pem_file_iter(path).expect("PEM").map(|one| one.expect("a certificate")).collect()
}

fn client(settings: &Settings, versions: &[&'static rustls::SupportedProtocolVersion]) -> Role {
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(certificates(settings.ca.text()));
    let builder = ClientConfig::builder_with_provider(provider(settings.same));
    let mut config = builder
        .with_protocol_versions(versions)
        .expect("versions")
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.resumption =
        if settings.resume { Resumption::in_memory_sessions(8) } else { Resumption::disabled() };
    Role::Client(Arc::new(config), ServerName::try_from(settings.name.text()).expect("a name"))
}

fn server(settings: &Settings, versions: &[&'static rustls::SupportedProtocolVersion]) -> Role {
    let key = PrivateKeyDer::from_pem_file(settings.key.text()).expect("a key");
    let mut config = ServerConfig::builder_with_provider(provider(settings.same))
        .with_protocol_versions(versions)
        .expect("versions")
        .with_no_client_auth()
        .with_single_cert(certificates(settings.chain.text()), key)
        .expect("a key pair");
    config.ticketer = aws_lc_rs::Ticketer::new().expect("random octets");
    config.send_tls13_tickets = 1;
    config.ignore_client_order = true;
    Role::Server(Arc::new(config))
}

/// # Safety
/// `settings` is that of a driver.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tls_setup(settings: *const Settings) -> bool {
    // SAFETY: the driver gives one.
    let settings = unsafe { &*settings };
    let versions: &[_] =
        if settings.version == 12 { &[&rustls::version::TLS12] } else { rustls::ALL_VERSIONS };
    let make = if settings.server { server } else { client };
    ROLE.set(make(settings, versions)).is_ok()
}

impl Session {
    /// Sends all that waits.
    fn flush(&mut self) -> std::io::Result<()> {
        self.gathered = 0;
        while self.connection.wants_write() {
            self.connection.write_tls(&mut *self.socket)?;
        }
        Ok(())
    }

    /// Reads from the peer: how many octets.
    fn fill(&mut self) -> std::io::Result<usize> {
        let count = self.connection.read_tls(&mut *self.socket)?;
        if let Err(error) = self.connection.process_new_packets() {
            return Err(std::io::Error::other(error));
        }
        Ok(count)
    }

    /// The client's Finished and the server's tickets stay, to leave with what is said next.
    fn handshake(&mut self) -> std::io::Result<()> {
        while self.connection.is_handshaking() {
            self.flush()?;
            if self.fill()? == 0 {
                return Err(ErrorKind::UnexpectedEof.into());
            }
        }
        Ok(())
    }

    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        self.flush()?;
        loop {
            match self.connection.reader().read(buffer) {
                Err(error) if error.kind() == ErrorKind::WouldBlock => self.fill()?,
                other => return other,
            };
        }
    }

    fn write(&mut self, data: &[u8], more: bool) -> std::io::Result<()> {
        self.connection.writer().write_all(data)?;
        self.gathered += data.len();
        if more && self.gathered < GATHERED { Ok(()) } else { self.flush() }
    }
}

#[unsafe(no_mangle)]
pub extern "C" fn tls_start(fd: c_int) -> *mut Session {
    let role = ROLE.get().expect("tls_setup");
    let mut socket = socket(fd);
    if !starttls(&mut socket, matches!(role, Role::Server(_))) {
        return std::ptr::null_mut();
    }
    let mut connection: Connection = match role {
        Role::Client(config, name) => {
            ClientConnection::new(config.clone(), name.clone()).expect("config").into()
        }
        Role::Server(config) => ServerConnection::new(config.clone()).expect("config").into(),
    };
    connection.set_buffer_limit(None);
    let mut session = Box::new(Session { connection, socket, gathered: 0 });
    match session.handshake() {
        Ok(()) => Box::into_raw(session),
        Err(error) => {
            eprintln!("rustls: {error}");
            std::ptr::null_mut()
        }
    }
}

/// # Safety
/// `tls` comes from `tls_start`, and there is room for `len` octets.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tls_read(tls: *mut Session, buffer: *mut c_void, len: usize) -> isize {
    // SAFETY: the driver keeps what tls.h asks for; its buffers are initialised.
    let (session, buffer) = unsafe { (&mut *tls, std::slice::from_raw_parts_mut(buffer.cast(), len)) };
    session.read(buffer).map_or(-1, |count| count as isize)
}

/// # Safety
/// `tls` comes from `tls_start`, and there are `len` octets.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tls_write(tls: *mut Session, buffer: *const c_void, len: usize, more: bool) -> bool {
    // SAFETY: the driver keeps what tls.h asks for.
    let (session, data) = unsafe { (&mut *tls, std::slice::from_raw_parts(buffer.cast(), len)) };
    session.write(data, more).is_ok()
}

/// # Safety
/// `tls` comes from `tls_start`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tls_resumed(tls: *mut Session) -> bool {
    // SAFETY: as above.
    let session = unsafe { &*tls };
    session.connection.handshake_kind() == Some(rustls::HandshakeKind::Resumed)
}

/// # Safety
/// `tls` comes from `tls_start`, and is not used any more.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tls_end(tls: *mut Session) {
    // SAFETY: as above.
    let mut session = unsafe { Box::from_raw(tls) };
    session.connection.send_close_notify();
    let _ = session.flush();
}

#[unsafe(no_mangle)]
pub extern "C" fn tls_version() -> *const c_char {
    c"rustls 0.23".as_ptr()
}
