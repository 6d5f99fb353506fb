//! smtptls_sts: what a domain says of its own MX hosts, MTA-STS (RFC 8461).

use std::ffi::{CString, c_char, c_int, c_void};

use smtptls_core::{Code, Error, StsMode, StsPolicy, StsRecord};

use crate::boundary::{bytes, c_text, free, guard, object, or_null, shared, string, strings};
use crate::error::smtptls_error;

/// What a domain says of its own MX hosts: its MTA-STS policy (RFC 8461).
/// Looking up the TXT record, fetching the policy by HTTPS and keeping it are
/// yours; here both are read and judged.
///
/// Of what is fetched and what was kept, the one just fetched holds; else a kept
/// one that is still current, whatever the DNS says; else none (RFC 8461
/// sections 3.3 and 5.1). Give that one to smtptls_policy_set_sts(), which
/// copies it. Only one thread may use an sts at a time.
pub struct smtptls_sts {
    policy: Option<StsPolicy>,
    mx: Vec<CString>,
    id: Option<CString>,
    error: Option<Box<smtptls_error>>,
}

impl smtptls_sts {
    /// The policy that was parsed. A program that overlooked that there is none would go on with less than its
    /// domain asked for.
    pub(crate) fn policy(&self) -> Result<&StsPolicy, Error> {
        let missing = || Error::local(Code::State, "no MTA-STS policy was parsed into this sts");
        self.policy.as_ref().ok_or_else(missing)
    }
}

/// One call on an sts: its error is kept, and its code returned.
///
/// # Safety
///
/// `sts` is NULL or an sts that is not freed.
unsafe fn on(sts: *mut smtptls_sts, body: impl FnOnce(&mut smtptls_sts) -> Result<c_int, Error>) -> c_int {
    // SAFETY: as the caller of this function vouches.
    let Some(sts) = (unsafe { object(sts) }) else { return Code::Argument.number() };
    let result = guard(|| body(sts)).and_then(|result| result);
    let code = result.as_ref().map_or_else(|error| error.code().number(), |code| *code);
    sts.error = result.err().map(|error| Box::new(error.into()));
    code
}

/// What a function returns without a policy: nothing.
///
/// # Safety
///
/// `sts` is NULL or an sts that is not freed.
unsafe fn ask<R>(sts: *const smtptls_sts, nothing: R, fact: impl FnOnce(&StsPolicy) -> R) -> R {
    // SAFETY: as the caller of this function vouches.
    match unsafe { shared(sts) }.and_then(|sts| sts.policy.as_ref()) {
        Some(policy) => guard(|| fact(policy)).unwrap_or(nothing),
        None => nothing,
    }
}

/// A new sts, without a policy. NULL only when out of memory.
#[unsafe(no_mangle)]
pub extern "C" fn smtptls_sts_new() -> *mut smtptls_sts {
    guard(|| {
        let sts = smtptls_sts { policy: None, mx: Vec::new(), id: None, error: None };
        Box::into_raw(Box::new(sts))
    })
    .unwrap_or(std::ptr::null_mut())
}

/// Frees an sts. A policy that it was given to keeps a copy. NULL is fine.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn smtptls_sts_free(sts: *mut smtptls_sts) {
    // SAFETY: the header asks for NULL or an sts that is not freed.
    unsafe { free(sts) }
}

/// Why the last smtptls_sts_parse() or smtptls_sts_record() failed, or NULL if
/// it did not. Valid until the next of them on this sts.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn smtptls_sts_error(sts: *const smtptls_sts) -> *const smtptls_error {
    // SAFETY: the header asks for NULL or an sts that is not freed.
    let error = unsafe { shared(sts) }.and_then(|sts| sts.error.as_deref());
    error.map_or(std::ptr::null(), std::ptr::from_ref)
}

/// Reads the text of a policy (RFC 8461 section 3.2), with lines that end in
/// CRLF or LF. Of keys that stand twice the first counts, but of "mx"; unknown
/// ones are passed over. SMTPTLS_ERR_STS_INVALID if it cannot be used; then a
/// policy that was read before stays.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn smtptls_sts_parse(sts: *mut smtptls_sts, text: *const c_void, len: usize) -> c_int {
    // SAFETY: the header asks for an sts that is not freed, and len bytes at text.
    unsafe {
        on(sts, |sts| {
            let policy = StsPolicy::parse(bytes(text, len, "text")?)?;
            sts.mx = policy.mx().iter().map(|pattern| c_text(pattern.as_str())).collect();
            sts.policy = Some(policy);
            Ok(0)
        })
    }
}

/// What the policy demands, one of enum smtptls_sts_mode. SMTPTLS_STS_NONE
/// without a policy.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn smtptls_sts_mode(sts: *const smtptls_sts) -> c_int {
    // SAFETY: the header asks for NULL or an sts that is not freed.
    unsafe { ask(sts, StsMode::None.number(), |policy| policy.mode().number()) }
}

/// For how many seconds after it was fetched the policy may be used: at most a
/// year.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn smtptls_sts_max_age(sts: *const smtptls_sts) -> u64 {
    // SAFETY: the header asks for NULL or an sts that is not freed.
    unsafe { ask(sts, 0, StsPolicy::max_age) }
}

/// A pattern for MX hosts, in lower case: a host name, or "*." before a domain.
/// NULL past the last. Valid until the next smtptls_sts_parse() on this sts.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn smtptls_sts_mx(sts: *const smtptls_sts, index: usize) -> *const c_char {
    // SAFETY: the header asks for NULL or an sts that is not freed.
    or_null(unsafe { shared(sts) }.and_then(|sts| sts.mx.get(index)))
}

/// Whether a pattern fits this MX host (RFC 8461 section 4.1): "*." stands for
/// exactly one label.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn smtptls_sts_matches(sts: *const smtptls_sts, host: *const c_char) -> bool {
    // SAFETY: the header asks for NULL or an sts that is not freed, and a string that ends with NUL.
    unsafe { ask(sts, false, |policy| string(host, "host").is_ok_and(|host| policy.matches(host))) }
}

/// Whether the policy may still be used, by times in seconds since 1970. A
/// policy from the future may.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn smtptls_sts_is_current(sts: *const smtptls_sts, fetched: u64, now: u64) -> bool {
    // SAFETY: the header asks for NULL or an sts that is not freed.
    unsafe { ask(sts, false, |policy| policy.is_current(fetched, now)) }
}

/// Whether it is time to fetch the policy again, so that it does not run out
/// unseen (RFC 8461 section 3.3): after a day, or after half of its time if that
/// is shorter; also if fetched is as far ahead of now, since then a clock was
/// wrong. False without a policy: there is nothing to renew.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn smtptls_sts_needs_refresh(sts: *const smtptls_sts, fetched: u64, now: u64) -> bool {
    // SAFETY: the header asks for NULL or an sts that is not freed.
    unsafe { ask(sts, false, |policy| policy.needs_refresh(fetched, now)) }
}

/// Finds the one record for MTA-STS among the TXT records of
/// "_mta-sts.<domain>", each with its strings joined (RFC 8461 section 3.1).
/// Returns 1, and at *id what changes when the policy changes; it belongs to
/// sts until the next call of this function. 0 and NULL if no record is for
/// MTA-STS. SMTPTLS_ERR_STS_INVALID if there are several, or a malformed one,
/// which means the same to a sender: no policy is discovered, and a kept one
/// stays valid. id may be NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn smtptls_sts_record(
    sts: *mut smtptls_sts,
    records: *const *const c_char,
    count: usize,
    id: *mut *const c_char,
) -> c_int {
    // SAFETY: the header asks for an sts that is not freed, count strings that end with NUL, and a pointer or NULL
    // at id.
    unsafe {
        if let Some(id) = object(id) {
            *id = std::ptr::null();
        }
        on(sts, |sts| {
            sts.id = None;
            let records = strings(records, count, "records")?;
            let found = StsRecord::find(records.iter().map(String::as_str))?;
            sts.id = found.map(|record| c_text(record.id()));
            if let Some(id) = object(id) {
                *id = or_null(sts.id.as_ref());
            }
            Ok(c_int::from(sts.id.is_some()))
        })
    }
}
