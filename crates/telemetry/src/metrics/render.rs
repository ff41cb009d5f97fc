//! The Prometheus text form, one metric at a time.

use super::{Family, Kind, Value, lock};

/// Appends one metric with its two comment lines.
pub(super) fn family(text: &mut String, name: &str, family: &Family) {
    let kind = match family.kind {
        Kind::Counter => "counter",
        Kind::Gauge => "gauge",
        Kind::Histogram => "histogram",
    };
    let help = family.help.replace('\\', "\\\\").replace('\n', "\\n");
    line(text, &["# HELP ", name, " ", &help]);
    line(text, &["# TYPE ", name, " ", kind]);
    for (values, value) in lock(&family.series).iter() {
        let labels = labels(&family.labels, values);
        match value {
            Value::Count(count) => sample(text, name, &labels, &count.to_string()),
            Value::Level(level) => sample(text, name, &labels, &number(*level)),
            Value::Spread(spread) => {
                let mut below = 0;
                let bucket = format!("{name}_bucket");
                for (bound, count) in family.buckets.iter().zip(&spread.counts) {
                    below += count;
                    let labels = with_bound(&labels, &number(*bound));
                    sample(text, &bucket, &labels, &below.to_string());
                }
                sample(text, &bucket, &with_bound(&labels, "+Inf"), &spread.total.to_string());
                sample(text, &format!("{name}_sum"), &labels, &number(spread.sum));
                sample(text, &format!("{name}_count"), &labels, &spread.total.to_string());
            }
        }
    }
}

fn sample(text: &mut String, name: &str, labels: &str, value: &str) {
    if labels.is_empty() {
        line(text, &[name, " ", value]);
    } else {
        line(text, &[name, "{", labels, "} ", value]);
    }
}

fn line(text: &mut String, parts: &[&str]) {
    parts.iter().for_each(|part| text.push_str(part));
    text.push('\n');
}

fn labels(names: &[&str], values: &[String]) -> String {
    let pairs = names.iter().zip(values).map(|(name, value)| {
        let value = value.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n");
        format!("{name}=\"{value}\"")
    });
    pairs.collect::<Vec<_>>().join(",")
}

fn with_bound(labels: &str, bound: &str) -> String {
    let comma = if labels.is_empty() { "" } else { "," };
    format!("{labels}{comma}le=\"{bound}\"")
}

fn number(value: f64) -> String {
    if value.is_infinite() {
        return if value > 0.0 { "+Inf" } else { "-Inf" }.to_owned();
    }
    value.to_string()
}
