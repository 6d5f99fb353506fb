//! SIGTERM and SIGINT, waited for.

use std::io;

use signal_hook::consts::{SIGINT, SIGTERM};

/// Both signals, caught.
pub struct Signals(signal_hook::iterator::Signals);

impl Signals {
    /// From now on neither signal ends the process.
    pub fn catch() -> io::Result<Signals> {
        signal_hook::iterator::Signals::new([SIGINT, SIGTERM]).map(Signals)
    }

    /// Waits until one of them comes.
    pub fn wait(mut self) {
        self.0.forever().next();
    }
}
