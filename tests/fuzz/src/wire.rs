//! What a session sends, taken apart: lines of SMTP, then records of TLS, and never a line behind a record.

use smtptls::{Role, escape};

/// Alerts (RFC 8446 section 5.1).
const ALERT: u8 = 21;
/// The largest record (RFC 5246 section 6.2.3).
const LARGEST: usize = 16 * 1024 + 2048;

/// Everything that one side has sent so far.
pub struct Wire {
    role: Role,
    /// What is not a whole line or record yet.
    part: Vec<u8>,
    /// What stands at the front of the last line, up to the first blank or hyphen.
    pub verbs: Vec<String>,
    /// The last line was a server's 220 to STARTTLS.
    pub ready: bool,
    /// A record has begun.
    pub tls: bool,
    /// Every record so far was an alert.
    pub only_alerts: bool,
    /// The records, for a peer who takes them from here.
    pub kept: Vec<u8>,
}

impl Wire {
    pub fn new(role: Role) -> Wire {
        Wire {
            role,
            part: Vec::new(),
            verbs: Vec::new(),
            ready: false,
            tls: false,
            only_alerts: true,
            kept: Vec::new(),
        }
    }

    /// More was sent. `tls_may_begin` says whether the session was to begin TLS by now.
    pub fn sent(&mut self, bytes: &[u8], tls_may_begin: impl Fn(&Wire) -> bool) {
        self.part.extend_from_slice(bytes);
        while let Some(&first) = self.part.first() {
            let length = match (20..=23).contains(&first) {
                true => {
                    if !self.tls {
                        assert!(tls_may_begin(self), "TLS began too early, behind {:?}", self.verbs);
                        self.tls = true;
                    }
                    self.record(first)
                }
                false => {
                    assert!(!self.tls, "plaintext behind TLS: \"{}\"", escape(&self.part));
                    let Some(end) = self.part.iter().position(|octet| *octet == b'\n') else {
                        assert!(self.part.len() < 2048, "a line has no end");
                        return;
                    };
                    let line = self.part[..=end].to_vec();
                    self.line(&line);
                    end + 1
                }
            };
            if length == 0 || self.part.len() < length {
                return;
            }
            match self.tls {
                true => self.kept.extend(self.part.drain(..length)),
                false => drop(self.part.drain(..length)),
            }
            // Nobody takes them.
            if self.kept.len() > 1 << 20 {
                self.kept = Vec::new();
            }
        }
    }

    /// The length of the record at the front, or 0 while its header is not whole.
    fn record(&mut self, kind: u8) -> usize {
        self.only_alerts &= kind == ALERT;
        let &[_, major, minor, high, low, ..] = &self.part[..] else { return 0 };
        assert!(major == 3 && (1..=3).contains(&minor), "a record of version {major}.{minor}");
        let length = usize::from(u16::from_be_bytes([high, low]));
        assert!(length <= LARGEST, "a record of {length} octets");
        5 + length
    }

    fn line(&mut self, line: &[u8]) {
        let shown = escape(line);
        assert!(line.ends_with(b"\r\n"), "a line without CR: \"{shown}\"");
        let text = &line[..line.len() - 2];
        assert!(text.iter().all(|octet| (b' '..=b'~').contains(octet)), "a line of odd octets: \"{shown}\"");
        assert!(!self.ready, "plaintext behind the 220 to STARTTLS: \"{shown}\"");
        let text = String::from_utf8_lossy(text);
        let verb = text.split([' ', '-']).next().unwrap_or_default().to_string();
        match self.role {
            Role::Client => {
                let known = match verb.as_str() {
                    "EHLO" | "HELO" | "LHLO" => text.ends_with(" client.example.test"),
                    "STARTTLS" | "QUIT" => text == verb.as_str(),
                    _ => false,
                };
                assert!(known, "a client said \"{shown}\"");
                assert!(!self.verbs.iter().any(|verb| verb == "QUIT"), "behind QUIT: \"{shown}\"");
            }
            Role::Server => {
                let digits = verb.len() == 3 && verb.bytes().all(|octet| octet.is_ascii_digit());
                assert!(digits, "a server said \"{shown}\"");
                self.ready = text == "220 2.0.0 Ready to start TLS";
            }
        }
        self.verbs.push(verb);
        // A server may answer any number of commands.
        if self.verbs.len() > 16 {
            self.verbs.remove(0);
        }
    }
}
