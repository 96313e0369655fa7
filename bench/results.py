"""What rows hand in, and what is made of it: medians, ratios, JSON and Markdown.

A record is one of four kinds:

    compare   samples of several servers, taken in turns; ratios are of the same round
    value     one number
    series    points of a line
    absent    something that could not be measured, and why

A bound is a pair of an operator and a number, as (">=", 0.97)."""

import json
import operator
import statistics

OPERATORS = {"<=": operator.le, ">=": operator.ge}


def spread(values):
    """Median, smallest and largest."""
    return {"median": statistics.median(values), "min": min(values), "max": max(values)}


def pick(samples, key):
    """Of samples that are dictionaries, the numbers of one name."""
    return {side: [value[key] for value in values] for side, values in samples.items()}


def holds(number, bound):
    """Whether it is within."""
    return bound is None or OPERATORS[bound[0]](number, bound[1])


def figure(number):
    """A number as people write it: three digits that count, and no more than needed."""
    if number == 0:
        return "0"
    if abs(number) >= 100:
        return f"{number:,.0f}"
    return f"{number:.{2 if abs(number) >= 10 else 3}f}".rstrip("0").rstrip(".")


class Results:
    """Of one run."""

    def __init__(self, machine):
        self.machine = machine
        self.records = []

    def compare(self, row, what, samples, unit, ours, bounds, note):
        """The record, with the ratio ours/other of each round for each of the others."""
        ratios = {}
        for side, values in samples.items():
            if side != ours and ours in samples:
                ratio = spread([a / b for a, b in zip(samples[ours], values)])
                bound = bounds.get(side)
                ratios[side] = {**ratio, "bound": bound, "holds": holds(ratio["median"], bound)}
        return self.add({
            "kind": "compare", "row": row, "what": what, "unit": unit, "ours": ours,
            "sides": {side: {**spread(values), "values": values}
                      for side, values in samples.items()},
            "ratios": ratios, "note": note})

    def value(self, row, what, number, unit, bound, note):
        """The record of one number."""
        return self.add({"kind": "value", "row": row, "what": what, "value": number,
                         "unit": unit, "bound": bound, "holds": holds(number, bound),
                         "note": note})

    def series(self, row, name, points, x, y):
        """The record of a line."""
        return self.add({"kind": "series", "row": row, "name": name, "x": x, "y": y,
                         "points": [list(point) for point in points]})

    def absent(self, row, what, why):
        """The record of something that is not there."""
        return self.add({"kind": "absent", "row": row, "what": what, "why": why})

    def add(self, record):
        """Keep it."""
        self.records.append(record)
        return record

    def of(self, row, kind):
        """All records of a row that are of a kind."""
        return [r for r in self.records if r["row"] == row and r["kind"] == kind]

    def save(self, path):
        """As JSON, whole."""
        with open(path, "w") as file:
            json.dump({"machine": self.machine, "records": self.records}, file, indent=1)
            file.write("\n")

    @classmethod
    def load(cls, path):
        """Of a file that save() wrote."""
        with open(path) as file:
            whole = json.load(file)
        results = cls(whole["machine"])
        results.records = whole["records"]
        return results


def lines_of(record):
    """A record as lines of text, each with whether a bound holds (None: there is none)."""
    if record["kind"] == "compare":
        return compare_lines(record)
    if record["kind"] == "value":
        return [value_line(record)]
    if record["kind"] == "absent":
        return [(None, f"{record['what']}: not measured: {record['why']}")]
    return []  # a series is for plots


def compare_lines(record):
    """One line for each server; others with their ratio."""
    lines = []
    for side, s in record["sides"].items():
        text = f"{record['what']}: {side} {range_of(s)} {record['unit']}".rstrip()
        ratio = record["ratios"].get(side)
        held = None
        if ratio:
            text += f"; {record['ours']} / {side} {range_of(ratio)}"
            if ratio["bound"]:
                text += f", bound {ratio['bound'][0]} {figure(ratio['bound'][1])}"
                held = ratio["holds"]
        lines.append((held, text))
    return lines


def range_of(s):
    """The median, and between what, if there is more than one."""
    if s["min"] == s["max"]:
        return figure(s["median"])
    return f"{figure(s['median'])} ({figure(s['min'])} to {figure(s['max'])})"


def value_line(record):
    """The number, and its bound."""
    text = f"{record['what']}: {figure(record['value'])} {record['unit']}".rstrip()
    if record["bound"]:
        text += f", bound {record['bound'][0]} {figure(record['bound'][1])}"
    if record["note"]:
        text += f" ({record['note']})"
    return record["holds"] if record["bound"] else None, text
