//! The chain as lines, for people.

use std::time::Duration;

use fleetwright_api_types::{ConditionStatus as Is, LastError, Operation};

use super::{Fact, Told, Why};
use crate::since::rough;

impl Why {
    /// The chain, for people.
    #[must_use]
    pub fn text(&self) -> Vec<String> {
        let mut lines = vec![self.first_line()];
        lines.extend(self.causes.iter().skip(1).map(|fact| format!("  and {}", fact.long())));
        let said = |text: &str| lines.iter().any(|line| line.contains(text));
        let mut below = Vec::new();
        for fact in self.head.iter().filter(|fact| fact.status != Is::True) {
            if !fact.message.is_empty() && !said(&fact.message) && !below.contains(&fact.message) {
                below.push(fact.message.clone());
            }
        }
        if let Some(error) = &self.last_error {
            let request = error.request_id.as_ref().map(|id| format!(", request {id}"));
            let LastError { code, message, .. } = error;
            // The condition mostly holds the same message.
            below.retain(|text| text != message && !message.contains(text.as_str()));
            below.push(format!("{code} {message:?}{}", request.unwrap_or_default()));
        }
        if let Some(Operation { action, step, percent }) = &self.operation {
            let percent = percent.map(|percent| format!(", {percent} % done")).unwrap_or_default();
            below.push(format!("under way: {action}, {step}{percent}"));
        }
        if let Some(seconds) = self.next_look_within_seconds.filter(|_| !self.is_well()) {
            let next = format!("next look within {}", rough(Duration::from_secs(seconds)));
            match below.last_mut() {
                Some(last) => last.push_str(&format!(", {next}")),
                None => below.push(next),
            }
        }
        lines.extend(below.into_iter().map(|text| format!("  └ {text}")));
        let text = lines.join("\n");
        let news = self.events.iter().filter(|told| !repeats(&text, told));
        lines.extend(news.map(event_line));
        match self.you_can.as_slice() {
            [] if self.is_well() => lines.push("  Nothing is held up.".to_owned()),
            [] => {}
            [one] => lines.push(format!("  you can: {one}.{}", self.end())),
            [first, rest @ ..] => {
                lines.push(format!("  you can: {first}."));
                lines.extend(rest.iter().map(|text| format!("      and: {text}.")));
                lines.extend((!self.more_than_one).then(|| format!(" {}", self.end())));
            }
        }
        lines
    }

    fn first_line(&self) -> String {
        let heads: Vec<String> = self.head.iter().map(Fact::short).collect();
        let mut line = heads.join(" · ");
        if let Some(seconds) = self.leaving_for_seconds {
            let since = rough(Duration::from_secs(seconds));
            line = format!("being deleted ({since}) · {line}");
        }
        if self.is_well() {
            line.push_str(": as declared, and usable");
        }
        if let Some(first) = self.causes.first() {
            line.push_str(" ← ");
            line.push_str(&first.long());
        }
        line
    }

    fn end(&self) -> &'static str {
        if self.more_than_one { "" } else { " Nothing else is held up." }
    }
}

/// Whether an event only tells what a condition above says: events of conditions are `Reason: message`.
fn repeats(text: &str, told: &Told) -> bool {
    let message = told.message.split_once(": ").map_or(told.message.as_str(), |(_, rest)| rest);
    !message.is_empty() && text.contains(message)
}

fn event_line(told: &Told) -> String {
    let Told { reason, message, ago_seconds, count } = told;
    let ago = rough(Duration::from_secs(*ago_seconds));
    let times = if *count > 1 { format!(" ({count} times)") } else { String::new() };
    format!("  · {ago} ago  {reason}  {message}{times}")
}
