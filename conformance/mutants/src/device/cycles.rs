//! Faults against the chapter `cycles`.

use crate::Mutant;

/// The faults.
pub const MUTANTS: &[Mutant] = &[];
