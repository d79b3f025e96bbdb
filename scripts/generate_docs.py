"""The generated pages; see scripts/generate-docs. usage: generate_docs.py MCPCTL OUTPUT_DIRECTORY"""
import re
import subprocess
import sys

import yaml

MCPCTL, OUT = sys.argv[1:]
VERSION = re.search(r"project\(mcpfleet VERSION ([\d.]+)", open("CMakeLists.txt").read()).group(1)


def load(path):
    return yaml.safe_load(open(path))["spec"]


def root_of(spec):
    return spec["versions"][0]["schema"]["openAPIV3Schema"]


def scalar(value):
    return str(value).lower() if isinstance(value, bool) else str(value)


def type_of(node):
    if node.get("x-kubernetes-int-or-string"):
        return "quantity"
    if node.get("type") == "array":
        return "[]" + type_of(node["items"])
    if node.get("type") == "object" and "additionalProperties" in node:
        return "map[string]" + type_of(node["additionalProperties"])
    if node.get("format") == "duration":
        return "duration"
    return node.get("type", "any")


def bounds(node):
    inner = node["items"] if node.get("type") == "array" else node
    notes = []
    if "enum" in inner and len(inner["enum"]) > 12:
        notes.append(f"one of {len(inner['enum'])} names")
    elif "enum" in inner:
        notes.append("one of " + ", ".join(map(scalar, inner["enum"])))
    if "default" in node and node["default"] not in ({}, []):
        notes.append("default " + scalar(node["default"]))
    if "minimum" in inner or "maximum" in inner:
        notes.append(f"{inner.get('minimum', '')} to {inner.get('maximum', '')}".strip())
    if "maxItems" in node:
        notes.append(f"at most {node['maxItems']}")
    if "example" in inner:
        notes.append("for example " + scalar(inner["example"]))
    return "; ".join(notes)


def fields(node, path):
    """(path, type, required, description, bounds) of everything below, parents first."""
    required = set(node.get("required", []))
    for name, child in node.get("properties", {}).items():
        here = f"{path}.{name}" if path else name
        text = child.get("description", "")
        yield here, type_of(child), name in required, text, bounds(child)
        below = child
        if child.get("type") == "array":
            below, here = child["items"], here + "[]"
        yield from fields(below, here)


def cell(text):
    return re.sub(r"\s+", " ", text).strip().replace("|", "\\|").replace("<", "&lt;")


def table(rows):
    lines = ["| field | type | what it is | |", "|---|---|---|---|"]
    for path, kind, required, text, extra in rows:
        name = f"`{path}`" + (" **required**" if required else "")
        lines.append(f"| {name} | {cell(kind)} | {cell(text)} | {cell(extra)} |")
    return "\n".join(lines) + "\n"


def api():
    text = ("# The API\n\n<!-- Made from crd/ and edge-runtime/mcplet/configuration.yaml by scripts/generate-docs. -->\n\n"
            "Every field of every kind, in the order of the schema. `mcpctl explain mcpserver.spec.source` says the same.\n"
            "`apiVersion` is `mcpfleet.dev/v1alpha1` for all of them. How to write manifests: [manifests.md](manifests.md).\n")
    for path in ("crd/mcpserver.yaml", "crd/mcpnode.yaml", "crd/mcpsecret.yaml"):
        spec = load(path)
        root = root_of(spec)
        names = spec["names"]
        text += f"\n## {names['kind']}\n\n{root['description']}\n\n"
        text += f"Plural `{names['plural']}`, short {', '.join('`%s`' % n for n in names['shortNames'])}; "
        text += "in a namespace.\n" if spec["scope"] == "Namespaced" else "without a namespace.\n"
        for part in ("spec", "status"):
            if part not in root["properties"]:
                continue  # nobody reports on a secret
            node = root["properties"][part]
            text += f"\n### {names['kind']} {part}\n\n{node['description']}\n\n" + table(fields(node, part))
            rules = [r["message"] for r in collect_rules(node)]
            if rules:
                text += "\nRules over several fields:\n\n" + "".join(f"- {cell(r)}\n" for r in rules)
    root = root_of(load("edge-runtime/mcplet/configuration.yaml"))
    text += f"\n## MCPletConfiguration\n\n{root['description']}\nThe file `/etc/mcpfleet/mcplet.yaml`; it is never stored.\n\n"
    return text + table(fields(root["properties"]["spec"], "spec"))


def collect_rules(node):
    yield from node.get("x-kubernetes-validations", [])
    for child in node.get("properties", {}).values():
        yield from collect_rules(child)
    if "items" in node:
        yield from collect_rules(node["items"])


def troff(text):
    text = text.replace("\\", "\\e").replace("-", "\\-").replace("…", "...")
    return "\n".join("\\&" + line if line[:1] in ".'" else line for line in text.split("\n"))


def head(name, section, what):
    return f'.TH {name.upper()} {section} "" "mcpfleet {VERSION}" "mcpfleet"\n.SH NAME\n{name} \\- {troff(what)}\n'


def configuration_page():
    root = root_of(load("edge-runtime/mcplet/configuration.yaml"))
    text = head("mcplet.yaml", 5, "configuration of mcplet")
    text += (".SH DESCRIPTION\n" + troff(root["description"]) + "\n.PP\n"
             "The file is /etc/mcpfleet/mcplet.yaml, of kind MCPletConfiguration. Unknown fields are errors.\n"
             ".B mcplet \\-\\-check\\-config\nnames every mistake with its line.\n.SH FIELDS\n")
    for path, kind, required, what, extra in fields(root["properties"]["spec"], "spec"):
        if kind == "object":
            continue
        note = f" ({extra})" if extra else ""
        text += ".TP\n.B " + troff(path) + " \\fR" + troff(kind) + "\n" + troff(" ".join(what.split()) + note) + "\n"
    example = open("packaging/mcplet.yaml").read().rstrip()
    return text + ".SH EXAMPLE\n.nf\n" + troff(example) + "\n.fi\n.SH SEE ALSO\n.BR mcplet (8)\n"


def help_of(*verb):
    done = subprocess.run([MCPCTL, *verb, "--help"], capture_output=True, text=True, timeout=30,
                          env={"PATH": "/usr/bin:/bin", "HOME": "/nonexistent", "MCPFLEET_CONFIG": "/nonexistent"})
    if done.returncode != 0:
        sys.exit(f"mcpctl {' '.join(verb)} --help: {done.stderr}")
    return done.stdout.strip()


def mcpctl_page():
    top = help_of()
    verbs = re.findall(r"^  ([a-z-]+)  ", top.split("Subcommands:")[1], re.M)
    text = head("mcpctl", 1, "declares MCP servers and looks after them")
    text += (".SH SYNOPSIS\n.B mcpctl\n[OPTIONS] SUBCOMMAND\n.SH DESCRIPTION\n"
             "mcpctl changes and shows the desired state of a fleet of MCP servers, and asks the nodes about what runs.\n"
             "Results go to standard output, everything else to standard error.\n.PP\n.nf\n" + troff(top) + "\n.fi\n"
             ".SH SUBCOMMANDS\n")
    for verb in verbs:
        text += ".SS mcpctl " + troff(verb) + "\n.nf\n" + troff(help_of(verb)) + "\n.fi\n"
    return text + (".SH EXIT STATUS\n0 when all went well, 1 when it did not, 130 when it was interrupted.\n.B mcpctl diff\nexits with 1 when there is a difference"
                   " and 2 when it failed,\n.B mcpctl validate\nwith 1 when a manifest is wrong and 2 when one could not be read.\n.SH ENVIRONMENT\n.TP\n.B MCPFLEET_CONFIG\nThe file with the contexts.\n.TP\n.B NO_COLOR\n"
                   "No colours.\n.TP\n.B MCPCTL_TOKEN\nThe token for a protected server, where no file with it is given.\n.TP\n.B MCPCTL_CA_FILE\nThe CA of https endpoints, where\n.B --ca-file\nis not given.\n.TP\n.B EDITOR\nWhat\n.B mcpctl edit\nopens.\n.SH FILES\n.TP\n.I ~/.config/mcpfleet/config\n"
                   "Contexts: stores, nodes and their tokens; mode 0600.\n.SH SEE ALSO\n.BR mcplet (8)\n")


for name, text in (("api.md", api()), ("man/mcplet.yaml.5", configuration_page()), ("man/mcpctl.1", mcpctl_page())):
    with open(f"{OUT}/{name}", "w") as file:
        file.write(text)
