"""Renders the templates of jinja-cases.json with Jinja2 3.1.6, as transformers sets it up, and writes what comes out.

    python3 jinja-cases.py        (needs jinja2; the templates are this project's own)

A case has a template and either the text that it renders with the file's data, or the name of the exception that it
raises: with its message if the template raised it, with its line if the template does not parse.
"""

import datetime
import json
import pathlib

import jinja2
from jinja2 import nodes
from jinja2.ext import Extension, loopcontrols
from jinja2.sandbox import ImmutableSandboxedEnvironment

NOW = datetime.datetime(2026, 11, 28, 13, 5, 9)


class Generation(Extension):
    tags = {"generation"}

    def parse(self, parser):
        line = next(parser.stream).lineno
        body = parser.parse_statements(["name:endgeneration"], drop_needle=True)
        return nodes.CallBlock(self.call_method("text"), [], [], body).set_lineno(line)

    def text(self, caller):
        return caller()


def environment():
    def raise_exception(message):
        raise jinja2.exceptions.TemplateError(message)

    def tojson(value, ensure_ascii=False, indent=None, separators=None, sort_keys=False):
        return json.dumps(
            value, ensure_ascii=ensure_ascii, indent=indent, separators=separators, sort_keys=sort_keys
        )

    made = ImmutableSandboxedEnvironment(
        trim_blocks=True, lstrip_blocks=True, extensions=[Generation, loopcontrols]
    )
    made.filters["tojson"] = tojson
    made.globals["raise_exception"] = raise_exception
    made.globals["strftime_now"] = NOW.strftime
    return made


def render(template, data):
    try:
        return {"template": template, "expected": environment().from_string(template).render(**data)}
    except jinja2.exceptions.TemplateSyntaxError as error:
        return {"template": template, "error": "TemplateSyntaxError", "line": error.lineno}
    except Exception as error:
        raised = {"template": template, "error": type(error).__name__}
        return raised | ({"message": str(error)} if raised["error"] == "TemplateError" else {})


path = pathlib.Path(__file__).with_name("jinja-cases.json")
file = json.loads(path.read_text(encoding="utf-8"))
lines = [json.dumps(render(case["template"], file["data"]), ensure_ascii=False) for case in file["cases"]]
data = json.dumps(file["data"], ensure_ascii=False)
path.write_text('{"data": ' + data + ',\n"cases": [\n' + ",\n".join(lines) + "\n]}\n", encoding="utf-8")
