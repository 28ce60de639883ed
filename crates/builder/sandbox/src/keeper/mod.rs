//! The keeper: a process that owns the scratch, and removes it when `liveos` is gone, however that ended.
//!
//! As an ordinary user it is root of a user namespace, so that files can have the owners that they have in the image. It is in a
//! session of its own: what ends `liveos` in a terminal does not end the keeper before it has cleaned up.

mod collect;
mod lay;
mod remove;
mod resolv;
mod run;
mod scan;
mod scratch;

use std::io::BufReader;
use std::os::fd::AsFd as _;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::process::ExitCode;

use block::{Error, Result};
use rustix::fs::{Gid, Uid};
use rustix::thread::UnshareFlags;

use crate::message::{Answer, Fault, Order};
use crate::{sys, wire};
use lay::Layer;
use scratch::Scratch;

/// The keeper's way from start to end. `base` is the folder that the scratch is made in.
pub(crate) fn main(base: &Path, in_user_namespace: bool) -> ExitCode {
    let Ok(stream) = std::io::stdin().as_fd().try_clone_to_owned() else {
        return ExitCode::FAILURE;
    };
    let mut channel = Channel::new(UnixStream::from(stream));
    let result = prepare(&mut channel, in_user_namespace)
        .and_then(|()| Scratch::create(base))
        .and_then(|mut scratch| {
            let result = serve(&mut channel, &mut scratch);
            let removed = scratch.remove();
            result.and(removed)
        });
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // Where nobody listens any more there is nobody to tell.
            let _ = channel.answer(&Answer::Failed(Fault::new(&error)));
            ExitCode::FAILURE
        }
    }
}

/// The way to `liveos`.
#[derive(Debug)]
struct Channel {
    reader: Option<BufReader<UnixStream>>,
    writer: UnixStream,
    frame: Vec<u8>,
}

impl Channel {
    fn new(writer: UnixStream) -> Self {
        let reader = writer.try_clone().ok();
        Self {
            reader: reader.map(|reader| BufReader::with_capacity(1 << 18, reader)),
            writer,
            frame: Vec::new(),
        }
    }

    /// The next order; `None` where `liveos` is gone.
    fn order(&mut self) -> Result<Option<Order>> {
        let doing = |error| Error::io("reading an order for the sandbox", error);
        let Some(reader) = &mut self.reader else {
            return Ok(None);
        };
        if !wire::receive(reader, &mut self.frame).map_err(doing)? {
            return Ok(None);
        }
        Order::decode(&self.frame).map(Some).map_err(doing)
    }

    fn answer(&mut self, answer: &Answer) -> Result<()> {
        wire::send(&mut self.writer, &answer.encode())
            .map_err(|error| Error::io("answering from the sandbox", error))
    }
}

/// Leaves the session of `liveos`, and enters the user namespace where one is needed.
fn prepare(channel: &mut Channel, in_user_namespace: bool) -> Result<()> {
    let doing = |what: &'static str| move |error| Error::io(what, error);
    // It fails where we lead a group already: then the session is our own too.
    let _ = rustix::process::setsid();
    sys::close_others_on_exec().map_err(doing("closing what is open"))?;
    // What a run leaves behind when its own parent is killed becomes our child: it can be waited for then.
    rustix::process::set_child_subreaper(Some(rustix::process::getpid()))
        .map_err(|error| Error::io("becoming a reaper", error.into()))?;
    if in_user_namespace {
        sys::unshare(UnshareFlags::NEWUSER).map_err(|error| {
            Error::unsupported(
                "making a user namespace",
                "the kernel refuses: it may be switched off by the sysctl user.max_user_namespaces or \
                 kernel.unprivileged_userns_clone; run as root instead",
            )
            .caused_by(error)
        })?;
    }
    channel.answer(&Answer::Waiting)?;
    let Some(Order::Begin) = channel.order()? else {
        return Err(Error::corrupt("starting the sandbox", "liveos is gone"));
    };
    let identity = (|| {
        rustix::thread::set_thread_groups(&[])?;
        rustix::thread::set_thread_gid(Gid::ROOT)?;
        rustix::thread::set_thread_uid(Uid::ROOT)
    })();
    identity.map_err(|error| Error::io("becoming root of the sandbox", error.into()))?;
    rustix::process::umask(rustix::fs::Mode::empty());
    Ok(())
}

/// Does what is ordered until `liveos` is gone.
fn serve(channel: &mut Channel, scratch: &mut Scratch) -> Result<()> {
    let folder = scratch.folder().as_os_str().as_encoded_bytes().to_vec();
    channel.answer(&Answer::Ready(folder))?;
    let mut layer = Layer::default();
    while let Some(order) = channel.order()? {
        let result = match order {
            Order::Begin => Ok(()),
            Order::Settle => match std::mem::take(&mut layer).finish() {
                Ok(withheld) => scratch
                    .remember()
                    .and_then(|()| channel.answer(&Answer::Settled(withheld))),
                Err(error) => Err(error),
            },
            Order::Run(spec) => match run::run(scratch, channel, &spec) {
                Ok(run::End::Program(status)) => channel.answer(&Answer::Ended(status)),
                Ok(run::End::Liveos) => return Ok(()),
                Err(error) => Err(error),
            },
            Order::Collect => collect::collect(scratch, channel),
            lay => {
                layer.lay(scratch, lay);
                Ok(())
            }
        };
        if let Err(error) = result {
            channel.answer(&Answer::Failed(Fault::new(&error)))?;
        }
    }
    Ok(())
}
