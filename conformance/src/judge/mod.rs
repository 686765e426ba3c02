//! From what happened to verdicts: expectations, the wire, the oracle.

pub mod conduct;
pub mod matching;
mod numbers;
pub mod oracle;
mod overrides;
pub mod passive;
mod traffic;
pub mod verdict;
