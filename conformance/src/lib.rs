//! The conformance suite: judges any server and any device against the specification.
//!
//! A scenario flows from top to bottom and never back: what a fixture says, what plugs in, what passes on the wire, what
//! happened, what that means, and how it is told.

pub mod baseline;
pub mod broken;
pub mod cleanup;
pub mod doctor;
mod embedded;
pub mod har;
pub mod harness;
pub mod judge;
pub mod merge;
pub mod pace;
pub mod replay;
pub mod report;
pub mod run;
pub mod scenario;
pub mod shown;
pub mod site;
pub mod spec;
pub mod subject;
pub mod tap;
#[cfg(test)]
mod tls_server;
pub mod trace;
