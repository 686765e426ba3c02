//! What the program says, word for word, as its users read it.

mod answering;
mod house;

use answering::answering;
use house::{House, SCENARIO};
use serde_json::{Value, json};

/// Runs a command line in a house, and tells all that is seen of it.
fn told(house: &House, line: &str) -> String {
    seen(house, line, house.run(&words(line)))
}

/// The words of a line; what stands between quotes is one.
fn words(line: &str) -> Vec<&str> {
    let parts = line.split('\'').enumerate();
    parts.flat_map(|(i, part)| if i % 2 == 1 { vec![part] } else { part.split_whitespace().collect() }).collect()
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
    settings.add_filter(r"(served\.py|done with|no-such-server) \d{4,5}", "$1 PORT");
    settings.add_filter(r"\d+\.\d s\.", "TIME s.");
    settings.add_filter(r"sh: (line )?1: (exec: )?", "sh: ");
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
    let commands = ["check", "check server", "check client", "check pair", "matrix", "merge", "report"];
    for command in commands.into_iter().chain(["baseline update", "baseline check", "adapter try"]) {
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

/// Writes an adapter: the reference's, whose `hello` is changed by this.
fn reference_that_says(house: &House, file: &str, change: impl Fn(&mut Value)) {
    let adapter = format!("'{}' adapter serve", env!("CARGO_BIN_EXE_fieldsync"));
    house.write("hello.jsonl", "{\"verb\":\"hello\",\"id\":1,\"protocol\":\"2026-12-01\"}\n");
    let mut hello = std::process::Command::new("sh");
    hello.arg("-c").arg(format!("{adapter} < hello.jsonl")).current_dir(house.path());
    let said = hello.output().unwrap().stdout;
    let said = String::from_utf8(said).unwrap();
    let mut ok = serde_json::from_str::<Value>(&said).unwrap()["ok"].take();
    change(&mut ok);
    let changed = format!("s~\"ok\":{{\"name\".*~\"ok\":{ok}}}~");
    house.write(file, &format!("{adapter} | sed -u '{changed}'\n"));
}

#[test]
fn an_adapter_that_is_tried() {
    let house = House::new();
    reference_that_says(&house, "whole.sh", |_| ());
    let little = |hello: &mut Value| {
        hello["profiles"] = json!(["field-merge"]);
        hello["capabilities"] = json!(["groups"]);
    };
    reference_that_says(&house, "field-merge.sh", little);
    reference_that_says(&house, "foreign.sh", |hello| hello["profiles"] = json!(["crdt", "gossip"]));
    reference_that_says(&house, "no-profile.sh", |hello| hello["profiles"] = json!([]));
    reference_that_says(&house, "number.sh", |hello| hello["profiles"] = json!(1));
    let skeleton = concat!(env!("CARGO_MANIFEST_DIR"), "/skeletons/python/adapter.py");
    std::fs::copy(skeleton, house.path().join("adapter.py")).unwrap();
    house.write("ends.sh", "echo 'cannot open the store' >&2\nexit 3\n");
    house.write("babbles.sh", "echo Welcome\ncat > received\n");
    house.write("silent.sh", "echo 'waiting for the camera' >&2\ncat > received\n");
    for fault in ["what-waits-is-shown-as-synced", "tombstones-are-passed-over"] {
        let adapter = format!("'{}' mutants adapter {fault}\n", env!("CARGO_BIN_EXE_fieldsync"));
        house.write(&format!("{fault}.sh"), &adapter);
    }
    let lines = [
        "adapter try --command 'sh whole.sh' --timeout 60",
        "adapter try --command 'sh field-merge.sh' --timeout 60",
        "adapter try --command 'sh foreign.sh' --timeout 60",
        "adapter try --command 'sh no-profile.sh' --timeout 60",
        "adapter try --command 'sh number.sh' --timeout 60",
        "adapter try --command 'sh what-waits-is-shown-as-synced.sh' --timeout 60",
        "adapter try --command 'sh tombstones-are-passed-over.sh' --timeout 60",
        "adapter try --command 'python3 adapter.py' --timeout 60",
        "adapter try --command 'sh ends.sh' --timeout 60",
        "adapter try --command 'sh babbles.sh' --timeout 60",
        "adapter try --command 'sh silent.sh' --timeout 3",
        "adapter try --command 'no-such-adapter' --timeout 60",
    ];
    snapshot!("adapters-that-are-tried", all(&house, &lines));
}

#[test]
fn what_a_server_says_of_itself() {
    let house = House::new();
    let discovery = |change: &dyn Fn(&mut Value)| {
        let mut discovery = json!({"versions": ["2026-12-01"], "profile": "version-wins", "auth": ["bearer"]});
        change(&mut discovery);
        answering("200 OK", &discovery.to_string())
    };
    let check = |url: String| format!("check server --url {url}");
    let by_url = [
        check(answering("200 OK", "<!DOCTYPE html><title>Welcome to the hotel</title>")),
        check(answering("404 Not Found", "nothing here")),
        check(answering("200 OK", "{}")),
        check(discovery(&|said| said["versions"] = json!(["2031-01-01", "2030-01-01"]))),
        check(discovery(&|_| ())),
    ];
    house.write("served.py", SERVED);
    let serve = |said: &str| format!("check server --serve 'python3 served.py {{port}} {said}'");
    house.write("empty.json", "{}");
    house.write("welcome.html", "<!DOCTYPE html><title>Welcome to the hotel</title>");
    house.write("no-url.json", "{\"base\": \"http://[\"}");
    let by_command = [
        serve("404 welcome.html"),
        serve("200 welcome.html"),
        serve("200 empty.json"),
        serve("200 no-url.json"),
        "check server --serve 'echo I am done with {port}'".to_owned(),
        "check server --serve 'no-such-server {port}'".to_owned(),
    ];
    let domain = |name: &str| format!("{}/../../fixtures/domain/{name}.yaml", env!("CARGO_MANIFEST_DIR"));
    let other = std::fs::read_to_string(domain("version-wins")).unwrap();
    house.write("other.yaml", &other.replace("observation", "finding"));
    // By a name that is as long everywhere: the report breaks its lines.
    house.write("serve.sh", &format!("exec '{}' serve \"$@\"", env!("CARGO_BIN_EXE_fieldsync")));
    let hosting = |domain: &str| {
        let serve = format!("sh serve.sh --data {{dir}} --listen 127.0.0.1:{{port}} --domain {domain} --control");
        told(&house, &format!("check server --control /control --serve '{serve}'"))
    };
    let told = [
        all(&house, &by_url.each_ref().map(String::as_str)),
        all(&house, &by_command.each_ref().map(String::as_str)),
        hosting("other.yaml"),
    ];
    snapshot!("what-a-server-says-of-itself", told.join("\n"));
}

/// A server that answers every request with the status and the file of its command line.
const SERVED: &str = "\
import http.server, sys
port, status, file = sys.argv[1:]
body = open(file).read()
class Served(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(int(status))
        self.send_header('Content-Length', str(len(body)))
        self.end_headers()
        self.wfile.write(body.encode())
    def log_message(self, *_):
        pass
http.server.HTTPServer(('127.0.0.1', int(port)), Served).serve_forever()
";
