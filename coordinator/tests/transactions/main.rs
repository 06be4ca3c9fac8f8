//! The coordinator of transactions, driven by a host without a disk, a network or a clock.

mod adding;
mod bumping;
mod ending;
mod expiry;
mod host;
mod init;
mod listing;
mod random;
mod records;
mod recovery;
mod timeouts;
