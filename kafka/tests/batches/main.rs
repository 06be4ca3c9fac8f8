//! Record batches: what holds for all records, for all bytes, and against another implementation.

mod hostile;
mod records;
mod reference;
mod rules;
mod transcoding;
