//! The records of one call in the making, and the state after them.

use bytes::Bytes;

use super::error::ControllerError;
use super::{CALL_BYTES_MAX, CALL_RECORDS_MAX};
use crate::metadata::apply::Delta;
use crate::metadata::image::Image;
use crate::metadata::record::MetadataRecord;
use crate::types::Offset;

/// The records of one call.
pub(super) struct Plan {
    delta: Delta,
    base_offset: Offset,
    values: Vec<Bytes>,
    bytes: usize,
}

impl Plan {
    /// No records yet.
    pub(super) fn new(image: &Image, base_offset: Offset) -> Self {
        Self { delta: Delta::new(image), base_offset, values: Vec::new(), bytes: 0 }
    }

    /// The state after the records so far.
    pub(super) const fn image(&self) -> &Image {
        self.delta.image()
    }

    /// Where the next record will stand.
    pub(super) fn next_offset(&self) -> Offset {
        self.base_offset.saturating_add_unsigned(self.values.len() as u64)
    }

    /// Adds the records of one item of the call, all or none.
    ///
    /// # Errors
    /// [`ControllerError::PolicyViolation`] if the call would write more than one batch should
    /// hold.
    pub(super) fn push(&mut self, records: Vec<MetadataRecord>) -> Result<(), ControllerError> {
        let values = self.encode(&records);
        let bytes: usize = values.iter().map(Bytes::len).sum();
        if self.values.len() + values.len() > CALL_RECORDS_MAX
            || self.bytes + bytes > CALL_BYTES_MAX
        {
            let message = "Unable to perform excessively large batch operation.";
            return Err(ControllerError::PolicyViolation(message.to_owned()));
        }
        self.put(records, values);
        Ok(())
    }

    /// Adds records that the broker needs for itself, however many.
    pub(super) fn push_own(&mut self, records: Vec<MetadataRecord>) {
        let values = self.encode(&records);
        self.put(records, values);
    }

    fn put(&mut self, records: Vec<MetadataRecord>, values: Vec<Bytes>) {
        self.bytes += values.iter().map(Bytes::len).sum::<usize>();
        self.values.extend(values);
        for record in records {
            self.delta.apply(record).expect("a record is checked against the state it is made for");
        }
    }

    fn encode(&self, records: &[MetadataRecord]) -> Vec<Bytes> {
        let level = self.image().features.metadata_version();
        records
            .iter()
            .map(|record| {
                record.encode(record.version_at(level)).expect("versions by level are known")
            })
            .collect()
    }

    /// The state after all records, and their values in the log.
    pub(super) fn into_parts(self) -> (Delta, Vec<Bytes>) {
        (self.delta, self.values)
    }
}
