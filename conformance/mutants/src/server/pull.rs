//! Faults against the chapter `pull`.

use crate::Mutant;

/// The faults.
pub const MUTANTS: &[Mutant] = &[];
