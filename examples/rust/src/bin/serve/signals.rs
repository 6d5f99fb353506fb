//! SIGTERM and SIGINT, with nothing but the standard library, which has sockets but no handlers of signals.

use std::ffi::c_int;
use std::io::{self, Read as _, Write as _};
use std::os::unix::net::UnixStream;
use std::sync::OnceLock;

const SIGINT: c_int = 2;
const SIGTERM: c_int = 15;

static WRITER: OnceLock<UnixStream> = OnceLock::new();

unsafe extern "C" {
    /// signal(2).
    fn signal(number: c_int, handler: extern "C" fn(c_int)) -> usize;
}

extern "C" fn handle(_number: c_int) {
    if let Some(mut writer) = WRITER.get() {
        drop(writer.write(b"."));
    }
}

/// Both signals, caught.
pub struct Signals(UnixStream);

impl Signals {
    /// From now on neither signal ends the process.
    pub fn catch() -> io::Result<Signals> {
        let (reader, writer) = UnixStream::pair()?;
        WRITER.get_or_init(|| writer);
        for number in [SIGINT, SIGTERM] {
            // SAFETY: the handler loads a pointer that is set already and calls send(2), which a handler may
            // (POSIX, signal-safety); the drop of the result frees nothing, since an errno owns no memory.
            unsafe { signal(number, handle) };
        }
        Ok(Signals(reader))
    }

    /// Waits until one of them comes.
    pub fn wait(mut self) {
        drop(self.0.read_exact(&mut [0]));
    }
}
