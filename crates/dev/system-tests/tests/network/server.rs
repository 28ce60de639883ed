//! An HTTP server that serves one file, well or in the ways in which servers fail.

use std::fs::File;
use std::io::{BufRead as _, BufReader, Write as _};
use std::net::{TcpListener, TcpStream};
use std::os::unix::fs::FileExt as _;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;

use anyhow::{Context, Result};

/// Where a machine on QEMU's user network finds this machine's own address.
const HOST: &str = "10.0.2.2";

/// How much is read of the file at once, in bytes.
const PIECE: usize = 256 << 10;

/// How the server does it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Manner {
    /// As it should be.
    Good,
    /// The first connection breaks after so many bytes, and the next ones, as many as this, are closed without an answer.
    Breaks {
        /// After how many bytes.
        after: u64,
        /// How many connections get nothing.
        away: usize,
    },
    /// Every connection ends after so many bytes of the whole file.
    Ends(u64),
    /// Every question is answered by this code.
    Refuses(u16),
    /// It says that the file has so many bytes.
    Claims(u64),
}

/// A server that runs. It ends with the process.
#[derive(Debug)]
pub(crate) struct Server {
    port: u16,
    ranges: Arc<Mutex<Vec<u64>>>,
}

impl Server {
    /// Starts a server for the file at `path`, whatever is asked for.
    pub(crate) fn start(path: &Path, manner: Manner) -> Result<Self> {
        let file = File::open(path).with_context(|| path.display().to_string())?;
        let listener = TcpListener::bind("0.0.0.0:0").context("listening")?;
        let port = listener.local_addr()?.port();
        let ranges = Arc::new(Mutex::new(Vec::new()));
        let asked = Arc::clone(&ranges);
        thread::spawn(move || {
            for (number, connection) in listener.incoming().enumerate() {
                // A connection that fails is the other side's matter.
                let _ = connection
                    .map_err(anyhow::Error::from)
                    .and_then(|connection| serve(&connection, &file, (manner, number), &asked));
            }
        });
        Ok(Self { port, ranges })
    }

    /// The URL of the file, as a machine on the user network has it.
    pub(crate) fn url(&self, name: &str) -> String {
        self.url_at(HOST, name)
    }

    /// The URL of the file at this machine's name or address.
    pub(crate) fn url_at(&self, host: &str, name: &str) -> String {
        format!("http://{host}:{}/{name}", self.port)
    }

    /// The first byte of every question that was answered, in order.
    pub(crate) fn asked(&self) -> Vec<u64> {
        let ranges = self.ranges.lock();
        ranges.unwrap_or_else(PoisonError::into_inner).clone()
    }
}

fn serve(
    connection: &TcpStream,
    file: &File,
    (manner, number): (Manner, usize),
    asked: &Mutex<Vec<u64>>,
) -> Result<()> {
    let mut from = None;
    for line in BufReader::new(connection).lines() {
        let line = line?.to_ascii_lowercase();
        if line.is_empty() {
            break;
        }
        if let Some(range) = line.strip_prefix("range: bytes=") {
            from = range.trim_end_matches('-').parse::<u64>().ok();
        }
    }
    if let Manner::Breaks { away, .. } = manner
        && (1..=away).contains(&number)
    {
        return Ok(());
    }
    let all = file.metadata()?.len();
    let first = from.unwrap_or(0).min(all);
    asked
        .lock()
        .unwrap_or_else(PoisonError::into_inner)
        .push(first);
    let mut connection = connection;
    if let Manner::Refuses(code) = manner {
        let page = "no";
        return Ok(write!(
            connection,
            "HTTP/1.1 {code} Refused\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{page}",
            page.len()
        )?);
    }
    let status = match from {
        Some(_) => format!(
            "206 Partial Content\r\nContent-Range: bytes {first}-{}/{all}",
            all - 1
        ),
        None => "200 OK".to_owned(),
    };
    let len = match manner {
        Manner::Claims(len) => len,
        _ => all - first,
    };
    write!(
        connection,
        "HTTP/1.1 {status}\r\nContent-Length: {len}\r\nETag: \"state\"\r\nConnection: close\r\n\r\n"
    )?;
    let end = match manner {
        Manner::Breaks { after, .. } if number == 0 => after,
        Manner::Ends(after) => after,
        _ => all,
    };
    let (mut at, mut buffer) = (first, vec![0; PIECE]);
    while at < end.min(all) {
        let room = usize::try_from(end.min(all) - at)
            .unwrap_or(PIECE)
            .min(PIECE);
        let count = file.read_at(buffer.get_mut(..room).unwrap_or_default(), at)?;
        connection.write_all(buffer.get(..count).unwrap_or_default())?;
        at += count as u64;
    }
    Ok(())
}
