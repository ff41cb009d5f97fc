//! Resource quantities, `500m` or `2Gi`: read, compared, and written in the canonical form in which servers store them
//! (`k8s.io/apimachinery/pkg/api/resource`).

/// What a text that is no quantity is answered with.
pub const SYNTAX_ERROR: &str = "quantities must match the regular expression \
    '^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'";

const NANOS: i128 = 1_000_000_000;
const BINARY: [&str; 7] = ["", "Ki", "Mi", "Gi", "Ti", "Pi", "Ei"];
const DECIMAL: [(&str, i32); 10] = [
    ("n", -9),
    ("u", -6),
    ("m", -3),
    ("", 0),
    ("k", 3),
    ("M", 6),
    ("G", 9),
    ("T", 12),
    ("P", 15),
    ("E", 18),
];

/// The unit in which a quantity was written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Format {
    Binary,
    Decimal,
    Exponent,
}

/// A quantity, exact to a billionth; what is finer is rounded up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Quantity {
    nanos: i128,
    format: Format,
}

impl PartialOrd for Quantity {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        self.nanos.partial_cmp(&other.nanos)
    }
}

impl Quantity {
    /// Reads a quantity. None if it is none, or beyond what fits.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let (negative, rest) = match text.as_bytes().first()? {
            b'-' => (true, &text[1..]),
            b'+' => (false, &text[1..]),
            _ => (false, text),
        };
        let end = rest.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(rest.len());
        let (number, suffix) = rest.split_at(end);
        let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
        if (whole.is_empty() && fraction.is_empty()) || fraction.contains('.') {
            return None;
        }
        let (format, exponent, factor) = unit(suffix)?;
        let digits = format!("{whole}{fraction}");
        let digits = digits.trim_start_matches('0');
        let mantissa: i128 = if digits.is_empty() { 0 } else { digits.parse().ok()? };
        let exponent = exponent - i32::try_from(fraction.len()).ok()?;
        // In billionths, times 1024 to a power for binary units.
        let scaled = mantissa.checked_mul(factor)?;
        let nanos = shift(scaled, exponent.checked_add(9)?)?;
        // Binary quantities are whole.
        let nanos = if format == Format::Binary { round_up(nanos, NANOS)? } else { nanos };
        Some(Self { nanos: if negative { -nanos } else { nanos }, format })
    }

    /// Whether it is below zero.
    #[must_use]
    pub fn is_negative(&self) -> bool {
        self.nanos < 0
    }

    /// Whether it is a whole number.
    #[must_use]
    pub fn is_whole(&self) -> bool {
        self.nanos % NANOS == 0
    }

    /// The one way in which servers write this quantity.
    #[must_use]
    pub fn canonical(&self) -> String {
        if self.nanos == 0 {
            return "0".to_owned();
        }
        let small = self.nanos.abs() < 1024 * NANOS;
        if self.format == Format::Binary && !small {
            let mut value = self.nanos / NANOS;
            let mut power = 0;
            while value % 1024 == 0 && power + 1 < BINARY.len() {
                value /= 1024;
                power += 1;
            }
            return format!("{value}{}", BINARY[power]);
        }
        let (mut value, mut exponent) = (self.nanos, -9);
        while value % 1000 == 0 && exponent < 18 {
            value /= 1000;
            exponent += 3;
        }
        if self.format == Format::Exponent {
            return if exponent == 0 { value.to_string() } else { format!("{value}e{exponent}") };
        }
        let suffix = DECIMAL.iter().find(|(_, e)| *e == exponent).map_or("", |(name, _)| name);
        format!("{value}{suffix}")
    }
}

/// What a suffix means: ten to a power, times a factor.
fn unit(suffix: &str) -> Option<(Format, i32, i128)> {
    if let Some((_, exponent)) = DECIMAL.iter().find(|(name, _)| *name == suffix) {
        return Some((Format::Decimal, *exponent, 1));
    }
    if let Some(power) = BINARY.iter().position(|name| *name == suffix) {
        return Some((Format::Binary, 0, 1024_i128.checked_pow(u32::try_from(power).ok()?)?));
    }
    let digits = suffix.strip_prefix(['e', 'E'])?;
    let exponent: i32 = digits.parse().ok()?;
    ((-30..=30).contains(&exponent)).then_some((Format::Exponent, exponent, 1))
}

/// Times ten to the power, rounded up.
fn shift(value: i128, exponent: i32) -> Option<i128> {
    let power = 10_i128.checked_pow(exponent.unsigned_abs())?;
    if exponent >= 0 {
        return value.checked_mul(power);
    }
    Some(value / power + i128::from(value % power != 0))
}

fn round_up(value: i128, unit: i128) -> Option<i128> {
    (value / unit + i128::from(value % unit != 0)).checked_mul(unit)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantities_have_one_canonical_form() {
        for (given, wanted) in [
            ("1024Mi", "1Gi"),
            ("1Gi", "1Gi"),
            ("1536Mi", "1536Mi"),
            ("0.5", "500m"),
            ("1000m", "1"),
            ("1500m", "1500m"),
            ("100m", "100m"),
            ("1", "1"),
            ("0", "0"),
            ("0Gi", "0"),
            ("1000", "1k"),
            ("1e3", "1e3"),
            ("50e0", "50"),
            ("128974848", "128974848"),
            ("0.1Gi", "107374183"),
            ("512", "512"),
            ("1Ki", "1Ki"),
            ("0.5Ki", "512"),
            ("-2", "-2"),
            ("+2", "2"),
            ("1.5Gi", "1536Mi"),
            ("1n", "1n"),
            ("2000000", "2M"),
            (".5", "500m"),
        ] {
            let found = Quantity::parse(given).map(|q| q.canonical());
            assert_eq!(found.as_deref(), Some(wanted), "{given}");
        }
    }

    #[test]
    fn what_is_no_quantity_is_refused() {
        for text in ["", "x", "1x", "1 Gi", "1.2.3", "Gi", "--1", "1e", "1e99", ".", "1gi"] {
            assert_eq!(Quantity::parse(text), None, "{text}");
        }
    }

    #[test]
    fn quantities_compare_across_units() {
        let read = |text: &str| Quantity::parse(text);
        assert!(read("1Gi") > read("1000M") && read("500m") < read("1"));
        assert!(read("-1").is_some_and(|q| q.is_negative()));
        assert!(
            read("1").is_some_and(|q| q.is_whole()) && !read("1m").is_some_and(|q| q.is_whole())
        );
    }
}
