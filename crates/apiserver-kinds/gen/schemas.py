#!/usr/bin/env python3
"""Writes data/schemas.json.deflate and data/descriptions.json.deflate: what the built-in kinds
look like, and what their fields are for.

Source: the PyPI package kubernetes-validate (Apache-2.0), which carries the OpenAPI definitions of
each Kubernetes release. Run by hand when the served release changes, then update data/NOTICE:

    pip download --no-deps --dest DIR kubernetes-validate
    python3 schemas.py DIR/kubernetes_validate-*.whl

What is changed on the way: only the closure of the served kinds is kept; types widened to
[T, "null"] become T again; references point to #/components/schemas/ as in OpenAPI v3; the enums on
apiVersion and kind go (the server checks those itself); descriptions go into a file of their own,
which the server reads only when somebody asks for OpenAPI. Both files are raw deflate streams
(RFC 1951) of compact JSON.
"""

import json
import pathlib
import re
import sys
import zipfile
import zlib

RELEASE = "1.36.0"
DATA = pathlib.Path(__file__).parent.parent / "data"
META = "io.k8s.apimachinery.pkg.apis.meta.v1."
API = "io.k8s.api."
# Group and version of the definitions whose kinds are served; lists are not kept, the server
# makes them.
SERVED = [
    "core.v1", "apps.v1", "events.v1", "authentication.v1", "authorization.v1", "autoscaling.v1",
    "autoscaling.v2", "batch.v1", "certificates.v1", "networking.v1", "policy.v1", "rbac.v1",
    "storage.v1", "admissionregistration.v1", "scheduling.v1", "coordination.v1", "node.v1",
    "discovery.v1", "resource.v1", "flowcontrol.v1",
]
OTHERS = [
    "io.k8s.apiextensions-apiserver.pkg.apis.apiextensions.v1.CustomResourceDefinition",
    "io.k8s.kube-aggregator.pkg.apis.apiregistration.v1.APIService",
    META + "DeleteOptions", META + "ListMeta", META + "ObjectMeta", META + "Status",
    META + "WatchEvent",
]
INT_OR_STRING = "io.k8s.apimachinery.pkg.util.intstr.IntOrString"
QUANTITY = "io.k8s.apimachinery.pkg.api.resource.Quantity"


def roots(definitions):
    prefixes = tuple(API + served + "." for served in SERVED)
    for name, schema in definitions.items():
        is_kind = "x-kubernetes-group-version-kind" in schema
        is_list = name.endswith("List") and "items" in schema.get("properties", {})
        if name in OTHERS or (name.startswith(prefixes) and is_kind and not is_list):
            yield name


def references(node):
    """Every definition name that a schema refers to."""
    if isinstance(node, dict):
        if isinstance(node.get("$ref"), str):
            yield node["$ref"].rsplit("/", 1)[1]
        for value in node.values():
            yield from references(value)
    elif isinstance(node, list):
        for value in node:
            yield from references(value)


def closure(definitions):
    seen, waiting = set(), list(roots(definitions))
    while waiting:
        name = waiting.pop()
        if name not in seen:
            seen.add(name)
            waiting.extend(references(definitions[name]))
    return sorted(seen)


def clean(schema):
    """One schema node without descriptions. Maps of properties are walked by name, since a property
    may itself be called 'type' or 'description'."""
    out = {}
    for key, value in schema.items():
        if key == "description":
            continue
        if key == "type" and isinstance(value, list):
            out[key] = next(t for t in value if t != "null")
        elif key == "$ref":
            out[key] = "#/components/schemas/" + value.rsplit("/", 1)[1]
        elif key == "properties":
            out[key] = {name: clean(sub) for name, sub in value.items()}
        elif key in ("items", "additionalProperties") and isinstance(value, dict):
            out[key] = clean(value)
        elif key in ("oneOf", "anyOf", "allOf"):
            out[key] = [clean(sub) for sub in value]
        elif key == "x-kubernetes-group-version-kind":
            # DeleteOptions and Status list every group there is; the server needs none of them.
            if len(value) == 1:
                out[key] = value
        else:
            out[key] = value
    return out


def described(schema):
    """The description of a definition and those of its properties."""
    fields = {name: sub["description"] for name, sub in schema.get("properties", {}).items()
              if sub.get("description")}
    return [schema.get("description", ""), fields]


def write(name, document):
    text = json.dumps(document, separators=(",", ":"), sort_keys=True, ensure_ascii=False)
    packer = zlib.compressobj(9, zlib.DEFLATED, -15)
    packed = packer.compress(text.encode()) + packer.flush()
    (DATA / name).write_bytes(packed)
    print(f"{name}: {len(document)} definitions, {len(text)} bytes, {len(packed)} deflated")


def main():
    wheel = sys.argv[1]
    version = re.search(r"kubernetes_validate-([0-9.]+)-", wheel).group(1)
    member = f"kubernetes_validate/kubernetes-json-schema/v{RELEASE}-local/_definitions.json"
    with zipfile.ZipFile(wheel) as archive:
        definitions = json.loads(archive.read(member))["$defs"]
    schemas, descriptions = {}, {}
    for name in closure(definitions):
        schema = clean(definitions[name])
        if name == INT_OR_STRING:
            schema = {"x-kubernetes-int-or-string": True, "format": "int-or-string"}
        if name == QUANTITY:
            schema = {"x-kubernetes-int-or-string": True, "format": "quantity"}
        for own in ("apiVersion", "kind"):
            schema.get("properties", {}).get(own, {}).pop("enum", None)
        schemas[name] = schema
        descriptions[name] = described(definitions[name])
    print(f"kubernetes-validate {version}, v{RELEASE}-local")
    write("schemas.json.deflate", schemas)
    write("descriptions.json.deflate", descriptions)


if __name__ == "__main__":
    main()
