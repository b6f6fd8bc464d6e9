//! Configuration values as Kafka writes them: types, parsing, validators and their error messages.
//!
//! Topic settings here and broker settings in the server go through the same [`parse`].

use std::fmt;

/// The type of a setting; the number is the one `DescribeConfigs` v3+ sends (KIP-569).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ConfigType {
    /// `true` or `false`, in any case.
    Boolean = 1,
    /// Text, trimmed.
    String = 2,
    /// A 32-bit integer.
    Int = 3,
    /// A 16-bit integer.
    Short = 4,
    /// A 64-bit integer.
    Long = 5,
    /// A 64-bit floating point number.
    Double = 6,
    /// Comma-separated texts, each trimmed.
    List = 7,
    /// The name of a Java class.
    Class = 8,
    /// Text that is never shown.
    Password = 9,
}

impl ConfigType {
    /// The number on the wire.
    #[must_use]
    pub const fn number(self) -> i8 {
        self as i8
    }

    /// Kafka's name of the type, as its documentation and error messages write it.
    #[must_use]
    pub const fn kafka_name(self) -> &'static str {
        match self {
            Self::Boolean => "BOOLEAN",
            Self::String => "STRING",
            Self::Int => "INT",
            Self::Short => "SHORT",
            Self::Long => "LONG",
            Self::Double => "DOUBLE",
            Self::List => "LIST",
            Self::Class => "CLASS",
            Self::Password => "PASSWORD",
        }
    }
}

impl fmt::Display for ConfigType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.kafka_name().to_ascii_lowercase())
    }
}

/// A parsed value.
#[derive(Debug, Clone, PartialEq)]
pub enum ConfigValue {
    /// Not set, and no default.
    Null,
    /// A [`ConfigType::Boolean`].
    Boolean(bool),
    /// A [`ConfigType::Int`].
    Int(i32),
    /// A [`ConfigType::Short`].
    Short(i16),
    /// A [`ConfigType::Long`].
    Long(i64),
    /// A [`ConfigType::Double`], never NaN.
    Double(f64),
    /// A [`ConfigType::List`].
    List(Vec<String>),
    /// A [`ConfigType::String`], [`ConfigType::Class`] or [`ConfigType::Password`].
    Text(String),
}

impl ConfigValue {
    /// The value as `DescribeConfigs` shows it; none for [`ConfigValue::Null`].
    #[must_use]
    pub fn text(&self) -> Option<String> {
        match self {
            Self::Null => None,
            Self::Boolean(value) => Some(value.to_string()),
            Self::Int(value) => Some(value.to_string()),
            Self::Short(value) => Some(value.to_string()),
            Self::Long(value) => Some(value.to_string()),
            Self::Double(value) => Some(double_text(*value)),
            Self::List(items) => Some(items.join(",")),
            Self::Text(value) => Some(value.clone()),
        }
    }

    /// The number, of any integer type.
    #[must_use]
    pub fn integer(&self) -> Option<i64> {
        match self {
            Self::Int(value) => Some(i64::from(*value)),
            Self::Short(value) => Some(i64::from(*value)),
            Self::Long(value) => Some(*value),
            _ => None,
        }
    }

    fn number(&self) -> Option<f64> {
        match self {
            Self::Double(value) => Some(*value),
            #[expect(clippy::cast_precision_loss, reason = "Kafka compares bounds as doubles too")]
            other => other.integer().map(|value| value as f64),
        }
    }
}

/// As `java.lang.Double.toString` writes it: a decimal point always, an exponent from 10^7.
fn double_text(value: f64) -> String {
    let size = value.abs();
    if size == 0.0 || (1e-3..1e7).contains(&size) {
        return format!("{value:?}");
    }
    if value.is_infinite() {
        return if value > 0.0 { "Infinity" } else { "-Infinity" }.to_owned();
    }
    let text = format!("{value:E}");
    match text.split_once('E') {
        Some((digits, exponent)) if !digits.contains('.') => format!("{digits}.0E{exponent}"),
        _ => text,
    }
}

/// What a value must satisfy beyond its type. `Display` gives Kafka's notation.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Validator {
    /// Nothing more.
    Any,
    /// A number not below this.
    AtLeast(i64),
    /// A number within these bounds, both included.
    Between(i64, i64),
    /// A floating point number from 0 to this bound, both included.
    UpTo(f64),
    /// Exactly one of these texts.
    OneOf(&'static [&'static str]),
    /// One of these texts in any case.
    OneOfIgnoreCase(&'static [&'static str]),
    /// A list of these texts; a repeated one counts once.
    Each(&'static [&'static str]),
    /// A list in which a repeated item counts once and no item is empty.
    Distinct,
    /// A list without empty items.
    NoEmptyItem,
    /// A text that is not empty.
    NonEmpty,
    /// A text, not null.
    NonNull,
    /// -1 or 1 to 9.
    GzipLevel,
    /// `*` or `partition:broker` pairs.
    ThrottledReplicas,
}

const THROTTLED_FORMAT: &str = "[partitionId]:[brokerId],[partitionId]:[brokerId],...";

impl fmt::Display for Validator {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Any | Self::Distinct => Ok(()),
            Self::AtLeast(min) => write!(f, "[{min},...]"),
            Self::Between(min, max) => write!(f, "[{min},...,{max}]"),
            Self::UpTo(max) => write!(f, "[0,...,{max}]"),
            Self::OneOf(texts) | Self::Each(texts) => write!(f, "[{}]", texts.join(", ")),
            Self::OneOfIgnoreCase(texts) => {
                write!(f, "(case insensitive) [{}]", texts.join(", "))
            }
            Self::NoEmptyItem => f.write_str("non-empty list"),
            Self::NonEmpty => f.write_str("non-empty string"),
            Self::NonNull => f.write_str("non-null string"),
            Self::GzipLevel => f.write_str("[1,...,9] or -1"),
            Self::ThrottledReplicas => f.write_str(THROTTLED_FORMAT),
        }
    }
}

/// A value that a setting does not take. The messages are Kafka's.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ConfigValueError {
    /// The value is of the wrong type or out of bounds.
    #[error("Invalid value {value} for configuration {name}: {allowed}")]
    Invalid {
        /// The setting.
        name: String,
        /// What was given.
        value: String,
        /// What is wrong with it, or what it may be.
        allowed: String,
    },
    /// A list holds an empty item.
    #[error("Configuration '{name}' values must not be empty.")]
    EmptyItem {
        /// The setting.
        name: String,
    },
}

impl ConfigValueError {
    fn invalid(name: &str, value: impl Into<String>, allowed: impl Into<String>) -> Self {
        Self::Invalid { name: name.to_owned(), value: value.into(), allowed: allowed.into() }
    }
}

/// Parses `text` as the value of the setting `name`.
///
/// # Errors
/// The text is not of this type, or the validator refuses it.
pub fn parse(
    name: &str,
    text: &str,
    config_type: ConfigType,
    validator: Validator,
) -> Result<ConfigValue, ConfigValueError> {
    let not_a_number = || {
        let allowed = format!("Not a number of type {}", config_type.kafka_name());
        ConfigValueError::invalid(name, text, allowed)
    };
    let trimmed = text.trim_matches(|c: char| c <= ' ');
    let value = match config_type {
        ConfigType::Boolean if trimmed.eq_ignore_ascii_case("true") => ConfigValue::Boolean(true),
        ConfigType::Boolean if trimmed.eq_ignore_ascii_case("false") => ConfigValue::Boolean(false),
        ConfigType::Boolean => {
            let allowed = "Expected value to be either true or false";
            return Err(ConfigValueError::invalid(name, text, allowed));
        }
        ConfigType::Int => trimmed.parse().map(ConfigValue::Int).map_err(|_| not_a_number())?,
        ConfigType::Short => trimmed.parse().map(ConfigValue::Short).map_err(|_| not_a_number())?,
        ConfigType::Long => trimmed.parse().map(ConfigValue::Long).map_err(|_| not_a_number())?,
        ConfigType::Double => {
            parse_double(trimmed).map(ConfigValue::Double).ok_or_else(not_a_number)?
        }
        ConfigType::List => ConfigValue::List(split_list(trimmed)),
        ConfigType::String | ConfigType::Class | ConfigType::Password => {
            ConfigValue::Text(trimmed.to_owned())
        }
    };
    validate(name, value, validator)
}

/// As Java reads a double, except that NaN is refused: it satisfies every bound and means nothing.
fn parse_double(text: &str) -> Option<f64> {
    match text.trim_start_matches(['+', '-']) {
        "Infinity" => {}
        number => {
            let plain = |b: u8| b.is_ascii_digit() || matches!(b, b'.' | b'e' | b'E' | b'+' | b'-');
            let digits = number.strip_suffix(['f', 'F', 'd', 'D']).unwrap_or(number);
            if !digits.bytes().all(plain) {
                return None;
            }
        }
    }
    text.strip_suffix(['f', 'F', 'd', 'D']).unwrap_or(text).parse().ok()
}

fn split_list(text: &str) -> Vec<String> {
    if text.is_empty() {
        return Vec::new();
    }
    text.split(',').map(|item| item.trim_ascii().to_owned()).collect()
}

fn validate(
    name: &str,
    value: ConfigValue,
    validator: Validator,
) -> Result<ConfigValue, ConfigValueError> {
    let refuse = |allowed: String| {
        let shown = match &value {
            ConfigValue::List(items) => format!("[{}]", items.join(", ")),
            other => other.text().unwrap_or_default(),
        };
        Err(ConfigValueError::invalid(name, shown, allowed))
    };
    match validator {
        Validator::Any | Validator::NonNull => {}
        Validator::AtLeast(min) => check_bounds(name, &value, min, None)?,
        Validator::Between(min, max) => check_bounds(name, &value, min, Some(max.to_string()))?,
        Validator::UpTo(max) => check_bounds(name, &value, 0, Some(max.to_string()))?,
        Validator::OneOf(texts) => {
            if !matches!(&value, ConfigValue::Text(text) if texts.contains(&text.as_str())) {
                return refuse(format!("String must be one of: {}", texts.join(", ")));
            }
        }
        Validator::OneOfIgnoreCase(texts) => {
            let is_one = |text: &str| texts.iter().any(|known| known.eq_ignore_ascii_case(text));
            if !matches!(&value, ConfigValue::Text(text) if is_one(text)) {
                let allowed = texts.join(", ");
                return refuse(format!("String must be one of (case insensitive): {allowed}"));
            }
        }
        Validator::Each(texts) => return check_items(name, value, Some(texts), true),
        Validator::Distinct => return check_items(name, value, None, true),
        Validator::NoEmptyItem => return check_items(name, value, None, false),
        Validator::NonEmpty => {
            if matches!(&value, ConfigValue::Text(text) if text.is_empty()) {
                return refuse("String must be non-empty".to_owned());
            }
        }
        Validator::GzipLevel => {
            if !matches!(value, ConfigValue::Int(-1 | 1..=9)) {
                return refuse("Value must be between 1 and 9 or equal to -1".to_owned());
            }
        }
        Validator::ThrottledReplicas => {
            if !matches!(&value, ConfigValue::List(items) if are_throttled_replicas(items)) {
                return refuse(format!(
                    "{name} must be the literal '*' or a list of replicas in the following format: \
                     {THROTTLED_FORMAT}"
                ));
            }
        }
    }
    Ok(value)
}

fn check_bounds(
    name: &str,
    value: &ConfigValue,
    min: i64,
    max: Option<String>,
) -> Result<(), ConfigValueError> {
    let Some(number) = value.number() else { return Ok(()) };
    let shown = value.text().unwrap_or_default();
    #[expect(clippy::cast_precision_loss, reason = "Kafka compares bounds as doubles too")]
    if number < min as f64 {
        return Err(ConfigValueError::invalid(
            name,
            shown,
            format!("Value must be at least {min}"),
        ));
    }
    if let Some(max) = max
        && max.parse().is_ok_and(|bound: f64| number > bound)
    {
        let allowed = format!("Value must be no more than {max}");
        return Err(ConfigValueError::invalid(name, shown, allowed));
    }
    Ok(())
}

fn check_items(
    name: &str,
    value: ConfigValue,
    allowed: Option<&[&str]>,
    distinct: bool,
) -> Result<ConfigValue, ConfigValueError> {
    let ConfigValue::List(items) = value else { return Ok(value) };
    let mut kept: Vec<String> = Vec::with_capacity(items.len());
    for item in items {
        if item.is_empty() {
            return Err(ConfigValueError::EmptyItem { name: name.to_owned() });
        }
        if let Some(allowed) = allowed
            && !allowed.contains(&item.as_str())
        {
            let allowed = format!("String must be one of: {}", allowed.join(", "));
            return Err(ConfigValueError::invalid(name, item, allowed));
        }
        if !distinct || !kept.contains(&item) {
            kept.push(item);
        }
    }
    Ok(ConfigValue::List(kept))
}

fn are_throttled_replicas(items: &[String]) -> bool {
    let is_number = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    let is_pair = |item: &String| {
        item.split_once(':')
            .is_some_and(|(partition, broker)| is_number(partition) && is_number(broker))
    };
    matches!(items, [star] if star == "*") || items.iter().all(is_pair)
}
