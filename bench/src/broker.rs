//! The broker under test: a process of its own on a core of its own.

use std::fs::{self, File};
use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use crate::cpu::{self, Usage};
use crate::error::{Error, Result};

/// Longest time that a start may take; restarts after kill -9 are measured well below it.
const START_LIMIT: Duration = Duration::from_secs(60);
/// Longest time that a shutdown on SIGTERM may take.
const STOP_LIMIT: Duration = Duration::from_secs(20);
/// How often an exit is looked for.
const POLL: Duration = Duration::from_millis(5);
/// What the broker prints before its address once it serves.
const READY: &str = "ringmail: ready native=";

/// How a broker is started.
#[derive(Clone, Debug)]
pub struct Setup {
    /// The `ringmail` binary.
    pub binary: PathBuf,
    /// Its data directory, made by [`Setup::fresh`].
    pub data: PathBuf,
    /// The core that the whole process is pinned to.
    pub core: usize,
}

/// A running broker. It is killed when dropped.
#[derive(Debug)]
pub struct Broker {
    child: Child,
    address: SocketAddr,
}

impl Setup {
    /// Makes an empty data directory.
    ///
    /// # Errors
    ///
    /// When an earlier one cannot be removed, or this one not be made.
    pub fn fresh(&self) -> Result<()> {
        self.remove()?;
        fs::create_dir_all(&self.data).map_err(Error::file("create", &self.data))
    }

    /// Removes the data directory with all that is in it.
    ///
    /// # Errors
    ///
    /// When it cannot be removed.
    pub fn remove(&self) -> Result<()> {
        match fs::remove_dir_all(&self.data) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                Err(Error::File { action: "remove", path: self.data.clone(), source: error })
            }
            _ => Ok(()),
        }
    }

    /// Starts the broker with its defaults and waits until it serves.
    ///
    /// # Errors
    ///
    /// When it does not start, or not within a minute; with the last line of its log.
    pub fn start(&self) -> Result<Broker> {
        let log_path = self.data.with_extension("log");
        let log = File::create(&log_path).map_err(Error::file("create", &log_path))?;
        let mut child = self.spawn(log)?;
        let stdout = child.stdout.take().expect("stdout is piped");
        match ready_address(stdout) {
            Some(address) => Ok(Broker { child, address }),
            None => {
                // It may have ended already; either way it is to be gone.
                let _ = child.kill();
                let _ = child.wait();
                Err(Error::Broker(format!("does not start: {}", last_line(&log_path))))
            }
        }
    }

    /// The child inherits the core of the thread that starts it.
    fn spawn(&self, log: File) -> Result<Child> {
        let mut command = Command::new(&self.binary);
        command
            .arg("serve")
            .arg("--data")
            .arg(&self.data)
            .args(["--cores", &self.core.to_string(), "--listen", "127.0.0.1:0", "--kafka", "127.0.0.1:0"])
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(log);
        let pinned = || {
            cpu::pin(self.core)?;
            command.spawn().map_err(Error::file("start", &self.binary))
        };
        std::thread::scope(|scope| {
            scope.spawn(pinned).join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
        })
    }
}

impl Broker {
    /// Where it serves the native protocol.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// What it has used so far.
    ///
    /// # Errors
    ///
    /// When it has ended.
    pub fn usage(&self) -> Result<Usage> {
        cpu::usage(self.child.id())
    }

    /// Ends it as kill -9 does, and waits until it is gone.
    ///
    /// # Errors
    ///
    /// When the process cannot be waited for.
    pub fn kill(mut self) -> Result<()> {
        self.child.kill().and_then(|()| self.child.wait()).map_err(Error::system("kill the broker"))?;
        Ok(())
    }

    /// Ends it by SIGTERM.
    ///
    /// # Errors
    ///
    /// When it does not end in time, or not with success.
    pub fn stop(mut self) -> Result<()> {
        let pid = libc::pid_t::try_from(self.child.id()).expect("process ids fit pid_t");
        // SAFETY: kill takes plain numbers; the child has not been waited for, so that the id is still its own.
        if unsafe { libc::kill(pid, libc::SIGTERM) } != 0 {
            let source = std::io::Error::last_os_error();
            return Err(Error::System { action: "end the broker", source });
        }
        let deadline = Instant::now() + STOP_LIMIT;
        while Instant::now() < deadline {
            match self.child.try_wait().map_err(Error::system("wait for the broker"))? {
                Some(status) if status.success() => return Ok(()),
                Some(status) => return Err(Error::Broker(format!("ended with {status} on SIGTERM"))),
                None => std::thread::sleep(POLL),
            }
        }
        Err(Error::Broker(format!("did not end within {} s of SIGTERM", STOP_LIMIT.as_secs())))
    }
}

impl Drop for Broker {
    /// Both calls fail only if the process is gone already, which is what is wanted.
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Reads the broker's output up to the line that says where it serves. A thread goes on reading after that, so that the
/// broker never blocks on a full pipe; it ends with the broker.
fn ready_address(stdout: ChildStdout) -> Option<SocketAddr> {
    let (tell, told) = mpsc::channel();
    std::thread::spawn(move || {
        for line in BufReader::new(stdout).lines().map_while(std::result::Result::ok) {
            if let Some(address) = parse_ready(&line) {
                // Nobody listens after the time limit, which is fine.
                let _ = tell.send(address);
            }
        }
    });
    told.recv_timeout(START_LIMIT).ok()
}

/// The address in `ringmail: ready native=ADDR ...`.
fn parse_ready(line: &str) -> Option<SocketAddr> {
    line.strip_prefix(READY)?.split_whitespace().next()?.parse().ok()
}

fn last_line(log: &Path) -> String {
    let text = fs::read_to_string(log).unwrap_or_default();
    text.lines().next_back().map_or_else(|| "it printed nothing".to_owned(), str::to_owned)
}

/// The `ringmail` binary beside this one.
///
/// # Errors
///
/// When there is none: it has not been built.
pub fn beside_this_binary() -> Result<PathBuf> {
    let this = std::env::current_exe().map_err(Error::system("find the bench binary"))?;
    let broker = this.with_file_name("ringmail");
    if broker.is_file() {
        return Ok(broker);
    }
    Err(Error::Usage(format!(
        "there is no broker at {}; build it (cargo build --release) or name one with --broker",
        broker.display()
    )))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    /// A shell script in the place of the broker.
    fn fake(dir: &Path, script: &str) -> Setup {
        let binary = dir.join("fake");
        fs::write(&binary, format!("#!/bin/sh\n{script}\n")).unwrap();
        fs::set_permissions(&binary, fs::Permissions::from_mode(0o755)).unwrap();
        let setup = Setup { binary, data: dir.join("data"), core: 0 };
        setup.fresh().unwrap();
        setup
    }

    #[test]
    fn the_ready_line_names_the_address() {
        let address = "127.0.0.1:4321".parse().unwrap();
        assert_eq!(parse_ready("ringmail: ready native=127.0.0.1:4321"), Some(address));
        assert_eq!(parse_ready("ringmail: ready native=127.0.0.1:4321 kafka=off"), Some(address));
        assert_eq!(parse_ready("listening on 127.0.0.1:4321"), None);
    }

    #[test]
    fn a_broker_is_started_measured_and_stopped() {
        let dir = tempfile::tempdir().unwrap();
        let setup = fake(
            dir.path(),
            "echo starting\necho 'ringmail: ready native=127.0.0.1:7'\nexec sleep 60 >/dev/null",
        );
        let broker = setup.start().unwrap();
        assert_eq!(broker.address().port(), 7);
        assert!(broker.usage().unwrap().rss_kib > 0);
        broker.kill().unwrap();
        let error = setup.start().unwrap().stop().unwrap_err().to_string();
        assert!(error.contains("signal: 15"), "{error}");
    }

    #[test]
    fn a_broker_that_fails_says_why() {
        let dir = tempfile::tempdir().unwrap();
        let error = fake(dir.path(), "echo 'no such core' >&2; exit 2").start().unwrap_err().to_string();
        assert!(error.contains("no such core"), "{error}");
        let missing =
            Setup { binary: dir.path().join("nothing"), data: dir.path().join("data"), core: 0 }.start();
        assert!(missing.unwrap_err().to_string().contains("nothing"));
    }
}
