"""Stripe's own client for Python charges our server, through everything that can happen on the way."""
# needs: charges

import time
import unittest
from concurrent.futures import ThreadPoolExecutor

import stripe

from proxy import Proxy
from server import Server

QUICK = ["--lease-ms", "1500"]
ORDER = {
    "amount": 2000,
    "currency": "usd",
    "source": "tok_visa",
    "description": "two CDs & postage",
    "metadata": {"order": "o-1"},
}
KEY = {"idempotency_key": "order-1"}


def client(server, secret="sk_test_1", max_network_retries=2, **options):
    """A client that retries as often as the module's own calls do; if nothing is said, it never does."""
    options["max_network_retries"] = max_network_retries
    address = {"api": f"http://127.0.0.1:{server.port}"}
    return stripe.StripeClient(secret, base_addresses=address, **options).v1.charges


def is_replay(charge):
    return charge.last_response.headers.get("idempotent-replayed") == "true"


class StripeForPython(unittest.TestCase):
    def start(self, *args):
        return Server(self, "charges", *QUICK, *args)

    def calling(self, call, *args):
        """A call under way, as a future."""
        pool = ThreadPoolExecutor(1)
        self.addCleanup(pool.shutdown, wait=False)
        return pool.submit(call, *args)

    def test_a_charge_is_made_and_found_again(self):
        server = self.start()
        charges = client(server)
        charge = charges.create(ORDER)
        self.assertRegex(charge.id, "^ch_")
        self.assertEqual(
            [charge.object, charge.amount, charge.currency, charge.status], ["charge", 2000, "usd", "succeeded"]
        )
        self.assertEqual(charge.metadata.to_dict(), {"order": "o-1"})
        self.assertEqual(charge.description, ORDER["description"])
        self.assertRegex(charge.last_response.request_id, "^req_")
        self.assertRegex(charge.last_response.idempotency_key, "^[0-9a-f-]{36}$")
        self.assertEqual(charges.retrieve(charge.id), charge)
        self.assertEqual(server.count(), 1)

    def test_two_calls_without_a_key_of_their_own_are_two_charges(self):
        server = self.start()
        charges = client(server)
        self.assertNotEqual(charges.create(ORDER).id, charges.create(ORDER).id)
        self.assertEqual(server.count(), 2)

    def is_retried_and_charged_once(self, fault):
        server = self.start()
        proxy = Proxy(self, server, fault)
        charge = client(proxy).create(ORDER)
        keys = proxy.sent("idempotency-key")
        self.assertEqual(len(keys), 2, "the client has tried again by itself")
        self.assertEqual(keys[0], keys[1])
        self.assertRegex(charge.id, "^ch_")
        self.assertEqual(server.count(), 1)
        return charge

    def test_a_request_that_is_refused_is_retried_by_the_client_and_charged_once(self):
        self.is_retried_and_charged_once("refused")

    def test_a_request_that_is_unanswered_is_retried_by_the_client_and_charged_once(self):
        self.is_retried_and_charged_once("unanswered")

    def test_a_request_whose_answer_is_lost_is_retried_by_the_client_and_charged_once(self):
        self.assertTrue(is_replay(self.is_retried_and_charged_once("lost")))

    def test_the_modules_own_calls_retry_too(self):
        server = self.start()
        proxy = Proxy(self, server, "lost")
        for name, value in [("api_base", f"http://127.0.0.1:{proxy.port}"), ("api_key", "sk_test_1")]:
            self.addCleanup(setattr, stripe, name, getattr(stripe, name))
            setattr(stripe, name, value)
        self.assertTrue(is_replay(stripe.Charge.create(**ORDER)))
        self.assertEqual(len(proxy.requests), 2)
        self.assertEqual(server.count(), 1)

    def test_a_connection_that_is_cut_while_the_charge_takes_longer_than_all_retries_is_no_error(self):
        server = self.start("--delay-ms", "5000")
        proxy = Proxy(self, server)
        calling = self.calling(client(proxy).create, ORDER)
        server.counted(1)
        proxy.cut()
        self.assertTrue(is_replay(calling.result()))
        self.assertEqual(len(proxy.requests), 2)
        self.assertEqual(server.count(), 1)

    def test_a_server_that_is_killed_after_it_has_charged_and_comes_back_charges_once(self):
        server = self.start("--delay-ms", "600000")
        calling = self.calling(client(server, max_network_retries=6).create, ORDER)
        server.counted(1)
        server.restart(*QUICK)
        self.assertEqual(calling.result().amount, 2000)
        self.assertEqual(server.count(), 1)

    def test_a_server_that_is_killed_at_any_moment_of_a_request_charges_once(self):
        def killed_after(moment):
            server = self.start()
            proxy = Proxy(self, server)
            calling = self.calling(client(proxy, max_network_retries=6).create, ORDER)
            while not proxy.requests:
                time.sleep(0.001)
            time.sleep(moment)
            server.restart(*QUICK)
            return calling.result().id, server.count()

        with ThreadPoolExecutor() as pool:
            moments = [0, 0.001, 0.002, 0.004, 0.006, 0.009, 0.013, 0.02]
            for moment, (charge, count) in zip(moments, pool.map(killed_after, moments)):
                self.assertRegex(charge, "^ch_")
                self.assertEqual(count, 1, f"killed after {moment} s")

    def test_the_callers_own_key_gives_the_same_charge_twice_also_after_a_restart(self):
        server = self.start()
        first, second = client(server).create(ORDER, KEY), client(server).create(ORDER, KEY)
        server.restart(*QUICK)
        third = client(server).create(ORDER, KEY)
        self.assertEqual([second, third], [first, first])
        self.assertEqual([is_replay(charge) for charge in [first, second, third]], [False, True, True])
        self.assertEqual(second.last_response.headers["idempotency-key"], "order-1")
        self.assertEqual(server.count(), 1)

    def test_telemetry_that_changes_from_call_to_call_makes_no_other_request(self):
        server = self.start()
        proxy = Proxy(self, server)
        charges = client(proxy)
        for _ in range(3):
            charges.create(ORDER, KEY)
        none, second, third = proxy.sent("x-stripe-client-telemetry")
        self.assertIsNone(none)
        self.assertTrue(second and third and second != third)
        self.assertEqual(server.count(), 1)

    def test_a_key_that_is_used_for_another_amount_is_an_error_of_the_caller(self):
        server = self.start()
        charges = client(server)
        first = charges.create(ORDER, KEY)
        with self.assertRaises(stripe.IdempotencyError) as caught:
            charges.create({**ORDER, "amount": 1}, KEY)
        self.assertEqual(caught.exception.http_status, 400)
        self.assertEqual(charges.create(ORDER, KEY), first)
        self.assertEqual(server.count(), 1)

    def test_after_an_answer_that_broke_off_the_same_key_gives_the_charge(self):
        server = self.start()
        proxy = Proxy(self, server, "broken")
        with self.assertRaises(stripe.APIConnectionError):
            client(proxy).create(ORDER, KEY)
        self.assertEqual(len(proxy.requests), 1, "the client does not retry it")
        charge = client(proxy).create(ORDER, KEY)
        self.assertTrue(is_replay(charge))
        self.assertEqual(charge.metadata.to_dict(), {"order": "o-1"})
        self.assertEqual(server.count(), 1)

    def test_fifty_calls_at_once_with_one_key_are_one_charge_and_an_error_to_nobody(self):
        server = self.start("--delay-ms", "3000")
        # None of them has to try again.
        charges = client(server, max_network_retries=0)
        with ThreadPoolExecutor(50) as pool:
            made = list(pool.map(lambda _: charges.create(ORDER, KEY), range(50)))
        self.assertEqual(made, [made[0]] * 50)
        self.assertEqual(sum(not is_replay(charge) for charge in made), 1)
        self.assertEqual(server.count(), 1)

    def test_fifty_calls_at_once_with_keys_of_their_own_are_fifty_charges(self):
        server = self.start()
        charges = client(server)
        with ThreadPoolExecutor(50) as pool:
            made = pool.map(lambda _: charges.create(ORDER), range(50))
        self.assertEqual(len({charge.id for charge in made}), 50)
        self.assertEqual(server.count(), 50)

    def test_the_same_key_of_another_account_is_another_charge_and_sees_nothing_of_the_first(self):
        server = self.start()
        one, other = client(server), client(server, "sk_test_2")
        first = one.create(ORDER, KEY)
        second = other.create({**ORDER, "amount": 1}, KEY)
        self.assertNotEqual(second.id, first.id)
        self.assertEqual((second.amount, is_replay(second)), (1, False))
        with self.assertRaises(stripe.InvalidRequestError) as caught:
            other.retrieve(first.id)
        self.assertEqual(caught.exception.http_status, 404)
        self.assertEqual(one.create(ORDER, KEY), first)
        self.assertEqual(server.count(), 2)

    def test_a_declined_card_stays_declined_under_its_key_and_is_charged_nothing(self):
        server = self.start()
        charges = client(server)
        for replayed in [None, "true"]:
            with self.assertRaises(stripe.CardError) as caught:
                charges.create({**ORDER, "source": "tok_chargeDeclined"}, KEY)
            self.assertEqual((caught.exception.http_status, caught.exception.code), (402, "card_declined"))
            self.assertEqual(caught.exception.headers.get("idempotent-replayed"), replayed)
        self.assertEqual(server.count(), 0)


if __name__ == "__main__":
    unittest.main()
