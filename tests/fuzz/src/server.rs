//! A server's session against a client that says anything, up to TLS and in it.

use smtptls::{Code, Entry, Level, Policy, Protocol, Role, Session};

use crate::client::drive;
use crate::script::Script;
use crate::watched::Watched;
use crate::world::SERVERS;

/// Settings: level, entry, configuration, flags twice. Then what the client says, and calls: `drive` says which.
pub fn run(data: &[u8]) {
    let mut script = Script::new(data);
    let (level, entry) = (script.pick(Level::ALL), script.pick(Entry::ALL));
    let config = &SERVERS[usize::from(script.octet()) % SERVERS.len()];
    let [lmtp, discard, not_now, exempt, eager, bytewise, ..] = script.flags();
    let [banner, extension, greeting, command, parameter, ..] = script.flags();
    let mut server = Watched::new(|| Session::server(config, &Policy::new(level)), entry, false);
    let session = &mut server.session;
    let protocol = if lmtp { Protocol::Lmtp } else { Protocol::Smtp };
    let line = if parameter { "STARTTLS now" } else { "starttls\r\n" };
    let set = [
        session.set_protocol(protocol),
        session.set_discard(discard),
        session.set_exempt_more(exempt),
        if not_now { session.set_not_now() } else { Ok(()) },
        if banner { session.set_banner(b"220 inside\r\n") } else { Ok(()) },
        if extension { session.add_extension("SIZE 1000") } else { Ok(()) },
        if greeting { session.set_greeting("ESMTP here") } else { Ok(()) },
        if command { session.set_command(line) } else { Ok(()) },
    ];
    assert!(set.iter().all(Result::is_ok), "{set:?}");
    let mut said = Vec::new();
    let honest = drive(&mut server, &mut script, eager, bytewise, Role::Client, &mut |server, bytes| {
        // What came before TLS.
        if !server.wire.ready && said.len() < 1 << 16 {
            said.extend_from_slice(bytes);
        }
    });
    server.take(usize::MAX);
    let (wire, session) = (&server.wire, &server.session);
    let closed = honest.as_ref().is_some_and(|honest| honest.closed);
    let leftover = session.leftover();
    // SEC-1: what stood behind STARTTLS is nobody's.
    if (wire.ready || wire.tls) && !closed {
        assert!(leftover.is_empty(), "plaintext from behind STARTTLS is handed on");
    }
    // SEC-3: nobody who can do no TLS hears more than an alert.
    if wire.ready
        && honest.is_none()
        && server.error.as_ref().is_some_and(|e| e.code() == Code::PlaintextInjected)
    {
        assert!(wire.only_alerts);
    }
    if !leftover.is_empty() && !closed {
        // At the command 454 and 501 leave the rest to the program too.
        let code = server.error.as_ref().map(|error| error.code());
        assert!(entry == Entry::Command || code == Some(Code::NotRequested), "{code:?} hands on");
        let known = honest.is_none() && said.len() < 1 << 16;
        assert!(!known || said.ends_with(leftover), "what is handed on was never said");
        assert!(
            entry == Entry::Command || level != Level::Encrypt || exempt,
            "a command is handed on where TLS is required"
        );
    }
}
