"""Write tickets.csv beside this file: made-up requests to a help desk, always the same ones.

Run it again after changing it, and commit the result: python data/generate.py
"""

from __future__ import annotations

import csv
import random
import re
from pathlib import Path

COUNT = 900
SEED = 7

# A name in braces stands for one entry, at random, of the list of that name.
LISTS = {
    "greeting": "Hello, |Hi there, |Good morning. |Dear team, |Hey, |||URGENT: |Please help: |Quick question: ",
    "closing": "| Thanks!| Regards, Kim| Please advise.| Can you help?| This is the 2nd time!| Sent by phone| asap pls",
    "order": "order {number}|my order|order no. {number}|the order from last week|package {number}|my parcel",
    "invoice": "invoice {number}|my invoice|the bill of last month|bill {number}|my credit card statement|the receipt",
    "device": "the app|your website|my router|the scanner|my account page|the login page|the printer|the new update",
    "money": "49 EUR|120 euros|$35|the full amount|twice|too much|two months at once|a fee I don't know",
    "place": "my neighbour|the wrong address|the old flat|the depot|a pickup point|the front door|our office in Leeds",
}
TEAMS = {
    "billing": [
        "I was charged {money} on {invoice}.",
        "{invoice} shows {money}, but I paid already.",
        "I need a refund for {invoice}.",
        "How do I change the payment method, {invoice} bounced.",
        "The VAT number on {invoice} is wrong.",
        "My bank says you debited {money}.",
        "Please send {invoice} again with our company's name.",
        "Why did the subscription price go up? I see {money} on {invoice}.",
    ],
    "delivery": [
        "{order} has not arrived yet.",
        "{order} was left at {place}.",
        "The courier rang at {place} and took {order} away again.",
        "Tracking for {order} stopped in the depot.",
        "Half of {order} is missing and the box was open.",
        "Can I still change the address of {order} to {place}?",
        "When will {order} be shipped?",
        "{order} came broken, who collects it from {place}?",
    ],
    "technical": [
        "{device} crashes every time I open it.",
        "I can't log in, {device} says error {number}.",
        "{device} is very slow since yesterday.",
        "Password reset mails never come, {device} just shows error {number}.",
        "After the update {device} does not connect any more.",
        "{device} freezes with a white screen.",
        "{device} asks for a code that I never get.",
        "How do I install {device} on a second laptop? Setup stops with error {number}.",
    ],
}


class Customer:
    """Makes up tickets from a seed.

    Only `random()` is drawn from the generator: it is the one method whose numbers no Python version may change.
    """

    def __init__(self, seed: int) -> None:
        self._random = random.Random(seed)

    def ticket(self) -> dict[str, str]:
        """Return one ticket, its text and the team that answered it."""
        team = self._pick(list(TEAMS))
        text = self._fill(f"{{greeting}}{self._pick(TEAMS[team])}{{closing}}")
        return {"team": team, "text": text}

    def _fill(self, text: str) -> str:
        while match := re.search(r"{(\w+)}", text):
            text = text[: match.start()] + self._choice(match[1]) + text[match.end() :]
        return text

    def _choice(self, name: str) -> str:
        if name == "number":
            return str(1000 + int(self._random.random() * 90000))
        return self._pick(LISTS[name].split("|"))

    def _pick(self, entries: list[str]) -> str:
        return entries[int(self._random.random() * len(entries))]


def main() -> None:
    """Write all tickets."""
    customer = Customer(SEED)
    with Path(__file__).with_name("tickets.csv").open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, ["team", "text"], lineterminator="\n")
        writer.writeheader()
        writer.writerows(customer.ticket() for _ in range(COUNT))


if __name__ == "__main__":
    main()
