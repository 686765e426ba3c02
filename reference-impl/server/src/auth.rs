//! Who is asking: passwords, and the tokens that stand for them.
//!
//! A token is a JWT that this server signed. An access token is good for 15 minutes, a refresh token for 30 days, and
//! each says which of the two it is. Both are judged by the clock of the data set that is asked.

use argon2::password_hash::{PasswordHasher, PasswordVerifier};
use argon2::{Algorithm, Argon2, Params, Version};
use fieldsync_core::clock::Ids;
use fieldsync_core::store::{Store, StoreError};
use fieldsync_schemas::id::Principal;
use fieldsync_schemas::login::TokenAnswer;
use fieldsync_schemas::time::Timestamp;
use jsonwebtoken::{DecodingKey, EncodingKey, Header, Validation};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::Semaphore;

const ACCESS: Duration = Duration::from_secs(15 * 60);
const REFRESH: Duration = Duration::from_secs(30 * 24 * 3600);
/// Argon2 takes memory by the megabyte: only a few passwords are hashed at once.
const AT_ONCE: usize = 2;

/// What hashing a password costs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PasswordCost {
    /// Memory, in KiB.
    pub memory_kib: u32,
    /// Passes over it.
    pub passes: u32,
}

impl PasswordCost {
    /// As cheap as argon2 can be: for tests, never for people.
    pub const LEAST: Self = Self { memory_kib: Params::MIN_M_COST, passes: 1 };

    fn argon2(self) -> Result<Argon2<'static>, HashError> {
        let params =
            Params::new(self.memory_kib, self.passes, 1, None).map_err(|error| HashError(error.to_string()))?;
        Ok(Argon2::new(Algorithm::Argon2id, Version::V0x13, params))
    }
}

impl Default for PasswordCost {
    /// As OWASP recommends it.
    fn default() -> Self {
        Self { memory_kib: 19 * 1024, passes: 2 }
    }
}

/// Why a password was not hashed.
#[derive(Debug, thiserror::Error)]
#[error("failed to hash a password: {0}")]
pub struct HashError(String);

/// Hashes a password at this cost, with a salt of its own.
pub(crate) fn hash_password(password: &str, cost: PasswordCost) -> Result<String, HashError> {
    let hash = cost.argon2()?.hash_password(password.as_bytes()).map_err(|error| HashError(error.to_string()))?;
    Ok(hash.to_string())
}

/// What a token is for. One is never taken for the other.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum TokenUse {
    Access,
    Refresh,
}

#[derive(Serialize, Deserialize)]
struct Claims {
    sub: String,
    #[serde(rename = "use")]
    token_use: TokenUse,
    /// Milliseconds, unlike the registered `exp`, because a data set's clock is exact to them.
    ends_at_ms: i64,
    jti: String,
}

/// Judges passwords and tokens.
pub(crate) struct Auth {
    store: Arc<dyn Store>,
    ids: Arc<dyn Ids>,
    cost: PasswordCost,
    sign: EncodingKey,
    verify: DecodingKey,
    validation: Validation,
    /// Logins that were right once, each as a hash of account and password, keyed by a secret that is never stored.
    right: Mutex<HashMap<String, [u8; 32]>>,
    pepper: [u8; 32],
    /// A login to an account that does not exist must take as long as one to an account that does.
    decoy: String,
    hashing: Arc<Semaphore>,
}

/// Why nobody could be told who is asking.
#[derive(Debug, thiserror::Error)]
pub(crate) enum AuthError {
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Hash(#[from] HashError),
    #[error("failed to sign a token: {0}")]
    Sign(#[from] jsonwebtoken::errors::Error),
    #[error("the task that hashes passwords was ended: {0}")]
    Task(#[from] tokio::task::JoinError),
}

impl Auth {
    pub(crate) async fn new(store: Arc<dyn Store>, ids: Arc<dyn Ids>, cost: PasswordCost) -> Result<Self, AuthError> {
        let secret = store.secret("tokens").await?;
        let mut validation = Validation::new(jsonwebtoken::Algorithm::HS256);
        validation.validate_exp = false;
        validation.validate_aud = false;
        validation.required_spec_claims.clear();
        Ok(Self {
            store,
            cost,
            sign: EncodingKey::from_secret(&secret),
            verify: DecodingKey::from_secret(&secret),
            validation,
            right: Mutex::default(),
            pepper: rand::random(),
            decoy: hash_password(&ids.unique(), cost)?,
            ids,
            hashing: Arc::new(Semaphore::new(AT_ONCE)),
        })
    }

    /// Makes an account, or gives it a new password.
    pub(crate) async fn put_account(&self, user: &str, password: &str) -> Result<(), AuthError> {
        let known = self.store.account(user).await?;
        if known.is_some_and(|hash| self.was_right(user, &hash, password)) {
            return Ok(());
        }
        let (cost, text) = (self.cost, password.to_owned());
        let hash = self.beside(move || hash_password(&text, cost)).await??;
        self.store.put_account(user, &hash).await?;
        self.remember(user, &hash, password);
        Ok(())
    }

    /// The principal whose password this is.
    pub(crate) async fn login(&self, user: &str, password: &str) -> Result<Option<Principal>, AuthError> {
        let account = self.store.account(user).await?;
        let known = account.is_some();
        let hash = account.unwrap_or_else(|| self.decoy.clone());
        if !(known && self.was_right(user, &hash, password)) {
            let (text, against) = (password.to_owned(), hash.clone());
            let right = self
                .beside(move || Argon2::default().verify_password(text.as_bytes(), against.as_str()).is_ok())
                .await?;
            if !(right && known) {
                return Ok(None);
            }
            self.remember(user, &hash, password);
        }
        Ok(Principal::new(user).ok())
    }

    /// Whether the account of this principal is still there.
    pub(crate) async fn exists(&self, principal: &Principal) -> Result<bool, AuthError> {
        Ok(self.store.account(principal.as_str()).await?.is_some())
    }

    /// Tokens for a principal, from now on.
    pub(crate) fn tokens(&self, principal: &Principal, now: Timestamp) -> Result<TokenAnswer, AuthError> {
        let expires_at = now.plus(ACCESS);
        Ok(TokenAnswer {
            access_token: self.token(principal, TokenUse::Access, expires_at)?,
            expires_at,
            refresh_token: Some(self.token(principal, TokenUse::Refresh, now.plus(REFRESH))?),
        })
    }

    /// Whose token this is, where it is for this use and good now.
    pub(crate) fn principal(&self, token: &str, token_use: TokenUse, now: Timestamp) -> Option<Principal> {
        let claims = jsonwebtoken::decode::<Claims>(token, &self.verify, &self.validation).ok()?.claims;
        let good = claims.token_use == token_use && now.as_millis() < claims.ends_at_ms;
        good.then(|| Principal::new(claims.sub).ok()).flatten()
    }

    fn token(&self, principal: &Principal, token_use: TokenUse, ends_at: Timestamp) -> Result<String, AuthError> {
        let claims =
            Claims { sub: principal.to_string(), token_use, ends_at_ms: ends_at.as_millis(), jti: self.ids.unique() };
        Ok(jsonwebtoken::encode(&Header::default(), &claims, &self.sign)?)
    }

    fn was_right(&self, user: &str, hash: &str, password: &str) -> bool {
        let right = self.right.lock().unwrap_or_else(PoisonError::into_inner);
        right.get(user) == Some(&self.mark(hash, password))
    }

    fn remember(&self, user: &str, hash: &str, password: &str) {
        let mark = self.mark(hash, password);
        self.right.lock().unwrap_or_else(PoisonError::into_inner).insert(user.to_owned(), mark);
    }

    fn mark(&self, hash: &str, password: &str) -> [u8; 32] {
        let mut mark = Sha256::new();
        mark.update(self.pepper);
        mark.update((hash.len() as u64).to_be_bytes());
        mark.update(hash);
        mark.update(password);
        mark.finalize().into()
    }

    async fn beside<T: Send + 'static>(&self, work: impl FnOnce() -> T + Send + 'static) -> Result<T, AuthError> {
        let seat = self.hashing.clone().acquire_owned().await.expect("the semaphore is never closed");
        let task = tokio::task::spawn_blocking(move || {
            let _seat = seat;
            work()
        });
        Ok(task.await?)
    }
}
