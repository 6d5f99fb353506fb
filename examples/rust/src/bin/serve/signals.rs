//! SIGTERM, SIGINT and SIGHUP, waited for.

use std::io;

use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};

/// All three signals, caught.
pub struct Signals(signal_hook::iterator::Signals);

impl Signals {
    /// From now on none of them ends the process.
    pub fn catch() -> io::Result<Signals> {
        signal_hook::iterator::Signals::new([SIGHUP, SIGINT, SIGTERM]).map(Signals)
    }

    /// Waits for SIGTERM or SIGINT, and does this at each SIGHUP until then.
    pub fn wait(mut self, mut reload: impl FnMut()) {
        for signal in self.0.forever() {
            if signal != SIGHUP {
                break;
            }
            reload();
        }
    }
}
