//! What the benchmarks share: a server and a device in processes of
//! their own ([`server`], [`device`]), records to fill it with ([`records`]),
//! what a data set hosts
//! ([`hosted`]), what the system says of a process ([`process`]), and one way to print what was measured ([`report`]).
//!
//! Each benchmark is one file in `benches/`, measures a few rounds, and prints the median next to its target. Where it
//! makes sense, a bare loop that does the same work without the protocol is measured in the same run, and the ratio is
//! printed: a ratio is comparable between machines, a rate is not.

pub mod device;
pub mod files;
pub mod hosted;
pub mod plain;
pub mod process;
pub mod program;
pub mod records;
pub mod report;
pub mod server;

/// How often each thing is measured: 5 times, or as `FIELDSYNC_BENCH_ROUNDS` says.
pub fn rounds() -> usize {
    std::env::var("FIELDSYNC_BENCH_ROUNDS").ok().and_then(|rounds| rounds.parse().ok()).unwrap_or(5).max(1)
}

/// What goes wrong in a benchmark; it ends the program.
pub type Outcome<T = ()> = Result<T, Box<dyn std::error::Error + Send + Sync>>;
