//! The shop's own tables, beside the workflow's in the same database. Times are microseconds since 1970, what has no
//! columns of its own is JSON in a text.

/// What differs between the two databases.
pub(crate) struct Dialect {
    /// Taken first in the transaction that creates tables. SQLite needs none: its write transaction is the lock.
    pub(crate) lock: &'static str,
    pub(crate) tables: &'static str,
}

pub(crate) const SQLITE: Dialect = Dialect { lock: "SELECT 1", tables: TABLES };

pub(crate) const POSTGRES: Dialect = Dialect {
    // "medusa", as a number.
    lock: "SELECT pg_advisory_xact_lock(120282244543329)",
    tables: TABLES,
};

/// The name of each table is that of Medusa's with a prefix, so that both can stand in one database. Stock cannot be
/// promised twice, a cart has one order, and a change that was made under a key is not made again.
const TABLES: &str = "
CREATE TABLE IF NOT EXISTS medusa_variants (
    id text NOT NULL PRIMARY KEY,
    title text NOT NULL,
    unit_price bigint NOT NULL CHECK (unit_price >= 0),
    stocked bigint NOT NULL CHECK (stocked >= 0),
    reserved bigint NOT NULL DEFAULT 0 CHECK (reserved BETWEEN 0 AND stocked)
);
CREATE TABLE IF NOT EXISTS medusa_carts (
    id text NOT NULL PRIMARY KEY,
    type text NOT NULL DEFAULT 'default' CHECK (type IN ('default', 'swap')),
    email text,
    customer_id text,
    details text NOT NULL,
    payment_authorized_at bigint,
    completed_at bigint,
    -- The key that is completing it: as long as there is one, nobody changes the cart.
    holder text,
    -- The key under which it was created.
    request_key text UNIQUE,
    created_at bigint NOT NULL,
    updated_at bigint NOT NULL,
    CHECK (holder IS NULL OR completed_at IS NULL)
);
CREATE TABLE IF NOT EXISTS medusa_requests (
    cart_id text NOT NULL,
    request_key text NOT NULL,
    PRIMARY KEY (cart_id, request_key)
);
CREATE TABLE IF NOT EXISTS medusa_line_items (
    id text NOT NULL PRIMARY KEY,
    cart_id text NOT NULL,
    variant_id text NOT NULL,
    title text NOT NULL,
    unit_price bigint NOT NULL CHECK (unit_price >= 0),
    quantity bigint NOT NULL CHECK (quantity BETWEEN 1 AND 1000000),
    metadata text NOT NULL,
    created_at bigint NOT NULL,
    UNIQUE (cart_id, variant_id)
);
CREATE TABLE IF NOT EXISTS medusa_tax_lines (
    item_id text NOT NULL PRIMARY KEY,
    cart_id text NOT NULL,
    name text NOT NULL,
    rate bigint NOT NULL
);
CREATE INDEX IF NOT EXISTS medusa_tax_lines_cart ON medusa_tax_lines (cart_id);
CREATE TABLE IF NOT EXISTS medusa_payment_sessions (
    id text NOT NULL PRIMARY KEY,
    cart_id text NOT NULL,
    provider_id text NOT NULL,
    is_selected bigint NOT NULL DEFAULT 0,
    status text NOT NULL DEFAULT 'pending',
    data text NOT NULL,
    UNIQUE (cart_id, provider_id)
);
CREATE TABLE IF NOT EXISTS medusa_shipping_methods (
    id text NOT NULL PRIMARY KEY,
    cart_id text NOT NULL,
    option_id text NOT NULL,
    name text NOT NULL,
    price bigint NOT NULL CHECK (price >= 0),
    data text NOT NULL,
    UNIQUE (cart_id)
);
CREATE TABLE IF NOT EXISTS medusa_payments (
    id text NOT NULL PRIMARY KEY,
    cart_id text NOT NULL,
    order_id text,
    provider_id text NOT NULL,
    session_id text NOT NULL,
    amount bigint NOT NULL,
    canceled_at bigint,
    created_at bigint NOT NULL
);
CREATE INDEX IF NOT EXISTS medusa_payments_cart ON medusa_payments (cart_id);
CREATE TABLE IF NOT EXISTS medusa_orders (
    id text NOT NULL PRIMARY KEY,
    display_id bigint NOT NULL UNIQUE,
    cart_id text NOT NULL UNIQUE,
    body text NOT NULL,
    created_at bigint NOT NULL
);
CREATE TABLE IF NOT EXISTS medusa_swaps (
    id text NOT NULL PRIMARY KEY,
    cart_id text NOT NULL UNIQUE,
    confirmed_at bigint
);
CREATE TABLE IF NOT EXISTS medusa_numbers (
    name text NOT NULL PRIMARY KEY,
    last bigint NOT NULL
);
INSERT INTO medusa_numbers (name, last) VALUES ('order', 0) ON CONFLICT (name) DO NOTHING;
INSERT INTO medusa_variants (id, title, unit_price, stocked) VALUES
    ('variant_shirt', 'Shirt', 1000, 1000000), ('variant_last_one', 'The last one', 2500, 1)
    ON CONFLICT (id) DO NOTHING;
-- The book of the built-in payment provider: as if it stood in another house, it is never written in a step's
-- transaction.
CREATE TABLE IF NOT EXISTS medusa_provider_book (
    effect_key text NOT NULL PRIMARY KEY,
    effect text NOT NULL CHECK (effect IN ('authorize', 'cancel')),
    session_id text NOT NULL,
    amount bigint NOT NULL,
    asked bigint NOT NULL DEFAULT 1
);
";
