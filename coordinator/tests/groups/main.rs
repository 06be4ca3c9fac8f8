//! What clients see of the coordinator of groups.

mod client;
mod host;

mod administration;
mod assignment;
mod commits;
mod expiry;
mod joining;
mod limits;
mod random;
mod records;
mod restart;
mod sessions;
mod static_members;
mod transactions;
