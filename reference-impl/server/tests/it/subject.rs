//! A server to ask, and ways to ask it.

use fieldsync_core::store::DataSetName;
use fieldsync_schemas::session::Role;
use fieldsync_server::{Parts, PasswordCost, Running, Server, Settings, SqliteStore, add_user, domain_from_yaml};
use reqwest::{Method, RequestBuilder, Response};
use serde_json::{Value, json};
use std::path::Path;
use std::sync::Arc;
use tokio::net::TcpListener;

const DOMAIN: &str = include_str!("../../../../fixtures/domain/version-wins.yaml");

pub struct Subject {
    pub running: Running,
    pub data_set: String,
    pub token: String,
    pub http: reqwest::Client,
}

/// A server over this directory, with control, and `amina` logged in.
pub async fn start(dir: &Path) -> Subject {
    start_with(dir, |parts| parts).await
}

pub async fn start_with(dir: &Path, change: impl FnOnce(Parts) -> Parts) -> Subject {
    let store = Arc::new(SqliteStore::open(dir).unwrap());
    let data_set = DataSetName("version_wins".to_owned());
    for (user, role) in [("amina", Role::ReadWrite), ("reader", Role::ReadOnly)] {
        add_user(&*store, user, "right", PasswordCost::LEAST, &[(data_set.clone(), role)]).await.unwrap();
    }
    add_user(&*store, "stranger", "right", PasswordCost::LEAST, &[]).await.unwrap();
    let mut settings = Settings::new(vec![domain_from_yaml(DOMAIN).unwrap()]);
    settings.control = true;
    settings.password_cost = PasswordCost::LEAST;
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let running = Server::start(settings, change(Parts::standard(store).unwrap()), listener).await.unwrap();
    let http = reqwest::Client::new();
    let mut subject = Subject { running, data_set: data_set.0, token: String::new(), http };
    subject.token = subject.login("amina").await["access_token"].as_str().unwrap().to_owned();
    subject
}

impl Subject {
    pub fn url(&self, path: &str) -> String {
        format!("{}/{}{path}", self.running.base_url(), self.data_set)
    }

    pub fn request(&self, method: Method, path: &str) -> RequestBuilder {
        self.http
            .request(method, self.url(path))
            .header("fieldsync-version", "2026-12-01")
            .header("content-type", "application/json")
    }

    pub fn post(&self, path: &str, body: String) -> RequestBuilder {
        self.request(Method::POST, path).bearer_auth(&self.token).body(body)
    }

    pub async fn login(&self, user: &str) -> Value {
        let body = json!({ "user": user, "password": "right" }).to_string();
        read(self.request(Method::POST, "/login").body(body).send().await.unwrap(), 200).await
    }

    pub async fn push(&self, body: &str) -> Value {
        read(self.post("/push", body.to_owned()).send().await.unwrap(), 200).await
    }

    pub async fn pull(&self, feeds: Value) -> Value {
        let body = json!({ "replica": "r1", "feeds": feeds }).to_string();
        read(self.post("/pull", body).send().await.unwrap(), 200).await
    }

    pub async fn control(&self, verb: &str, body: Value) -> Value {
        let url = format!("{}/control/{verb}", self.running.base_url());
        let request = self.http.post(url).header("content-type", "application/json").body(body.to_string());
        read(request.send().await.unwrap(), 200).await
    }
}

/// The answer's JSON, once its status is this one.
pub async fn read(response: Response, status: u16) -> Value {
    let got = response.status().as_u16();
    let text = response.text().await.unwrap();
    assert_eq!(got, status, "{text}");
    serde_json::from_str(&text).unwrap()
}

pub fn create(replica: &str, mutation: &str, record: &str) -> String {
    json!({ "replica": replica, "seq": 1, "previous": null, "mutations": [change(mutation, "create", record)] })
        .to_string()
}

pub fn change(mutation: &str, op: &str, record: &str) -> Value {
    json!({
        "mutation_id": mutation, "op": op, "type": "observation", "id": record, "base": null,
        "version": 1, "modified_at": "2026-12-01T08:00:00.000Z", "data": { "note": "fever" }
    })
}
