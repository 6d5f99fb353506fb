//! smtptls_session: signatures with a private key that is elsewhere.

use std::ffi::{c_char, c_int, c_void};

use smtptls_core::SignatureRequest;

use super::{code, look, smtptls_session};
use crate::boundary::bytes;

/// Looks at the question, if there is one.
///
/// # Safety
///
/// As for `look`.
unsafe fn asked<R>(
    session: *const smtptls_session,
    nothing: R,
    answer: impl FnOnce(&'static SignatureRequest) -> R,
) -> R
where
    R: Copy,
{
    // SAFETY: as the caller of this function vouches.
    unsafe {
        look(session, nothing, |session| session.stream.session().signature_request().map_or(nothing, answer))
    }
}

/// How to sign, after SMTPTLS_WANT_SIGNATURE: the number of a signature scheme in
/// IANA's registry (RFC 8446 section 4.2.3), such as 0x0403. 0 if no signature
/// is wanted.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn smtptls_session_signature_scheme(session: *const smtptls_session) -> c_int {
    // SAFETY: the header asks for a session that is not freed.
    unsafe { asked(session, 0, |request| c_int::from(request.scheme())) }
}

/// The algorithm of that scheme by OpenSSL's name: "RSA-PSS", "RSA" for
/// PKCS #1 v1.5, "ECDSA", "ED25519". NULL if no signature is wanted. Static.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn smtptls_session_signature_algorithm(
    session: *const smtptls_session,
) -> *const c_char {
    // SAFETY: the header asks for a session that is not freed.
    unsafe { asked(session, std::ptr::null(), |request| request.c_algorithm().as_ptr()) }
}

/// The digest of that scheme, "SHA256"; with "RSA-PSS" of its mask too, and the
/// salt is as long as the digest. NULL where it is part of the algorithm, and
/// if no signature is wanted. Static.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn smtptls_session_signature_digest(session: *const smtptls_session) -> *const c_char {
    // SAFETY: the header asks for a session that is not freed.
    unsafe {
        asked(session, std::ptr::null(), |request| {
            request.c_digest().map_or(std::ptr::null(), |digest| digest.as_ptr())
        })
    }
}

/// What is to be signed: *message is set to the message itself, which the digest
/// is to be made of, and its length is returned; NULL and 0 if no signature is
/// wanted. Valid until smtptls_session_set_signature() returns SMTPTLS_OK.
/// message may be NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn smtptls_session_signature_message(
    session: *const smtptls_session,
    message: *mut *const u8,
) -> usize {
    // SAFETY: the header asks for a session that is not freed, and a pointer or NULL at message.
    unsafe { shown(session, message, SignatureRequest::message) }
}

/// Whose key is to sign: *certificate is set to the certificate in DER, and its
/// length is returned; NULL and 0 if no signature is wanted. Valid as long as
/// the message is. certificate may be NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn smtptls_session_signature_certificate(
    session: *const smtptls_session,
    certificate: *mut *const u8,
) -> usize {
    // SAFETY: the header asks for a session that is not freed, and a pointer or NULL at certificate.
    unsafe { shown(session, certificate, SignatureRequest::certificate) }
}

/// Stores where these octets of the question are, and says how many.
///
/// # Safety
///
/// As for `look`, and `place` is NULL or a pointer.
unsafe fn shown(
    session: *const smtptls_session,
    place: *mut *const u8,
    part: impl FnOnce(&'static SignatureRequest) -> &'static [u8],
) -> usize {
    // SAFETY: as the caller of this function vouches.
    let octets = unsafe { asked(session, None, |request| Some(part(request))) };
    if !place.is_null() {
        // SAFETY: as the caller of this function vouches.
        unsafe { *place = octets.map_or(std::ptr::null(), <[u8]>::as_ptr) };
    }
    octets.map_or(0, <[u8]>::len)
}

/// Gives the signature after SMTPTLS_WANT_SIGNATURE, as TLS has it: for ECDSA in
/// DER. Then call smtptls_session_start() again; it may ask once more, if key
/// pairs were exchanged meanwhile. SMTPTLS_ERR_KEY_MISMATCH if it is not one of
/// the message with the key of the certificate: try again, or give up.
/// SMTPTLS_ERR_STATE if no signature is wanted.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn smtptls_session_set_signature(
    session: *mut smtptls_session,
    signature: *const c_void,
    len: usize,
) -> c_int {
    // SAFETY: the header asks for a session that is not freed, and len bytes at signature.
    unsafe {
        code(session, |session| {
            let signature = bytes(signature, len, "signature")?;
            session.stream.session_mut().set_signature(signature).map(|()| 0)
        })
    }
}
