//! Reads a file whole, and no more than it may have: a path may name a device that never ends.

use std::fs::File;
use std::io::Read;
use std::path::Path;

use zeroize::Zeroizing;

use crate::error::escape;
use crate::{Code, Error};

/// What is in a file of at most `most` octets; it may be a key.
pub(crate) fn read(path: &Path, most: u64) -> Result<Zeroizing<Vec<u8>>, Error> {
    let source = escape(path.as_os_str().as_encoded_bytes());
    let failed = |error| Error::local_io(Code::File, format!("cannot read {source}"), &error);
    let file = File::open(path).map_err(failed)?;
    let size = file.metadata().map_err(failed)?.len().min(most);
    // In one piece, so that nothing of a key is left where it was before it grew.
    let mut octets = Zeroizing::new(Vec::with_capacity(usize::try_from(size).unwrap_or_default() + 1));
    file.take(most + 1).read_to_end(&mut octets).map_err(failed)?;
    match octets.len() as u64 > most {
        true => Err(Error::local(Code::File, format!("{source} is larger than {most} bytes"))),
        false => Ok(octets),
    }
}
