//! The client against servers on this machine: what they say plainly is made here, certificates by `openssl`.
#![expect(
    clippy::disallowed_methods,
    reason = "certificates are made by a reference program"
)]

use std::io::{BufRead as _, BufReader, Read, Write};
use std::net::TcpListener;
use std::path::Path;
use std::process::{Command, Stdio};

use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ServerConfig, ServerConnection, StreamOwned};

use super::*;

/// A server that gives these answers, a connection each; its address, and what it was asked.
fn serve(
    answers: Vec<String>,
    tls: Option<Arc<ServerConfig>>,
) -> (u16, std::sync::mpsc::Receiver<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let (send, receive) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        for answer in answers {
            let (connection, _) = listener.accept().unwrap();
            let answer = answer.replace("PORT", &port.to_string());
            // A client that does not trust us goes away: that is what is tested.
            let asked = match &tls {
                Some(tls) => {
                    let state = ServerConnection::new(Arc::clone(tls)).unwrap();
                    converse(StreamOwned::new(state, connection), &answer)
                }
                None => converse(connection, &answer),
            };
            if send.send(asked.unwrap_or_default()).is_err() {
                return;
            }
        }
    });
    (port, receive)
}

fn converse(connection: impl Read + Write, answer: &str) -> io::Result<String> {
    let mut reader = BufReader::new(connection);
    let mut asked = String::new();
    while !asked.ends_with("\r\n\r\n") {
        if reader.read_line(&mut asked)? == 0 {
            break;
        }
    }
    let mut connection = reader.into_inner();
    connection.write_all(answer.as_bytes())?;
    connection.flush()?;
    Ok(asked.to_ascii_lowercase())
}

fn no_certificates() -> io::Result<Vec<u8>> {
    Err(io::ErrorKind::NotFound.into())
}

fn asking(url: &str) -> Ask<'_> {
    Ask {
        url,
        from: 0,
        validator: None,
        verify_certificates: true,
    }
}

/// What one answer becomes.
fn one(answer: &str) -> Result<Reply, Trouble> {
    let (port, _asked) = serve(vec![answer.to_owned()], None);
    ask(
        &asking(&format!("http://127.0.0.1:{port}/f")),
        no_certificates,
    )
}

fn body(reply: Reply) -> io::Result<String> {
    let mut text = String::new();
    let mut body = reply.body;
    body.read_to_string(&mut text).map(|_| text)
}

#[test]
fn an_answer_has_its_length_its_state_and_its_bytes() {
    let answer =
        "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nETag: \"a\"\r\nLast-Modified: then\r\n\r\nhello";
    let reply = one(answer).unwrap();
    assert_eq!((reply.status, reply.len, reply.part), (200, Some(5), None));
    assert_eq!(reply.validator.as_deref(), Some("\"a\""));
    assert_eq!(body(reply).unwrap(), "hello");
    let weak = answer.replace("\"a\"", "W/\"a\"");
    assert_eq!(one(&weak).unwrap().validator.as_deref(), Some("then"));
    let nothing = "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n";
    assert_eq!(one(nothing).unwrap().validator, None);
    assert_eq!(
        one("HTTP/1.1 404 No\r\nContent-Length: 0\r\n\r\n")
            .unwrap()
            .status,
        404
    );
}

#[test]
fn a_body_that_is_cut_off_is_an_error_or_too_short() {
    let reply = one("HTTP/1.1 200 OK\r\nContent-Length: 50\r\n\r\nhello").unwrap();
    assert!(body(reply).is_err());
}

#[test]
fn the_rest_of_a_file_is_asked_for_under_the_condition_that_it_is_the_same() {
    let answer = "HTTP/1.1 206 Part\r\nContent-Length: 3\r\nContent-Range: bytes 7-9/10\r\n\r\nend";
    let (port, asked) = serve(vec![answer.to_owned()], None);
    let url = format!("http://127.0.0.1:{port}/f");
    let rest = Ask {
        from: 7,
        validator: Some("\"a\""),
        ..asking(&url)
    };
    let reply = ask(&rest, no_certificates).unwrap();
    assert_eq!(
        (reply.status, reply.len, reply.part),
        (206, Some(3), Some((7, 10)))
    );
    let asked = asked.recv().unwrap();
    assert!(
        asked.contains("\r\nrange: bytes=7-\r\n") && asked.contains("\r\nif-range: \"a\"\r\n"),
        "{asked}"
    );
    assert!(asked.contains("user-agent: liveos-init/"), "{asked}");
}

#[test]
fn ranges_in_other_forms_are_none() {
    assert_eq!(part("bytes 7-9/10"), Some((7, 10)));
    for text in [
        "",
        "bytes",
        "bytes 7-9",
        "bytes 7-9/*",
        "bytes */10",
        "bits 7-9/10",
        "bytes -9/10",
        "bytes 7/10",
    ] {
        assert_eq!(part(text), None, "{text}");
    }
}

#[test]
fn a_move_is_followed_and_a_circle_is_not() {
    let moved = "HTTP/1.1 302 Moved\r\nLocation: http://127.0.0.1:PORT/g\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";
    let there = "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello";
    let (port, asked) = serve(vec![moved.to_owned(), there.to_owned()], None);
    let reply = ask(
        &asking(&format!("http://127.0.0.1:{port}/f")),
        no_certificates,
    )
    .unwrap();
    assert_eq!(body(reply).unwrap(), "hello");
    assert!(asked.recv().unwrap().starts_with("get /f "));
    assert!(asked.recv().unwrap().starts_with("get /g "));
    let (port, _asked) = serve(vec![moved.to_owned(); 20], None);
    let circle = ask(
        &asking(&format!("http://127.0.0.1:{port}/f")),
        no_certificates,
    );
    assert!(matches!(circle, Err(Trouble::Refused(_))), "{circle:?}");
}

#[test]
fn what_is_no_answer_may_be_one_later_and_what_is_no_url_never() {
    for answer in [
        "",
        "hello\r\n\r\n",
        "HTTP/9.9 x\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Le",
    ] {
        let reply = one(answer);
        assert!(
            matches!(reply, Err(Trouble::Unreachable(_))),
            "{answer:?}: {reply:?}"
        );
    }
    let port = TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap()
        .port();
    let nobody = ask(
        &asking(&format!("http://127.0.0.1:{port}/")),
        no_certificates,
    );
    assert!(matches!(nobody, Err(Trouble::Unreachable(_))), "{nobody:?}");
    for url in ["http://[::1/x", "http://a b/"] {
        let reply = ask(&asking(url), no_certificates);
        assert!(matches!(reply, Err(Trouble::NoUrl(_))), "{url}: {reply:?}");
    }
}

/// Makes an authority, and a certificate of it for `names`, in `folder`.
fn certify(folder: &Path, names: &str, days: &str) {
    let script = "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout ca.key -out ca.pem -subj /CN=authority -days 2 && \
         openssl req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout server.key -out server.csr -subj /CN=server && \
         printf 'subjectAltName=%s' \"$1\" > names && \
         openssl x509 -req -in server.csr -CA ca.pem -CAkey ca.key -CAcreateserial -days \"$2\" -extfile names -out server.pem";
    let made = Command::new("sh")
        .args(["-c", script, "sh", names, days])
        .current_dir(folder)
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .output()
        .unwrap();
    assert!(
        made.status.success(),
        "{}",
        String::from_utf8_lossy(&made.stderr)
    );
}

fn server_config(folder: &Path) -> Arc<ServerConfig> {
    let certificate = CertificateDer::from_pem_file(folder.join("server.pem")).unwrap();
    let key = PrivateKeyDer::from_pem_file(folder.join("server.key")).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth();
    Arc::new(config.with_single_cert(vec![certificate], key).unwrap())
}

#[test]
fn ref_a_server_must_prove_who_it_is() {
    if Command::new("openssl")
        .arg("version")
        .stdout(Stdio::null())
        .status()
        .is_err()
    {
        assert!(std::env::var_os("CI").is_none(), "needs openssl");
        eprintln!("SKIPPED: needs openssl");
        return;
    }
    let made = |names: &str, days: &str| {
        let folder = tempfile::tempdir().unwrap();
        certify(folder.path(), names, days);
        folder
    };
    let good = made("IP:127.0.0.1", "2");
    let (other_name, expired) = (made("DNS:other", "2"), made("IP:127.0.0.1", "-1"));
    let there = "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nConnection: close\r\n\r\nhello".to_owned();
    let fetch = |server: &Path, authority: &Path, verify_certificates: bool| {
        let (port, _asked) = serve(vec![there.clone()], Some(server_config(server)));
        let url = format!("https://127.0.0.1:{port}/f");
        let ask_it = Ask {
            verify_certificates,
            ..asking(&url)
        };
        ask(&ask_it, || std::fs::read(authority.join("ca.pem")))
    };
    assert_eq!(
        body(fetch(good.path(), good.path(), true).unwrap()).unwrap(),
        "hello"
    );
    assert_eq!(
        body(fetch(expired.path(), good.path(), false).unwrap()).unwrap(),
        "hello"
    );
    for (server, authority, what) in [
        (good.path(), other_name.path(), "another authority"),
        (other_name.path(), other_name.path(), "another name"),
        (expired.path(), expired.path(), "no longer valid"),
        (good.path(), Path::new("/nowhere"), "no authority at all"),
    ] {
        let refused = fetch(server, authority, true);
        assert!(
            matches!(refused, Err(Trouble::Certificate(_))),
            "{what}: {refused:?}"
        );
    }
    // Who comes by a safe way is not led to an unsafe one.
    let moved =
        "HTTP/1.1 302 Moved\r\nLocation: http://127.0.0.1:PORT/g\r\nContent-Length: 0\r\n\r\n";
    let (port, _asked) = serve(vec![moved.to_owned()], Some(server_config(good.path())));
    let url = format!("https://127.0.0.1:{port}/f");
    let led = ask(&asking(&url), || std::fs::read(good.path().join("ca.pem")));
    assert!(matches!(led, Err(Trouble::Refused(_))), "{led:?}");
}
