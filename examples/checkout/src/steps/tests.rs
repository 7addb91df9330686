//! The steps' own tests: their table, and the undos that no step of it asks for by itself.

use std::sync::Arc;

use sqlx::SqliteConnection;
use workflow::{Key, Runner};
use workflow_sqlite::Sqlite;

use super::*;
use crate::card::Card;
use crate::gateway::BuiltIn;
use crate::ledger::{self, Ledger, Outcome};
use crate::shop::ShopStore;
use crate::warehouse::Warehouse;

#[test]
fn the_workflow_is_the_table_of_the_readme() {
    let workflow = checkout::<SqliteConnection>();
    workflow.verify().unwrap();
    let table = "\
step              kind     from              reaches
reserve_stock     atomic   started           stock_reserved
capture_payment   foreign  stock_reserved    payment_captured
place_order       atomic   payment_captured  order_placed
notify_warehouse  foreign  order_placed      finished
";
    assert_eq!(workflow.to_string(), table);
}

/// As `checkout`, up to a step that says no.
fn refused_at_last() -> Workflow<SqliteConnection, Shop, Order> {
    Workflow::new("checkout")
        .atomic("reserve_stock", reserve_stock)
        .undo(give_back_stock)
        .foreign("capture_payment", capture_payment)
        .undo(refund)
        .atomic("place_order", async |_: Atom<'_, SqliteConnection>, _: PaymentCaptured| -> Step<Response> {
            Err(Response::empty(409))?
        })
        .build()
}

#[tokio::test]
async fn a_refusal_after_the_charge_refunds_it_under_a_key_of_its_own() {
    let dir = tempfile::tempdir().unwrap();
    let store = Sqlite::open(&format!("sqlite://{}/shop.db", dir.path().display())).await.unwrap();
    store.migrate_all().await.unwrap();
    let path = dir.path().join("ledger");
    let gateway = Arc::new(BuiltIn::new(Ledger::open(&path).unwrap()));
    let shop = Shop { gateway, warehouse: Warehouse::Log, opening_stock: 10, node: "test".into() };
    let runner = Runner::builder(store.clone(), shop).with(refused_at_last).build().unwrap();
    let order = Order {
        order_id: "o-1".into(),
        sku: "duck".into(),
        qty: 3,
        amount: 1299,
        currency: "EUR".into(),
        card: Card::new("4242424242424242"),
    };
    let answered = runner.run(refused_at_last, Key::new("tenant", "k").unwrap(), order).await.unwrap();
    assert_eq!(answered.status(), 409);
    let lines: Vec<_> = ledger::lines(&path).unwrap().map(Result::unwrap).collect();
    let outcomes: Vec<_> = lines.iter().map(|line| (line.outcome, line.amount)).collect();
    assert_eq!(outcomes, [(Outcome::Captured, 1299), (Outcome::Refunded, 1299)]);
    assert_eq!(lines[0].charge_id, lines[1].charge_id);
    assert_ne!(lines[0].effect_key, lines[1].effect_key);
    let mut reader = store.reader().await.unwrap();
    assert_eq!(reader.orders(("", ""), 10).await.unwrap(), []);
    assert_eq!(reader.stock("", 10).await.unwrap()[0].left, 10);
}
