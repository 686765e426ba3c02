//! Faults against the chapter `merge`.

use crate::Mutant;

/// The faults.
pub const MUTANTS: &[Mutant] = &[];
