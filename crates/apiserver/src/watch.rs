//! Watches: each one a position in the ring of its resource, moved on by whoever reads the body.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use fleetwright_apiserver_core::negotiate::Accepted;
use fleetwright_apiserver_core::request::Options;
use fleetwright_apiserver_core::status::ApiError;
use fleetwright_apiserver_core::table::{TableOptions, partial_metadata, table};
use fleetwright_clock::Clock;
use futures::stream;
use http::Response;
use serde_json::{Value, json};
use tokio::sync::Notify;
use tokio::time::{Instant, sleep_until};

use crate::body::{ApiBody, Size};
use crate::cluster::LogicalCluster;
use crate::listing::{CHUNK_BYTES, Selection, shown};
use crate::service::streamed;
use crate::tables::{Event, Object, Tables};

/// Upstream's interval between bookmarks.
const BOOKMARK_INTERVAL: Duration = Duration::from_secs(60);
/// A last bookmark this long before the end lets the next watch begin where this one ends.
const LAST_BOOKMARK: Duration = Duration::from_secs(2);
/// Without `timeoutSeconds` a watch lasts between this long and twice as long, as upstream.
const DEFAULT_TIMEOUT: Duration = Duration::from_secs(1800);
/// Events taken from the ring at a time.
const EVENTS: usize = 256;

impl LogicalCluster {
    pub(crate) fn watch_response(
        &self,
        selection: Selection,
        options: &Options,
        accepted: Accepted,
    ) -> Result<Response<ApiBody>, ApiError> {
        if accepted == Accepted::Yaml {
            return Err(ApiError::not_acceptable(&["application/json"]));
        }
        let asked = options.revision()?.filter(|revision| *revision > 0);
        let initial = options.send_initial_events.unwrap_or(asked.is_none());
        let (position, objects) = if initial {
            self.check_not_future(asked)?;
            self.selected(&selection)
        } else {
            (asked.unwrap_or_else(|| self.tables.revision()), Vec::new())
        };
        let timeout = match options.timeout_seconds {
            Some(seconds) if seconds > 0 => Duration::from_secs(seconds).min(LONGEST),
            _ => DEFAULT_TIMEOUT.mul_f64(1.0 + self.shared().ids.jitter()),
        };
        let now = Instant::now();
        let resource = selection.rt.stored_resource();
        let watch = Watch {
            changed: self.tables.changed(&resource),
            tables: Arc::clone(&self.tables),
            resource,
            form: Form { accepted, clock: Arc::clone(&self.shared().clock), columns: true },
            selection,
            position,
            initial: objects.into(),
            // Recorded: also without `sendInitialEvents` the end of the state is told to those who
            // take bookmarks.
            announce_end: initial && options.allow_watch_bookmarks,
            bookmarks: options.allow_watch_bookmarks,
            next_bookmark: now + BOOKMARK_INTERVAL,
            deadline: now + timeout,
            ended: false,
        };
        Ok(streamed(ApiBody::stream(stream::unfold(watch, Watch::next), Size::Live)))
    }
}

/// However long a client asks for.
const LONGEST: Duration = Duration::from_secs(24 * 60 * 60);

struct Watch {
    tables: Arc<Tables>,
    resource: String,
    changed: Arc<Notify>,
    selection: Selection,
    form: Form,
    /// Everything up to this revision has been sent.
    position: u64,
    /// The state at the beginning, as far as it is still to be sent.
    initial: VecDeque<Arc<Object>>,
    /// Whether the end of the initial state is still to be announced.
    announce_end: bool,
    bookmarks: bool,
    next_bookmark: Instant,
    deadline: Instant,
    ended: bool,
}

impl Watch {
    async fn next(mut self) -> Option<(Bytes, Self)> {
        if let Some(chunk) = self.initial_chunk() {
            return Some((chunk, self));
        }
        loop {
            if self.ended || self.tables.is_closed() || Instant::now() >= self.deadline {
                return None;
            }
            let changed = Arc::clone(&self.changed);
            let mut woken = std::pin::pin!(changed.notified());
            // Registered before looking, so that no change falls in between.
            woken.as_mut().enable();
            match self.catch_up() {
                CaughtUp::Send(chunk) => return Some((chunk, self)),
                CaughtUp::More => continue,
                CaughtUp::Nothing => {}
            }
            if self.tables.is_closed() {
                return None;
            }
            tokio::select! {
                biased;
                () = sleep_until(self.deadline) => return None,
                () = sleep_until(self.next_bookmark), if self.bookmarks => {
                    let chunk = self.bookmark(false);
                    self.next_bookmark = self.after_bookmark();
                    return Some((chunk, self));
                }
                () = woken => {}
            }
        }
    }

    fn initial_chunk(&mut self) -> Option<Bytes> {
        let mut chunk = BytesMut::new();
        while chunk.len() < CHUNK_BYTES {
            let Some(object) = self.initial.pop_front() else {
                break;
            };
            self.form.event(&mut chunk, "ADDED", &self.selection, &object);
        }
        if self.initial.is_empty() && std::mem::take(&mut self.announce_end) {
            chunk.extend_from_slice(&self.bookmark(true));
        }
        (!chunk.is_empty()).then(|| chunk.freeze())
    }

    fn catch_up(&mut self) -> CaughtUp {
        let (events, complete_to) =
            match self.tables.events_after(&self.resource, self.position, EVENTS) {
                Ok(found) => found,
                Err(too_old) => {
                    self.ended = true;
                    let error = ApiError::too_old_resource_version(self.position, too_old.oldest);
                    return CaughtUp::Send(line("ERROR", &error.body()));
                }
            };
        let mut chunk = BytesMut::new();
        for event in &events {
            self.transition(&mut chunk, event);
        }
        // A watch may begin in the future: it never goes back from there.
        self.position = self.position.max(complete_to);
        match (chunk.is_empty(), events.len() == EVENTS) {
            (false, _) => CaughtUp::Send(chunk.freeze()),
            (true, true) => CaughtUp::More,
            (true, false) => CaughtUp::Nothing,
        }
    }

    /// What a change means to one who sees only the selected objects.
    fn transition(&mut self, chunk: &mut BytesMut, event: &Event) {
        let rt = Arc::clone(&self.selection.rt);
        let shown = |object: &Arc<Object>| Some(object.viewed(&rt));
        let before = event.old.as_ref().and_then(shown);
        let before = before.filter(|old| self.selection.matches(old));
        let after = Some(&event.object).filter(|_| !event.removed).and_then(shown);
        let after = after.filter(|new| self.selection.matches(new));
        match (before, after) {
            (None, None) => {}
            (None, Some(new)) => self.form.event(chunk, "ADDED", &self.selection, &new),
            (Some(_), Some(new)) => self.form.event(chunk, "MODIFIED", &self.selection, &new),
            // The last state that the caller knew, under the revision at which it went.
            (Some(old), None) => {
                let last = Object::new(old.place.clone(), (*old.value).clone(), event.revision);
                self.form.event(chunk, "DELETED", &self.selection, &last);
            }
        }
    }

    fn bookmark(&mut self, ends_initial: bool) -> Bytes {
        let rt = &self.selection.rt;
        let mut metadata = json!({"resourceVersion": self.position.to_string()});
        if ends_initial {
            metadata["annotations"] = json!({"k8s.io/initial-events-end": "true"});
        }
        let mut object = json!({
            "kind": rt.kind, "apiVersion": rt.api_version(), "metadata": metadata,
        });
        if rt.is("", "services") {
            // What upstream's types cannot leave out.
            object["spec"] = json!({});
            object["status"] = json!({"loadBalancer": {}});
        }
        line("BOOKMARK", &self.form.render(&self.selection, &object))
    }

    fn after_bookmark(&self) -> Instant {
        let now = Instant::now();
        let last = self.deadline.checked_sub(LAST_BOOKMARK).unwrap_or(self.deadline);
        let next = now + BOOKMARK_INTERVAL;
        if now < last { next.min(last) } else { next }
    }
}

enum CaughtUp {
    Send(Bytes),
    More,
    Nothing,
}

/// The form of the objects in a watch.
struct Form {
    accepted: Accepted,
    clock: Arc<dyn Clock>,
    /// Only the first table of a watch defines the columns.
    columns: bool,
}

impl Form {
    fn event(&mut self, out: &mut BytesMut, kind: &str, selection: &Selection, object: &Object) {
        if self.accepted == Accepted::Json {
            out.extend_from_slice(br#"{"type":""#);
            out.extend_from_slice(kind.as_bytes());
            out.extend_from_slice(br#"","object":"#);
            out.extend_from_slice(&shown(&selection.rt, object));
            out.extend_from_slice(b"}\n");
        } else {
            let rendered = self.render(selection, &object.value);
            out.extend_from_slice(&line(kind, &rendered));
        }
    }

    fn render(&mut self, selection: &Selection, object: &Value) -> Value {
        match self.accepted {
            Accepted::Json | Accepted::Yaml => object.clone(),
            Accepted::PartialMetadata => partial_metadata(object),
            Accepted::Table(include) => {
                let columns = std::mem::take(&mut self.columns);
                let options = TableOptions { include, now: self.clock.now(), columns };
                let metadata =
                    json!({"resourceVersion": object["metadata"]["resourceVersion"].clone()});
                table(&selection.rt, std::iter::once(object), metadata, options)
            }
        }
    }
}

fn line(kind: &str, object: &Value) -> Bytes {
    Bytes::from(format!("{}\n", json!({"type": kind, "object": object})))
}
