//! A plan, for people: the lines that `fleetwright plan` prints and the plan cases compare.

use std::fmt;

use crate::{CloudAction, CloudStep, HubStep, MemberStep, Plan, Step};

impl fmt::Display for CloudStep {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sign = match self.action {
            CloudAction::Create { .. } => '+',
            CloudAction::Delete => '-',
            CloudAction::Release => '~',
        };
        let verb = self.action.verb().to_ascii_lowercase();
        write!(f, "{sign} {verb} {}  {}", self.resource, self.address)
    }
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
        for waiting in &self.waiting {
            writeln!(f, ". waits for {}, on {}", waiting.what, waiting.on)?;
        }
        for problem in &self.refused {
            writeln!(f, "! {problem}")?;
        }
        Ok(())
    }
}
