//! Stored bytes that are not what was written: whatever is changed, a read gives what was appended or says that it is
//! damaged, nothing else is lost, and no file goes.

#[path = "../common/mod.rs"]
mod common;

mod every_byte;
mod flips;
mod lost_parts;
mod patched;
mod regressions;
mod replay;
mod small;
mod torn;
mod world;
