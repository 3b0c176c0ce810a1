"""Checks manifests against the schemas of several Kubernetes minors, strictly, and prints what it read as JSON.

usage: validate.py MINOR,MINOR… FILE…
"""

import functools
import json
import sys

import kubernetes_validate.utils as utils

# One process reads each schema once; they are a megabyte each.
utils.schema_contents = functools.lru_cache(maxsize=None)(utils.schema_contents)

minors = sys.argv[1].split(",")
documents, problems, checks = {}, [], 0
for path in sys.argv[2:]:
    documents[path] = utils.resources_from_file(path)
    for document in documents[path]:
        for minor in minors:
            # A kind or a minor without a schema is a problem too; the tool's own command line passes over the first.
            try:
                used = utils.validate(document, minor, strict=True)
                checks += 1
                if used != minor:
                    problems.append(f"{path}: no schemas of {minor}")
            except Exception as error:
                what = getattr(error, "message", error)
                problems.append(f"{path}: {document.get('kind')}: {minor}: {what}")
json.dump({"documents": documents, "problems": problems, "checks": checks}, sys.stdout)
