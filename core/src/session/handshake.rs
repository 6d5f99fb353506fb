//! The engine from STARTTLS to the verdict: plaintext ends, TLS begins, the peer is judged.

use std::sync::Arc;

use super::{Entry, Session};
use crate::buffer::Buffer;
use crate::chain::Facts;
use crate::dialog::{Event, OUT_OF_STEP, READY};
use crate::error::{Failure, escape};
use crate::outcome::Stage;
use crate::tls::{CHANGE_CIPHER_SPEC, Tls, begins_record};
use crate::verdict::{client_facts, facts};
use crate::{ClientAuth, Code, Error, Info, Role, SignatureRequest};

impl Session {
    /// A server's 220. What the client sent behind its command is never executed, and never becomes part of
    /// TLS: CVE-2011-0411.
    pub(super) fn go(&mut self) -> Result<(), Failure> {
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
    pub(super) fn begin_tls(&mut self) -> Result<(), Failure> {
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
                Tls::client(config, name, server, self.config.signing())
            }
            Role::Server => Tls::server(self.config.server(), self.config.signing()),
        };
        let tls = tls.map_err(|failure| self.broken(failure))?;
        let tls = self.tls.insert(tls);
        // A client's hello.
        tls.advance(&mut Buffer::default(), &mut self.output)
    }

    /// Goes on with the handshake. Says whether it is done; then the peer is judged.
    pub(super) fn handshake(&mut self) -> Result<bool, Failure> {
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
        // Once the handshake is over, the verdict comes first.
        if tls.is_handshaking() && !self.output.is_empty() {
            if let Some(banner) = self.banner.take() {
                match tls.write_early(&banner, &mut self.input, &mut self.output) {
                    Ok(true) => {}
                    Ok(false) => self.banner = Some(banner),
                    Err(failure) => return Err(self.broken(failure)),
                }
            }
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

    /// What `start` wants signed, after `WantSignature`.
    pub fn signature_request(&self) -> Option<&SignatureRequest> {
        self.tls.as_ref()?.signature_request()
    }

    /// Gives the signature that `start` wants, as TLS has it: for ECDSA in DER. One that does not fit the certificate's
    /// key is an error, and may be followed by another try. Then call `start` again; it may ask once more, if key pairs
    /// were exchanged meanwhile.
    pub fn set_signature(&mut self, signature: &[u8]) -> Result<(), Error> {
        let tls = self.tls.as_mut().filter(|tls| tls.signature_request().is_some());
        let tls = tls.ok_or_else(|| Error::local(Code::State, "no signature is wanted"))?;
        match tls.set_signature(signature) {
            true => Ok(()),
            false => {
                let message = "this is no signature of the message with the key of the certificate";
                Err(Error::local(Code::KeyMismatch, message))
            }
        }
    }

    /// The server may have a better certificate by the next time, and then it is to be seen.
    pub(super) fn forget_sessions(&mut self) {
        self.config.forget(&crate::resumption::server(&self.host, self.demand.sni.as_ref()));
        if let Some(tls) = &mut self.tls {
            tls.keep_no_session();
        }
    }

    /// Text where a TLS record should begin was injected, or belongs to a peer that has lost its step; the
    /// code is the same whether it came in one segment with the 220 or later.
    pub(super) fn look_at_first_byte(&mut self) -> Result<(), Failure> {
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
    pub(super) fn finish(&mut self) {
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
        if let (Some(banner), Some(tls)) = (self.banner.take(), &mut self.tls) {
            // A failure to encrypt shows at the next call.
            drop(tls.write(&banner, &mut self.input, &mut self.output));
            self.deferred = false;
        }
    }
}
