//! The native protocol through its public door: a real broker, and a client that speaks raw frames.

mod bad_input;
#[allow(dead_code, reason = "other tests use the rest")]
mod broker;
mod catalog;
mod churn;
mod client;
mod fetch;
mod produce;
mod restart;
mod routing;
mod start;
mod subscribe;
