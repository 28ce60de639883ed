//! The medium comes over the network into memory, once: a file on the tmpfs that the running system keeps, and a loop device on it.
//!
//! A download that breaks off goes on where it broke, if the server still has the same file by its own word; else it begins anew. It
//! is taken for whole only where it has the length that the server said and the digest that the command line says.

use std::io::{self, Read as _, Write};
use std::time::Duration;

use contract::failure::{
    FETCH_BROKEN, FETCH_CERTIFICATE, FETCH_DIGEST, FETCH_MEMORY, FETCH_REFUSED, FETCH_UNKNOWN,
    Failure, ROOT_UNKNOWN, SERVER_UNREACHABLE,
};
use contract::media;
use contract::request::{Digest, Request};
use sha2::{Digest as _, Sha256};

use super::find::Medium;
use super::progress::Progress;
use super::{Boot, OrStop as _, base, ram};
use crate::net::{Ask, Reply, Trouble};
use crate::probe;
use crate::system::{Access, Kind, Wait};

const MIB: u64 = 1 << 20;
/// How much is taken at once, in bytes.
const PIECE: usize = 256 << 10;
/// What a squashfs may be short of a whole block of the loop device, which drops what is left of the last one, in bytes.
const BLOCK: u64 = 4096;
/// The pauses between attempts, the last one again and again, in seconds.
const PAUSES: [u64; 4] = [1, 2, 4, 5];

/// A download.
struct Download<'a, 'b> {
    boot: &'a mut Boot<'b>,
    request: &'a Request,
    url: &'a str,
    /// The URL for people.
    shown: String,
    file: Option<Box<dyn Write>>,
    hash: Sha256,
    progress: Progress,
    /// What the server said of the file, where it said something that holds.
    validator: Option<String>,
    /// The last time that there was a piece.
    alive: Duration,
}

/// How an attempt ended.
enum Attempt {
    /// All of it is here.
    Whole,
    /// It is worth another one.
    Again(Failure),
}

/// Fetches the medium from `url`; the network is up.
pub(crate) fn run(boot: &mut Boot<'_>, request: &Request, url: &str) -> Result<Medium, Failure> {
    let shown = without_password(url);
    boot.step(&format!("fetching {shown}"));
    if url.starts_with("https:") {
        set_clock_floor(boot);
    }
    let alive = boot.system.clock();
    let mut download = Download {
        boot,
        request,
        url,
        shown,
        file: None,
        hash: Sha256::new(),
        progress: Progress::new("fetching", 0),
        validator: None,
        alive,
    };
    download.until_whole()?;
    download.finish()?;
    attach(boot, url)
}

/// A machine whose battery is empty believes that no certificate is valid yet: it is not earlier than when this initramfs was made.
fn set_clock_floor(boot: &mut Boot<'_>) {
    match boot.system.set_clock_floor(media::INIT) {
        Ok(true) => boot
            .warn("the machine's clock was behind the build of this initramfs, and is set to that"),
        Ok(false) => {}
        Err(error) => boot.warn(&format!("the machine's clock is not looked at: {error}")),
    }
}

impl Download<'_, '_> {
    fn until_whole(&mut self) -> Result<(), Failure> {
        let mut failures = 0_usize;
        loop {
            let before = self.progress.done;
            let failure = match self.attempt()? {
                Attempt::Whole => return Ok(()),
                Attempt::Again(failure) => failure,
            };
            if self.progress.done > before {
                failures = 0;
            }
            let now = self.boot.system.clock();
            let limit = self.request.deadline;
            if limit.is_some_and(|limit| now.saturating_sub(self.alive) >= limit) {
                return Err(failure);
            }
            let pause = PAUSES.get(failures).or(PAUSES.last()).copied();
            failures = failures.saturating_add(1);
            let pause = pause.unwrap_or(1);
            self.boot
                .warn(&format!("{}: trying again in {pause} s", failure.cause));
            self.pause(Duration::from_secs(pause));
        }
    }

    fn pause(&mut self, pause: Duration) {
        let end = self.boot.system.clock().saturating_add(pause);
        while let Some(left) = end
            .checked_sub(self.boot.system.clock())
            .filter(|d| !d.is_zero())
        {
            // Devices may say something, which nobody needs now.
            if self.boot.system.next_event(Wait::For(left)).is_err() {
                break;
            }
        }
    }

    fn attempt(&mut self) -> Result<Attempt, Failure> {
        // Without the server's word that the file is the same, what is here may be of another one.
        let from = match &self.validator {
            Some(_) => self.progress.done,
            None => 0,
        };
        let ask = Ask {
            url: self.url,
            from,
            validator: self.validator.as_deref(),
            verify_certificates: self.request.verify_certificates,
        };
        let failure = |code, cause: String| Failure::new(code, format!("{}: {cause}", self.shown));
        let reply = match self.boot.system.ask(&ask) {
            Ok(reply) => reply,
            Err(Trouble::NoUrl(cause)) => return Err(failure(ROOT_UNKNOWN, cause)),
            Err(Trouble::Refused(cause)) => return Err(failure(FETCH_REFUSED, cause)),
            Err(Trouble::Certificate(cause)) => return Err(failure(FETCH_CERTIFICATE, cause)),
            Err(Trouble::Unreachable(cause)) => {
                let code = if self.file.is_some() {
                    FETCH_BROKEN
                } else {
                    SERVER_UNREACHABLE
                };
                return Ok(Attempt::Again(failure(code, cause)));
            }
        };
        match (reply.status, reply.part, reply.len) {
            (206, Some((first, all)), _)
                if from > 0 && first == from && all == self.progress.all() =>
            {
                self.take(reply)
            }
            (200, _, Some(len)) => {
                self.begin(len)?;
                self.validator.clone_from(&reply.validator);
                self.take(reply)
            }
            (200, _, None) => {
                let cause = "the server does not say how long the file is".to_owned();
                Err(failure(FETCH_REFUSED, cause))
            }
            // A part that was not asked for, or none where one was: from the beginning.
            (206 | 416, ..) if from > 0 => {
                self.validator = None;
                let cause = "the file on the server is another one now".to_owned();
                Ok(Attempt::Again(failure(FETCH_BROKEN, cause)))
            }
            (status @ (408 | 425 | 429 | 500..600), ..) => {
                let cause = format!("the server answers {status}");
                Ok(Attempt::Again(failure(FETCH_REFUSED, cause)))
            }
            (status, ..) => {
                let cause = format!("the server answers {status}");
                Err(failure(FETCH_REFUSED, cause))
            }
        }
    }

    /// Makes room for a file of `len` bytes, and begins it.
    fn begin(&mut self, len: u64) -> Result<(), Failure> {
        let code = FETCH_MEMORY;
        if len == 0 {
            return Err(Failure::new(
                FETCH_UNKNOWN,
                format!("{} is empty", self.shown),
            ));
        }
        // What an attempt before this one has taken is free again.
        drop(self.file.take());
        self.boot
            .system
            .create(media::FETCHED)
            .or_stop(code, media::FETCHED)?;
        let rest = self.request.ram.min_memory_mib;
        let needed = len.saturating_add(rest.saturating_mul(MIB));
        let available = ram::available_memory(self.boot);
        if let Some(available) = available.filter(|available| *available < needed) {
            let cause = format!(
                "{} has {} MiB, {} MiB of memory are free, and {rest} MiB are to be left (rd.minmem=)",
                self.shown,
                len.div_ceil(MIB),
                available / MIB
            );
            return Err(Failure::new(code, cause));
        }
        ram::make_room(self.boot, len).or_stop(code, media::RUN_INITRAMFS)?;
        let file = self.boot.system.create(media::FETCHED);
        self.file = Some(file.or_stop(code, media::FETCHED)?);
        self.hash = Sha256::new();
        self.progress = Progress::new("fetching", len);
        Ok(())
    }

    /// Takes what the server sends.
    fn take(&mut self, mut reply: Reply) -> Result<Attempt, Failure> {
        let mut buffer = vec![0; PIECE];
        let mut why = "the server sent less than it said".to_owned();
        loop {
            self.progress.show(self.boot.system);
            let left = self.progress.all().saturating_sub(self.progress.done);
            if left == 0 {
                return Ok(Attempt::Whole);
            }
            let room = usize::try_from(left).unwrap_or(PIECE).min(PIECE);
            let piece = buffer.get_mut(..room).unwrap_or_default();
            let count = match reply.body.read(piece) {
                Ok(0) => break,
                Ok(count) => count,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => {
                    why = error.to_string();
                    break;
                }
            };
            let piece = piece.get(..count).unwrap_or_default();
            if let Some(file) = &mut self.file {
                file.write_all(piece)
                    .or_stop(FETCH_MEMORY, &format!("writing {}", media::FETCHED))?;
            }
            self.hash.update(piece);
            self.progress.add(count);
            self.alive = self.boot.system.clock();
        }
        self.boot.system.console("\n");
        let (done, all) = (self.progress.done, self.progress.all());
        let cause = format!("{}: {done} of {all} bytes came: {why}", self.shown);
        Ok(Attempt::Again(Failure::new(FETCH_BROKEN, cause)))
    }

    /// Holds the whole file against its digest.
    fn finish(mut self) -> Result<(), Failure> {
        let digest: [u8; 32] = self.hash.finalize_reset().into();
        if let Some(Digest::Sha256(expected)) = self.request.digest
            && expected != digest
        {
            let hex = |bytes: [u8; 32]| -> String {
                bytes.iter().map(|byte| format!("{byte:02x}")).collect()
            };
            let cause = format!(
                "{} has sha256:{}, and sha256:{} was asked for",
                self.shown,
                hex(digest),
                hex(expected)
            );
            return Err(Failure::new(FETCH_DIGEST, cause));
        }
        let short = (self.progress.all().wrapping_neg()) % BLOCK;
        let padding = vec![0; usize::try_from(short).unwrap_or_default()];
        if let Some(mut file) = self.file.take() {
            file.write_all(&padding)
                .and_then(|()| file.flush())
                .or_stop(FETCH_MEMORY, &format!("writing {}", media::FETCHED))?;
        }
        Ok(())
    }
}

/// Makes a device of the file, and looks at what it holds.
fn attach(boot: &mut Boot<'_>, url: &str) -> Result<Medium, Failure> {
    let shown = without_password(url);
    let file = boot.system.open(media::FETCHED);
    let file = file.or_stop(FETCH_UNKNOWN, media::FETCHED)?;
    let identity = probe::probe(&*file).or_stop(FETCH_UNKNOWN, &shown)?;
    let identity = match identity {
        Some(identity) if base::is_image(identity.kind) || identity.kind == "iso9660" => identity,
        Some(identity) => {
            let cause = format!("{shown} is {}", identity.kind);
            return Err(Failure::new(FETCH_UNKNOWN, cause));
        }
        None => {
            return Err(Failure::new(
                FETCH_UNKNOWN,
                format!("{shown}: nothing that is known"),
            ));
        }
    };
    boot.modules.load(boot.system, "loop");
    let device = boot
        .system
        .attach_loop(media::FETCHED, Access::Read)
        .or_stop(
            contract::failure::MEDIUM_MOUNT,
            &format!("attaching {} to a loop device", media::FETCHED),
        )?;
    Ok(Medium {
        name: device.strip_prefix("/dev/").unwrap_or(&device).to_owned(),
        identity,
        url: Some(shown),
        carrier: None,
    })
}

/// Where the command line does not say where on a medium the root file system image is, our own media's place is tried first.
pub(crate) fn find_layout(
    boot: &mut Boot<'_>,
    request: &mut Request,
    medium: &Medium,
) -> Result<(), Failure> {
    if request.says_layout || base::is_image(medium.identity.kind) {
        return Ok(());
    }
    base::mount_medium(boot, medium)?;
    let own = format!("{}/{}", media::LIVE_MOUNT, media::ROOT_IMAGE);
    if matches!(boot.system.kind(&own), Ok(Kind::File)) {
        media::DIR.clone_into(&mut request.dir);
        media::ROOT_IMAGE_NAME.clone_into(&mut request.image);
    }
    Ok(())
}

/// A URL for the console and the report: who has the right to read the file is nobody's business.
fn without_password(url: &str) -> String {
    let Some((scheme, rest)) = url.split_once("://") else {
        return url.to_owned();
    };
    let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
    let (authority, path) = rest.split_at_checked(end).unwrap_or((rest, ""));
    let host = authority
        .rsplit_once('@')
        .map_or(authority, |(_, host)| host);
    format!("{scheme}://{host}{path}")
}
