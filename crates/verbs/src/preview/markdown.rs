//! A plan as Markdown, for pull requests.

use super::outcome::{Line, Outcome, Totals, What, or_none, plain_field};

impl Outcome {
    /// A heading with the totals, a table for each cluster with something to say, and the fields in full to unfold.
    #[must_use]
    pub fn markdown(&self) -> Vec<String> {
        if !self.findings.is_empty() {
            return self.invalid();
        }
        let mut lines = vec![
            format!("### Fleetwright plan: {} would change", self.totals.share()),
            String::new(),
            format!("{} · nothing else touched", self.totals.writes()),
        ];
        if self.totals.deletes > 0 {
            let deletes = self.totals.deletes;
            lines.extend([String::new(), format!("> **Deletes {deletes} in the cloud.**")]);
        }
        if let Some(why) = &self.frozen {
            lines.extend([String::new(), format!("> **Frozen:** {}", escaped(why))]);
        }
        for entry in &self.entries {
            let totals = Totals::of(std::slice::from_ref(entry));
            lines.extend([
                String::new(),
                format!("#### {}", escaped(&entry.cluster)),
                String::new(),
                totals.writes(),
                String::new(),
                "| | What | Change | How | When |".to_owned(),
                "|---|---|---|---|---|".to_owned(),
            ]);
            lines.extend(entry.lines.iter().flat_map(table_rows));
            lines.extend(details(&entry.lines));
        }
        lines
    }

    fn invalid(&self) -> Vec<String> {
        let mut lines = vec![
            "### Fleetwright plan: invalid".to_owned(),
            String::new(),
            "No cloud was asked.".to_owned(),
            String::new(),
            "| Where | Field | What is wrong |".to_owned(),
            "|---|---|---|".to_owned(),
        ];
        lines.extend(self.findings.iter().map(|finding| {
            let at = match finding.line {
                0 => finding.file.clone(),
                line => format!("{}:{line}", finding.file),
            };
            format!(
                "| {} | {} | {} |",
                escaped(&at),
                code(&finding.field),
                escaped(&finding.message)
            )
        }));
        lines
    }
}

fn table_rows(line: &Line) -> Vec<String> {
    let rows = line.rows();
    let shown = rows.into_iter().map(|[text, change, how, when]| {
        let (sign, what) = text.split_once(' ').unwrap_or(("", &text));
        let what = match line.what {
            What::CloudDelete => format!("**{}**", escaped(what)),
            What::CloudWrite | What::MemberWrite | What::Wait | What::Left | What::Refusal => {
                escaped(what)
            }
        };
        let (change, how, when) = (code(&change), escaped(&how), escaped(&when));
        format!("| {} | {what} | {change} | {how} | {when} |", code(sign))
    });
    shown.collect()
}

/// Every field with both values, whole.
fn details(lines: &[Line]) -> Vec<String> {
    let fields: Vec<String> = lines
        .iter()
        .flat_map(|line| &line.differences)
        .map(|difference| {
            let (declared, found) = (or_none(&difference.declared), or_none(&difference.found));
            let field = code(plain_field(&difference.field));
            format!("- {field}: declared {}, found {}", code(declared), code(found))
        })
        .collect();
    if fields.is_empty() {
        return Vec::new();
    }
    let mut out = vec![String::new(), "<details><summary>Fields</summary>".to_owned()];
    out.push(String::new());
    out.extend(fields);
    out.extend([String::new(), "</details>".to_owned()]);
    out
}

/// A text in which nothing is markup, a mention or a column.
fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '\\' | '`' | '*' | '_' | '[' | ']' | '|' | '#' | '~' => out.extend(['\\', c]),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '&' => out.push_str("&amp;"),
            // Nobody is called by a plan.
            '@' => out.push_str("&#64;"),
            '\n' | '\r' => out.push(' '),
            c => out.push(c),
        }
    }
    out
}

/// A text as code; empty stays empty.
fn code(text: &str) -> String {
    if text.is_empty() {
        return String::new();
    }
    let text = text.replace('|', "\\|").replace(['\n', '\r'], " ");
    if text.contains('`') { format!("`` {text} ``") } else { format!("`{text}`") }
}

#[cfg(test)]
mod tests {
    use super::super::outcome::tests::{entry, example, line};
    use super::*;
    use crate::manifest::Finding;

    #[test]
    fn a_plan_is_a_table_for_each_cluster_with_totals_and_fields_to_unfold() {
        let expected = "\
### Fleetwright plan: 1 of 3 clusters would change

5 cloud writes (1 now, 4 wait) · 0 deletes · nothing else touched

#### payments/payments-eu

5 cloud writes (1 now, 4 wait) · 0 deletes

| | What | Change | How | When |
|---|---|---|---|---|
| `~` | nodePools\\[general\\].size.max | `12 → 16` | in place | now |
| `~` | version | `1.34 → 1.35 → 1.36` | nodes roll twice | waits: window Tue 02:00 (33 h)   ! PDB db/pg at 0 would stop the drain |

<details><summary>Fields</summary>

- `nodePools[general].size.max`: declared `16`, found `12`

</details>";
        assert_eq!(example().markdown().join("\n"), expected);
    }

    #[test]
    fn a_delete_stands_out_and_nothing_in_a_name_is_markup() {
        let lines = vec![
            line(What::CloudDelete, "- delete pool old", "now"),
            line(What::Refusal, "! <b> @everyone | `x`", ""),
        ];
        let text = Outcome::new(vec![entry("a/one", lines)], Vec::new()).markdown().join("\n");
        assert!(text.contains("> **Deletes 1 in the cloud.**"), "{text}");
        assert!(text.contains("| `-` | **delete pool old** |  |  | now |"), "{text}");
        assert!(text.contains("| `!` | &lt;b&gt; &#64;everyone \\| \\`x\\` |  |  |  |"), "{text}");
    }

    #[test]
    fn invalid_files_are_a_table_of_findings() {
        let finding = Finding {
            file: "bad.yaml".to_owned(),
            line: 21,
            field: "spec.nodePools[general].size".to_owned(),
            message: "min 5 is above max 3".to_owned(),
        };
        let text = Outcome::new(Vec::new(), vec![finding]).markdown().join("\n");
        let expected = "| bad.yaml:21 | `spec.nodePools[general].size` | min 5 is above max 3 |";
        assert!(text.ends_with(expected), "{text}");
    }
}
