//! Which objects a caller wants, and lists of them, whole or in pages.

use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use bytes::{BufMut, Bytes, BytesMut};
use fleetwright_apiserver_core::negotiate::Accepted;
use fleetwright_apiserver_core::request::{Options, VersionMatch};
use fleetwright_apiserver_core::scheme::ResourceType;
use fleetwright_apiserver_core::selector::{FieldSelector, LabelSelector};
use fleetwright_apiserver_core::status::ApiError;
use fleetwright_apiserver_core::table::{
    TableOptions, list, partial_metadata, partial_metadata_list, table,
};
use futures::stream;
use http::Response;
use serde_json::{Value, json};

use crate::body::{ApiBody, Size};
use crate::cluster::LogicalCluster;
use crate::service::{json as json_response, streamed, yaml as yaml_response};
use crate::tables::{Object, Place, TooOld};

/// Lists are sent in pieces of about this size, so that a large one is never copied whole.
pub(crate) const CHUNK_BYTES: usize = 64 * 1024;
const TOKEN_VERSION: &str = "meta.k8s.io/v1";

/// The objects that a request is about.
#[derive(Debug)]
pub(crate) struct Selection {
    pub(crate) rt: Arc<ResourceType>,
    pub(crate) namespace: Option<String>,
    name: Option<String>,
    labels: LabelSelector,
    fields: FieldSelector,
}

impl Selection {
    pub(crate) fn parse(
        rt: &Arc<ResourceType>,
        namespace: Option<&str>,
        name: Option<&str>,
        options: &Options,
    ) -> Result<Self, ApiError> {
        let labels = options.label_selector.as_deref().map(LabelSelector::parse).transpose()?;
        let fields = options.field_selector.as_deref();
        let fields = fields.map(|text| FieldSelector::parse(text, rt)).transpose()?;
        Ok(Self {
            rt: Arc::clone(rt),
            namespace: namespace.map(str::to_owned),
            name: name.map(str::to_owned),
            labels: labels.unwrap_or_default(),
            fields: fields.unwrap_or_default(),
        })
    }

    pub(crate) fn matches(&self, object: &Object) -> bool {
        self.namespace.as_ref().is_none_or(|namespace| object.place.0 == *namespace)
            && self.name.as_ref().is_none_or(|name| object.place.1 == *name)
            && self.labels.matches(&object.value)
            && self.fields.matches(&object.value)
    }

    /// Stored objects as the kind shows them.
    fn show(&self, objects: &mut [Arc<Object>]) {
        if self.rt.view().is_some() {
            objects.iter_mut().for_each(|object| *object = object.viewed(&self.rt));
        }
    }

    fn takes_all(&self) -> bool {
        self.name.is_none() && self.labels.is_empty() && self.fields.is_empty()
    }
}

/// Where a list goes on: base64 of `{"v":"meta.k8s.io/v1","rv":N,"start":"NAMESPACE/NAME\0"}`.
/// A revision of -1 goes on with whatever is there now.
#[derive(Debug, PartialEq, Eq)]
struct Continuation {
    revision: Option<u64>,
    start: Place,
}

impl Continuation {
    fn after(revision: Option<u64>, last: &Place) -> String {
        let start = format!("{}/{}\0", last.0, last.1);
        let revision = revision.map_or(json!(-1), |revision| json!(revision));
        let token = json!({"v": TOKEN_VERSION, "rv": revision, "start": start});
        URL_SAFE_NO_PAD.encode(token.to_string())
    }

    fn parse(token: &str) -> Result<Self, ApiError> {
        let refuse = |why: &str| ApiError::bad_request(format!("invalid continue token: {why}"));
        let decoded = URL_SAFE_NO_PAD
            .decode(token.trim_end_matches('='))
            .map_err(|error| refuse(&format!("continue key is not valid: {error}")))?;
        let value: Value = serde_json::from_slice(&decoded)
            .map_err(|error| refuse(&format!("continue key is not valid: {error}")))?;
        if value["v"] != TOKEN_VERSION {
            let why = "continue key is not valid: server does not recognize this encoded version ";
            return Err(refuse(&format!("{why}{}", value["v"].as_str().unwrap_or_default())));
        }
        let start = value["start"].as_str().and_then(|text| text.split_once('/'));
        let (namespace, name) =
            start.ok_or_else(|| refuse("continue key is not valid: incomplete start key"))?;
        let start = (namespace.to_owned(), name.to_owned());
        match value["rv"].as_i64() {
            Some(-1) => Ok(Self { revision: None, start }),
            Some(revision) if revision > 0 => {
                Ok(Self { revision: revision.try_into().ok(), start })
            }
            _ => Err(refuse("continue key is not valid: incorrect encoded start resourceVersion")),
        }
    }
}

/// A page of a list.
struct Page {
    objects: Vec<Arc<Object>>,
    metadata: Value,
}

impl LogicalCluster {
    /// All selected objects as they are now, with the revision of that moment.
    pub(crate) fn selected(&self, selection: &Selection) -> (u64, Vec<Arc<Object>>) {
        let resource = selection.rt.stored_resource();
        // A list of now is never too old.
        match self.tables.list(&resource, selection.namespace.as_deref(), None, None) {
            Ok(mut found) => {
                selection.show(&mut found.objects);
                found.objects.retain(|object| selection.matches(object));
                (found.revision, found.objects)
            }
            Err(TooOld { oldest }) => (oldest, Vec::new()),
        }
    }

    pub(crate) fn list_response(
        &self,
        selection: &Selection,
        options: &Options,
        accepted: Accepted,
    ) -> Result<Response<ApiBody>, ApiError> {
        let Page { objects, metadata } = self.page(selection, options)?;
        let rt = &selection.rt;
        let values = objects.iter().map(|object| object.value.as_ref());
        Ok(match accepted {
            Accepted::Json => {
                let mut metadata = metadata;
                // Upstream's lists of custom kinds always say where they go on.
                if rt.custom && metadata.get("continue").is_none() {
                    metadata["continue"] = json!("");
                }
                streamed(stream_list(rt, &metadata, objects))
            }
            Accepted::Yaml => {
                let items = values.cloned().collect();
                yaml_response(&list(rt, items, metadata))
            }
            Accepted::PartialMetadata => {
                let items = values.map(partial_metadata).collect();
                json_response(&partial_metadata_list(items, metadata))
            }
            Accepted::Table(include) => {
                let now = self.shared().clock.now();
                let options = TableOptions { include, now, columns: true };
                json_response(&table(rt, values, metadata, options))
            }
        })
    }

    fn page(&self, selection: &Selection, options: &Options) -> Result<Page, ApiError> {
        let asked = options.revision()?;
        let token = options.continue_token.as_deref().map(Continuation::parse).transpose()?;
        let (at, start) = match &token {
            Some(token) => (token.revision, Some(&token.start)),
            None if options.resource_version_match == Some(VersionMatch::Exact) => (asked, None),
            None => (None, None),
        };
        self.check_not_future(at.or(asked))?;
        let resource = selection.rt.stored_resource();
        let namespace = selection.namespace.as_deref();
        let mut found = self.tables.list(&resource, namespace, start, at).map_err(|_too_old| {
            match &token {
                // Goes on from the same place, in the present.
                Some(token) => {
                    let (namespace, name) = &token.start;
                    let last = (namespace.clone(), name.trim_end_matches('\0').to_owned());
                    ApiError::gone_continue(&Continuation::after(None, &last))
                }
                None => {
                    ApiError::gone_expired("The resourceVersion for the provided list is too old.")
                }
            }
        })?;
        selection.show(&mut found.objects);
        let limit = options.limit.and_then(|limit| usize::try_from(limit).ok());
        let limit = limit.unwrap_or(usize::MAX);
        let total = found.objects.len();
        let mut wanted = found.objects.into_iter().filter(|object| selection.matches(object));
        let objects: Vec<_> = wanted.by_ref().take(limit).collect();
        let mut metadata = json!({"resourceVersion": found.revision.to_string()});
        let more = wanted.next().is_some();
        if let (true, Some(last)) = (more, objects.last()) {
            let next = Continuation::after(Some(found.revision), &last.place);
            metadata["continue"] = json!(next);
            if selection.takes_all() {
                metadata["remainingItemCount"] = json!(total - objects.len());
            }
        }
        Ok(Page { objects, metadata })
    }
}

/// `{"kind":…,"items":[…]}` from the bytes that are stored anyway.
fn stream_list(rt: &ResourceType, metadata: &Value, objects: Vec<Arc<Object>>) -> ApiBody {
    let (kind, api_version) = (json!(rt.list_kind()), json!(rt.api_version()));
    let head =
        format!(r#"{{"kind":{kind},"apiVersion":{api_version},"metadata":{metadata},"items":["#);
    let item = ItemForm::of(rt);
    let size = objects.iter().map(|object| object.bytes.len()).sum();
    let mut rest = objects.into_iter().enumerate();
    let mut buffer = BytesMut::from(head.as_bytes());
    let mut finished = false;
    let chunks = std::iter::from_fn(move || -> Option<Bytes> {
        while !finished && buffer.len() < CHUNK_BYTES {
            match rest.next() {
                Some((index, object)) => {
                    if index > 0 {
                        buffer.put_u8(b',');
                    }
                    item.write(&object, &mut buffer);
                }
                None => {
                    buffer.extend_from_slice(b"]}\n");
                    finished = true;
                }
            }
        }
        (!buffer.is_empty()).then(|| buffer.split().freeze())
    });
    ApiBody::stream(stream::iter(chunks), Size::Bytes(size))
}

/// How an object is written among others.
enum ItemForm {
    /// Without `kind` and `apiVersion`, as upstream's built-in kinds.
    Bare,
    Stored,
    /// Behind another head than the stored one: `{"kind":…,"apiVersion":…,`.
    Headed(String),
}

impl ItemForm {
    fn of(rt: &ResourceType) -> Self {
        if !rt.custom { Self::Bare } else { head(rt).map_or(Self::Stored, Self::Headed) }
    }

    fn write(&self, object: &Object, buffer: &mut BytesMut) {
        match self {
            Self::Stored => buffer.extend_from_slice(&object.bytes),
            Self::Bare => {
                buffer.put_u8(b'{');
                buffer.extend_from_slice(object.tail());
            }
            Self::Headed(head) => {
                buffer.extend_from_slice(head.as_bytes());
                buffer.extend_from_slice(object.tail());
            }
        }
    }
}

/// How the JSON of an object begins, where it is not the way it is stored.
fn head(rt: &ResourceType) -> Option<String> {
    let version = rt.api_version();
    (rt.stored_as != version && rt.view().is_none())
        .then(|| format!(r#"{{"kind":{},"apiVersion":{},"#, json!(rt.kind), json!(version)))
}

/// The JSON of an object in the version that is asked for.
pub(crate) fn shown(rt: &ResourceType, object: &Object) -> Bytes {
    match head(rt) {
        None => object.bytes.clone(),
        Some(head) => [head.as_bytes(), object.tail()].concat().into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_continue_token_goes_on_right_behind_the_last_object() {
        let token = Continuation::after(Some(7), &("ns".to_owned(), "a".to_owned()));
        let parsed = Continuation::parse(&token).expect("our own");
        let start = ("ns".to_owned(), "a\0".to_owned());
        assert_eq!(parsed, Continuation { revision: Some(7), start: start.clone() });
        assert!(start > ("ns".to_owned(), "a".to_owned()));
        assert!(start < ("ns".to_owned(), "a-b".to_owned()));
    }

    #[test]
    fn a_token_of_nobody_is_refused_as_upstream_does() {
        let error = Continuation::parse("e30").expect_err("refused");
        assert_eq!(error.code(), 400);
        assert_eq!(
            error.to_string(),
            "invalid continue token: continue key is not valid: server does not recognize this \
             encoded version "
        );
    }
}
