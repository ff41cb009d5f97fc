"""Prints, one a line below the name of its model, the path of every property that Azure's own client calls read-only.

`*` stands for each member of a list or a map.
"""

import re

from azure.mgmt.containerservice.models import _models


def walk(model, path, above):
    hints = {}
    for each in reversed(model.__mro__):
        hints.update(each.__dict__.get("__annotations__", {}))
    model()  # The fields are known once there was one.
    for name, field in model._attr_to_rest_field.items():
        here = [*path, field._rest_name]
        if field._visibility == ["read"]:
            print(".".join(here))
            continue
        hint = str(hints.get(name, ""))
        inner = re.search(r"_models\.(\w+)", hint)
        inner = inner and getattr(_models, inner.group(1), None)
        if inner and inner not in above:
            many = "list[" in hint.lower() or "dict[" in hint.lower()
            walk(inner, [*here, "*"] if many else here, [*above, inner])


for kind in ("ManagedCluster", "AgentPool", "MaintenanceConfiguration"):
    print(f"[{kind}]")
    walk(getattr(_models, kind), [], [getattr(_models, kind)])
