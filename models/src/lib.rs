//! What threads of the broker share without a lock, explored in all orders of their steps.
//!
//! The files are the broker's own: they name what they synchronise by as `crate::sync`, which here is loom's.

#[path = "../../src/gateway/count.rs"]
pub mod count;
#[path = "../../src/runtime/plan.rs"]
pub mod plan;
#[path = "../../src/runtime/request.rs"]
pub mod request;

mod sync {
    pub(crate) use loom::sync::{Arc, Mutex, atomic};
}
