//! What is there after the end.

use crate::subject::{create, start, start_with};
use async_trait::async_trait;
use fieldsync_core::store::{
    Assignment, Commit, DataSetName, DataSetRow, Grant, Loaded, Rescope, Snapshot, State, Store, StoreError, Touched,
};
use fieldsync_schemas::id::{Epoch, FeedName, Principal, RecordId};
use fieldsync_schemas::session::{RefetchOrder, Role};
use fieldsync_schemas::time::Timestamp;
use fieldsync_server::Parts;
use http::Request;
use http_body_util::BodyExt;
use reqwest::Method;
use serde_json::json;
use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

#[tokio::test]
async fn what_was_answered_is_there_after_a_kill() {
    let dir = tempfile::tempdir().unwrap();
    let batch = create("r1", "m1", "o1");
    let subject = start(dir.path()).await;
    let first = subject.push(&batch).await;
    let pulled = subject.pull(json!({ "observation": null })).await;
    subject.running.kill();
    assert!(subject.post("/push", batch.clone()).send().await.is_err());
    subject.running.ended().await;

    let mut again = start(dir.path()).await;
    assert_eq!(again.push(&batch).await["outcomes"], first["outcomes"]);
    // Tokens and cursors outlive the process, too.
    again.token = subject.token;
    let cursor = &pulled["feeds"][0]["cursor"];
    assert_eq!(again.pull(json!({ "observation": cursor })).await["feeds"], json!([]));
    again.running.stop().await;
}

#[tokio::test]
async fn a_request_of_the_same_process_is_answered_as_over_a_connection_until_the_end() {
    let dir = tempfile::tempdir().unwrap();
    let subject = start(dir.path()).await;
    let over_http = subject.request(Method::GET, "").send().await.unwrap();
    let ask = || {
        let request = Request::get(format!("/{}", subject.data_set)).header("fieldsync-version", "2026-12-01");
        subject.running.answer(request.body(String::new()).unwrap())
    };
    let inside = ask().await.unwrap();
    let (mut headers, mut expected) = (inside.headers().clone(), over_http.headers().clone());
    for of_connection_or_moment in ["content-length", "fieldsync-request-id", "date"] {
        assert!(expected.remove(of_connection_or_moment).is_some(), "{of_connection_or_moment}");
        headers.remove(of_connection_or_moment);
    }
    assert_eq!((inside.status(), &headers), (over_http.status(), &expected));
    assert_eq!(inside.into_body().collect().await.unwrap().to_bytes(), over_http.bytes().await.unwrap());
    let begun = ask();
    subject.running.kill();
    assert!(begun.await.is_none(), "what was begun gets no answer");
    assert!(ask().await.is_none());
    subject.running.ended().await;
}

#[tokio::test]
async fn a_kill_by_control_answers_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let subject = start(dir.path()).await;
    let url = format!("{}/control/kill", subject.running.base_url());
    assert!(subject.http.post(url).send().await.is_err());
    subject.running.ended().await;
}

#[tokio::test]
async fn a_commit_that_fails_is_no_outcome() {
    let dir = tempfile::tempdir().unwrap();
    let full = Arc::new(AtomicBool::new(true));
    let disk = full.clone();
    let subject = start_with(dir.path(), |parts| {
        let store = Arc::new(FullDisk { inner: parts.store.clone(), full: disk });
        Parts { store, ..parts }
    })
    .await;
    let batch = create("r1", "m1", "o1");
    let problem = crate::subject::read(subject.post("/push", batch.clone()).send().await.unwrap(), 500).await;
    assert_eq!((&problem["code"], &problem["retry"]), (&json!("internal"), &json!("same")));
    full.store(false, Ordering::Relaxed);
    assert_eq!(subject.push(&batch).await["replayed"], false);
}

/// A storage that cannot commit while its disk is full.
struct FullDisk {
    inner: Arc<dyn Store>,
    full: Arc<AtomicBool>,
}

#[async_trait]
impl Store for FullDisk {
    async fn load(&self, touched: &[Touched]) -> Result<Vec<Loaded>, StoreError> {
        self.inner.load(touched).await
    }
    async fn commit(&self, commits: Vec<Commit>) -> Result<(), StoreError> {
        if self.full.load(Ordering::Relaxed) {
            return Err(StoreError { doing: "commit batches", source: "the disk is full".into() });
        }
        self.inner.commit(commits).await
    }
    async fn snapshot(&self, data_set: &DataSetName, principal: &Principal) -> Result<Box<dyn Snapshot>, StoreError> {
        self.inner.snapshot(data_set, principal).await
    }
    async fn assignment(&self, data_set: &DataSetName, user: &str) -> Result<Assignment, StoreError> {
        self.inner.assignment(data_set, user).await
    }
    async fn scoped(&self) -> Result<HashSet<DataSetName>, StoreError> {
        self.inner.scoped().await
    }
    async fn scopes(&self, data_set: &DataSetName) -> Result<Vec<(String, Vec<RecordId>)>, StoreError> {
        self.inner.scopes(data_set).await
    }
    async fn rescope(
        &self,
        data_set: &DataSetName,
        states: Vec<State>,
        scopes: Vec<Rescope>,
    ) -> Result<(), StoreError> {
        self.inner.rescope(data_set, states, scopes).await
    }
    async fn put_refetch(&self, data_set: &DataSetName, user: &str, order: &RefetchOrder) -> Result<(), StoreError> {
        self.inner.put_refetch(data_set, user, order).await
    }
    async fn forget(&self, data_set: &DataSetName, feed: &FeedName, before: Timestamp) -> Result<(), StoreError> {
        self.inner.forget(data_set, feed, before).await
    }
    async fn backed_up(&self) -> Result<Vec<(DataSetName, Epoch, u64)>, StoreError> {
        self.inner.backed_up().await
    }
    async fn back_up(&self, data_set: &DataSetName) -> Result<u64, StoreError> {
        self.inner.back_up(data_set).await
    }
    async fn restore(&self, data_set: &DataSetName, epoch: &Epoch) -> Result<Option<DataSetRow>, StoreError> {
        self.inner.restore(data_set, epoch).await
    }
    async fn wipe(&self, data_set: &DataSetName, epoch: &Epoch, seeds: Vec<State>) -> Result<DataSetRow, StoreError> {
        self.inner.wipe(data_set, epoch, seeds).await
    }
    async fn data_sets(&self) -> Result<Vec<DataSetRow>, StoreError> {
        self.inner.data_sets().await
    }
    async fn put_data_set(&self, row: &DataSetRow, seeds: Vec<State>) -> Result<(), StoreError> {
        self.inner.put_data_set(row, seeds).await
    }
    async fn account(&self, user: &str) -> Result<Option<String>, StoreError> {
        self.inner.account(user).await
    }
    async fn put_account(&self, user: &str, password_hash: &str) -> Result<(), StoreError> {
        self.inner.put_account(user, password_hash).await
    }
    async fn grant(&self, data_set: &DataSetName, user: &str) -> Result<Option<Role>, StoreError> {
        self.inner.grant(data_set, user).await
    }
    async fn put_grants(&self, grants: Vec<Grant>) -> Result<(), StoreError> {
        self.inner.put_grants(grants).await
    }
    async fn secret(&self, name: &str) -> Result<[u8; 32], StoreError> {
        self.inner.secret(name).await
    }
}
