//! A plan, for people: the lines that `fleetwright plan` prints and the plan cases compare.

use std::fmt;

use fleetwright_api_types::Governed;

use crate::{
    CloudAction, CloudStep, Difference, HubStep, MemberStep, Plan, Replacement, Resource, Step,
    Update, Upgrade,
};

/// Longer lists of differences are cut here, in characters.
const DIFFERENCES_WIDTH: usize = 110;

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: declared {}, found {}", self.field, self.declared, self.found)
    }
}

impl fmt::Display for CloudStep {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sign = match &self.action {
            CloudAction::Create { .. } => '+',
            CloudAction::Delete => '-',
            CloudAction::Update(update) => return changes(&self.resource, update, f),
            CloudAction::Release | CloudAction::Claim { .. } => '~',
        };
        let verb = self.action.verb().to_ascii_lowercase();
        write!(f, "{sign} {verb} {}", self.resource)?;
        match &self.replaces {
            Some(replaces) => in_place_of(replaces, f),
            None => write!(f, "  {}", self.address),
        }
    }
}

fn changes(resource: &Resource, update: &Update, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    let what = &update.what;
    if let Some(upgrade) = &update.upgrade {
        write!(f, "~ upgrade {resource} ")?;
        return walk(upgrade, f);
    }
    let verb = if update.governed == Some(Governed::Roll) { "roll" } else { "update" };
    write!(f, "~ {verb} {resource} {what}")?;
    match update.differences.as_slice() {
        [only] if verb == "roll" => write!(f, " {} → {}", only.found, only.declared),
        differences => listed(differences, f),
    }
}

/// Every version on the way.
fn walk(upgrade: &Upgrade, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    write!(f, "{} → {}", upgrade.from, upgrade.to)?;
    let mut at = upgrade.to;
    while let Some(next) = at.next_towards(upgrade.target) {
        write!(f, " → {next}")?;
        at = next;
    }
    Ok(())
}

fn listed(differences: &[Difference], f: &mut fmt::Formatter<'_>) -> fmt::Result {
    let mut width = 0;
    for (index, difference) in differences.iter().enumerate() {
        let text = difference.to_string();
        width += text.chars().count();
        if index > 0 && width > DIFFERENCES_WIDTH {
            return write!(f, "; and {} more", differences.len() - index);
        }
        write!(f, "{}{text}", if index == 0 { "  " } else { "; " })?;
    }
    Ok(())
}

fn in_place_of(replaces: &Replacement, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    write!(f, " in place of {}", replaces.pool)?;
    for (index, difference) in replaces.differences.iter().enumerate() {
        let field = difference.field.rsplit('.').next().unwrap_or(&difference.field);
        let before = if index == 0 { " (" } else { ", " };
        write!(f, "{before}{field} {} → {}", difference.found, difference.declared)?;
    }
    if replaces.differences.is_empty() { Ok(()) } else { f.write_str(")") }
}
impl fmt::Display for MemberStep {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::LabelNamespace { namespace, labels } => {
                write!(f, "~ label namespace {namespace} ")?;
                for (key, value) in labels {
                    match value {
                        Some(value) => write!(f, " {key}={value}")?,
                        None => write!(f, " {key}-")?,
                    }
                }
                Ok(())
            }
            Self::PutNetworkPolicy { namespace, name, .. } => {
                write!(f, "+ put networkpolicy {namespace}/{name}")
            }
            Self::Drain { pool, force, .. } => {
                let force = if *force { " by force" } else { "" };
                write!(f, "~ drain pool {pool}{force}")
            }
            Self::DeleteOutside { what, .. } => write!(f, "- delete {what}"),
            Self::DeleteNetworkPolicy { namespace, name } => {
                write!(f, "- delete networkpolicy {namespace}/{name}")
            }
        }
    }
}

impl fmt::Display for HubStep {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::PutConnection { .. } => f.write_str("+ put connection secret"),
            Self::DeleteConnection { namespace, name } => {
                write!(f, "- delete connection secret {namespace}/{name}")
            }
            Self::PutRegistration { .. } => f.write_str("+ put Argo CD cluster secret"),
            Self::DeleteRegistration { namespace, name } => {
                write!(f, "- delete Argo CD cluster secret {namespace}/{name}")
            }
        }
    }
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Cloud(step) => step.fmt(f),
            Self::Hub(step) => step.fmt(f),
            Self::Member(step) => step.fmt(f),
        }
    }
}

impl fmt::Display for Plan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.gone {
            writeln!(f, "nothing of ours is left")?;
        }
        for step in &self.steps {
            writeln!(f, "{step}")?;
        }
        for held in &self.held {
            writeln!(f, ". later: {} (waits: {})", held.step, held.why)?;
        }
        for waiting in &self.waiting {
            writeln!(f, ". waits for {}, on {}", waiting.what, waiting.on)?;
        }
        for difference in &self.ignored {
            writeln!(f, ". left as it is: {difference}")?;
        }
        for problem in &self.refused {
            writeln!(f, "! {problem}")?;
        }
        Ok(())
    }
}
