//! The `ringmail` binary: the broker and its command line.

use std::process::ExitCode;

fn main() -> ExitCode {
    ringmail::cli::main()
}
