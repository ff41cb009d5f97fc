#!/usr/bin/env python3
"""Writes kubernetes.json: the schemas of the built-in kinds this server knows.

Source: the PyPI package kubernetes-validate (Apache-2.0), which carries the OpenAPI
definitions of each Kubernetes release. Run by hand when the served release changes:

    pip download --no-deps --dest DIR kubernetes-validate
    python3 generate.py DIR/kubernetes_validate-*.whl > kubernetes.json

What is changed on the way: only the closure of ROOTS is kept; types widened to
[T, "null"] become T again; references point to #/components/schemas/ as in OpenAPI v3;
the enums on apiVersion and kind go (the server checks those itself).
"""

import json
import re
import sys
import zipfile

RELEASE = "1.36.0"
CORE = "io.k8s.api.core.v1."
ROOTS = [CORE + kind for kind in
         ("ConfigMap", "Event", "Namespace", "Node", "PersistentVolume", "PersistentVolumeClaim",
          "Pod", "Secret", "Service", "ServiceAccount")] + [
    "io.k8s.api.admissionregistration.v1.ValidatingAdmissionPolicy",
    "io.k8s.api.admissionregistration.v1.ValidatingAdmissionPolicyBinding",
    "io.k8s.api.apps.v1.StatefulSet",
    "io.k8s.api.coordination.v1.Lease",
    "io.k8s.api.networking.v1.Ingress",
    "io.k8s.api.networking.v1.NetworkPolicy",
    "io.k8s.api.policy.v1.PodDisruptionBudget",
    "io.k8s.apimachinery.pkg.apis.meta.v1.DeleteOptions",
    "io.k8s.apimachinery.pkg.apis.meta.v1.ListMeta",
    "io.k8s.apimachinery.pkg.apis.meta.v1.Status",
]
INT_OR_STRING = "io.k8s.apimachinery.pkg.util.intstr.IntOrString"


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
    seen, waiting = set(), list(ROOTS)
    while waiting:
        name = waiting.pop()
        if name not in seen:
            seen.add(name)
            waiting.extend(references(definitions[name]))
    return sorted(seen)


def clean(schema):
    """One schema object in OpenAPI v3 spelling. Maps of properties are walked by name, since
    a property may itself be called 'type' or 'enum'."""
    out = {}
    for key, value in schema.items():
        if key == "type" and isinstance(value, list):
            out[key] = next(t for t in value if t != "null")
        elif key == "$ref":
            # OpenAPI v3 allows nothing beside $ref, so a described reference is an allOf.
            target = {"$ref": "#/components/schemas/" + value.rsplit("/", 1)[1]}
            if set(schema) == {"$ref"}:
                out.update(target)
            else:
                out["allOf"] = [target]
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


def main():
    wheel = sys.argv[1]
    version = re.search(r"kubernetes_validate-([0-9.]+)-", wheel).group(1)
    member = f"kubernetes_validate/kubernetes-json-schema/v{RELEASE}-local/_definitions.json"
    with zipfile.ZipFile(wheel) as archive:
        definitions = json.loads(archive.read(member))["$defs"]
    kept = {}
    for name in closure(definitions):
        schema = clean(definitions[name])
        if name == INT_OR_STRING:
            schema = {"x-kubernetes-int-or-string": True, "format": "int-or-string"}
        for own in ("apiVersion", "kind"):
            field = schema.get("properties", {}).get(own)
            if field:
                field.pop("enum", None)
        kept[name] = schema
    document = {
        "source": f"PyPI kubernetes-validate {version}, v{RELEASE}-local/_definitions.json",
        "version": RELEASE,
        "licence": "Apache-2.0",
        "definitions": kept,
    }
    json.dump(document, sys.stdout, separators=(",", ":"), sort_keys=True, ensure_ascii=False)
    sys.stdout.write("\n")


if __name__ == "__main__":
    main()
