"""Pictures of a run, as SVG and PNG: plots.py RESULTS.json DIRECTORY.

prefork is blue everywhere, the limit black, and others have colours that people can tell apart
who see fewer of them (after Okabe and Ito), and marks or places that do the same without any
colour. A bar is a median, with a line from the least to the most that was measured."""

import os
import sys

import matplotlib
matplotlib.use("svg")
from matplotlib import pyplot, ticker  # noqa: E402  (after the choice of how to draw)

from peers import PEERS
from results import Results, figure

OURS, LIMIT = "#0072B2", "#222222"
OTHERS = ("#E69F00", "#009E73", "#CC79A7", "#D55E00", "#56B4E9", "#8C6D31", "#7F7F7F")
MARKS = "osD^vPX*"
PANELS = 6  # of one picture
WIDTH = 8.0
BAR = 0.34  # inches

STYLE = {
    "svg.hashsalt": "prefork", "font.size": 10, "axes.titlesize": 11,
    "axes.titlelocation": "left", "axes.spines.top": False, "axes.spines.right": False,
    "axes.axisbelow": True, "axes.grid": True, "grid.color": "#DDDDDD", "grid.linewidth": 0.7,
    "figure.facecolor": "white", "legend.frameon": False, "figure.constrained_layout.use": True,
}


def is_limit(side):
    """The bare loop, whatever it is called."""
    return side.startswith("bare")


def colour(side, ours, others):
    """Of a server."""
    if side == ours:
        return OURS
    return LIMIT if is_limit(side) else OTHERS[others.index(side) % len(OTHERS)]


def called(side):
    """As people call it: rows say the key of a server, or its name."""
    return PEERS[side].name if side in PEERS else side


def tidy(axis):
    """Numbers as people write them, on an axis of powers as well."""
    axis.set_major_formatter(ticker.FuncFormatter(lambda number, _: figure(number)))
    axis.set_minor_formatter(ticker.NullFormatter())


# ---- bars --------------------------------------------------------------------------------

def bars(axes, record):
    """One measurement: a bar for each server."""
    sides = list(record["sides"])
    for place, side in enumerate(sides):
        s = record["sides"][side]
        tone = OURS if side == record["ours"] else LIMIT if is_limit(side) else "#B8B8B8"
        axes.barh(place, s["median"], color=tone, height=0.66)
        axes.plot([s["min"], s["max"]], [place, place], color="#777777", linewidth=1.6)
        axes.annotate(label(record, side), (max(s["median"], s["max"]), place), (5, 0),
                      textcoords="offset points", va="center", fontsize=9)
    axes.set_yticks(range(len(sides)), map(called, sides))
    axes.invert_yaxis()
    axes.grid(axis="y", visible=False)
    axes.margins(x=0.24)
    axes.set_xlim(left=0)
    axes.set_title(record["what"])
    axes.set_xlabel(record["unit"])
    tidy(axes.xaxis)


def label(record, side):
    """The number, and how many times the one of prefork that is."""
    text = figure(record["sides"][side]["median"])
    ratio = record["ratios"].get(side)
    return f"{text}  ({record['ours']} / this: {figure(ratio['median'])})" if ratio else text


def bar_picture(records):
    """A panel below the other for each."""
    heights = [len(record["sides"]) * BAR + 0.75 for record in records]
    picture, panels = pyplot.subplots(len(records), 1, figsize=(WIDTH, sum(heights)),
                                      height_ratios=heights, squeeze=False)
    for axes, record in zip(panels[:, 0], records):
        bars(axes, record)
    return picture


def in_bars(*words):
    """A maker of a picture: those measurements whose names have one of the words, in their
    order; without words those with most to compare."""
    def make(results, row):
        records = [r for r in results.of(row, "compare") if len(r["sides"]) > 1]
        if words:
            records = [r for word in words for r in records if r["what"] == word]
        return bar_picture(records[:PANELS]) if records else None
    return make


# ---- lines -------------------------------------------------------------------------------

def groups(records, key):
    """Records by what key() says of their name: {group: [(line, record), ...]}."""
    found = {}
    for record in records:
        group, line = key(record["name"])
        found.setdefault(group, []).append((line, record))
    return found


def lines(axes, members, marks=True):
    """A line for each."""
    others = [line for line, _ in members if not is_limit(line) and line != "prefork"]
    for place, (line, record) in enumerate(members):
        x, y = zip(*record["points"])
        axes.plot(x, y, color=colour(line, "prefork", others), label=called(line), linewidth=1.8,
                  marker=MARKS[place % len(MARKS)] if marks else None, markersize=4,
                  markevery=max(1, len(x) // 12), zorder=3 if line == "prefork" else 2)
    axes.set_xlabel(members[0][1]["x"])
    axes.set_ylabel(members[0][1]["y"])
    if len(members) > 1:
        axes.legend(fontsize=9)


def line_picture(found, columns, draw):
    """A panel for each group."""
    rows = -(-len(found) // columns)
    picture, panels = pyplot.subplots(rows, columns, figsize=(WIDTH, 3.1 * rows), squeeze=False)
    for axes, (group, members) in zip(panels.flat, found.items()):
        draw(axes, members)
        axes.set_title(group)
    for axes in panels.flat[len(found):]:
        axes.set_visible(False)
    return picture


def in_lines(key, draw, columns=2):
    """A maker of a picture from the series of a row."""
    def make(results, row):
        records = [r for r in results.of(row, "series") if r["points"]]
        return line_picture(groups(records, key), columns, draw) if records else None
    return make


def split(sign, group_is_last):
    """A key: of "a<sign>b", one is the group, and the other the line."""
    def key(name):
        first, _, last = name.partition(sign)
        return (last, first) if group_is_last else (first, last)
    return key


def over_time(axes, members):
    """Pools that grow: the fast ones are over when the slow ones begin."""
    lines(axes, members)
    axes.set_xscale("log")
    axes.set_ylim(bottom=0)
    tidy(axes.xaxis)


def flat(axes, members):
    """From nothing on, and with room above, so that what is flat looks flat."""
    top = max(y for _, record in members for _, y in record["points"])
    axes.set_ylim(0, 1.25 * top or 1)
    tidy(axes.yaxis)


def over_size(axes, members):
    """Costs over numbers of ten times each; a flat line is what they should be."""
    lines(axes, members)
    axes.set_xscale("log")
    flat(axes, members)
    axes.set_xticks([x for x, _ in members[0][1]["points"]])
    tidy(axes.xaxis)


def over_count(axes, members):
    """Costs over a few sizes, a step to the right for each, whatever is between them."""
    sizes = [x for x, _ in members[0][1]["points"]]
    even = [(line, {**record, "points": [(sizes.index(x), y) for x, y in record["points"]]})
            for line, record in members]
    lines(axes, even)
    flat(axes, members)
    axes.set_xticks(range(len(sizes)), map(figure, sizes))


def over_percent(axes, members):
    """Latencies: each step to the right is a tenth of the requests that are left."""
    lines(axes, [(line, {**record, "points": [(1 / max(1 - x / 100, 1e-5), y)
                                              for x, y in record["points"]]})
                 for line, record in members])
    axes.set_xscale("log")
    axes.set_yscale("log")
    ticks = {x: f"{figure(100 - 100 / x)}" for x in (2, 10, 100, 1000, 10000)} | {1e5: "all"}
    axes.set_xticks(list(ticks), list(ticks.values()))
    axes.xaxis.set_minor_formatter(ticker.NullFormatter())
    tidy(axes.yaxis)


# ---- which -------------------------------------------------------------------------------

PICTURES = {
    "rate": ("rate", in_bars("connections")),
    "cpu": ("rate", in_bars("CPU per connection")),
    "keepalive": ("keepalive", in_bars()),
    "tail": ("tail", in_lines(split(": ", False), over_percent)),
    "burst": ("burst", in_lines(split(", ", True), over_time)),
    "scale": ("scale", in_lines(split(": ", False), over_size)),
    "growth": ("growth", in_lines(lambda name: (name, "prefork"), over_count)),
    "programs": ("programs", in_bars()),
    "memory": ("memory", in_bars()),
}


def draw(results, directory):
    """All pictures for which there is something: their files by row."""
    made = {}
    with matplotlib.rc_context(STYLE):
        for name, (row, make) in PICTURES.items():
            picture = make(results, row)
            if picture is None:
                continue
            picture.savefig(os.path.join(directory, f"{name}.svg"), metadata={"Date": None})
            picture.savefig(os.path.join(directory, f"{name}.png"), dpi=110,
                            metadata={"Software": None})
            pyplot.close(picture)
            made.setdefault(row, []).append(f"{name}.svg")
    return made


if __name__ == "__main__":
    draw(Results.load(sys.argv[1]), sys.argv[2])
