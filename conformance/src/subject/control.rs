//! The control verbs of a server, called over HTTP.

use crate::subject::reach::why;
use fieldsync_schemas::control::{
    Account, Accounts, ClockShift, ControlDescription, DataSetRef, Grant, NewDataSet, NewDataSetAnswer, Reach,
    ReferenceChange, RefetchRequest, ScopeGrant, Verb,
};
use fieldsync_schemas::id::{RecordId, TypeName};
use fieldsync_schemas::pull::RecordRef;
use fieldsync_schemas::record::Data;
use fieldsync_schemas::registry::Profile;
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::collections::BTreeMap;
use url::Url;

/// What a control verb could not do.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the control verb {verb} failed: {reason}")]
pub struct ControlError {
    verb: String,
    reason: String,
}

/// The control verbs of one server.
#[derive(Clone)]
pub struct Control {
    url: Url,
    http: reqwest::Client,
    verbs: BTreeMap<Verb, Reach>,
    profiles: Vec<Profile>,
}

impl Control {
    /// Asks a server for its verbs.
    pub async fn discover(url: Url, http: reqwest::Client) -> Result<Self, ControlError> {
        let failed = |reason: String| ControlError { verb: "description".to_owned(), reason };
        let answer = http.get(url.clone()).send().await.map_err(|error| failed(format!("{url}: {}", why(&error))))?;
        let status = answer.status();
        let body = answer.bytes().await.map_err(|error| failed(why(&error)))?;
        if !status.is_success() {
            return Err(failed(format!("{url} answered {status}")));
        }
        let description: ControlDescription = serde_json::from_slice(&body)
            .map_err(|error| failed(format!("{url} did not describe its verbs: {error}")))?;
        let verbs = description.verbs.into_iter().map(|verb| (verb.verb, verb.reach)).collect();
        Ok(Self { url, http, verbs, profiles: description.profiles })
    }

    /// The profiles of which the server makes data sets.
    pub fn profiles(&self) -> &[Profile] {
        &self.profiles
    }

    /// What each verb that the server offers reaches.
    pub fn verbs(&self) -> &BTreeMap<Verb, Reach> {
        &self.verbs
    }

    /// Whether the server offers a verb.
    pub fn offers(&self, verb: &Verb) -> bool {
        self.verbs.contains_key(verb)
    }

    /// The same verbs at another URL, as after a restart on another port.
    pub fn moved(&self, url: Url) -> Self {
        Self { url, ..self.clone() }
    }

    /// Makes an empty data set; its base URL comes back whole.
    pub async fn new_data_set(&self, profile: &Profile, grants: Vec<Grant>) -> Result<(Url, String), ControlError> {
        let answer: NewDataSetAnswer =
            self.call(Verb::NewDataSet, &NewDataSet { profile: profile.clone(), grants }).await?;
        let base = self.url.join(&answer.base).map_err(|error| ControlError {
            verb: Verb::NewDataSet.to_string(),
            reason: format!("it named the base {:?}, which is no URL: {error}", answer.base),
        })?;
        Ok((base, answer.data_set))
    }

    /// Makes accounts.
    pub async fn accounts(&self, accounts: Vec<Account>) -> Result<(), ControlError> {
        self.call::<serde_json::Value>(Verb::Accounts, &Accounts { accounts }).await.map(drop)
    }

    /// Moves a data set's clock.
    pub async fn clock(&self, data_set: &str, offset_ms: i64) -> Result<(), ControlError> {
        let body = ClockShift { data_set: data_set.to_owned(), offset_ms };
        self.call::<serde_json::Value>(Verb::Clock, &body).await.map(drop)
    }

    /// Gives a user a scope: these places, or everything.
    pub async fn scope(&self, data_set: &str, user: &str, places: Option<Vec<RecordId>>) -> Result<(), ControlError> {
        let body = ScopeGrant { data_set: data_set.to_owned(), user: user.to_owned(), places };
        self.call::<serde_json::Value>(Verb::Scope, &body).await.map(drop)
    }

    /// Changes a reference record.
    pub async fn reference(&self, data_set: &str, record: RecordRef, data: Data) -> Result<(), ControlError> {
        let RecordRef { type_name, id } = record;
        let body = ReferenceChange { data_set: data_set.to_owned(), type_name, id, data };
        self.call::<serde_json::Value>(Verb::Reference, &body).await.map(drop)
    }

    /// Orders the devices of a user to pull once more from the beginning.
    pub async fn refetch(&self, data_set: &str, user: &str, types: Vec<TypeName>) -> Result<(), ControlError> {
        let body = RefetchRequest { data_set: data_set.to_owned(), user: user.to_owned(), types };
        self.call::<serde_json::Value>(Verb::Refetch, &body).await.map(drop)
    }

    /// Calls a verb that needs nothing but a data set.
    pub async fn on_data_set(&self, verb: Verb, data_set: &str) -> Result<(), ControlError> {
        self.call::<serde_json::Value>(verb, &DataSetRef { data_set: data_set.to_owned() }).await.map(drop)
    }

    async fn call<A: DeserializeOwned>(&self, verb: Verb, body: &impl Serialize) -> Result<A, ControlError> {
        let failed = |reason: String| ControlError { verb: verb.to_string(), reason };
        let mut url = self.url.clone();
        url.set_path(&format!("{}/{verb}", url.path().trim_end_matches('/')));
        let body = serde_json::to_vec(body).expect("a control message is plain JSON");
        let request = self.http.post(url).header("content-type", "application/json").body(body);
        let answer = request.send().await.map_err(|error| failed(why(&error)))?;
        let status = answer.status();
        let body = answer.bytes().await.map_err(|error| failed(why(&error)))?;
        if !status.is_success() {
            return Err(failed(format!("{status}: {}", String::from_utf8_lossy(&body))));
        }
        serde_json::from_slice(&body).map_err(|error| failed(format!("its answer cannot be read: {error}")))
    }
}
