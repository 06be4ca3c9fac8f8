//! The client commands of the `ringmail` binary.

use std::io::{BufRead, BufReader, Read, Write};
use std::process::{Command, Output, Stdio};

use crate::broker::{Broker, Data};

/// A broker, and commands that talk to it.
struct Shell {
    _data: Data,
    broker: Broker,
}

impl Shell {
    fn new() -> Self {
        let data = Data::new();
        let broker = Broker::start_two_shards(&data.path());
        Self { _data: data, broker }
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_ringmail"));
        command.args(arguments).env("RINGMAIL_SERVER", &self.broker.address);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        command
    }

    /// Runs a command with this standard input.
    fn run_with(&self, arguments: &[&str], input: &[u8]) -> Output {
        let mut process = self.command(arguments).spawn().unwrap();
        process.stdin.take().unwrap().write_all(input).unwrap();
        process.wait_with_output().unwrap()
    }

    /// Runs a command that is to work; returns its standard output.
    #[track_caller]
    fn ok(&self, arguments: &[&str]) -> String {
        self.ok_with(arguments, b"")
    }

    #[track_caller]
    fn ok_with(&self, arguments: &[&str], input: &[u8]) -> String {
        let output = self.run_with(arguments, input);
        let words = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{arguments:?}: {words}");
        String::from_utf8(output.stdout).unwrap()
    }

    /// Runs a command that is to fail with this exit code; returns the one line that says why.
    #[track_caller]
    fn fails(&self, arguments: &[&str], code: i32) -> String {
        let output = self.run_with(arguments, b"");
        let words = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(code), "{arguments:?}: {words}");
        if code != 2 {
            assert!(words.starts_with("ringmail: ") && words.lines().count() == 1, "{words}");
        }
        words
    }
}

#[test]
fn topics_are_created_listed_described_changed_and_deleted() {
    let shell = Shell::new();
    assert_eq!(shell.ok(&["topic", "list"]), "TOPIC  PARTITIONS\n");
    let created = shell.ok(&["topic", "create", "orders", "-p", "3", "-c", "retention.ms=3600000"]);
    assert_eq!(created, "created topic `orders` with 3 partitions\n");
    assert_eq!(shell.ok(&["topic", "list"]), "TOPIC   PARTITIONS\norders  3\n");
    let described = shell.ok(&["topic", "describe", "orders"]);
    let set = |line: &str| line.split_whitespace().eq(["retention.ms", "3600000", "topic"]);
    assert!(described.lines().any(set), "{described}");
    shell.ok(&["topic", "alter", "orders", "-p", "4", "-r", "retention.ms"]);
    let json: serde_json::Value =
        serde_json::from_str(&shell.ok(&["topic", "describe", "orders", "--json"])).unwrap();
    assert_eq!(json["settings"]["retention.ms"]["source"], "default");
    assert_eq!(json["partitions"].as_array().unwrap().len(), 4);
    shell.ok(&["topic", "delete", "orders"]);
    assert_eq!(shell.ok(&["topic", "list", "--json"]), "[]\n");
}

#[test]
fn lines_become_records_and_records_lines() {
    let shell = Shell::new();
    shell.ok(&["topic", "create", "t", "-p", "1"]);
    shell.ok_with(&["produce", "t"], b"first\nsecond\n\nlast without newline");
    assert_eq!(
        shell.ok(&["consume", "t", "--from", "start", "--until-end"]),
        "first\nsecond\n\nlast without newline\n"
    );
    shell.ok_with(&["produce", "t", "-K", ":", "-H", "a=1", "-H", "b="], b"key:value:more\n");
    let format = "%t %p %o %k|%v|%h\\n";
    assert_eq!(
        shell.ok(&["consume", "t", "--from", "3", "-e", "--format", format]),
        "t 0 3 |last without newline|\nt 0 4 key|value:more|a=1,b=\n"
    );
    let json = shell.ok(&["consume", "t", "--from", "4", "-e", "--json"]);
    let json: serde_json::Value = serde_json::from_str(&json).unwrap();
    assert_eq!((&json["key"], &json["value"]), (&"key".into(), &"value:more".into()));
    assert_eq!(json["headers"][0], serde_json::json!({ "name": "a", "value": "1" }));
    let time = format!("@{}", json["timestamp"]);
    assert_eq!(shell.ok(&["consume", "t", "--from", &time, "-e"]), "value:more\n");
    assert_eq!(shell.ok(&["consume", "t", "--from", "2020-01-01T00:00:00Z", "-n", "2"]), "first\nsecond\n");
}

#[test]
fn bytes_of_all_kinds_pass_unchanged() {
    let shell = Shell::new();
    shell.ok(&["topic", "create", "t", "-p", "1"]);
    let lines: Vec<u8> = (0..=255).chain(0..=255).filter(|b| *b != b'\n').chain([b'\n']).collect();
    shell.run_with(&["produce", "t", "--compression", "zstd"], &lines);
    let consumed = shell.run_with(&["consume", "t", "--from", "start", "-e"], b"");
    assert_eq!(consumed.stdout, lines);
    let json = shell.ok(&["consume", "t", "--from", "start", "-e", "--json"]);
    assert!(json.contains("\"value_base64\":\"AAEC"), "{json}");
}

#[test]
fn a_file_is_sent_and_summed_up() {
    let shell = Shell::new();
    shell.ok(&["topic", "create", "t", "-p", "4"]);
    let lines: String = (0..50_000).map(|n| format!("line {n}\n")).collect();
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), &lines).unwrap();
    let path = file.path().to_str().unwrap();
    let sent = shell.run_with(&["produce", "t", "--file", path], b"");
    let summary = String::from_utf8(sent.stderr).unwrap();
    assert!(summary.starts_with("50,000 records, "), "{summary}");
    assert!(summary.ends_with("stored and synced\n"), "{summary}");
    let consumed = shell.ok(&["consume", "t", "--from", "start", "-e"]);
    let mut consumed: Vec<&str> = consumed.lines().collect();
    let mut expected: Vec<&str> = lines.lines().collect();
    consumed.sort_unstable();
    expected.sort_unstable();
    assert_eq!(consumed, expected);
}

#[test]
fn one_partition_can_be_chosen() {
    let shell = Shell::new();
    shell.ok(&["topic", "create", "t", "-p", "3"]);
    shell.ok_with(&["produce", "t", "--partition", "2"], b"in two\n");
    shell.ok_with(&["produce", "t", "--partition", "1", "--acks", "written"], b"in one\n");
    let read = |partition, until| shell.ok(&["consume", "t", "--from", "start", "-p", partition, until]);
    assert_eq!((read("0", "-e"), read("2", "-e")), (String::new(), "in two\n".to_owned()));
    // What is written and not synced yet can be read a little later.
    assert_eq!(read("1", "-n1"), "in one\n");
    let words = shell.fails(&["consume", "t", "-p", "3"], 1);
    assert!(words.contains("no partition 3"), "{words}");
}

#[test]
fn consume_follows_and_ends_quietly_when_nobody_reads_any_more() {
    let shell = Shell::new();
    shell.ok(&["topic", "create", "t", "-p", "1"]);
    shell.ok_with(&["produce", "t"], b"before\n");
    let mut process = shell.command(&["consume", "t", "--from", "start"]).spawn().unwrap();
    let mut output = BufReader::new(process.stdout.take().unwrap());
    let mut line = String::new();
    output.read_line(&mut line).unwrap();
    shell.ok_with(&["produce", "t"], b"after\n");
    output.read_line(&mut line).unwrap();
    assert_eq!(line, "before\nafter\n");
    drop(output);
    shell.ok_with(&["produce", "t"], b"nobody reads this\n");
    assert!(process.wait().unwrap().success());
    let mut words = String::new();
    process.stderr.take().unwrap().read_to_string(&mut words).unwrap();
    assert_eq!(words, "");
}

#[test]
fn ping_and_completions() {
    let shell = Shell::new();
    let pings = shell.ok(&["ping"]);
    assert!(pings.starts_with(&shell.broker.address) && pings.trim_end().ends_with(" ms"), "{pings}");
    for name in ["bash", "zsh", "fish"] {
        assert!(shell.ok(&["completions", name]).contains("ringmail"));
    }
}

#[test]
fn failures_have_exit_codes_and_say_what_to_do() {
    let shell = Shell::new();
    shell.ok(&["topic", "create", "t", "-p", "1"]);
    let says = |arguments: &[&str], code, part: &str| {
        let words = shell.fails(arguments, code);
        assert!(words.contains(part), "{arguments:?}: {words}");
    };
    says(&["consume", "nowhere"], 1, "`ringmail topic create nowhere`");
    says(&["produce", "nowhere"], 1, "`ringmail topic create nowhere`");
    says(&["topic", "describe", "nowhere"], 1, "there is no topic `nowhere`");
    says(&["topic", "delete", "nowhere"], 1, "there is no topic `nowhere`");
    says(&["topic", "create", "t"], 1, "there is a topic `t` already");
    says(&["topic", "create", "a b"], 1, "InvalidTopicName");
    says(&["topic", "create", "u", "-c", "no.such=1"], 1, "InvalidConfig");
    says(&["topic", "alter", "t", "-p", "1", "-c", "retention.ms=soon"], 1, "InvalidConfig");
    says(&["consume", "t", "--from", "99", "-e"], 1, "offset 99 is out of range");
    says(&["produce", "t", "--file", "no/such/file"], 1, "cannot read no/such/file");
    says(&["ping", "--server", "127.0.0.1:1"], 3, "is the broker running? Start one with `ringmail serve`");
    says(&["ping", "--server", "127.0.0.1:port"], 2, "write host:port");
    says(&["consume", "t", "--from", "yesterday"], 2, "2026-01-31T12:00:00Z");
    says(&["consume", "t", "--format", "%q"], 2, "%q means nothing");
    says(&["topic", "alter", "t"], 2, "required");
    let output = shell.run_with(&["produce", "t", "-K", "="], b"k=v\nnone\n");
    assert_eq!(output.status.code(), Some(1));
    assert!(String::from_utf8(output.stderr).unwrap().contains("line 2 has no `=`"));
    assert_eq!(shell.ok(&["consume", "t", "--from", "start", "-e"]), "v\n");
}
