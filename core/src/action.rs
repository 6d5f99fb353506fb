//! What a program may do after a failure. Which failure leads to which stands in `outcome`.

use std::ffi::CStr;

/// What the policy lets a program do now.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
#[repr(i32)]
pub enum Action {
    /// Nothing: end this connection, and tell the administrator.
    Fail = 0,
    /// Go on in plaintext on this connection.
    Continue = 1,
    /// Connect again and deliver in plaintext.
    Reconnect = 2,
    /// Try the next server of the destination, or try again later.
    NextHost = 3,
}

impl Action {
    /// Every action.
    pub const ALL: &'static [Action] = &[Action::Fail, Action::Continue, Action::Reconnect, Action::NextHost];

    /// The name, as in logs: `next-host`.
    pub fn name(self) -> &'static str {
        self.c_name().to_str().unwrap_or_default()
    }

    /// The name for C.
    #[doc(hidden)]
    pub fn c_name(self) -> &'static CStr {
        match self {
            Action::Fail => c"fail",
            Action::Continue => c"continue",
            Action::Reconnect => c"reconnect",
            Action::NextHost => c"next-host",
        }
    }

    /// The number, the same in C and in Python.
    pub fn number(self) -> i32 {
        self as i32
    }
}
