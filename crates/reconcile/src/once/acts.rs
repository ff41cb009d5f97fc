//! The steps of a plan, done in order; those that bear on nothing of each other at the same time.

use std::ops::Range;
use std::time::Duration;

use fleetwright_errclass::Class;
use fleetwright_plan::{Plan, Step};
use futures::StreamExt as _;
use futures::stream::FuturesOrdered;
use tokio::time::Instant;

use super::Context;
use crate::events::Happening;
use crate::{Controller, Failure, Progress};

/// Steps of one object that run at the same time.
const SIDE_BY_SIDE: usize = 8;
/// What has not begun by then, counted from the first step, is left to the next look: a step that is cut off leaves doubt behind.
const NO_MORE_AFTER: Duration = Duration::from_secs(60);

/// The steps under way.
pub(super) struct Acts<'a, C: Controller> {
    controller: &'a C,
    context: &'a Context,
    happenings: &'a mut Vec<Happening>,
    began: Instant,
}

impl<'a, C: Controller> Acts<'a, C> {
    pub(super) fn new(
        controller: &'a C,
        context: &'a Context,
        happenings: &'a mut Vec<Happening>,
    ) -> Self {
        Self { controller, context, happenings, began: Instant::now() }
    }

    /// Does the steps of the plan, until one must be looked at, the gate closes, or the time is over. What came of each is
    /// noted in the plan's order.
    pub(super) async fn all(mut self, progress: &mut Progress<C::Desired, C::Snapshot>) {
        let Progress { desired: Some(desired), plan: Some(plan), done, failure, held, .. } =
            progress
        else {
            return;
        };
        let (desired, plan) = (&*desired, &*plan);
        for batch in batches(plan, |step| self.controller.together(desired, step)) {
            let mut left = batch;
            let mut running = FuturesOrdered::new();
            let mut go_on = true;
            loop {
                while go_on && running.len() < SIDE_BY_SIDE {
                    let Some(number) = left.next() else { break };
                    // Asked anew each time: a step may take a while, and a freeze counts from when it is declared.
                    *held = self.context.gate.writes().err();
                    let late = self.began.elapsed() > NO_MORE_AFTER;
                    if held.is_some() || late {
                        go_on = false;
                        break;
                    }
                    let (controller, step) = (self.controller, &plan.steps[number]);
                    tracing::info!(%step, "act");
                    running.push_back(async move { (number, controller.act(desired, step).await) });
                }
                let Some((number, result)) = running.next().await else { break };
                let step = &plan.steps[number];
                match result {
                    Ok(()) => {
                        self.did(step);
                        done.push(number);
                    }
                    Err(refused) => {
                        go_on &= goes_on(step, &refused);
                        failure.get_or_insert(refused);
                    }
                }
            }
            if !go_on {
                return;
            }
        }
    }

    fn did(&mut self, step: &Step) {
        let (reason, message) = (step.event().to_owned(), step.to_string());
        self.happenings.push(Happening { warning: false, reason, message });
        if let Some(metrics) = &self.context.metrics {
            metrics.acted(self.controller.name(), step);
        }
    }
}

/// A step that is refused holds up only itself; after anything else we must look before we go on.
fn goes_on(step: &Step, refused: &Failure) -> bool {
    match refused.class {
        Class::Conflict => tracing::debug!(%step, error = %refused, "a step lost a race"),
        class => tracing::warn!(%step, class = class.as_str(), error = %refused, "a step failed"),
    }
    matches!(refused.class, Class::Invalid | Class::Refused)
}

/// Indexes of steps that run at the same time: the longest runs of those that may, and every other one alone.
fn batches(plan: &Plan, together: impl Fn(&Step) -> bool) -> Vec<Range<usize>> {
    let mut batches: Vec<Range<usize>> = Vec::new();
    let mut open = false;
    for (number, step) in plan.steps.iter().enumerate() {
        let joins = together(step);
        match batches.last_mut().filter(|_| open && joins) {
            Some(last) => last.end = number + 1,
            None => batches.push(number..number + 1),
        }
        open = joins;
    }
    batches
}
