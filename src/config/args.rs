//! The flags that configure the broker, and the order in which the sources are read.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};

use super::keys::{CONFIG_VARIABLE, is_key_variable};
use super::layers::Layers;
use super::{Config, ConfigError, Origin};

/// Flags that set the broker's configuration, to be flattened into a command.
#[derive(Debug, Clone, Default, clap::Args)]
#[command(next_help_heading = "Configuration")]
pub struct ConfigArgs {
    /// Read this configuration file (TOML) [env: RINGMAIL_CONFIG]
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,

    /// The data directory [key: node.data]
    #[arg(long, value_name = "DIR")]
    pub data: Option<String>,

    /// The cores to run on: "all", or a list such as 0-3,5 [key: node.cores]
    #[arg(long, value_name = "CORES")]
    pub cores: Option<String>,

    /// Where to serve the native protocol: IP:PORT (port 0 takes a free one), or "off" [key: listen.native]
    #[arg(long, value_name = "ADDR")]
    pub listen: Option<String>,

    /// Where to serve Kafka's clients: IP:PORT (port 0 takes a free one), or "off" [key: listen.kafka]
    #[arg(long, value_name = "ADDR")]
    pub kafka: Option<String>,

    /// Set any key of the configuration by its name, such as log.segment="128 MiB"; can be repeated
    #[arg(long = "set", value_name = "KEY=VALUE")]
    pub set: Vec<String>,
}

impl ConfigArgs {
    /// The configuration that results from the defaults, the file, the environment and these flags.
    ///
    /// # Errors
    /// If the file cannot be read, if any source has an unknown key or a value that its key cannot take, or
    /// if the whole is not valid.
    pub fn load(&self) -> Result<Config, ConfigError> {
        self.load_with(std::env::vars_os())
    }

    /// [`load`](Self::load) with `environment` in place of the process's own.
    ///
    /// # Errors
    /// As [`load`](Self::load).
    pub fn load_with(
        &self,
        environment: impl IntoIterator<Item = (OsString, OsString)>,
    ) -> Result<Config, ConfigError> {
        let environment: BTreeMap<_, _> = environment.into_iter().collect();
        let mut layers = Layers::new();
        let named = environment.get(&OsString::from(CONFIG_VARIABLE)).map(Path::new);
        if let Some(path) = self.config.as_deref().or(named) {
            let text = fs::read_to_string(path)
                .map_err(|source| ConfigError::Unreadable { path: path.to_owned(), source })?;
            layers.set_all(&text, &path.display().to_string())?;
        }
        for (variable, value) in &environment {
            set_variable(&mut layers, &variable.to_string_lossy(), value)?;
        }
        self.set_flags(&mut layers)?;
        layers.finish()
    }

    fn set_flags(&self, layers: &mut Layers) -> Result<(), ConfigError> {
        let mut given: BTreeMap<&str, Origin> = BTreeMap::new();
        for (key, value, origin) in self.assignments()? {
            if let Some(first) = given.insert(key, origin.clone()) {
                return Err(ConfigError::GivenTwice { key: key.to_owned(), first, second: origin });
            }
            layers.set_text(key, value, origin)?;
        }
        Ok(())
    }

    /// Key, value and flag of all that the flags set.
    fn assignments(&self) -> Result<Vec<(&str, &str, Origin)>, ConfigError> {
        let own = [
            ("node.data", &self.data, "--data"),
            ("node.cores", &self.cores, "--cores"),
            ("listen.native", &self.listen, "--listen"),
            ("listen.kafka", &self.kafka, "--kafka"),
        ];
        let own = own
            .into_iter()
            .filter_map(|(key, value, flag)| Some(Ok((key, value.as_deref()?, Origin::Flag(flag)))));
        let set = self.set.iter().map(|argument| {
            let parts = argument.split_once('=');
            let (key, value) = parts.ok_or_else(|| ConfigError::SetSyntax { argument: argument.clone() })?;
            Ok((key.trim(), value, Origin::Flag("--set")))
        });
        own.chain(set).collect()
    }
}

fn set_variable(layers: &mut Layers, variable: &str, value: &OsString) -> Result<(), ConfigError> {
    if !is_key_variable(variable) {
        return Ok(());
    }
    let variable = variable.to_owned();
    let Some(key) = layers.keys.of_variable(&variable).map(str::to_owned) else {
        let nearest = layers.keys.nearest_variable(&variable);
        return Err(ConfigError::UnknownVariable { variable, nearest });
    };
    match value.to_str() {
        Some(text) => layers.set_text(&key, text, Origin::Environment(variable)),
        None => Err(ConfigError::VariableEncoding { variable }),
    }
}
