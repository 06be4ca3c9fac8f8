//! The commands of the `ringmail` binary, one file for each.

pub mod config;
pub mod doctor;
mod output;
