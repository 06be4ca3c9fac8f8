//! Groups of the new protocol (KIP-848), as their members see them.

mod administration;
mod assignment;
mod changeover;
mod classic_client;
mod fencing;
mod harness;
mod membership;
mod patterns;
mod random;
mod random_changeover;
mod reconciliation;
mod records;
