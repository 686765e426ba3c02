//! What the program says, word for word, as its users read it.

mod house;

use house::{House, SCENARIO};

/// Runs a command line in a house, and tells all that is seen of it.
fn told(house: &House, line: &str) -> String {
    let arguments: Vec<&str> = line.split(' ').filter(|word| !word.is_empty()).collect();
    seen(house, line, house.run(&arguments))
}

/// The same, on the specification and the suite of the house.
fn told_here(house: &House, line: &str) -> String {
    let arguments: Vec<&str> = line.split(' ').collect();
    seen(house, line, house.run_here(&arguments))
}

fn seen(house: &House, line: &str, (status, out, errors): (i32, String, String)) -> String {
    let folder = house.path().display().to_string();
    let mut told = format!("$ fieldsync {line}\n");
    for text in [out, errors] {
        told += &text.replace(&folder, "FOLDER");
    }
    told + &format!("[exit status {status}]\n")
}

fn all(house: &House, lines: &[&str]) -> String {
    lines.iter().map(|line| told(house, line)).collect::<Vec<_>>().join("\n")
}

/// Ports and times are of the machine.
fn settings() -> insta::Settings {
    let mut settings = insta::Settings::clone_current();
    settings.set_prepend_module_to_snapshot(false);
    settings.add_filter(r"127\.0\.0\.1:\d{4,5}", "127.0.0.1:PORT");
    settings.add_filter(r"\d+\.\d s\.", "TIME s.");
    settings.add_filter(r"\(os error \d+\)", "(os error)");
    settings
}

macro_rules! snapshot {
    ($name:literal, $text:expr) => {
        let text = $text;
        settings().bind(|| insta::assert_snapshot!($name, text));
    };
}

#[test]
fn the_help_of_what_judges() {
    let house = House::new();
    for command in ["check", "check server", "check client", "merge", "report", "baseline update", "baseline check"] {
        let name = format!("help-{}", command.replace(' ', "-"));
        let text = told(&house, &format!("{command} --help"));
        settings().bind(|| insta::assert_snapshot!(name, text));
    }
}

#[test]
fn what_there_is() {
    let house = House::new();
    let lines = [
        "list rules",
        "list chapters",
        "list --chapter push --scenario push/lost-answer",
        "show push/lost-answer",
        "explain push.retry.quick",
    ];
    snapshot!("what-there-is", lines.map(|line| told_here(&house, line)).join("\n"));
}

#[test]
fn mistakes_on_the_command_line() {
    let house = House::new();
    snapshot!(
        "mistakes-on-the-command-line",
        all(
            &house,
            &[
                "explain push.retry.same-outcom",
                "list --chapter pusch",
                "check --scenario zzz/zzz",
                "check --shard 5/4",
                "check --hold",
                "check --markdown - --junit -",
                "check --html no/such/folder/page.html",
                "check server",
                "check server --url visits",
                "check server --url http://user:secret@127.0.0.1/visits",
                "check server --serve run",
                "check server --url http://127.0.0.1/visits --control /control --cleanup",
                "check server --url http://127.0.0.1/visits --accounts no-such-file.yaml",
                "check server --url http://127.0.0.1/visits --header nothing",
                "check --last-failed --fixtures no/such/folder",
                "new lost-answer",
                "baseline update --from run.jsonl --reason why --issue #7 --expires 2020-01-01",
                "baseline update --from run.jsonl --reason why --issue #7 --expires soon",
            ]
        )
    );
}

#[test]
fn mistakes_in_files() {
    let house = House::new();
    house.write("config-unknown.toml", "[server]\n# ours\nurls = [\"http://a\"]\n");
    house.write("config-wrong.toml", "[run]\ntimeout = \"long\"\n");
    house.write("config-both.toml", "[server]\nserve = \"run {port}\"\nurl = [\"http://a\"]\n");
    house.write("config-broken.toml", "[server\n");
    house.write(
        "known-empty.toml",
        "[[known]]\nrule = \"a.b.c\"\nreason = \" \"\nissue = \"#7\"\nexpires = 2999-01-01\n",
    );
    house.write("known-nothing.toml", "[[known]]\nreason = \"x\"\nissue = \"#7\"\nexpires = \"2999-01-01\"\n");
    house.write(
        "known-day.toml",
        "[[known]]\nrule = \"a.b.c\"\nreason = \"x\"\nissue = \"#7\"\nexpires = \"31.3.2027\"\n",
    );
    house.write(
        "known-kind.toml",
        "[[known]]\nrule = \"a.b.c\"\nkind = \"often\"\nreason = \"x\"\nissue = \"#7\"\nexpires = \"2999-01-01\"\n",
    );
    house.write(
        "known-old.toml",
        "[[known]]\nscenario = \"push/no-such\"\nreason = \"x\"\nissue = \"#7\"\nexpires = \"2999-01-01\"\n\n\
         [[known]]\nrule = \"push.retry.quick\"\nreason = \"x\"\nissue = \"#8\"\nexpires = \"2020-01-01\"\n",
    );
    house.write("words.jsonl", "hello\n");
    house.write("other.jsonl", "{\"event\":\"scenario\"}\n");
    house.write("empty.jsonl", "");
    house.write("guide.md", "See `push.retry.sometimes`.\n\n```json message=push-request\n{\"seq\": 1}\n```\n");
    house.write("broken/push/odd.yaml", "title: Something\nsteps: [\n");
    house.write("unknown/push/odd.yaml", &SCENARIO.replace("covers", "cover"));
    snapshot!(
        "mistakes-in-files",
        all(
            &house,
            &[
                "check --config no-such-file.toml",
                "check server --config config-unknown.toml",
                "check --config config-wrong.toml",
                "check server --config config-both.toml",
                "check --config config-broken.toml",
                "check --baseline no-such-file.toml",
                "check --baseline known-empty.toml",
                "check --baseline known-nothing.toml",
                "check --baseline known-day.toml",
                "check --baseline known-kind.toml",
                "baseline check known-old.toml --spec spec --fixtures fixtures",
                "report words.jsonl",
                "report other.jsonl",
                "report empty.jsonl",
                "report no-such-file.jsonl",
                "merge words.jsonl",
                "doc check guide.md --spec spec",
                "list --fixtures broken",
                "list --fixtures unknown",
                "list --spec no/such/folder",
            ]
        )
    );
}

#[test]
fn subjects_that_cannot_be_used() {
    let house = House::new();
    let closed = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    snapshot!(
        "subjects-that-cannot-be-used",
        all(
            &house,
            &[
                &format!("check server --url http://{closed}/visits"),
                &format!("check server --url http://{closed}/visits --control /control"),
            ]
        )
    );
}
