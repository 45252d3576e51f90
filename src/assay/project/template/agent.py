"""The agent under test: replace it with an import of your own."""

PRICES = {"tea": 3, "coffee": 4, "cake": 5}


def agent(message: str) -> dict[str, object]:
    """Take an order in plain words and answer with the items and what they cost."""
    items = [item for item in PRICES if item in message.lower()]
    total = sum(PRICES[item] for item in items)
    return {"items": items, "total": total, "answer": f"That is {total} euros, please."}
