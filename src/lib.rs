//! Ringmail broker.
