//! Configuration files.

use ringmail::config::Config;

/// Reads a configuration file; what is one is printed, and reads again as the same.
pub fn config(input: &[u8]) {
    let Ok(text) = std::str::from_utf8(input) else { return };
    match Config::from_toml(text, "ringmail.toml") {
        Ok(config) => {
            let again = Config::from_toml(&config.render(), "ringmail.toml");
            assert_eq!(again.expect("what is printed can be read"), config);
        }
        Err(error) => assert!(!error.to_string().is_empty()),
    }
}
