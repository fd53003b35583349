"""The forms of release that the circuits of the last step compute and a theorem covers, by name."""

from __future__ import annotations

from parties.learning.extensions.registry import Kind

FORMS: dict[str, tuple[str, ...]] = {
    "argmax": ("label",),
    "confident-argmax": ("check", "label"),
    "majority": ("labels",),
}
"""What each form releases of a query. A check is one bit, whether there is a label, which the label itself shows."""

RELEASES = Kind("release", "releases", tuple(FORMS))
"""The release rules that have a name, which are the forms."""
