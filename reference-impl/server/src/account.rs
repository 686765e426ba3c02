//! Accounts that are made without a running server.

use crate::auth::{self, HashError, PasswordCost};
use fieldsync_core::store::{DataSetName, Grant, Store, StoreError};
use fieldsync_schemas::id::{InvalidId, Principal};
use fieldsync_schemas::session::Role;

/// Why an account was not made.
#[derive(Debug, thiserror::Error)]
pub enum AddUserError {
    /// The name cannot be a principal.
    #[error("the name of an account cannot be used: {0}")]
    Name(#[from] InvalidId),
    /// The password is empty or too long.
    #[error("a password has 1 to 1024 bytes; this one has {0}")]
    Password(usize),
    /// Hashing failed.
    #[error(transparent)]
    Hash(#[from] HashError),
    /// The storage failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Adds an account with its roles, or gives it a new password and further ones. A data set need not be there yet.
pub async fn add_user(
    store: &dyn Store,
    user: &str,
    password: &str,
    cost: PasswordCost,
    grants: &[(DataSetName, Role)],
) -> Result<(), AddUserError> {
    Principal::new(user)?;
    if !(1..=1024).contains(&password.len()) {
        return Err(AddUserError::Password(password.len()));
    }
    store.put_account(user, &auth::hash_password(password, cost)?).await?;
    let grant = |(data_set, role): &(DataSetName, Role)| Grant {
        data_set: data_set.clone(),
        user: user.to_owned(),
        role: role.clone(),
    };
    Ok(store.put_grants(grants.iter().map(grant).collect()).await?)
}
