"""The functions of include/smtptls.h, and a C program part that calls each of them with everything.

    prototypes(header)    the functions that the text of a header declares
    calls(functions)      C for every_function.c, which says what the values are

A new function is covered by itself; a new kind of parameter is an error here, so that it is not left out.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

OBJECTS = ("config", "policy", "sts", "session", "info", "error")


@dataclass(frozen=True)
class Parameter:
    """One parameter: its type without blanks before `*`, and its name."""

    kind: str
    name: str

    @property
    def noun(self) -> str | None:
        """Of an object, which one it is."""
        found = re.fullmatch(r"(?:const )?struct smtptls_(\w+)\*", self.kind)
        return found[1] if found else None


@dataclass(frozen=True)
class Function:
    """One function of the header."""

    result: str
    name: str
    parameters: tuple[Parameter, ...]


def prototypes(header: str) -> list[Function]:
    """Every function that the header declares, in its order."""
    text = re.sub(r"//[^\n]*|/\*.*?\*/|^\s*#[^\n]*", " ", header, flags=re.DOTALL | re.MULTILINE)
    found = []
    for match in re.finditer(r"([\w ]+?[\s*]+)(smtptls_\w+)\s*\(([^()]*)\)\s*;", text):
        result = typed(match[1].replace("SMTPTLS_MUST_USE", ""))
        words = [word.strip() for word in match[3].split(",")]
        parameters = tuple(parameter(word) for word in words if word != "void")
        found.append(Function(result, match[2], parameters))
    return found


def typed(text: str) -> str:
    return re.sub(r"\s*\*\s*", "*", " ".join(text.split()))


def parameter(text: str) -> Parameter:
    match = re.fullmatch(r"(.*?)(\w+)", text, re.DOTALL)
    assert match, text
    return Parameter(typed(match[1]), match[2])


# A length behind one of these belongs to it: together they are one value.
SPANS = {
    "const void*": "spans",
    "void*": "rooms",
    "const uint8_t*": "spans",
    "const char*const*": "lists",
}
# A table of values for each other kind of parameter.
VALUES = {
    "int": "ints",
    "bool": "bools",
    "size_t": "sizes",
    "uint8_t": "octets",
    "uint32_t": "words",
    "uint64_t": "longs",
    "const char*": "texts",
    "void*": "rooms",
}
# Where something is stored: NULL, or a variable that is looked at afterwards.
OUT = {"const uint8_t**": "const uint8_t *", "const char**": "const char *", "size_t*": "size_t "}
RESULTS = {
    "int": "check_int",
    "bool": "check_bool",
    "size_t": "check_size",
    "uint64_t": "check_long",
    "int64_t": "check_time",
    "ptrdiff_t": "check_count",
    "const char*": "check_text",
    "const uint8_t*": "check_octets",
    "void": None,
}


def calls(functions: list[Function]) -> str:
    """A C function for each, and a table of them."""
    parts = ["/* Made from include/smtptls.h by prototypes.py. */"]
    parts += [body(function) for function in functions]
    table = "\n".join(f'    {{"{function.name}", try_{function.name}}},' for function in functions)
    parts.append(
        f"static const struct {{ const char *name; void (*call)(void); }} functions[] = {{\n{table}\n}};"
    )
    return "\n\n".join(parts) + "\n"


def body(function: Function) -> str:
    loops: list[str] = []
    arguments: list[str] = []
    before: list[str] = []
    after: list[str] = []
    ends: list[str] = []
    frees = function.name.endswith("_free")
    skip = False
    for n, given in enumerate(function.parameters):
        if skip:
            skip = False
            continue
        following = function.parameters[n + 1].kind if n + 1 < len(function.parameters) else ""
        index = f"i{n}"
        if given.noun:
            noun = given.noun
            # An info is mostly a session's, and only the caller's own may be freed.
            if noun == "info" and not given.kind.startswith("const"):
                noun = "own_info"
            loops.append(f"for (size_t {index} = 0; {index} < {noun}_states; {index}++) {{")
            loops.append(f"struct object p{n} = make_{noun}({index});")
            ends.append(f"free_{noun}(p{n});" if not frees else f"free_rest(p{n});")
            arguments.append(f"p{n}.{noun}")
        elif given.kind in SPANS and following == "size_t":
            # Of keys they are counted, and not their octets.
            counted = given.kind == "const void*" and function.parameters[n + 1].name == "count"
            table = "keys" if counted else SPANS[given.kind]
            loops.append(f"for (size_t {index} = 0; {index} < COUNT({table}); {index}++) {{")
            ends.append("")
            arguments += [f"{table}[{index}].at", f"{table}[{index}].len"]
            skip = True
        elif given.kind in OUT:
            loops.append(f"for (size_t {index} = 0; {index} < 2; {index}++) {{")
            ends.append("")
            before.append(f"{OUT[given.kind]}o{n} = 0;")
            arguments.append(f"{index} == 0 ? NULL : &o{n}")
            if given.kind == "const char**":
                after.append(f"touch_text(o{n});")
        elif given.kind in VALUES:
            table = VALUES[given.kind]
            loops.append(f"for (size_t {index} = 0; {index} < COUNT({table}); {index}++) {{")
            ends.append("")
            arguments.append(f"{table}[{index}]")
        else:
            raise AssertionError(f"{function.name}: there are no values for {given.kind} {given.name}")
    call = f"{function.name}({', '.join(arguments)})"
    after += touches(function)
    inner = " ".join([*before, "calls++;", *check(function, call), *after])
    closing = "\n".join(f"    {end} }}" for end in reversed(ends))
    opening = "\n".join(f"    {loop}" for loop in loops)
    return f"static void try_{function.name}(void)\n{{\n{opening}\n        {inner}\n{closing}\n}}"


def check(function: Function, call: str) -> list[str]:
    """The call, and what holds of its result whatever went in."""
    made = re.fullmatch(r"struct smtptls_(\w+)\*", function.result)
    first = function.parameters[0].noun if function.parameters else None
    null = f"p0.{first} == NULL" if first else "false"
    if made:
        free = f"smtptls_{made[1]}_free(made);"
        return [
            f"struct {'smtptls_' + made[1]} *made = {call};",
            f'check_object("{function.name}", {null}, made);',
            free,
        ]
    if function.result.startswith("const struct"):
        return [f'check_object("{function.name}", {null}, {call});']
    assert function.result in RESULTS, f"{function.name}: nothing is known of {function.result}"
    checked = RESULTS[function.result]
    if checked is None:
        return [f"{call};"]
    if checked == "check_int" or checked == "check_count":
        kept = (
            f"smtptls_{first}_error(p0.{first})"
            if first in ("config", "policy", "sts", "session")
            else "no_error"
        )
        declared = "int" if checked == "check_int" else "ptrdiff_t"
        error = f"result <= SMTPTLS_ERR_ARGUMENT ? {kept} : no_error"
        return [f"{declared} result = {call};", f'{checked}("{function.name}", {null}, result, {error});']
    return [f'{checked}("{function.name}", {null}, {call});']


def touches(function: Function) -> list[str]:
    """Octets that came out together with their number can be read."""
    kinds = [given.kind for given in function.parameters]
    if function.result == "size_t" and "const uint8_t**" in kinds:
        n = kinds.index("const uint8_t**")
        return [f"touch(o{n}, o{n} ? 1 : 0);"]
    return []
