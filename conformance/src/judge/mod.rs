//! From what happened to verdicts: expectations, the wire, the oracle.

pub mod conduct;
pub mod matching;
mod numbers;
pub mod oracle;
mod traffic;
pub mod passive;
pub mod verdict;
