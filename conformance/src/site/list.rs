//! The pages that lead to others: the first one, the lists, and the one that finds.

use super::frame::Frame;
use super::links::{World, chapter_page, message_page, scenario_page};
use askama::Template;
use fieldsync_schemas::PROTOCOL_VERSION;
use fieldsync_schemas::catalog::MESSAGES;

#[derive(Template)]
#[template(path = "list.html")]
struct Page {
    frame: Frame,
    about: String,
    sections: Vec<Section>,
}

struct Section {
    title: String,
    rows: Vec<Row>,
}

struct Row {
    id: String,
    name: String,
    page: String,
    about: String,
    /// What else the row leads to.
    also: Vec<(String, String)>,
}

impl Row {
    fn new(name: impl Into<String>, page: String, about: impl Into<String>) -> Self {
        Self { id: String::new(), name: name.into(), page, about: about.into(), also: Vec::new() }
    }
}

/// The lists, each with its path.
pub(super) fn render_all(world: &World<'_>) -> Result<Vec<(String, String)>, askama::Error> {
    let sources = world.sources;
    let mut all = Vec::new();
    let mut page = |path: &str, title: &str, about: String, filters: bool, sections: Vec<Section>| {
        let frame = Frame { filters, ..Frame::new(world, path, title) };
        let text = Page { frame, about, sections }.render()?;
        all.push((path.to_owned(), text));
        Ok::<_, askama::Error>(())
    };
    let about = format!(
        "A sync protocol for offline-first apps, version {PROTOCOL_VERSION}: {} rules, {} scenarios, {} messages.",
        sources.spec.rules.len(),
        world.cases.len(),
        MESSAGES.len()
    );
    page("index.html", "Fieldsync", about, false, vec![chapters(world)])?;
    page("scenarios.html", "Scenarios", "Every scenario, by its chapter.".to_owned(), true, scenarios(world))?;
    let about = "Every message of the protocol, and every file format of the suite, as their types say.".to_owned();
    page("messages.html", "Messages", about, true, vec![messages()])?;
    if !sources.mutants.is_empty() {
        let about = "Implementations with exactly one fault each. The scenarios of the rule that it breaks catch it.";
        page("mutants.html", "Mutants", about.to_owned(), true, mutants(world, true))?;
    }
    let mut sections = vec![chapters(world), rules(world)];
    sections.extend(scenarios(world));
    sections.push(messages());
    sections.extend(mutants(world, false));
    sections.push(hazards(world));
    sections.retain(|section| !section.rows.is_empty());
    page("search.html", "Search", "Rules, scenarios, messages, mutants and hazards.".to_owned(), true, sections)?;
    Ok(all)
}

fn chapters(world: &World<'_>) -> Section {
    let spec = world.sources.spec;
    let rows = spec.chapters.iter().map(|chapter| {
        let rules = spec.rules.iter().filter(|rule| rule.chapter == chapter.name).count();
        let about = match rules {
            0 => String::new(),
            1 => "1 rule".to_owned(),
            rules => format!("{rules} rules"),
        };
        Row::new(&chapter.title, chapter_page(&chapter.name), about)
    });
    Section { title: "Chapters".to_owned(), rows: rows.collect() }
}

fn rules(world: &World<'_>) -> Section {
    let rows = world.sources.spec.rules.iter().map(|rule| {
        let page = format!("{}#r-{}", chapter_page(&rule.chapter), rule.id);
        Row::new(rule.id.as_str(), page, rule.sentence.replace('`', ""))
    });
    Section { title: "Rules".to_owned(), rows: rows.collect() }
}

fn scenarios(world: &World<'_>) -> Vec<Section> {
    let of = |name: &str| {
        let cases = world.cases.iter().filter(|(id, _)| id.split('/').next() == Some(name));
        let row = |id: &str, title: &str| Row::new(id, scenario_page(id), title);
        cases.map(|(id, cases)| row(id, &cases[0].scenario.title)).collect()
    };
    let chapters = world.sources.spec.chapters.iter();
    chapters
        .map(|chapter| Section { title: format!("Scenarios: {}", chapter.title), rows: of(&chapter.name) })
        .filter(|section| !section.rows.is_empty())
        .collect()
}

fn messages() -> Section {
    let rows = MESSAGES.iter().map(|message| Row::new(message.name, message_page(message.name), message.title));
    Section { title: "Messages".to_owned(), rows: rows.collect() }
}

/// The mutants by chapter; with anchors where this is their page.
fn mutants(world: &World<'_>, is_their_page: bool) -> Vec<Section> {
    let of = |chapter: &str| {
        let all = world.sources.mutants.iter();
        let of_chapter = all.filter(|mutant| mutant.rule.id.as_str().split('.').next() == Some(chapter));
        of_chapter
            .map(|mutant| {
                let anchor = format!("m-{}", mutant.name);
                let mut row = Row::new(&mutant.name, format!("mutants.html#{anchor}"), &mutant.sentence);
                if let Some(page) = world.rule(mutant.rule.id.as_str()) {
                    row.also.push((mutant.rule.id.to_string(), page));
                }
                if is_their_page {
                    row.id = anchor;
                }
                row
            })
            .collect()
    };
    let chapters = world.sources.spec.chapters.iter();
    chapters
        .map(|chapter| Section { title: format!("Mutants: {}", chapter.title), rows: of(&chapter.name) })
        .filter(|section| !section.rows.is_empty())
        .collect()
}

fn hazards(world: &World<'_>) -> Section {
    let rows =
        world.sources.spec.hazards.iter().map(|hazard| {
            Row::new(&hazard.id, format!("hazards.html#h-{}", hazard.id), hazard.hazard.replace('`', ""))
        });
    Section { title: "Hazards".to_owned(), rows: rows.collect() }
}
