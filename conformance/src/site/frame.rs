//! What every page has: the way to the others.

use super::links::{World, chapter_page};

const REPORT_STYLE: &str = include_str!("../report/html/page.css");
const OWN_STYLE: &str = include_str!("site.css");

/// The script of the pages that can be filtered: that of the report.
pub(super) const SCRIPT: &str = include_str!("../report/html/page.js");

/// The style of all pages: that of the report, and what pages of text need besides.
pub(super) fn style() -> String {
    format!("{REPORT_STYLE}{OWN_STYLE}")
}

/// The head of a page, and its table of contents.
pub(super) struct Frame {
    pub title: String,
    /// The way from the page to the root: empty, or `../` for each folder.
    pub root: String,
    pub parts: Vec<Part>,
    /// Whether the page has the script.
    pub filters: bool,
}

/// A part of the table of contents.
pub(super) struct Part {
    pub title: &'static str,
    pub entries: Vec<Entry>,
}

pub(super) struct Entry {
    pub title: String,
    pub page: String,
    pub is_here: bool,
}

impl Frame {
    /// The frame of the page at this path.
    pub(super) fn new(world: &World<'_>, path: &str, title: impl Into<String>) -> Self {
        let entry = |title: &str, page: String| Entry { title: title.to_owned(), is_here: page == path, page };
        let chapters = world.sources.spec.chapters.iter();
        let mut reference = vec![entry("Messages", "messages.html".to_owned())];
        reference.push(entry("Scenarios", "scenarios.html".to_owned()));
        if !world.sources.mutants.is_empty() {
            reference.push(entry("Mutants", "mutants.html".to_owned()));
        }
        if !world.sources.runs.is_empty() {
            reference.push(entry("Runs", "runs.html".to_owned()));
        }
        reference.push(entry("Search", "search.html".to_owned()));
        let chapters = chapters.map(|chapter| entry(&chapter.title, chapter_page(&chapter.name))).collect();
        Self {
            title: title.into(),
            root: "../".repeat(path.matches('/').count()),
            parts: vec![Part { title: "Chapters", entries: chapters }, Part { title: "Reference", entries: reference }],
            filters: false,
        }
    }
}
