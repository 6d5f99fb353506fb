//! Sends one message the way an existing mail program would: its own socket, its own greeting and EHLO, and the
//! library from STARTTLS until TLS is up.

use std::net::TcpStream;
use std::process::ExitCode;

use smtptls::{Action, Config, Deadline, Entry, Fd, Level, Mode, Policy, Protocol, Session, Stream};
use smtptls_examples::client::{Client, keyword};
use smtptls_examples::failure::{Failure, is_unsent};
use smtptls_examples::options::Options;
use smtptls_examples::wire::{Wire, connect, refuse};
use smtptls_examples::{run, tell, tell_tls};

fn main() -> ExitCode {
    run("upgrade", deliver)
}

fn deliver(options: &Options, message: &[u8]) -> Result<(), Failure> {
    let config = options.config()?;
    let policy = options.policy()?;
    let by = Deadline::after(options.timeout);
    let socket = connect(&options.host, options.port, by).map_err(Failure::peer)?;

    let mut client = Client::new(Wire::clear(&socket), by);
    let greeting = client.reply()?;
    client.wanted(220, "the greeting", greeting)?;
    let mut extensions = say_hello(&mut client, options, &config)?;

    let level = policy.effective_level(&options.name).inspect_err(|_| client.leave())?;
    let offered = keyword(&extensions, "STARTTLS").is_some();
    if offered && level != Level::None {
        let stream = starttls(options, &config, &policy, &socket, &mut client, by)?;
        tell_tls(stream.as_ref().and_then(Stream::info));
        if let Some(stream) = stream {
            // RFC 3207 section 4.2: what was learnt before TLS is forgotten.
            client = Client::new(Wire::tls(stream), by);
            extensions = say_hello(&mut client, options, &config)?;
        }
    } else if level.allows_plaintext() {
        tell_tls(None);
    } else {
        client.leave();
        return Err(Failure::not_offered("the server does not offer STARTTLS"));
    }

    let reply = client.deliver(options, &extensions, message)?;
    tell(&format!("sent: {}", reply.escaped()));
    Ok(())
}

/// EHLO, and HELO where the server knows nothing else (RFC 5321 section 3.2). Gives the reply to EHLO.
fn say_hello(client: &mut Client<'_>, options: &Options, config: &Config) -> Result<String, Failure> {
    let verb = if options.protocol == Protocol::Lmtp { "LHLO" } else { "EHLO" };
    let reply = client.command(&format!("{verb} {}", config.hostname()))?;
    // RFC 3207 section 4.2: never HELO inside TLS, since EHLO has worked before.
    if reply.code / 100 == 5 && verb == "EHLO" && !client.is_tls() {
        client.ask(250, &format!("HELO {}", config.hostname()))?;
        return Ok(String::new());
    }
    Ok(client.wanted(250, verb, reply)?.text())
}

/// STARTTLS on a connection where EHLO is done: TLS, or nothing if the policy is content without.
fn starttls<'a>(
    options: &Options,
    config: &Config,
    policy: &Policy,
    socket: &'a TcpStream,
    client: &mut Client<'_>,
    by: Deadline,
) -> Result<Option<Stream<Fd<'a>>>, Failure> {
    let mut session = Session::client(config, policy, &options.name);
    session.set_protocol(options.protocol)?;
    let mut stream = Stream::new(session, Fd::new(socket, Mode::Blocking));
    stream.set_deadline(by);
    match stream.start(Entry::Command, client.unread()) {
        Ok(_) => Ok(Some(stream)),
        // The server refused, and the connection is as good as it was.
        Err(error) if error.action() == Action::Continue => Ok(None),
        Err(error) => {
            if is_unsent(&error) {
                client.leave();
            } else {
                refuse(&mut stream, socket, &error, by);
            }
            Err(error.into())
        }
    }
}
