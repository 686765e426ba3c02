//! From what happened to verdicts: expectations, the wire, the oracle.

pub mod matching;
pub mod oracle;
pub mod verdict;
