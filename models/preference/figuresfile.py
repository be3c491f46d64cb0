"""figures.json: what `preference evaluate` found, for the card and for whoever compares."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from preference.errors import BadData
from preference.evaluate import Cold, Evaluation, Forecasting, Group, Ranking
from preference.metrics import Figure, Gap


def save(path: Path, found: Evaluation) -> None:
    path.write_text(json.dumps(asdict(found), indent=1), encoding="utf-8")


def load(path: Path) -> Evaluation:
    """Raises BadData."""
    try:
        read = json.loads(path.read_text(encoding="utf-8"))
        return Evaluation(
            **{
                **read,
                "rankings": {name: _ranking(fields) for name, fields in read["rankings"].items()},
                "forecasts": {name: _forecasting(fields) for name, fields in read["forecasts"].items()},
                "cold": None if read["cold"] is None else _cold(read["cold"]),
            }
        )
    except OSError as error:
        raise BadData(path, 0, "no figures here: make them with `preference evaluate`") from error
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise BadData(path, 0, "are no figures of this version: run `preference evaluate` again") from error


def _ranking(fields: Mapping[str, Any]) -> Ranking:
    return Ranking(
        **{
            **fields,
            "figures": _figures(fields["figures"]),
            "ece": None if fields["ece"] is None else Figure(**fields["ece"]),
            "here": None if fields["here"] is None else _figures(fields["here"]),
            "curve": None if fields["curve"] is None else tuple(fields["curve"]),
            "groups": _groups(fields["groups"]),
            "gaps": {
                name: Gap(**{**each, "figure": Figure(**each["figure"])}) for name, each in fields["gaps"].items()
            },
            "pasts": _groups(fields["pasts"]),
        }
    )


def _forecasting(fields: Mapping[str, Any]) -> Forecasting:
    return Forecasting(
        **{
            **fields,
            "auc": Figure(**fields["auc"]),
            "ece": Figure(**fields["ece"]),
            "curve": tuple(fields["curve"]),
            "groups": _groups(fields["groups"]),
        }
    )


def _cold(fields: Mapping[str, Any]) -> Cold:
    rankings = {name: _figures(each) for name, each in fields["rankings"].items()}
    return Cold(**{**fields, "items": tuple(fields["items"]), "rankings": rankings})


def _groups(fields: Mapping[str, Any]) -> dict[str, Group]:
    return {name: Group(**{**each, "figures": _figures(each["figures"])}) for name, each in fields.items()}


def _figures(fields: Mapping[str, Any]) -> dict[str, Figure]:
    return {name: Figure(**figure) for name, figure in fields.items()}
