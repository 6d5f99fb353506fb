//! Info as bytes, to be carried to another process: Postfix's tlsproxy, say, does the TLS of others.
//!
//! A magic number, then fields: a tag, a length of four octets, and as many octets. An unknown tag is passed over, so
//! that a newer writer and an older reader understand each other; a missing one is nothing, or an error where
//! there is no Info without it.

use super::{Auth, Info};
use crate::config::TlsVersion;
use crate::tlsa::Tlsa;
use crate::{Code, Error, Level, Role};

const MAGIC: &[u8] = b"smtptls-info\x01";
/// The most that is read: a chain fills 64 KiB, and nothing else comes near.
const MOST: usize = 1 << 20;

/// Tags are for ever.
mod tag {
    pub const ROLE: u8 = 1;
    pub const VERSION: u8 = 2;
    pub const SUITE: u8 = 3;
    pub const GROUP: u8 = 4;
    pub const SERVER_NAME: u8 = 5;
    pub const ALPN: u8 = 6;
    pub const RESUMED: u8 = 7;
    pub const CERTIFICATE: u8 = 8;
    pub const OWN: u8 = 9;
    pub const SERVER_SCHEME: u8 = 10;
    pub const CLIENT_SCHEME: u8 = 11;
    pub const EXPORTER: u8 = 12;
    pub const LEVEL: u8 = 13;
    pub const AUTH: u8 = 14;
    pub const MX_INSECURE: u8 = 15;
    pub const TRUSTED: u8 = 16;
    pub const MATCHED_NAME: u8 = 17;
    pub const MATCHED_TLSA: u8 = 18;
    pub const TLSA_DEPTH: u8 = 19;
    pub const MATCHED_FINGERPRINT: u8 = 20;
    pub const DOUBT: u8 = 21;
    pub const DOUBT_DEPTH: u8 = 22;
}

/// Puts fields together.
struct Writer(Vec<u8>);

impl Writer {
    fn octets(&mut self, tag: u8, octets: &[u8]) {
        // No field of an Info is as long as four octets can say.
        let length = u32::try_from(octets.len()).unwrap_or(0);
        self.0.push(tag);
        self.0.extend_from_slice(&length.to_be_bytes());
        self.0.extend_from_slice(octets);
    }

    fn number(&mut self, tag: u8, number: u32) {
        self.octets(tag, &number.to_be_bytes());
    }

    fn text(&mut self, tag: u8, text: Option<&str>) {
        if let Some(text) = text {
            self.octets(tag, text.as_bytes());
        }
    }
}

/// Finds fields. The last of one tag counts.
struct Fields<'a>(Vec<(u8, &'a [u8])>);

impl<'a> Fields<'a> {
    fn parse(bytes: &'a [u8]) -> Option<Fields<'a>> {
        let mut rest = bytes.strip_prefix(MAGIC).filter(|_| bytes.len() <= MOST)?;
        let mut fields = Vec::new();
        while !rest.is_empty() {
            let (header, behind) = rest.split_at_checked(5)?;
            let length = u32::from_be_bytes(header[1..].try_into().ok()?);
            let (octets, behind) = behind.split_at_checked(usize::try_from(length).ok()?)?;
            fields.push((header[0], octets));
            rest = behind;
        }
        Some(Fields(fields))
    }

    fn all(&self, tag: u8) -> impl Iterator<Item = &'a [u8]> {
        self.0.iter().filter(move |field| field.0 == tag).map(|field| field.1)
    }

    fn octets(&self, tag: u8) -> Option<&'a [u8]> {
        self.all(tag).last()
    }

    fn number(&self, tag: u8) -> Option<u32> {
        self.octets(tag)?.try_into().ok().map(u32::from_be_bytes)
    }

    fn short(&self, tag: u8) -> Option<u16> {
        self.number(tag).and_then(|number| u16::try_from(number).ok())
    }

    fn flag(&self, tag: u8) -> bool {
        self.number(tag) == Some(1)
    }

    fn text(&self, tag: u8) -> Option<String> {
        std::str::from_utf8(self.octets(tag)?).ok().map(str::to_string)
    }

    fn depth(&self, tag: u8) -> usize {
        self.number(tag).and_then(|depth| usize::try_from(depth).ok()).unwrap_or(0)
    }

    fn one_of<T: Copy>(&self, tag: u8, all: &[T], number: impl Fn(T) -> i32) -> Option<T> {
        let wanted = i32::try_from(self.number(tag)?).ok()?;
        all.iter().copied().find(|one| number(*one) == wanted)
    }
}

const ROLES: &[Role] = &[Role::Client, Role::Server];

fn role_number(role: Role) -> i32 {
    match role {
        Role::Client => 0,
        Role::Server => 1,
    }
}

impl Info {
    /// All of it as bytes, for `from_bytes` in another process. There is no secret in it.
    pub fn to_bytes(&self) -> Vec<u8> {
        // The numbers of our enums are small and not negative; so are depths.
        let plain = |number: i32| u32::try_from(number).unwrap_or(0);
        let depth = |depth: usize| u32::try_from(depth).unwrap_or(0);
        let mut to = Writer(MAGIC.to_vec());
        to.number(tag::ROLE, plain(role_number(self.role)));
        to.number(tag::VERSION, plain(self.version.number()));
        to.number(tag::SUITE, u32::from(self.suite));
        to.number(tag::RESUMED, u32::from(self.resumed));
        to.number(tag::LEVEL, plain(self.level.number()));
        to.number(tag::AUTH, plain(self.auth.number()));
        to.number(tag::MX_INSECURE, u32::from(self.mx_insecure));
        to.number(tag::TRUSTED, u32::from(self.trusted));
        for (tag, number) in [
            (tag::GROUP, self.group),
            (tag::SERVER_SCHEME, self.server_scheme),
            (tag::CLIENT_SCHEME, self.client_scheme),
        ] {
            if let Some(number) = number {
                to.number(tag, u32::from(number));
            }
        }
        to.text(tag::SERVER_NAME, self.server_name.as_deref());
        to.text(tag::MATCHED_NAME, self.matched_name.as_deref());
        to.text(tag::MATCHED_FINGERPRINT, self.matched_fingerprint.as_deref());
        if let Some(alpn) = &self.alpn {
            to.octets(tag::ALPN, alpn);
        }
        if let Some(own) = &self.own {
            to.octets(tag::OWN, own);
        }
        if let Some(exporter) = &self.exporter {
            to.octets(tag::EXPORTER, exporter);
        }
        if let Some((record, at)) = &self.matched_tlsa {
            to.octets(tag::MATCHED_TLSA, &record.to_rdata());
            to.number(tag::TLSA_DEPTH, depth(*at));
        }
        if let Some((doubt, at)) = &self.doubt {
            to.text(tag::DOUBT, Some(doubt));
            to.number(tag::DOUBT_DEPTH, depth(*at));
        }
        for certificate in &self.chain {
            to.octets(tag::CERTIFICATE, certificate);
        }
        to.0
    }

    /// What `to_bytes` of another process gave. Whoever hands them over is believed.
    pub fn from_bytes(bytes: &[u8]) -> Result<Info, Error> {
        let unfit = || Error::local(Code::Argument, "these bytes are no Info, or one of another version");
        let fields = Fields::parse(bytes).ok_or_else(unfit)?;
        let record = fields.octets(tag::MATCHED_TLSA).map(Tlsa::from_rdata).transpose()?;
        Ok(Info {
            role: fields.one_of(tag::ROLE, ROLES, role_number).ok_or_else(unfit)?,
            version: fields.one_of(tag::VERSION, TlsVersion::ALL, TlsVersion::number).ok_or_else(unfit)?,
            suite: fields.short(tag::SUITE).ok_or_else(unfit)?,
            group: fields.short(tag::GROUP),
            server_name: fields.text(tag::SERVER_NAME),
            alpn: fields.octets(tag::ALPN).map(<[u8]>::to_vec),
            resumed: fields.flag(tag::RESUMED),
            chain: fields.all(tag::CERTIFICATE).map(<[u8]>::to_vec).collect(),
            own: fields.octets(tag::OWN).map(<[u8]>::to_vec),
            server_scheme: fields.short(tag::SERVER_SCHEME),
            client_scheme: fields.short(tag::CLIENT_SCHEME),
            exporter: fields.octets(tag::EXPORTER).and_then(|octets| octets.try_into().ok()),
            level: fields.one_of(tag::LEVEL, Level::ALL, Level::number).ok_or_else(unfit)?,
            auth: fields.one_of(tag::AUTH, Auth::ALL, Auth::number).ok_or_else(unfit)?,
            mx_insecure: fields.flag(tag::MX_INSECURE),
            trusted: fields.flag(tag::TRUSTED),
            matched_name: fields.text(tag::MATCHED_NAME),
            matched_tlsa: record.map(|record| (record, fields.depth(tag::TLSA_DEPTH))),
            matched_fingerprint: fields.text(tag::MATCHED_FINGERPRINT),
            doubt: fields.text(tag::DOUBT).map(|doubt| (doubt, fields.depth(tag::DOUBT_DEPTH))),
        })
    }
}
