//! smtptls_policy: what is demanded of a destination.

use std::ffi::{c_char, c_int};

use smtptls_core::{Code, Error, FingerprintOf, Level, Policy};

use crate::boundary::{free, guard, numbered, object, optional, shared, string};
use crate::error::smtptls_error;
use crate::sts::smtptls_sts;

/// What is demanded of one destination. Cheap to make: one per delivery is
/// fine. A session copies it, so it may be freed or changed at once. Only one
/// thread may use it at a time.
///
/// For a client's session the level says what is demanded of the server. For a
/// server's it says whether STARTTLS is offered (SMTPTLS_LEVEL_MAY) or required
/// (SMTPTLS_LEVEL_ENCRYPT), or not offered (SMTPTLS_LEVEL_NONE). A publicly
/// referenced server must not require STARTTLS for local mail (RFC 3207 section
/// 4): on port 25 of an MX host use SMTPTLS_LEVEL_ENCRYPT only where every
/// sender is known.
///
/// The library asks no DNS. At the levels SMTPTLS_LEVEL_DANE and
/// SMTPTLS_LEVEL_DANE_ONLY you give what your resolver found, and whether that
/// was validated: the MX records with smtptls_policy_set_next_hop(), the
/// addresses with smtptls_policy_set_address_dnssec(), the TLSA records with
/// smtptls_policy_set_tlsa() and smtptls_policy_add_tlsa(). At other levels all
/// of this is left unused.
pub struct smtptls_policy {
    pub(crate) policy: Policy,
    error: Option<Box<smtptls_error>>,
}

/// A new policy of one of enum smtptls_level; NULL if there is no such level.
#[unsafe(no_mangle)]
pub extern "C" fn smtptls_policy_new(level: c_int) -> *mut smtptls_policy {
    guard(|| match Level::from_number(level) {
        Some(level) => Box::into_raw(Box::new(smtptls_policy { policy: Policy::new(level), error: None })),
        None => std::ptr::null_mut(),
    })
    .unwrap_or(std::ptr::null_mut())
}

/// Frees a policy. NULL is fine.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn smtptls_policy_free(policy: *mut smtptls_policy) {
    // SAFETY: the header asks for NULL or a policy that is not freed.
    unsafe { free(policy) }
}

/// Why the last smtptls_policy_*() call failed, or NULL if it did not. Valid
/// until the next call on this policy.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn smtptls_policy_error(policy: *const smtptls_policy) -> *const smtptls_error {
    // SAFETY: the header asks for NULL or a policy that is not freed.
    let error = unsafe { shared(policy) }.and_then(|policy| policy.error.as_deref());
    error.map_or(std::ptr::null(), std::ptr::from_ref)
}

/// One call on a policy: its error is kept, and its code returned.
///
/// # Safety
///
/// `policy` is NULL or a policy that is not freed.
unsafe fn on(policy: *mut smtptls_policy, body: impl FnOnce(&mut Policy) -> Result<c_int, Error>) -> c_int {
    // SAFETY: as the caller of this function vouches.
    let Some(policy) = (unsafe { object(policy) }) else { return Code::Argument.number() };
    let result = guard(|| body(&mut policy.policy)).and_then(|result| result);
    let code = result.as_ref().map_or_else(|error| error.code().number(), |code| *code);
    policy.error = result.err().map(|error| Box::new(error.into()));
    code
}

/// The same for calls that have nothing to tell.
///
/// # Safety
///
/// `policy` is NULL or a policy that is not freed.
unsafe fn change(policy: *mut smtptls_policy, body: impl FnOnce(&mut Policy) -> Result<(), Error>) -> c_int {
    // SAFETY: as the caller of this function vouches.
    unsafe { on(policy, |policy| body(policy).map(|()| 0)) }
}

/// Accepts a certificate for this name: a host name (also with letters that
/// are not ASCII), an IP address, or ".example.com" for any host below that
/// domain. Names that were added take the place of the session's host, and at
/// SMTPTLS_LEVEL_SECURE of the next hop's. At the DANE levels they are an
/// error: there the DNS names them. SMTPTLS_ERR_ARGUMENT if it is no name.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn smtptls_policy_add_name(policy: *mut smtptls_policy, name: *const c_char) -> c_int {
    // SAFETY: the header asks for a policy that is not freed, and a string that ends with NUL.
    unsafe {
        change(policy, |policy| {
            let name = string(name, "name")?;
            policy.add_name(name).map(drop)
        })
    }
}

/// At the levels verify and secure takes a trusted certificate for whatever name,
/// as Exim does with tls_verify_hosts alone, and OpenSSL where no name is set. It
/// lets in whoever has any certificate of any trusted authority, so it is for
/// authorities that serve nobody else. For such a peer smtptls_info_secured says
/// no. Where MTA-STS is in force the name counts all the same.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn smtptls_policy_set_insecure_any_name(
    policy: *mut smtptls_policy,
    any: bool,
) -> c_int {
    // SAFETY: the header asks for a policy that is not freed.
    unsafe {
        change(policy, |policy| {
            policy.set_insecure_any_name(any);
            Ok(())
        })
    }
}

/// The server name (SNI) that a client sends. By default it is the session's
/// host, if that is a host name. NULL sends none. Where DANE is in force it is
/// always the TLSA base domain (RFC 7672 section 8.1). SMTPTLS_ERR_ARGUMENT if
/// it is no host name.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn smtptls_policy_set_sni(policy: *mut smtptls_policy, name: *const c_char) -> c_int {
    // SAFETY: the header asks for a policy that is not freed, and NULL or a string that ends with NUL.
    unsafe {
        change(policy, |policy| {
            let name = optional(name, "name")?;
            policy.set_sni(name).map(drop)
        })
    }
}

/// Accepts a certificate by its fingerprint, at SMTPTLS_LEVEL_FINGERPRINT:
/// "sha256:" and hex digits of either case, with or without colons. Without an
/// algorithm, as in Postfix's tables, the length tells it. of is one of enum
/// smtptls_fingerprint_of. SMTPTLS_ERR_ARGUMENT if it is no fingerprint.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn smtptls_policy_add_fingerprint(
    policy: *mut smtptls_policy,
    of: c_int,
    digest: *const c_char,
) -> c_int {
    // SAFETY: the header asks for a policy that is not freed, and a string that ends with NUL.
    unsafe {
        change(policy, |policy| {
            let of = numbered(FingerprintOf::ALL, FingerprintOf::number, of, "smtptls_fingerprint_of")?;
            let digest = string(digest, "digest")?;
            policy.add_fingerprint(of, digest).map(drop)
        })
    }
}

/// The domain's MTA-STS policy (RFC 8461), if there is one that is current; NULL
/// takes it away. It raises the levels SMTPTLS_LEVEL_MAY and
/// SMTPTLS_LEVEL_ENCRYPT, and SMTPTLS_LEVEL_DANE where the domain has no secure
/// TLSA records; what DANE says it never outweighs. It is copied.
/// SMTPTLS_ERR_STATE if sts has no policy: smtptls_sts_parse() did not succeed.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn smtptls_policy_set_sts(
    policy: *mut smtptls_policy,
    sts: *const smtptls_sts,
) -> c_int {
    // SAFETY: the header asks for a policy that is not freed, and NULL or an sts that is not freed.
    unsafe {
        change(policy, |policy| {
            let sts = shared(sts).map(smtptls_sts::policy).transpose()?;
            policy.set_sts(sts.cloned());
            Ok(())
        })
    }
}

/// The message says "TLS-Required: No" (RFC 8689 section 3): TLS is tried, and
/// DANE and MTA-STS do not count. With always, nor does a stricter local level.
/// Leave it out for a message that came with REQUIRETLS.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn smtptls_policy_set_tls_optional(policy: *mut smtptls_policy, always: bool) -> c_int {
    // SAFETY: the header asks for a policy that is not freed.
    unsafe {
        change(policy, |policy| {
            policy.set_tls_optional(always);
            Ok(())
        })
    }
}

/// The level that holds for a client's session with this host, by all that is
/// known before it begins: one of enum smtptls_level. Or why there is to be no
/// session, a negative code whose error is in smtptls_policy_error(); the same
/// comes from smtptls_session_start(). SMTPTLS_ERR_DNSSEC,
/// SMTPTLS_ERR_DANE_REQUIRED, SMTPTLS_ERR_STS_MX, SMTPTLS_ERR_ARGUMENT.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn smtptls_policy_effective_level(
    policy: *mut smtptls_policy,
    host: *const c_char,
) -> c_int {
    // SAFETY: the header asks for a policy that is not freed, and a string that ends with NUL.
    unsafe {
        on(policy, |policy| {
            let host = string(host, "host")?;
            policy.effective_level(host).map(Level::number)
        })
    }
}

mod dns;
