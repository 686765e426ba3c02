//! The reference server of Fieldsync: the rules of `fieldsync-core` over HTTP and SQLite.
//!
//! A push comes in at the edge ([`mod@http`]), which knows headers, tokens and sizes and nothing of records. Its batch
//! is read there, and handed to the one task that decides batches (`writer`), which loads what it touches, decides it
//! with the core, and commits it with all that wait ([`sqlite`]). A pull is answered from a snapshot, beside all that.
//!
//! Everything that a server is made of is handed to [`Server::start`] as [`Parts`]: storage, clock, ids, merge policies,
//! the core's rules, and whatever stands around the wire.

mod account;
mod auth;
mod backed_up;
pub mod blobs;
mod data_set;
mod domain;
pub mod http;
mod listen;
mod machine;
mod operate;
mod purge;
mod rules;
mod scope;
mod server;
pub mod sqlite;
mod writer;

pub use account::{AddUserError, add_user};
pub use auth::PasswordCost;
pub use blobs::{Blobs, Bucket};
pub use domain::{DomainFileError, domain_from_yaml};
pub use machine::{MachineClock, RandomIds};
pub use operate::{Claim, ClaimError, OperateError, give_scope, order_refetch, wipe};
pub use rules::{CoreRules, DecideRule, PullRule, ReadPushRule, Rules};
pub use server::{Parts, Running, Server, Settings, StartError};
pub use sqlite::backup::{BackupError, Restored, back_up, restore};
pub use sqlite::{OpenError, SqliteStore};
