//! Ringmail's code under a seeded scheduler that owns time, disk, network and crashes.
//!
//! A **world** drives code that ships and checks what it does against a model. It is built from four parts that know
//! nothing of what is tested: random numbers ([`rng`]), an order of events in simulated time ([`schedule`]), a disk that
//! fails and crashes ([`disk`]), and a record of what happened ([`trace`]). A seed is all there is to a run: the same
//! seed gives the same events, and the same hash of them, on any machine and in any process.

#![forbid(unsafe_code)]

#[cfg(ringmail_canaries)]
pub mod canaries;
pub mod check;
pub mod disk;
pub mod engine;
pub mod figures;
pub mod node;
pub mod rng;
pub mod run;
pub mod schedule;
pub mod trace;
