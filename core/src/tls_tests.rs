//! Our TLS against rustls' own buffered connection, which can say what the hooks cannot.

use rustls::{ClientConnection, RootCertStore};

use super::*;

fn server_config() -> (Arc<ServerConfig>, CertificateDer<'static>) {
    let made = rcgen::generate_simple_self_signed(vec!["localhost".to_string()]).unwrap();
    let mut builder = crate::Config::builder();
    builder.add_keypair_pem(made.cert.pem().as_bytes(), made.signing_key.serialize_pem().as_bytes()).unwrap();
    (builder.freeze().unwrap().server(), made.cert.der().clone())
}

/// A buffered client and our server, up.
fn meet(versions: &[&'static rustls::SupportedProtocolVersion]) -> (ClientConnection, Tls) {
    let (config, certificate) = server_config();
    let mut roots = RootCertStore::empty();
    roots.add(certificate).unwrap();
    let client = ClientConfig::builder_with_provider(Arc::new(crate::provider::provider()))
        .with_protocol_versions(versions)
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    let mut client = ClientConnection::new(Arc::new(client), "localhost".try_into().unwrap()).unwrap();
    let mut server = Tls::server(config, false).unwrap();
    let (mut input, mut output) = (Buffer::default(), Vec::new());
    while client.is_handshaking() || server.is_handshaking() {
        let mut bytes = Vec::new();
        while client.wants_write() {
            client.write_tls(&mut bytes).unwrap();
        }
        assert_eq!(input.push(&bytes), bytes.len());
        server.advance(&mut input, &mut output).unwrap();
        let mut rest = &output[..];
        while !rest.is_empty() {
            client.read_tls(&mut rest).unwrap();
            client.process_new_packets().unwrap();
        }
        output.clear();
    }
    (client, server)
}

/// R9266-2-1: the exporter that is derived here is TLS' own.
#[test]
fn channel_binding_is_what_rustls_exports() {
    let (client, server) = meet(&[&rustls::version::TLS13]);
    let ours = server.negotiated().unwrap().exporter.unwrap();
    let theirs = client.export_keying_material([0; 32], b"EXPORTER-Channel-Binding", Some(b"")).unwrap();
    assert_eq!(ours, theirs);
}

/// R9266-2-2: at TLS 1.2 there is none rather than a wrong one; and SNI is known at both versions.
#[test]
fn tls_1_2_has_none() {
    let (_, server) = meet(&[&rustls::version::TLS12]);
    let negotiated = server.negotiated().unwrap();
    assert_eq!(negotiated.version, TlsVersion::Tls12);
    assert_eq!(negotiated.exporter, None);
    assert_eq!(negotiated.server_name.as_deref(), Some("localhost"));
}
