//! Hash maps whose order is the same in every run, so that a simulation can be repeated. Their keys are numbers that
//! the broker itself gives out: nobody outside can choose them to collide.

use ahash::AHasher;
use std::collections::{HashMap, HashSet};
use std::hash::BuildHasherDefault;

pub(crate) type Map<K, V> = HashMap<K, V, BuildHasherDefault<AHasher>>;
pub(crate) type Set<K> = HashSet<K, BuildHasherDefault<AHasher>>;
