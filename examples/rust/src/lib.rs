//! What the example programs share: plain SMTP, flags and error lines. TLS is in the programs themselves.

pub mod client;
pub mod failure;
pub mod options;
pub mod wire;

use std::io::{Read as _, Write as _};
use std::process::ExitCode;

use smtptls::{Code, Error, Info};

use crate::failure::Failure;
use crate::options::Options;

/// The `main` of a program that takes a message on standard input and gives it to `deliver`.
pub fn run(program: &str, deliver: fn(&Options, &[u8]) -> Result<(), Failure>) -> ExitCode {
    let options = match Options::parse(std::env::args_os().skip(1)) {
        Ok(options) => options,
        Err(wrong) => {
            complain(&format!("{program}: {wrong}\n{}", options::usage(program)));
            return ExitCode::from(2);
        }
    };
    let mut message = Vec::new();
    let result = match std::io::stdin().read_to_end(&mut message) {
        Ok(_) => deliver(&options, &message),
        Err(error) => Err(Error::local_io(Code::Io, "standard input cannot be read", &error).into()),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            complain(&format!("error: {failure}"));
            ExitCode::FAILURE
        }
    }
}

/// Prints what TLS came out as, and who the server proved to be.
pub fn tell_tls(info: Option<&Info>) {
    let Some(info) = info else { return tell("tls: none") };
    tell(&format!("tls: {}", info.summary()));
    let secured = if info.secured() { "yes" } else { "no" };
    tell(&format!("peer: level={} auth={} secured={secured}", info.level().name(), info.auth().name()));
}

/// Prints a line. Unlike `println!` it does not panic when nobody reads.
pub fn tell(line: &str) {
    drop(writeln!(std::io::stdout(), "{line}"));
}

/// Prints a line on standard error.
pub fn complain(line: &str) {
    drop(writeln!(std::io::stderr(), "{line}"));
}
