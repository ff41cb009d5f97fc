//! `freeze`, `thaw` and `forget`: the verbs that stop the controllers, or take something out of their hands.

use anyhow::bail;
use fleetwright_clock::{Clock as _, SystemClock};
use fleetwright_controllers::safety;
use fleetwright_verbs::forget::{Forgotten, forget};
use serde_json::json;

use crate::cli::{Forget, Format, Freeze, Thaw};
use crate::exit::Exit;
use crate::output;
use crate::reach::{Rights, need};

/// Who asks, for those who read it later.
fn who() -> String {
    let named = ["USER", "LOGNAME"].into_iter().filter_map(|name| std::env::var(name).ok());
    named.into_iter().find(|name| !name.is_empty()).unwrap_or_else(|| "somebody".to_owned())
}

/// Stops every write to clouds and members.
pub(crate) async fn freeze(asked: &Freeze) -> anyhow::Result<Exit> {
    if asked.reason.trim().is_empty() {
        bail!("--reason is empty; say why, for whoever wonders");
    }
    let hub = need(&asked.hub, Rights::Write).await?;
    safety::freeze(&hub.client, &who(), &asked.reason, SystemClock.now()).await?;
    output::line(
        "Frozen: within 5 s nothing more is written to any cloud or member. `fleetwright thaw` ends it.",
    );
    Ok(Exit::Done)
}

/// Ends a freeze, and resets the fuse for deletes.
pub(crate) async fn thaw(asked: &Thaw) -> anyhow::Result<Exit> {
    let hub = need(&asked.hub, Rights::Write).await?;
    let was = safety::thaw(&hub.client).await?;
    if let Some(frozen) = &was.frozen {
        let since = frozen.since.map(|since| format!(" since {since:.0}")).unwrap_or_default();
        output::line(&format!("Thawed: {} had frozen it{since}: {}", frozen.by, frozen.reason));
    }
    if was.tripped.is_some() {
        let deletes: Vec<String> =
            was.deletes.iter().map(|one| format!("{} of {}", one.what, one.object)).collect();
        output::line(&format!("Deletes go on: the fuse had tripped after {}", deletes.join(", ")));
    }
    if was.frozen.is_none() && was.tripped.is_none() {
        output::line("Nothing was frozen, and the fuse had not tripped.");
    }
    Ok(Exit::Done)
}

/// Lets an object go whose deletion cannot end.
pub(crate) async fn forget_one(asked: &Forget) -> anyhow::Result<Exit> {
    if asked.reason.trim().is_empty() {
        bail!("--reason is empty; say why, for the history");
    }
    let hub = need(&asked.one.hub, Rights::Write).await?;
    let why = (who(), asked.reason.as_str());
    let now = SystemClock.now();
    let gone = forget(&hub.client, &asked.one.cluster, (&why.0, why.1), now).await?;
    if asked.one.output == Format::Json {
        output::line(&json!(gone).to_string());
        return Ok(Exit::Done);
    }
    let Forgotten { cluster, stays_behind, finalizers, held_by_others } = gone;
    output::line(&format!("{cluster} is let go ({}). What stays behind:", finalizers.join(", ")));
    output::lines(stays_behind.iter().map(|left| format!("  {left}")));
    if !held_by_others.is_empty() {
        output::line(&format!("It is still held by {}", held_by_others.join(", ")));
    }
    output::line(&format!("Written down: fleetwright history {cluster}"));
    Ok(Exit::Done)
}
