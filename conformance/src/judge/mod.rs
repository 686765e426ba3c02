//! From what happened to verdicts: expectations, the wire, the oracle.

pub mod conduct;
pub mod matching;
pub mod oracle;
pub mod passive;
pub mod verdict;
