//! RFC 3207 as one table, for both roles: in which state what event leads where, and what is done on the way.
//!
//! Two rules: all that decides about transitions stands here; nothing here does I/O or TLS. `docs/dialog.md`
//! is drawn from this table, and a test keeps it so.

use crate::{Code, Protocol};

/// Where a session stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum State {
    // Client.
    /// Nothing was done yet.
    Client,
    /// Waits for the greeting.
    Greeting,
    /// Waits for the reply to EHLO.
    Hello,
    /// Waits for the reply to HELO.
    Helo,
    /// Waits for the reply to STARTTLS.
    Starttls,
    /// Waits for the reply to the EHLO inside TLS.
    HelloAgain,
    // Server: nothing done yet, or waiting for a command.
    /// STARTTLS is offered.
    Offers,
    /// STARTTLS is offered, and required.
    Requires,
    /// There is no key pair, or none is wanted.
    Cannot,
    /// STARTTLS cannot be had for now, whatever was asked for; and where it is required, nothing else can.
    NotNow,
    NotNowRequired,
    /// Answers 554 to all but QUIT.
    Refusing,
    // Both.
    /// TLS runs its handshake.
    Handshake,
    /// TLS is up and the policy is met.
    Secured,
    /// TLS is up and the policy is not met.
    Rejected,
    /// No TLS, but the connection can be used in plaintext.
    Plain,
    /// The connection cannot be used any more.
    Closed,
}

impl State {
    /// A server waits for a command here.
    pub fn awaits_command(self) -> bool {
        use State::{Cannot, NotNow, NotNowRequired, Offers, Refusing, Requires};
        matches!(self, Offers | Requires | Cannot | NotNow | NotNowRequired | Refusing)
    }
}

/// What happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Event {
    // What the program asked for.
    FromGreeting,
    FromCommand,
    /// The same, and the policy wants no TLS.
    FromCommandUnwanted,
    /// The command that the program read has a parameter.
    FromCommandParameter,
    FromHandshake,
    ClientRefuses,
    ServerRefuses,
    InsecureContinue,
    // The reply that a client read.
    /// The code that the command asks for.
    Wanted,
    /// The same, for EHLO, with STARTTLS among the keywords.
    Offered,
    /// The same, and the policy wants no TLS.
    OfferedUnwanted,
    /// 5yz to EHLO: the server knows only HELO. There is nothing like it in LMTP.
    Unknown,
    /// 4yz, or any other 5yz.
    Refused,
    /// 421.
    Closing,
    /// A code that makes no sense here.
    Odd,
    // The command that a server read.
    Hello,
    Helo,
    /// EHLO or HELO in LMTP, LHLO in SMTP.
    WrongHello,
    /// A hello without a name, or with an unfit one.
    BadHello,
    Noop,
    Rset,
    Quit,
    Starttls,
    StarttlsParameter,
    Other,
    /// HELO, HELP and XCLIENT, where TLS is required and they are exempt.
    HeloExempt,
    HelpExempt,
    XclientExempt,
    /// Too long, or with NUL, bare CR or bare LF.
    Malformed,
    // The verdict after the handshake.
    Met,
    /// The same, and the session began at the greeting: the client says EHLO again.
    MetFromGreeting,
    Unmet,
}

/// What is done on the way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Act {
    Wait,
    SendHello,
    SendHelo,
    SendStarttls,
    SendQuit,
    Handshake,
    Finish,
    Greet,
    Extensions,
    HelloAnswer,
    Say(&'static str),
    /// 220, and then the handshake.
    Go,
    /// The command is the caller's.
    HandOver,
    Fail(Code),
    SayAndFail(&'static str, Code),
    /// The failure that the verdict found.
    FailVerdict,
}

// The replies of a server. Enhanced codes: RFC 3463, RFC 2034; 5.7.0 with 530 and 554: RFC 3207 section 4.
pub(crate) const READY: &str = "220 2.0.0 Ready to start TLS";
pub(crate) const ACTIVE: &str = "503 5.5.1 TLS is already active";
pub(crate) const OUT_OF_STEP: &str = "554 5.5.0 Input behind STARTTLS: protocol synchronization error";
pub(crate) const SILENCE: &str = "421 4.4.2 Timeout exceeded, closing connection";
const OK: &str = "250 2.0.0 OK";
const BYE: &str = "221 2.0.0 Bye";
const UNKNOWN: &str = "500 5.5.2 Command unrecognized";
const MALFORMED: &str = "500 5.5.2 Line too long or malformed";
const NO_NAME: &str = "501 5.5.4 A host name is needed";
const NO_PARAMETER: &str = "501 5.5.4 STARTTLS takes no parameter";
const NOT_CONFIGURED: &str = "502 5.5.1 TLS is not configured";
const NOT_NOW: &str = "454 4.7.0 TLS not available due to temporary reason";
const REQUIRED: &str = "530 5.7.0 Must issue a STARTTLS command first";
const HELP: &str = "214 2.0.0 See RFC 5321";
const INSECURE: &str = "554 5.7.0 Command refused due to lack of security";

/// One row: in this state, on this event, to that state, with this act.
type Row = (State, Event, State, Act);

/// The table.
#[rustfmt::skip]
pub(crate) const TABLE: &[Row] = {
    use {Act::*, Event as On, State as In};
    &[
    // Client, up to TLS. RFC 3207 section 4: STARTTLS only where EHLO offered it, TLS only after 220.
    (In::Client,     On::FromGreeting,         In::Greeting,   Wait),
    (In::Client,     On::FromCommand,          In::Starttls,   SendStarttls),
    (In::Client,     On::FromCommandUnwanted,  In::Plain,      Fail(Code::NotWanted)),
    (In::Client,     On::FromHandshake,        In::Handshake,  Handshake),
    (In::Greeting,   On::Wanted,               In::Hello,      SendHello),
    (In::Greeting,   On::Refused,              In::Plain,      Fail(Code::Refused)),
    (In::Greeting,   On::Closing,              In::Closed,     Fail(Code::Refused)),
    (In::Greeting,   On::Odd,                  In::Closed,     Fail(Code::SmtpSyntax)),
    (In::Hello,      On::Offered,              In::Starttls,   SendStarttls),
    (In::Hello,      On::OfferedUnwanted,      In::Plain,      Fail(Code::NotWanted)),
    (In::Hello,      On::Wanted,               In::Plain,      Fail(Code::NotOffered)),
    (In::Hello,      On::Unknown,              In::Helo,       SendHelo),
    (In::Hello,      On::Refused,              In::Plain,      Fail(Code::Refused)),
    (In::Hello,      On::Closing,              In::Closed,     Fail(Code::Refused)),
    (In::Hello,      On::Odd,                  In::Closed,     Fail(Code::SmtpSyntax)),
    (In::Helo,       On::Wanted,               In::Plain,      Fail(Code::NotOffered)),
    (In::Helo,       On::Refused,              In::Plain,      Fail(Code::Refused)),
    (In::Helo,       On::Closing,              In::Closed,     Fail(Code::Refused)),
    (In::Helo,       On::Odd,                  In::Closed,     Fail(Code::SmtpSyntax)),
    (In::Starttls,   On::Wanted,               In::Handshake,  Handshake),
    (In::Starttls,   On::Refused,              In::Plain,      Fail(Code::Refused)),
    (In::Starttls,   On::Closing,              In::Closed,     Fail(Code::Refused)),
    (In::Starttls,   On::Odd,                  In::Closed,     Fail(Code::SmtpSyntax)),
    // Server that offers STARTTLS.
    (In::Offers,     On::FromGreeting,         In::Offers,     Greet),
    (In::Offers,     On::FromCommand,          In::Handshake,  Go),
    (In::Offers,     On::FromCommandParameter, In::Plain,      SayAndFail(NO_PARAMETER, Code::SmtpSyntax)),
    (In::Offers,     On::FromHandshake,        In::Handshake,  Handshake),
    (In::Offers,     On::Hello,                In::Offers,     Extensions),
    (In::Offers,     On::Helo,                 In::Offers,     HelloAnswer),
    (In::Offers,     On::WrongHello,           In::Offers,     Say(UNKNOWN)),
    (In::Offers,     On::BadHello,             In::Offers,     Say(NO_NAME)),
    (In::Offers,     On::Noop,                 In::Offers,     Say(OK)),
    (In::Offers,     On::Rset,                 In::Offers,     Say(OK)),
    (In::Offers,     On::Quit,                 In::Closed,     SayAndFail(BYE, Code::Eof)),
    (In::Offers,     On::Starttls,             In::Handshake,  Go),
    (In::Offers,     On::StarttlsParameter,    In::Offers,     Say(NO_PARAMETER)),
    (In::Offers,     On::Malformed,            In::Offers,     Say(MALFORMED)),
    (In::Offers,     On::Other,                In::Plain,      HandOver),
    // Server that requires it. RFC 3207 section 4: 530 to all but NOOP, EHLO, STARTTLS and QUIT.
    (In::Requires,   On::FromGreeting,         In::Requires,   Greet),
    (In::Requires,   On::FromCommand,          In::Handshake,  Go),
    (In::Requires,   On::FromCommandParameter, In::Plain,      SayAndFail(NO_PARAMETER, Code::SmtpSyntax)),
    (In::Requires,   On::FromHandshake,        In::Handshake,  Handshake),
    (In::Requires,   On::Hello,                In::Requires,   Extensions),
    (In::Requires,   On::Helo,                 In::Requires,   Say(REQUIRED)),
    (In::Requires,   On::WrongHello,           In::Requires,   Say(REQUIRED)),
    (In::Requires,   On::BadHello,             In::Requires,   Say(NO_NAME)),
    (In::Requires,   On::Noop,                 In::Requires,   Say(OK)),
    (In::Requires,   On::Rset,                 In::Requires,   Say(REQUIRED)),
    (In::Requires,   On::Quit,                 In::Closed,     SayAndFail(BYE, Code::Eof)),
    (In::Requires,   On::Starttls,             In::Handshake,  Go),
    (In::Requires,   On::StarttlsParameter,    In::Requires,   Say(NO_PARAMETER)),
    (In::Requires,   On::Malformed,            In::Requires,   Say(MALFORMED)),
    (In::Requires,   On::Other,                In::Requires,   Say(REQUIRED)),
    // The same, by Postfix's larger list of exemptions.
    (In::Requires,   On::HeloExempt,           In::Requires,   HelloAnswer),
    (In::Requires,   On::HelpExempt,           In::Requires,   Say(HELP)),
    (In::Requires,   On::XclientExempt,        In::Plain,      HandOver),
    // Server without a key pair: never offers it, and answers it as a command that is not implemented.
    (In::Cannot,     On::FromGreeting,         In::Cannot,     Greet),
    (In::Cannot,     On::FromCommand,          In::Plain,      SayAndFail(NOT_NOW, Code::NoKeypair)),
    (In::Cannot,     On::FromCommandParameter, In::Plain,      SayAndFail(NO_PARAMETER, Code::SmtpSyntax)),
    (In::Cannot,     On::FromHandshake,        In::Closed,     Fail(Code::NoKeypair)),
    (In::Cannot,     On::Hello,                In::Cannot,     Extensions),
    (In::Cannot,     On::Helo,                 In::Cannot,     HelloAnswer),
    (In::Cannot,     On::WrongHello,           In::Cannot,     Say(UNKNOWN)),
    (In::Cannot,     On::BadHello,             In::Cannot,     Say(NO_NAME)),
    (In::Cannot,     On::Noop,                 In::Cannot,     Say(OK)),
    (In::Cannot,     On::Rset,                 In::Cannot,     Say(OK)),
    (In::Cannot,     On::Quit,                 In::Closed,     SayAndFail(BYE, Code::Eof)),
    (In::Cannot,     On::Starttls,             In::Cannot,     Say(NOT_CONFIGURED)),
    (In::Cannot,     On::StarttlsParameter,    In::Cannot,     Say(NOT_CONFIGURED)),
    (In::Cannot,     On::Malformed,            In::Cannot,     Say(MALFORMED)),
    (In::Cannot,     On::Other,                In::Plain,      HandOver),
    // Server that cannot have TLS for now, RFC 3207 section 4: not offered, and 454 to those who ask all the same.
    (In::NotNow,     On::FromGreeting,         In::NotNow,     Greet),
    (In::NotNow,     On::FromCommand,          In::Plain,      SayAndFail(NOT_NOW, Code::NoKeypair)),
    (In::NotNow,     On::FromCommandParameter, In::Plain,      SayAndFail(NO_PARAMETER, Code::SmtpSyntax)),
    (In::NotNow,     On::FromHandshake,        In::Closed,     Fail(Code::NoKeypair)),
    (In::NotNow,     On::Hello,                In::NotNow,     Extensions),
    (In::NotNow,     On::Helo,                 In::NotNow,     HelloAnswer),
    (In::NotNow,     On::WrongHello,           In::NotNow,     Say(UNKNOWN)),
    (In::NotNow,     On::BadHello,             In::NotNow,     Say(NO_NAME)),
    (In::NotNow,     On::Noop,                 In::NotNow,     Say(OK)),
    (In::NotNow,     On::Rset,                 In::NotNow,     Say(OK)),
    (In::NotNow,     On::Quit,                 In::Closed,     SayAndFail(BYE, Code::Eof)),
    (In::NotNow,     On::Starttls,             In::NotNow,     Say(NOT_NOW)),
    (In::NotNow,     On::StarttlsParameter,    In::NotNow,     Say(NO_PARAMETER)),
    (In::NotNow,     On::Malformed,            In::NotNow,     Say(MALFORMED)),
    (In::NotNow,     On::Other,                In::Plain,      HandOver),
    (In::NotNowRequired, On::FromGreeting,     In::NotNowRequired, Greet),
    (In::NotNowRequired, On::FromCommand,      In::Plain,      SayAndFail(NOT_NOW, Code::NoKeypair)),
    (In::NotNowRequired, On::FromCommandParameter, In::Plain,  SayAndFail(NO_PARAMETER, Code::SmtpSyntax)),
    (In::NotNowRequired, On::FromHandshake,    In::Closed,     Fail(Code::NoKeypair)),
    (In::NotNowRequired, On::Hello,            In::NotNowRequired, Extensions),
    (In::NotNowRequired, On::Helo,             In::NotNowRequired, Say(REQUIRED)),
    (In::NotNowRequired, On::WrongHello,       In::NotNowRequired, Say(REQUIRED)),
    (In::NotNowRequired, On::BadHello,         In::NotNowRequired, Say(NO_NAME)),
    (In::NotNowRequired, On::Noop,             In::NotNowRequired, Say(OK)),
    (In::NotNowRequired, On::Rset,             In::NotNowRequired, Say(REQUIRED)),
    (In::NotNowRequired, On::Quit,             In::Closed,     SayAndFail(BYE, Code::Eof)),
    (In::NotNowRequired, On::Starttls,         In::NotNowRequired, Say(NOT_NOW)),
    (In::NotNowRequired, On::StarttlsParameter, In::NotNowRequired, Say(NO_PARAMETER)),
    (In::NotNowRequired, On::Malformed,        In::NotNowRequired, Say(MALFORMED)),
    (In::NotNowRequired, On::Other,            In::NotNowRequired, Say(REQUIRED)),
    // Both, after the handshake. RFC 3207 section 4.1: decide at once whether to go on.
    (In::Handshake,  On::Met,                  In::Secured,    Finish),
    (In::Handshake,  On::MetFromGreeting,      In::HelloAgain, SendHello),
    (In::Handshake,  On::Unmet,                In::Rejected,   FailVerdict),
    // RFC 3207 section 4.2: the client says EHLO again, and never HELO. STARTTLS offered again is ignored.
    (In::HelloAgain, On::Wanted,               In::Secured,    Finish),
    (In::HelloAgain, On::Offered,              In::Secured,    Finish),
    (In::HelloAgain, On::Unknown,              In::Rejected,   Fail(Code::Refused)),
    (In::HelloAgain, On::Refused,              In::Rejected,   Fail(Code::Refused)),
    (In::HelloAgain, On::Closing,              In::Closed,     Fail(Code::Refused)),
    (In::HelloAgain, On::Odd,                  In::Closed,     Fail(Code::SmtpSyntax)),
    // Leaving politely, RFC 3207 section 4.1: QUIT at once; 554 to all but QUIT.
    (In::Plain,      On::ClientRefuses,        In::Closed,     SendQuit),
    (In::Secured,    On::ClientRefuses,        In::Closed,     SendQuit),
    (In::Rejected,   On::ClientRefuses,        In::Closed,     SendQuit),
    (In::Secured,    On::ServerRefuses,        In::Refusing,   Wait),
    (In::Rejected,   On::ServerRefuses,        In::Refusing,   Wait),
    (In::Refusing,   On::Quit,                 In::Closed,     Say(BYE)),
    (In::Refusing,   On::Other,                In::Refusing,   Say(INSECURE)),
    (In::Rejected,   On::InsecureContinue,     In::Secured,    Finish),
    ]
};

/// What follows from an event, or nothing where the event has no place.
pub(crate) fn next(state: State, event: Event) -> Option<(State, Act)> {
    TABLE.iter().find(|row| row.0 == state && row.1 == event).map(|row| (row.2, row.3))
}

/// What a reply means in the state that waits for it.
pub(crate) fn classify(state: State, protocol: Protocol, code: u16, offers_starttls: bool) -> Event {
    let wanted = match state {
        State::Hello | State::Helo | State::HelloAgain => 250,
        _ => 220,
    };
    match code {
        _ if code == wanted && offers_starttls && state != State::Helo => Event::Offered,
        _ if code == wanted => Event::Wanted,
        421 => Event::Closing,
        500..=599 if state == State::Hello && protocol == Protocol::Smtp => Event::Unknown,
        400..=599 => Event::Refused,
        _ => Event::Odd,
    }
}

#[cfg(test)]
#[path = "dialog_tests.rs"]
mod tests;
