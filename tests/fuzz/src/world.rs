//! What the targets share: configurations, made once from the fixtures.

use std::sync::LazyLock;

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_ASN1_SIGNING, EcdsaKeyPair};
use pki_types::PrivatePkcs8KeyDer;
use pki_types::pem::PemObject as _;
use smtptls::{ClientAuth, Config, ConfigBuilder, Session, TlsVersion};

pub const HOST: &str = "mx.example.test";
pub const ROOT: &[u8] = include_bytes!("../fixtures/ca.pem");
pub const CRL: &[u8] = include_bytes!("../fixtures/ca.crl");
pub const SERVER: &[u8] = include_bytes!("../fixtures/server.pem");
pub const SERVER_KEY: &[u8] = include_bytes!("../fixtures/server.key");
pub const CLIENT: &[u8] = include_bytes!("../fixtures/client.pem");
pub const CLIENT_KEY: &[u8] = include_bytes!("../fixtures/client.key");

/// A configuration; what goes wrong in making it is a mistake here.
fn made(change: impl FnOnce(&mut ConfigBuilder) -> Result<(), smtptls::Error>) -> Config {
    let mut builder = Config::builder();
    let config = change(&mut builder).and_then(|()| builder.freeze());
    config.unwrap_or_else(|error| panic!("the fixtures are unfit: {error}"))
}

/// Clients, each with something of its own.
pub static CLIENTS: LazyLock<Vec<Config>> = LazyLock::new(|| {
    let client = |change: fn(&mut ConfigBuilder) -> Result<(), smtptls::Error>| {
        made(|builder| {
            builder.hostname("client.example.test")?.add_roots_pem(ROOT)?;
            change(builder)
        })
    };
    vec![
        client(|_| Ok(())),
        client(|builder| {
            builder.max_version(TlsVersion::Tls12);
            Ok(())
        }),
        client(|builder| builder.add_keypair_pem(CLIENT, CLIENT_KEY).map(drop)),
        client(|builder| builder.client_sessions(8).alpn(&[b"smtp"]).map(drop)),
        client(|builder| builder.add_certificate_pem(CLIENT).map(drop)),
        client(|builder| {
            builder.client_sessions(8).max_version(TlsVersion::Tls12);
            builder.add_crl_pem(CRL).map(drop)
        }),
    ]
});

/// Servers. The last one has no key pair.
pub static SERVERS: LazyLock<Vec<Config>> = LazyLock::new(|| {
    let server = |change: fn(&mut ConfigBuilder) -> Result<(), smtptls::Error>| {
        made(|builder| {
            builder.hostname(HOST)?;
            change(builder)
        })
    };
    fn pair(builder: &mut ConfigBuilder) -> Result<&mut ConfigBuilder, smtptls::Error> {
        builder.add_keypair_pem(SERVER, SERVER_KEY)
    }
    vec![
        server(|builder| pair(builder).map(drop)),
        server(|builder| {
            pair(builder)?.max_version(TlsVersion::Tls12);
            Ok(())
        }),
        server(|builder| {
            pair(builder)?.add_roots_pem(ROOT)?.client_auth(ClientAuth::Ask, true);
            Ok(())
        }),
        server(|builder| pair(builder)?.ticket_keys(&[&[7; 32]])?.alpn(&[b"smtp"]).map(drop)),
        server(|builder| {
            builder.add_certificate_pem(SERVER)?.add_roots_pem(ROOT)?.client_auth(ClientAuth::Require, false);
            Ok(())
        }),
        server(|builder| {
            pair(builder)?.ticket_keys(&[&[9; 32], &[7; 32]])?.min_version(TlsVersion::Tls12);
            builder.max_version(TlsVersion::Tls12).tickets(2);
            Ok(())
        }),
        server(|_| Ok(())),
    ]
});

/// Signs what a session with its private key elsewhere wants signed.
pub fn sign(session: &mut Session) {
    static KEYS: LazyLock<Vec<EcdsaKeyPair>> = LazyLock::new(|| {
        let read = |pem: &[u8]| {
            let der = PrivatePkcs8KeyDer::from_pem_slice(pem).unwrap_or_else(|error| panic!("{error}"));
            let key = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_ASN1_SIGNING, der.secret_pkcs8_der());
            key.unwrap_or_else(|error| panic!("{error}"))
        };
        vec![read(SERVER_KEY), read(CLIENT_KEY)]
    });
    let Some(request) = session.signature_request().cloned() else { return };
    // One of the two is right.
    let signed = KEYS.iter().any(|key| {
        let signature = key.sign(&SystemRandom::new(), request.message());
        signature.is_ok_and(|signature| session.set_signature(signature.as_ref()).is_ok())
    });
    assert!(signed, "a good signature is refused");
}
