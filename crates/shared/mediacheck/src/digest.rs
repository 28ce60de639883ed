//! Algorithms and their values.

use std::fmt;

use sha2::Digest as Hash;

/// How bytes are hashed, the weakest first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Algorithm {
    /// MD5.
    Md5,
    /// SHA-1.
    Sha1,
    /// SHA-224.
    Sha224,
    /// SHA-256.
    Sha256,
    /// SHA-384.
    Sha384,
    /// SHA-512.
    Sha512,
}

impl Algorithm {
    /// Every one.
    pub const ALL: [Self; 6] = [
        Self::Md5,
        Self::Sha1,
        Self::Sha224,
        Self::Sha256,
        Self::Sha384,
        Self::Sha512,
    ];

    /// The name in a field: `sha256`.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Md5 => "md5",
            Self::Sha1 => "sha1",
            Self::Sha224 => "sha224",
            Self::Sha256 => "sha256",
            Self::Sha384 => "sha384",
            Self::Sha512 => "sha512",
        }
    }

    /// The length of a value in bytes.
    #[must_use]
    pub fn digest_len(self) -> usize {
        match self {
            Self::Md5 => 16,
            Self::Sha1 => 20,
            Self::Sha224 => 28,
            Self::Sha256 => 32,
            Self::Sha384 => 48,
            Self::Sha512 => 64,
        }
    }

    pub(crate) fn hasher(self) -> Hasher {
        Hasher {
            algorithm: self,
            state: match self {
                Self::Md5 => Box::new(md5::Md5::default()),
                Self::Sha1 => Box::new(sha1::Sha1::default()),
                Self::Sha224 => Box::new(sha2::Sha224::default()),
                Self::Sha256 => Box::new(sha2::Sha256::default()),
                Self::Sha384 => Box::new(sha2::Sha384::default()),
                Self::Sha512 => Box::new(sha2::Sha512::default()),
            },
        }
    }
}

/// A value.
#[derive(Clone, PartialEq, Eq)]
pub struct Digest {
    algorithm: Algorithm,
    bytes: Vec<u8>,
}

impl Digest {
    /// The value of these hexadecimal digits; its algorithm follows from how many there are.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let (pairs, rest) = text.as_bytes().as_chunks::<2>();
        let algorithm = Algorithm::ALL
            .into_iter()
            .find(|algorithm| algorithm.digest_len() == pairs.len())?;
        let nibble = |byte: u8| {
            char::from(byte)
                .to_digit(16)
                .and_then(|d| u8::try_from(d).ok())
        };
        let byte = |[high, low]: &[u8; 2]| Some(nibble(*high)?.checked_shl(4)? | nibble(*low)?);
        let bytes = pairs.iter().map(byte).collect::<Option<Vec<_>>>()?;
        rest.is_empty().then_some(Self { algorithm, bytes })
    }

    /// By which algorithm it was made.
    #[must_use]
    pub fn algorithm(&self) -> Algorithm {
        self.algorithm
    }

    pub(crate) fn bytes(&self) -> &[u8] {
        &self.bytes
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.bytes
            .iter()
            .try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{self}", self.algorithm.name())
    }
}

/// What an algorithm has of the bytes so far.
trait State: Send {
    fn update(&mut self, bytes: &[u8]);
    fn copy(&self) -> Box<dyn State>;
    fn finish(self: Box<Self>) -> Vec<u8>;
}

impl<H: Hash + Clone + Send + 'static> State for H {
    fn update(&mut self, bytes: &[u8]) {
        Hash::update(self, bytes);
    }
    fn copy(&self) -> Box<dyn State> {
        Box::new(self.clone())
    }
    fn finish(self: Box<Self>) -> Vec<u8> {
        (*self).finalize().to_vec()
    }
}

/// Bytes on their way to a value.
pub(crate) struct Hasher {
    algorithm: Algorithm,
    state: Box<dyn State>,
}

impl Hasher {
    pub(crate) fn update(&mut self, bytes: &[u8]) {
        self.state.update(bytes);
    }

    /// Another one with the same bytes behind it.
    pub(crate) fn copy(&self) -> Self {
        Self {
            algorithm: self.algorithm,
            state: self.state.copy(),
        }
    }

    pub(crate) fn finish(self) -> Digest {
        Digest {
            algorithm: self.algorithm,
            bytes: self.state.finish(),
        }
    }
}

impl fmt::Debug for Hasher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Hasher").field(&self.algorithm).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_algorithm_gives_the_known_value_of_abc() {
        for (algorithm, start) in [
            (Algorithm::Md5, "900150983cd24fb0"),
            (Algorithm::Sha1, "a9993e364706816a"),
            (Algorithm::Sha224, "23097d223405d822"),
            (Algorithm::Sha256, "ba7816bf8f01cfea"),
            (Algorithm::Sha384, "cb00753f45a35e8b"),
            (Algorithm::Sha512, "ddaf35a193617aba"),
        ] {
            let mut hasher = algorithm.hasher();
            hasher.update(b"a");
            hasher.update(b"bc");
            let digest = hasher.finish();
            assert!(digest.to_string().starts_with(start), "{digest:?}");
            assert_eq!(digest.to_string().len(), algorithm.digest_len() * 2);
            assert_eq!(Digest::parse(&digest.to_string()), Some(digest));
        }
    }

    #[test]
    fn what_is_no_value_is_none() {
        let zeros = "0".repeat(32);
        assert!(Digest::parse(&zeros).is_some());
        for bad in [
            "",
            "0",
            &zeros[1..],
            &format!("{zeros}0"),
            &zeros.replace('0', "g"),
            "é".repeat(16).as_str(),
        ] {
            assert_eq!(Digest::parse(bad), None, "{bad}");
        }
    }
}
