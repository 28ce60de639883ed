//! Asking a server for a file by HTTP. What is done with the answer, and when it is asked again, is [`crate::stage::fetch`]'s.
//!
//! Every wait has its deadline: for the name, the connection, the answer, and each piece of the file.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use contract::media;
use ureq::http::{HeaderMap, Uri};
use ureq::tls::{PemItem, RootCerts, TlsConfig, parse_pem};
use ureq::{Agent, Error};

use super::{Ask, Reply, Trouble};

/// How long a name may take, in seconds: three name servers twice, with three seconds for each.
const NAME: Duration = Duration::from_secs(20);
/// How long a connection may take.
const CONNECT: Duration = Duration::from_secs(10);
/// How long a server may be silent, before its answer and between two pieces of it.
const SILENCE: Duration = Duration::from_secs(30);
/// Whom the server is told that it talks to.
const USER_AGENT: &str = concat!("liveos-init/", env!("CARGO_PKG_VERSION"));
/// The largest file of certificates that is read, in bytes.
pub(crate) const MAX_CERTIFICATES: usize = 16 << 20;

/// Asks a server. `certificates` reads the authorities' certificates (PEM), and is called for `https` only.
pub(crate) fn ask(
    ask: &Ask<'_>,
    certificates: impl FnOnce() -> io::Result<Vec<u8>>,
) -> Result<Reply, Trouble> {
    let no_url = |error: ureq::http::uri::InvalidUri| Trouble::NoUrl(error.to_string());
    let uri: Uri = ask.url.parse().map_err(no_url)?;
    let is_secure = uri.scheme_str() == Some("https");
    let config = Agent::config_builder()
        .user_agent(USER_AGENT)
        .http_status_as_error(false)
        .proxy(None)
        // An answer that says to go on without encryption is not followed.
        .https_only(is_secure)
        .max_idle_connections(0)
        .timeout_resolve(Some(NAME))
        .timeout_connect(Some(CONNECT))
        .timeout_per_read(Some(SILENCE))
        .timeout_per_write(Some(SILENCE))
        .timeout_recv_response(Some(SILENCE))
        .tls_config(match is_secure {
            true => tls(ask.verify_certificates, certificates)?,
            // OK: never used, and not to be made from what the library would take by itself.
            false => TlsConfig::builder()
                .root_certs(RootCerts::new_with_certs(&[]))
                .build(),
        })
        .build();
    let agent: Agent = config.into();
    let mut request = agent.get(&uri);
    if ask.from > 0 {
        request = request.header("Range", format!("bytes={}-", ask.from));
        if let Some(validator) = ask.validator {
            request = request.header("If-Range", validator);
        }
    }
    let response = request.call().map_err(trouble)?;
    let (parts, body) = response.into_parts();
    let text = |name: &str| header(&parts.headers, name);
    Ok(Reply {
        status: parts.status.as_u16(),
        len: text("content-length").and_then(|text| text.parse().ok()),
        part: text("content-range").and_then(part),
        // A weak validator (RFC 9110 8.8.1) may stay the same where bytes differ.
        validator: text("etag")
            .filter(|tag| !tag.starts_with("W/"))
            .or_else(|| text("last-modified"))
            .map(str::to_owned),
        body: Box::new(body.into_reader()),
    })
}

fn tls(
    verify: bool,
    certificates: impl FnOnce() -> io::Result<Vec<u8>>,
) -> Result<TlsConfig, Trouble> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = TlsConfig::builder().unversioned_rustls_crypto_provider(provider);
    if !verify {
        let nobody = RootCerts::new_with_certs(&[]);
        return Ok(config.root_certs(nobody).disable_verification(true).build());
    }
    let pem = certificates().map_err(|error| {
        let place = media::CERTIFICATES;
        Trouble::Certificate(format!("no authority is known here: {place}: {error}"))
    })?;
    // One that cannot be read is one authority less.
    let known: Vec<_> = parse_pem(&pem)
        .filter_map(|item| match item {
            Ok(PemItem::Certificate(certificate)) => Some(certificate),
            _ => None,
        })
        .collect();
    Ok(config.root_certs(RootCerts::new_with_certs(&known)).build())
}

fn header<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers.get(name)?.to_str().ok().map(str::trim)
}

/// Reads `bytes 200-999/1000`: the first byte, and how many there are in all.
fn part(text: &str) -> Option<(u64, u64)> {
    let (range, all) = text.strip_prefix("bytes ")?.split_once('/')?;
    let (first, _) = range.split_once('-')?;
    Some((first.parse().ok()?, all.parse().ok()?))
}

fn trouble(error: Error) -> Trouble {
    match error {
        Error::Rustls(error) => Trouble::Certificate(error.to_string()),
        // What fails while the connection is made secure comes as an error of the connection.
        Error::Io(error)
            if error
                .get_ref()
                .is_some_and(|inner| inner.is::<rustls::Error>()) =>
        {
            Trouble::Certificate(error.to_string())
        }
        Error::Tls(_) | Error::Pem(_) => Trouble::Certificate(error.to_string()),
        Error::BadUri(_) | Error::Http(_) => Trouble::NoUrl(error.to_string()),
        Error::RedirectFailed | Error::TooManyRedirects | Error::RequireHttpsOnly(_) => {
            Trouble::Refused(error.to_string())
        }
        error => Trouble::Unreachable(error.to_string()),
    }
}

#[cfg(test)]
mod tests;
