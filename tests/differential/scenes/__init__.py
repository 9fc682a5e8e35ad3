"""What mutations.py spoils: a scene a theme, each a few sound requests around the one that is to be mutated.

A scene is a generator of cases, given names of its own and a version. The case whose note is MUTATED is sent mutated; those
before it lead to the state that it needs, and those after it tell what became of it.
"""
import scenes.admin  # noqa: F401
import scenes.groups  # noqa: F401
import scenes.topics  # noqa: F401
import scenes.transactions  # noqa: F401
from scenes.common import MUTATED, SCENES, Names, batch  # noqa: F401
