//! Places to begin reading at, on the command line.

use jiff::Timestamp;
use ringmail_sdk::StartAt;

/// Reads `start`, `end`, an offset, a time in RFC 3339, or `@` and milliseconds since the Unix epoch.
pub(super) fn parse(text: &str) -> Result<StartAt, String> {
    match text {
        "start" => return Ok(StartAt::Start),
        "end" => return Ok(StartAt::End),
        _ => {}
    }
    if let Ok(offset) = text.parse() {
        return Ok(StartAt::Offset(offset));
    }
    if let Some(milliseconds) = text.strip_prefix('@') {
        let time = milliseconds.parse().map_err(|_| "milliseconds since the Unix epoch follow the `@`")?;
        return Ok(StartAt::Timestamp(time));
    }
    match text.parse::<Timestamp>() {
        Ok(time) => Ok(StartAt::Timestamp(time.as_millisecond())),
        Err(_) => {
            Err("write start, end, an offset, a time like 2026-01-31T12:00:00Z, or @MILLISECONDS".into())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_read() {
        for (text, place) in [
            ("start", StartAt::Start),
            ("end", StartAt::End),
            ("0", StartAt::Offset(0)),
            ("18446744073709551615", StartAt::Offset(u64::MAX)),
            ("@1769860800000", StartAt::Timestamp(1_769_860_800_000)),
            ("@-5", StartAt::Timestamp(-5)),
            ("2026-01-31T12:00:00Z", StartAt::Timestamp(1_769_860_800_000)),
            ("2026-01-31T13:00:00.25+01:00", StartAt::Timestamp(1_769_860_800_250)),
        ] {
            assert_eq!(parse(text), Ok(place), "{text}");
        }
        for wrong in ["", "begin", "-1", "@", "@now", "2026-01-31", "2026-01-31T12:00:00"] {
            assert!(parse(wrong).is_err(), "{wrong}");
        }
    }
}
