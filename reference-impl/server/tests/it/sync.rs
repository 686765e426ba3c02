//! Push, pull, and what control does to them.

use crate::subject::{change, create, read, start};
use reqwest::Method;
use serde_json::{Value, json};
use std::sync::Arc;

fn ids(answer: &Value, feed: &str) -> Vec<String> {
    let page = answer["feeds"].as_array().unwrap().iter().find(|page| page["feed"] == feed);
    let changes = page.map(|page| page["changes"].as_array().unwrap().clone()).unwrap_or_default();
    changes
        .iter()
        .map(|change| format!("{} {}", change["op"].as_str().unwrap(), change["record"]["id"].as_str().unwrap()))
        .collect()
}

fn cursor(answer: &Value, feed: &str) -> Value {
    answer["feeds"].as_array().unwrap().iter().find(|page| page["feed"] == feed).unwrap()["cursor"].clone()
}

#[tokio::test]
async fn what_is_pushed_is_pulled_and_a_replay_changes_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let subject = start(dir.path()).await;
    let batch = create("r1", "m1", "o1");
    let first = subject.push(&batch).await;
    assert_eq!(first["outcomes"][0]["outcome"], "applied");
    assert_eq!(first["replayed"], false);
    let again = subject.push(&batch).await;
    assert_eq!(again["replayed"], true);
    assert_eq!(again["outcomes"], first["outcomes"]);

    let all = subject.pull(json!({ "place": null, "observation": null })).await;
    assert_eq!(ids(&all, "observation"), ["put o1"]);
    assert_eq!(ids(&all, "place"), ["put north", "put south"]);
    assert_eq!(all["session"], first["session"]);
    let known = json!({ "place": cursor(&all, "place"), "observation": cursor(&all, "observation") });
    assert_eq!(subject.pull(known).await["feeds"], json!([]));
}

#[tokio::test]
async fn the_same_batch_twice_at_once_is_taken_once() {
    let dir = tempfile::tempdir().unwrap();
    let subject = Arc::new(start(dir.path()).await);
    let batch = create("r1", "m1", "o1");
    let pushes: Vec<_> = (0..8)
        .map(|_| {
            let (subject, batch) = (subject.clone(), batch.clone());
            tokio::spawn(async move { subject.push(&batch).await })
        })
        .collect();
    let mut fresh = 0;
    let mut answers = Vec::new();
    for push in pushes {
        let mut answer = push.await.unwrap();
        fresh += usize::from(answer["replayed"] == false);
        answer.as_object_mut().unwrap().remove("replayed");
        answers.push(answer);
    }
    assert_eq!(fresh, 1);
    assert!(answers.iter().all(|answer| *answer == answers[0]));
}

#[tokio::test]
async fn batches_decided_together_see_one_another() {
    let dir = tempfile::tempdir().unwrap();
    let subject = Arc::new(start(dir.path()).await);
    // Held, the three wait and are then decided in one round.
    let data_set = json!({ "data_set": subject.data_set });
    subject.control("hold_commit", data_set.clone()).await;
    let pushes: Vec<_> = ["a", "b", "c"]
        .into_iter()
        .map(|replica| {
            let subject = subject.clone();
            tokio::spawn(async move { subject.push(&create(replica, &format!("m-{replica}"), "o1")).await })
        })
        .collect();
    // A pull goes on while the commit is held.
    assert_eq!(ids(&subject.pull(json!({ "observation": null })).await, "observation"), Vec::<String>::new());
    subject.control("release_commit", data_set).await;
    let mut outcomes = Vec::new();
    for push in pushes {
        outcomes.push(push.await.unwrap()["outcomes"][0]["outcome"].as_str().unwrap().to_owned());
    }
    outcomes.sort();
    assert_eq!(outcomes, ["applied", "duplicate", "duplicate"]);
}

#[tokio::test]
async fn a_mutation_id_is_not_freed_by_a_second_use_that_cannot_be_read() {
    let dir = tempfile::tempdir().unwrap();
    let subject = start(dir.path()).await;
    let first = subject.push(&create("r1", "m1", "o1")).await;
    let mut bad = change("m1", "create", "o1");
    bad["data"] = json!({ "n": 9_007_199_254_740_993_u64 });
    let batch = json!({ "replica": "r2", "seq": 1, "previous": null, "mutations": [bad] }).to_string();
    let outcome = &subject.push(&batch).await["outcomes"][0];
    assert_eq!(outcome["problem"]["code"], "mutation-id-reused");
    let known = subject.push(&create("r3", "m1", "o1")).await;
    assert_eq!(known["outcomes"], first["outcomes"]);
}

#[tokio::test]
async fn purged_tombstones_expire_cursors_before_them() {
    let dir = tempfile::tempdir().unwrap();
    let subject = start(dir.path()).await;
    let created = subject.push(&create("r1", "m1", "o1")).await;
    let before = subject.pull(json!({ "observation": null })).await;
    let mut delete = change("m2", "delete", "o1");
    delete["base"] = created["outcomes"][0]["rev"].clone();
    delete["version"] = json!(2);
    let batch = json!({ "replica": "r1", "seq": 2, "previous": created["token"], "mutations": [delete] });
    assert_eq!(subject.push(&batch.to_string()).await["outcomes"][0]["outcome"], "applied");
    let at_tombstone = subject.pull(json!({ "observation": cursor(&before, "observation") })).await;
    assert_eq!(ids(&at_tombstone, "observation"), ["tombstone o1"]);

    subject.control("horizon", json!({ "data_set": subject.data_set })).await;
    let old = json!({ "replica": "r1", "feeds": { "observation": cursor(&before, "observation") } });
    let problem = read(subject.post("/pull", old.to_string()).send().await.unwrap(), 410).await;
    assert_eq!(problem["code"], "cursor-expired");
    assert_eq!(problem["feeds"], json!(["observation"]));
    // Whoever saw the tombstone, or begins anew, goes on.
    subject.pull(json!({ "observation": cursor(&at_tombstone, "observation") })).await;
    let anew = subject.pull(json!({ "observation": null })).await;
    assert_eq!(anew["feeds"][0]["changes"], json!([]));
    assert_ne!(anew["feeds"][0]["more"], true);
    subject.pull(json!({ "observation": cursor(&anew, "observation") })).await;
}

#[tokio::test]
async fn a_wrong_cursor_is_named() {
    let dir = tempfile::tempdir().unwrap();
    let subject = start(dir.path()).await;
    let pulled = subject.pull(json!({ "observation": null })).await;
    let crossed = json!({ "replica": "r1", "feeds": { "household": cursor(&pulled, "observation") } });
    let problem = read(subject.post("/pull", crossed.to_string()).send().await.unwrap(), 400).await;
    assert_eq!((&problem["code"], &problem["retry"]), (&json!("invalid-cursor"), &json!("resync")));
    assert_eq!(problem["feeds"], json!(["household"]));
}

#[tokio::test]
async fn a_new_data_set_is_empty_and_has_its_own_clock() {
    let dir = tempfile::tempdir().unwrap();
    let mut subject = start(dir.path()).await;
    subject.push(&create("r1", "m1", "o1")).await;
    let asked = json!({ "profile": "version-wins", "grants": [{ "user": "amina", "role": "admin" }] });
    let made = subject.control("new_data_set", asked).await;
    subject.data_set = made["data_set"].as_str().unwrap().to_owned();
    let pulled = subject.pull(json!({ "observation": null, "place": null })).await;
    assert_eq!(ids(&pulled, "observation"), Vec::<String>::new());
    assert_eq!(ids(&pulled, "place").len(), 2);

    // An access token is good for 15 minutes by the data set's clock; the refresh token for longer.
    let tokens = subject.login("amina").await;
    subject.control("clock", json!({ "data_set": subject.data_set, "offset_ms": 16 * 60 * 1000 })).await;
    let session = subject.request(Method::GET, "/session").bearer_auth(tokens["access_token"].as_str().unwrap());
    assert_eq!(read(session.send().await.unwrap(), 401).await["code"], "unauthenticated");
    let refresh = json!({ "refresh_token": tokens["refresh_token"] }).to_string();
    let newer = read(subject.request(Method::POST, "/refresh").body(refresh).send().await.unwrap(), 200).await;
    let session = subject.request(Method::GET, "/session").bearer_auth(newer["access_token"].as_str().unwrap());
    assert_eq!(read(session.send().await.unwrap(), 200).await["role"], "admin");
}

#[tokio::test]
async fn what_was_never_backed_up_is_not_restored() {
    let dir = tempfile::tempdir().unwrap();
    let subject = start(dir.path()).await;
    let epoch = subject.push(&create("r1", "m1", "o1")).await["epoch"].clone();
    let url = format!("{}/control/restore", subject.running.base_url());
    let asked = json!({ "data_set": subject.data_set }).to_string();
    let request = subject.http.post(url).header("content-type", "application/json").body(asked);
    let problem = read(request.send().await.unwrap(), 404).await;
    assert_eq!(problem["code"], "not-found");
    let detail = problem["detail"].as_str().unwrap();
    assert!(detail.contains("no backup of version_wins") && detail.contains("`backup`"), "{detail}");
    let pulled = subject.pull(json!({ "observation": null })).await;
    assert_eq!((ids(&pulled, "observation"), &pulled["epoch"]), (vec!["put o1".to_owned()], &epoch));
}

#[tokio::test]
async fn a_pull_that_names_too_many_feeds_is_told_how_many_it_may_name() {
    let dir = tempfile::tempdir().unwrap();
    let subject = start(dir.path()).await;
    let feeds: Value =
        (0..1001).map(|number| (format!("feed_{number}"), Value::Null)).collect::<serde_json::Map<_, _>>().into();
    let body = json!({ "replica": "r1", "feeds": feeds }).to_string();
    let problem = read(subject.post("/pull", body).send().await.unwrap(), 400).await;
    assert_eq!(
        (&problem["code"], &problem["limit"]),
        (&json!("malformed"), &json!({ "name": "pull_feeds", "value": 1000 }))
    );
}
