//! The engine up to the verdict: replies and commands become events, the table's acts become bytes.

use super::transfer::OUTPUT;
use super::{Progress, Session};
use crate::buffer::Buffer;
use crate::dialog::{Act, Event, State, classify, next};
use crate::error::{Failure, escape};
use crate::outcome::Stage;
use crate::reply::Reply;
use crate::tls::Tls;
use crate::{Code, Protocol};

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
                // A client that asks and does not listen.
                state if state.awaits_command() && self.output().len() >= OUTPUT => {
                    return Ok(Progress::WantOutput);
                }
                state if state.awaits_command() => match self.next_command()? {
                    Some(event) => self.step(event)?,
                    None => return self.want(),
                },
                State::Handshake => {
                    if !self.handshake()? {
                        if self.signature_request().is_some() {
                            return Ok(Progress::WantSignature);
                        }
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
