"""The breach drill's files: a JSON pack, a draft notice in each language, a letter per guest. All of mode 0600.

One guest is written at a time, so that a ship of thousands takes no more memory than one of ten.
"""

from __future__ import annotations

import json
import os
import tomllib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any

from steward.domain.incident import (
    Device,
    DeviceKind,
    Incident,
    IncidentStep,
    data_on,
    keys_on,
    sealed_on,
    steps_for,
)
from steward.domain.usecase_shapes import LANGUAGES, Register
from steward.errors import StoreUnavailable
from steward.services.incident import Addressee, SeenGuest

_NORDIC = ("nb", "no", "nn", "da", "sv")
_TODO = "todo"


class Words:
    """One language's texts of letters/*.toml."""

    def __init__(self, language: str) -> None:
        text = files("steward").joinpath(f"letters/{language}.toml").read_text(encoding="utf-8")
        self._tables: Mapping[str, Mapping[str, str]] = tomllib.loads(text)
        self.language = language

    def __call__(self, table: str, key: str, **values: object) -> str:
        return self._tables[table][key].format(**values)

    def each(self, table: str, keys: Iterable[str]) -> str:
        """A list in words."""
        return ", ".join(self._tables[table].get(key, key) for key in keys) or self("notice", "nobody")


@cache
def words_of(language: str) -> Words:
    """Read once: there may be thousands of letters."""
    return Words(language)


@dataclass(frozen=True, slots=True)
class Pack:
    """Where the files of one incident go, and what is the same in all of them. utc_offset_min: of ship's time."""

    folder: Path
    ship: str
    utc_offset_min: int
    incident: Incident
    device: Device
    register: Register

    def at(self, unix_s: int) -> str:
        return (datetime.fromtimestamp(unix_s, UTC) + timedelta(minutes=self.utc_offset_min)).strftime("%Y-%m-%d %H:%M")

    def make(self) -> None:
        """The folders, for nobody else's eyes. Raises StoreUnavailable."""
        try:
            (self.folder / "letters").mkdir(mode=0o700, parents=True, exist_ok=True)
            self.folder.chmod(0o700)
        except OSError as error:
            raise StoreUnavailable(f"{self.folder} cannot be made ({error.strerror}): choose another --out") from None

    def write_pack(self, guests: Sequence[SeenGuest], versions: Sequence[int], steps: Sequence[IncidentStep]) -> None:
        """incident.json, and guests.jsonl with a line for each guest."""
        incident, device = self.incident, self.device
        top = {
            "incident": incident.id,
            "ship": self.ship,
            "device": {"kind": device.kind.value, "name": device.name, "role": device.role},
            "from_s": incident.from_s,
            "to_s": incident.to_s,
            "declared_s": incident.declared_s,
            "notice_due_s": incident.notice_due_s,
            "guests": sum(not each.crew for each in guests),
            "crew": sum(each.crew for each in guests),
            "seen": sum(bool(each.fields) for each in guests),
            "data": list(data_on(device)),
            "keys": list(keys_on(device)),
            "key_versions": list(versions),
            "encrypted_at_rest": sealed_on(device),
            "use_cases": list(self._cases(guests)),
            "steps": [{"step": step, "state": state, "detail": detail} for step, state, detail in self._steps(steps)],
        }
        self._write("incident.json", [json.dumps(top, indent=1, ensure_ascii=False) + "\n"])
        self._write("guests.jsonl", (json.dumps(self._line(guest)) + "\n" for guest in guests))

    def write_notice(
        self, guests: Sequence[SeenGuest], looks: int, versions: Sequence[int], steps: Sequence[IncidentStep]
    ) -> None:
        """notice.en.txt and notice.nb.txt: drafts that say what is known, and what a person must add."""
        for language in LANGUAGES:
            self._write(f"notice.{language}.txt", [self._notice(words_of(language), guests, looks, versions, steps)])

    def write_letter(self, guest: SeenGuest, to: Addressee | None) -> None:
        """letters/REF.txt, in the guest's language; in both while nobody has looked the name up."""
        chosen = LANGUAGES if to is None else (("nb",) if to.language[:2] in _NORDIC else ("en",))
        text = ("\n" + "-" * 72 + "\n\n").join(self._letter(words_of(language), guest, to) for language in chosen)
        self._write(f"letters/{guest.ref}.txt", [text])

    def _line(self, guest: SeenGuest) -> dict[str, Any]:
        return {"ref": guest.ref, "crew": guest.crew, "held": list(data_on(self.device)), "seen": list(guest.fields)}

    def _cases(self, guests: Sequence[SeenGuest]) -> list[str]:
        """Use cases of what was on it, or was shown through it."""
        if "everything" in data_on(self.device):
            return list(self.register.use_cases)
        seen = {field for guest in guests for field in guest.fields}
        return [
            case.id
            for case in self.register.use_cases.values()
            if any(field.value in seen for group in case.groups for field in group.seen)
        ]

    def _steps(self, steps: Sequence[IncidentStep]) -> list[tuple[str, str, str]]:
        known = {step.step: step for step in steps}
        return [
            (name, known[name].state.value if name in known else _TODO, known[name].detail if name in known else "")
            for name in steps_for(self.device)
        ]

    def _notice(
        self,
        words: Words,
        guests: Sequence[SeenGuest],
        looks: int,
        versions: Sequence[int],
        steps: Sequence[IncidentStep],
    ) -> str:
        incident, fill = self.incident, words("notice", "fill")
        seen = sorted({field for guest in guests for field in guest.fields})
        cases = [self.register.use_cases[id_].title[words.language] for id_ in self._cases(guests)]
        keys = words.each("keys", keys_on(self.device))
        lines = [
            words("notice", "title"),
            "",
            words("notice", "ship", ship=self.ship),
            words("notice", "controller", fill=fill),
            words("notice", "declared", at=self.at(incident.declared_s), due=self.at(incident.notice_due_s)),
            words("notice", "nature", **self._window(words)),
            words(
                "notice",
                "people",
                guests=sum(not each.crew for each in guests),
                crew=sum(each.crew for each in guests),
            ),
            words("notice", "records", seen=sum(bool(each.fields) for each in guests), looks=looks),
            words("notice", "stored", data=words.each("data", data_on(self.device))),
            words("notice", "shown", fields=words.each("field", seen)),
            words("notice", "uses", uses=", ".join(cases) or words("notice", "nobody")),
            words("notice", "keys", keys=keys + (f" ({', '.join(map(str, versions))})" if versions else "")),
            words("notice", "sealed", sealed=self._sealed(words)),
            words("notice", "steps"),
            *(
                f"- {words('rotate', step)}: {words('state', state)}{f' ({detail})' if detail else ''}"
                for step, state, detail in self._steps(steps)
            ),
            words("notice", "consequences", fill=fill),
            words("notice", "contact", fill=fill),
        ]
        return "\n".join(lines) + "\n"

    def _letter(self, words: Words, guest: SeenGuest, to: Addressee | None) -> str:
        incident, stored = self.incident, data_on(self.device)
        named = to is not None and to.name
        lines = [
            words("letter", "subject", ship=self.ship),
            "",
            words("letter", "dear", name=to.name) if to is not None and named else words("letter", "dear_unnamed"),
            "",
            words("letter", "what", **self._window(words)),
            *([words("letter", "held", data=words.each("data", stored))] if stored else []),
            words("letter", "seen" if guest.fields else "not_seen", fields=words.each("field", guest.fields)),
            *([words("letter", "sealed")] if sealed_on(self.device) else []),
            *([words("letter", "clear")] if guest.fields else []),
            words("letter", "did"),
            words("letter", "you"),
            words("letter", "rights"),
            words("letter", "officer", incident=incident.id),
            words("letter", "reference", ref=guest.ref),
        ]
        return "\n".join(lines) + "\n"

    def _window(self, words: Words) -> dict[str, str]:
        device = words("device", self.device.kind.value, name=self.device.name)
        return {"device": device, "since": self.at(self.incident.from_s), "until": self.at(self.incident.to_s)}

    def _sealed(self, words: Words) -> str:
        if self.device.kind is DeviceKind.BAND:
            return words("sealed", "band")
        return words("sealed", "gateway" if sealed_on(self.device) else "none")

    def _write(self, name: str, parts: Iterable[str]) -> None:
        """A whole file or none, mode 0600 from the first byte. Raises StoreUnavailable."""
        path = self.folder / name
        temporary = path.with_name(f".{path.name}.part")
        try:
            temporary.unlink(missing_ok=True)
            descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
            with open(descriptor, "w", encoding="utf-8") as file:
                file.writelines(parts)
            os.replace(temporary, path)
        except OSError as error:
            problem = f"cannot be written ({error.strerror}): free some space, or choose another --out"
            raise StoreUnavailable(f"{path} {problem}") from None
