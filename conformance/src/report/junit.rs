//! The run as JUnit XML: a suite a chapter, a case a scenario, the findings in the words of the terminal.

use super::findings::{Finding, findings};
use super::text::visible;
use super::{Background, IncompleteStream, Run, chapter_of, finding_text};
use fieldsync_schemas::event::{Event, ScenarioEnded, Verdict};
use quick_junit::{NonSuccessKind, Report, TestCase, TestCaseStatus, TestSuite};
use std::collections::BTreeMap;
use std::time::Duration;

/// The width of the findings' text.
const WIDTH: usize = 100;

/// Why JUnit XML could not be written.
#[derive(Debug, thiserror::Error)]
pub enum WriteJunitError {
    /// The events are not a whole run.
    #[error(transparent)]
    Incomplete(#[from] IncompleteStream),
    /// The XML could not be made.
    #[error("cannot write JUnit XML: {0}")]
    Xml(#[from] quick_junit::SerializeError),
}

/// The run as JUnit XML.
pub fn render(events: &[Event], background: &Background<'_>) -> Result<String, WriteJunitError> {
    let run = Run::of(events)?;
    let findings = findings(&run, background.spec);
    let mut suites: BTreeMap<&str, TestSuite> = BTreeMap::new();
    for scenario in &run.scenarios {
        let chapter = chapter_of(&scenario.id);
        let case = case(scenario, &findings, &run, background);
        suites.entry(chapter).or_insert_with(|| TestSuite::new(visible(chapter))).add_test_case(case);
    }
    let mut report = Report::new("fieldsync");
    report.set_time(Duration::from_millis(run.footer.millis));
    if let Some(blocked) = run.blocked {
        let mut status = TestCaseStatus::non_success(NonSuccessKind::Error);
        status.set_message(visible(&blocked.reason));
        let mut suite = TestSuite::new("subject");
        suite.add_test_case(TestCase::new(visible(&blocked.doing), status));
        report.add_test_suite(suite);
    }
    report.add_test_suites(suites.into_values());
    Ok(report.to_string()?)
}

fn case(scenario: &ScenarioEnded, findings: &[Finding<'_>], run: &Run<'_>, background: &Background<'_>) -> TestCase {
    let told = || {
        let of_this =
            findings.iter().filter(|finding| finding.scenarios.iter().any(|seen| std::ptr::eq(*seen, scenario)));
        of_this
            .map(|finding| finding_text::tell(finding, run, background, WIDTH).plain())
            .collect::<Vec<_>>()
            .join("\n")
    };
    let reason = visible(scenario.reason.as_deref().unwrap_or("no reason was given"));
    let chapter = visible(chapter_of(&scenario.id));
    let mut output = None;
    let status = match scenario.verdict {
        Verdict::Pass | Verdict::UnexpectedPass => TestCaseStatus::success(),
        Verdict::KnownFailure => {
            let mut status = TestCaseStatus::skipped();
            status.set_type(scenario.verdict.as_str()).set_message(visible(&known(scenario)));
            output = Some(told());
            status
        }
        Verdict::Warn => {
            output = Some(told());
            TestCaseStatus::success()
        }
        Verdict::Fail => {
            let mut status = TestCaseStatus::non_success(NonSuccessKind::Failure);
            let rules: Vec<&str> = scenario.failures.iter().map(|failure| failure.rule.as_str()).collect();
            status.set_type(rules.first().copied().unwrap_or("fail")).set_message(visible(&scenario.title));
            status.set_description(told());
            status
        }
        Verdict::Error => {
            let mut status = TestCaseStatus::non_success(NonSuccessKind::Error);
            status.set_type("suite error").set_message(reason);
            status
        }
        Verdict::Unsupported | Verdict::NotTested => {
            let mut status = TestCaseStatus::skipped();
            status.set_type(scenario.verdict.as_str()).set_message(reason);
            status
        }
    };
    let mut case = TestCase::new(visible(&run.name_of(scenario)), status);
    case.set_classname(format!("fieldsync.{chapter}"));
    case.set_time(Duration::from_millis(scenario.millis));
    if let Some(output) = output {
        case.set_system_out(output);
    }
    case
}

/// Why a scenario is known to fail.
fn known(scenario: &ScenarioEnded) -> String {
    let known = scenario.known.as_ref();
    known.map_or_else(String::new, |known| format!("{} ({}, until {})", known.reason, known.issue, known.expires))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::{terminal, test_runs};

    #[test]
    fn the_findings_are_those_of_the_terminal() {
        let (events, spec) = (test_runs::failing(), test_runs::spec());
        let background = test_runs::background(&spec);
        let xml = render(&events, &background).unwrap();
        let told = terminal::render(&events, &background, WIDTH).unwrap().plain();
        let run = Run::of(&events).unwrap();
        for finding in findings(&run, &spec) {
            let words = finding_text::tell(&finding, &run, &background, WIDTH).plain();
            assert!(told.contains(&words), "the terminal lacks\n{words}");
            let in_xml = words.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;");
            let in_xml = in_xml.replace('\'', "&apos;");
            assert!(xml.contains(in_xml.trim_end()), "JUnit lacks\n{in_xml}\nin\n{xml}");
        }
    }

    #[test]
    fn a_skip_has_its_reason_and_is_counted() {
        let spec = test_runs::spec();
        let xml = render(&test_runs::not_tested(), &test_runs::background(&spec)).unwrap();
        assert!(xml.contains(r#"<skipped message="needs the control verb kill" type="not-tested"/>"#), "{xml}");
        assert!(xml.contains(r#"<testsuite name="push" tests="3""#), "{xml}");
    }

    #[test]
    fn a_run_that_fails() {
        let spec = test_runs::spec();
        insta::assert_snapshot!(render(&test_runs::failing(), &test_runs::background(&spec)).unwrap());
    }

    #[test]
    fn what_a_hostile_stream_says_is_text() {
        let spec = test_runs::spec();
        let mut events = test_runs::hostile(100_000);
        events.iter_mut().for_each(crate::report::bounds::bound);
        let xml = render(&events, &test_runs::background(&spec)).unwrap();
        assert!(xml.len() < 100_000, "{}", xml.len());
        assert!(xml.chars().all(|c| c == '\n' || !(c.is_control() || c == '\u{202e}')), "what a terminal obeys");
        assert!(xml.contains("&lt;script&gt;") && !xml.contains("<script"), "an element of the stream's own");
    }

    #[test]
    fn a_blocked_run_is_an_error() {
        let spec = test_runs::spec();
        let xml = render(&test_runs::blocked(false), &test_runs::background(&spec)).unwrap();
        assert!(xml.contains(r#"errors="1""#), "{xml}");
    }

    #[test]
    fn a_finding_leads_to_its_rule_where_it_is_said_where_the_pages_are() {
        let (events, mut spec) = (test_runs::failing(), test_runs::spec());
        let link = "see       https://example.org/spec/push.html#r-push.retry.same-outcome\n";
        assert!(!render(&events, &test_runs::background(&spec)).unwrap().contains("see   "));
        spec.pages = Some("https://example.org/spec".to_owned());
        let told = render(&events, &test_runs::background(&spec)).unwrap();
        assert!(told.contains(link), "{told}");
    }
}
