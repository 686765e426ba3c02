//! Accounts, grants and secrets.

use super::Failure;
use fieldsync_core::store::{DataSetName, Grant};
use fieldsync_schemas::session::Role;
use rusqlite::{Connection, OptionalExtension};

pub(super) fn account(connection: &Connection, user: &str) -> Result<Option<String>, Failure> {
    Ok(connection
        .prepare_cached("SELECT password_hash FROM accounts WHERE user = ?1")?
        .query_row([user], |row| row.get(0))
        .optional()?)
}

pub(super) fn put_account(connection: &Connection, user: &str, password_hash: &str) -> Result<(), Failure> {
    connection.prepare_cached("INSERT OR REPLACE INTO accounts VALUES (?1, ?2)")?.execute((user, password_hash))?;
    Ok(())
}

pub(super) fn grant(connection: &Connection, data_set: &DataSetName, user: &str) -> Result<Option<Role>, Failure> {
    let role: Option<String> = connection
        .prepare_cached("SELECT role FROM grants WHERE data_set = ?1 AND user = ?2")?
        .query_row((&data_set.0, user), |row| row.get(0))
        .optional()?;
    Ok(role.map(|role| Role::from(role.as_str())))
}

pub(super) fn put_grants(connection: &Connection, grants: &[Grant]) -> Result<(), Failure> {
    let mut statement = connection.prepare_cached("INSERT OR REPLACE INTO grants VALUES (?1, ?2, ?3)")?;
    for Grant { data_set, user, role } in grants {
        statement.execute((&data_set.0, user, role.as_str()))?;
    }
    Ok(())
}

pub(super) fn secret(connection: &Connection, name: &str) -> Result<Option<[u8; 32]>, Failure> {
    Ok(connection
        .prepare_cached("SELECT secret FROM secrets WHERE name = ?1")?
        .query_row([name], |row| row.get(0))
        .optional()?)
}

/// Whoever comes second finds what the first one made.
pub(super) fn make_secret(connection: &Connection, name: &str) -> Result<[u8; 32], Failure> {
    let fresh: [u8; 32] = rand::random();
    connection.prepare_cached("INSERT OR IGNORE INTO secrets VALUES (?1, ?2)")?.execute((name, fresh))?;
    secret(connection, name)?.ok_or_else(|| "the secret was not kept".into())
}
