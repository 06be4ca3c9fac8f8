//! The ringmail binary.
fn main() {}
