"""What the document cannot say of a good order: the last digit of a card, and that orders and keys are new each time."""

import re
import uuid

import schemathesis

CARD = re.compile(r"[0-9]{12,19}")


def luhn_digit(digits):
    """The digit that makes these digits a card number."""
    doubled = (int(digit) * (2 if at % 2 == 0 else 1) for at, digit in enumerate(reversed(digits)))
    return str(-sum(value - 9 if value > 9 else value for value in doubled) % 10)


@schemathesis.hook
def map_body(context, body):
    if not isinstance(body, dict):
        return body
    card, order_id = body.get("card"), body.get("order_id")
    if isinstance(card, str) and CARD.fullmatch(card):
        body = {**body, "card": card[:-1] + luhn_digit(card[:-1])}
    if isinstance(order_id, str) and 0 < len(order_id) <= 60:
        body = {**body, "order_id": f"{uuid.uuid4()} {order_id}"}
    return body


@schemathesis.hook
def map_headers(context, headers):
    key = (headers or {}).get("Idempotency-Key")
    # One that is no key stays as it is.
    if isinstance(key, str) and re.fullmatch(r"[!#-\[\]-~]{1,200}", key):
        return {**headers, "Idempotency-Key": f"{uuid.uuid4()}{key}"}
    return headers
