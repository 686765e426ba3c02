//! Faults against the chapter `push`.

use crate::Mutant;

/// The faults.
pub const MUTANTS: &[Mutant] = &[];
