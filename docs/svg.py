# SPDX-License-Identifier: GPL-2.0-or-later
"""Shapes of the pictures in docs/pictures. A picture is a light card with its own background, so
that it can be read on dark pages, too."""
from html import escape

INK, PALE, CARD, EDGE = "#1f2933", "#5b6773", "#ffffff", "#c3cbd4"
# Light to dark, so that they differ without colours
FILLS = {"a": "#cfe3f5", "b": "#fbe0b5", "good": "#dcefd2", "bad": "#f6cfcf", "plain": "#f1f3f6"}
# Ems per character of the widest line of text in a sans-serif font, rounded up
EM_PER_CHARACTER = 0.56


class Picture:
    """A picture: collects shapes; str() gives the text of the file."""

    def __init__(self, width, height, title):
        self.width, self.height, self.title, self.shapes = width, height, title, []

    def add(self, shape):
        self.shapes.append(shape)

    def box(self, left, top, width, height, fill="plain"):
        self.add(f'<rect x="{left}" y="{top}" width="{width}" height="{height}" rx="5" '
                 f'fill="{FILLS[fill]}" stroke="{EDGE}"/>')

    def text(self, x, y, text, *, size=13, anchor="start", bold=False, colour=INK):
        if anchor == "start" and x + len(text) * size * EM_PER_CHARACTER > self.width:
            raise ValueError(f"{self.title}: '{text}' does not fit into {self.width} px")
        weight = ' font-weight="bold"' if bold else ""
        self.add(f'<text x="{x}" y="{y}" font-size="{size}" text-anchor="{anchor}" '
                 f'fill="{colour}"{weight}>{escape(text)}</text>')

    def lines(self, x, y, lines, **style):
        for number, line in enumerate(lines):
            self.text(x, y + number * 17, line, **style)

    def path(self, points, *, colour=INK, width=1.5, arrow=False, dashed=False):
        marker = ' marker-end="url(#arrow)"' if arrow else ""
        dashes = ' stroke-dasharray="5 4"' if dashed else ""
        joined = " ".join(f"{x:g},{y:g}" for x, y in points)
        self.add(f'<polyline points="{joined}" fill="none" stroke="{colour}" '
                 f'stroke-width="{width}"{marker}{dashes}/>')

    def __str__(self):
        head = [
            f'<svg xmlns="http://www.w3.org/2000/svg" width="{self.width}" height="{self.height}" '
            f'viewBox="0 0 {self.width} {self.height}"'
            ' font-family="DejaVu Sans, Verdana, sans-serif" role="img">',
            "<!-- SPDX-License-Identifier: GPL-2.0-or-later; made by docs/renew.py -->",
            f"<title>{escape(self.title)}</title>",
            '<defs><marker id="arrow" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="8" '
            'markerHeight="8" orient="auto">'
            f'<path d="M0,0 L8,4 L0,8 z" fill="{INK}"/></marker></defs>',
            f'<rect x="0.5" y="0.5" width="{self.width - 1}" height="{self.height - 1}" rx="8" '
            f'fill="{CARD}" stroke="{EDGE}"/>',
        ]
        return "\n".join([*head, *self.shapes, "</svg>"]) + "\n"
