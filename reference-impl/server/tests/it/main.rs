//! A whole server on loopback, asked as a device asks it.

mod edge;
mod persistence;
mod subject;
mod sync;
