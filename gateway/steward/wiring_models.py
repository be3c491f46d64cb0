"""Settings in, who ranks out: popularity always, and models where the settings name a file or a folder of them."""

from __future__ import annotations

from dataclasses import dataclass

from steward.adapters.popularity import PopularityRanker
from steward.config import Config
from steward.domain.trial import POPULARITY
from steward.errors import ConfigError, ModelRefused
from steward.ports import Store
from steward.services.modelwatch import ModelWatch
from steward.services.ranking import Ranking, RankingSettings


@dataclass(frozen=True, slots=True)
class Rankers:
    """watch: None where there are no models."""

    ranking: Ranking
    watch: ModelWatch | None


def make_rankers(config: Config, store: Store) -> Rankers:
    """Raises ConfigError: models are named, and cannot be run here, or the settings' own file cannot be read."""
    settings = config.models
    ranking = Ranking(PopularityRanker(), RankingSettings(settings.wait_ms / 1000))
    if settings.file is None and settings.folder is None:
        return Rankers(ranking, None)
    where = f"{config.file}: [models]"
    try:
        from steward.adapters.modelfolder import FolderModels, hash_file  # an extra: most of it is not there without
    except ImportError as error:
        raise ConfigError(where, f"needs {error.name}: pip install steward-edge[models], or leave it out") from None
    try:
        models = FolderModels(settings.folder, settings.file, settings.threads)
        base = POPULARITY if settings.file is None else hash_file(settings.file)
    except ModelRefused as error:
        raise ConfigError(where, str(error)) from None
    except OSError as error:
        raise ConfigError(f"{where} file", f"{settings.file} cannot be read ({error.strerror})") from None
    return Rankers(ranking, ModelWatch(store, ranking, models, base))
