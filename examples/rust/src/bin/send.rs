//! Sends one message. The library does everything up to EHLO inside TLS; from there on it is plain SMTP.

use std::process::ExitCode;

use smtptls::{Action, Deadline, Entry, Fd, Mode, Session, Stream};
use smtptls_examples::client::Client;
use smtptls_examples::failure::Failure;
use smtptls_examples::options::Options;
use smtptls_examples::wire::{Wire, connect, refuse};
use smtptls_examples::{run, tell, tell_tls};

fn main() -> ExitCode {
    run("send", deliver)
}

fn deliver(options: &Options, message: &[u8]) -> Result<(), Failure> {
    let config = options.config()?;
    let policy = options.policy()?;
    let by = Deadline::after(options.timeout);
    let socket = connect(&options.host, options.port, by).map_err(Failure::peer)?;

    let mut session = Session::client(&config, &policy, &options.name);
    session.set_protocol(options.protocol)?;
    let mut stream = Stream::new(session, Fd::new(&socket, Mode::Blocking));
    stream.set_deadline(by);
    let started = stream.start(Entry::Greeting, 0);
    let hello = stream.session().reply().unwrap_or_default().to_string();
    let wire = match started {
        Ok(_) => {
            tell_tls(stream.info());
            Wire::tls(stream)
        }
        // Plaintext, which only levels `none` and `may` allow; the connection is as good as it was.
        Err(error) if error.action() == Action::Continue => {
            tell_tls(None);
            Wire::clear(&socket)
        }
        Err(error) => {
            refuse(&mut stream, &socket, &error, by);
            return Err(error.into());
        }
    };
    let reply = Client::new(wire, by).deliver(options, &hello, message)?;
    tell(&format!("sent: {}", reply.escaped()));
    Ok(())
}
