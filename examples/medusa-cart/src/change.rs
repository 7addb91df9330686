//! What a customer does to a cart before it is completed. Each change is one transaction, and under a key it is made
//! once, even if the process dies between its commit and the answer.

use serde::Deserialize;
use serde_json::{Map, Value};

use crate::cart::{self, Cart};
use crate::catalog::{PROVIDERS, shipping};
use crate::id::fresh;
use crate::refusal::Refusal;
use crate::sql::Sql;
use crate::stock;
use crate::store::ShopStore;

/// The most of a variant that a line takes.
const MOST: i64 = 1_000_000;

/// A change of a cart.
#[derive(Debug)]
pub(crate) enum Change {
    Update(Map<String, Value>),
    AddItem(NewItem),
    SetQuantity { item_id: String, quantity: i64 },
    RemoveItem { item_id: String },
    CreateSessions,
    SelectSession { provider_id: String },
    SetSessionData { provider_id: String, data: Value },
    RefreshSession { provider_id: String },
    RemoveSession { provider_id: String },
    SetMethod { option_id: String, data: Value },
}

/// So many of a variant.
#[derive(Debug, Deserialize)]
pub(crate) struct NewItem {
    variant_id: String,
    quantity: i64,
    #[serde(default)]
    metadata: Value,
}

/// Creates a cart: the empty one, or that of this key.
pub(crate) async fn create<S: ShopStore>(
    store: &S,
    key: Option<String>,
    details: Map<String, Value>,
    items: Vec<NewItem>,
) -> Result<Value, Refusal> {
    let mut tx = store.begin().await?;
    let created = created(&mut *tx, key, details, items).await;
    ended(store, tx, created).await
}

/// Changes a cart: the cart afterwards. A change that was made under this key is not made again.
pub(crate) async fn change<S: ShopStore>(
    store: &S,
    cart_id: &str,
    key: Option<String>,
    change: Change,
) -> Result<Value, Refusal> {
    let mut tx = store.begin().await?;
    let changed = changed(&mut *tx, cart_id, key, change).await;
    ended(store, tx, changed).await
}

async fn ended<S: ShopStore>(store: &S, tx: S::Tx, done: Result<Value, Refusal>) -> Result<Value, Refusal> {
    match done {
        Ok(cart) => store.commit(tx).await.map(|()| cart).map_err(Into::into),
        Err(refusal) => {
            store.rollback(tx).await;
            Err(refusal)
        }
    }
}

async fn created<C: Sql>(
    conn: &mut C,
    key: Option<String>,
    details: Map<String, Value>,
    items: Vec<NewItem>,
) -> Result<Value, Refusal> {
    let (id, is_new) = cart::create(conn, &details, key).await?;
    if is_new {
        for item in items {
            let cart = found(conn, &id).await?;
            Change::AddItem(item).apply(conn, &cart).await?;
        }
    }
    Ok(found(conn, &id).await?.json())
}

async fn changed<C: Sql>(
    conn: &mut C,
    cart_id: &str,
    key: Option<String>,
    change: Change,
) -> Result<Value, Refusal> {
    let is_free = cart::lock(conn, cart_id).await?;
    let cart = found(conn, cart_id).await?;
    let is_new = match key {
        Some(key) => cart::note_request(conn, cart_id, &key).await?,
        None => true,
    };
    if !is_new {
        return Ok(cart.json());
    }
    if cart.completed_at.is_some() {
        return Err(Refusal::not_allowed("The cart is completed, and cannot be changed"));
    }
    if !is_free {
        return Err(Refusal::conflict());
    }
    change.apply(conn, &cart).await?;
    Ok(found(conn, cart_id).await?.json())
}

async fn found<C: Sql>(conn: &mut C, cart_id: &str) -> Result<Cart, Refusal> {
    cart::find(conn, cart_id).await?.ok_or_else(|| Refusal::not_found("Cart", cart_id))
}

impl Change {
    async fn apply<C: Sql>(self, conn: &mut C, cart: &Cart) -> Result<(), Refusal> {
        match self {
            Self::Update(members) => update(conn, cart, members).await,
            Self::AddItem(item) => add_item(conn, cart, item).await,
            Self::SetQuantity { item_id, quantity } => set_quantity(conn, cart, &item_id, quantity).await,
            Self::RemoveItem { item_id } => match cart.item(&item_id) {
                Some(item) => Ok(cart::remove_item(conn, cart, item).await?),
                None => Err(Refusal::not_found("Line item", &item_id)),
            },
            Self::CreateSessions => create_sessions(conn, cart).await,
            Self::SelectSession { provider_id } => {
                known(cart, &provider_id)?;
                Ok(cart::select_session(conn, &cart.id, &provider_id).await?)
            }
            Self::SetSessionData { provider_id, data } => {
                known(cart, &provider_id)?;
                Ok(cart::set_session_data(conn, &cart.id, &provider_id, &data).await?)
            }
            Self::RefreshSession { provider_id } => refresh_session(conn, cart, &provider_id).await,
            Self::RemoveSession { provider_id } => {
                known(cart, &provider_id)?;
                Ok(cart::remove_session(conn, &cart.id, &provider_id).await?)
            }
            Self::SetMethod { option_id, data } => match shipping(&option_id) {
                Some(method) => Ok(cart::set_method(conn, &cart.id, &option_id, method, &data).await?),
                None => Err(Refusal::not_found("Shipping option", &option_id)),
            },
        }
    }
}

/// The session's provider must be there.
fn known(cart: &Cart, provider_id: &str) -> Result<(), Refusal> {
    match cart.session(provider_id) {
        Some(_) => Ok(()),
        None => Err(Refusal::not_found("Payment session of the provider", provider_id)),
    }
}

/// An e-mail makes whoever has it the customer.
async fn update<C: Sql>(conn: &mut C, cart: &Cart, mut members: Map<String, Value>) -> Result<(), Refusal> {
    let mut cart = cart.clone();
    match members.remove("email") {
        None => {}
        Some(Value::String(email)) if email.contains('@') => {
            let email = email.to_lowercase();
            if cart.email.as_ref() != Some(&email) {
                cart.customer_id = Some(fresh("cus"));
            }
            cart.email = Some(email);
        }
        Some(_) => return Err(Refusal::invalid_data("email must be an email")),
    }
    match members.remove("customer_id") {
        None => {}
        Some(Value::String(customer_id)) => cart.customer_id = Some(customer_id),
        Some(_) => return Err(Refusal::invalid_data("customer_id must be a string")),
    }
    cart.details.extend(members);
    Ok(cart::update(conn, &cart).await?)
}

async fn add_item<C: Sql>(conn: &mut C, cart: &Cart, item: NewItem) -> Result<(), Refusal> {
    let there = cart.items.iter().find(|there| there.variant_id == item.variant_id);
    let wanted = there.map_or(0, |there| there.quantity).saturating_add(item.quantity);
    enough(conn, &item.variant_id, item.quantity, wanted).await?;
    let NewItem { variant_id, quantity, metadata } = item;
    match cart::add_item(conn, &cart.id, &variant_id, quantity, &metadata).await? {
        true => Ok(()),
        false => Err(Refusal::not_found("Variant", &variant_id)),
    }
}

async fn set_quantity<C: Sql>(
    conn: &mut C,
    cart: &Cart,
    item_id: &str,
    quantity: i64,
) -> Result<(), Refusal> {
    let item = cart.item(item_id).ok_or_else(|| Refusal::not_found("Line item", item_id))?;
    if quantity == 0 {
        return Ok(cart::remove_item(conn, cart, item).await?);
    }
    enough(conn, &item.variant_id, quantity, quantity).await?;
    Ok(cart::set_quantity(conn, cart, item, quantity).await?)
}

/// Whether there is so much of a variant. Nothing is taken from the stock before the cart is completed.
async fn enough<C: Sql>(conn: &mut C, variant_id: &str, quantity: i64, wanted: i64) -> Result<(), Refusal> {
    if quantity < 1 || wanted > MOST {
        return Err(Refusal::invalid_data(format!("quantity must be 1 to {MOST}")));
    }
    match stock::available(conn, variant_id).await? {
        None => Err(Refusal::not_found("Variant", variant_id)),
        Some(available) if available < wanted => Err(Refusal::too_few(400, variant_id)),
        Some(_) => Ok(()),
    }
}

async fn create_sessions<C: Sql>(conn: &mut C, cart: &Cart) -> Result<(), Refusal> {
    for provider_id in PROVIDERS {
        cart::add_session(conn, &cart.id, provider_id).await?;
    }
    if cart.selected().is_none() {
        cart::select_session(conn, &cart.id, PROVIDERS[0]).await?;
    }
    Ok(())
}

/// A new session with the same provider, in the place of the old one.
async fn refresh_session<C: Sql>(conn: &mut C, cart: &Cart, provider_id: &str) -> Result<(), Refusal> {
    known(cart, provider_id)?;
    let was_selected = cart.selected().is_some_and(|session| session.provider_id == provider_id);
    cart::remove_session(conn, &cart.id, provider_id).await?;
    cart::add_session(conn, &cart.id, provider_id).await?;
    if was_selected {
        cart::select_session(conn, &cart.id, provider_id).await?;
    }
    Ok(())
}
