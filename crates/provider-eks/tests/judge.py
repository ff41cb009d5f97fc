"""Holds requests against botocore's models: each line of standard input is one request as it went over the wire.

A line is JSON: {"method", "path", "target", "body"}; `path` with its query, `target` the header x-amz-target or null.
EKS's operation is found by method and path; labels, query and body together are its input, as boto3 would be given it.
Ends with one line that names the operations that were seen, or with what is wrong and status 1.
"""

import json
import re
import sys
import urllib.parse

import botocore.session
from botocore.validate import ParamValidator

SESSION = botocore.session.get_session()
EKS = SESSION.get_service_model("eks")


def eks(method, path, body):
    bare, _, query = path.partition("?")
    for name in EKS.operation_names:
        operation = EKS.operation_model(name)
        template = operation.http["requestUri"]
        pattern = re.sub(r"\{(\w+)\+?\}", r"(?P<\1>[^/]+)", template)
        found = re.fullmatch(pattern, bare)
        if operation.http["method"] != method or not found:
            continue
        given = dict(json.loads(body)) if body else {}
        asked = urllib.parse.parse_qs(query)
        for member, shape in operation.input_shape.members.items():
            place = shape.serialization.get("location")
            wire = shape.serialization.get("name", member)
            if place == "uri":
                given[member] = urllib.parse.unquote(found.group(wire))
            elif place == "querystring" and wire in asked:
                values = asked.pop(wire)
                given[member] = values if shape.type_name == "list" else values[0]
        if asked:
            return name, given, operation, f"unknown in the query: {sorted(asked)}"
        return name, given, operation, None
    raise SystemExit(f"no operation of EKS is {method} {bare}")


def other(target, body):
    if target:
        service, name = "ssm", target.partition(".")[2]
        given = json.loads(body)
    else:
        form = {key: values[0] for key, values in urllib.parse.parse_qs(body).items()}
        service, name = "sts", form.pop("Action")
        form.pop("Version")
        given = form
    return name, given, SESSION.get_service_model(service).operation_model(name), None


def main():
    seen, wrong = set(), []
    for line in sys.stdin:
        request = json.loads(line)
        method, path, body = request["method"], request["path"], request["body"]
        if request["target"] or path == "/":
            name, given, operation, extra = other(request["target"], body)
        else:
            name, given, operation, extra = eks(method, path, body)
        seen.add(name)
        report = ParamValidator().validate(given, operation.input_shape) if given else None
        told = report.generate_report() if report is not None and report.has_errors() else extra
        if told:
            wrong.append(f"{name}: {told}\n  {json.dumps(given)}")
    if wrong:
        raise SystemExit("\n".join(wrong))
    print("accepted:", " ".join(sorted(seen)))


main()
