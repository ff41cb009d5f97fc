//! What `fleetwright plan` found, as data and as text.

use fleetwright_plan::Difference;
use jiff::Timestamp;
use serde::Serialize;

use crate::manifest::Finding;
use crate::table;

/// A cell of the table is cut here; JSON and Markdown hold the whole, and so do refusals.
const WIDEST: usize = 96;

/// A whole preview. Its JSON form is a contract: fields are added, never renamed or removed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Outcome {
    /// Clusters with something to say, by name.
    pub entries: Vec<Entry>,
    /// What is wrong with the files; then nothing was asked of any cloud.
    pub findings: Vec<Finding>,
    /// Why nothing of it happens before a thaw, if the hub is frozen.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub frozen: Option<String>,
    /// The sums.
    pub totals: Totals,
}

/// What would happen to one cluster.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Entry {
    /// `namespace/name`.
    pub cluster: String,
    /// The files (where there are any) concern it: only then does a refusal make the plan fail.
    pub concerned: bool,
    /// One line a step, wait or refusal.
    pub lines: Vec<Line>,
}

/// One line of a plan.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Line {
    /// What this line is about.
    pub what: What,
    /// For people, starting with a sign: `+` make, `~` change, `-` remove, `.` wait, `!` cannot be done.
    pub text: String,
    /// More of it, for example `1.34 → 1.35 → 1.36`; may be empty.
    pub detail: String,
    /// How it comes about: `in place`, `nodes roll twice`; may be empty.
    pub how: String,
    /// `now`, or what it waits for: `waits: window Tue 02:00 (33 h)`.
    pub when: String,
    /// When that wait ends at the latest, where that is known (RFC 3339).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub until: Option<Timestamp>,
    /// Writes in all, with those that follow by themselves, such as the further minors of an upgrade.
    pub writes: usize,
    /// The fields that it makes right.
    pub differences: Vec<Difference>,
    /// What would stop it.
    pub blockers: Vec<String>,
}

/// What a line of a plan is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub enum What {
    /// A write to the cloud that makes or changes something.
    CloudWrite,
    /// A write to the cloud that destroys something.
    CloudDelete,
    /// A write to the member's own API.
    MemberWrite,
    /// Something must happen first.
    Wait,
    /// It differs and is left as it is, since the mode says so.
    Left,
    /// It will not be done.
    Refusal,
}

impl What {
    /// Whether something is written.
    #[must_use]
    pub const fn is_write(self) -> bool {
        matches!(self, Self::CloudWrite | Self::CloudDelete | Self::MemberWrite)
    }
}

/// The sums of a plan.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Totals {
    /// Clusters that were looked at.
    pub clusters: usize,
    /// Clusters that something would be written for.
    pub changed: usize,
    /// Writes to clouds, deletes included.
    pub cloud_writes: usize,
    /// Those of them that would be sent now.
    pub now: usize,
    /// Deletes in clouds.
    pub deletes: usize,
    /// Writes to members' own APIs.
    pub member_writes: usize,
    /// What will not be done.
    pub refused: usize,
}

impl Totals {
    /// The sums over some clusters.
    #[must_use]
    pub fn of(entries: &[Entry]) -> Self {
        let mut totals = Self { clusters: entries.len(), ..Self::default() };
        for entry in entries {
            let writes = |line: &Line| line.what.is_write();
            totals.changed += usize::from(entry.lines.iter().any(writes));
            for line in &entry.lines {
                match line.what {
                    What::CloudWrite | What::CloudDelete => {
                        totals.cloud_writes += line.writes;
                        totals.now += usize::from(line.when == NOW);
                        totals.deletes += usize::from(line.what == What::CloudDelete);
                    }
                    What::MemberWrite => totals.member_writes += line.writes,
                    What::Refusal => totals.refused += 1,
                    What::Wait | What::Left => {}
                }
            }
        }
        totals
    }

    /// For example `5 cloud writes (1 now, 4 wait) · 0 deletes`.
    #[must_use]
    pub fn writes(&self) -> String {
        let Self { cloud_writes, now, deletes, member_writes, refused, .. } = *self;
        let mut parts = vec![
            format!(
                "{cloud_writes} cloud {} ({now} now, {} wait)",
                plural(cloud_writes, "write"),
                cloud_writes.saturating_sub(now)
            ),
            format!("{deletes} {}", plural(deletes, "delete")),
        ];
        if member_writes > 0 {
            parts.push(format!("{member_writes} {} on members", plural(member_writes, "write")));
        }
        if refused > 0 {
            parts.push(format!("{refused} refused"));
        }
        parts.join(" · ")
    }

    /// For example `1 of 3 clusters`.
    #[must_use]
    pub fn share(&self) -> String {
        format!("{} of {} {}", self.changed, self.clusters, plural(self.clusters, "cluster"))
    }
}

/// What is done at once.
pub(super) const NOW: &str = "now";

impl Outcome {
    /// Sums up; clusters without anything to say are only counted.
    #[must_use]
    pub fn new(entries: Vec<Entry>, findings: Vec<Finding>) -> Self {
        let totals = Totals::of(&entries);
        let entries = entries.into_iter().filter(|entry| !entry.lines.is_empty()).collect();
        Self { entries, findings, frozen: None, totals }
    }

    /// Whether anything would be written.
    #[must_use]
    pub fn has_changes(&self) -> bool {
        self.totals.changed > 0
    }

    /// Whether something is wrong with the files, or cannot be done for a cluster that they concern.
    #[must_use]
    pub fn has_refusals(&self) -> bool {
        let refused = |entry: &Entry| entry.lines.iter().any(|line| line.what == What::Refusal);
        !self.findings.is_empty()
            || self.entries.iter().any(|entry| entry.concerned && refused(entry))
    }

    /// The lines of all clusters with something to say, and the totals.
    #[must_use]
    pub fn text(&self) -> Vec<String> {
        let mut rows = Vec::new();
        // What is refused is a sentence: it stands behind its cluster's name, and makes no column wide.
        let mut sentences = Vec::new();
        for entry in &self.entries {
            let mut name = entry.cluster.clone();
            for line in &entry.lines {
                for [text, detail, how, when] in line.rows() {
                    let name = std::mem::take(&mut name);
                    if line.what == What::Refusal {
                        rows.push(vec![name]);
                        sentences.push(text);
                    } else {
                        rows.push([name, cut(text), cut(detail), how, when].into());
                        sentences.push(String::new());
                    }
                }
            }
        }
        let names = self.entries.iter().map(|entry| entry.cluster.chars().count()).max();
        let names = names.unwrap_or_default();
        let mut lines = table::align(&without_empty_columns(rows));
        for (line, sentence) in lines.iter_mut().zip(sentences) {
            if !sentence.is_empty() {
                *line = format!("{line:names$}  {sentence}");
            }
        }
        lines.extend(self.frozen.iter().map(|why| format!("frozen: {why}")));
        let hint = if self.has_changes() { "    (-o markdown for a pull request)" } else { "" };
        lines.push(format!(
            "{} · {} · nothing else touched{hint}",
            self.totals.share(),
            self.totals.writes()
        ));
        lines
    }
}

impl Line {
    /// Text, detail, how and when: one row, or one for each field that it makes right.
    pub(super) fn rows(&self) -> Vec<[String; 4]> {
        let when = || {
            let mut parts = vec![self.when.clone()];
            parts.extend(self.blockers.iter().map(|blocker| format!("! {blocker}")));
            parts.retain(|part| !part.is_empty());
            parts.join("   ")
        };
        if self.differences.is_empty() || !self.detail.is_empty() {
            return vec![[self.text.clone(), self.detail.clone(), self.how.clone(), when()]];
        }
        let mut rows: Vec<[String; 4]> = Vec::new();
        for difference in &self.differences {
            let first = rows.is_empty();
            rows.push([
                format!("{} {}", self.sign(), plain_field(&difference.field)),
                format!("{} → {}", or_none(&difference.found), or_none(&difference.declared)),
                if first { self.how.clone() } else { String::new() },
                if first { when() } else { String::new() },
            ]);
        }
        rows
    }

    /// `+`, `~`, `-`, `.` or `!`.
    pub(super) fn sign(&self) -> &str {
        self.text.split(' ').next().unwrap_or_default()
    }
}

/// `spec.nodePools[general].size.max` as the user wrote it below `spec`.
pub(super) fn plain_field(field: &str) -> &str {
    field.strip_prefix("spec.").unwrap_or(field)
}

pub(super) fn or_none(text: &str) -> &str {
    if text.is_empty() { "none" } else { text }
}

fn cut(text: String) -> String {
    if text.chars().count() <= WIDEST {
        return text;
    }
    let kept: String = text.chars().take(WIDEST - 1).collect();
    format!("{kept}…")
}

fn without_empty_columns(mut rows: Vec<Vec<String>>) -> Vec<Vec<String>> {
    let columns = rows.iter().map(Vec::len).max().unwrap_or_default();
    for column in (0..columns).rev() {
        if rows.iter().all(|row| row.get(column).is_none_or(String::is_empty)) {
            for row in &mut rows {
                if column < row.len() {
                    row.remove(column);
                }
            }
        }
    }
    rows
}

pub(super) fn plural(count: usize, word: &str) -> String {
    if count == 1 { word.to_owned() } else { format!("{word}s") }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    pub(in crate::preview) fn line(what: What, text: &str, when: &str) -> Line {
        Line {
            what,
            text: text.to_owned(),
            detail: String::new(),
            how: String::new(),
            when: when.to_owned(),
            until: None,
            writes: usize::from(what.is_write()),
            differences: Vec::new(),
            blockers: Vec::new(),
        }
    }

    pub(in crate::preview) fn entry(cluster: &str, lines: Vec<Line>) -> Entry {
        Entry { cluster: cluster.to_owned(), concerned: true, lines }
    }

    /// A pool that grows in place, and an upgrade that waits for its window.
    pub(in crate::preview) fn example() -> Outcome {
        let size = Difference {
            field: "spec.nodePools[general].size.max".to_owned(),
            declared: "16".to_owned(),
            found: "12".to_owned(),
        };
        let grow = Line {
            differences: vec![size],
            how: "in place".to_owned(),
            ..line(What::CloudWrite, "~ update pool general scaling", "now")
        };
        let upgrade = Line {
            detail: "1.34 → 1.35 → 1.36".to_owned(),
            how: "nodes roll twice".to_owned(),
            writes: 4,
            blockers: vec!["PDB db/pg at 0 would stop the drain".to_owned()],
            ..line(What::CloudWrite, "~ version", "waits: window Tue 02:00 (33 h)")
        };
        let entries = vec![
            entry("payments/payments-eu", vec![grow, upgrade]),
            entry("retail/retail-us", Vec::new()),
            entry("retail/retail-we", Vec::new()),
        ];
        Outcome::new(entries, Vec::new())
    }

    #[test]
    fn a_plan_reads_as_in_the_first_ten_minutes() {
        assert_eq!(
            example().text(),
            [
                "payments/payments-eu  ~ nodePools[general].size.max  12 → 16             in place          now",
                "                      ~ version                      1.34 → 1.35 → 1.36  nodes roll twice  waits: window Tue 02:00 (33 h)   ! PDB db/pg at 0 would stop the drain",
                "1 of 3 clusters · 5 cloud writes (1 now, 4 wait) · 0 deletes · nothing else touched    (-o markdown for a pull request)",
            ]
        );
    }

    #[test]
    fn a_plan_reads_as_a_table_with_totals() {
        let entries = vec![
            entry(
                "a/one",
                vec![
                    line(What::CloudWrite, "+ create control plane", "now"),
                    line(What::CloudWrite, "+ create pool p", "waits: control plane"),
                ],
            ),
            entry("a/two", Vec::new()),
            entry("b/three", vec![line(What::CloudDelete, "- delete pool old", "now")]),
        ];
        let outcome = Outcome::new(entries, Vec::new());
        assert_eq!(
            outcome.text(),
            [
                "a/one    + create control plane  now",
                "         + create pool p         waits: control plane",
                "b/three  - delete pool old       now",
                "2 of 3 clusters · 3 cloud writes (2 now, 1 wait) · 1 delete · nothing else touched    (-o markdown for a pull request)",
            ]
        );
        assert!(outcome.has_changes());
        assert!(!outcome.has_refusals());
    }

    #[test]
    fn a_refusal_is_told_whole_and_makes_no_column_wide() {
        let long = format!("! {}", "no ".repeat(60).trim_end());
        let entries = vec![
            entry("a/one", vec![line(What::Refusal, &long, "")]),
            entry("b/three", vec![line(What::CloudDelete, "- delete pool old", "now")]),
        ];
        let text = Outcome::new(entries, Vec::new()).text();
        assert_eq!(text[0], format!("a/one    {long}"));
        assert_eq!(text[1], "b/three  - delete pool old  now");
    }

    #[test]
    fn waiting_is_no_change() {
        let entries = vec![entry("a/one", vec![line(What::Wait, ". it", "waits: eks")])];
        let outcome = Outcome::new(entries, Vec::new());
        assert!(!outcome.has_changes());
        assert_eq!(
            outcome.text()[1],
            "0 of 1 cluster · 0 cloud writes (0 now, 0 wait) · 0 deletes · nothing else touched"
        );
    }

    #[test]
    fn a_refusal_for_a_cluster_that_the_files_do_not_concern_is_told_and_no_failure() {
        let refused = entry("a/one", vec![line(What::Refusal, "! no", "")]);
        assert!(Outcome::new(vec![refused.clone()], Vec::new()).has_refusals());
        let outcome = Outcome::new(vec![Entry { concerned: false, ..refused }], Vec::new());
        assert!(!outcome.has_refusals());
        assert_eq!(outcome.totals.refused, 1);
    }

    #[test]
    fn a_frozen_hub_is_told_before_the_totals() {
        let frozen = Some("nothing of this happens before a thaw".to_owned());
        let text = Outcome { frozen, ..Outcome::new(Vec::new(), Vec::new()) }.text();
        assert_eq!(text[0], "frozen: nothing of this happens before a thaw");
        assert_eq!(text.len(), 2);
    }

    #[test]
    fn the_json_form_is_a_contract() {
        let expected = serde_json::json!({
            "entries": [{"cluster": "payments/payments-eu", "concerned": true, "lines": [
                {"what": "CloudWrite", "text": "~ update pool general scaling", "detail": "", "how": "in place",
                    "when": "now", "writes": 1, "blockers": [],
                    "differences": [{"field": "spec.nodePools[general].size.max", "declared": "16", "found": "12"}]},
                {"what": "CloudWrite", "text": "~ version", "detail": "1.34 → 1.35 → 1.36", "how": "nodes roll twice",
                    "when": "waits: window Tue 02:00 (33 h)", "writes": 4, "differences": [],
                    "blockers": ["PDB db/pg at 0 would stop the drain"]},
            ]}],
            "findings": [],
            "totals": {"clusters": 3, "changed": 1, "cloudWrites": 5, "now": 1, "deletes": 0, "memberWrites": 0,
                "refused": 0},
        });
        assert_eq!(serde_json::to_value(example()).expect("JSON"), expected);
    }
}
