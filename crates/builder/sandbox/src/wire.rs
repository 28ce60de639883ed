//! Values as bytes between the sandbox's processes: fields in a fixed order, and frames with their length before them.
//!
//! Both ends are the same program, so there is no version and no negotiation.

use std::io::{self, Read, Write};

/// The longest frame: what a set of xattrs or the standard input of a program may take. Longer ones are an error.
pub(crate) const MAX_FRAME: usize = 32 << 20;

/// Puts fields one after the other.
#[derive(Debug, Default)]
pub(crate) struct Fields(Vec<u8>);

impl Fields {
    pub(crate) fn new(tag: u8) -> Self {
        Self(vec![tag])
    }

    pub(crate) fn u8(&mut self, value: u8) -> &mut Self {
        self.0.push(value);
        self
    }

    pub(crate) fn u32(&mut self, value: u32) -> &mut Self {
        self.0.extend(value.to_le_bytes());
        self
    }

    pub(crate) fn u64(&mut self, value: u64) -> &mut Self {
        self.0.extend(value.to_le_bytes());
        self
    }

    pub(crate) fn i64(&mut self, value: i64) -> &mut Self {
        self.0.extend(value.to_le_bytes());
        self
    }

    pub(crate) fn bytes(&mut self, value: impl AsRef<[u8]>) -> &mut Self {
        let value = value.as_ref();
        self.u64(value.len() as u64);
        self.0.extend(value);
        self
    }

    /// The number of items, then each.
    pub(crate) fn list<T>(
        &mut self,
        items: impl ExactSizeIterator<Item = T>,
        mut put: impl FnMut(&mut Self, T),
    ) -> &mut Self {
        self.u64(items.len() as u64);
        for item in items {
            put(self, item);
        }
        self
    }

    pub(crate) fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

/// Takes fields in the order in which they were put.
#[derive(Debug)]
pub(crate) struct Parts<'a>(&'a [u8]);

impl<'a> Parts<'a> {
    pub(crate) fn new(bytes: &'a [u8]) -> Self {
        Self(bytes)
    }

    fn take(&mut self, len: usize) -> io::Result<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(len).ok_or_else(short)?;
        self.0 = rest;
        Ok(taken)
    }

    fn array<const N: usize>(&mut self) -> io::Result<[u8; N]> {
        self.take(N)?.first_chunk().copied().ok_or_else(short)
    }

    pub(crate) fn u8(&mut self) -> io::Result<u8> {
        Ok(u8::from_le_bytes(self.array()?))
    }

    pub(crate) fn u32(&mut self) -> io::Result<u32> {
        Ok(u32::from_le_bytes(self.array()?))
    }

    pub(crate) fn u64(&mut self) -> io::Result<u64> {
        Ok(u64::from_le_bytes(self.array()?))
    }

    pub(crate) fn i64(&mut self) -> io::Result<i64> {
        Ok(i64::from_le_bytes(self.array()?))
    }

    pub(crate) fn bytes(&mut self) -> io::Result<Vec<u8>> {
        let len = usize::try_from(self.u64()?).map_err(|_| short())?;
        Ok(self.take(len)?.to_vec())
    }

    pub(crate) fn list<T>(
        &mut self,
        mut take: impl FnMut(&mut Self) -> io::Result<T>,
    ) -> io::Result<Vec<T>> {
        let count = self.u64()?;
        let mut items = Vec::new();
        for _ in 0..count {
            items.push(take(self)?);
        }
        Ok(items)
    }
}

fn short() -> io::Error {
    io::Error::new(
        io::ErrorKind::InvalidData,
        "a message of the sandbox is incomplete",
    )
}

/// Writes a frame.
pub(crate) fn send(stream: &mut impl Write, fields: &Fields) -> io::Result<()> {
    let payload = fields.as_bytes();
    let len = u32::try_from(payload.len())
        .ok()
        .filter(|_| payload.len() <= MAX_FRAME)
        .ok_or_else(|| {
            io::Error::new(
                io::ErrorKind::InvalidInput,
                "a message of the sandbox is over 32 MiB",
            )
        })?;
    stream.write_all(&len.to_le_bytes())?;
    stream.write_all(payload)
}

/// Reads a frame into `frame`; `false` where the other end is gone.
pub(crate) fn receive(stream: &mut impl Read, frame: &mut Vec<u8>) -> io::Result<bool> {
    let mut len = [0; 4];
    match stream.read_exact(&mut len) {
        Ok(()) => {}
        Err(error) if is_gone(&error) => return Ok(false),
        Err(error) => return Err(error),
    }
    let len = usize::try_from(u32::from_le_bytes(len)).map_err(|_| short())?;
    if len > MAX_FRAME {
        return Err(short());
    }
    frame.resize(len, 0);
    match stream.read_exact(frame) {
        Ok(()) => Ok(true),
        Err(error) if is_gone(&error) => Ok(false),
        Err(error) => Err(error),
    }
}

fn is_gone(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::UnexpectedEof | io::ErrorKind::ConnectionReset | io::ErrorKind::BrokenPipe
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_come_out_as_they_went_in() {
        let mut fields = Fields::new(7);
        fields.u32(1).u64(u64::MAX).i64(-2).bytes(b"x\0y");
        fields.list([1_u8, 2].into_iter(), |fields, item| {
            fields.u8(item);
        });
        let mut stream = Vec::new();
        send(&mut stream, &fields).unwrap();
        let mut frame = Vec::new();
        assert!(receive(&mut stream.as_slice(), &mut frame).unwrap());
        let mut parts = Parts::new(&frame);
        assert_eq!(parts.u8().unwrap(), 7);
        assert_eq!(parts.u32().unwrap(), 1);
        assert_eq!(parts.u64().unwrap(), u64::MAX);
        assert_eq!(parts.i64().unwrap(), -2);
        assert_eq!(parts.bytes().unwrap(), b"x\0y");
        assert_eq!(parts.list(Parts::u8).unwrap(), [1, 2]);
        assert!(parts.u8().is_err(), "nothing is left");
    }

    #[test]
    fn a_frame_that_was_cut_off_anywhere_is_the_end() {
        let mut stream = Vec::new();
        send(&mut stream, Fields::new(1).bytes(b"content")).unwrap();
        for len in 0..stream.len() {
            let cut = &stream[..len];
            assert!(
                !receive(&mut &cut[..], &mut Vec::new()).unwrap(),
                "cut at {len}"
            );
        }
    }

    #[test]
    fn a_frame_that_is_too_long_is_refused_before_it_is_read() {
        let error = receive(&mut &[0xff_u8; 8][..], &mut Vec::new()).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::InvalidData);
        assert!(send(&mut Vec::new(), Fields::new(1).bytes(vec![0; MAX_FRAME])).is_err());
    }
}
