//! The rules of Fieldsync, without I/O, clock or randomness of their own.
//!
//! The server's half: a batch is read ([`push::read`]), what it touches is loaded, it is decided ([`push::decide`]),
//! and what was decided is committed; a pull is answered from one snapshot ([`pull::answer`]).

pub mod attachment;
pub mod canonical;
pub mod clock;
pub mod conflict;
pub mod cursor;
pub mod data;
pub mod device;
pub mod digest;
pub mod epoch;
pub mod links;
pub mod merge;
pub mod partition;
pub mod policy;
pub mod problem;
pub mod pull;
pub mod push;
pub mod registry;
pub mod scope;
pub mod session;
pub mod store;
pub mod telemetry;
