//! An ordinary file for the engine's code that reads files, which waits for nothing here.

use std::fs;
use std::future::Future;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::pin::pin;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};

use bytes::Bytes;
use millrace_engine::io::File;
use millrace_engine::memory::Piece;

/// A file that is only read.
#[derive(Debug, Clone)]
pub(super) struct PlainFile(Rc<fs::File>);

impl PlainFile {
    pub(super) fn open(path: &Path) -> io::Result<Self> {
        let file = fs::File::open(path).map_err(|error| {
            io::Error::new(error.kind(), format!("{}: {error}", path.display()))
        })?;
        Ok(Self(Rc::new(file)))
    }
}

fn refused() -> io::Error {
    io::Error::new(io::ErrorKind::Unsupported, "the file is only read")
}

impl File for PlainFile {
    async fn read_at(&self, position: u64, len: usize) -> io::Result<Bytes> {
        let mut bytes = vec![0; len];
        let mut filled = 0;
        while let Some(rest) = bytes.get_mut(filled..).filter(|rest| !rest.is_empty()) {
            match self.0.read_at(rest, position + filled as u64)? {
                0 => break,
                read => filled += read,
            }
        }
        bytes.truncate(filled);
        Ok(bytes.into())
    }

    async fn write_at(&self, _: u64, _: Vec<Piece>) -> io::Result<()> {
        Err(refused())
    }

    async fn sync_data(&self) -> io::Result<()> {
        Err(refused())
    }

    async fn allocate(&self, _: u64) -> io::Result<()> {
        Err(refused())
    }

    async fn truncate(&self, _: u64) -> io::Result<()> {
        Err(refused())
    }

    async fn size(&self) -> io::Result<u64> {
        Ok(self.0.metadata()?.len())
    }

    async fn written_end(&self) -> io::Result<u64> {
        self.size().await
    }
}

/// The result of a future that waits for nothing but such files.
pub(super) fn at_once<T>(future: impl Future<Output = T>) -> T {
    let mut future = pin!(future);
    let mut context = Context::from_waker(Waker::noop());
    loop {
        if let Poll::Ready(result) = future.as_mut().poll(&mut context) {
            return result;
        }
    }
}
