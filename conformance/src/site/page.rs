//! A chapter as a page: its text, in which rules stand in boxes and names are links.

use super::frame::Frame;
use super::links::{Named, World, chapter_page, message_page, scenario_page};
use super::rule;
use crate::report::html::escape::Shown;
use crate::spec::Flaw;
use crate::spec::markdown::{Lines, Slugs};
use askama::Template;
use askama::filters::Escaper;
use pulldown_cmark::{CodeBlockKind, CowStr, Event, Options, Parser, Tag, TagEnd, html};
use std::ops::Range;

#[derive(Template)]
#[template(path = "page.html")]
struct Page {
    frame: Frame,
    text: String,
    before: Option<(String, String)>,
    after: Option<(String, String)>,
}

/// The page of a chapter. What its text names in vain is a flaw.
pub(super) fn render(world: &World<'_>, index: usize, flaws: &mut Vec<Flaw>) -> Result<String, askama::Error> {
    let chapters = &world.sources.spec.chapters;
    let chapter = &chapters[index];
    let neighbour = |index: Option<usize>| {
        let chapter = chapters.get(index?)?;
        Some((chapter_page(&chapter.name), chapter.title.clone()))
    };
    let page = Page {
        frame: Frame::new(world, &chapter_page(&chapter.name), &*chapter.title),
        text: text(world, &chapter.name, flaws)?,
        before: neighbour(index.checked_sub(1)),
        after: neighbour(Some(index + 1)),
    };
    page.render()
}

fn text(world: &World<'_>, chapter: &str, flaws: &mut Vec<Flaw>) -> Result<String, askama::Error> {
    let Some(source) = world.sources.files.texts.get(&format!("{chapter}.md")) else { return Ok(String::new()) };
    let events = Parser::new_ext(source, Options::ENABLE_TABLES).into_offset_iter().collect();
    let mut writer = Writer {
        world,
        chapter,
        source,
        lines: Lines::of(source),
        events,
        next: 0,
        out: Vec::new(),
        slugs: Slugs::default(),
        in_link: false,
        flaws,
    };
    writer.write()?;
    let mut text = String::with_capacity(2 * source.len());
    html::push_html(&mut text, writer.out.into_iter());
    Ok(text)
}

struct Writer<'w, 'a, 's> {
    world: &'w World<'a>,
    chapter: &'s str,
    source: &'s str,
    lines: Lines,
    events: Vec<(Event<'s>, Range<usize>)>,
    next: usize,
    out: Vec<Event<'s>>,
    slugs: Slugs,
    in_link: bool,
    flaws: &'w mut Vec<Flaw>,
}

impl<'s> Writer<'_, '_, 's> {
    fn write(&mut self) -> Result<(), askama::Error> {
        while let Some((event, range)) = self.events.get(self.next).cloned() {
            self.next += 1;
            let line = self.lines.line(&range);
            match event {
                Event::Start(Tag::Paragraph) if self.source[range.clone()].starts_with("r[") => {
                    self.rule(line, &range)?;
                }
                Event::Start(Tag::Heading { level, .. }) => {
                    let id = self.slugs.next(&self.words_of_heading());
                    let tag = Tag::Heading { level, id: Some(id.into()), classes: Vec::new(), attrs: Vec::new() };
                    self.out.push(Event::Start(tag));
                }
                Event::Start(Tag::Link { link_type, dest_url, title, id }) => {
                    self.in_link = true;
                    let dest_url = match self.world.target(self.chapter, &dest_url) {
                        Ok(target) => target.into(),
                        Err(problem) => {
                            self.flaw(line, problem);
                            dest_url
                        }
                    };
                    self.out.push(Event::Start(Tag::Link { link_type, dest_url, title, id }));
                }
                Event::End(TagEnd::Link) => {
                    self.in_link = false;
                    self.out.push(Event::End(TagEnd::Link));
                }
                Event::Start(Tag::CodeBlock(kind)) => self.block(&kind, line),
                Event::Start(Tag::Table(columns)) => {
                    self.html("<div class=\"wide\" tabindex=\"0\" role=\"region\" aria-label=\"Table\">".to_owned());
                    self.out.push(Event::Start(Tag::Table(columns)));
                }
                Event::End(TagEnd::Table) => {
                    self.out.push(Event::End(TagEnd::Table));
                    self.html("</div>".to_owned());
                }
                Event::Start(Tag::TableCell) => {
                    self.out.push(Event::Start(Tag::TableCell));
                    self.anchor_of_hazard(line);
                }
                Event::Code(span) => self.span(span, line),
                // What a text holds of HTML is shown as it stands.
                Event::Html(text) | Event::InlineHtml(text) => self.out.push(Event::Text(text)),
                event => self.out.push(event),
            }
        }
        Ok(())
    }

    fn flaw(&mut self, line: u32, problem: String) {
        self.flaws.push(self.world.flaw(self.chapter, line, problem));
    }

    fn html(&mut self, text: String) {
        self.out.push(Event::InlineHtml(text.into()));
    }

    /// A rule's id and its sentence, in one paragraph or two, become a box.
    fn rule(&mut self, line: u32, range: &Range<usize>) -> Result<(), askama::Error> {
        let rules = &self.world.sources.spec.rules;
        let Some(rule) = rules.iter().find(|rule| rule.chapter == self.chapter && rule.line == line) else {
            self.out.push(Event::Start(Tag::Paragraph));
            return Ok(());
        };
        self.skip_paragraph();
        if !self.source[range.clone()].trim_end().contains('\n')
            && matches!(self.events.get(self.next), Some((Event::Start(Tag::Paragraph), _)))
        {
            self.skip_paragraph();
        }
        let text = rule::render(self.world, rule)?;
        self.out.push(Event::Html(text.into()));
        Ok(())
    }

    fn skip_paragraph(&mut self) {
        while let Some((event, _)) = self.events.get(self.next) {
            self.next += 1;
            if *event == Event::End(TagEnd::Paragraph) {
                break;
            }
        }
    }

    fn words_of_heading(&self) -> String {
        let inside = self.events[self.next..].iter().take_while(|(e, _)| !matches!(e, Event::End(TagEnd::Heading(_))));
        inside
            .filter_map(|(event, _)| match event {
                Event::Text(words) | Event::Code(words) => Some(&**words),
                _ => None,
            })
            .collect()
    }

    /// A name in the text leads to what it names.
    fn span(&mut self, span: CowStr<'s>, line: u32) {
        if self.in_link {
            self.out.push(Event::Code(span));
            return;
        }
        match self.world.named(&span) {
            Named::Nothing => self.out.push(Event::Code(span)),
            Named::Wrong(problem) => {
                self.flaw(line, problem);
                self.out.push(Event::Code(span));
            }
            Named::Known(target) => {
                self.html(format!("<a href=\"{target}\"><code>{}</code></a>", escaped(&span)));
            }
        }
    }

    /// A block of code, with what it is above it.
    fn block(&mut self, kind: &CodeBlockKind<'s>, line: u32) {
        let info = match kind {
            CodeBlockKind::Fenced(info) => info.to_string(),
            CodeBlockKind::Indented => String::new(),
        };
        let mut text = String::new();
        while let Some((event, _)) = self.events.get(self.next) {
            self.next += 1;
            match event {
                Event::Text(words) => text += words,
                _ => break,
            }
        }
        let about = |key: &str| info.split_whitespace().find_map(|word| word.strip_prefix(key));
        let caption = if let Some(message) = about("message=") {
            format!("<p class=\"cap\">A <a href=\"{}\"><code>{message}</code></a></p>", message_page(message))
        } else if let Some(scenario) = about("scenario=") {
            format!(
                "<p class=\"cap\">It happens in <a href=\"{}\"><code>{scenario}</code></a></p>",
                scenario_page(scenario)
            )
        } else if let Some(file) = about("file=") {
            format!("<p class=\"cap\"><code>{}</code></p>", escaped(file))
        } else {
            String::new()
        };
        self.out.push(Event::Html(
            format!(
                "<div class=\"block\" id=\"e-{line}\">{caption}<pre tabindex=\"0\"><code>{}</code></pre></div>\n",
                escaped(&text)
            )
            .into(),
        ));
    }

    fn anchor_of_hazard(&mut self, line: u32) {
        let Some((Event::Text(text) | Event::Code(text), _)) = self.events.get(self.next) else { return };
        if self.chapter == "hazards"
            && self.world.sources.spec.hazards.iter().any(|hazard| hazard.line == line && hazard.id == **text)
        {
            let anchor = format!("<span id=\"h-{text}\"></span>");
            self.html(anchor);
        }
    }
}

fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    // Writing to a string cannot fail.
    let _ = Shown.write_escaped_str(&mut out, text);
    out
}
