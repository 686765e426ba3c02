//! The suite proves itself: nothing passes a subject that implements nothing.

use fieldsync_conformance::scenario;
use fieldsync_conformance::spec::Spec;
use fieldsync_mutants::null::{Null, passes};
use std::sync::Arc;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_scenario_passes_a_subject_that_implements_nothing() {
    let cases = scenario::embedded().unwrap();
    let spec = Arc::new(Spec::embedded().unwrap());
    for null in Null::ALL {
        let passed = passes(null, &cases, &spec).await.unwrap();
        assert_eq!(passed, Vec::<String>::new(), "a server that {}", null.as_str());
    }
}
