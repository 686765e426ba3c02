//! Faults against the chapter `links`.

use super::push::changed;
use crate::Mutant;
use crate::seam::effects::{around_decide, change_outcomes, commits};
use crate::seam::wire;
use fieldsync_core::push::{AskedLink, Batch, ReadMutation};
use fieldsync_core::store::{Loaded, RecordLink};
use fieldsync_schemas::id::{Rev, Version};
use fieldsync_schemas::problem::ProblemCode;
use fieldsync_schemas::push::{MutationOp, Outcome, OutcomeKind};
use fieldsync_schemas::record::Record;
use fieldsync_server::Parts;
use serde_json::value::to_raw_value;
use serde_json::{Value, json};

/// The faults.
pub const MUTANTS: &[Mutant] = &[
    Mutant::server(
        "where-a-file-is-stays-a-secret",
        "links.url.told",
        "The end of an upload is answered without the URL of the file.",
        |parts| {
            wire::answers(parts, "/attachments/complete", |body| {
                body.as_object_mut().map(|members| members.remove("url"));
            })
        },
    ),
    Mutant::server(
        "the-url-of-a-file-leads-nowhere",
        "links.url.leads-to-the-file",
        "The URLs of files that are told are those of another server.",
        |parts| {
            let elsewhere = |body: &mut Value| {
                if let Some(url) = body["url"].as_str().map(|url| url.replace("/attachments/", "/photos/")) {
                    body["url"] = json!(url);
                }
            };
            wire::answers(wire::answers(parts, "/attachments/complete", elsewhere), "/attachments", elsewhere)
        },
    ),
    Mutant::server(
        "a-link-is-written-once",
        "links.mutation.written-wherever-named",
        "Of the places that name a file the first gets the URL.",
        |parts| published(parts, written_once),
    ),
    Mutant::server(
        "a-link-makes-a-new-rev",
        "links.mutation.same-state",
        "A record is published with its URLs under another rev, so that an edit of it becomes a conflict.",
        |parts| {
            published(parts, |_, record| {
                record.rev = Rev::new(format!("{}-linked", record.rev)).expect("a rev and a few letters are a rev");
            })
        },
    ),
    Mutant::server(
        "a-link-is-for-the-last-writer",
        "links.mutation.on-any-state",
        "A link of a record that another device has changed since is refused.",
        |parts| {
            loads(parts, |batch, loaded| {
                for link in batch.mutations.iter().filter_map(ReadMutation::link) {
                    let is_theirs = loaded
                        .states
                        .get(&link.record)
                        .is_some_and(|state| state.replica.as_ref() != Some(&batch.replica));
                    if is_theirs {
                        loaded.states.remove(&link.record);
                    }
                }
            })
        },
    ),
    Mutant::server(
        "a-link-is-for-one-state",
        "links.state.stays",
        "A later state of a record is published with the ids that were pushed.",
        |parts| loads(parts, |_, loaded| loaded.links.clear()),
    ),
    Mutant::server(
        "an-id-is-another-content",
        "links.state.equal",
        "A create is compared with the current state as it was pushed, with the ids of files in it.",
        |parts| {
            loads(parts, |batch, loaded| {
                for read in &batch.mutations {
                    if let Some(asked) = read.change().filter(|asked| asked.op == MutationOp::Create) {
                        loaded.links.remove(&asked.record);
                    }
                }
            })
        },
    ),
    Mutant::server(
        "a-link-is-taken-each-time",
        "links.again.changes-nothing",
        "A link that was taken already is taken once more.",
        |parts| {
            loads(parts, |batch, loaded| {
                for link in batch.mutations.iter().filter_map(ReadMutation::link) {
                    loaded.links.remove(&link.record);
                }
            })
        },
    ),
    Mutant::server(
        "a-link-needs-no-file",
        "links.refused.not-carried",
        "A link is answered as applied, whatever the record carries.",
        |parts| {
            refused(parts, |link, outcome| {
                let is_its_url = link.url.ends_with(link.attachment.as_str());
                if is_its_url && outcome.problem.take_if(|it| it.code == ProblemCode::LinkRefused).is_some() {
                    outcome.outcome = OutcomeKind::Applied;
                    outcome.rev = Rev::new(format!("aside-{}", outcome.mutation_id)).ok();
                    outcome.version = Some(Version::FIRST);
                }
            })
        },
    ),
    Mutant::server(
        "any-url-is-the-files",
        "links.refused.other-url",
        "A link is taken whatever its URL is, and the right one is written.",
        |parts| {
            wire::whole_requests(parts, "/push", |head, body| {
                let Ok(mut push) = serde_json::from_slice::<Value>(body) else { return };
                for mutation in push["mutations"].as_array_mut().into_iter().flatten() {
                    if let (Some(id), true) = (mutation["attachment"].as_str(), mutation["op"] == "link") {
                        let base = head.uri.path().trim_end_matches("/push");
                        mutation["url"] = json!(format!("{base}/attachments/{id}"));
                    }
                }
                *body = serde_json::to_vec(&push).expect("a tree is plain JSON");
            })
        },
    ),
    Mutant::server(
        "every-link-is-refused-alike",
        "links.refused.unknown-record",
        "A link of a record that is not there, or not seen, is refused as one of a file that the record does not carry.",
        |parts| {
            refused(parts, |_, outcome| {
                if let Some(problem) = outcome.problem.as_mut().filter(|it| it.code == ProblemCode::UnknownRecord) {
                    problem.code = ProblemCode::LinkRefused;
                }
            })
        },
    ),
];

/// Changes what is loaded for a batch.
fn loads(parts: Parts, change: impl Fn(&Batch, &mut Loaded) + Send + Sync + 'static) -> Parts {
    around_decide(parts, move |batch, mut loaded, ground, decide| {
        change(batch, &mut loaded);
        decide(batch, loaded, ground)
    })
}

/// Changes records as they are published with the URLs of their files.
fn published(parts: Parts, change: impl Fn(&RecordLink, &mut Record) + Send + Sync + 'static) -> Parts {
    commits(parts, move |_, commit| {
        for link in &mut commit.linked {
            let state = link.state.as_ref().map(|state| changed(state, |record| change(link, record)));
            link.state = state;
        }
    })
}

/// Changes the outcomes of links.
fn refused(parts: Parts, change: impl Fn(&AskedLink, &mut Outcome) + Send + Sync + 'static) -> Parts {
    commits(parts, move |batch, commit| {
        change_outcomes(commit, |outcomes| {
            for outcome in outcomes {
                let read = batch.mutations.iter().find(|read| read.mutation_id == outcome.mutation_id);
                if let Some(link) = read.and_then(ReadMutation::link) {
                    change(link, outcome);
                }
            }
        });
    })
}

/// Every place but the first has the id again.
fn written_once(link: &RecordLink, record: &mut Record) {
    let text = record.data.as_ref().map(|data| data.get().to_owned()).unwrap_or_default();
    let mut pieces = text.splitn(2, &link.url);
    let (before, behind) = (pieces.next().unwrap_or_default(), pieces.next().unwrap_or_default());
    let behind = behind.replace(&format!("\"{}\"", link.url), &format!("\"{}\"", link.attachment));
    let data: Value = serde_json::from_str(&format!("{before}{}{behind}", link.url)).expect("one text is another");
    record.data = to_raw_value(&data).ok();
}
