//! Durations and sizes as people write and read them.

use std::{str::FromStr, time::Duration};

/// The longest duration: a moment that far away can still be computed. A hundred years.
const DURATION_MAX: Duration = Duration::from_secs(876_000 * 3600);

/// Reads a duration: `250ms`, `1.5s`, `2m`, or a number of seconds.
pub(crate) fn parse_duration(text: &str) -> Result<Duration, String> {
    let advice = || format!("{text:?} is no duration: write 250ms, 1.5s, 2m, or a number of seconds");
    let unit_at = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
    let (number, unit) = text.split_at(unit_at);
    let number: f64 = number.parse().map_err(|_| advice())?;
    let seconds = match unit {
        "us" | "µs" => number / 1e6,
        "ms" => number / 1e3,
        "s" | "" => number,
        "m" | "min" => number * 60.0,
        "h" => number * 3600.0,
        _ => return Err(advice()),
    };
    if seconds > DURATION_MAX.as_secs_f64() {
        return Err(format!("{text:?} is too long: write at most 876000h"));
    }
    Duration::try_from_secs_f64(seconds).map_err(|_| advice())
}

/// Reads a duration that is more than zero.
pub(crate) fn parse_positive_duration(text: &str) -> Result<Duration, String> {
    match parse_duration(text)? {
        Duration::ZERO => Err("zero is too short: write at least 1ms".to_owned()),
        duration => Ok(duration),
    }
}

/// Reads a whole number from `MIN` on.
pub(crate) fn parse_count<N: FromStr + PartialOrd + From<u8>, const MIN: u8>(text: &str) -> Result<N, String> {
    let count = text.parse().ok().filter(|count| *count >= N::from(MIN));
    count.ok_or_else(|| format!("{text:?} is no count: write a whole number from {MIN} on"))
}

/// Reads a number of bytes: `64`, `8K` (8,192), `1M`.
pub(crate) fn parse_size(text: &str) -> Result<usize, String> {
    let advice = || format!("{text:?} is no size: write a number of bytes, or 8K, or 1M");
    let (number, shift) = match text.strip_suffix(['k', 'K']) {
        Some(number) => (number, 10),
        None => text.strip_suffix(['m', 'M']).map_or((text, 0), |number| (number, 20)),
    };
    let number: usize = number.parse().map_err(|_| advice())?;
    number.checked_mul(1 << shift).filter(|&size| size <= 1 << 30).ok_or_else(|| format!("{text} is more than 1024M"))
}

/// A duration in three or four digits: `9.12 µs`, `38.1 ms`, `1.25 s`.
pub(crate) fn show_duration(duration: Duration) -> String {
    let seconds = duration.as_secs_f64();
    match seconds {
        ..1e-6 => format!("{} ns", duration.as_nanos()),
        ..1e-3 => show_scaled(seconds * 1e6, "µs"),
        ..1.0 => show_scaled(seconds * 1e3, "ms"),
        _ => show_scaled(seconds, "s"),
    }
}

/// A number in three or four digits with `k`, `M` or `G`: `12.5 M`.
pub(crate) fn show_count(count: f64) -> String {
    match count {
        ..1e3 => format!("{count:.0}"),
        ..1e6 => show_scaled(count / 1e3, "k"),
        ..1e9 => show_scaled(count / 1e6, "M"),
        _ => show_scaled(count / 1e9, "G"),
    }
}

/// A number of bytes in three or four digits: `1.25 MB`.
pub(crate) fn show_bytes(bytes: f64) -> String {
    match bytes {
        ..1e3 => format!("{bytes:.0} B"),
        _ => format!("{}B", show_count(bytes)),
    }
}

fn show_scaled(value: f64, unit: &str) -> String {
    let decimals = match value {
        ..10.0 => 2,
        ..100.0 => 1,
        _ => 0,
    };
    format!("{value:.decimals$} {unit}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_read_as_they_are_written() {
        let read = |text| parse_duration(text).ok();
        assert_eq!(read("250ms"), Some(Duration::from_millis(250)));
        assert_eq!(read("1.5"), Some(Duration::from_millis(1500)));
        assert_eq!(read("2m"), Some(Duration::from_secs(120)));
        assert_eq!(read("0"), Some(Duration::ZERO));
        assert_eq!(read("876000h"), Some(DURATION_MAX));
        assert!(parse_duration("10000000000000000000").unwrap_err().contains("write at most 876000h"));
        for wrong in ["", "s", "1x", "-1", "1e99s", "1..2"] {
            assert!(parse_duration(wrong).unwrap_err().contains("250ms"), "{wrong}");
        }
        assert!(parse_positive_duration("0s").is_err());
    }

    #[test]
    fn sizes_are_read_as_they_are_written() {
        assert_eq!(parse_size("64"), Ok(64));
        assert_eq!(parse_size("8K"), Ok(8192));
        assert_eq!(parse_size("1M"), Ok(1 << 20));
        assert!(parse_size("64B").is_err());
        assert!(parse_size("99999999999M").is_err());
    }

    #[test]
    fn numbers_are_shown_short() {
        assert_eq!(show_duration(Duration::from_nanos(9_123)), "9.12 µs");
        assert_eq!(show_duration(Duration::from_millis(38)), "38.0 ms");
        assert_eq!(show_duration(Duration::from_millis(1250)), "1.25 s");
        assert_eq!(show_count(12_345_678.0), "12.3 M");
        assert_eq!(show_bytes(512.0), "512 B");
        assert_eq!(show_bytes(1_250_000.0), "1.25 MB");
    }
}
