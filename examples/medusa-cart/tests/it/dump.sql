-- A table of Medusa v1 as its tools dump it, PostgreSQL; the test makes the carts that it names.
CREATE TABLE idempotency_key (
    id character varying NOT NULL,
    idempotency_key character varying NOT NULL,
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    locked_at timestamp with time zone,
    request_method character varying,
    request_params jsonb,
    request_path character varying,
    response_code integer,
    response_body jsonb,
    recovery_point character varying DEFAULT 'started'::character varying NOT NULL
);

INSERT INTO idempotency_key
    (id, idempotency_key, created_at, locked_at, request_method, request_params, request_path, response_code,
     response_body, recovery_point) VALUES
    ('ikey_01HEXF3V5K8ZQ2N7W0R4T6Y8A1', '3f0d7a52-1d0e-4c58-9a39-0d6a2b7f1c01', '2023-11-10 09:14:02.113+00', NULL,
     'POST', '{"id": "cart_started"}', '/cart_started/complete', NULL, NULL, 'started'),
    ('ikey_01HEXF3V5K8ZQ2N7W0R4T6Y8A2', '3f0d7a52-1d0e-4c58-9a39-0d6a2b7f1c02', '2023-11-10 09:14:05.872+00', NULL,
     'POST', '{"id": "cart_taxed"}', '/cart_taxed/complete', NULL, NULL, 'tax_lines_created'),
    ('ikey_01HEXF3V5K8ZQ2N7W0R4T6Y8A3', '3f0d7a52-1d0e-4c58-9a39-0d6a2b7f1c03', '2023-11-10 09:14:09.001+00', NULL,
     'POST', '{"id": "cart_paid"}', '/cart_paid/complete', NULL, NULL, 'payment_authorized'),
    ('ikey_01HEXF3V5K8ZQ2N7W0R4T6Y8A4', '3f0d7a52-1d0e-4c58-9a39-0d6a2b7f1c04', '2023-11-10 09:15:44.390+00', NULL,
     'POST', '{"id": "cart_done"}', '/cart_done/complete', 200,
     '{"data": {"id": "order_01HEXF5D", "total": 1000, "object": "order"}, "type": "order"}', 'finished'),
    ('ikey_01HEXF3V5K8ZQ2N7W0R4T6Y8A5', '3f0d7a52-1d0e-4c58-9a39-0d6a2b7f1c05', '2023-11-10 09:16:01.778+00', NULL,
     'POST', '{"id": "cart_odd"}', '/cart_odd/complete', NULL, NULL, 'gift_cards_checked'),
    ('ikey_01HEXF3V5K8ZQ2N7W0R4T6Y8A6', '3f0d7a52-1d0e-4c58-9a39-0d6a2b7f1c06', '2023-11-10 09:16:20.412+00', NULL,
     'POST', '{"id": "cart_unpaid"}', '/cart_unpaid/complete', NULL, NULL, 'payment_authorized'),
    ('ikey_01HEXF3V5K8ZQ2N7W0R4T6Y8A7', '3f0d7a52-1d0e-4c58-9a39-0d6a2b7f1c07', '2023-11-10 09:17:03.640+00', NULL,
     'POST', '{"id": "cart_elsewhere"}', '/cart_elsewhere/complete', NULL, NULL, 'started'),
    ('ikey_01HEXF3V5K8ZQ2N7W0R4T6Y8A8', '3f0d7a52-1d0e-4c58-9a39-0d6a2b7f1c08', '2023-11-10 09:17:30.005+00', NULL,
     'POST', '{"id": "cart_void"}', '/cart_void/complete', NULL, NULL, 'finished'),
    ('ikey_01HEXF3V5K8ZQ2N7W0R4T6Y8A9', '3f0d7a52-1d0e-4c58-9a39-0d6a2b7f1c09', '2023-11-10 09:18:11.950+00', NULL,
     'POST', '{"id": "cart_paid"}', '/cart_paid/line-items', 200, '{"cart": {"id": "cart_paid"}}', 'finished'),
    ('ikey_01HEXF3V5K8ZQ2N7W0R4T6Y8AA', '3f0d7a52-1d0e-4c58-9a39-0d6a2b7f1c0a', '2023-11-10 09:18:47.236+00', NULL,
     'POST', '{"id": "order_01HEXF5D"}', '/order_01HEXF5D/swaps', NULL, NULL, 'swap_created'),
    ('ikey_01HEXF3V5K8ZQ2N7W0R4T6Y8AB', 'evt_3OAvXy2eZvKYlo2C1', '2023-11-10 09:19:02.100+00', NULL,
     'post', '{"cart_id": "cart_hooked"}', '/stripe/hooks', NULL, NULL, 'tax_lines_created'),
    ('ikey_01HEXF3V5K8ZQ2N7W0R4T6Y8AC', '3f0d7a52-1d0e-4c58-9a39-0d6a2b7f1c0c', '2023-11-10 09:20:30.555+00', NULL,
     'POST', '{"id": "cart_short"}', '/cart_short/complete', NULL, NULL, 'payment_authorized');

ALTER TABLE ONLY idempotency_key ADD CONSTRAINT idempotency_key_pkey PRIMARY KEY (id);
CREATE UNIQUE INDEX "IDX_a421bf4588d0004a9b0c0fe84f" ON idempotency_key USING btree (idempotency_key);
