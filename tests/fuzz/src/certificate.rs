//! Octets where a certificate should be: judged, described, carried in the bytes of an Info.

use std::sync::LazyLock;

use smtptls::{Config, Digest, Dnssec, Entry, FingerprintOf, Info, Level, Policy, Progress, Session, Tlsa};

use crate::script::Script;
use crate::world::{CLIENTS, CRL, HOST, ROOT, SERVERS};

/// The first octet says what the rest is: an Info as bytes, or certificates with 0xff 0xff between them and settings
/// before them.
pub fn run(data: &[u8]) {
    let mut script = Script::new(data);
    let which = script.octet();
    if which % 4 == 0 {
        if let Ok(info) = Info::from_bytes(script.rest()) {
            carried(&info);
            described(&info);
        }
        return;
    }
    let level = script.pick(Level::ALL);
    let [usage, selector, matching, crl, any, ..] = script.flags();
    let (octets, mut chain) = (script.rest(), Vec::new());
    let mut rest = octets;
    while chain.len() < 4 {
        let end = rest.windows(2).position(|pair| pair == [0xff, 0xff]);
        chain.push(&rest[..end.unwrap_or(rest.len())]);
        let Some(end) = end else { break };
        rest = &rest[end + 2..];
    }
    judged(&chain, level, [usage, selector, matching, any], crl);
    described(&with_chain(&chain));
}

fn judged(chain: &[&[u8]], level: Level, [usage, selector, matching, any]: [bool; 4], crl: bool) {
    static REVOKING: LazyLock<Config> = LazyLock::new(|| {
        let mut builder = Config::builder();
        let made =
            builder.add_roots_pem(ROOT).and_then(|builder| builder.add_crl_pem(CRL)).and_then(|b| b.freeze());
        made.unwrap_or_else(|error| panic!("{error}"))
    });
    let mut policy = Policy::new(level);
    policy.set_address_dnssec(Dnssec::Secure).set_insecure_any_name(any).allow_common_names(any);
    let _ = policy.set_tlsa(None, Dnssec::Secure);
    let own = chain.first().copied().unwrap_or_default();
    // A record and a fingerprint of what is shown, so that there is something to be found.
    for certificate in chain {
        if let Some(record) =
            Tlsa::of(2 + u8::from(usage), u8::from(selector), 2 * u8::from(matching), certificate)
        {
            assert!(record.unusable().is_none());
            assert_eq!(record.to_string().parse().as_ref(), Ok(&record));
            policy.add_tlsa(record);
        }
    }
    if let Some(fingerprint) = FingerprintOf::PublicKey.fingerprint(Digest::Sha256, own) {
        assert!(policy.add_fingerprint(FingerprintOf::PublicKey, &fingerprint).is_ok());
    }
    let config = if crl { &*REVOKING } else { &CLIENTS[0] };
    match config.judge(&policy, HOST, chain) {
        Ok(auth) if level.authenticates() && level != Level::Dane => {
            assert_ne!(auth, smtptls::Auth::None, "nobody is authenticated at {level:?}");
        }
        Ok(_) => {}
        Err(error) => assert!(error.message().bytes().all(|byte| (b' '..=b'~').contains(&byte)), "{error:?}"),
    }
}

/// An Info of a client whose peer has shown this chain: that of a real handshake, with other certificates. The format
/// is in `core/src/info/bytes.rs`.
fn with_chain(chain: &[&[u8]]) -> Info {
    const CERTIFICATE: u8 = 8;
    static FIRST: LazyLock<Vec<u8>> = LazyLock::new(|| {
        let mut client = Session::client(&CLIENTS[0], &Policy::new(Level::May), HOST);
        let mut server = Session::server(&SERVERS[0], &Policy::new(Level::May));
        for _ in 0..10 {
            if client.start(Entry::Handshake, 0) == Ok(Progress::Done(())) {
                drop(client.flush());
            }
            let _ = server.start(Entry::Handshake, 0);
            let (up, down) = (client.output().to_vec(), server.output().to_vec());
            client.sent(up.len());
            server.sent(down.len());
            // No octets at all would be an end.
            if !up.is_empty() {
                server.feed(&up);
            }
            if !down.is_empty() {
                client.feed(&down);
            }
        }
        let bytes = client.info().map(Info::to_bytes).unwrap_or_else(|| panic!("there was no handshake"));
        // Without its certificates, which stand at the end.
        let shown: usize = client.info().and_then(|info| info.peer_certificate(0)).map_or(0, <[u8]>::len);
        bytes[..bytes.len() - shown - 5].to_vec()
    });
    let mut bytes = FIRST.clone();
    for certificate in chain {
        bytes.push(CERTIFICATE);
        bytes.extend_from_slice(&u32::try_from(certificate.len()).unwrap_or(0).to_be_bytes());
        bytes.extend_from_slice(certificate);
    }
    let info = Info::from_bytes(&bytes).unwrap_or_else(|error| panic!("{error}"));
    assert_eq!(info.peer_certificate(0), chain.first().copied());
    info
}

/// The same in another process.
fn carried(info: &Info) {
    let bytes = info.to_bytes();
    let again = Info::from_bytes(&bytes);
    assert_eq!(again.as_ref(), Ok(info));
    assert_eq!(again.map(|info| info.to_bytes()), Ok(bytes));
}

/// Everything that is said of a peer. What stands in a header is one line, and cannot end its comment: SEC-20.
fn described(info: &Info) {
    let mut lines = vec![info.summary(), info.exim_cipher(), info.received_clause()];
    lines.extend(info.received_client());
    lines.extend([info.peer_subject(), info.peer_issuer(), info.peer_common_name()].into_iter().flatten());
    lines.extend([info.peer_issuer_common_name(), info.peer_serial()].into_iter().flatten());
    lines.extend(info.peer_names());
    for line in lines {
        assert!(!line.contains(|character: char| character.is_control()), "{line:?}");
    }
    if let Some(client) = info.received_client() {
        assert!(client.bytes().all(|byte| (b' '..=b'~').contains(&byte)), "{client:?}");
    }
    for of in FingerprintOf::ALL {
        for digest in Digest::ALL {
            let _ = info.peer_fingerprint(*of, *digest);
        }
    }
    let _ = (info.peer_chain_pem(), info.peer_dates(), info.peer_key_algorithm(), info.peer_key_bits());
    let _ = (info.server_end_point(), info.channel_binding(), info.secured(), info.cipher_bits());
    let _ = (info.group(), info.server_signature(), info.server_digest(), info.client_signature());
    let _ = (info.client_digest(), info.tlsa_depth(), info.doubt_depth(), info.matched_tlsa());
}
