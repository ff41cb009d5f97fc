//! The verbs on resources: what to do and in which form to answer.

use std::sync::Arc;

use bytes::Bytes;
use fleetwright_apiserver_core::crud::{self, Part};
use fleetwright_apiserver_core::document::{Document, decode};
use fleetwright_apiserver_core::negotiate::{Accepted, BodyKind, accepted, body_kind};
use fleetwright_apiserver_core::request::{Options, RequestInfo, Verb};
use fleetwright_apiserver_core::scheme::{EVICTION_SUBRESOURCE, ResourceType};
use fleetwright_apiserver_core::status::ApiError;
use fleetwright_apiserver_core::table::{TableOptions, partial_metadata, table};
use http::header::{ACCEPT, CONTENT_TYPE};
use http::request::Parts;
use http::{HeaderMap, Response, StatusCode};
use serde_json::{Value, json};

use super::{JSON, add_warnings, answer, header, json as json_response};
use crate::body::ApiBody;
use crate::cluster::LogicalCluster;
use crate::listing::Selection;
use crate::operations::{Target, Written};

/// A checked request to a resource.
struct Call<'a> {
    rt: &'a Arc<ResourceType>,
    info: &'a RequestInfo,
    options: &'a Options,
    accepted: Accepted,
    body: &'a [u8],
    headers: &'a HeaderMap,
}

impl Call<'_> {
    fn namespace(&self) -> Option<&str> {
        self.info.namespace.as_deref()
    }

    /// Present by the time `route` has named the verb.
    fn target(&self) -> Target<'_> {
        let name = self.info.name.as_deref().unwrap_or_default();
        Target { rt: self.rt, namespace: self.namespace(), name }
    }

    fn part(&self) -> Part {
        if self.info.subresource.is_some() { Part::Status } else { Part::Main }
    }

    fn body_kind(&self) -> Result<BodyKind, ApiError> {
        body_kind(header(self.headers, &CONTENT_TYPE), self.info.verb)
    }

    fn document(&self) -> Result<Document, ApiError> {
        decode(self.body_kind()?, self.body)
    }

    /// The `DeleteOptions` of a delete, when there are any.
    fn delete_options(&self) -> Result<Option<Value>, ApiError> {
        if self.body.is_empty() { Ok(None) } else { self.document().map(|d| Some(d.value)) }
    }
}

impl LogicalCluster {
    pub(super) async fn serve_resource(
        &self,
        parts: &Parts,
        info: &RequestInfo,
        body: &Bytes,
    ) -> Result<Response<ApiBody>, ApiError> {
        let RequestInfo { group, version, resource, .. } = info;
        let found = self.attached.scheme.find(group, version, resource);
        let rt = found.ok_or_else(ApiError::path_not_found)?;
        rt.check(info)?;
        let evicts = info.subresource.as_deref() == Some(EVICTION_SUBRESOURCE);
        // A namespace needs no `finalize` here: it goes when it is empty.
        if !evicts && info.subresource.as_deref().is_some_and(|name| name != "status") {
            return Err(ApiError::path_not_found());
        }
        let options = &Options::parse(parts.uri.query().unwrap_or_default(), info.verb)?;
        let accepted = accepted(header(&parts.headers, &ACCEPT), options)?;
        let call = Call { rt, info, options, accepted, body, headers: &parts.headers };
        match info.verb {
            Verb::Get => self.serve_get(&call),
            Verb::List => self.list_response(&self.selection(&call)?, options, accepted),
            Verb::Watch => self.watch_response(self.selection(&call)?, options, accepted),
            Verb::Create if evicts => self.serve_eviction(&call).await,
            Verb::Create => self.serve_create(&call).await,
            Verb::Update | Verb::Patch => self.serve_change(&call).await,
            Verb::Delete => self.serve_delete(&call).await,
            Verb::DeleteCollection => self.serve_delete_collection(&call).await,
        }
    }

    fn selection(&self, call: &Call<'_>) -> Result<Selection, ApiError> {
        let Call { rt, info, options, .. } = call;
        Selection::parse(rt, info.namespace.as_deref(), info.name.as_deref(), options)
    }

    fn serve_get(&self, call: &Call<'_>) -> Result<Response<ApiBody>, ApiError> {
        self.check_not_future(call.options.revision()?)?;
        let object = self.stored(call.target())?;
        if call.accepted == Accepted::Json && !call.options.pretty {
            return Ok(answer(StatusCode::OK, JSON, object.bytes.clone()));
        }
        Ok(self.object_response(StatusCode::OK, call, &object.value))
    }

    /// Refuses to answer from a past that the caller says is past.
    pub(crate) fn check_not_future(&self, wanted: Option<u64>) -> Result<(), ApiError> {
        let current = self.tables.revision();
        match wanted {
            Some(wanted) if wanted > current => {
                Err(ApiError::timeout_too_large_rv(current, wanted))
            }
            _ => Ok(()),
        }
    }

    async fn serve_create(&self, call: &Call<'_>) -> Result<Response<ApiBody>, ApiError> {
        let body = call.document()?;
        let written = self.create(call.rt, call.namespace(), body, call.options).await?;
        Ok(self.written_response(StatusCode::CREATED, call, &written))
    }

    async fn serve_eviction(&self, call: &Call<'_>) -> Result<Response<ApiBody>, ApiError> {
        self.evict(call.target(), &call.document()?.value, call.options).await?;
        let done = json!({"kind": "Status", "apiVersion": "v1", "metadata": {},
            "status": "Success", "code": 201});
        Ok(answer(StatusCode::CREATED, JSON, done.to_string()))
    }

    async fn serve_change(&self, call: &Call<'_>) -> Result<Response<ApiBody>, ApiError> {
        let kind = call.body_kind()?;
        let body = decode(kind, call.body)?;
        let (target, part) = (call.target(), call.part());
        let written = match call.info.verb {
            Verb::Patch => {
                self.change(target, part, call.options, |context, old| {
                    crud::patch(context, target.name, part, old, (kind, &body))
                })
                .await?
            }
            _ => {
                self.change(target, part, call.options, |context, old| {
                    crud::update(context, target.name, part, old, body.clone())
                })
                .await?
            }
        };
        Ok(self.written_response(StatusCode::OK, call, &written))
    }

    async fn serve_delete(&self, call: &Call<'_>) -> Result<Response<ApiBody>, ApiError> {
        let body = call.delete_options()?;
        let Target { rt, namespace, name } = call.target();
        let left = self.remove(rt, namespace, name, body.as_ref(), call.options).await?;
        Ok(self.object_response(StatusCode::OK, call, &left))
    }

    async fn serve_delete_collection(
        &self,
        call: &Call<'_>,
    ) -> Result<Response<ApiBody>, ApiError> {
        let body = call.delete_options()?;
        let selection = self.selection(call)?;
        let (revision, objects) = self.selected(&selection);
        let mut items = Vec::with_capacity(objects.len());
        for object in objects {
            let (namespace, name) = &object.place;
            let namespace = (!namespace.is_empty()).then_some(namespace.as_str());
            match self.remove(call.rt, namespace, name, body.as_ref(), call.options).await {
                Ok(_) => items.push((*object.value).clone()),
                // Somebody else was faster: gone is gone.
                Err(error) if error.code() == 404 => {}
                Err(error) => return Err(error),
            }
        }
        let metadata = json!({"resourceVersion": revision.to_string()});
        Ok(json_response(&fleetwright_apiserver_core::table::list(call.rt, items, metadata)))
    }

    fn written_response(
        &self,
        status: StatusCode,
        call: &Call<'_>,
        written: &Written,
    ) -> Response<ApiBody> {
        let mut response = self.object_response(status, call, &written.value);
        add_warnings(&mut response, &written.warnings);
        response
    }

    fn object_response(
        &self,
        status: StatusCode,
        call: &Call<'_>,
        object: &Value,
    ) -> Response<ApiBody> {
        // A deletion's Status has no other form than its own.
        let plain = call.accepted == Accepted::Json || object["kind"] == "Status";
        let rendered = match call.accepted {
            _ if plain => None,
            Accepted::Json => None,
            Accepted::PartialMetadata => Some(partial_metadata(object)),
            Accepted::Table(include) => {
                let revision = object["metadata"]["resourceVersion"].clone();
                let metadata = json!({"resourceVersion": revision});
                let options =
                    TableOptions { include, now: self.shared().clock.now(), columns: true };
                Some(table(call.rt, std::iter::once(object), metadata, options))
            }
        };
        let shown = rendered.as_ref().unwrap_or(object);
        let text = if call.options.pretty { format!("{shown:#}\n") } else { shown.to_string() };
        answer(status, JSON, text)
    }
}
