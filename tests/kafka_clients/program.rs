//! A program that uses a client, in a process of its own, against a broker of its own.

use std::env;
use std::fs::File;
use std::io::{BufRead, BufReader, Read, Seek, Write};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::OnceLock;
use std::sync::mpsc::{self, Receiver, RecvTimeoutError};
use std::thread;
use std::time::{Duration, Instant};

use crate::broker::{Broker, Data};
use crate::ports::Ports;

/// How long a program may take that kills nothing, and how much longer it may take for each kill.
const PATIENCE: Duration = Duration::from_secs(300);
const PATIENCE_PER_KILL: Duration = Duration::from_secs(30);
/// What a program prints to have the broker killed and started anew, and the answer to it.
const KILL: &str = "please: kill the broker";
const KILLED: &[u8] = b"done\n";

/// A program in Python, with its arguments behind the broker's address.
pub fn python(file: &str, arguments: &[&str]) {
    run(Command::new(clients().join("venv/bin/python")), file, arguments);
}

/// A program for Node.
pub fn node(file: &str) {
    let mut node = Command::new("node");
    node.env("NODE_PATH", clients().join("node_modules"));
    run(node, file, &[]);
}

/// Runs a program to its end, and kills the broker whenever it asks for that.
fn run(mut interpreter: Command, file: &str, arguments: &[&str]) {
    let data = Data::new();
    let ports = Ports::free();
    let mut broker = start(&data.path(), &ports);
    interpreter
        .arg(root().join("tests/kafka_clients").join(file))
        .arg(ports.shared_address())
        .args(arguments);
    let mut program = Running::start(interpreter);
    let mut checks = 0;
    while let Some(line) = program.line() {
        println!("{line}");
        checks += u32::from(line.starts_with("ok "));
        if line == KILL {
            broker.kill();
            broker = start(&data.path(), &ports);
            program.stdin.write_all(KILLED).expect("the program waits for the answer");
        }
    }
    let (succeeded, words) = program.end();
    assert!(succeeded, "{file} failed: {words}\nthe broker said: {}", broker.said());
    assert!(checks > 0, "{file} has checked nothing");
}

/// A broker of two shards, at the same ports as the one before it.
fn start(data: &Path, ports: &Ports) -> Broker {
    let kafka = ports.shared_address();
    let shards = format!("listen.kafka_shard_ports_from={}", ports.first_of_shards());
    Broker::start_with(data, &["--kafka", &kafka, "--set", &shards, "--set", "node.shards=2"])
}

/// A program that runs; it ends with this, and so does what it has started.
struct Running {
    process: Child,
    stdin: ChildStdin,
    stdout: Receiver<String>,
    stderr: File,
    deadline: Instant,
}

impl Running {
    fn start(mut command: Command) -> Self {
        let stderr = tempfile::tempfile().expect("a temporary file");
        let writer = stderr.try_clone().expect("a further descriptor");
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(writer).process_group(0);
        let mut process = command.spawn().expect("its interpreter is installed");
        let stdin = process.stdin.take().expect("it is piped");
        let lines = BufReader::new(process.stdout.take().expect("it is piped")).lines();
        let (sender, stdout) = mpsc::channel();
        thread::spawn(move || lines.map_while(Result::ok).try_for_each(|line| sender.send(line)));
        let kills = env::var("KILLS").ok().and_then(|kills| kills.parse().ok()).unwrap_or(0_u32);
        let deadline = Instant::now() + PATIENCE + PATIENCE_PER_KILL * kills;
        Self { process, stdin, stdout, stderr, deadline }
    }

    /// The next line that it prints; `None` at its end.
    fn line(&self) -> Option<String> {
        match self.stdout.recv_timeout(self.deadline.saturating_duration_since(Instant::now())) {
            Ok(line) => Some(line),
            Err(RecvTimeoutError::Disconnected) => None,
            Err(RecvTimeoutError::Timeout) => panic!("the program does not end; it said: {}", self.words()),
        }
    }

    /// Whether it ended well, and what it said of that.
    fn end(&mut self) -> (bool, String) {
        let status = self.process.wait().expect("it is a child");
        (status.success(), self.words())
    }

    fn words(&self) -> String {
        let mut words = String::new();
        let mut stderr = &self.stderr;
        stderr.rewind().expect("it is a file");
        stderr.read_to_string(&mut words).expect("it is text");
        words
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let group = format!("-{}", self.process.id());
        let _ = Command::new("kill").args(["-s", "KILL", "--", &group]).stderr(Stdio::null()).status();
        let _ = self.process.wait();
    }
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// The folder with the clients, which are installed if they are not.
fn clients() -> &'static Path {
    static CLIENTS: OnceLock<PathBuf> = OnceLock::new();
    CLIENTS.get_or_init(|| {
        let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).with_file_name("kafka-clients");
        let status = Command::new(root().join(".ci/kafka-clients")).arg(&folder).status();
        assert!(status.expect("it is a script").success(), "Kafka's clients cannot be installed");
        folder
    })
}
