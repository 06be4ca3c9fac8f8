//! A broker in a process of its own, on a data directory of its own.

use std::fs::File;
use std::io::{BufRead, BufReader};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::time::{Duration, Instant};

use tempfile::TempDir;

use crate::client::Client;

/// How long anything may take that takes milliseconds if all is well.
pub const PATIENCE: Duration = Duration::from_secs(20);

/// A directory for a broker's data, removed at the end.
pub struct Data(TempDir);

impl Data {
    pub fn new() -> Self {
        Self(TempDir::new().expect("a temporary directory"))
    }

    pub fn path(&self) -> PathBuf {
        self.0.path().join("data")
    }
}

/// A broker that was started and may not be ready; killed when it is dropped.
pub struct Starting {
    process: Child,
    log: Log,
}

impl Starting {
    /// Starts a broker by `command`, as [`command`] gives it.
    pub fn spawn(mut command: Command) -> Self {
        let log = Log::new();
        command.stdout(Stdio::piped()).stderr(log.writer());
        Self { process: command.spawn().expect("the broker's binary is built"), log }
    }

    /// Waits until the broker is ready.
    ///
    /// # Errors
    /// What it said, if it ends instead.
    pub fn ready(mut self) -> Result<Broker, String> {
        let stdout = self.process.stdout.take().expect("standard output is piped");
        let mut line = String::new();
        BufReader::new(stdout).read_line(&mut line).expect("standard output can be read");
        match parse_ready(&line) {
            Some(ready) => {
                let Ready { address, shard_ports, kafka, kafka_ports } = ready;
                Ok(Broker { running: self, address, shard_ports, kafka, kafka_ports })
            }
            None => {
                let (status, words) = self.wait();
                Err(format!("{status}: {line}{words}"))
            }
        }
    }

    pub fn id(&self) -> u32 {
        self.process.id()
    }

    /// What it has logged so far.
    pub fn said(&self) -> String {
        self.log.text()
    }

    /// Kills the broker, as a crash would; gives what it logged.
    pub fn kill(mut self) -> String {
        self.process.kill().expect("the broker runs");
        self.process.wait().expect("the broker is a child");
        self.said()
    }

    /// Waits for the end of the process; gives what it logged.
    pub fn wait(&mut self) -> (ExitStatus, String) {
        let deadline = Instant::now() + PATIENCE;
        loop {
            if let Some(status) = self.process.try_wait().expect("the broker is a child") {
                return (status, self.said());
            }
            assert!(Instant::now() < deadline, "the broker does not end");
            std::thread::sleep(Duration::from_millis(5));
        }
    }
}

impl Drop for Starting {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
        if std::thread::panicking() {
            eprintln!("the broker said: {}", self.said());
        }
    }
}

/// What a broker logs. A file, since a pipe that nobody reads would fill up.
struct Log(File);

impl Log {
    fn new() -> Self {
        Self(tempfile::tempfile().expect("a temporary file"))
    }

    fn writer(&self) -> Stdio {
        self.0.try_clone().expect("a further descriptor").into()
    }

    fn text(&self) -> String {
        let length = self.0.metadata().expect("the file is open").len();
        let mut bytes = vec![0; length as usize];
        self.0.read_exact_at(&mut bytes, 0).expect("a file can be read");
        String::from_utf8_lossy(&bytes).into_owned()
    }
}

/// A broker that is ready; killed when it is dropped.
pub struct Broker {
    running: Starting,
    pub address: String,
    pub shard_ports: Vec<u16>,
    /// Where Kafka's clients are served.
    pub kafka: String,
    pub kafka_ports: Vec<u16>,
}

impl Broker {
    /// Starts a broker with one shard.
    pub fn start(data: &Path) -> Self {
        Self::start_with(data, &["--set", "node.shards=1"])
    }

    /// Starts a broker with two shards.
    pub fn start_two_shards(data: &Path) -> Self {
        Self::start_with(data, &["--set", "node.shards=2"])
    }

    /// Starts a broker and waits until it is ready.
    pub fn start_with(data: &Path, arguments: &[&str]) -> Self {
        let started = Starting::spawn(command(data, arguments)).ready();
        started.unwrap_or_else(|words| panic!("the broker does not start: {words}"))
    }

    /// A client at the shared port, after its handshake.
    pub fn client(&self) -> Client {
        Client::connect(&self.address)
    }

    /// A client at the port of a shard, after its handshake.
    pub fn client_at(&self, shard: usize) -> Client {
        Client::connect(&format!("127.0.0.1:{}", self.shard_ports[shard]))
    }

    pub fn id(&self) -> u32 {
        self.running.id()
    }

    pub fn signal(&self, name: &str) {
        assert!(self.try_signal(name), "the broker runs");
    }

    /// Sends a signal; `false` if the broker has ended.
    pub fn try_signal(&self, name: &str) -> bool {
        let sent =
            Command::new("kill").args(["-s", name, &self.id().to_string()]).stderr(Stdio::null()).status();
        sent.expect("kill can be run").success()
    }

    /// What the broker has logged so far.
    pub fn said(&self) -> String {
        self.running.said()
    }

    /// Stops the broker in order, and gives what it logged.
    pub fn stop(mut self) -> String {
        self.signal("TERM");
        let (status, words) = self.wait();
        assert!(status.success(), "{status}: {words}");
        words
    }

    /// Stops a broker that may be unable to close its log; gives how it ended, and what it logged.
    pub fn stop_failing(mut self) -> (ExitStatus, String) {
        self.signal("TERM");
        self.wait()
    }

    /// Kills the broker, as a crash would; gives what it logged.
    pub fn kill(self) -> String {
        self.running.kill()
    }

    /// Waits for the end of the process; gives what it logged.
    pub fn wait(&mut self) -> (ExitStatus, String) {
        self.running.wait()
    }
}

/// Runs a broker that is expected not to start.
pub fn refused(data: &Path, arguments: &[&str]) -> Output {
    command(data, arguments).output().expect("the broker's binary is built")
}

/// A broker with small segments at ports of the system's choice, unless `arguments` say otherwise.
pub fn command(data: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_ringmail"));
    command.arg("serve").arg("--data").arg(data);
    for listener in ["--listen", "--kafka"] {
        if !arguments.contains(&listener) {
            command.args([listener, "127.0.0.1:0"]);
        }
    }
    for (key, small) in [("log.segment", "16 MiB"), ("log.prefill_segments", "1")] {
        if !arguments.iter().any(|argument| argument.split('=').next() == Some(key)) {
            command.args(["--set", &format!("{key}={small}")]);
        }
    }
    command.args(arguments);
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command.env_clear();
    command
}

/// What a broker says once it is ready.
struct Ready {
    address: String,
    shard_ports: Vec<u16>,
    kafka: String,
    kafka_ports: Vec<u16>,
}

/// Reads `ringmail: ready native=HOST:PORT shards=PORT,... kafka=HOST:PORT kafka_shards=PORT,...`.
fn parse_ready(line: &str) -> Option<Ready> {
    let fields = line.trim_end().strip_prefix("ringmail: ready ")?;
    let field = |name: &str| {
        let mut fields = fields.split(' ').filter_map(|field| field.split_once('='));
        fields.find(|(found, _)| *found == name).map(|(_, value)| value.to_owned())
    };
    let ports = |name| {
        let list = field(name)?;
        list.split(',').filter(|port| !port.is_empty()).map(|port| port.parse().ok()).collect::<Option<_>>()
    };
    Some(Ready {
        address: field("native")?,
        shard_ports: ports("shards")?,
        kafka: field("kafka")?,
        kafka_ports: ports("kafka_shards")?,
    })
}
