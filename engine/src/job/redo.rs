//! What the journal holds of a segment, laid over what its file holds.

use bytes::Bytes;

use super::log_state::LogState;
use super::segment_scan::{FoundSegment, Patch};
use super::{damage, failure};
use crate::io::{Env, File};
use crate::journal::replay::Redo;
use crate::limits::{BLOCK_BYTES, READ_BYTES_MAX};
use crate::log::scan::Stop;
use crate::memory::{align_down, align_up};
use crate::shard::event::DiskFailure;

impl<F: File> FoundSegment<F> {
    /// Scans the file and lays redo over it, in turns: where the file is not valid the journal may
    /// go on, and behind that the file may be valid again. Returns the redo that begins behind the
    /// valid end, if any is left: bytes are missing before it.
    pub async fn complete<'r>(
        &mut self,
        redo: &'r [Redo],
        state: &mut LogState,
    ) -> Result<Option<&'r Redo>, DiskFailure> {
        loop {
            self.scan(state).await?;
            let is_beyond = |item: &&Redo| !item.bytes.is_empty() && item.end() > self.end;
            let Some(next) = redo.iter().find(is_beyond) else { return Ok(None) };
            // An earlier item may end what a later one has begun before.
            let fits = |item: &&Redo| item.position <= self.end && item.end() > self.end;
            let Some(item) = redo.iter().find(fits) else { return Ok(Some(next)) };
            self.patch(item, state)?;
        }
    }

    /// Extends the valid content by what an item holds beyond it.
    fn patch(&mut self, item: &Redo, state: &mut LogState) -> Result<(), DiskFailure> {
        let position = self.end;
        let skip = usize::try_from(position - item.position).unwrap_or(usize::MAX);
        let rest = item.bytes.slice(skip.min(item.bytes.len())..);
        let mut scanner = self.scanner(false);
        scanner.feed(&rest, |batch| self.take(&batch, state));
        let end = scanner.finish();
        if end.stop != Stop::CleanEnd {
            let reason = format!(
                "the journal's bytes for position {} do not go on at {position}: {:?} at {}",
                item.position, end.stop, end.position
            );
            return Err(damage("recover", &self.path, reason));
        }
        match self.patches.last_mut() {
            Some(last) if last.end == position => {
                last.parts.push(rest);
                last.end = self.end;
            }
            _ => self.patches.push(Patch { position, parts: vec![rest], end: self.end }),
        }
        Ok(())
    }

    /// Has the file keep the room behind its content, if there is nothing but that: more will follow, and to
    /// cut it costs as much as to reserve it again.
    pub async fn keep_room(&mut self) -> Result<(), DiskFailure> {
        // What is lost stays as it is, and no room for more.
        if let Some(file) = self.file.as_ref().filter(|_| !self.keeps_rest) {
            self.keeps_room =
                self.stop == Stop::ZeroTail && self.first_of_rest(file).await?.is_none();
        }
        Ok(())
    }

    /// Writes the patches into the file, cuts it to its content, and flushes it. Says whether
    /// anything had to be done.
    pub async fn repair<E: Env<File = F>>(&mut self, env: &E) -> Result<bool, DiskFailure> {
        let Some(file) = self.file.clone() else { return Ok(false) };
        let is_long = self.file_bytes != self.end && !self.keeps_rest && !self.keeps_room;
        if self.patches.is_empty() && !is_long {
            // What a killed process has written may not have been flushed.
            file.sync_data().await.map_err(|error| failure("flush", &self.path, error))?;
            return Ok(false);
        }
        for patch in std::mem::take(&mut self.patches) {
            let written = write_patch(env, &file, &patch).await;
            written.map_err(|error| failure("write", &self.path, error))?;
        }
        if is_long {
            file.truncate(self.end).await.map_err(|error| failure("cut", &self.path, error))?;
        }
        file.sync_data().await.map_err(|error| failure("flush", &self.path, error))?;
        if !self.keeps_room {
            self.file_bytes = self.end;
        }
        Ok(true)
    }
}

/// Writes a patch in whole blocks; what else stands in its first and last block stays.
async fn write_patch<E: Env>(env: &E, file: &E::File, patch: &Patch) -> std::io::Result<()> {
    let mut parts = patch.parts.iter().cloned();
    let mut part = Bytes::new();
    let (mut at, end) = (align_down(patch.position), align_up(patch.end));
    while at < end {
        let len = (end - at).min(READ_BYTES_MAX as u64);
        let mut buffer = env.pool().buffer(usize::try_from(len).unwrap_or(READ_BYTES_MAX));
        buffer.as_mut_slice().fill(0);
        let blocks = [at, at + len - BLOCK_BYTES as u64];
        for block in blocks {
            let is_partial = block < patch.position || block + BLOCK_BYTES as u64 > patch.end;
            if is_partial {
                let old = file.read_at(block, BLOCK_BYTES).await?;
                let place = usize::try_from(block - at).unwrap_or_default();
                if let Some(target) = buffer.as_mut_slice().get_mut(place..place + old.len()) {
                    target.copy_from_slice(&old);
                }
            }
        }
        let mut to = usize::try_from(patch.position.saturating_sub(at)).unwrap_or_default();
        while to < buffer.len() {
            if part.is_empty() {
                let Some(next) = parts.next() else { break };
                part = next;
            }
            let count = part.len().min(buffer.len() - to);
            let source = part.split_to(count);
            if let Some(target) = buffer.as_mut_slice().get_mut(to..to + count) {
                target.copy_from_slice(&source);
            }
            to += count;
        }
        file.write_at(at, vec![buffer.into_piece()]).await?;
        at += len;
    }
    Ok(())
}
