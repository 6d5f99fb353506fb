//! REQUIRETLS (RFC 8689): may a message that asks for it go through this session?

use std::ffi::CStr;

use crate::error::Failure;
use crate::info::Auth;
use crate::outcome::Stage;
use crate::session::Session;
use crate::{Code, Error, Role};

/// No TLS, or none that is good enough: "Encryption needed" (RFC 5248, RFC 8689 section 4.2.1).
const ENCRYPTION_NEEDED: &CStr = c"5.7.10";

impl Session {
    /// Whether a message with REQUIRETLS may be sent through this session (RFC 8689 section 4.2.1): TLS is up;
    /// the server is one that secure MX records or an MTA-STS policy name, or that the program was told to use (see
    /// `Policy::set_next_hop`); its certificate was verified by a trust chain or by DANE; and it `offered` REQUIRETLS
    /// in its reply to the EHLO inside TLS.
    ///
    /// On an error say QUIT and try the next server; other messages may go first. If there is no other server, the
    /// error's enhanced status code is for the bounce: 5.7.30 where REQUIRETLS is not offered, 5.7.10 where the
    /// session is not good enough. A bounce itself, with an empty return path, may be sent all the same.
    pub fn check_requiretls(&self, offered: bool) -> Result<(), Error> {
        let unmet = |status: Option<&'static CStr>, message: &str| {
            let message = format!("REQUIRETLS cannot be kept: {message}");
            let failure = Failure { status, ..Failure::new(Code::RequireTls, message) };
            Err(failure.judge(Role::Client, self.level(), Stage::Secured, false))
        };
        let Some(info) = self.info().filter(|_| self.is_tls() && self.role() == Role::Client) else {
            return unmet(Some(ENCRYPTION_NEEDED), "there is no TLS with the server");
        };
        if !self.mx_validated() {
            return unmet(
                Some(ENCRYPTION_NEEDED),
                "neither secure MX records nor an MTA-STS policy name the server",
            );
        }
        let named = info.auth() != Auth::Pkix || info.name_matched();
        if !named || !matches!(info.auth(), Auth::Pkix | Auth::DaneTa | Auth::DaneEe) {
            let doubt = info.doubt().unwrap_or("it was known without its name, or by its fingerprint");
            return unmet(Some(ENCRYPTION_NEEDED), &format!("the server is not verified: {doubt}"));
        }
        if !offered {
            return unmet(None, "the server does not offer REQUIRETLS inside TLS");
        }
        Ok(())
    }
}
