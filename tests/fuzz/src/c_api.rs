//! The C library by its own header: calls in any order with any arguments, in `c_api.c`.

// Links it.
use smtptls_c as _;

unsafe extern "C" {
    fn fuzz_c_api(data: *const u8, length: usize, pem: *const *const u8, lengths: *const usize);
}

/// The input is a program for a small machine: see `c_api.c`.
pub fn run(data: &[u8]) {
    use crate::world::{CLIENT, CLIENT_KEY, CRL, ROOT, SERVER, SERVER_KEY};
    let texts = [SERVER, SERVER_KEY, CLIENT, CLIENT_KEY, ROOT, CRL];
    let (pem, lengths) = (texts.map(<[u8]>::as_ptr), texts.map(<[u8]>::len));
    // SAFETY: as many octets as the lengths say, and six texts, which it does not keep.
    unsafe { fuzz_c_api(data.as_ptr(), data.len(), pem.as_ptr(), lengths.as_ptr()) }
}
