//! The wall clock, by which certificates, revocation lists and tickets are judged. Waiting goes by the monotonic one,
//! in `stream`.

use std::time::{SystemTime, UNIX_EPOCH};

use pki_types::UnixTime;
use rustls::time_provider::TimeProvider;

/// What the clock says; the beginning of 1970 if it stands before that, where nothing is valid yet.
pub(crate) fn now() -> UnixTime {
    UnixTime::since_unix_epoch(SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default())
}

/// The same for rustls, whose own panics before 1970.
#[derive(Debug)]
pub(crate) struct WallClock;

impl TimeProvider for WallClock {
    fn current_time(&self) -> Option<UnixTime> {
        Some(now())
    }
}
