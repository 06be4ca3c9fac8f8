//! The load generator of Ringmail.
//!
//! It starts a broker of its own, pinned to one core, loads it from another, and prints every result as a ratio to what
//! the machine itself can do at that moment ([`limits`]).

mod broker;
mod cli;
mod client;
mod cpu;
mod error;
mod limits;
mod load;
mod report;
mod scenarios;

fn main() -> std::process::ExitCode {
    cli::main()
}
