"""The register of use cases: why anything about a person is held, by what right, for how long, and who may see it.

`usecases.toml` is the register; this is it, read once as the code is. Nothing is stored, shown, learnt from or sent
that it does not name: a column, an event's key, a field of an answer, a feature of the model and what a page reads are
each named once, by a use case, or in the list of what is about nobody, with its reason. domain/viewing.py makes of it
who may see what; the stores refuse what it does not name; the link to shore leaves behind what it does not let go.
"""

from __future__ import annotations

from importlib import resources

from steward.domain.usecase_file import read_register
from steward.domain.usecase_shapes import Category as Category
from steward.domain.usecase_shapes import FieldGroup as FieldGroup
from steward.domain.usecase_shapes import Impersonal as Impersonal
from steward.domain.usecase_shapes import Keep as Keep
from steward.domain.usecase_shapes import Place as Place
from steward.domain.usecase_shapes import Recipient as Recipient
from steward.domain.usecase_shapes import Register as Register
from steward.domain.usecase_shapes import Shown as Shown
from steward.domain.usecase_shapes import Since as Since
from steward.domain.usecase_shapes import Sort as Sort
from steward.domain.usecase_shapes import UseCase as UseCase
from steward.domain.usecase_shapes import Words as Words

FILE = "usecases.toml"
TEXT = resources.files("steward").joinpath(FILE).read_text(encoding="utf-8")
REGISTER: Register = read_register(TEXT, FILE)
