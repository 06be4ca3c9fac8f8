//! What holds for all batches, all messages, and all bytes.

mod batches;
mod bytes;
mod forgeries;
mod messages;
mod records;
