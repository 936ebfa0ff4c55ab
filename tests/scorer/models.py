"""Small fitted stages, one for each kind of input and of answer."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from sklearn.compose import ColumnTransformer
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

TEXTS = ["dinner was tasty", "my lord, I am obliged", "tasty chips", "a most obliged lord"]
TEXT_LABELS = ["spam", "legitimate", "spam", "legitimate"]

FLOWERS = np.array([[5.1, 3.5, 1.4, 0.2], [7.0, 3.2, 4.7, 1.4], [6.3, 3.3, 6.0, 2.5], [4.9, 3.0, 1.4, 0.2]])

HOUSES = pd.DataFrame(
    {
        "rooms": [3, 5, 2, 8],
        "area": [70.5, 120.0, np.nan, 210.0],
        "town": ["Ulm", "Jena", np.nan, "Ulm"],
        "garden": [True, False, True, True],
        "owner": ["A", "B", "C", "D"],
        "price": [100.0, 180.0, 90.0, 310.0],
    }
)


def text_stages() -> list[Any]:
    vectorizer = TfidfVectorizer().fit(TEXTS)
    return [vectorizer, LogisticRegression(C=100).fit(vectorizer.transform(TEXTS), TEXT_LABELS)]


def flower_stages(labels: Any = ("setosa", "versicolor", "virginica", "setosa")) -> list[Any]:
    scaler = StandardScaler().fit(FLOWERS)
    return [scaler, LogisticRegression(C=1000).fit(scaler.transform(FLOWERS), np.array(labels))]


def house_stages() -> list[Any]:
    """Fit on the whole frame, as authors do: `owner` and `price` are known to the stage and not used by it."""
    columns = ColumnTransformer(
        [
            ("numbers", SimpleImputer(), ["rooms", "area"]),
            (
                "towns",
                make_pipeline(SimpleImputer(strategy="most_frequent"), OneHotEncoder(sparse_output=False)),
                ["town"],
            ),
            ("garden", "passthrough", ["garden"]),
        ]
    )
    return [columns.fit(HOUSES), LinearRegression().fit(columns.transform(HOUSES), HOUSES["price"])]


def line_stages() -> list[Any]:
    """One input value; doubles it."""
    return [LinearRegression().fit([[1.0], [2.0], [4.0]], [2.0, 4.0, 8.0])]
