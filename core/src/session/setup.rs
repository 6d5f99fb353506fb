//! The engine before it starts: what the program sets, and what can be wrong on this side.

use super::{Entry, Session};
use crate::dialog::{Event, State};
use crate::error::Failure;
use crate::outcome::Stage;
use crate::{Code, Error, Level, Progress, Protocol, Role};

impl Session {
    /// For a server that starts from the handshake and chooses its `Config` by name: which name (SNI) the ClientHello
    /// asks for that these octets are; `WantInput` if they are not yet all of it. They are the first thing to feed
    /// to the session that is made then.
    pub fn asked_for(octets: &[u8]) -> Progress<Option<String>> {
        crate::tls::asked_for(octets).map_or(Progress::WantInput, Progress::Done)
    }

    /// SMTP, the default, or LMTP. Before `start`.
    pub fn set_protocol(&mut self, protocol: Protocol) -> Result<(), Error> {
        self.before_start("set_protocol")?;
        self.protocol = protocol;
        Ok(())
    }

    /// For a server that starts from the greeting: a line of its EHLO reply before TLS, such as `SIZE 1000`.
    /// PIPELINING, ENHANCEDSTATUSCODES and STARTTLS are there already. Before `start`.
    pub fn add_extension(&mut self, line: &str) -> Result<(), Error> {
        self.before_start("add_extension")?;
        let fit = (1..=500).contains(&line.len())
            && !line.starts_with(' ')
            && line.bytes().all(|byte| byte == b' ' || byte.is_ascii_graphic())
            && !line.split(' ').any(|word| word.eq_ignore_ascii_case("STARTTLS"));
        if !fit {
            let line = crate::error::escape(line.as_bytes());
            return Err(Error::local(
                Code::Argument,
                format!("\"{line}\" cannot be a line of an EHLO reply"),
            ));
        }
        self.extensions.push(line.to_string());
        Ok(())
    }

    /// For a server that starts from the greeting: the text behind its name, in place of `ESMTP` or `LMTP`. Before
    /// `start`.
    pub fn set_greeting(&mut self, text: &str) -> Result<(), Error> {
        self.before_start("set_greeting")?;
        let fit = (1..=400).contains(&text.len()) && text.bytes().all(|byte| (b' '..=b'~').contains(&byte));
        if !fit {
            let text = crate::error::escape(text.as_bytes());
            return Err(Error::local(Code::Argument, format!("\"{text}\" cannot stand in a greeting")));
        }
        self.greeting = Some(text.to_string());
        Ok(())
    }

    /// For a server that starts from the handshake, as on port 465: what it says first inside TLS, such as `220
    /// mx.example.com ESMTP` and CRLF. It leaves with the server's Finished, a round trip sooner than by `write`
    /// (0.5-RTT), where the client has TLS 1.3 and is asked for no certificate; else after the handshake. It goes to
    /// somebody who is not known yet. Before `start`.
    pub fn set_banner(&mut self, banner: &[u8]) -> Result<(), Error> {
        self.before_start("set_banner")?;
        if !(1..=2000).contains(&banner.len()) {
            return Err(Error::local(Code::Argument, "a banner has 1 to 2000 octets"));
        }
        self.banner = Some(banner.to_vec());
        Ok(())
    }

    /// For a server that cannot have TLS for now: STARTTLS is not offered, and answered with 454 (RFC 3207 section
    /// 4). Where it is required, other commands still get 530. Before `start`.
    pub fn set_not_now(&mut self) -> Result<(), Error> {
        self.before_start("set_not_now")?;
        self.state = match self.state {
            State::Offers => State::NotNow,
            State::Requires => State::NotNowRequired,
            state => state,
        };
        Ok(())
    }

    /// For a server: drops what a client sends in plaintext behind STARTTLS, as Postfix does, in place of 554 and an
    /// error. It is never executed, and never becomes part of TLS, either way. Before `start`.
    pub fn set_discard(&mut self, discard: bool) -> Result<(), Error> {
        self.before_start("set_discard")?;
        self.discards = discard;
        Ok(())
    }

    /// For a server that requires TLS: exempts HELO, HELP and XCLIENT too, as Postfix does; RFC 3207 section 4 names
    /// NOOP, EHLO, STARTTLS and QUIT. XCLIENT is the program's: `start` hands it over. Before `start`.
    pub fn set_exempt_more(&mut self, exempt: bool) -> Result<(), Error> {
        self.before_start("set_exempt_more")?;
        self.exempts_more = exempt;
        Ok(())
    }

    /// For a server that starts from the command: the line that its program has read. One with a parameter is
    /// answered with 501 (RFC 3207 section 4). Without this call the line was plainly `STARTTLS`.
    pub fn set_command(&mut self, line: &str) -> Result<(), Error> {
        self.before_start("set_command")?;
        let line = line.trim_end_matches(['\r', '\n']);
        match crate::command::parse(line.as_bytes(), self.protocol) {
            Event::Starttls | Event::StarttlsParameter => {
                self.command = Some(line.to_string());
                Ok(())
            }
            _ => {
                let line = crate::error::escape(line.as_bytes());
                Err(Error::local(Code::Argument, format!("\"{line}\" is not the STARTTLS command")))
            }
        }
    }

    fn before_start(&self, call: &str) -> Result<(), Error> {
        match self.entry {
            None => Ok(()),
            Some(_) => Err(Error::local(Code::State, format!("{call} comes before start"))),
        }
    }

    /// Checks all that can be wrong on this side before a byte is sent: a client aborts if it cannot start TLS
    /// after 220 (RFC 3207 section 4), so it finds out before it asks.
    pub(super) fn check(&mut self, entry: Entry, unread: usize) -> Result<(), Failure> {
        match self.role {
            Role::Client => self.check_client(entry)?,
            Role::Server => self.check_server()?,
        }
        self.stage = match entry {
            Entry::Greeting => Stage::Greeting,
            Entry::Command => Stage::Starttls,
            Entry::Handshake => Stage::Handshake,
        };
        let too_early = self.role == Role::Client && entry == Entry::Command && !self.input.is_empty();
        let discarded = self.role == Role::Server && self.discards && entry == Entry::Command;
        if !discarded && unread > 0 || too_early {
            let count = unread.max(self.input.unread().len());
            let message = format!(
                "{count} bytes came before TLS and were not used: injected plaintext, or a reply too many"
            );
            return Err(Failure::new(Code::PlaintextInjected, message));
        }
        Ok(())
    }

    pub(super) fn first_event(&self, entry: Entry) -> Event {
        match (entry, &self.command) {
            (Entry::Greeting, _) => Event::FromGreeting,
            (Entry::Handshake, _) => Event::FromHandshake,
            (Entry::Command, Some(line)) if line.trim_end().len() > "STARTTLS".len() => {
                Event::FromCommandParameter
            }
            (Entry::Command, _) if self.unwanted() => Event::FromCommandUnwanted,
            (Entry::Command, _) => Event::FromCommand,
        }
    }

    /// The policy wants no TLS.
    pub(super) fn unwanted(&self) -> bool {
        self.role == Role::Client && self.demand.level == Level::None
    }

    fn check_client(&mut self, entry: Entry) -> Result<(), Failure> {
        self.demand = crate::verdict::demand_of(&self.config, &self.policy, &self.host)?;
        self.reports = self.demand.reports.clone();
        let level = self.demand.level;
        if level == Level::None && entry == Entry::Handshake {
            let message = "level none wants no TLS, and at this entry there is nothing else";
            return Err(Failure::new(Code::Argument, message));
        }
        Ok(())
    }

    fn check_server(&self) -> Result<(), Failure> {
        match (self.policy.level(), self.config.has_keypair()) {
            (Level::None | Level::May, _) | (Level::Encrypt, true) => Ok(()),
            (Level::Encrypt, false) => {
                let message = "STARTTLS is required, and the configuration has no key pair";
                Err(Failure::new(Code::NoKeypair, message))
            }
            (level, _) => {
                let message =
                    format!("level {} is for clients; a server has none, may or encrypt", level.name());
                Err(Failure::new(Code::Argument, message))
            }
        }
    }
}
