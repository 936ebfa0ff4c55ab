"""Write houses.csv beside this file: made-up sales of houses, always the same ones.

Run it again after changing it, and commit the result: python data/generate.py
"""

from __future__ import annotations

import csv
import random
from pathlib import Path

COUNT = 1500
SEED = 42
DISTRICTS = {"harbour": 1.25, "old town": 1.4, "hillside": 1.1, "riverside": 1.0, "station": 0.85, "mills": 0.7}
HEATING = {"heat pump": 1.06, "gas": 1.0, "oil": 0.94, "district heating": 1.02, "wood": 0.97}
COLUMNS = ["listing", "area_m2", "rooms", "built", "garden_m2", "district", "heating", "price"]


class Seller:
    """Makes up sales from a seed.

    Only `random()` is drawn from the generator: it is the one method whose numbers no Python version may change.
    """

    def __init__(self, seed: int) -> None:
        self._random = random.Random(seed)

    def sale(self, number: int) -> dict[str, object]:
        """Return one row of COLUMNS; what an agent may have left out is None."""
        area = 40 + round(240 * self._random.random() ** 1.6)
        rooms = max(1, round(area / (24 + 12 * self._random.random())))
        built = 1880 + int(143 * self._random.random() ** 0.7)
        garden = 10 * int(90 * self._random.random() ** 2)
        district, location = self._pick(DISTRICTS)
        heating, comfort = self._pick(HEATING)
        age = 2023 - built
        price = (1900 * area + 6000 * rooms + 90 * garden) * location * comfort * (1 - 0.0022 * min(age, 90))
        price *= 0.9 + 0.1 * (self._random.random() + self._random.random())
        return {
            "listing": f"H{number:05d}",
            "area_m2": area,
            "rooms": self._sometimes_missing(rooms, 0.05),
            "built": self._sometimes_missing(built, 0.08),
            "garden_m2": self._sometimes_missing(garden, 0.15),
            "district": district,
            "heating": self._sometimes_missing(heating, 0.1),
            "price": 1000 * round(price / 1000),
        }

    def _pick(self, factors: dict[str, float]) -> tuple[str, float]:
        return list(factors.items())[int(self._random.random() * len(factors))]

    def _sometimes_missing(self, value: object, share: float) -> object:
        return None if self._random.random() < share else value


def main() -> None:
    """Write all sales."""
    seller = Seller(SEED)
    with Path(__file__).with_name("houses.csv").open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, COLUMNS, lineterminator="\n")
        writer.writeheader()
        writer.writerows(seller.sale(number) for number in range(1, COUNT + 1))


if __name__ == "__main__":
    main()
