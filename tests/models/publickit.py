"""Wheel-shaped files with small made-up sets in them, in the form that the real packages have."""

from __future__ import annotations

import gzip
import random
from collections.abc import Mapping, Sequence
from pathlib import Path

from tests.models.test_wheels import pinned

from preference.wheels import Wheel

COUPON = {
    "destination": "Home",
    "passanger": "Alone",
    "weather": "Sunny",
    "temperature": "80",
    "time": "6PM",
    "coupon": "Bar",
    "expiration": "1d",
    "gender": "Male",
    "age": "26",
    "maritalStatus": "Single",
    "has_children": "0",
    "education": "Bachelors degree",
    "occupation": "Student",
    "income": "$25000 - $37499",
    "Bar": "1~3",
    "CoffeeHouse": "",
    "CarryAway": "4~8",
    "RestaurantLessThan20": "less1",
    "Restaurant20To50": "never",
    "toCoupon_GEQ5min": "1",
    "toCoupon_GEQ15min": "0",
    "toCoupon_GEQ25min": "0",
    "direction_same": "1",
    "direction_opp": "0",
    "Y": "1",
}
FILMS, PEOPLE, EVENTS = 30, 40, 14
_ML = "recbole/dataset_example/ml-100k/ml-100k"


def events(seed: int = 5) -> list[tuple[int, int, int, int]]:
    """(person, film, rating, second): film after film upwards, now and then any other, none twice."""
    draw = random.Random(seed)
    found = []
    for person in range(1, PEOPLE + 1):
        film, seen, now = draw.randint(1, FILMS), set[int](), draw.randint(1, 10**6)
        for _ in range(EVENTS):
            while film in seen:
                film = film % FILMS + 1
            seen.add(film)
            found.append((person, film, draw.randint(1, 5), now))
            now += draw.choice([0, 60, 100_000])
            film = film % FILMS + 1 if draw.random() < 0.8 else draw.randint(1, FILMS)
    draw.shuffle(found)
    return found


def films_wheel(folder: Path, told: list[tuple[int, int, int, int]] | None = None) -> Wheel:
    inter = ["user_id:token\titem_id:token\trating:float\ttimestamp:float"]
    inter += ["\t".join(map(str, event)) for event in (events() if told is None else told)]
    item = ["item_id:token\tmovie_title:token_seq\trelease_year:token\tclass:token_seq"]
    item += [f'{film}\tA "film\t{1930 + 2 * film}\t{("Comedy", "Drama War")[film % 2]}' for film in range(1, FILMS + 1)]
    user = ["user_id:token\tage:token\tgender:token\toccupation:token\tzip_code:token"]
    user += [f"{person}\t{18 + person}\tM\tother\t0" for person in range(1, PEOPLE + 1)]
    members = {f"{_ML}.{kind}": "\n".join(lines) for kind, lines in (("inter", inter), ("item", item), ("user", user))}
    return pinned(folder, "recbole", members)


def coupons(path: Path, rows: Sequence[Mapping[str, str]]) -> Path:
    lines = [",".join(COUPON), *(",".join(row.values()) for row in rows)]
    raw = "\n".join(lines).encode()
    path.write_bytes(gzip.compress(raw) if path.suffix == ".gz" else raw)
    return path


def many_coupons(path: Path, people: int = 60) -> Path:
    """Taken in the evening and with friends, mostly: neither alone, and only by chance else."""
    draw, rows = random.Random(3), []
    for person in range(people):
        who = {"age": ("26", "31", "36")[person % 3], "income": ("$25000 - $37499", "Less than $12500")[person % 2]}
        who |= {"occupation": ("Student", "Legal", "Retired", "Management", "Unemployed")[person % 5]}
        for _ in range(12):
            at = {"time": draw.choice(["6PM", "7AM"]), "passanger": draw.choice(["Alone", "Friend(s)"])}
            likely = 0.9 if at == {"time": "6PM", "passanger": "Friend(s)"} else 0.15
            rows.append({**COUPON, **who, **at, "Y": str(int(draw.random() < likely))})
    return coupons(path, rows)


def clicks_wheel(folder: Path, rounds: int = 600, items: int = 6) -> Wheel:
    """Item 2 is clicked by far the most, and by those of kind `a` only."""
    draw = random.Random(7)
    members = {}
    for campaign in ("all", "men", "women"):
        context = [",item_id,item_feature_0,item_feature_1,item_feature_2,item_feature_3"]
        context += [f"{item},{item},{item / 3 - 1},x{item % 2},y,z" for item in range(items)]
        for kind in ("random", "bts"):
            head = ",timestamp,item_id,position,click,propensity_score," + ",".join(
                f"user_feature_{place}" for place in range(4)
            )
            lines = [head]
            for number in range(rounds):
                item, who = draw.randrange(items), draw.choice("ab")
                click = int(draw.random() < (0.6 if (item, who) == (2, "a") else 0.05))
                at = f"2019-11-24 00:{number // 60 % 60:02}:{number % 60:02}.{number:06}+00:00"
                lines.append(f"{number},{at},{item},{1 + number % 3},{click},{1 / items},{who},k,k,k")
            members[f"obp/dataset/obd/{kind}/{campaign}/{campaign}.csv"] = "\n".join(lines)
        members[f"obp/dataset/obd/bts/{campaign}/item_context.csv"] = "\n".join(context)
    return pinned(folder, "obp", members)
