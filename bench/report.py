"""A run as Markdown: what the machine was, and each row with its numbers, ratios and bounds."""

from results import figure, range_of

HEAD = {"compare": "| what | server | median (least to most) | ratio | bound | |",
        "value": "| what | number | bound | |"}


def markdown(results, rows, plots):
    """All of it; `rows` are the modules by name, `plots` the pictures of each row."""
    parts = [title(results.machine), machine_table(results.machine), summary(results)]
    for name in dict.fromkeys(record["row"] for record in results.records):
        parts.append(section(results, name, rows, plots.get(name, [])))
    return "\n\n".join(parts) + "\n"


def title(machine):
    """What this is."""
    return (f"# Bench of {machine['date']}, commit {machine['commit']}\n\n"
            "Written by `./dev bench`; [README.md](../README.md) says what each row does and "
            "how to read it.\nNumbers in one table are of the same run, taken in turns. Ratios "
            "are the median of those of each round.")


def machine_table(machine):
    """What the machine was, and what was installed."""
    words = {"kernel": "kernel", "system": "system", "processor": "processor",
             "processors": "processors", "memory_gib": "memory, GiB",
             "governor": "frequency governor", "virtual": "virtual machine",
             "load": "load average before", "compiler": "compiler"}
    lines = ["| the machine | |", "|---|---|"]
    for key, word in words.items():
        value = machine[key]
        text = ", ".join(map(str, value)) if isinstance(value, list) else value
        lines.append(f"| {word} | {text} |")
    lines += [f"| {name} | {version} |" for name, version in machine["versions"].items()]
    return "\n".join(lines)


def bounds_of(results):
    """(row, what, holds) of all bounds."""
    for r in results.records:
        if r["kind"] == "value" and r["bound"]:
            yield r["row"], r["what"], r["holds"]
        for side, ratio in r.get("ratios", {}).items():
            if ratio["bound"]:
                yield r["row"], f"{r['what']}, {r['ours']} / {side}", ratio["holds"]


def summary(results):
    """How many bounds hold, and which do not."""
    bounds = list(bounds_of(results))
    lines = [f"{sum(held for _, _, held in bounds)} of {len(bounds)} bounds hold."]
    lines += [f"- missed: {row}: {what}" for row, what, held in bounds if not held]
    return "\n".join(lines)


def section(results, name, rows, plots):
    """One row: its question, its pictures, its tables."""
    parts = [f"## {name}"]
    if name in rows:
        parts.append(rows[name].__doc__.split("\n\n")[0].strip())
    parts += [f"![{name}]({plot})" for plot in plots]
    for kind, lines_of in ("compare", compare_rows), ("value", value_rows):
        lines = [line for record in results.of(name, kind) for line in lines_of(record)]
        if lines:
            rule = "|---" * (HEAD[kind].count("|") - 1) + "|"
            parts.append("\n".join([HEAD[kind], rule, *lines]))
    parts += [f"- {record['note']}" for record in results.of(name, "compare") if record["note"]]
    parts += [f"- not measured: {record['what']}: {record['why']}"
              for record in results.of(name, "absent")]
    return "\n\n".join(parts)


def number(text, unit):
    """With its unit, if it has one."""
    return f"{text} {unit}".rstrip()


def verdict(bound, held):
    """The bound, and whether it holds; nothing if there is none."""
    return ("", "") if not bound else (f"{bound[0]} {figure(bound[1])}",
                                      "ok" if held else "**missed**")


def compare_rows(record):
    """A line of the table for each server."""
    for side, s in record["sides"].items():
        ratio = record["ratios"].get(side)
        beside = f"{record['ours']} / this: {range_of(ratio)}" if ratio else ""
        bound, held = verdict(ratio["bound"], ratio["holds"]) if ratio else ("", "")
        yield (f"| {record['what']} | {side} | {number(range_of(s), record['unit'])} | {beside} | "
               f"{bound} | {held} |")


def value_rows(record):
    """A line of the table."""
    bound, held = verdict(record["bound"], record["holds"])
    note = f" ({record['note']})" if record["note"] else ""
    yield (f"| {record['what']}{note} | "
           f"{number(figure(record['value']), record['unit'])} | {bound} | "
           f"{held} |")
