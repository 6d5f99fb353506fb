//! Where messages go: one file each in a directory, whole as soon as it is there.

use std::fs::{self, File};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{PoisonError, RwLock, RwLockWriteGuard};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// A directory, or nothing: then messages are taken and dropped.
pub struct Store {
    directory: Option<PathBuf>,
    count: AtomicUsize,
    /// Many threads write at once; the one that ends the process waits for all of them.
    writing: RwLock<()>,
}

impl Store {
    pub fn new(directory: Option<String>) -> Store {
        Store {
            directory: directory.map(PathBuf::from),
            count: AtomicUsize::new(0),
            writing: RwLock::new(()),
        }
    }

    /// While this is held no file is being written.
    pub fn lock(&self) -> RwLockWriteGuard<'_, ()> {
        self.writing.write().unwrap_or_else(PoisonError::into_inner)
    }

    /// Stores a message. Who is told of success may rely on it, even if the power fails.
    pub fn put(&self, received: &str, content: &[u8]) -> io::Result<()> {
        let Some(directory) = &self.directory else { return Ok(()) };
        let _writing = self.writing.read().unwrap_or_else(PoisonError::into_inner);
        let now = since_epoch().as_nanos();
        let count = self.count.fetch_add(1, Ordering::Relaxed);
        let name = format!("{now}.{}.{count}", std::process::id());
        let draft = directory.join(format!("{name}.tmp"));
        let message = directory.join(format!("{name}.eml"));
        let result = write(&draft, received, content).and_then(|()| fs::rename(&draft, &message));
        if result.is_err() {
            drop(fs::remove_file(&draft));
        }
        result
    }
}

fn write(draft: &Path, received: &str, content: &[u8]) -> io::Result<()> {
    let mut file = File::create_new(draft)?;
    file.write_all(received.as_bytes())?;
    file.write_all(content)?;
    file.sync_all()
}

/// Now, as a header field has it (RFC 5322 section 3.3).
pub fn date() -> String {
    let seconds = since_epoch().as_secs();
    let (days, second) = (seconds / 86_400, seconds % 86_400);
    let (year, month, day) = civil(days);
    let weekday = ["Thu", "Fri", "Sat", "Sun", "Mon", "Tue", "Wed"][(days % 7) as usize];
    let name = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"][month];
    let (hour, minute, second) = (second / 3600, second / 60 % 60, second % 60);
    format!("{weekday}, {day} {name} {year} {hour:02}:{minute:02}:{second:02} +0000")
}

/// Year, month from 0 and day of a day since 1970.
fn civil(mut days: u64) -> (u64, usize, u64) {
    let leap = |year: u64| year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    let mut year = 1970;
    while days >= 365 + u64::from(leap(year)) {
        days -= 365 + u64::from(leap(year));
        year += 1;
    }
    let lengths = [31, 28 + u64::from(leap(year)), 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];
    let mut month = 0;
    while days >= lengths[month] {
        days -= lengths[month];
        month += 1;
    }
    (year, month, days + 1)
}

fn since_epoch() -> Duration {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::civil;

    #[test]
    fn days_have_dates() {
        for (days, date) in
            [(0, (1970, 0, 1)), (11_016, (2000, 1, 29)), (11_017, (2000, 2, 1)), (20_089, (2025, 0, 1))]
        {
            assert_eq!(civil(days), date);
        }
    }
}
