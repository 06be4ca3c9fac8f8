//! Entries of a topic's configuration on the command line.

/// An entry, written `key=value`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Setting {
    pub key: String,
    pub value: String,
}

impl std::str::FromStr for Setting {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text.split_once('=') {
            Some((key, value)) if !key.is_empty() && !value.is_empty() => {
                Ok(Self { key: key.to_owned(), value: value.to_owned() })
            }
            _ => Err("write key=value, such as retention.ms=3600000"),
        }
    }
}

/// The entries as the client takes them.
pub(super) fn pairs(settings: &[Setting]) -> Vec<(&str, &str)> {
    settings.iter().map(|setting| (setting.key.as_str(), setting.value.as_str())).collect()
}
