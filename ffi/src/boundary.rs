//! Where C meets Rust: pointers and numbers are checked, and a panic becomes a code.

use std::any::Any;
use std::cell::RefCell;
use std::ffi::{CStr, CString, OsStr, c_char, c_int, c_void};
use std::os::unix::ffi::OsStrExt as _;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::Once;

use smtptls_core::{Code, Error};

thread_local! {
    /// What a panic inside the library said. `Some` while the library runs in this thread.
    static PANIC: RefCell<Option<String>> = const { RefCell::new(None) };
}

static HOOK: Once = Once::new();

/// Runs the library's side of a call. A panic ends here, and says nothing on descriptor 2: under inetd that is
/// the peer's socket.
pub(crate) fn guard<R>(body: impl FnOnce() -> R) -> Result<R, Error> {
    HOOK.call_once(|| {
        let others = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |info| {
            let ours = PANIC.with_borrow_mut(|slot| match slot {
                Some(text) => {
                    *text = info.to_string().replace('\n', " ");
                    true
                }
                None => false,
            });
            if !ours {
                others(info);
            }
        }));
    });
    let outer = PANIC.replace(Some(String::new()));
    let result = catch_unwind(AssertUnwindSafe(body));
    let said = PANIC.replace(outer).unwrap_or_default();
    result.map_err(|payload| {
        // A payload that panics when it is dropped would defeat this; text does not.
        if !payload.is::<&'static str>() && !payload.is::<String>() {
            std::mem::forget::<Box<dyn Any + Send>>(payload);
        }
        Error::local(Code::Internal, format!("a bug in the library, please report it: {said}"))
    })
}

/// What a pointer from C points to; nothing if it is NULL.
///
/// # Safety
///
/// It is NULL, or an object that this library made and has not freed, which no other call is using.
pub(crate) unsafe fn object<'a, T>(pointer: *mut T) -> Option<&'a mut T> {
    // SAFETY: as the caller of this function vouches.
    unsafe { pointer.as_mut() }
}

/// The same for objects that are only read.
///
/// # Safety
///
/// It is NULL, or an object that this library made and has not freed, which no call is changing.
pub(crate) unsafe fn shared<'a, T>(pointer: *const T) -> Option<&'a T> {
    // SAFETY: as the caller of this function vouches.
    unsafe { pointer.as_ref() }
}

/// Frees an object. NULL is fine.
///
/// # Safety
///
/// It is NULL, or an object that this library made by `Box::into_raw` and has not freed.
pub(crate) unsafe fn free<T>(pointer: *mut T) {
    if !pointer.is_null() {
        // SAFETY: as the caller of this function vouches. A panic in a destructor ends at the guard; there is
        // nobody left to tell.
        let _ = guard(|| drop(unsafe { Box::from_raw(pointer) }));
    }
}

/// A string argument.
///
/// # Safety
///
/// It is NULL, or ends with a NUL, and does not change during the call.
pub(crate) unsafe fn string<'a>(pointer: *const c_char, what: &str) -> Result<&'a str, Error> {
    // SAFETY: as the caller of this function vouches.
    let text = unsafe { any_string(pointer, what) }?;
    text.to_str().map_err(|_| Error::local(Code::Argument, format!("{what} is not UTF-8")))
}

/// A string argument that may be NULL.
///
/// # Safety
///
/// As for `string`.
pub(crate) unsafe fn optional<'a>(pointer: *const c_char, what: &str) -> Result<Option<&'a str>, Error> {
    // SAFETY: as the caller of this function vouches.
    if pointer.is_null() { Ok(None) } else { unsafe { string(pointer, what) }.map(Some) }
}

/// A string argument of any bytes.
///
/// # Safety
///
/// As for `string`.
unsafe fn any_string<'a>(pointer: *const c_char, what: &str) -> Result<&'a CStr, Error> {
    if pointer.is_null() {
        return Err(Error::local(Code::Argument, format!("{what} is NULL")));
    }
    // SAFETY: not NULL, and as the caller of this function vouches.
    Ok(unsafe { CStr::from_ptr(pointer) })
}

/// A path argument, which may be of any bytes.
///
/// # Safety
///
/// As for `string`.
pub(crate) unsafe fn path<'a>(pointer: *const c_char, what: &str) -> Result<&'a Path, Error> {
    // SAFETY: as the caller of this function vouches.
    let bytes = unsafe { any_string(pointer, what) }?.to_bytes();
    Ok(Path::new(OsStr::from_bytes(bytes)))
}

/// Strings of any bytes from the DNS. What is not UTF-8 there becomes U+FFFD, which nothing accepts.
///
/// # Safety
///
/// `count` pointers can be read at `pointer`, each as for `string`, or `count` is 0.
pub(crate) unsafe fn strings(
    pointer: *const *const c_char,
    count: usize,
    what: &str,
) -> Result<Vec<String>, Error> {
    const MOST: usize = isize::MAX as usize / size_of::<*const c_char>();
    let pointers = match (pointer.is_null(), count) {
        (_, 0) => &[][..],
        (true, _) => return Err(Error::local(Code::Argument, format!("{what} is NULL"))),
        (false, _) if count > MOST => return too_long(what),
        // SAFETY: not NULL, no longer than an object can be, and as the caller of this function vouches.
        (false, _) => unsafe { std::slice::from_raw_parts(pointer, count) },
    };
    let string = |pointer: &*const c_char| {
        // SAFETY: as the caller of this function vouches.
        let text = unsafe { any_string(*pointer, &format!("one of {what}")) }?;
        Ok(text.to_string_lossy().into_owned())
    };
    pointers.iter().map(string).collect()
}

/// Bytes to read. NULL is fine if there are none.
///
/// # Safety
///
/// `len` bytes can be read at `pointer` during the call, or `len` is 0.
pub(crate) unsafe fn bytes<'a>(pointer: *const c_void, len: usize, what: &str) -> Result<&'a [u8], Error> {
    match (pointer.is_null(), len) {
        (_, 0) => Ok(&[]),
        (true, _) => Err(Error::local(Code::Argument, format!("{what} is NULL"))),
        (false, _) if len > isize::MAX as usize => too_long(what),
        // SAFETY: not NULL, no longer than an object can be, and as the caller of this function vouches.
        (false, _) => Ok(unsafe { std::slice::from_raw_parts(pointer.cast(), len) }),
    }
}

/// Room to write to.
///
/// # Safety
///
/// `len` bytes can be written at `pointer` during the call, and were initialised at some time, or `len` is 0.
pub(crate) unsafe fn room<'a>(pointer: *mut c_void, len: usize, what: &str) -> Result<&'a mut [u8], Error> {
    match (pointer.is_null(), len) {
        (_, 0) => Ok(&mut []),
        (true, _) => Err(Error::local(Code::Argument, format!("{what} is NULL"))),
        (false, _) if len > isize::MAX as usize => too_long(what),
        // SAFETY: not NULL, no longer than an object can be, and as the caller of this function vouches.
        (false, _) => Ok(unsafe { std::slice::from_raw_parts_mut(pointer.cast(), len) }),
    }
}

fn too_long<T>(what: &str) -> Result<T, Error> {
    Err(Error::local(Code::Argument, format!("the length of {what} is beyond what memory can hold")))
}

/// The member of a table with this number.
pub(crate) fn numbered<T: Copy>(
    table: &[T],
    number: impl Fn(T) -> i32,
    wanted: c_int,
    what: &str,
) -> Result<T, Error> {
    let found = table.iter().copied().find(|member| number(*member) == wanted);
    found.ok_or_else(|| Error::local(Code::Argument, format!("{wanted} is no {what}")))
}

/// Text for C. What has a NUL in it ends there; nothing in this library makes such text.
pub(crate) fn c_text(text: impl Into<Vec<u8>>) -> CString {
    let mut text = text.into();
    if let Some(end) = text.iter().position(|byte| *byte == 0) {
        text.truncate(end);
    }
    CString::new(text).unwrap_or_default()
}

/// A pointer to text, or NULL.
pub(crate) fn or_null(text: Option<&CString>) -> *const c_char {
    text.map_or(std::ptr::null(), |text| text.as_ptr())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// SEC-14: a panic never crosses.
    #[test]
    fn a_panic_becomes_a_code_and_its_words_are_kept() {
        let error = guard(|| panic!("out of {}", "cheese")).unwrap_err();
        assert_eq!(error.code(), Code::Internal);
        assert!(error.message().contains("out of cheese"), "{error}");
        assert!(guard(|| 7).is_ok());
    }
}
