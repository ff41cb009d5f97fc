#!/usr/bin/env python3
"""Writes data/types.json.deflate: the Go structs behind the built-in kinds, as far as the wire shows
them: which fields there are, in which form an empty one is written, and their protobuf numbers.

Source: the struct tags in Debian's packages golang-k8s-api-dev, golang-k8s-apimachinery-dev and
golang-k8s-apiextensions-apiserver-dev (Apache-2.0). Run by hand when the served release changes, then
update data/NOTICE; DIR holds the unpacked packages:

    apt-get download golang-k8s-api-dev golang-k8s-apimachinery-dev \\
        golang-k8s-apiextensions-apiserver-dev
    for package in *.deb; do dpkg-deb -x $package DIR; done
    python3 types.py DIR/usr/share/gocode/src/k8s.io

The file is a raw deflate stream (RFC 1951) of JSON: {NAME: [[FIELD, NUMBER, TYPE, FLAGS], ...]}.
NAME is the OpenAPI name. TYPE is a scalar (string, bool, int32, int64, float64, bytes, any or the name
of a special type), `@NAME` for a struct, either with `[]` or `{}` in front for a list or a map of it; a
named type comes before a bar: `v1.Protocol|string`. FLAGS: `*` pointer, `o` omitempty, `z` omitzero,
`i` inlined (FIELD is empty).
"""

import json
import pathlib
import re
import sys
import zlib

DATA = pathlib.Path(__file__).parent.parent / "data"
META = "apimachinery/pkg/apis/meta/v1"
EXTENSIONS = "apiextensions-apiserver/pkg/apis/apiextensions/v1"
PACKAGES = ["api/" + name + "/v1" for name in (
    "core", "apps", "events", "authentication", "authorization", "autoscaling", "batch",
    "certificates", "networking", "policy", "rbac", "storage", "admissionregistration",
    "scheduling", "coordination", "node", "discovery", "resource", "flowcontrol")]
PACKAGES += ["api/autoscaling/v2", META, EXTENSIONS]
# Types with a form of their own on the wire.
SPECIAL = {
    "resource.Quantity": "quantity", "intstr.IntOrString": "intOrString",
    "runtime.RawExtension": "raw", "types.UID": "string", "types.NodeName": "string",
    "types.NamespacedName": "any",
    META + ".Time": "time", META + ".MicroTime": "microTime", META + ".Duration": "duration",
    META + ".FieldsV1": "fieldsV1", META + ".Verbs": "[]string",
    EXTENSIONS + ".JSON": "json", EXTENSIONS + ".JSONSchemaPropsOrArray": "schemaOrArray",
    EXTENSIONS + ".JSONSchemaPropsOrBool": "schemaOrBool",
    EXTENSIONS + ".JSONSchemaPropsOrStringArray": "schemaOrStrings",
}
# The aggregator's types are in no package; these are the published protobuf numbers.
AGGREGATOR = "io.k8s.kube-aggregator.pkg.apis.apiregistration.v1."
BY_HAND = {
    "APIService": [["kind", 0, "string", "o"], ["apiVersion", 0, "string", "o"],
                   ["metadata", 1, "@io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta", "o"],
                   ["spec", 2, "@" + AGGREGATOR + "APIServiceSpec", "o"],
                   ["status", 3, "@" + AGGREGATOR + "APIServiceStatus", "o"]],
    "APIServiceSpec": [["service", 1, "@" + AGGREGATOR + "ServiceReference", "*o"],
                       ["group", 2, "string", "o"], ["version", 3, "string", "o"],
                       ["insecureSkipTLSVerify", 4, "bool", "o"], ["caBundle", 5, "bytes", "o"],
                       ["groupPriorityMinimum", 7, "int32", ""],
                       ["versionPriority", 8, "int32", ""]],
    "APIServiceStatus": [["conditions", 1, "[]@" + AGGREGATOR + "APIServiceCondition", "o"]],
    "APIServiceCondition": [["type", 1, "string", ""], ["status", 2, "string", ""],
                            ["lastTransitionTime", 3, "time", "o"],
                            ["reason", 4, "string", "o"], ["message", 5, "string", "o"]],
    "ServiceReference": [["namespace", 1, "string", "o"], ["name", 2, "string", "o"],
                         ["port", 3, "int32", "*o"]],
}
SCALARS = {"string": "string", "bool": "bool", "int32": "int32", "int64": "int64", "int": "int64",
           "uint32": "int64", "uint8": "int32", "byte": "int32", "float64": "float64"}


def openapi_name(package, name):
    parts = package.split("/")
    return "io.k8s." + ".".join(parts) + "." + name


def read(root, package):
    """The structs and named types of a package: {name: [(field, type, tag)]}, {name: type}."""
    structs, named, imports = {}, {}, {}
    for path in sorted((root / package).glob("*.go")):
        if path.name.startswith(("zz_", "generated")) or path.name.endswith("_test.go"):
            continue
        text = path.read_text()
        for alias, full in re.findall(r'^\s*(\w+)?\s*"k8s\.io/([\w/.-]+)"$', text, re.M):
            short = alias or full.rsplit("/", 1)[1]
            imports[short] = full
        for name, body in re.findall(r"^type (\w+) struct \{\n(.*?)^\}", text, re.M | re.S):
            fields = []
            for line in body.splitlines():
                found = re.match(r"\s*(?:(\w+)\s+)?([\w.*\[\]]+)\s+`(.*)`", line)
                if found:
                    fields.append(found.groups())
            structs[name] = fields
        for name in re.findall(r"^type (\w+) struct ?\{ ?\}", text, re.M):
            structs[name] = []
        for name, target in re.findall(r"^type (\w+) =? ?([\w.*\[\]]+)$", text, re.M):
            if target not in ("struct", "interface"):
                named[name] = target
        for group in re.findall(r"^type \((.*?)^\)", text, re.M | re.S):
            named.update(re.findall(r"^\s+(\w+) ([\w.*\[\]]+)$", group, re.M))
    return structs, named, imports


class Reader:
    def __init__(self, root):
        self.packages = {package: read(root, package) for package in PACKAGES}

    def shape(self, package, text):
        """The TYPE of a Go type as written in a package."""
        if text == "[]byte":
            return "bytes"
        if text.startswith("[]"):
            return "[]" + self.shape(package, text[2:])
        found = re.match(r"map\[[\w.]+\](.*)", text)
        if found:
            return "{}" + self.shape(package, found.group(1))
        text = text.lstrip("*")
        if text in SCALARS:
            return SCALARS[text]
        if text in SPECIAL:
            return SPECIAL[text]
        if "." in text:
            short, name = text.split(".")
            package = self.packages[package][2].get(short, short)
        else:
            name = text
        if f"{package}.{name}" in SPECIAL:
            return SPECIAL[f"{package}.{name}"]
        structs, named, _ = self.packages[package]
        if name in structs:
            return "@" + openapi_name(package, name)
        target = self.shape(package, named[name])
        plain = target.split("|")[-1]
        return f"{package.rsplit('/', 1)[1]}.{name}|{plain}"

    def fields(self, package, name):
        for field, kind, tag in self.packages[package][0][name]:
            json_tag = re.search(r'json:"([^"]*)"', tag)
            if not json_tag:
                continue
            label, *options = json_tag.group(1).split(",")
            if label == "-":
                continue
            number = re.search(r'protobuf:"\w+,(\d+)', tag)
            flags = "*" if kind.startswith("*") else ""
            flags += "o" if "omitempty" in options else ""
            flags += "z" if "omitzero" in options else ""
            if "inline" in options or (field is None and not label):
                if kind.lstrip("*").endswith("TypeMeta"):
                    yield ["kind", 0, "string", "o"]
                    yield ["apiVersion", 0, "string", "o"]
                    continue
                flags, label = flags + "i", ""
            yield [label, int(number.group(1)) if number else 0, self.shape(package, kind), flags]


def main():
    reader = Reader(pathlib.Path(sys.argv[1]))
    schemas = zlib.decompress((DATA / "schemas.json.deflate").read_bytes(), -15)
    waiting = [openapi_name(package, name) for package, (structs, _, _) in reader.packages.items()
               for name in structs if openapi_name(package, name) in json.loads(schemas)]
    where = {openapi_name(package, name): (package, name)
             for package, (structs, _, _) in reader.packages.items() for name in structs}
    table = {AGGREGATOR + name: fields for name, fields in BY_HAND.items()}
    while waiting:
        name = waiting.pop()
        if name in table:
            continue
        table[name] = list(reader.fields(*where[name]))
        for field in table[name]:
            target = re.search(r"@([\w.-]+)$", field[2])
            if target:
                waiting.append(target.group(1))
    text = json.dumps(table, separators=(",", ":"), sort_keys=True)
    packer = zlib.compressobj(9, zlib.DEFLATED, -15)
    packed = packer.compress(text.encode()) + packer.flush()
    (DATA / "types.json.deflate").write_bytes(packed)
    print(f"types.json.deflate: {len(table)} structs, {len(text)} bytes, {len(packed)} deflated")


if __name__ == "__main__":
    main()
