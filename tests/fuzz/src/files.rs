//! What an administrator gives: keys, certificates, revocation lists, ticket keys, in files and in memory.

use std::fs::File;
use std::io::{Seek as _, Write as _};
use std::os::fd::AsRawFd as _;
use std::path::PathBuf;
use std::sync::{LazyLock, Mutex, PoisonError};

use smtptls::{Config, ConfigBuilder, Error, Level, Policy, Session};

use crate::script::Script;
use crate::world::{HOST, SERVER, SERVER_KEY};

/// A call on a builder with a text.
type Load = fn(&mut ConfigBuilder, &[u8]) -> Result<(), Error>;

const LOADS: &[Load] = &[
    |builder, text| builder.add_roots_pem(text).map(drop),
    |builder, text| builder.add_roots_der(text).map(drop),
    |builder, text| builder.add_crl_pem(text).map(drop),
    |builder, text| builder.add_keypair_pem(text, text).map(drop),
    |builder, text| builder.add_keypair_pem(SERVER, text).map(drop),
    |builder, text| builder.add_keypair_pem(text, SERVER_KEY).map(drop),
    |builder, text| builder.add_certificate_pem(text).map(drop),
    |builder, text| builder.add_keypairs_file(file(text)).map(drop),
    |builder, text| builder.add_keypair_file(file(text), file(text)).map(drop),
    |builder, text| builder.add_roots_file(file(text)).map(drop),
    |builder, text| builder.add_crl_file(file(text)).map(drop),
    |builder, text| builder.ticket_key_file(file(text)).map(drop),
    |builder, text| builder.add_keypair_pem(SERVER, SERVER_KEY)?.set_ocsp_file(file(text)).map(drop),
];

/// The first octet says what the rest is.
pub fn run(data: &[u8]) {
    let mut script = Script::new(data);
    let load = script.pick(LOADS);
    let text = script.rest();
    let mut builder = Config::builder();
    let result = load(&mut builder, text);
    if let Err(error) = &result {
        assert!(error.message().bytes().all(|byte| (b' '..=b'~').contains(&byte)), "{error:?}");
    }
    match (result, builder.freeze()) {
        (Ok(()), Ok(config)) => {
            // What was taken is of use: a session can begin.
            let mut client = Session::client(&config, &Policy::new(Level::Verify), HOST);
            let mut server = Session::server(&config, &Policy::new(Level::May));
            let _ = (client.start(smtptls::Entry::Handshake, 0), server.start(smtptls::Entry::Greeting, 0));
            let _ = (config.reload_keypairs(), config.reload_ticket_keys());
        }
        (Err(first), Err(kept)) => assert_eq!(first, kept, "the first error did not stay"),
        (Ok(()), Err(error)) => panic!("a configuration was taken and is unfit: {error:?}"),
        (Err(error), Ok(_)) => panic!("a spoilt configuration was frozen after {error:?}"),
    }
}

/// A file with this text: one without a name, so that none is left behind.
fn file(text: &[u8]) -> PathBuf {
    static FILE: LazyLock<Mutex<File>> = LazyLock::new(|| {
        let path = std::env::temp_dir().join(format!("smtptls-fuzz-{}", std::process::id()));
        let file = File::options().read(true).write(true).create_new(true).open(&path);
        let file = file.unwrap_or_else(|error| panic!("no file for the fuzzer: {error}"));
        drop(std::fs::remove_file(&path));
        Mutex::new(file)
    });
    let mut file = FILE.lock().unwrap_or_else(PoisonError::into_inner);
    let written = file.set_len(0).and_then(|()| file.rewind()).and_then(|()| file.write_all(text));
    written.unwrap_or_else(|error| panic!("no room for the fuzzer: {error}"));
    PathBuf::from(format!("/proc/self/fd/{}", file.as_raw_fd()))
}
