//! A broker in a process of its own, on a data directory of its own.

use std::io::{BufRead, BufReader, Read};
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

/// A broker that runs; killed when it is dropped.
pub struct Broker {
    process: Child,
    pub address: String,
    pub shard_ports: Vec<u16>,
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
        let mut process = command(data, arguments).spawn().expect("the broker's binary is built");
        let stdout = process.stdout.take().expect("standard output is piped");
        let mut line = String::new();
        BufReader::new(stdout).read_line(&mut line).expect("standard output can be read");
        let Some((address, ports)) = parse_ready(&line) else {
            let _ = process.kill();
            let mut words = String::new();
            let _ = process.stderr.take().expect("standard error is piped").read_to_string(&mut words);
            panic!("the broker is not ready: {line:?} {words}");
        };
        Self { process, address, shard_ports: ports }
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
        self.process.id()
    }

    pub fn signal(&self, name: &str) {
        let sent = Command::new("kill").args(["-s", name, &self.id().to_string()]).status();
        assert!(sent.expect("kill can be run").success());
    }

    /// Stops the broker in order, and gives what it logged.
    pub fn stop(mut self) -> String {
        self.signal("TERM");
        let (status, words) = self.wait();
        assert!(status.success(), "{status}: {words}");
        words
    }

    /// Kills the broker, as a crash would.
    pub fn kill(mut self) {
        self.process.kill().expect("the broker runs");
        self.process.wait().expect("the broker is a child");
    }

    /// Waits for the end of the process; gives what it logged.
    pub fn wait(&mut self) -> (ExitStatus, String) {
        let deadline = Instant::now() + PATIENCE;
        loop {
            if let Some(status) = self.process.try_wait().expect("the broker is a child") {
                let mut words = String::new();
                if let Some(mut stderr) = self.process.stderr.take() {
                    let _ = stderr.read_to_string(&mut words);
                }
                return (status, words);
            }
            assert!(Instant::now() < deadline, "the broker does not end");
            std::thread::sleep(Duration::from_millis(5));
        }
    }
}

impl Drop for Broker {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
        if std::thread::panicking()
            && let Some(mut stderr) = self.process.stderr.take()
        {
            let mut words = String::new();
            let _ = stderr.read_to_string(&mut words);
            eprintln!("the broker said: {words}");
        }
    }
}

/// Runs a broker that is expected not to start.
pub fn refused(data: &Path, arguments: &[&str]) -> Output {
    command(data, arguments).output().expect("the broker's binary is built")
}

fn command(data: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_ringmail"));
    let small = ["--set", "log.segment=16 MiB", "--set", "log.prefill_segments=1"];
    command
        .arg("serve")
        .arg("--data")
        .arg(data)
        .args(["--listen", "127.0.0.1:0"])
        .args(small)
        .args(arguments);
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command.env_clear();
    command
}

/// Address and shard ports of `ringmail: ready native=HOST:PORT shards=PORT,...`.
fn parse_ready(line: &str) -> Option<(String, Vec<u16>)> {
    let (address, ports) = line.trim_end().strip_prefix("ringmail: ready native=")?.split_once(" shards=")?;
    let ports = ports.split(',').map(|port| port.parse().ok()).collect::<Option<_>>()?;
    Some((address.to_owned(), ports))
}
