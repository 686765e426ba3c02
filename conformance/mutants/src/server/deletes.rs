//! Faults against the chapter `deletes`.

use crate::Mutant;

/// The faults.
pub const MUTANTS: &[Mutant] = &[];
