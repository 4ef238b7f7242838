"""The house rules as functions over source trees: {module name: tree} to complaints, each beginning with its module."""

from __future__ import annotations

import ast
import re
from collections.abc import Callable, Iterator, Mapping
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

Trees = Mapping[str, ast.Module]
Rule = Callable[[Trees], list[str]]

ROOT = Path(__file__).resolve().parents[1]
STAGES = frozenset({"auth", "policy", "catalog", "vault", "pixels", "metadata", "screening", "audit"})
WORDS = frozenset({"errors", "fingerprints", "model", "settings", "setting_values"})
SHELLS = frozenset({"web", "demo", "commands", "cli", "__main__"})
# A heavy optional library may be imported where it is used: (module, library).
LATE_IMPORTS = frozenset({("server.policy.symbolic", "z3")})
IMPORTS_BY_NAME = frozenset({"server.cli"})
GENERATED = frozenset({"server.model.ps315_2026d", "server.metadata.iod_types", "server.metadata.terms"})
HOMES = {
    "flask": {"web", "demo"}, "werkzeug": {"web", "demo"}, "jinja2": {"web", "demo"}, "gunicorn": {"web"},
    "sqlalchemy": {"catalog", "services"}, "alembic": {"catalog"}, "pg8000": {"catalog"}, "sqlite3": {"catalog"},
    "cedarpy": {"policy"}, "z3": {"policy"},
    "openvino": {"screening"}, "SimpleITK": {"screening"}, "click": {"commands", "cli"},
}  # fmt: skip
CHANCE = frozenset({"time", "random", "secrets", "uuid"})
CLOCKS = frozenset({"now", "utcnow", "today", "default_rng"})
FILES = frozenset({"open", "print", "input", "read_text", "read_bytes", "write_text", "write_bytes"})
OUTSIDE = frozenset({
    "asyncio", "fcntl", "http", "logging", "mmap", "multiprocessing", "os", "pathlib", "requests", "resource", "select",
    "shutil", "signal", "socket", "subprocess", "sys", "tempfile", "threading", "urllib.request", "urllib3",
})  # fmt: skip
PURE = (
    "server.policy", "server.pixels", "server.metadata", "server.screening", "server.model", "server.errors",
    "server.auth.tokens", "server.auth.claims", "server.auth.dpop", "server.auth.identity",
    "server.auth.sessions", "server.auth.strict_json",
    "server.vault.envelope", "server.vault.rows", "server.vault.keyring_format",
    "server.audit.entries", "server.audit.head", "server.audit.recovery",
    "server.negotiate", "server.multipart", "server.query", "server.ranges",
)  # fmt: skip
# The decoders' pool and their process, the reader of the policy directory, the weights inside a package, the lock of
# the journal that gives up after a while, scripts that write generated modules: what these modules are for.
IMPURE = {
    "server.pixels.pool": {"fcntl", "os", "pathlib", "subprocess", "sys", "threading"},
    "server.pixels.decoder_child": {"os", "resource", "sys"},
    "server.policy.bundle": {"pathlib", "open"},
    "server.screening.weights": {"pathlib", "read_bytes"},
    "server.screening.packaged": {"pathlib", "read_bytes"},
    "server.audit.disk": {"time"},
    "server.metadata.generate_ps315": {"pathlib", "sys", "read_text", "write_text"},
    "server.metadata.generate_types": {"pathlib", "sys", "read_text", "write_text"},
    "server.metadata.generate_terms": {"pathlib", "sys", "read_text", "write_text"},
}
ENCODERS = (
    "server.pixels.encode", "server.metadata.write", "server.metadata.json_model", "server.metadata.xml_model",
    "server.metadata.narrative", "server.metadata.caption",
)  # fmt: skip
MAKERS = {
    "MaskedFrame": "server.pixels.redact",
    "MaskedRows": "server.pixels.rows",
    "MaskedPicture": "server.pixels.render",
    "MaskedDataset": "server.metadata.masked",
}
# What shows an original or says that it is masked, and the only ones who may import it.
RESERVED = {
    "server.develop.decoded_frame": ("server.look", "server.volumes", "server.same"),
    "server.pixels.decode": ("server.develop", "server.same"),
    "server.pixels.frame": ("server.develop", "server.look", "server.volumes", "server.same", "server.pixels"),
    "server.metadata.json_model.elements_to_json": ("server.metadata",),
    "server.metadata.encode": ("server.metadata",),
    "server.metadata.xml_model.from_json": ("server.metadata", "server.search", "server.outcomes"),
    "server.pixels.base": ("server.bases", "server.services"),
    "server.pixels.rows": ("server.pixels",),
    "server.pixels.splice": ("server.pixels",),
    "server.vault.bases": ("server.bases", "server.services"),
    "server.pixels.encode_more": ("server.pixels",),
    "server.pixels.tagged": ("server.pixels",),
    "server.pixels.drawing": ("server.pixels",),
    "server.metadata.masked.masked_dataset": ("server.metadata.deidentify",),
    "server.metadata.masked.with_pixel_form": ("server.develop",),
}
DEMO_USERS = frozenset({"server.commands.demo", "server.commands.token", "server.commands.policy"})
PERMISSIVE = frozenset({"RegionStyle.KEEP", "ElementAction.KEEP", "ScreeningState.SCREENED", "True"})
NO_DEFAULTS = frozenset({
    "MaskingLevel", "ElementRules", "Permit", "MaskedFrame", "MaskedRows", "MaskedDataset", "MaskedPicture",
})  # fmt: skip


def read_house() -> Trees:
    """The real source."""
    trees = {}
    for path in sorted((ROOT / "server").rglob("*.py")):
        name = ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")
        trees[name] = ast.parse(path.read_text("utf-8"))
    return trees


def room(module: str) -> str:
    """The first name below `server`: a stage, a shell, a word or a use case."""
    return module.split(".")[1] if "." in module else "errors"


def floor(module: str) -> int:
    """Words 0, stages 1, services 2, use cases 3, shells 4."""
    floors = ((WORDS, 0), (STAGES, 1), (frozenset({"services"}), 2), (SHELLS, 4))
    return next((number for names, number in floors if room(module) in names), 3)


def imports(tree: ast.AST) -> Iterator[str]:
    """Every imported name in full, wherever the import stands."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield from (f"{'.' * node.level}{node.module or ''}.{alias.name}" for alias in node.names)


def own_imports(trees: Trees, module: str) -> set[str]:
    """The modules of this house that a module imports."""
    found = {name for name in imports(trees[module]) if name.split(".")[0] == "server"}
    return {name if name in trees else name.rpartition(".")[0] for name in found} - {module}


def below(name: str, *parents: str) -> bool:
    return any(name == parent or name.startswith(f"{parent}.") for parent in parents)


def imports_point_down(trees: Trees) -> list[str]:
    return [
        f"{module} is below {target}"
        for module in trees
        for target in own_imports(trees, module)
        if floor(target) > floor(module)
    ]


def no_cycles(trees: Trees) -> list[str]:
    try:
        TopologicalSorter({module: own_imports(trees, module) for module in trees}).prepare()
    except CycleError as error:
        return [" and ".join(sorted(set(error.args[1])))]
    return []


def imports_stand_at_the_top(trees: Trees) -> list[str]:
    found = [f"{module} imports relatively" for module in trees for name in imports(trees[module]) if name[0] == "."]
    for module, tree in trees.items():
        late = {
            name for node in tree.body if not isinstance(node, ast.Import | ast.ImportFrom) for name in imports(node)
        }
        found += [f"{module} imports {name} late" for name in late if (module, name.split(".")[0]) not in LATE_IMPORTS]
        named = {called(node) for node in ast.walk(tree)} & {"importlib.import_module", "import_module", "__import__"}
        found += [f"{module} imports by name" for _ in named if module not in IMPORTS_BY_NAME]
    return found


def stages_are_strangers(trees: Trees) -> list[str]:
    return [
        f"{module} knows {target}"
        for module in trees
        for target in own_imports(trees, module)
        if {room(module), room(target)} <= STAGES and room(module) != room(target)
    ]


def libraries_stay_at_home(trees: Trees) -> list[str]:
    return [
        f"{module} imports {name}"
        for module, tree in trees.items()
        for name in imports(tree)
        if room(module) not in HOMES.get(name.split(".")[0], {room(module)})
    ]


def pure_inside(trees: Trees) -> list[str]:
    found = []
    for module, tree in trees.items():
        pure = below(module, *PURE)
        if not pure and room(module) not in STAGES:
            continue
        allowed = IMPURE.get(module, set())
        modules = (CHANCE | OUTSIDE if pure else CHANCE) - allowed
        acts = (CLOCKS | FILES if pure else CLOCKS) - allowed
        found += [f"{module} imports {name}" for name in imports(tree) if below(name, *modules)]
        found += [f"{module} calls {called(node)}" for node in ast.walk(tree) if last(called(node)) in acts]
        found += [f"{module} uses {text}" for text in map(dotted, ast.walk(tree)) if text.endswith("np.random")]
    return found


def encoders_take_only_masked(trees: Trees) -> list[str]:
    found = []
    for module in ENCODERS:
        for function in (node for node in trees[module].body if isinstance(node, ast.FunctionDef)):
            if function.name.startswith("_") or f"{module}.{function.name}" in RESERVED:
                continue
            first = function.args.args[0].annotation if function.args.args else None
            takes = re.sub(r"Sequence\[(\w+)\]", r"\1", ast.unparse(first)) if first else "anything"
            says_yes_or_no = function.returns is not None and dotted(function.returns) == "bool"
            if not says_yes_or_no and not set(takes.split(" | ")) <= set(MAKERS):
                found.append(f"{module}.{function.name} takes {takes}")
    return found


def only_maskers_make(trees: Trees) -> list[str]:
    found = []
    for module, tree in trees.items():
        for node in ast.walk(tree):
            name = last(called(node))
            if MAKERS.get(name, module) != module:
                found.append(f"{module} makes a {name}")
            if isinstance(node, ast.Attribute) and node.attr in {"__new__", "__setattr__", "_MAKER", "_WORKSHOP"}:
                found.append(f"{module} goes around a constructor")
        private = (last(name) for name in imports(tree) if below(name, "server"))
        found += [f"{module} takes {name} from another" for name in private if re.match(r"_(?!_)", name)]
    return found


def originals_stay_in_the_darkroom(trees: Trees) -> list[str]:
    return [
        f"{module} imports {name}"
        for module, tree in trees.items()
        for name in imports(tree)
        for reserved, users in RESERVED.items()
        if below(name, reserved) and not below(module, *users)
    ]


def web_knows_no_film(trees: Trees) -> list[str]:
    kept = STAGES - {"auth"}
    return [
        f"{module} imports {target}"
        for module in trees
        for target in own_imports(trees, module)
        if room(module) == "web" and room(target) in kept | {"develop", "represent"}
    ]


def the_demo_stays_apart(trees: Trees) -> list[str]:
    return [
        f"{module} imports the demo"
        for module in trees
        for target in own_imports(trees, module)
        if room(target) == "demo" != room(module) and module not in DEMO_USERS
    ]


def nothing_is_swallowed(trees: Trees) -> list[str]:
    found = []
    for module, tree in trees.items():
        for node in ast.walk(tree):
            caught: list[ast.expr] = []
            if isinstance(node, ast.ExceptHandler):
                caught = [node.type or ast.Name("everything")]
            elif isinstance(node, ast.Call) and called(node).endswith("suppress"):
                caught = node.args
            names = {last(part) for one in caught for part in map(dotted, ast.walk(one))}
            found += [f"{module} catches {name}" for name in names & {"everything", "Exception", "BaseException"}]
    return found


def no_default_permits(trees: Trees) -> list[str]:
    found = []
    for module, tree in trees.items():
        for node in ast.walk(tree):
            found += [f"{module} falls back on {text}" for text in map(dotted, _fallbacks(node)) if text in PERMISSIVE]
            if isinstance(node, ast.ClassDef) and node.name in NO_DEFAULTS:
                fields = (one for one in node.body if isinstance(one, ast.AnnAssign) and one.value)
                found += [f"{module}: {node.name} has a default" for _ in fields]
            if isinstance(node, ast.ExceptHandler):
                found += [
                    f"{module} permits on an error" for one in ast.walk(node) if called(one) in ("Permit", "Grant")
                ]
    return found


def _fallbacks(node: ast.AST) -> Iterator[ast.expr]:
    """What is taken where nothing was said: defaults, second arguments of look-ups, the right side of `or`."""
    if isinstance(node, ast.arguments):
        yield from (one for one in (*node.defaults, *node.kw_defaults) if one is not None)
    elif isinstance(node, ast.AnnAssign) and isinstance(node.value, ast.Attribute):
        yield node.value
    elif isinstance(node, ast.BoolOp) and isinstance(node.op, ast.Or):
        yield from node.values[1:]
    elif isinstance(node, ast.Call) and last(called(node)) in {"get", "pop", "getattr", "next", "setdefault"}:
        yield from node.args[1:]


def modules_are_small(trees: Trees) -> list[str]:
    ends = {module: tree.body[-1].end_lineno or 0 for module, tree in trees.items() if tree.body}
    return [f"{module} has {end} lines" for module, end in ends.items() if end > 300 and module not in GENERATED]


def dotted(node: ast.AST) -> str:
    """`a.b.c` of a name, an attribute or a constant; "" of anything else."""
    if isinstance(node, ast.Attribute):
        return f"{dotted(node.value)}.{node.attr}"
    return node.id if isinstance(node, ast.Name) else str(node.value) if isinstance(node, ast.Constant) else ""


def last(name: str) -> str:
    return name.rpartition(".")[2]


def called(node: ast.AST) -> str:
    return dotted(node.func) if isinstance(node, ast.Call) else ""
