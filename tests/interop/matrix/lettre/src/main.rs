//! Sends the message on stdin by lettre, in as many sessions as wanted, each with TLS:
//!
//!     smtptls-peer-lettre (starttls|implicit) PORT NAME CA (1.2|1.3) SESSIONS FROM TO [CERT KEY]
//!
//! The server is on 127.0.0.1, and its certificate has to be for NAME. Status 0 if it took the message each time.

use std::error::Error;
use std::io::Read;

use lettre::address::Envelope;
use lettre::transport::smtp::client::{Certificate, CertificateStore, Identity, Tls, TlsParameters};
use lettre::transport::smtp::extension::ClientId;
use lettre::{SmtpTransport, Transport};

/// Of rustls' cipher suites those of this version, for the process: lettre asks there.
#[cfg(feature = "rustls")]
fn only(version: &str) {
    let mut provider = rustls::crypto::aws_lc_rs::default_provider();
    provider.cipher_suites.retain(|suite| suite.tls13().is_some() == (version == "1.3"));
    provider.install_default().expect("nobody else has installed one");
}

/// OpenSSL, on which native-tls stands here, has it from its configuration file.
#[cfg(feature = "native-tls")]
fn only(_version: &str) {}

/// What lettre wants as the PEM of a client's certificate.
fn certificate(path: &str) -> Result<Vec<u8>, Box<dyn Error>> {
    #[cfg(feature = "rustls")]
    // It hands it to rustls as it stands, and rustls wants DER.
    return Ok(rustls::pki_types::pem::PemObject::from_pem_file(path)
        .map(|der: rustls::pki_types::CertificateDer<'_>| der.to_vec())?);
    #[cfg(feature = "native-tls")]
    return Ok(std::fs::read(path)?);
}

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [how, port, name, ca, version, sessions, from, to, pair @ ..] = &arguments[..] else {
        return Err("see the first lines of main.rs".into());
    };
    only(version);
    let mut parameters = TlsParameters::builder(name.clone())
        .certificate_store(CertificateStore::None)
        .add_root_certificate(Certificate::from_pem(&std::fs::read(ca)?)?);
    if let [cert, key] = pair {
        parameters = parameters.identify_with(Identity::from_pem(&certificate(cert)?, &std::fs::read(key)?)?);
    }
    let parameters = parameters.build()?;
    let transport = SmtpTransport::builder_dangerous("127.0.0.1")
        .port(port.parse()?)
        .hello_name(ClientId::Domain("client.example.test".into()))
        .tls(if how == "implicit" { Tls::Wrapper(parameters) } else { Tls::Required(parameters) })
        .build();

    let mut message = Vec::new();
    std::io::stdin().read_to_end(&mut message)?;
    let envelope = Envelope::new(Some(from.parse()?), vec![to.parse()?])?;
    for _ in 0..sessions.parse()? {
        transport.send_raw(&envelope, &message)?;
    }
    Ok(())
}
