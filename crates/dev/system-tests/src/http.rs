//! An HTTP server for guests: the files of one folder, with ranges, on a port of this machine's loopback.

use std::io::{BufRead as _, BufReader, Read as _, Seek as _, SeekFrom, Write as _};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::{Context, Result};

/// A server that runs until the process ends.
#[derive(Debug)]
pub struct Server {
    port: u16,
    requests: Arc<Mutex<Vec<String>>>,
}

impl Server {
    /// Serves the files of `folder`, which may be made later.
    ///
    /// # Errors
    ///
    /// Where no port is to be had.
    pub fn start(folder: impl Into<PathBuf>) -> Result<Self> {
        let folder = folder.into();
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).context("opening a port")?;
        let port = listener.local_addr()?.port();
        let requests = Arc::new(Mutex::new(Vec::new()));
        let log = Arc::clone(&requests);
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let (folder, log) = (folder.clone(), Arc::clone(&log));
                // A guest that goes away in the middle is no fault of the server.
                std::thread::spawn(move || serve(&stream, &folder, &log).ok());
            }
        });
        Ok(Self { port, requests })
    }

    /// The port.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }

    /// The first line of every request so far.
    #[must_use]
    pub fn requests(&self) -> Vec<String> {
        self.requests
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }
}

/// Answers the requests of one connection.
fn serve(stream: &TcpStream, folder: &Path, log: &Mutex<Vec<String>>) -> Result<()> {
    let mut reader = BufReader::new(stream);
    loop {
        let mut request = String::new();
        if reader.read_line(&mut request)? == 0 {
            return Ok(());
        }
        let mut range = None;
        loop {
            let mut header = String::new();
            if reader.read_line(&mut header)? == 0 || header.trim().is_empty() {
                break;
            }
            let header = header.trim().to_ascii_lowercase();
            if let Some(value) = header.strip_prefix("range: bytes=") {
                let (first, last) = value.split_once('-').unwrap_or((value, ""));
                range = Some((first.parse::<u64>()?, last.parse::<u64>().ok()));
            }
        }
        log.lock()
            .unwrap_or_else(PoisonError::into_inner)
            .push(request.trim().to_owned());
        answer(stream, folder, &request, range)?;
    }
}

fn answer(
    mut stream: &TcpStream,
    folder: &Path,
    request: &str,
    range: Option<(u64, Option<u64>)>,
) -> Result<()> {
    let mut words = request.split(' ');
    let (method, target) = (words.next().unwrap_or(""), words.next().unwrap_or("/"));
    let path = folder.join(
        target
            .split('?')
            .next()
            .unwrap_or("")
            .trim_start_matches('/'),
    );
    let Ok(mut file) = std::fs::File::open(&path) else {
        stream.write_all(b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n")?;
        return Ok(());
    };
    let len = file.metadata()?.len();
    let (first, last) = match range {
        Some((first, last)) => (first, last.unwrap_or(u64::MAX).min(len.saturating_sub(1))),
        None => (0, len.saturating_sub(1)),
    };
    let count = (last + 1).saturating_sub(first).min(len);
    let status = if range.is_some() {
        format!("206 Partial Content\r\nContent-Range: bytes {first}-{last}/{len}")
    } else {
        "200 OK".to_owned()
    };
    write!(
        stream,
        "HTTP/1.1 {status}\r\nContent-Length: {count}\r\nAccept-Ranges: bytes\r\n\r\n"
    )?;
    if method != "HEAD" {
        file.seek(SeekFrom::Start(first))?;
        std::io::copy(&mut file.take(count), &mut stream)?;
    }
    Ok(())
}
