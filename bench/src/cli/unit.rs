//! Numbers with units on the command line: sizes, durations, rates, counts.

use std::time::Duration;

/// Splits `12.5MiB` into the number and the unit.
fn split(text: &str) -> Result<(f64, &str), String> {
    let text = text.trim();
    let end =
        text.find(|c: char| !c.is_ascii_digit() && c != '.' && c != '_').unwrap_or(text.len());
    let (number, unit) = text.split_at(end);
    let number: f64 = number
        .replace('_', "")
        .parse()
        .map_err(|_| format!("`{text}` does not begin with a number"))?;
    Ok((number, unit.trim()))
}

/// A size: `100`, `100B`, `64k`, `1KiB`, `16KB`, `1.5MiB`, `2GiB`.
pub fn bytes(text: &str) -> Result<u64, String> {
    let (number, unit) = split(text)?;
    let factor: u64 = match unit.to_ascii_lowercase().as_str() {
        "" | "b" => 1,
        "k" | "kb" => 1_000,
        "kib" => 1 << 10,
        "m" | "mb" => 1_000_000,
        "mib" => 1 << 20,
        "g" | "gb" => 1_000_000_000,
        "gib" => 1 << 30,
        "t" | "tb" => 1_000_000_000_000,
        "tib" => 1 << 40,
        _ => return Err(format!("`{unit}` is not a unit of size (B, kB, KiB, MB, MiB, GB, GiB)")),
    };
    Ok((number * factor as f64) as u64)
}

/// A size that fits Kafka's 32-bit fields.
pub fn bytes_i32(text: &str) -> Result<i32, String> {
    i32::try_from(bytes(text)?)
        .map_err(|_| format!("{text} is more than Kafka's fields can say (2 GiB)"))
}

/// A duration: `20s`, `500ms`, `50us`, `2m`, `1h`; without a unit, seconds.
pub fn duration(text: &str) -> Result<Duration, String> {
    let (number, unit) = split(text)?;
    let seconds = match unit {
        "" | "s" => 1.0,
        "ms" => 1e-3,
        "us" | "µs" => 1e-6,
        "ns" => 1e-9,
        "m" | "min" => 60.0,
        "h" => 3600.0,
        _ => return Err(format!("`{unit}` is not a unit of time (us, ms, s, m, h)")),
    };
    Duration::try_from_secs_f64(number * seconds).map_err(|error| error.to_string())
}

/// How fast to produce.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Rate {
    /// Closed loop: the next request goes out as soon as an answer makes room.
    Max,
    /// Open loop: records per second, whatever the target does.
    Records(f64),
    /// Open loop: value bytes per second.
    Bytes(f64),
}

/// A rate: `max`, `50k` (records per second), `1M`, `100MiB/s`.
pub fn rate(text: &str) -> Result<Rate, String> {
    if text.eq_ignore_ascii_case("max") {
        return Ok(Rate::Max);
    }
    let (text, per_second) = text.strip_suffix("/s").map_or((text, false), |text| (text, true));
    let (number, unit) = split(text)?;
    let rate = match unit {
        "" => Rate::Records(number),
        "k" => Rate::Records(number * 1e3),
        "M" => Rate::Records(number * 1e6),
        _ if per_second => Rate::Bytes(bytes(text)? as f64),
        _ => return Err(format!("`{unit}` is not a unit of rate: say 50k, 1M, 100MiB/s or max")),
    };
    match rate {
        Rate::Records(value) | Rate::Bytes(value) if value <= 0.0 => {
            Err("a rate of nothing would never send; use --producers 0 to only consume".into())
        }
        _ => Ok(rate),
    }
}

/// A count: `1000`, `10k`, `1M`.
pub fn count(text: &str) -> Result<u64, String> {
    let (number, unit) = split(text)?;
    let factor = match unit {
        "" => 1.0,
        "k" => 1e3,
        "M" => 1e6,
        "G" => 1e9,
        _ => return Err(format!("`{unit}` is not a unit of count (k, M, G)")),
    };
    Ok((number * factor) as u64)
}

/// A rate in bytes: `10MiB/s`.
pub fn byte_rate(text: &str) -> Result<f64, String> {
    match rate(text)? {
        Rate::Bytes(rate) => Ok(rate),
        _ => Err("say it in bytes per second, such as 10MiB/s".into()),
    }
}

/// A rate and how long it lasts: `100k:10s`.
pub fn step(text: &str) -> Result<(Rate, Duration), String> {
    let (speed, time) = text.split_once(':').ok_or(format!("`{text}` is not RATE:TIME"))?;
    Ok((rate(speed)?, duration(time)?))
}

/// Two rates in records per second: `10k..100k`.
pub fn ramp(text: &str) -> Result<(f64, f64), String> {
    let (from, to) = text.split_once("..").ok_or(format!("`{text}` is not FROM..TO"))?;
    match (rate(from)?, rate(to)?) {
        (Rate::Records(from), Rate::Records(to)) => Ok((from, to)),
        _ => Err("a ramp is in records per second, such as 10k..100k".into()),
    }
}

/// `name=value`.
pub fn pair(text: &str) -> Result<(String, String), String> {
    let (name, value) = text.split_once('=').ok_or(format!("`{text}` is not name=value"))?;
    Ok((name.to_owned(), value.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn units_mean_what_they_say() {
        assert_eq!(bytes("1KiB"), Ok(1024));
        assert_eq!(bytes("1.5k"), Ok(1500));
        assert_eq!(bytes("2 GiB"), Ok(2 << 30));
        assert!(bytes("1XB").is_err());
        assert!(bytes("KiB").is_err());
        assert_eq!(duration("500ms"), Ok(Duration::from_millis(500)));
        assert_eq!(duration("2m"), Ok(Duration::from_secs(120)));
        assert!(duration("-1s").is_err());
        assert_eq!(rate("50k"), Ok(Rate::Records(50_000.0)));
        assert_eq!(rate("max"), Ok(Rate::Max));
        assert_eq!(rate("10MiB/s"), Ok(Rate::Bytes(10_485_760.0)));
        assert!(rate("10MiB").is_err());
        assert!(rate("0").is_err());
    }
}
