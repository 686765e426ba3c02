//! Faults against the chapter `status`.

use crate::Mutant;

/// The faults.
pub const MUTANTS: &[Mutant] = &[];
