//! Faults against the chapter `conflicts`.

use crate::Mutant;

/// The faults.
pub const MUTANTS: &[Mutant] = &[];
