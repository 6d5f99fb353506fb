//! The engine up to the verdict: replies and commands become events, the table's acts become bytes.

use std::sync::Arc;

use super::{Entry, Progress, Session};
use crate::buffer::Buffer;
use crate::chain::Facts;
use crate::dialog::{Act, Event, OUT_OF_STEP, READY, State, classify, next};
use crate::error::{Failure, escape};
use crate::outcome::Stage;
use crate::reply::Reply;
use crate::tls::{CHANGE_CIPHER_SPEC, Tls, begins_record};
use crate::verdict::{client_facts, facts};
use crate::{ClientAuth, Code, Info, Protocol, Role};

impl Session {
    /// Goes on until something is wanted or all is done.
    pub(super) fn drive(&mut self) -> Result<Progress, Failure> {
        loop {
            match self.state {
                State::Greeting | State::Hello | State::Helo | State::Starttls | State::HelloAgain => {
                    match self.next_reply()? {
                        Some(reply) => self.got(&reply)?,
                        None => return self.want(),
                    }
                }
                state if state.awaits_command() => match self.next_command()? {
                    Some(event) => self.step(event)?,
                    None => return self.want(),
                },
                State::Handshake => {
                    if !self.handshake()? {
                        return self.want();
                    }
                }
                State::Secured | State::Closed if !self.output().is_empty() => {
                    return Ok(Progress::WantOutput);
                }
                State::Secured | State::Closed => return Ok(Progress::Done(())),
                _ => {
                    return Err(Failure::new(Code::Internal, "the dialogue stands where it cannot go on"));
                }
            }
        }
    }

    /// What is needed before the next step: output goes first, and an end of input is final.
    pub(super) fn want(&mut self) -> Result<Progress, Failure> {
        if !self.output().is_empty() {
            return Ok(Progress::WantOutput);
        }
        let closed = self.tls.as_ref().is_some_and(Tls::peer_closed);
        if !self.eof && !closed {
            return match self.input.is_full() {
                false => Ok(Progress::WantInput),
                true => Err(self.too_much()),
            };
        }
        let where_ = match self.state {
            State::Greeting => "before its greeting was whole",
            State::Hello | State::Helo => "before it had answered EHLO",
            State::Starttls => "before it had answered STARTTLS",
            State::HelloAgain => "before it had answered the EHLO inside TLS",
            State::Handshake => "during the TLS handshake",
            _ => "before STARTTLS",
        };
        let code = if self.is_tls() && !closed { Code::Truncated } else { Code::Eof };
        Err(self.broken(Failure::new(code, format!("the peer closed the connection {where_}"))))
    }

    /// A failure after which the connection cannot be used.
    pub(super) fn broken(&mut self, failure: Failure) -> Failure {
        self.state = State::Closed;
        failure
    }

    /// Where lines of the dialogue come from: inside TLS, what was decrypted.
    fn source(&mut self) -> Result<&mut Buffer, Failure> {
        let Some(tls) = &mut self.tls else { return Ok(&mut self.input) };
        loop {
            let space = self.lines.space();
            if space.is_empty() {
                break;
            }
            let count = tls.read(space);
            self.lines.filled(count);
            if count == 0 {
                if let Err(failure) = tls.advance(&mut self.input, &mut self.output) {
                    self.state = State::Closed;
                    return Err(failure);
                }
                if tls.plaintext() == 0 {
                    break;
                }
            }
        }
        Ok(&mut self.lines)
    }

    fn next_reply(&mut self) -> Result<Option<Reply>, Failure> {
        let mut replies = std::mem::take(&mut self.replies);
        let source = self.source()?;
        let result = replies.next(source.unread()).map(|(used, reply)| {
            source.consume(used);
            reply
        });
        self.replies = replies;
        result.map_err(|failure| self.broken(failure))
    }

    /// A reply has come. Nothing may stand behind it, since nothing was asked: behind the 220 to STARTTLS it
    /// would be taken for something said inside TLS (RFC 3207 section 4.2, the response injection of 2021).
    fn got(&mut self, reply: &Reply) -> Result<(), Failure> {
        let offers = matches!(self.state, State::Hello | State::HelloAgain) && reply.offers("STARTTLS");
        let event = match classify(self.state, self.protocol, reply.code, offers) {
            Event::Offered if self.unwanted() => Event::OfferedUnwanted,
            event => event,
        };
        let source = if self.tls.is_some() { &self.lines } else { &self.input };
        if !source.is_empty() {
            let extra = escape(source.unread());
            let failure = match (self.state, event) {
                (State::Starttls, Event::Wanted) => Failure::new(
                    Code::PlaintextInjected,
                    format!("the server sent plaintext behind its 220 to STARTTLS: \"{extra}\""),
                ),
                _ => Failure::new(
                    Code::Unsolicited,
                    format!("the server sent a reply that nobody had asked for: \"{extra}\""),
                ),
            };
            return Err(self.broken(failure));
        }
        self.reply = Some(reply.text());
        let state = self.state;
        self.step(event).map_err(|failure| match failure.code {
            Code::Refused | Code::SmtpSyntax | Code::NotOffered => {
                let what = match state {
                    State::Greeting => "its greeting",
                    State::Hello | State::HelloAgain => "the reply to EHLO",
                    State::Helo => "the reply to HELO",
                    _ => "the reply to STARTTLS",
                };
                let text = failure.code.text();
                Failure { message: format!("{text}: {what} was \"{}\"", reply.escaped()), ..failure }
            }
            _ => failure,
        })
    }

    /// The next command as an event. The line of one that is the program's stays in the input.
    fn next_command(&mut self) -> Result<Option<Event>, Failure> {
        let mut commands = std::mem::take(&mut self.commands);
        let (skipping, protocol, state) = (self.skipping, self.protocol, self.state);
        let exempts_more = self.exempts_more;
        let hello = self.hello.take();
        let source = self.source()?;
        let mut still_skipping = skipping;
        let mut said = None;
        let event = match commands.line(source.unread()) {
            _ if skipping => {
                let (drop, found) = commands.resynchronise(source.unread());
                source.consume(drop);
                still_skipping = !found;
                None
            }
            Ok(None) => None,
            Ok(Some(length)) => {
                let line = &source.unread()[..length - 2];
                let mut event = crate::command::parse(line, protocol);
                match event {
                    Event::Hello | Event::Helo => said = Some(String::from_utf8_lossy(line).into_owned()),
                    _ => {}
                }
                event = match event {
                    event if state == State::Refusing && event != Event::Quit => Event::Other,
                    event if exempts_more && state == State::Requires => exempted(event, line),
                    event => event,
                };
                let hands_over = next(state, event).is_some_and(|(_, act)| act == Act::HandOver);
                if !hands_over {
                    source.consume(length);
                }
                Some(event)
            }
            Err(_) => {
                still_skipping = true;
                let (drop, found) = commands.resynchronise(source.unread());
                source.consume(drop);
                still_skipping &= !found;
                Some(if state == State::Refusing { Event::Other } else { Event::Malformed })
            }
        };
        let empty = source.is_empty();
        self.commands = commands;
        self.skipping = still_skipping;
        self.hello = said.or(hello);
        // The end of a skipped line was found, and the next one may be there.
        if skipping && !still_skipping && !empty {
            return self.next_command();
        }
        Ok(event)
    }

    /// Takes an event to the table and does what it says.
    pub(super) fn step(&mut self, event: Event) -> Result<(), Failure> {
        let Some((state, act)) = next(self.state, event) else {
            let message = format!("{event:?} has no place in the dialogue at {:?}", self.state);
            return Err(self.broken(Failure::new(Code::Internal, message)));
        };
        self.state = state;
        self.perform(act)
    }

    fn perform(&mut self, act: Act) -> Result<(), Failure> {
        let hostname = || self.config.hostname().to_string();
        match act {
            Act::Wait => Ok(()),
            Act::SendHello => self.say(&format!("{} {}", self.protocol.hello(), hostname())),
            Act::SendHelo => self.say(&format!("HELO {}", hostname())),
            Act::SendStarttls => {
                self.stage = Stage::Starttls;
                self.say("STARTTLS")
            }
            Act::SendQuit => self.say("QUIT"),
            Act::Greet => {
                let text = self.greeting.as_deref().unwrap_or(self.protocol.name());
                self.say(&format!("220 {} {text}", hostname()))
            }
            Act::HelloAnswer => self.say(&format!("250 {}", hostname())),
            Act::Extensions => self.say(&self.extensions_reply()),
            Act::Say(reply) => self.say(reply),
            Act::SayAndFail(reply, code) => {
                self.say(reply)?;
                let message = match code {
                    Code::Eof => "the client said QUIT before STARTTLS".to_string(),
                    Code::SmtpSyntax => format!(
                        "the client's STARTTLS has a parameter: \"{}\"",
                        escape(self.command.as_deref().unwrap_or_default().as_bytes())
                    ),
                    code => code.text().to_string(),
                };
                Err(Failure::new(code, message))
            }
            Act::HandOver => {
                let line = self.input.unread().split(|byte| *byte == b'\r').next().unwrap_or_default();
                let message = format!("the client goes on without STARTTLS: \"{}\"", escape(line));
                Err(Failure::new(Code::NotRequested, message))
            }
            Act::Go => self.go(),
            Act::Handshake => self.begin_tls(),
            Act::Finish => {
                self.finish();
                Ok(())
            }
            Act::Fail(code) => Err(Failure::new(code, code.text())),
            Act::FailVerdict => Err(match &self.verdict {
                Some(failure) => failure.clone(),
                None => Failure::new(Code::Internal, "there is no verdict"),
            }),
        }
    }

    fn extensions_reply(&self) -> String {
        let mut lines = vec![self.config.hostname(), "PIPELINING", "ENHANCEDSTATUSCODES"];
        lines.extend(self.extensions.iter().map(String::as_str));
        // RFC 3207 section 4.2 and RFC 8314 section 4: only while it can work, and never inside TLS.
        if matches!(self.state, State::Offers | State::Requires) {
            lines.push("STARTTLS");
        }
        let last = lines.len() - 1;
        let numbered = lines.iter().enumerate().map(|(n, line)| {
            let separator = if n == last { ' ' } else { '-' };
            format!("250{separator}{line}")
        });
        numbered.collect::<Vec<_>>().join("\r\n")
    }

    /// Sends a line, inside TLS if it is up.
    pub(super) fn say(&mut self, line: &str) -> Result<(), Failure> {
        let line = format!("{line}\r\n");
        self.deferred = false;
        match &mut self.tls {
            Some(tls) => tls.write(line.as_bytes(), &mut self.input, &mut self.output),
            None => {
                self.output.extend_from_slice(line.as_bytes());
                Ok(())
            }
        }
    }

    /// A server's 220. What the client sent behind its command is never executed, and never becomes part of
    /// TLS: CVE-2011-0411.
    fn go(&mut self) -> Result<(), Failure> {
        if self.discards {
            self.input = Buffer::default();
        }
        if !self.input.is_empty() {
            let message =
                format!("the client sent plaintext behind STARTTLS: \"{}\"", escape(self.input.unread()));
            self.say(OUT_OF_STEP)?;
            return Err(self.broken(Failure::new(Code::PlaintextInjected, message)));
        }
        self.say(READY)?;
        self.begin_tls()
    }

    /// TLS begins, and what was learnt before it is forgotten (RFC 3207 section 4.2).
    fn begin_tls(&mut self) -> Result<(), Failure> {
        self.stage = Stage::Handshake;
        self.reply = None;
        self.hello = None;
        self.extensions = Vec::new();
        self.command = None;
        self.replies = Default::default();
        let tls = match self.role {
            Role::Client => {
                let sni = self.demand.sni.clone();
                let server = crate::resumption::server(&self.host, sni.as_ref());
                let config = self.config.client(sni.is_some());
                let name = sni.unwrap_or_else(crate::name::nobody);
                Tls::client(config, name, server)
            }
            Role::Server => Tls::server(self.config.server()),
        };
        let tls = tls.map_err(|failure| self.broken(failure))?;
        let tls = self.tls.insert(tls);
        // A client's hello.
        tls.advance(&mut Buffer::default(), &mut self.output)
    }

    /// Goes on with the handshake. Says whether it is done; then the peer is judged.
    fn handshake(&mut self) -> Result<bool, Failure> {
        if !self.tls_began && !self.input.is_empty() {
            self.look_at_first_byte()?;
        }
        let Some(tls) = &mut self.tls else {
            return Err(Failure::new(Code::Internal, "there is no TLS to shake hands with"));
        };
        if let Err(failure) = tls.advance(&mut self.input, &mut self.output) {
            // What is in the output now ends with the alert.
            self.deferred = false;
            return Err(self.broken(failure));
        }
        if tls.is_handshaking() {
            self.deferred = self.role == Role::Client && self.output[self.sent..] == *CHANGE_CIPHER_SPEC;
            return Ok(false);
        }
        let Some(negotiated) = tls.negotiated() else {
            return Err(Failure::new(Code::Internal, "the handshake came out as nothing"));
        };
        tls.forget_secrets();
        let facts = match self.role {
            // A resumed session too: from the chain that its first handshake saw.
            Role::Client => facts(&self.config, &self.policy, &self.demand, &negotiated.chain),
            Role::Server if self.config.client_auth() == ClientAuth::None => Facts::default(),
            Role::Server => client_facts(&self.config, &self.policy, &negotiated.chain),
        };
        let demanded = match self.role {
            Role::Client => self.demand.level.authenticates(),
            Role::Server => self.config.client_auth() == ClientAuth::Require,
        };
        if demanded {
            self.verdict = facts.failure().cloned();
        }
        if self.role == Role::Client {
            if self.verdict.is_some() {
                self.forget_sessions();
            }
            if self.verdict.is_some() || self.demand.testing {
                self.reports_of(facts.reports());
            }
        }
        self.info = Some(Arc::new(Info::new(self.role, negotiated, &facts, &self.demand)));
        let event = match (&self.verdict, self.role, self.entry) {
            (Some(_), ..) => Event::Unmet,
            (None, Role::Client, Some(Entry::Greeting)) => Event::MetFromGreeting,
            (None, ..) => Event::Met,
        };
        // Whatever fails from here on does so inside TLS; the verdict itself still belongs to the handshake.
        if event != Event::Unmet {
            self.stage = Stage::Secured;
        }
        self.step(event)?;
        Ok(true)
    }

    /// The server may have a better certificate by the next time, and then it is to be seen.
    fn forget_sessions(&mut self) {
        self.config.forget(&crate::resumption::server(&self.host, self.demand.sni.as_ref()));
        if let Some(tls) = &mut self.tls {
            tls.keep_no_session();
        }
    }

    /// Text where a TLS record should begin was injected, or belongs to a peer that has lost its step; the
    /// code is the same whether it came in one segment with the 220 or later.
    fn look_at_first_byte(&mut self) -> Result<(), Failure> {
        self.tls_began = true;
        let input = self.input.unread();
        let text = input.first().is_some_and(|byte| byte.is_ascii_graphic() || b"\r\n \t".contains(byte));
        if begins_record(input) || !text {
            return Ok(());
        }
        let message = format!("plaintext came where TLS should begin: \"{}\"", escape(input));
        // What was to be sent is a ClientHello, of no use to such a peer.
        self.output.clear();
        self.sent = 0;
        Err(self.broken(Failure::new(Code::PlaintextInjected, message)))
    }

    /// TLS is up and the policy is met.
    fn finish(&mut self) {
        self.error = None;
        self.replies = Default::default();
        self.deferred = match (self.role, self.entry) {
            // The program says EHLO now, and Finished leaves with it (one segment and one round trip less).
            (Role::Client, Some(Entry::Command)) => true,
            // What is left is tickets; they leave with the answer to EHLO. In TLS 1.2 it is Finished.
            (Role::Server, _) => self.info.as_ref().is_some_and(|info| info.version() == "TLSv1.3"),
            // On port 465 the server speaks first, and only when it has Finished.
            (Role::Client, _) => false,
        };
    }

    /// The protocol that the session speaks.
    pub fn protocol(&self) -> Protocol {
        self.protocol
    }
}

/// What Postfix exempts where TLS is required, besides what RFC 3207 section 4 does.
fn exempted(event: Event, line: &[u8]) -> Event {
    let verb = line.split(|byte| *byte == b' ').next().unwrap_or_default();
    match event {
        Event::Helo => Event::HeloExempt,
        Event::Other if verb.eq_ignore_ascii_case(b"HELP") => Event::HelpExempt,
        Event::Other if verb.eq_ignore_ascii_case(b"XCLIENT") => Event::XclientExempt,
        event => event,
    }
}
