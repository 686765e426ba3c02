//! The run as a badge: one line of SVG for a README.

use super::summary::{RuleState, plural, rule_states};
use super::text::visible;
use super::verdict::{ExitStatus, Judgement, judge};
use super::{Background, IncompleteStream, Run};
use crate::tap::redact::cut;
use fieldsync_schemas::event::Event;

const LABEL: &str = "fieldsync";
/// The most characters of the text beside the label.
const LONGEST: usize = 60;
/// The width of a character of the badge's type, in tenths of a pixel; a text is fitted to what it comes to.
const CHARACTER: usize = 66;
/// The room left and right of a text.
const ROOM: usize = 7;

/// The run as a badge.
pub fn render(events: &[Event], background: &Background<'_>) -> Result<String, IncompleteStream> {
    let run = Run::of(events)?;
    let judgement = judge(&run, background.spec);
    let (text, colour) = says(&run, &judgement, background);
    Ok(draw(&cut(&visible(&text), LONGEST), colour))
}

/// What it says, and its colour: each dark enough for white letters.
fn says(run: &Run<'_>, judgement: &Judgement, background: &Background<'_>) -> (String, &'static str) {
    const GREEN: &str = "#1a7f37";
    const RED: &str = "#b3261e";
    const GREY: &str = "#57606a";
    let held = rule_states(run, background.spec).iter().filter(|(_, state)| *state == RuleState::Held).count();
    match (judgement.status, run.blocked) {
        (_, Some(blocked)) if blocked.unreachable => ("not reached".to_owned(), GREY),
        (_, Some(_)) => ("blocked".to_owned(), RED),
        (ExitStatus::Conformant, None) if judgement.known > 0 => {
            (format!("no new failure, {} known", judgement.known), GREY)
        }
        (ExitStatus::Conformant, None) if run.header.filtered || run.header.shard.is_some() => {
            (format!("{} held, a part", plural(held, "rule")), GREY)
        }
        (ExitStatus::Conformant, None) => {
            let profiles = match &run.header.subject.profiles[..] {
                [one] => one.to_string(),
                several => plural(several.len(), "profile"),
            };
            (format!("{profiles} conformant, {}", plural(held, "rule")), GREEN)
        }
        (ExitStatus::NotConformant, None) if !judgement.broken.is_empty() => {
            (format!("{} broken", plural(judgement.broken.len(), "rule")), RED)
        }
        (ExitStatus::NotConformant, None) => ("not conformant".to_owned(), RED),
        (ExitStatus::SuiteError, None) => ("suite error".to_owned(), GREY),
        (ExitStatus::NothingRan | ExitStatus::Usage, None) => ("nothing ran".to_owned(), GREY),
    }
}

fn draw(text: &str, colour: &str) -> String {
    let letters = |text: &str| text.chars().count() * CHARACTER / 10;
    let (left, right) = (letters(LABEL) + 2 * ROOM, letters(text) + 2 * ROOM);
    let (all, text) = (left + right, escaped(text));
    let written = |x: usize, width: usize, text: &str| {
        format!(r#"<text x="{x}" y="14" textLength="{width}" lengthAdjust="spacingAndGlyphs">{text}</text>"#)
    };
    let (label, value) = (written(ROOM, left - 2 * ROOM, LABEL), written(left + ROOM, right - 2 * ROOM, &text));
    format!(
        r##"<svg xmlns="http://www.w3.org/2000/svg" width="{all}" height="20" role="img" aria-label="{LABEL}: {text}">
<title>{LABEL}: {text}</title>
<clipPath id="r"><rect width="{all}" height="20" rx="3"/></clipPath>
<g clip-path="url(#r)"><rect width="{left}" height="20" fill="#32383f"/><rect x="{left}" width="{right}" height="20" fill="{colour}"/></g>
<g fill="#fff" font-family="Verdana,DejaVu Sans,Geneva,sans-serif" font-size="11">{label}{value}</g>
</svg>
"##
    )
}

/// A text as XML takes it.
fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::test_runs as runs;

    fn drawn(events: &[Event]) -> String {
        let spec = runs::spec();
        render(events, &runs::background(&spec)).unwrap()
    }

    #[test]
    fn a_badge_says_how_it_ended() {
        assert!(drawn(&runs::passing()).contains("<title>fieldsync: version-wins conformant, 2 rules</title>"));
        assert!(drawn(&runs::failing()).contains("<title>fieldsync: 2 rules broken</title>"));
        assert!(drawn(&runs::blocked(false)).contains("<title>fieldsync: blocked</title>"));
        assert!(drawn(&runs::blocked(true)).contains("<title>fieldsync: not reached</title>"));
        let mut several = runs::passing();
        runs::header(&mut several).subject.profiles.push("field-merge".into());
        assert!(drawn(&several).contains("<title>fieldsync: 2 profiles conformant, 2 rules</title>"));
        let mut part = runs::passing();
        runs::header(&mut part).filtered = true;
        assert!(drawn(&part).contains("<title>fieldsync: 2 rules held, a part</title>"), "a part proves nothing");
    }

    #[test]
    fn a_profile_that_is_a_script_is_text() {
        let mut events = runs::passing();
        runs::header(&mut events).subject.profiles = vec![runs::hostile_text(1000).as_str().into()];
        let drawn = drawn(&events);
        assert!(drawn.contains("&lt;script&gt;") && !drawn.contains("<script"), "{drawn}");
        assert!(drawn.len() < 2000, "{drawn}");
    }
}
