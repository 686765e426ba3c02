use super::*;
use crate::report::test_runs as runs;
use pulldown_cmark::{Event as Part, Options, Parser, Tag, TagEnd};

fn told(events: &[Event]) -> String {
    let spec = runs::spec();
    render(events, &runs::background(&spec)).unwrap()
}

#[test]
fn code_in_a_sentence_stays_code() {
    assert_eq!(coded("A `base` is *no* `rev`."), "A `base` is \\*no\\* `rev`.");
}

#[test]
fn a_run_that_passes() {
    insta::assert_snapshot!(told(&runs::passing()));
}

#[test]
fn a_run_that_fails() {
    insta::assert_snapshot!(told(&runs::failing()));
}

#[test]
fn a_run_with_what_was_not_tested() {
    insta::assert_snapshot!(told(&runs::not_tested()));
}

#[test]
fn what_a_hostile_subject_says_is_text() {
    let mut events = runs::hostile(100_000);
    events.iter_mut().for_each(crate::report::bounds::bound);
    let told = told(&events);
    assert!(told.len() < 100_000, "{}", told.len());
    assert!(told.chars().all(|c| c == '\n' || !c.is_control()), "an escape sequence");
    assert!(!told.contains('\u{202e}') && told.contains("\\u{202e}"), "a mark of direction");
    let mut in_code = false;
    for part in Parser::new_ext(&told, Options::all()) {
        match part {
            Part::Html(html) | Part::InlineHtml(html) => {
                let ours = ["<details>", "<summary>", "</summary>", "</details>"];
                let left = ours.iter().fold(html.to_string(), |left, tag| left.replace(tag, ""));
                assert!(!left.contains('<'), "{html}");
            }
            Part::Start(Tag::Link { dest_url, .. }) => {
                assert!(
                    dest_url.starts_with(concat!(env!("CARGO_PKG_REPOSITORY"), "/blob/main/spec/src/")),
                    "{dest_url}"
                );
            }
            Part::Start(tag @ Tag::Image { .. }) => panic!("{tag:?}"),
            // Code is neither linked nor searched for names.
            Part::Start(Tag::CodeBlock(_)) => in_code = true,
            Part::End(TagEnd::CodeBlock) => in_code = false,
            Part::Text(words) if !in_code => assert!(!words.contains("@everyone") && !words.contains("http://")),
            _ => {}
        }
    }
}

#[test]
fn names_in_text_are_neither_links_nor_mentions() {
    assert_eq!(
        text("a|b *c* <i> http://x @me: [l](u)"),
        "a\\|b \\*c\\* &lt;i&gt; http:\u{2060}//x @\u{2060}me: \\[l\\](u)"
    );
    assert_eq!(code("a`b``c|d"), "```a`b``c¦d```");
    assert_eq!(code("`"), "`` ` ``");
}

#[test]
fn a_finding_leads_to_its_rule() {
    let (events, mut spec) = (runs::failing(), runs::spec());
    spec.pages = Some("https://example.org/spec/".to_owned());
    let told = render(&events, &runs::background(&spec)).unwrap();
    let link = "[`push.retry.same-outcome`](<https://example.org/spec/push.html#r-push.retry.same-outcome>)";
    assert!(told.contains(link), "{told}");
}
