//! Signatures of certificates that were found good before: the same octets under the same key need no second look.
//!
//! Nothing else is remembered. Dates, names, constraints and revocation are judged each time, and a signature that is
//! not good is never kept. A session with a server that was met before, be it a resumed one, so costs a digest
//! instead of one or two checks with a public key, which are a third of a client's handshake.

use std::fmt;
use std::sync::{Arc, Mutex};

use pki_types::{AlgorithmIdentifier, InvalidSignature, SignatureVerificationAlgorithm};
use sha2::{Digest, Sha256};

/// How many are remembered, 32 octets each; a new one takes the place of an old one.
const MOST: usize = 1024;

type Fingerprint = [u8; 32];

/// What a configuration remembers. It takes no memory before the first.
#[derive(Default)]
struct Known {
    places: Mutex<Vec<Fingerprint>>,
}

impl Known {
    fn place(of: &Fingerprint) -> usize {
        usize::from(u16::from_le_bytes([of[0], of[1]])) % MOST
    }

    /// Never waits: in the child of a fork another thread of the parent's may hold the lock for ever.
    fn has(&self, fingerprint: &Fingerprint) -> bool {
        let Ok(places) = self.places.try_lock() else { return false };
        places.get(Known::place(fingerprint)) == Some(fingerprint)
    }

    fn keep(&self, fingerprint: Fingerprint) {
        let Ok(mut places) = self.places.try_lock() else { return };
        places.resize(MOST, [0; 32]);
        places[Known::place(&fingerprint)] = fingerprint;
    }
}

/// An algorithm that checks no signature twice.
#[derive(Clone)]
pub(crate) struct Remembering {
    algorithm: &'static dyn SignatureVerificationAlgorithm,
    known: Arc<Known>,
}

/// The same algorithms, with one memory.
pub(crate) fn remembering(algorithms: &[&'static dyn SignatureVerificationAlgorithm]) -> Vec<Remembering> {
    let known = Arc::new(Known::default());
    algorithms.iter().map(|algorithm| Remembering { algorithm: *algorithm, known: known.clone() }).collect()
}

impl Remembering {
    /// Of all that goes into a check, each with its length before it.
    fn fingerprint(&self, parts: [&[u8]; 3]) -> Fingerprint {
        let identifiers = [self.public_key_alg_id(), self.signature_alg_id()];
        let mut digest = Sha256::new();
        for part in identifiers.iter().map(|one| one.as_ref()).chain(parts) {
            digest.update((part.len() as u64).to_le_bytes());
            digest.update(part);
        }
        digest.finalize().into()
    }
}

impl SignatureVerificationAlgorithm for Remembering {
    fn verify_signature(
        &self,
        public_key: &[u8],
        message: &[u8],
        signature: &[u8],
    ) -> Result<(), InvalidSignature> {
        let fingerprint = self.fingerprint([public_key, message, signature]);
        if self.known.has(&fingerprint) {
            return Ok(());
        }
        self.algorithm.verify_signature(public_key, message, signature)?;
        self.known.keep(fingerprint);
        Ok(())
    }

    fn public_key_alg_id(&self) -> AlgorithmIdentifier {
        self.algorithm.public_key_alg_id()
    }

    fn signature_alg_id(&self) -> AlgorithmIdentifier {
        self.algorithm.signature_alg_id()
    }

    fn fips(&self) -> bool {
        self.algorithm.fips()
    }
}

impl fmt::Debug for Remembering {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.algorithm.fmt(formatter)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    /// Takes a signature that is the message and the key, and counts.
    #[derive(Debug)]
    struct Counting(AtomicUsize);

    impl SignatureVerificationAlgorithm for Counting {
        fn verify_signature(
            &self,
            public_key: &[u8],
            message: &[u8],
            signature: &[u8],
        ) -> Result<(), InvalidSignature> {
            self.0.fetch_add(1, Ordering::Relaxed);
            match signature == [message, public_key].concat() {
                true => Ok(()),
                false => Err(InvalidSignature),
            }
        }

        fn public_key_alg_id(&self) -> AlgorithmIdentifier {
            AlgorithmIdentifier::from_slice(b"key")
        }

        fn signature_alg_id(&self) -> AlgorithmIdentifier {
            AlgorithmIdentifier::from_slice(b"signature")
        }
    }

    #[test]
    fn only_what_was_good_and_is_the_same() {
        static INNER: Counting = Counting(AtomicUsize::new(0));
        let count = || INNER.0.load(Ordering::Relaxed);
        let [first, second] = [(); 2].map(|()| remembering(&[&INNER]).remove(0));
        assert!(first.verify_signature(b"k", b"message", b"messagek").is_ok());
        assert!(first.verify_signature(b"k", b"message", b"messagek").is_ok());
        assert_eq!(count(), 1);
        // The same octets, cut otherwise; something else; and what is bad is bad each time.
        for (key, message, signature, is_good) in [
            (&b"ek"[..], &b"messag"[..], &b"messagek"[..], true),
            (b"k", b"messagek", b"", false),
            (b"k", b"", b"messagemessagek", false),
            (b"K", b"message", b"messagek", false),
            (b"K", b"message", b"messagek", false),
        ] {
            let before = count();
            assert_eq!(first.verify_signature(key, message, signature).is_ok(), is_good);
            assert_eq!(count(), before + 1);
        }
        // Another configuration knows nothing of it.
        let before = count();
        assert!(second.verify_signature(b"k", b"message", b"messagek").is_ok());
        assert_eq!(count(), before + 1);
    }

    #[test]
    fn memory_is_bounded_and_a_lock_is_not_waited_for() {
        static INNER: Counting = Counting(AtomicUsize::new(0));
        let one = remembering(&[&INNER]).remove(0);
        assert_eq!(one.known.places.lock().unwrap().capacity(), 0);
        for n in 0..10 * MOST {
            let message = n.to_string();
            let signature = format!("{message}k");
            assert!(one.verify_signature(b"k", message.as_bytes(), signature.as_bytes()).is_ok());
        }
        assert_eq!(one.known.places.lock().unwrap().len(), MOST);
        let held = one.known.places.lock().unwrap();
        assert!(one.verify_signature(b"k", b"9", b"9k").is_ok());
        assert!(one.verify_signature(b"k", b"9", b"9x").is_err());
        drop(held);
    }
}
