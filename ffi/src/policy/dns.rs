//! smtptls_policy: what the DNS says of a destination.

use std::ffi::{c_char, c_int, c_void};

use smtptls_core::{Dnssec, Error, Policy, Tlsa};

use super::{change, on, smtptls_policy};
use crate::boundary::{bytes, numbered, optional, string};

fn dnssec(status: c_int) -> Result<Dnssec, Error> {
    numbered(Dnssec::ALL, Dnssec::number, status, "smtptls_dnssec")
}

/// Keeps a record: 1 if it is usable, 0 if it is not.
fn keep(policy: &mut Policy, record: Tlsa) -> c_int {
    let usable = record.unusable().is_none();
    policy.add_tlsa(record);
    c_int::from(usable)
}

/// The domain that mail is for, where its CNAMEs lead if that is another name
/// (else NULL), and whether its MX records are secure: mx is one of enum
/// smtptls_dnssec, SMTPTLS_DNSSEC_NONE if no MX lookup was made, as for a
/// configured relay. At SMTPTLS_LEVEL_SECURE a certificate for the domain, or
/// for any host below it, is accepted; at the DANE levels one for the domain,
/// if its MX records are secure (RFC 7672 section 3.2.2).
/// SMTPTLS_ERR_ARGUMENT if one of them is no name.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn smtptls_policy_set_next_hop(
    policy: *mut smtptls_policy,
    name: *const c_char,
    expanded: *const c_char,
    mx: c_int,
) -> c_int {
    // SAFETY: the header asks for a policy that is not freed, and strings that end with NUL, or NULL.
    unsafe {
        change(policy, |policy| {
            let (name, expanded) = (string(name, "name")?, optional(expanded, "expanded")?);
            policy.set_next_hop(name, expanded, dnssec(mx)?).map(drop)
        })
    }
}

/// Whether the server's addresses are secure, one of enum smtptls_dnssec. One
/// of A and AAAA is enough for that.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn smtptls_policy_set_address_dnssec(
    policy: *mut smtptls_policy,
    status: c_int,
) -> c_int {
    // SAFETY: the header asks for a policy that is not freed.
    unsafe {
        change(policy, |policy| {
            policy.set_address_dnssec(dnssec(status)?);
            Ok(())
        })
    }
}

/// Whether the answer to the lookup of TLSA records is secure, one of enum
/// smtptls_dnssec, and for which base domain it was made (RFC 7672 section
/// 2.2.3); NULL is the session's host. The DANE levels need this, but where the
/// lookup cannot be made: below insecure MX or address records, and for an IP
/// address. SMTPTLS_ERR_ARGUMENT if base is no name.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn smtptls_policy_set_tlsa(
    policy: *mut smtptls_policy,
    base: *const c_char,
    status: c_int,
) -> c_int {
    // SAFETY: the header asks for a policy that is not freed, and NULL or a string that ends with NUL.
    unsafe {
        change(policy, |policy| {
            let base = optional(base, "base")?;
            policy.set_tlsa(base, dnssec(status)?).map(drop)
        })
    }
}

/// Adds a TLSA record (RFC 6698), as the DNS has it: 1 if it is usable (RFC 7671
/// section 5, RFC 7672 section 3.1), 0 if it is kept as unusable, or a negative
/// code. One that is unusable counts all the same: it says that the domain has
/// TLS. data, the certificate association data, is copied.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn smtptls_policy_add_tlsa(
    policy: *mut smtptls_policy,
    usage: u8,
    selector: u8,
    matching: u8,
    data: *const c_void,
    len: usize,
) -> c_int {
    // SAFETY: the header asks for a policy that is not freed, and len bytes at data.
    unsafe {
        on(policy, |policy| {
            let data = bytes(data, len, "data")?;
            Ok(keep(policy, Tlsa::new(usage, selector, matching, data)))
        })
    }
}

/// As smtptls_policy_add_tlsa(), from the wire form of its RDATA.
/// SMTPTLS_ERR_ARGUMENT if that is shorter than its three fixed octets.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn smtptls_policy_add_tlsa_rdata(
    policy: *mut smtptls_policy,
    rdata: *const c_void,
    len: usize,
) -> c_int {
    // SAFETY: the header asks for a policy that is not freed, and len bytes at rdata.
    unsafe {
        on(policy, |policy| {
            let rdata = bytes(rdata, len, "rdata")?;
            Ok(keep(policy, Tlsa::from_rdata(rdata)?))
        })
    }
}

/// As smtptls_policy_add_tlsa(), from the presentation form (RFC 6698 section
/// 2.2): three numbers, then hex digits of either case with blanks anywhere
/// between. SMTPTLS_ERR_ARGUMENT if it is something else.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn smtptls_policy_add_tlsa_text(
    policy: *mut smtptls_policy,
    text: *const c_char,
) -> c_int {
    // SAFETY: the header asks for a policy that is not freed, and a string that ends with NUL.
    unsafe {
        on(policy, |policy| {
            let text = string(text, "text")?;
            Ok(keep(policy, text.parse()?))
        })
    }
}

/// Under DANE-TA also looks at the common name, of a certificate that has no
/// subjectAltName (RFC 7672 section 3.2.3). Off by default, and never done
/// otherwise (RFC 9525 section 2).
#[unsafe(no_mangle)]
pub unsafe extern "C" fn smtptls_policy_allow_common_names(
    policy: *mut smtptls_policy,
    allow: bool,
) -> c_int {
    // SAFETY: the header asks for a policy that is not freed.
    unsafe {
        change(policy, |policy| {
            policy.allow_common_names(allow);
            Ok(())
        })
    }
}
