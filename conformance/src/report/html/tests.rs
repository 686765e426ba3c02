use super::*;
use crate::report::bounds::bound;
use crate::report::compare::{Comparison, NamedRun};
use crate::report::diagram;
use crate::report::test_runs as runs;
use fieldsync_schemas::event::{Course, Exchange, ScenarioEnded, StepTaken};

fn page(events: &[Event]) -> String {
    let spec = runs::spec();
    render(events, &runs::background(&spec)).unwrap()
}

fn hostile(length: usize) -> Vec<Event> {
    let mut events = runs::hostile(length);
    events.iter_mut().for_each(bound);
    events
}

/// What stands between the tags, and the tags, of a page without its own style and script.
fn tags(page: &str) -> Vec<&str> {
    let (head, rest) = page.split_once("<style>").unwrap();
    let (_, rest) = rest.split_once("</style>").unwrap();
    let (body, _) = rest.rsplit_once("<script>").unwrap();
    [head, body].iter().flat_map(|part| part.split('<').skip(1)).collect()
}

#[test]
fn a_hostile_stream_becomes_text() {
    let (spec, events, harmless) = (runs::spec(), hostile(100_000), runs::passing());
    let named = [NamedRun { name: "<b>", events: &events }, NamedRun { name: "b", events: &harmless }];
    let compared = render_comparison(&Comparison::of(&named, &spec).unwrap()).unwrap();
    for page in [page(&events), compared] {
        assert!(page.len() < 300_000, "{}", page.len());
        assert!(page.chars().all(|c| c == '\n' || !c.is_control()), "a control character");
        assert!(!page.contains(['\u{202e}', '\u{2066}', '\u{200b}', '\u{feff}']), "a mark of direction");
        assert!(page.contains("&lt;script&gt;") && page.contains("\\u{202e}"), "it is told");
        for tag in tags(&page) {
            let tag = tag.split('>').next().unwrap();
            let names: String = tag.split('"').step_by(2).collect();
            assert!(!names.starts_with("script") && !names.starts_with("img"), "{names}");
            assert!(!names.contains(" on") && !names.contains(" style="), "{names}");
            if let Some((_, address)) = tag.split_once("href=\"") {
                assert!(address.starts_with('#') || address.starts_with("https://github.com/fieldsync/"), "{tag}");
            }
        }
    }
}

#[test]
fn the_policy_names_the_style_and_the_script_of_the_page() {
    use base64::Engine;
    use sha2::{Digest, Sha256};
    let page = page(&runs::failing());
    for (name, open, close) in [("style-src", "<style>", "</style>"), ("script-src", "<script>", "</script>")] {
        let (_, rest) = page.split_once(open).unwrap();
        let text = rest.split_once(close).unwrap().0;
        let hash = base64::engine::general_purpose::STANDARD.encode(Sha256::digest(text));
        assert!(page.contains(&format!("{name} 'sha256-{hash}'")), "{name}");
    }
    for remote in ["src=", "@import", "url(", "fetch(", "innerHTML"] {
        assert!(!page.replace("-src=", "").contains(remote), "{remote}: the page asks nobody for anything");
    }
}

#[test]
fn a_page_tells_the_findings_before_the_scenarios() {
    let page = page(&runs::failing());
    let place = |words: &str| page.find(words).unwrap_or_else(|| panic!("{words}"));
    assert!(place("not conformant: 2 rules broken") < place("id=\"findings\""));
    assert!(place("A visit that was recorded once is counted twice") < place("id=\"verdicts-by\""));
    assert!(place("--scenario push/lost-answer") < place("id=\"scenarios\""));
    assert!(place("id=\"scenarios\"") < place("id=\"rules\""));
    place("<span class=\"del\">- expected 1</span>\n<span class=\"ins\">+ got      2</span>");
    place("<span class=\"del\">-         &quot;a&quot;,</span>");
}

#[test]
fn the_same_events_are_the_same_page_in_whatever_order_they_came() {
    let events = runs::failing();
    let mut turned = events.clone();
    let last = turned.len() - 1;
    turned[1..last].reverse();
    assert!(page(&events) == page(&turned));
}

fn step(place: u64, actor: &str, what: &str, line: u32) -> StepTaken {
    StepTaken { place, line, actor: actor.to_owned(), what: what.to_owned() }
}

fn exchange(by: &str, began: u64, ended: Option<u64>, course: Course) -> Exchange {
    Exchange {
        by: by.to_owned(),
        request: "POST /push".to_owned(),
        sent: serde_json::Value::Null,
        status: Some(200),
        answered: serde_json::Value::Null,
        fault: None,
        course,
        began,
        ended,
    }
}

fn scenario(event: Event) -> ScenarioEnded {
    match event {
        Event::Scenario(ended) => *ended,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_scenario_is_drawn_in_the_order_in_which_it_happened() {
    let ended = ScenarioEnded {
        steps: vec![
            step(0, "network", "hold: push, of: tablet", 3),
            step(1, "tablet", "sync: begins", 4),
            step(3, "phone", "sync: ok", 5),
            step(6, "release", "tablet", 6),
            step(8, "phone", "holds: {fever: {version: 2}}", 12),
        ],
        exchanges: vec![
            exchange("tablet", 2, Some(7), Course::Whole),
            Exchange { fault: Some("drop push".to_owned()), ..exchange("phone", 4, Some(5), Course::Lost) },
        ],
        ..scenario(runs::failed("push/two"))
    };
    let drawn = diagram::draw(&ended).unwrap();
    let told: Vec<&str> = drawn
        .marks
        .iter()
        .map(|mark| match mark {
            Mark::Step { text, .. } | Mark::Arrow { text, .. } | Mark::Note { text, .. } => text.text.as_str(),
        })
        .collect();
    assert_eq!(
        told,
        [
            "hold: push, of: tablet",
            "sync: begins",
            "1 POST /push",
            "sync: ok",
            "2 POST /push",
            "⚡ drop push",
            "2 200 lost",
            "lets go what is held of tablet",
            "1 200",
            "✘ holds: {fever: {version: 2}}",
        ]
    );
    let titles: Vec<&str> = drawn.titles.iter().map(|title| title.name.as_str()).collect();
    assert_eq!(titles, ["tablet", "phone", "tap", "server"]);
    assert!(drawn.label.ends_with("it fails at: phone holds: {fever: {version: 2}}"), "{}", drawn.label);
}

#[test]
fn a_request_that_the_tap_kept_does_not_reach_the_server() {
    let drawn = |course| {
        let ended = ScenarioEnded {
            exchanges: vec![exchange("tablet", 0, Some(1), course)],
            ..scenario(runs::passed("push/one"))
        };
        let drawn = diagram::draw(&ended).unwrap();
        let server = format!("H{}", drawn.width - 43);
        let arrows = drawn.marks.iter().filter(|mark| matches!(mark, Mark::Arrow { .. })).count();
        (drawn.marks.iter().any(|mark| matches!(mark, Mark::Arrow { path, .. } if path.contains(&server))), arrows)
    };
    assert_eq!(drawn(Course::Whole), (true, 2));
    assert_eq!(drawn(Course::Lost), (true, 2));
    assert_eq!(drawn(Course::MadeUp), (false, 2));
    assert_eq!(drawn(Course::Unsent), (false, 1));
}

/// The page of a thousand scenarios that passed, each of which has a drawing.
#[test]
fn a_page_draws_every_scenario_that_passed() {
    let scenarios = (0..1000u64).map(|number| {
        let mut ended = scenario(runs::passed(&format!("push/number-{number}")));
        ended.steps = (0..9).map(|place| step(place * 5, "tablet", &format!("create: {{a: {number}}}"), 12)).collect();
        ended.exchanges = (0..18u64)
            .map(|index| {
                exchange(["tablet", "phone"][index as usize % 2], index * 3 + 1, Some(index * 3 + 2), Course::Whole)
            })
            .collect();
        Event::Scenario(Box::new(ended))
    });
    let page = page(&runs::of(scenarios.collect()));
    assert!(page.len() < 5_000_000, "{} bytes", page.len());
    assert!(!page.contains("There was no room"));
    let (_, packed) = page.split_once("<pre id=\"drawings\" hidden>").unwrap();
    let drawings = unpacked(packed.split_once("</pre>").unwrap().0);
    assert_eq!(drawings.len(), 1000);
    for (number, drawing) in drawings.iter().enumerate() {
        assert!(page.contains(&format!("data-drawing=\"{number}\"")));
        assert!(drawing.starts_with("<svg class=\"d\"") && drawing.ends_with("</svg>"), "{drawing}");
        assert_eq!(drawing.matches("POST /push").count(), 18);
    }
}

/// What the script of the page unpacks.
fn unpacked(packed: &str) -> Vec<String> {
    use base64::Engine;
    let packed = base64::engine::general_purpose::STANDARD.decode(packed).unwrap();
    let mut text = String::new();
    std::io::Read::read_to_string(&mut flate2::read::GzDecoder::new(&packed[..]), &mut text).unwrap();
    text.split('\u{1e}').map(str::to_owned).collect()
}

#[test]
fn what_is_packed_is_text_too() {
    let mut ended = scenario(runs::passed("push/hostile"));
    ended.steps = vec![step(0, "<b>", "</svg><script>alert(1)</script>\u{1e}\u{202e}", 3)];
    let page = page(&runs::of(vec![Event::Scenario(Box::new(ended))]));
    let (_, packed) = page.split_once("<pre id=\"drawings\" hidden>").unwrap();
    let [drawing] = &unpacked(packed.split_once("</pre>").unwrap().0)[..] else { panic!("one drawing") };
    assert!(!drawing.contains("<script") && !drawing.contains("<b>") && !drawing.contains('\u{202e}'), "{drawing}");
    assert!(drawing.contains("&lt;script&gt;") && drawing.contains("\\u{1e}"), "{drawing}");
}

/// The page of a thousand scenarios, half of which fail in ways of their own, each with a dozen exchanges of long bodies.
#[test]
fn a_page_of_a_thousand_scenarios_stays_small() {
    let mut scenarios = Vec::new();
    for number in 0..1000u64 {
        let id = format!("push/number-{number}");
        let mut ended = scenario(if number % 2 == 0 { runs::failed(&id) } else { runs::passed(&id) });
        ended.steps =
            (0..8).map(|place| step(place * 4, "tablet", "sync: ok, and some more words to it", 12)).collect();
        ended.exchanges =
            (0..12u64)
                .map(|index| exchange("tablet", index * 3 + 1, Some(index * 3 + 2), Course::Whole))
                .map(|one| {
                    if number % 2 == 0 {
                        Exchange { sent: body(number), answered: body(number + 1), ..one }
                    } else {
                        one
                    }
                })
                .collect();
        ended.failures.iter_mut().for_each(|failure| failure.got = number.into());
        scenarios.push(Event::Scenario(Box::new(ended)));
    }
    let events = runs::of(scenarios);
    let page = page(&events);
    assert!(page.len() < 5_000_000, "{} bytes", page.len());
    assert!(page.contains("There was no room for all of it"));
}

fn body(number: u64) -> serde_json::Value {
    serde_json::json!({"number": number, "mutations": vec![serde_json::json!({"data": {"note": "n".repeat(150)}}); 10]})
}

#[test]
fn a_run_that_was_blocked_says_why_and_no_more() {
    let page = page(&runs::blocked(true));
    assert!(page.contains("not reached: cannot ask for the discovery"));
    assert!(!page.contains("id=\"q\"") && !page.contains("id=\"rules\""), "there is nothing to filter");
}
