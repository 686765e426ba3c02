//! Faults against the chapter `records`.

use crate::Mutant;

/// The faults.
pub const MUTANTS: &[Mutant] = &[];
