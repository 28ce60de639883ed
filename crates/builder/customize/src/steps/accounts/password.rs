//! Passwords become what the image's own `passwd` would make of them.

use block::{Content, Error, Result};
use sha2::{Digest as _, Sha256};
use tree::Tree;

use super::defaults::login_definitions;
use crate::steps::place;

/// Where PAM says how passwords are hashed, in the order in which they count: Debian's, that of Azure Linux and Photon, Fedora's.
const PAM_FILES: [&str; 6] = [
    "/etc/pam.d/common-password",
    "/etc/pam.d/system-password",
    "/etc/pam.d/system-auth",
    "/usr/lib/pam.d/common-password",
    "/usr/lib/pam.d/system-auth",
    "/etc/pam.d/passwd",
];

/// The most rounds of SHA-crypt that an image can ask for; more would be minutes of hashing, and is cut off here.
const MAX_ROUNDS: u32 = 1_000_000;

/// The highest cost of yescrypt that an image can ask for: 128 MiB of memory. More is cut off here.
const MAX_COST: u32 = 8;

/// How passwords are hashed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Method {
    /// `$y$`, with libxcrypt's cost, 1 to 11.
    Yescrypt { cost: u32 },
    /// `$6$`.
    Sha512 { rounds: Option<u32> },
    /// `$5$`.
    Sha256 { rounds: Option<u32> },
}

/// The image's method, and the name of one that it asks for and that is not ours.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Choice {
    pub(super) method: Method,
    pub(super) unknown: Option<String>,
}

/// Finds the image's method: the words of `pam_unix` in the PAM files, else `ENCRYPT_METHOD` of `login.defs`, else SHA-512.
///
/// Source: pam_unix(8), login.defs(5). What is weaker (MD5, DES) or not at hand (bcrypt, gost-yescrypt) becomes SHA-512, which every
/// libcrypt of the last 15 years reads.
pub(super) fn choose(tree: &Tree<Content>) -> Result<Choice> {
    for path in PAM_FILES {
        let text = place::text(tree, path)?.unwrap_or_default();
        if let Some(choice) = text.lines().find_map(of_pam_line) {
            return Ok(choice);
        }
    }
    let login = login_definitions(tree)?;
    let number = |name: &str| login.get(name).and_then(|text| text.parse().ok());
    let Some(name) = login.get("ENCRYPT_METHOD") else {
        return Ok(of_name("sha512", None).unwrap_or(FALLBACK));
    };
    let rounds = match name.to_ascii_lowercase().as_str() {
        "yescrypt" => number("YESCRYPT_COST_FACTOR"),
        // Between the two bounds any number does; shadow takes one by chance.
        _ => number("SHA_CRYPT_MAX_ROUNDS").or_else(|| number("SHA_CRYPT_MIN_ROUNDS")),
    };
    Ok(of_name(name, rounds).unwrap_or(Choice {
        unknown: Some(name.clone()),
        ..FALLBACK
    }))
}

const FALLBACK: Choice = Choice {
    method: Method::Sha512 { rounds: None },
    unknown: None,
};

/// What a line of a PAM file says, if it is the one of `pam_unix` and says it.
fn of_pam_line(line: &str) -> Option<Choice> {
    let mut words = line.split_whitespace();
    let kind = words.next()?.trim_start_matches('-');
    if kind != "password" || !line.contains("pam_unix") {
        return None;
    }
    let words: Vec<&str> = words.collect();
    let rounds = words
        .iter()
        .find_map(|word| word.strip_prefix("rounds=")?.parse().ok());
    words.iter().find_map(|word| of_name(word, rounds))
}

/// The method of a name; `None` for a word that is no method at all.
fn of_name(name: &str, rounds: Option<u32>) -> Option<Choice> {
    let method = match name.to_ascii_lowercase().as_str() {
        "yescrypt" => Method::Yescrypt {
            cost: rounds.unwrap_or(5).clamp(1, MAX_COST),
        },
        "sha512" => Method::Sha512 {
            rounds: bounded(rounds),
        },
        "sha256" => Method::Sha256 {
            rounds: bounded(rounds),
        },
        "gost_yescrypt" | "blowfish" | "bcrypt" | "md5" | "bigcrypt" | "des" | "sm3"
        | "sm3_yescrypt" => {
            return Some(Choice {
                unknown: Some(name.to_owned()),
                ..FALLBACK
            });
        }
        _ => return None,
    };
    Some(Choice {
        method,
        unknown: None,
    })
}

/// crypt(5) knows 1000 rounds at least.
fn bounded(rounds: Option<u32>) -> Option<u32> {
    rounds.map(|rounds| rounds.clamp(1000, MAX_ROUNDS))
}

/// The hash of a password as crypt(5) writes it.
///
/// The salt comes from the user's name and the password, so that the same input gives the same bytes. Equal passwords of two users
/// still have different hashes; what is lost is that the hash of one user's password is the same in two images.
///
/// # Errors
///
/// [`block::Kind::Unsupported`] where the method refuses its numbers.
pub(super) fn hash(method: Method, user: &str, password: &str) -> Result<String> {
    let salt = Sha256::new()
        .chain_update(b"salt of a password\0")
        .chain_update(user.as_bytes())
        .chain_update(b"\0")
        .chain_update(password.as_bytes())
        .finalize();
    // 96 and 128 bits, as much as the methods take: 16 and 22 characters.
    let (short, long) = (&salt[..12], &salt[..16]);
    let password = password.as_bytes();
    match method {
        Method::Yescrypt { cost } => yescrypt(cost, long, password),
        Method::Sha512 { rounds } => {
            sha_crypt(sha_crypt::Algorithm::Sha512Crypt, rounds, short, password)
        }
        Method::Sha256 { rounds } => {
            sha_crypt(sha_crypt::Algorithm::Sha256Crypt, rounds, short, password)
        }
    }
}

fn refused(error: impl std::fmt::Display) -> Error {
    Error::unsupported("hashing a password", error.to_string())
}

/// Source: libxcrypt 4.4, `crypt-yescrypt.c`: what the cost means for N and r.
fn yescrypt(cost: u32, salt: &[u8], password: &[u8]) -> Result<String> {
    use yescrypt::CustomizedPasswordHasher as _;
    let (log, r) = if cost < 3 {
        (cost + 9, 8)
    } else {
        (cost + 7, 32)
    };
    let params =
        yescrypt::Params::new(yescrypt::Mode::default(), 1 << log, r, 1).map_err(refused)?;
    let hash = yescrypt::Yescrypt::default()
        .hash_password_customized(password, salt, None, None, params)
        .map_err(refused)?;
    Ok(hash.as_str().to_owned())
}

fn sha_crypt(
    algorithm: sha_crypt::Algorithm,
    rounds: Option<u32>,
    salt: &[u8],
    password: &[u8],
) -> Result<String> {
    use sha_crypt::PasswordHasher as _;
    let params = sha_crypt::Params::new(rounds.unwrap_or(5000)).map_err(refused)?;
    let hash = sha_crypt::ShaCrypt::new(algorithm, params)
        .hash_password_with_salt(password, salt)
        .map_err(refused)?;
    // 5000 is what is meant where nothing is said, and what every program writes.
    let text = hash.as_str().to_owned();
    Ok(match rounds {
        None => text.replacen("$rounds=5000$", "$", 1),
        Some(_) => text,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::steps::place::tests::tree_of;

    #[test]
    fn the_image_says_how_passwords_are_hashed() {
        let debian = "password\t[success=1 default=ignore]\tpam_unix.so obscure yescrypt\n";
        let azure = "# pam\npassword required pam_unix.so sha512 shadow rounds=10000\n";
        let silent = "password sufficient pam_unix.so shadow nullok\nauth x pam_unix.so md5\n";
        let yescrypt = Method::Yescrypt { cost: 5 };
        let sha512 = |rounds| Method::Sha512 { rounds };
        for (files, method, unknown) in [
            (vec![("etc/pam.d/common-password", debian)], yescrypt, None),
            (
                vec![("etc/pam.d/system-password", azure)],
                sha512(Some(10_000)),
                None,
            ),
            (
                vec![
                    ("etc/pam.d/system-auth", silent),
                    ("etc/login.defs", "ENCRYPT_METHOD SHA256\n"),
                ],
                Method::Sha256 { rounds: None },
                None,
            ),
            (
                vec![("etc/login.defs", "ENCRYPT_METHOD BCRYPT\n")],
                sha512(None),
                Some("BCRYPT"),
            ),
            (
                vec![("etc/login.defs", "ENCRYPT_METHOD FUTURE\n")],
                sha512(None),
                Some("FUTURE"),
            ),
            (vec![("etc/login.defs", "UMASK 022\n")], sha512(None), None),
            (
                vec![(
                    "etc/pam.d/passwd",
                    "password x pam_unix.so sha512 rounds=4000000000",
                )],
                sha512(Some(MAX_ROUNDS)),
                None,
            ),
        ] {
            let choice = choose(&tree_of(&files)).unwrap();
            assert_eq!(choice.method, method, "{files:?}");
            assert_eq!(choice.unknown.as_deref(), unknown, "{files:?}");
        }
    }

    #[test]
    fn a_hash_depends_on_user_and_password_alone() {
        let method = Method::Sha512 { rounds: None };
        let one = hash(method, "a", "secret").unwrap();
        assert_eq!(one, hash(method, "a", "secret").unwrap());
        assert_ne!(one, hash(method, "b", "secret").unwrap());
        assert_eq!(one.matches('$').count(), 3, "{one}");
    }
}
