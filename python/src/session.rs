//! Session: one SMTP connection on its way to TLS, and then in it.

mod calls;

use std::sync::Mutex;
use std::time::Duration;

use pyo3::PyTraverseError;
#[cfg(feature = "stubs")]
use pyo3::inspect::PyStaticExpr;
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::pyclass::PyVisit;
use pyo3::sync::PyOnceLock;
use pyo3::types::PyBytes;
use smtptls::{Close, Deadline, Entry, Level, Progress, Protocol, Stream, Tlsrpt};

use crate::arguments::{Data, Text, Writable};
use crate::config::Config;
use crate::enums::Enum;
use crate::errors::{Exception, WANT_OUTPUT, argument, raised, want};
use crate::info::Info;
use crate::policy::Policy;
pub use crate::session::calls::bug;
use crate::signature::SignatureRequest;
use crate::socket::{Socket, seconds};

/// As much as one call of `recv` gives: the plaintext of one TLS record.
const RECORD: usize = 16 * 1024;

/// One SMTP connection on its way to TLS, and then in it. Made by Session.client and Session.server.
///
/// With a socket, calls wait for the peer as long as the socket's timeout says, or that of settimeout. The
/// socket stays the caller's, and is never closed here. A call that runs out of time raises Timeout; after
/// start the session can go on all the same. Without a socket the program carries the bytes, with feed,
/// output and sent.
///
/// A session is for one thread at a time; a call while another one is going on raises Error (STATE).
#[pyclass(frozen, module = "smtptls", weakref)]
pub struct Session {
    stream: Mutex<Stream<Socket>>,
    has_socket: bool,
    /// Beside the stream, so that the garbage collector sees it.
    socket: Mutex<Option<Py<PyAny>>>,
    /// What settimeout set.
    timeout: Mutex<Option<Option<Duration>>>,
    info: PyOnceLock<Py<Info>>,
}

#[pymethods]
impl Session {
    /// A client's session. host is the name that the policy is about; in mail routing that is the MX host.
    #[staticmethod]
    #[pyo3(signature = (config, policy, host, sock=None, *, protocol=Enum(Protocol::Smtp)))]
    fn client(
        config: &Config,
        policy: &Policy,
        host: &str,
        sock: Option<Bound<'_, PyAny>>,
        protocol: Enum<Protocol>,
    ) -> PyResult<Self> {
        let mut session = smtptls::Session::client(&config.frozen, &policy.0, host);
        session.set_protocol(protocol.0).map_err(|error| raised(&error))?;
        Session::new(session, sock)
    }

    /// A server's session. Without a policy STARTTLS is offered and not required. The extensions are lines of
    /// the EHLO reply before TLS; PIPELINING, ENHANCEDSTATUSCODES and STARTTLS are there already.
    #[staticmethod]
    #[pyo3(signature = (config, policy=None, sock=None, *, protocol=Enum(Protocol::Smtp), extensions=vec![]))]
    fn server(
        config: &Config,
        policy: Option<&Policy>,
        sock: Option<Bound<'_, PyAny>>,
        protocol: Enum<Protocol>,
        extensions: Vec<String>,
    ) -> PyResult<Self> {
        let may = smtptls::Policy::new(Level::May);
        let mut session = smtptls::Session::server(&config.frozen, policy.map_or(&may, |policy| &policy.0));
        session.set_protocol(protocol.0).map_err(|error| raised(&error))?;
        for line in &extensions {
            session.add_extension(line).map_err(|error| raised(&error))?;
        }
        Session::new(session, sock)
    }

    /// For a server that starts from the command: the line that its program has read.
    #[allow(clippy::needless_pass_by_value)]
    fn set_command(&self, line: Text) -> PyResult<()> {
        let line = String::from_utf8_lossy(&line);
        self.look(|session| session.set_command(&line))?.map_err(|error| raised(&error))
    }

    /// For a server that starts from the greeting: the text behind its name, in place of ESMTP or LMTP.
    /// Before start.
    fn set_greeting(&self, text: &str) -> PyResult<()> {
        self.look(|session| session.set_greeting(text))?.map_err(|error| raised(&error))
    }

    /// For a server that cannot have TLS for now: STARTTLS is not offered, and answered with 454 (RFC 3207
    /// section 4). Where it is required, other commands still get 530. Before start.
    fn set_not_now(&self) -> PyResult<()> {
        self.look(smtptls::Session::set_not_now)?.map_err(|error| raised(&error))
    }

    /// For a server: drops what a client sends in plaintext behind STARTTLS, as Postfix does, in place of 554
    /// and an error. It is never executed, and never becomes part of TLS, either way. Before start.
    fn set_discard(&self, discard: bool) -> PyResult<()> {
        self.look(|session| session.set_discard(discard))?.map_err(|error| raised(&error))
    }

    /// For a server that requires TLS: exempts HELO, HELP and XCLIENT too, as Postfix does; RFC 3207 section
    /// 4 names NOOP, EHLO, STARTTLS and QUIT. XCLIENT is the program's: start hands it over. Before start.
    fn set_exempt_more(&self, exempt: bool) -> PyResult<()> {
        self.look(|session| session.set_exempt_more(exempt))?.map_err(|error| raised(&error))
    }

    /// For a server that starts from the handshake, as on port 465: what it says first inside TLS, such as
    /// b"220 mx.example.com ESMTP\r\n". It leaves with the server's Finished, a round trip sooner than by
    /// sendall (0.5-RTT), where the client has TLS 1.3 and is asked for no certificate; else after the
    /// handshake. It goes to somebody who is not known yet. Before start.
    #[pyo3(signature = (banner, /))]
    #[allow(clippy::needless_pass_by_value)]
    fn set_banner(&self, banner: Data) -> PyResult<()> {
        self.look(|session| session.set_banner(&banner))?.map_err(|error| raised(&error))
    }

    /// What start wants signed, after it raised WantSignature; None if nothing.
    #[getter]
    fn signature_request(&self) -> PyResult<Option<SignatureRequest>> {
        self.look(|session| session.signature_request().cloned().map(SignatureRequest))
    }

    /// Gives the signature that start wants, as TLS has it: for ECDSA in DER. One that does not fit the
    /// certificate's key raises ConfigError (KEY_MISMATCH), and may be followed by another try. Then call
    /// start again; it may ask once more, if key pairs were exchanged meanwhile.
    #[pyo3(signature = (signature, /))]
    #[allow(clippy::needless_pass_by_value)]
    fn set_signature(&self, signature: Data) -> PyResult<()> {
        self.look(|session| session.set_signature(&signature))?.map_err(|error| raised(&error))
    }

    /// Does what is left of the dialogue, then the TLS handshake, then the judgement.
    ///
    /// It returns if TLS is up and the policy is met, and raises Error otherwise; the error's action says
    /// what the policy lets the program do. The timeout is for the whole of it.
    ///
    /// unread is how many bytes the program has read from the peer beyond what entry says, and not used. It
    /// must be 0: anything else was injected, and fails before a byte is sent.
    #[pyo3(signature = (entry=Enum(Entry::Greeting), unread=0))]
    fn start(&self, py: Python<'_>, entry: Enum<Entry>, unread: isize) -> PyResult<()> {
        let unread = usize::try_from(unread).map_err(|_| argument("unread is a count of bytes"))?;
        let progress = match self.has_socket {
            true => self.call(py, |stream| stream.start(entry.0, unread))?,
            // Nothing of Python is called, so other threads may run beside the handshake's arithmetic.
            false => {
                let start = |session: &mut smtptls::Session| {
                    session.start(entry.0, unread).map_err(|error| Exception::of(session, error))
                };
                py.detach(|| self.look(start))?.map_err(Exception::raised)?
            }
        };
        self.done(py, progress)
    }

    /// Up to n decrypted bytes; b"" is the end, with or without close_notify, and is_truncated tells which.
    #[pyo3(signature = (n, /))]
    fn recv<'py>(&self, py: Python<'py>, n: isize) -> PyResult<Bound<'py, PyBytes>> {
        let most = usize::try_from(n).map_err(|_| argument("recv takes a count of bytes"))?;
        let mut buffer = vec![0; most.min(RECORD)];
        let progress = self.call(py, |stream| stream.read(&mut buffer))?;
        let count = self.done(py, progress)?;
        Ok(PyBytes::new(py, &buffer[..count]))
    }

    /// As recv, into a writable buffer; says how many bytes.
    #[pyo3(signature = (buffer, /))]
    #[allow(clippy::needless_pass_by_value)]
    fn recv_into(&self, py: Python<'_>, buffer: Writable<'_>) -> PyResult<usize> {
        let mut came = vec![0; buffer.length.min(RECORD)];
        let progress = self.call(py, |stream| stream.read(&mut came))?;
        let count = self.done(py, progress)?;
        buffer.fill(&came[..count])?;
        Ok(count)
    }

    /// Encrypts and sends all of data. With more it may wait for what is sent next, and leave in one TLS
    /// record with it; recv, flush, close, and sending without more let it go.
    ///
    /// A session that does not wait raises WantOutput when much is waiting to be sent; its characters_written
    /// says how much of data was taken.
    #[pyo3(signature = (data, more=false))]
    #[allow(clippy::needless_pass_by_value)]
    fn sendall(&self, py: Python<'_>, data: Data, more: bool) -> PyResult<()> {
        let mut taken = 0;
        loop {
            match self.call(py, |stream| stream.write(&data[taken..], more))? {
                Progress::Done(count) => taken += count,
                _ => return Err(want(py, WANT_OUTPUT, taken)),
            }
            if taken == data.len() {
                return Ok(());
            }
        }
    }

    /// As sendall, but says how much of data was taken: all of it, unless the session does not wait.
    #[pyo3(signature = (data, more=false))]
    #[allow(clippy::needless_pass_by_value)]
    fn send(&self, py: Python<'_>, data: Data, more: bool) -> PyResult<usize> {
        let progress = self.call(py, |stream| stream.write(&data, more))?;
        self.done(py, progress)
    }

    /// Sends everything that waits for company.
    fn flush(&self, py: Python<'_>) -> PyResult<()> {
        let progress = self.call(py, Stream::flush)?;
        self.done(py, progress)
    }

    /// How many bytes recv can give without anything from the peer. Look here before waiting for a
    /// descriptor.
    fn pending(&self) -> PyResult<usize> {
        self.look(smtptls::Session::pending)
    }

    /// Leaves politely, as RFC 3207 section 4.1 asks: a client says QUIT at once; a server answers 554 to all
    /// but QUIT until the client leaves.
    fn refuse(&self, py: Python<'_>) -> PyResult<()> {
        let progress = self.call(py, Stream::refuse)?;
        self.done(py, progress)
    }

    /// Goes on although the policy is not met. The peer is not who it should be: use it for a warning that
    /// a person reads, and for nothing else.
    fn insecure_continue(&self) -> PyResult<()> {
        self.look(smtptls::Session::insecure_continue)?.map_err(|error| raised(&error))
    }

    /// Raises PolicyError (REQUIRETLS) unless a message with REQUIRETLS may be sent through this session (RFC
    /// 8689 section 4.2.1): TLS is up; the server is one that secure MX records or an MTA-STS policy name, or
    /// that the program was told to use (see next_hop of Policy); its certificate was verified by a trust
    /// chain or by DANE; and it offered REQUIRETLS in its reply to the EHLO inside TLS.
    ///
    /// On an error say QUIT and try the next server; other messages may go first. If there is no other
    /// server, the error's enhanced_status is for the bounce: 5.7.30 where REQUIRETLS is not offered, 5.7.10
    /// where the session is not good enough. A bounce itself, with an empty return path, may be sent all the
    /// same.
    fn check_requiretls(&self, offered: bool) -> PyResult<()> {
        self.look(|session| session.check_requiretls(offered))?.map_err(|error| raised(&error))
    }

    /// Tells the peer that nothing more will be sent; the socket stays open. Raises Error (TRUNCATED) if the
    /// peer had closed the connection without saying so.
    #[pyo3(signature = (how=Enum(Close::Send)))]
    fn close(&self, py: Python<'_>, how: Enum<Close>) -> PyResult<()> {
        let progress = self.call(py, |stream| stream.close(how.0))?;
        self.done(py, progress)
    }

    /// Sets how long a call may wait, in place of the socket's timeout: None for ever, 0 not at all.
    #[pyo3(signature = (seconds, /))]
    fn settimeout(&self, py: Python<'_>, seconds: Option<f64>) -> PyResult<()> {
        self.needed_socket(py)?;
        let timeout = self::seconds(seconds)?;
        *self.timeout.lock().map_err(|_| bug())? = Some(timeout);
        Ok(())
    }

    /// So many seconds from now all further calls have to be done, beside their timeouts; None lifts it.
    #[pyo3(signature = (seconds, /))]
    fn set_deadline(&self, py: Python<'_>, seconds: Option<f64>) -> PyResult<()> {
        self.needed_socket(py)?;
        let deadline = self::seconds(seconds)?.map_or(Deadline::NEVER, Deadline::after);
        self.with(|stream| {
            stream.set_deadline(deadline);
            Ok(())
        })
    }

    /// The descriptor of the socket.
    fn fileno(&self, py: Python<'_>) -> PyResult<i32> {
        self.needed_socket(py)?.call_method0(intern!(py, "fileno"))?.extract()
    }

    /// A file object over the session: "rb", "wb" or "rwb". Closing it does not close the session.
    #[pyo3(signature = (mode="rb", buffering=-1))]
    fn makefile<'py>(slf: &Bound<'py, Self>, mode: &str, buffering: i32) -> PyResult<File<'py>> {
        let module = slf.py().import(intern!(slf.py(), "smtptls._file"))?;
        module.call_method1(intern!(slf.py(), "makefile"), (slf, mode, buffering)).map(File)
    }

    /// Bytes that came and belong to the program: on a server that the client left in plaintext, from the
    /// command on that made it so; after the peer's close_notify, what followed it.
    fn leftover<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyBytes>> {
        self.look(|session| PyBytes::new(py, session.leftover()))
    }

    /// Without a socket: takes bytes that came from the peer, as many as there is room for, and says how
    /// many. b"" means that the peer closed the connection.
    #[pyo3(signature = (data, /))]
    #[allow(clippy::needless_pass_by_value)]
    fn feed(&self, data: Data) -> PyResult<usize> {
        self.carry(|session| session.feed(&data))
    }

    /// Without a socket: says that the time allowed has run out, and gives what follows from it: Timeout, or
    /// the error with which the session had failed already. In start that is final, and there and in refuse
    /// a client that was to send a command gets 421, which output shows. Elsewhere the session is as it was.
    fn expire(&self) -> PyResult<Exception> {
        self.carry(|session| {
            let error = session.expire();
            Exception::of(session, error)
        })
    }

    /// Without a socket: the bytes to send to the peer. They stay until sent is called.
    fn output<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyBytes>> {
        self.carry(|session| PyBytes::new(py, session.output()))
    }

    /// Without a socket: drops the first n bytes of the output; they were sent.
    #[pyo3(signature = (n, /))]
    fn sent(&self, n: isize) -> PyResult<()> {
        let count = usize::try_from(n).map_err(|_| argument("sent takes a count of bytes"))?;
        self.carry(|session| session.sent(count))
    }

    /// The last SMTP reply that a client received, its lines joined by "\n". Before TLS it is forgotten when
    /// TLS begins; after start from the greeting it is the reply to the EHLO inside TLS.
    #[getter]
    fn reply(&self) -> PyResult<Option<String>> {
        self.look(|session| session.reply().map(str::to_string))
    }

    /// The last hello that a server answered in plaintext, as it came. Forgotten when TLS begins.
    #[getter]
    fn hello(&self) -> PyResult<Option<String>> {
        self.look(|session| session.hello().map(str::to_string))
    }

    /// The facts of the TLS connection, once the handshake is done; also if the policy is not met.
    #[getter]
    fn info(&self, py: Python<'_>) -> PyResult<Option<Py<Info>>> {
        if self.info.get(py).is_none() {
            let Some(info) = self.look(|session| session.shared_info().map(Info))? else { return Ok(None) };
            // Another thread may have been quicker; both have the same.
            drop(self.info.set(py, Py::new(py, info)?));
        }
        Ok(self.info.get(py).map(|info| info.clone_ref(py)))
    }

    /// What belongs into an SMTP TLS report (RFC 8460): a result type and a failure reason each. Also of a
    /// session that succeeded: under an MTA-STS policy in mode testing what would have failed, and TLSA
    /// records that are all unusable. Types are not exclusive.
    #[getter]
    fn reports(&self) -> PyResult<Vec<(Enum<Tlsrpt>, &'static str)>> {
        self.look(|session| {
            session.reports().iter().map(|report| (Enum(report.kind()), report.reason())).collect()
        })
    }

    /// Why the session failed.
    #[getter]
    fn error(&self) -> PyResult<Option<Exception>> {
        self.look(|session| Some(Exception::of(session, session.error()?.clone())))
    }

    /// Whether TLS is active: the handshake is done, and nobody has closed.
    #[getter]
    fn is_tls(&self) -> PyResult<bool> {
        self.look(|session| session.is_tls())
    }

    /// Whether the peer closed the connection without close_notify.
    #[getter]
    fn is_truncated(&self) -> PyResult<bool> {
        self.look(|session| session.is_truncated())
    }

    fn __traverse__(&self, visit: PyVisit<'_>) -> Result<(), PyTraverseError> {
        match self.socket.try_lock() {
            Ok(socket) => visit.call(&*socket),
            Err(_) => Ok(()),
        }
    }

    fn __clear__(&self) {
        if let Ok(mut socket) = self.socket.try_lock() {
            *socket = None;
        }
    }
}

/// A file object of Python's io.
struct File<'py>(Bound<'py, PyAny>);

impl<'py> IntoPyObject<'py> for File<'py> {
    type Target = PyAny;
    type Output = Bound<'py, PyAny>;
    type Error = PyErr;

    #[cfg(feature = "stubs")]
    const OUTPUT_TYPE: PyStaticExpr = pyo3::type_hint_identifier!("io", "BufferedIOBase");

    fn into_pyobject(self, _: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        Ok(self.0)
    }
}
