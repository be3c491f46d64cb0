"""Settings in, who ranks out: popularity always, and a model: the settings' own, or else the one that ships."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING

from steward.adapters.popularity import PopularityRanker
from steward.config import Config
from steward.config_models import ModelsSettings
from steward.domain.trial import POPULARITY
from steward.errors import ConfigError, ModelRefused
from steward.ports import Store
from steward.services.modelwatch import ModelWatch
from steward.services.ranking import Ranking, RankingSettings

if TYPE_CHECKING:
    from steward.adapters.modelfolder import FolderModels

_LOG = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Rankers:
    """watch: None where there are no models."""

    ranking: Ranking
    watch: ModelWatch | None


def make_rankers(config: Config, store: Store) -> Rankers:
    """Raises ConfigError: models are named, and cannot be run here, or the settings' own file cannot be read.

    The model that ships, where nobody named any: what is wrong with it is logged, and popularity ranks.
    """
    settings = config.models
    ranking = Ranking(PopularityRanker(), RankingSettings(settings.wait_ms / 1000))
    named = settings.file is not None or settings.folder is not None
    if not named and not settings.starter:
        return Rankers(ranking, None)
    where = f"{config.file}: [models]"
    try:
        models, base = _models(settings)
    except ImportError as error:
        problem = f"needs {error.name}: pip install steward-edge[models], or leave it out"
        return _without(ranking, where, problem, named)
    except ModelRefused as error:
        return _without(ranking, where, str(error), named)
    except OSError as error:
        raise ConfigError(f"{where} file", f"{settings.file} cannot be read ({error.strerror})") from None
    return Rankers(
        ranking, ModelWatch(store, ranking, models, base, ships=settings.file is None and base != POPULARITY)
    )


def _models(settings: ModelsSettings) -> tuple[FolderModels, str]:
    """Where models are, and which is shown from the start. Raises ImportError, ModelRefused, OSError."""
    from steward.adapters.modelfolder import STARTER, FolderModels, hash_file  # an extra: it may not be there

    if settings.file is not None:
        return FolderModels(settings.folder, settings.file, settings.threads), hash_file(settings.file)
    if not settings.starter:
        return FolderModels(settings.folder, None, settings.threads), POPULARITY
    return FolderModels(settings.folder, STARTER, settings.threads), _starter()


def _starter() -> str:
    """What the model that ships should be; POPULARITY where nobody can say."""
    from steward.adapters.modelfolder import STARTER, pinned

    try:
        return pinned(STARTER)
    except ModelRefused as error:
        _LOG.error("model.refused model=starter problem=%s", error)
        return POPULARITY


def _without(ranking: Ranking, where: str, problem: str, named: bool) -> Rankers:
    """Raises ConfigError where the settings ask for models."""
    if named:
        raise ConfigError(where, problem) from None
    _LOG.warning("model.none problem=%s", problem)
    return Rankers(ranking, None)
